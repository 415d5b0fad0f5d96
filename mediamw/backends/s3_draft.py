"""The bytes of an upload to a bucket before they have a name: in memory while they are few, then on disk.

A bucket has no file without a name, and S3 wants to know the length first. So the bytes are kept here until they are
published, which may take more than one name.
"""

from __future__ import annotations

import io
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

from ..core.errors import BackendUnavailable
from ..core.keys import Key
from .base import Content, pieces

MEMORY_BYTES: Final = 4 * 1024 * 1024
"""How much of an upload is kept in memory; a longer one goes into a temporary file (``TMPDIR``)."""


class S3Draft:
    """An upload without a name. ``publish`` is ``store(draft, key, replace)``.

    ``filename``: what it is called, for backends that keep that. ``token`` is the draft's own, and stands with the
    object: so it is known again if the answer to a PUT is lost. Raises ``BackendUnavailable`` if the temporary file takes no more; what reading ``data`` raises goes through.
    """

    def __init__(
        self,
        data: Content,
        content_type: str | None,
        store: Callable[[S3Draft, Key, bool], None],
        *,
        backend: str,
    ) -> None:
        self.content_type = content_type
        self.filename: str | None = None
        self.token = secrets.token_hex(16)
        self.size = 0
        self._store = store
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - closed by close()
        try:
            for piece in pieces(data):
                try:
                    self._file.write(piece)
                except OSError as error:
                    raise BackendUnavailable(
                        f"{error.strerror} ({tempfile.gettempdir()}, where an upload to a bucket waits)",
                        backend=backend,
                        operation="put",
                        answered=False,
                    ) from error
            self.size = self._file.tell()
        except BaseException:
            self.close()
            raise

    def whole(self) -> IO[bytes]:
        """Return all of it, from its start."""
        self._file.seek(0)
        return self._file

    def parts(self, part_bytes: int) -> Iterator[tuple[int, Any]]:
        """Yield numbers from 1, and files of at most ``part_bytes``: to be read one after the other."""
        for number, start in enumerate(range(0, self.size, part_bytes), 1):
            yield number, _Part(self._file, start, min(start + part_bytes, self.size))

    def publish(self, key: Key, *, replace: bool = False) -> None:
        """Give it a name. Raises ``NameTaken``, after which another may be tried."""
        self._store(self, key, replace)

    def close(self) -> None:
        """Forget the bytes here."""
        self._file.close()


class _Part(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, file: IO[bytes], start: int, stop: int) -> None:
        self._file, self._start, self._stop = file, start, stop
        self._at = start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: self._start, os.SEEK_CUR: self._at, os.SEEK_END: self._stop}[whence]
        self._at = max(self._start, base + offset)
        return self.tell()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._at)
        data = self._file.read(min(len(view), max(self._stop - self._at, 0)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
