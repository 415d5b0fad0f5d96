"""Django storages of any kind as members of a ``FallbackStorage``: read by their methods, the first one written too.

Of the first ``_save`` and ``delete`` are called as well. What the overlay keeps, it keeps in there as files below
``.mediamw/``.

1. What has no ``exists`` or no ``listdir`` is passed over where that is asked. A folder that is not there has no files,
   however a storage says so.
2. No storage can be asked to store under a name only if it is free: it is asked first. Of two uploads of one name in
   the same moment the second takes another name, or waits if it is to replace the first, if both are in this process;
   else it is the storage that decides. One that stores under another name has not taken the name.
3. How much of a file is kept if storing it breaks off is the storage's own affair. Replacing is deleting, then storing.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO, Final, cast

from django.core.exceptions import SuspiciousOperation
from django.core.files import File
from django.core.files.storage import Storage

from ...backends.base import Content, Entry, pieces
from ...core.errors import BackendUnavailable, MediaError, NameTaken, NotServable
from ...core.keys import Key, is_state
from ...core.media_types import guess
from ...core.model import Handle, Meta
from .storage_backend import Asking, StorageBackend

MEMORY_BYTES: Final = 1024 * 1024


def implements(storage: Any, method: str) -> bool:
    """Say whether a storage has a method of its own; those of Django's ``Storage`` raise ``NotImplementedError``."""
    if not callable(getattr(storage, method, None)):
        return False
    inherited = getattr(Storage, method, None)
    return inherited is None or method in _REAL or getattr(type(storage), method, None) is not inherited


_REAL: Final = frozenset({"get_valid_name", "get_available_name", "open", "save"})
"""The methods of Django's ``Storage`` that do something."""


