"""StorageBackend: any Django storage as a backend that is read and never written: it has no put and no delete.

Of the storage it calls ``exists``, ``open`` for reading, ``size``, ``get_modified_time`` and ``listdir``, and no other.

1. A file is missing if the storage says so: by ``exists``, or by an error that means it (no such file, a folder, one of
   its folders is a file). Whatever else it raises is ``BackendUnavailable``: it could not tell.
2. Files that it opens as text, as some in memory, are UTF-8, and read as a whole when they are opened.
3. What it does not implement is not known: without ``size`` the open file is asked, without ``get_modified_time``
   there is no date and no ETag.
4. It is asked each time, and waited for as long as its own time-outs let it: what it asks is nothing that can be known
   here. An S3 of django-storages becomes an ``S3Backend`` instead, which has deadlines and a memory (``storages.py``).
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Final, NamedTuple

from django.core.exceptions import SuspiciousOperation
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage

from ...backends.base import READ_BYTES, Entry
from ...backends.memory import MemoryHandle
from ...backends.redaction import without_secrets
from ...backends.rules import Rules
from ...core.errors import BackendUnavailable, MediaError, NotServable
from ...core.keys import Key, refusal
from ...core.model import Handle, Meta

MAX_REASON_CHARACTERS: Final = 1000
_MISSING: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)


class StorageHandle:
    """An open file of a storage, which it closes with itself. ``unavailable`` says what its errors mean."""

    def __init__(self, file: Any, meta: Meta, unavailable: Callable[[Exception], MediaError]) -> None:
        self._file = file
        self._unavailable = unavailable
        self._is_open = True
        self.meta = meta

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of a slice; ends early if the file has become shorter."""
        position = None
        while start < stop:
            try:
                if position != start:
                    self._file.seek(start)
                data = bytes(memoryview(self._file.read(min(READ_BYTES, stop - start))))
            except Exception as error:  # the storage's own, whatever it is
                raise self._unavailable(error) from error
            if not data:
                return
            data = data[: min(READ_BYTES, stop - start)]  # not every storage's read keeps to what it is asked for
            start += len(data)
            position = start
            yield data

    def close(self) -> None:
        """Close the file. A storage that fails at that has given its bytes all the same."""
        if self._is_open:
            self._is_open = False
            try:
                self._file.close()
            except Exception as error:  # the storage's own, whatever it is
                raise self._unavailable(error) from error


class StorageBackend:
    """A Django storage, read-only. ``exclude`` and ``only`` are patterns: see ``Rules``. Raises ``ConfigError``."""

    def __init__(
        self, storage: Any, *, name: str = "django", exclude: Sequence[str] = (), only: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.storage = storage
        self.rules = Rules(name, exclude=exclude, only=only)
        # Django's files in memory are one object for all who open them, and opening is not for several threads.
        self._opening: Any = threading.Lock() if isinstance(storage, InMemoryStorage) else nullcontext()

    def __repr__(self) -> str:
        return f"StorageBackend({type(self.storage).__qualname__}, name={self.name!r})"

    def open(self, key: Key) -> Handle | None:
        """Open a file; None if there is none. Raises ``BackendUnavailable`` if the storage cannot tell."""
        asking = Asking(self, key, "open")
        if not asking(lambda: self.storage.exists(key), False):
            return None
        mtime_ns = self._mtime_ns(asking, key)
        size = asking(lambda: _known(lambda: self.storage.size(key)), _GONE)
        if size is _GONE or mtime_ns is _GONE:
            return None
        with self._opening:
            file = asking(lambda: self.storage.open(key, "rb"), None)
        if file is None:
            return None
        try:
            if size is None:
                size = asking(lambda: file.size, None)
            meta = Meta(int(size), mtime_ns, None if mtime_ns is None else f'"{mtime_ns:x}-{int(size):x}"')
            if isinstance(file, ContentFile):  # it is all there, and others move its position
                return _in_memory(file.file.getvalue(), meta)
            if _is_text(file):  # of which neither sizes nor positions are those of bytes
                file.seek(0)  # some have one file for all who open it
                return _in_memory(asking(file.read, ""), meta)
            return StorageHandle(file, meta, asking.unavailable)
        except BaseException:
            file.close()
            raise

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield entries sorted by key. Of a file nothing is known but its name: sizes would be a request for each."""
        folder = prefix.rpartition("/")[0]
        if not folder or refusal(folder) is None:
            yield from self._list(folder, prefix, recursive)

    def _list(self, folder: str, prefix: str, recursive: bool) -> Iterator[Entry]:
        folders, files = Asking(self, folder, "list")(lambda: self.storage.listdir(folder), ((), ()))
        before = f"{folder}/" if folder else ""
        found = {before + str(name).strip("/") + "/" for name in folders} | {before + str(name) for name in files}
        for key in sorted(key for key in found if refusal(key.removesuffix("/")) is None):
            if not key.endswith("/"):
                if key.startswith(prefix):
                    yield Entry(key, Meta(None), self.name)
            elif not recursive:
                if key.startswith(prefix):
                    yield Entry(key, None, self.name)
            elif key.startswith(prefix):
                yield from self._list(key[:-1], prefix, recursive)

    def _mtime_ns(self, asking: Asking, key: Key) -> Any:
        modified = asking(lambda: _known(lambda: self.storage.get_modified_time(key)), _GONE)
        if modified is None or modified is _GONE:
            return modified
        return asking(lambda: round(modified.timestamp() * 1_000_000) * 1000, None)


_GONE: Final = object()
"""Said of a file that was there a moment ago."""


class Asking(NamedTuple):
    """Calls a storage, and says what its errors mean."""

    backend: StorageBackend
    key: str
    operation: str

    def __call__(self, ask: Callable[[], Any], missing: Any) -> Any:
        """Return what ``ask`` does, ``missing`` if the storage says that there is no such file."""
        try:
            return ask()
        except _MISSING:
            return missing
        except SuspiciousOperation as error:
            reason = f"the storage refuses the name: {error}"
            raise NotServable(reason, backend=self.backend.name, key=self.key, operation=self.operation) from error
        except Exception as error:  # the storage's own, whatever it is
            raise self.unavailable(error) from error

    def unavailable(self, error: Exception) -> MediaError:
        """Say that the storage cannot tell."""
        if isinstance(error, BackendUnavailable):
            return error
        text = without_secrets(" ".join(str(error).split()))[:MAX_REASON_CHARACTERS]
        reason = f"{type(self.backend.storage).__qualname__} raised {type(error).__name__}{text and f': {text}'}"
        return BackendUnavailable(reason, backend=self.backend.name, key=self.key, operation=self.operation)


def _is_text(file: Any) -> bool:
    """Say whether a storage opened a file as text; its attributes are not asked, as some would fetch it."""
    return isinstance(file, io.TextIOBase) or isinstance(getattr(file, "__dict__", {}).get("file"), io.TextIOBase)


def _in_memory(data: str | bytes, meta: Meta) -> MemoryHandle:
    body = data.encode() if isinstance(data, str) else data
    return MemoryHandle(body, Meta(len(body), meta.mtime_ns, meta.etag))


def _known(ask: Callable[[], Any]) -> Any:
    """Return what ``ask`` does, None if the storage does not implement it."""
    try:
        return ask()
    except NotImplementedError:
        return None
