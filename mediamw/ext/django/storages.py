"""Entries of STORAGES as backends: ``django:ALIAS``. django-storages' S3 is read by our own, which cannot write.

A file system storage becomes a ``LocalBackend`` of its location, any other a ``StorageBackend``, which reads only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from django.utils.module_loading import import_string

from ...backends.base import Backend
from ...backends.local import LocalBackend
from ...backends.rules import RuleOptions
from ...backends.s3 import S3Backend
from ...core.errors import ConfigError, unknown_option
from ...settings.django_storages import LEFT_ASIDE, READ, s3_of_django_storages
from ...specs import GIVEN
from .storage_backend import StorageBackend
from .storage_names import StackStorage

PRODUCTION: Final = ("production", "default")
"""The aliases that are looked at where nobody names backends; any other may hold what is no medium: backups."""
AWS_SETTINGS: Final = tuple(name for names in {**READ, **LEFT_ASIDE}.values() for name in names)
_S3: Final = ("storages.backends.s3.S3Storage", "storages.backends.s3boto3.S3Boto3Storage")
_KNOWN: Final = {
    "s3": tuple(RuleOptions.__annotations__),
    "files": tuple(sorted(GIVEN["local"])),
    "other": ("exclude", "only"),
}
"""The options that may stand beside the alias."""


class StorageKind(NamedTuple):
    """An entry of STORAGES: what kind of storage it is, and its options, those of its class included."""

    kind: str
    options: Mapping[str, Any]


def of_storage(where: str, name: str, **beside: Any) -> Backend:
    """Make the backend of ``django:ALIAS``. Raises ``ConfigError``."""
    alias = where.strip("/")
    entries = settings.STORAGES
    if alias not in entries:
        if "?" in alias:
            reason = f"options stand beside: {{'spec': 'django:{alias.partition('?')[0]}', 'delivery': 'proxy'}}"
        else:
            reason = unknown_option(alias, tuple(entries), "alias of STORAGES")
        raise ConfigError(reason, backend=name)
    storage = _storage(alias, name)
    known = _KNOWN[storage.kind]
    for option in beside:
        if option not in known:
            raise ConfigError(unknown_option(option, known), backend=name)
    if storage.kind == "s3":
        return bucket_of(storage.options, named=f"settings.STORAGES[{alias!r}]['OPTIONS']", name=name, **beside)
    try:
        made = storages[alias]
    except Exception as error:  # the storage's own, whatever it is
        raise ConfigError(
            f"STORAGES[{alias!r}]: making it raised {type(error).__name__}: {error}", backend=name
        ) from error
    if isinstance(made, StackStorage):
        reason = f"STORAGES[{alias!r}] is a MediaStorage, a stack itself: name its backends here"
        raise ConfigError(reason, backend=name)
    if storage.kind == "files":
        return LocalBackend(made.location, name=name, **beside)
    return StorageBackend(made, name=name, **beside)


def bucket_of(options: Mapping[str, Any], *, named: str, name: str, **rules: Any) -> S3Backend:
    """Make the read-only bucket of a storage of django-storages. Raises ``ConfigError``."""
    return s3_of_django_storages(_aws_settings(), options, name=name, named=named, **rules)


def production() -> str | None:
    """Return the spec of the production bucket that STORAGES names, None if it names none."""
    for alias in PRODUCTION:
        if alias in settings.STORAGES and _is_production(alias):
            return f"{'s3' if alias == 'default' else alias}=django:{alias}"
    return None


def _is_production(alias: str) -> bool:
    try:
        return _storage(alias, alias).kind == "s3"
    except ConfigError:  # a production that cannot be loaded is told, and not left out; 'default' is Django's to tell
        return alias != "default"


def writes_to(alias: str) -> S3Backend | None:
    """Return the bucket that an entry of STORAGES writes to, None if it is no S3 of django-storages."""
    try:
        made = of_storage(alias, alias) if _storage(alias, alias).kind == "s3" else None
    except ConfigError:
        return None
    return made if isinstance(made, S3Backend) else None


def stack_storage(alias: str) -> Any:
    """Return the ``MediaStorage`` that an entry of STORAGES is, None if it is another; if ours fails, why."""
    if alias not in settings.STORAGES:
        return None
    try:
        made = storages[alias]
    except Exception as error:  # noqa: BLE001 - its own, whatever it is: Django tells of it when it is used
        return error if _is_ours(alias) else None
    return made if isinstance(made, StackStorage) else None


def _is_ours(alias: str) -> bool:
    try:
        made = import_string(str(settings.STORAGES[alias].get("BACKEND", "")))
    except Exception:  # noqa: BLE001 - the module's own, whatever it is
        return False
    return isinstance(made, type) and issubclass(made, StackStorage)


def _storage(alias: str, name: str) -> StorageKind:
    entry = settings.STORAGES[alias]
    return storage_of_class(
        str(entry.get("BACKEND", "")), entry.get("OPTIONS") or {}, named=f"STORAGES[{alias!r}]", name=name
    )


def storage_of_class(path: str, options: Mapping[str, Any], *, named: str, name: str) -> StorageKind:
    """Say what kind of storage a dotted path is. Raises ``ConfigError``, which calls the setting ``named``."""
    if path in _S3:  # known without django-storages, which a development machine need not have
        return StorageKind("s3", options)
    if not re.match(r"[A-Za-z_]\w*\.", path):
        raise ConfigError(f"{named} has no BACKEND: name a class", backend=name)
    try:
        made = import_string(path)
    except Exception as error:  # the module's own, whatever it is
        raise ConfigError(
            f"{named}: importing {path} raised {type(error).__name__}: see that it can be imported",
            backend=name,
        ) from error
    if isinstance(made, type):
        if issubclass(made, FileSystemStorage):
            return StorageKind("files", options)
        if any(f"{base.__module__}.{base.__qualname__}" == _S3[0] for base in made.__mro__):
            return StorageKind("s3", {**_class_options(made, name), **options})
    return StorageKind("other", options)


def _class_options(made: type, name: str) -> dict[str, Any]:
    """Return the options that a project's own class has, as django-storages reads them: attributes before defaults."""
    base = next(base for base in made.__mro__ if f"{base.__module__}.{base.__qualname__}" == _S3[0])
    found = _own_defaults(made, base, name)
    for kind in reversed(made.__mro__[: made.__mro__.index(base)]):
        found |= {
            option: value
            for option, value in vars(kind).items()
            if option in READ and not callable(value) and not isinstance(value, property)
        }
    return found


def _own_defaults(made: Any, base: Any, name: str) -> dict[str, Any]:
    """Return what a class of its own says by ``get_default_settings``, and the base class does not."""
    if getattr(made, "get_default_settings", None) is getattr(base, "get_default_settings", None):
        return {}
    unmade = object.__new__(made)
    try:
        usual, own = base.get_default_settings(unmade), made.get_default_settings(unmade)
        return {option: value for option, value in own.items() if option not in usual or usual[option] != value}
    except Exception as error:  # the project's own, whatever it is
        reason = (
            f"{made.__qualname__}.get_default_settings raised {type(error).__name__}: name the bucket itself, s3://..."
        )
        raise ConfigError(reason, backend=name) from error


def _aws_settings() -> dict[str, Any]:
    """Return the settings that django-storages may read, and those that look like them: slips are told."""
    return {name: getattr(settings, name) for name in dir(settings) if name.startswith("AWS_") or name in AWS_SETTINGS}