class MemberBackend(StorageBackend):
    """One of several storages: what it does not implement it is not asked.

    ``whereabouts`` says where its files are, if that is known, so that none is there twice.
    """

    def __init__(self, storage: Any, *, name: str, whereabouts: tuple[str, ...] = ()) -> None:
        super().__init__(storage, name=name)
        self.whereabouts = whereabouts

    def open(self, key: Key) -> Handle | None:
        """Open a file; None if there is none, or the storage cannot be asked for files at all."""
        if not implements(self.storage, "exists") or not implements(self.storage, "_open"):
            return None
        return super().open(key)

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield entries sorted by key; none if the storage cannot list."""
        if implements(self.storage, "listdir"):
            yield from super().list(prefix, recursive=recursive)

    def _list(self, folder: str, prefix: str, recursive: bool) -> Iterator[Entry]:
        try:
            yield from super()._list(folder, prefix, recursive)
        except BackendUnavailable as error:
            if not isinstance(error.__cause__, NotImplementedError) and self._may_have(folder):
                raise

    def _may_have(self, folder: str) -> bool:
        """Say whether there may be such a folder: False if the folder around it is known not to hold it."""
        around, _, name = folder.rpartition("/")
        if not folder:
            return True
        try:
            folders, _ = self.storage.listdir(around)
        except Exception:  # noqa: BLE001 - what it means is what is asked here
            return self._may_have(around)
        return name in {str(one).strip("/") for one in folders}


class UpperBackend(MemberBackend):
    """The first of several storages, which takes all writes."""

    def __init__(self, storage: Any, *, name: str, whereabouts: tuple[str, ...] = ()) -> None:
        super().__init__(storage, name=name, whereabouts=whereabouts)
        self._stored = threading.Condition()
        self._storing: set[Key] = set()

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield entries sorted by key; the state only if it is asked for."""
        if not is_state(prefix):
            yield from super().list(prefix, recursive=recursive)
        elif implements(self.storage, "listdir"):
            yield from self._state(prefix.rpartition("/")[0], prefix)

    def _state(self, folder: str, prefix: str) -> Iterator[Entry]:
        try:
            _, files = Asking(self, folder, "list")(lambda: self.storage.listdir(folder), ((), ()))
        except BackendUnavailable:
            if self._may_have(folder):
                raise
            return
        for key in sorted(f"{folder}/{name}" for name in files):
            if key.startswith(prefix):
                yield Entry(key, Meta(None), self.name)

    def draft(self, data: Content, *, content_type: str | None = None) -> UpperDraft:
        """Take the bytes of a file that gets its name later."""
        file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - the draft closes it
        try:
            for piece in pieces(data):
                with self._errors("", "put"):
                    file.write(piece)
        except BaseException:
            file.close()
            raise
        return UpperDraft(self, cast("BinaryIO", file), content_type)

    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        """Store a file. Raises ``NameTaken`` if the name has one, unless ``replace``."""
        with closing(self.draft(data, content_type=content_type)) as draft:
            draft.publish(key, replace=replace)

    def delete(self, key: Key) -> bool:
        """Remove a file; False if there is none."""
        if not self._has_file(key):  # of a folder some storages would remove all that lies in it
            return False
        with self._errors(key, "delete"):
            self.storage.delete(key)
        return True

    def store(self, key: Key, content: File, replace: bool) -> None:
        """Have the storage take a file under this very name. Raises ``NameTaken``."""
        with self._alone(key, replace), self._errors(key, "put"):
            if self.storage.exists(key):
                if not replace or not self._has_file(key):
                    raise NameTaken("a file or a folder has this name", backend=self.name, key=key, operation="put")
                self.storage.delete(key)
            saved = str(self.storage._save(key, content)).replace("\\", "/")
            if saved != key:
                self.storage.delete(saved)
                reason = f"the storage stores it as {saved!r}"
                raise NameTaken(reason, backend=self.name, key=key, operation="put")

    def _has_file(self, key: Key) -> bool:
        found = self.open(key)
        if found is not None:
            found.close()
        return found is not None

    @contextmanager
    def _alone(self, key: Key, waits: bool) -> Iterator[None]:
        """Be the only one in this process who stores this key. Raises ``NameTaken`` unless it ``waits`` for others."""
        with self._stored:
            while key in self._storing:
                if not waits:
                    reason = "another upload takes this name at this moment"
                    raise NameTaken(reason, backend=self.name, key=key, operation="put")
                self._stored.wait()
            self._storing.add(key)
        try:
            yield
        finally:
            with self._stored:
                self._storing.discard(key)
                self._stored.notify_all()

    @contextmanager
    def _errors(self, key: str, operation: str) -> Iterator[None]:
        """Say what an error of the storage means."""
        try:
            yield
        except MediaError:
            raise
        except (FileExistsError, NotADirectoryError) as error:
            reason = "one of its folders is a file"
            raise NameTaken(reason, backend=self.name, key=key, operation=operation, is_final=True) from error
        except SuspiciousOperation as error:
            reason = f"the storage refuses the name: {error}"
            raise NotServable(reason, backend=self.name, key=key, operation=operation) from error
        except Exception as error:  # the storage's own, whatever it is
            raise Asking(self, key, operation).unavailable(error) from error


class UpperDraft:
    """The bytes of a file that has no name yet."""

    def __init__(self, backend: UpperBackend, file: BinaryIO, content_type: str | None) -> None:
        self._backend = backend
        self._file = file
        self._content_type = content_type

    def publish(self, key: Key, *, replace: bool = False) -> None:
        """Give it a name. Raises ``NameTaken``."""
        self._file.seek(0)
        self._backend.store(key, _Content(self._file, key, self._content_type or guess(key)[0]), replace)

    def close(self) -> None:
        """Forget the bytes."""
        self._file.close()


class _Content(File):  # type: ignore[misc]  # Django has no types
    """What a storage is given to store; it may close it, and the bytes stay."""

    def __init__(self, file: BinaryIO, name: str, content_type: str | None) -> None:
        super().__init__(file, name=name)
        self.content_type = content_type
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)

    def close(self) -> None:
        """Keep the file open: another name may have to be tried."""
