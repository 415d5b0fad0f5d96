"""FallbackStorage: in the place of ``fallback_storage.storage.FallbackStorage``, with its settings and methods.

The storages of FALLBACK_STORAGES are a stack: the first is the upper, and nothing is ever written to or deleted from
the others. ``docs/fallback_storage.md`` has every difference.

1. Who has a file gives its bytes, its size, its times and its URL. A URL of what nobody has, or of what nobody can tell
   of, is the last storage's.
2. A method that no storage has is an ``AttributeError``, and a ``NotImplementedError``, which is what Django expects.
3. In data migration mode a file that is read is copied into the first storage, and a URL is that of the first storage
   that makes one. That of a deleted file is so too, as the last storage may still have it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO, Final

from django.conf import settings
from django.utils import timezone
from django.utils.deconstruct import deconstructible

from ...core.errors import BackendUnavailable, ConfigError, InvalidKey, NotServable
from ...core.model import Found, Held, Hidden, Missing, Redirect
from ...core.names import NamePolicy
from ...stack.stack import MediaStack
from . import conf
from .fallback_copy import copy_up
from .fallback_members import SETTING, FallbackConfigError, Member, members_of
from .storage import MediaStorage
from .storage_errors import StorageUnavailable, as_django_has_them
from .storage_files import MediaFile, check_mode, writes

MIGRATES: Final = "FALLBACK_DATA_MIGRATION"
_OF_OWNER: Final = "the storage whose file it is does not have"


class NoStorageHas(AttributeError, NotImplementedError):
    """No storage has the method, or the one that has the file does not have it."""


@deconstructible(path="mediamw.ext.django.FallbackStorage")
class FallbackStorage(MediaStorage):
    """Several storages as one. ``backends``: its storages, if not those of FALLBACK_STORAGES.

    ``names``: what is done with a name that is taken: ``suffix`` unless it says ``shadow``, ``error`` or ``replace``.
    Nothing is made before it is used; then ``FallbackConfigError`` says what is wrong.
    """

    def __init__(self, backends: Sequence[Any] | None = None, *, names: NamePolicy | None = None) -> None:
        super().__init__(names=names)
        self._entries = backends
        self._members: tuple[Member, ...] | None = None

    # -- the stack -------------------------------------------------------------------------------------------------

    @property
    def stack(self) -> MediaStack:
        """The stack of the storages. Raises ``FallbackConfigError``."""
        with self._lock:
            if self._own is None:
                members = members_of(getattr(settings, SETTING, None) if self._entries is None else self._entries)
                try:
                    self._own = MediaStack([member.backend for member in members], names=self._names or "suffix")
                except ConfigError as error:
                    raise FallbackConfigError(error.reason, backend=error.backend) from error
                self._members = members
            return self._own

    @property
    def shares_stack(self) -> bool:
        """False: its storages are its own."""
        return False

    @property
    def setting(self) -> str:
        """Where its storages stand."""
        return SETTING

    @property
    def in_data_migration(self) -> bool:
        """Whether FALLBACK_DATA_MIGRATION is on."""
        return bool(getattr(settings, MIGRATES, False))

    @property
    def members(self) -> tuple[Member, ...]:
        """The storages, first to last."""
        self.stack  # noqa: B018 - makes them
        assert self._members is not None
        return self._members

    def _setting_changed(self, *, setting: str, **_: Any) -> None:
        if setting in (SETTING, *conf.READ):
            with self._lock:
                old, self._own, self._members = self._own, None, None
            if old is not None:
                old.close()

    def _need(self, method: str, members: Sequence[Member] | None = None, who: str = "no storage has") -> Member:
        """Return the first of the storages, or of ``members``, that has a method. Raises ``NoStorageHas``."""
        for member in self.members if members is None else members:
            if member.implements(method):
                return member
        raise NoStorageHas(f"{who} the method `{method}`")

    def _need_first(self, method: str) -> Any:
        return self._need(method, self.members[:1], "the first storage does not have").storage

    def _owner(self, key: str) -> Member | None:
        """Return who has a file, None if nobody. Raises ``BackendUnavailable``, ``NotServable``, ``InvalidKey``."""
        return self._member_of(self.stack.find(key))

    def _member_of(self, found: Found) -> Member | None:
        if isinstance(found, Held):
            found.handle.close()
        elif not isinstance(found, Redirect):
            return None
        return next(member for member in self.members if member.backend.name == found.backend)

    # -- what Django calls -----------------------------------------------------------------------------------------

    def _open(self, name: Any, mode: str = "rb") -> MediaFile:
        check_mode(mode)
        self._need("_open")
        if self.in_data_migration and not writes(mode):
            with as_django_has_them():
                copy_up(self.stack, self.key_of(name))
        return super()._open(name, mode)

    def _save(self, name: Any, content: Any) -> str:
        self._need_first("_save")
        return super()._save(name, content)

    def delete(self, name: Any) -> None:
        """Remove the first storage's file, and hide what the others have. A missing file is no error."""
        self._need_first("delete")
        super().delete(name)

    def exists(self, name: Any) -> bool:
        """Say if a storage has the file. Raises ``StorageUnavailable`` if none is known to, and one cannot tell."""
        self._need("exists")
        return super().exists(name)

    def listdir(self, path: Any) -> tuple[list[str], list[str]]:
        """Return the names of folders and files of all storages that list, each once, sorted."""
        self._need("listdir")
        folders, files = super().listdir(path)
        if not self.members[0].implements("listdir"):  # so what it hides is to be asked for one by one
            key = self.key_of(path)
            files = [file for file in files if self.exists(f"{key}/{file}" if key else file)]
        return folders, files

    def size(self, name: Any) -> int:
        """Return the number of bytes. Raises ``FileNotFoundError``."""
        self._need("size")
        return super().size(name)

    def url(self, name: Any) -> str:
        """Return the URL that the storage which has the file makes; the last one's if nobody is known to have it."""
        self._need("url")
        key = self.key_of(name)
        if self.in_data_migration:
            return self._first_url(key)
        with as_django_has_them():
            try:
                found = self.stack.find(key)
            except (BackendUnavailable, InvalidKey, NotServable):
                found = Missing()
            if isinstance(found, Hidden):  # the last one's URL would lead to what was deleted
                return self._first_url(key)
            return self._need("url", [self._member_of(found) or self.members[-1]], _OF_OWNER).url(key)

    def _first_url(self, key: str) -> str:
        said: list[str] = []
        for member in self.members:
            if member.implements("url"):
                try:
                    return member.url(key)
                except Exception as error:  # noqa: BLE001 - the storage's own, whatever it is
                    said.append(f"{member.backend.name}: {type(error).__name__}: {error}")
        raise StorageUnavailable("; ".join(said), key=key, operation="url")

    def path(self, name: Any) -> str:
        """Return where the first storage has the file on the local disk, or would have it; never another's."""
        storage, key = self._need_first("path"), self.key_of(name)
        with as_django_has_them():
            owner = self._owner(key) if key else None
        if owner not in (None, self.members[0]):
            raise NoStorageHas(f"{name}: the file is not in the first storage, and no other is written by its path")
        path: str = storage.path(key)
        return path

    def get_valid_name(self, name: Any) -> str:
        """Return what the first storage makes of a name."""
        valid: str = self._need("get_valid_name").storage.get_valid_name(name)
        return valid

    def get_available_name(self, name: Any, max_length: int | None = None) -> str:
        """Return a name that no storage has, unless ``names`` says otherwise."""
        self._need("get_available_name")
        self._need_first("_save")
        return super().get_available_name(name, max_length=max_length)

    def get_accessed_time(self, name: Any) -> datetime:
        """Return when the file was last read; aware if USE_TZ."""
        return self._time("get_accessed_time", name)

    def get_created_time(self, name: Any) -> datetime:
        """Return when the file was made; aware if USE_TZ. A bucket says when it was changed."""
        return self._time("get_created_time", name)

    def get_modified_time(self, name: Any) -> datetime:
        """Return when the file was changed; aware if USE_TZ."""
        return self._time("get_modified_time", name)

    def accessed_time(self, name: Any) -> datetime:
        """``get_accessed_time`` as Django had it before 2.0: naive, in the project's time zone."""
        return _naive(self.get_accessed_time(name))

    def created_time(self, name: Any) -> datetime:
        """``get_created_time`` as Django had it before 2.0: naive, in the project's time zone."""
        return _naive(self.get_created_time(name))

    def modified_time(self, name: Any) -> datetime:
        """``get_modified_time`` as Django had it before 2.0: naive, in the project's time zone."""
        return _naive(self.get_modified_time(name))

    def _time(self, method: str, name: Any) -> datetime:
        self._need(method)
        key = self.key_of(name)
        with as_django_has_them():
            owner = self._owner(key)
        if owner is None:
            raise self._nobody_has(key)
        member = self._need(method, [owner], _OF_OWNER)
        if member.storage is None:
            return super().get_modified_time(name)
        time: datetime = getattr(member.storage, method)(key)
        return time

    # -- for its open files ----------------------------------------------------------------------------------------

    def stat(self, key: str) -> Any:
        """Return what is known of a file. Raises ``FileNotFoundError``, with what each storage said."""
        with self._asked(key):
            return super().stat(key)

    def reader(self, key: str) -> BinaryIO:
        """Open a file for reading. Raises ``FileNotFoundError``, with what each storage said."""
        with self._asked(key):
            return super().reader(key)

    @contextmanager
    def _asked(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise self._nobody_has(key) from error

    def _nobody_has(self, key: str) -> FileNotFoundError:
        looks = self.stack.explain(key).looks
        said = "; ".join(f"{look.backend}: {look.answer}{look.reason and f', {look.reason}'}" for look in looks)
        return FileNotFoundError(errno.ENOENT, f"{os.strerror(errno.ENOENT)} ({said})", key)


def _naive(time: datetime) -> datetime:
    return timezone.make_naive(time, timezone.get_default_timezone()) if timezone.is_aware(time) else time
