"""The one configuration of a Django process: ``settings.MEDIAMW`` over the environment, the file and the template.

What nobody says is taken from the project: the prefix from MEDIA_URL, the backends from MEDIA_ROOT and from STORAGES.
It is read when it is first asked for, once, and anew after ``override_settings``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.signals import setting_changed
from django.urls import get_script_prefix

from ...config import Options, is_async
from ...core.errors import ConfigErrors, Fault
from ...service import MediaService, make_service
from ...settings import Settings, read_settings
from ...settings.faults import NO_BACKENDS, OPTION
from ...settings.reading import DEFAULT
from ...settings.template import template_items
from ...stack.stack import MediaStack
from .storages import AWS_SETTINGS, default_backends, of_storage

_SETTING: Final = "settings.MEDIAMW"
_READ: Final = ("MEDIAMW", "MEDIA_URL", "MEDIA_ROOT", "STORAGES", "FORCE_SCRIPT_NAME", *AWS_SETTINGS)


class Configuration:
    """What the project's settings say. Nothing is made before it is asked for."""

    def __init__(self) -> None:
        given, self._faults = _mapping()
        self._origins: dict[str, str] = {}
        environ: dict[str, str] = dict(os.environ)
        self.settings = self._read(given, environ)
        asked = {option: self.settings.source(option) != DEFAULT for option in ("prefix", "backends")}
        if not asked["prefix"]:
            given["prefix"] = self._origin("prefix", "settings.MEDIA_URL", media_path())
        if not asked["backends"]:
            self._choose_backends(given, environ)
        if not all(asked.values()):
            self.settings = self._read(given, environ)
        self._is_theirs = isinstance(given.get("backends"), MediaStack)
        self._stack: MediaStack | None = None
        self.services: dict[bool, MediaService] = {}

    @property
    def enabled(self) -> bool:
        """Whether media are answered at all. Raises ``ConfigErrors``."""
        return self.settings.enabled

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All that is wrong."""
        found = [*self._faults, *self.settings.faults]
        if self.settings.value("prefix") == "/":
            source = self.settings.source("prefix")
            way_out = "'/' leaves nothing to the project: set MEDIA_URL = '/media/', or prefix in MEDIAMW"
            found.append(Fault(OPTION, "prefix", source, way_out))
        return tuple(found)

    @property
    def stack(self) -> MediaStack:
        """The stack. Raises ``ConfigErrors``."""
        if self._stack is None:
            self._check()
            self._stack = self.settings.stack()
        return self._stack

    def options(self) -> Options:
        """Return the options of a middleware. Raises ``ConfigErrors``."""
        self._check()
        return self.settings.options()

    def service(self, *, can_await: bool) -> MediaService | None:
        """Return what a middleware asks, None if it is switched off. Raises ``ConfigErrors``."""
        if can_await not in self.services:
            if not self.enabled:
                return None
            options = self.options()
            authorize = options.get("authorize")
            if can_await and authorize is not None and not is_async(authorize):
                # Where Django runs what asks its database, so that it closes the connection.
                options["authorize"] = sync_to_async(authorize, thread_sensitive=True)
            made = make_service(self, self.stack, options, can_await=can_await)
            assert made is not None
            self.services[can_await] = made
        return self.services[can_await]

    def close(self) -> None:
        """Close what was made here; a stack that the project made is the project's."""
        if self._stack is not None and not self._is_theirs:
            self._stack.close()

    def _check(self) -> None:
        if self.faults:
            raise ConfigErrors(self.faults)

    def _read(self, given: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
        return read_settings(given, named=self._named, environ=environ, schemes={"django": of_storage})

    def _named(self, option: str) -> str:
        return self._origins.get(option, f"{_SETTING}[{option!r}]")

    def _origin(self, option: str, source: str, value: Any) -> Any:
        self._origins[option] = source
        return value

    def _choose_backends(self, given: dict[str, Any], environ: dict[str, str]) -> None:
        faults: list[Fault] = []
        template_items(environ, faults)
        if any(fault.id == NO_BACKENDS for fault in faults):
            given["backends"] = self._origin("backends", "settings.MEDIA_ROOT", default_backends())
        elif settings.MEDIA_ROOT:  # the template's bucket; uploads go where the project puts them
            environ.setdefault("MEDIAMW_LOCAL_DIR", str(settings.MEDIA_ROOT))


def media_path() -> str:
    """Return the path of MEDIA_URL, which may be a whole URL, below where the project is mounted."""
    path = urlsplit(settings.MEDIA_URL or "/").path or "/"
    for script in (settings.FORCE_SCRIPT_NAME or "", get_script_prefix()):
        mount = script.rstrip("/")
        if mount and path.startswith(f"{mount}/"):
            return path[len(mount) :]
    return path


def _mapping() -> tuple[dict[str, Any], list[Fault]]:
    value = getattr(settings, "MEDIAMW", None)
    if value is None:
        return {}, []
    if not isinstance(value, Mapping):
        reason = (
            f"{type(value).__name__} is no mapping: write MEDIAMW = {{'backends': [MEDIA_ROOT, 's3://acme-media']}}"
        )
        return {}, [Fault(OPTION, "MEDIAMW", _SETTING, reason)]
    return dict(value), []


_lock = threading.RLock()  # modules that settings name may ask for the configuration while they are imported
_current: Configuration | None = None


def configuration() -> Configuration:
    """Return the configuration of the process."""
    global _current
    found = _current
    if found is None:
        with _lock:
            found = _current = _current or Configuration()
    return found


def service(*, can_await: bool) -> MediaService | None:
    """Return what a middleware asks, None if mediamw is switched off. Raises ``ConfigErrors``."""
    found = configuration()
    made = found.services.get(can_await)
    if made is None:
        with _lock:
            made = found.service(can_await=can_await)
    return made


def media_stack() -> MediaStack:
    """Return the stack of this process, for the project's own code. Raises ``ConfigErrors``."""
    with _lock:
        return configuration().stack


def _dropped(*, setting: str, **_: Any) -> None:
    global _current
    if setting in _READ:
        with _lock:
            old, _current = _current, None
        if old is not None:
            old.close()


setting_changed.connect(_dropped, dispatch_uid="mediamw.ext.django")
