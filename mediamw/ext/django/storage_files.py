"""Open files of a ``MediaStorage``. What is written goes into a temporary file first, and is stored when it is closed.

1. A file is stored whole, in one step, or not at all: until it is closed all others see what was there before. One
   whose ``with`` block raises is not stored.
2. ``a``, ``r+`` and their like start with what the stack has, which may be a lower's: it is copied, into the upper.
   Opened so and not changed, nothing is stored.
3. Text is UTF-8.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from django.core.files import File

from ...backends.base import CHUNK_BYTES

if TYPE_CHECKING:
    from .storage import MediaStorage

_WAYS: Final = frozenset("rwxa")


class MediaFile(File):  # type: ignore[misc]  # Django has no types
    """A file of ``storage``. Closed, it can be opened again; ``name`` is that by which the storage knows it."""

    def __init__(self, storage: MediaStorage, name: str, mode: str = "rb") -> None:
        super().__init__(None, name)
        self._storage = storage
        self._draft: _Draft | None = None
        self._start(mode)

    def _start(self, mode: str) -> None:
        check_mode(mode)
        self.mode = mode
        if writes(mode):
            self._draft = _Draft(self._storage, self.name, mode)
            self.file = self._draft.file
        else:
            opened = self._storage.reader(self.name)
            self.file = opened if "b" in mode else io.TextIOWrapper(opened, encoding="utf-8")

    @property
    def size(self) -> int:
        """The number of bytes, those written so far included."""
        if self.closed:
            size: int = self._storage.size(self.name)
            return size
        position = self.file.tell()
        try:
            end: int = self.file.seek(0, os.SEEK_END)
        finally:
            self.file.seek(position)
        return end

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> MediaFile:
        """Go back to the start; open it again if it is closed."""
        if self.closed:
            self._start(mode or self.mode)
        else:
            self.seek(0)
        return self

    def close(self) -> None:
        """Close it, and store what was written."""
        self._end(is_kept=True)

    def __exit__(self, exc_type: object, exc_value: object, tb: object) -> None:
        self._end(is_kept=exc_type is None)

    def _end(self, *, is_kept: bool) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.end(is_kept=is_kept)
        elif self.file is not None:
            self.file.close()

    def __del__(self) -> None:
        if getattr(self, "_draft", None) is not None:
            warnings.warn(
                f"{self.name!r} was written and never closed: it is not stored", ResourceWarning, stacklevel=2
            )
            self._end(is_kept=False)


class _Draft:
    """What is written to one file, until it is closed."""

    def __init__(self, storage: MediaStorage, name: str, mode: str) -> None:
        self._storage = storage
        self._name = name
        self._is_exclusive = "x" in mode
        if self._is_exclusive and storage.exists(name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        storage.check_writable()
        fd, self._path = tempfile.mkstemp(prefix="mediamw-")
        os.close(fd)
        try:
            self._is_new = not self._copy() if "w" not in mode and "x" not in mode else True
            if self._is_new and "r" in mode:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            os.utime(self._path, ns=(0, 0))  # whoever writes changes that, however coarse the disk's clock is
            encoding = None if "b" in mode else "utf-8"
            self.file = open(self._path, mode.replace("x", "w"), encoding=encoding)  # noqa: SIM115 - closed by end()
        except BaseException:
            os.unlink(self._path)
            raise

    def _copy(self) -> bool:
        """Copy what is there; False if nobody has it."""
        try:
            source = self._storage.reader(self._name)
        except FileNotFoundError:
            return False
        with source, open(self._path, "wb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
        return True

    def end(self, *, is_kept: bool) -> None:
        """Close it, and store it if it ``is_kept`` and was changed."""
        try:
            self.file.close()
            if is_kept and (self._is_new or os.stat(self._path).st_mtime_ns != 0):
                with open(self._path, "rb") as data:
                    self._storage.put(self._name, data, is_exclusive=self._is_exclusive)
        finally:
            with suppress(OSError):  # the file closed: a full disk
                self.file.close()
            os.unlink(self._path)


def check_mode(mode: str) -> None:
    """Raise ``ValueError`` if this is no mode of ``open``."""
    known = len(mode) == len(set(mode)) and set(mode) <= _WAYS | set("bt+")
    if not known or len(_WAYS & set(mode)) != 1 or {"b", "t"} <= set(mode):
        raise ValueError(f"invalid mode: {mode!r}")


def writes(mode: str) -> bool:
    """Say whether a file that is opened so may be changed."""
    return "r" not in mode or "+" in mode


def in_bytes(chunks: Any) -> Any:
    """Yield chunks of a ``File`` as bytes: those of text in UTF-8."""
    for chunk in chunks:
        yield chunk.encode() if isinstance(chunk, str) else chunk


def length_of(file: BinaryIO) -> int:
    """Return the length of an open file, and close it."""
    with file:
        return file.seek(0, os.SEEK_END)
