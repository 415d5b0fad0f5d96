"""The entries of FALLBACK_STORAGES, each as a storage, which makes URLs, and as a backend, which is read.

1. An entry is the dotted path of a storage class, which is made without arguments; an alias of STORAGES; or a storage.
2. The first is written. A ``FileSystemStorage`` becomes the directory that it is (``LocalBackend``), a class that does
   something else with its files, and any other storage, an ``UpperBackend``.
3. The others are read. django-storages' S3 becomes our ``S3Backend``, and django-storages need not be installed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, storages
from django.utils.module_loading import import_string

from ...backends.base import Backend
from ...backends.local import LocalBackend
from ...backends.s3 import S3Backend
from ...core.errors import ConfigError
from ...core.keys import parse_key
from .storage_names import StackStorage
from .storage_upper import MemberBackend, UpperBackend, implements
from .storages import bucket_of, storage_of_class

SETTING: Final = "FALLBACK_STORAGES"
_OF_A_BUCKET: Final = frozenset(("_open", "exists", "listdir", "size", "url", "get_created_time", "get_modified_time"))
_OF_FILES: Final = ("_open", "_save", "delete", "exists", "listdir", "size", "path")


class FallbackConfigError(ConfigError, ImproperlyConfigured):  # type: ignore[misc]  # Django has no types
    """``FALLBACK_STORAGES`` is missing, or wrong."""

    __str__ = ConfigError.__str__


class Member(NamedTuple):
    """One of the storages. A bucket that only its backend reads has no ``storage``."""

    backend: Backend
    storage: Any

    def implements(self, method: str) -> bool:
        """Say whether it has a method."""
        return method in _OF_A_BUCKET if self.storage is None else implements(self.storage, method)

    def url(self, name: str) -> str:
        """Return its URL for a name. Raises what the storage does. An empty name would be a bucket's listing."""
        if self.storage is not None:
            made: str = self.storage.url(name)
            return made
        assert isinstance(self.backend, S3Backend)
        key = parse_key(name)
        if not self.backend.can_sign(time.time()):
            self.backend.prepare()
        return self.backend.sign(key, "GET", time.time()).url


def members_of(entries: Any) -> tuple[Member, ...]:
    """Make the members. Raises ``FallbackConfigError``."""
    if isinstance(entries, str) or not isinstance(entries, Sequence) or not entries:
        way_out = "list storage classes or aliases of STORAGES, the one that is written first"
        raise FallbackConfigError(f"{SETTING} is missing, empty or no list: {way_out}")
    made: list[Member] = []
    for entry in entries:
        name = _name(entry, {member.backend.name for member in made})
        try:
            made.append(_member(entry, name, is_first=not made))
        except ConfigError as error:
            raise FallbackConfigError(error.reason, backend=name) from error
    return tuple(made)


def _name(entry: Any, taken: set[str]) -> str:
    text = entry.rpartition(".")[2] if isinstance(entry, str) else type(entry).__name__
    names = (text if number == 1 else f"{text}_{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _member(entry: Any, name: str, *, is_first: bool) -> Member:
    whereabouts: tuple[str, ...] = ()
    if isinstance(entry, str):
        path, options, named = _named(entry)
        kind = storage_of_class(path, options, named=named, name=name)
        if kind.kind == "s3":
            bucket = bucket_of(kind.options, named=f"{named} OPTIONS", name=name)
            if not is_first:
                return Member(bucket, None)
            whereabouts = bucket.whereabouts
    storage = _made(entry, name)
    if isinstance(storage, StackStorage):
        raise ConfigError(f"{entry!r} is a stack of storages itself: name its storages here")
    if _is_directory(storage):
        directory = LocalBackend(storage.location, name=name)
        if is_first:
            directory.use_modes(storage.file_permissions_mode, storage.directory_permissions_mode)
        return Member(directory, storage)
    if not whereabouts:
        whereabouts = ("storage", str(id(storage)))
        if isinstance(storage, FileSystemStorage):
            whereabouts = LocalBackend(storage.location).whereabouts
    if is_first and implements(storage, "_save") and implements(storage, "delete"):
        return Member(UpperBackend(storage, name=name, whereabouts=whereabouts), storage)
    return Member(MemberBackend(storage, name=name, whereabouts=whereabouts), storage)


def _named(entry: str) -> tuple[str, dict[str, Any], str]:
    """Return the class, the options, and how faults call the entry."""
    of_alias = settings.STORAGES.get(entry)
    if of_alias is None:
        return entry, {}, f"{SETTING} {entry!r}"
    return str(of_alias.get("BACKEND", "")), dict(of_alias.get("OPTIONS") or {}), f"STORAGES[{entry!r}]"


def _made(entry: Any, name: str) -> Any:
    if not isinstance(entry, (str, type)):
        return entry
    try:
        if isinstance(entry, str) and entry in settings.STORAGES:
            return storages[entry]
        return (import_string(entry) if isinstance(entry, str) else entry)()
    except Exception as error:  # the storage's own, whatever it is
        raise ConfigError(f"{entry!r}: making it raised {type(error).__name__}: {error}", backend=name) from error


def _is_directory(storage: Any) -> bool:
    """Say whether it is a directory and nothing but: a class of the project's may do more with its files."""
    kind = type(storage)
    plain = FileSystemStorage
    return isinstance(storage, plain) and all(getattr(kind, one) is getattr(plain, one) for one in _OF_FILES)
