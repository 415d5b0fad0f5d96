"""An open file of a directory, and how it is read: by position, and where one must not wait, from the page cache."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from ..core.errors import BackendUnavailable
from ..core.keys import Key
from ..core.model import Meta
from .again import Beside
from .base import CHUNK_BYTES, INLINE_BYTES

_RWF_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


class LocalHandle:
    """An open file of the disk. ``fileno`` is at offset 0 and stays there: all reads say where."""

    __slots__ = ("_fd", "meta")

    def __init__(self, fd: int, meta: Meta) -> None:
        self._fd = fd
        self.meta = meta

    def fileno(self) -> int:
        """Return the descriptor, for servers that send files themselves."""
        return self._fd

    def lies(self, key: Key) -> tuple[str, int | None, Beside | None]:
        """Return where the file of ``key`` lies beneath the root, its time on the disk (nanoseconds since 1970), and
        the file that says what it is, if one does."""
        return key, self.meta.mtime_ns, None

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of a slice; ends early if the file has become shorter."""
        while start < stop:
            try:
                data = _read_at(self._fd, min(CHUNK_BYTES, stop - start), start)
            except OSError as error:  # EIO; ESTALE, of a network disk
                raise BackendUnavailable(f"{error.strerror}, while a file was read", operation="read") from error
            if not data:
                return
            start += len(data)
            yield data

    def read_now(self, start: int, stop: int) -> bytes | None:
        """Return the bytes of a slice if that needs no wait for the disk, else None. Short if the file is shorter.

        overlayfs, tmpfs, macOS and Windows cannot tell. Small files are warm as a rule; of a large one that is not,
        each piece would be waited for.
        """
        buffer = bytearray(stop - start)
        try:
            if not _RWF_NOWAIT:
                return _read_at(self._fd, stop - start, start) if self._is_small else None
            count = os.preadv(self._fd, (buffer,), start, _RWF_NOWAIT)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP or not self._is_small:
                return None
            return b"".join(self.chunks(start, stop))
        # Fewer bytes, or an error: not in the page cache, or the file ends here. The slow way knows which.
        return bytes(buffer) if count == len(buffer) else None

    @property
    def _is_small(self) -> bool:
        return (self.meta.size or 0) <= INLINE_BYTES

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


if hasattr(os, "pread"):
    _read_at = os.pread
else:  # Windows

    def _read_at(fd: int, length: int, offset: int) -> bytes:
        os.lseek(fd, offset, os.SEEK_SET)  # a handle has one user: nobody moves the offset in between
        return os.read(fd, length)
