"""Files as Python has them: read-only, seekable, buffered, over a handle or over ranged reads of a remote file."""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from ..backends.base import Backend, ReadsRanges, ReadsWhole, Remote
from ..core.errors import BackendUnavailable, ContentChanged
from ..core.keys import Key
from ..core.model import Handle, Meta
from .copies import copy_of
from .origin_reads import OriginReads

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 64 * 1024
_MAX_WINDOW_BYTES = 8 * 1024 * 1024


def opened(
    backend: Backend,
    key: Key,
    answer: Handle | Remote,
    reads: Callable[[Backend], OriginReads],
    changed: Callable[[], None],
) -> BinaryIO:
    """Return the file that ``backend`` answered with; ``reads`` reads the files of remote ones.

    ``changed`` is called when the version is gone.
    """
    raw: io.RawIOBase
    if not isinstance(answer, Remote):
        raw = HandleReader(key, answer)
    elif answer.meta.size is None and isinstance(backend, ReadsWhole):
        return copy_of(reads(backend).read_whole(key, answer.meta.etag))
    elif isinstance(backend, ReadsRanges):
        raw = RemoteReader(key, reads(backend), answer.meta, changed)
    else:
        raise BackendUnavailable("the backend cannot be read from here", backend=backend.name, key=key)
    return cast("BinaryIO", io.BufferedReader(raw, BUFFER_BYTES))


def meta_of(file: BinaryIO) -> Meta | None:
    """Return what was known of an open file when ``MediaStack.open`` returned it: of this version, and no other.

    None if its length was not known before it was read.
    """
    raw = getattr(file, "raw", None)
    return raw.meta if isinstance(raw, _Reader) else None


def is_one_version(file: BinaryIO) -> bool:
    """Say whether a file can only give bytes of one version: those of a disk may be written over while they are read,
    and a bucket without ETags cannot tell."""
    raw = getattr(file, "raw", None)
    return isinstance(raw, RemoteReader) and raw.meta.etag is not None


class _Reader(io.RawIOBase):
    """What both readers share: a position in a file whose size does not change."""

    def __init__(self, name: str, meta: Meta) -> None:
        if meta.size is None:
            raise BackendUnavailable("its length is not known, so it cannot be read by position", key=name)
        self.name = name
        self.meta = meta
        self._size = meta.size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._check_open()
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        if whence not in base:
            raise ValueError(f"whence is 0, 1 or 2, not {whence}")
        if base[whence] + offset < 0:
            raise ValueError(f"seek to {base[whence] + offset}, before the start of the file")
        self._position = base[whence] + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._check_open()
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self._size)
        data = self._some(self._position, stop) if self._position < stop else b""
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Read the rest in the largest pieces there are; the inherited one asks for 8 KiB at a time."""
        self._check_open()
        pieces = []
        while self._position < self._size:
            pieces.append(self._some(self._position, self._size))
            self._position += len(pieces[-1])
        return b"".join(pieces)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    @abstractmethod
    def _some(self, start: int, stop: int) -> bytes:
        """Return at least one of the bytes from ``start`` to ``stop``. Raises ``ContentChanged`` if there are none."""


class HandleReader(_Reader):
    """Reads an open handle, which it closes with itself."""

    def __init__(self, key: Key, handle: Handle) -> None:
        super().__init__(key, handle.meta)
        self._handle = handle

    def close(self) -> None:
        if not self.closed:
            self._handle.close()
        super().close()

    def _some(self, start: int, stop: int) -> bytes:
        data = next(self._handle.chunks(start, stop), b"")
        if not data:  # start lies before the size that was promised
            raise ContentChanged(f"the file ended {stop - start} bytes early while it was read", key=self.name)
        return data


class RemoteReader(_Reader):
    """Reads a remote file by ranges of one version: 64 KiB, twice as much each time one follows on the other, 8 MiB.

    ``changed`` is called when that version is gone.
    """

    def __init__(self, key: Key, backend: ReadsRanges, meta: Meta, changed: Callable[[], None]) -> None:
        self._pieces: Iterator[bytes] = iter(())  # of the request that is going on; close() needs it, whatever follows
        super().__init__(key, meta)
        self._key = key
        self._backend = backend
        self._changed = changed
        self._rest = b""  # of its last piece
        self._at = -1  # where the rest starts in the file
        self._stop = 0  # where the request ends
        self._window = BUFFER_BYTES

    def close(self) -> None:
        self._end_request()
        super().close()

    def _some(self, start: int, stop: int) -> bytes:
        if start != self._at or (not self._rest and start >= self._stop):
            self._request(start, stop)
        self._at = -1  # whoever reads on after a failure asks anew
        # A buffer full, however small the pieces are that come: who looks at a header here and there asks once.
        while len(self._rest) < min(stop, self._stop, start + BUFFER_BYTES) - start:
            self._rest += self._next_piece()
        data = self._rest[: stop - start]
        self._rest = self._rest[len(data) :]
        self._at = start + len(data)
        if self._at >= self._stop:
            self._end_request()
        return data

    def _next_piece(self) -> bytes:
        try:
            piece = next(self._pieces, None)
            if piece is None:
                raise ContentChanged("the backend sent less than it was asked for", key=self._key)
        except ContentChanged:
            self._changed()
            raise
        return piece

    def _request(self, start: int, stop: int) -> None:
        self._end_request()
        self._window = min(self._window * 2, _MAX_WINDOW_BYTES) if start == self._at else BUFFER_BYTES
        self._stop = min(max(start + self._window, stop), self._size)
        self._pieces = self._backend.read_range(self._key, start, self._stop, self.meta.etag, size=self._size)
        self._at = start

    def _end_request(self) -> None:
        close = getattr(self._pieces, "close", None)  # a generator's: gives its connection back
        if close is not None:
            close()
        self._pieces, self._rest = iter(()), b""
