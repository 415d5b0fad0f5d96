"""The one configuration of a Django process: ``settings.MEDIAMW`` over the environment, the file and the template.

What nobody says is taken from the project: the prefix from MEDIA_URL, the backends from MEDIA_ROOT and from STORAGES.
It is read when it is first asked for, once, and anew after ``override_settings``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signals import setting_changed

from ...backends.local import LocalBackend
from ...config import Options
from ...core.errors import ConfigError, ConfigErrors, Fault
from ...service import MediaService, make_service
from ...settings import Settings, read_settings
from ...settings.faults import NO_BACKENDS, OPTION, UNKNOWN
from ...settings.options import OPTIONS
from ...settings.reading import DEFAULT
from ...settings.sources import from_mapping
from ...settings.template import template_items
from ...stack.stack import MediaStack
from .authorizing import adapted
from .storages import AWS_SETTINGS, of_storage, production

_SETTING: Final = "settings.MEDIAMW"
READ: Final = (
    *("MEDIAMW", "MEDIA_URL", "MEDIA_ROOT", "STORAGES", "FORCE_SCRIPT_NAME"),
    *("FILE_UPLOAD_PERMISSIONS", "FILE_UPLOAD_DIRECTORY_PERMISSIONS", *AWS_SETTINGS),
)
"""The settings of Django that count here."""


class Entrance(NamedTuple):
    """Who asks: a middleware that can await or not, of MIDDLEWARE or wrapped around the application."""

    can_await: bool
    wrapped: bool = False


class Configuration:
    """What the project's settings say. Nothing is made before it is asked for."""

    def __init__(self) -> None:
        given, self._faults = _mapping()
        self._faults += _strays(given)
        self._origins: dict[str, str] = {}
        environ: dict[str, str] = dict(os.environ)
        self.settings = self._read(given, environ)
        asked = {option: self.settings.source(option) != DEFAULT for option in ("prefix", "backends")}
        if not asked["prefix"]:
            given["prefix"] = self._origin("prefix", "settings.MEDIA_URL", path_of("MEDIA_URL"))
        if not asked["backends"]:
            self._choose_backends(given, environ)
        if not all(asked.values()):
            self.settings = self._read(given, environ)
        self._is_theirs = isinstance(given.get("backends"), MediaStack)
        self._stack: MediaStack | None = None
        self._off: MediaStack | None = None
        self.services: dict[Entrance, MediaService] = {}

    @property
    def enabled(self) -> bool:
        """Whether media are answered at all. Raises ``ConfigErrors``."""
        return self.settings.enabled

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All that is wrong."""
        told = {fault.id for fault in self._faults} & {NO_BACKENDS}  # in the project's own words
        found = [*self._faults, *(fault for fault in self.settings.faults if fault.id not in told)]
        if self.settings.value("prefix") == "/":
            source = self.settings.source("prefix")
            way_out = "'/' leaves nothing to the project: set MEDIA_URL = '/media/', or prefix in MEDIAMW"
            found.append(Fault(OPTION, "prefix", source, way_out))
        return tuple(found)

    @property
    def checked(self) -> Settings:
        """The settings, for the command line. Raises ``ConfigErrors``."""
        self._check()
        return self.settings

    @property
    def stack(self) -> MediaStack:
        """The stack. Raises ``ConfigErrors``."""
        if self._stack is None:
            self._check()
            self._stack = self.settings.stack()
            _use_modes(self._stack)
        return self._stack

    @property
    def stored_in(self) -> MediaStack:
        """What ``MediaStorage`` reads and writes: the stack; MEDIA_ROOT alone if mediamw is switched off."""
        if self.enabled:
            return self.stack
        if self._off is None:
            if not settings.MEDIA_ROOT:
                raise ConfigError(
                    "MEDIA_ROOT: it is empty, and mediamw is switched off: MediaStorage needs a directory"
                )
            self._off = MediaStack([LocalBackend(settings.MEDIA_ROOT)])
            _use_modes(self._off)
        return self._off

    def service(self, entrance: Entrance) -> MediaService | None:
        """Return what a middleware asks, None if it is switched off. Raises ``ConfigErrors``."""
        if entrance not in self.services:
            if not self.enabled:
                return None
            self._check()
            options: Options = self.settings.options()
            authorize = options.get("authorize")
            if authorize is not None:
                options["authorize"] = adapted(authorize, **entrance._asdict())
            made = make_service(self, self.stack, options, can_await=entrance.can_await)
            assert made is not None
            self.services[entrance] = made
        return self.services[entrance]

    def close(self) -> None:
        """Close what was made here; a stack that the project made is the project's."""
        if self._stack is not None and not self._is_theirs:
            self._stack.close()
        if self._off is not None:
            self._off.close()

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
        # MEDIA_ROOT, then the bucket of STORAGES, of which more is said there than in the template's variables.
        root = settings.MEDIA_ROOT
        bucket = production()
        template: list[Fault] = []
        template_items(environ, template)
        if bucket is None and all(fault.id != NO_BACKENDS for fault in template):
            if root:  # uploads go where the project puts them
                environ.setdefault("MEDIAMW_LOCAL_DIR", str(root))
            return
        if not root and bucket is None:
            reason = "there are none: set MEDIA_ROOT = BASE_DIR / 'media', or name them in MEDIAMW"
            self._faults.append(Fault(NO_BACKENDS, "backends", "settings.MEDIA_ROOT", reason))
        local = [{"spec": Path(root), "name": "local"}] if root else []
        source = "settings.MEDIA_ROOT" if bucket is None else "settings.MEDIA_ROOT and settings.STORAGES"
        given["backends"] = self._origin("backends", source, [*local, *([bucket] if bucket is not None else [])])


Modes = tuple[int | None, int | None]
"""Those of new files and folders; None: as the settings say."""


def modes(own: Modes = (None, None)) -> Modes:
    """Return the modes of new files and folders, None if the umask says it."""
    of_settings = settings.FILE_UPLOAD_PERMISSIONS, settings.FILE_UPLOAD_DIRECTORY_PERMISSIONS
    files, directories = (theirs if mode is None else mode for mode, theirs in zip(own, of_settings, strict=True))
    return files, directories


def _use_modes(stack: MediaStack, own: Modes = (None, None)) -> None:
    """Have a local upper give its files the modes of the settings, where it has none of its own."""
    if isinstance(stack.upper, LocalBackend):
        stack.upper.use_modes(*modes(own))


def path_of(setting: str) -> str:
    """Return the path of MEDIA_URL or STATIC_URL below where the project is mounted; "/" if there is none.

    A relative one is below that mount already: Django puts the script name before it when it is first read, and keeps
    that for good, so it is not read in Django's way here, where no request has said what the script name is.
    """
    url: str = getattr(settings._wrapped, setting, None) or ""
    try:
        path = urlsplit(url).path
    except ValueError:  # no URL: who checks the prefix says so
        return url
    if not path.startswith("/"):
        return f"/{path}"
    mount = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    return path[len(mount) :] if mount and path.startswith(f"{mount}/") else path


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


def _strays(given: Mapping[str, Any]) -> list[Fault]:
    """Return a fault for each setting that is written as a variable is, while MEDIAMW does not say the same."""
    faults = []
    for option in ("backends", *OPTIONS):
        name = f"MEDIAMW_{option.upper()}"
        if option not in given and hasattr(settings, name):
            reason = f"nobody reads it: the options stand in one mapping, MEDIAMW = {{{option!r}: ...}}"
            faults.append(Fault(UNKNOWN, name, f"settings.{name}", reason))
    return faults


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


def service(entrance: Entrance) -> MediaService | None:
    """Return what a middleware asks, None if mediamw is switched off. Raises ``ConfigErrors``."""
    found = configuration()
    made = found.services.get(entrance)
    if made is None:
        with _lock:
            made = found.service(entrance)
    return made


def media_stack() -> MediaStack:
    """Return the stack of this process, for the project's own code. Raises ``ConfigErrors``, and if it is off."""
    with _lock:
        found = configuration()
        if not found.enabled:
            raise ConfigError("media_stack: there is no stack, since mediamw is switched off: enabled is false")
        return found.stack


def storage_stack() -> MediaStack:
    """Return what a ``MediaStorage`` without backends of its own reads and writes. Raises ``ConfigErrors``."""
    with _lock:
        return configuration().stored_in


def own_stack(given: Mapping[str, Any], modes: Modes) -> MediaStack:
    """Make the stack of a storage that has backends of its own; nothing but it says what they are.

    Raises ``ConfigErrors``.
    """
    faults: list[Fault] = []
    environ = dict(os.environ)  # secrets may stand there, and nothing else counts
    made = Settings([from_mapping(given, "OPTIONS[{!r}]".format, faults)], faults, environ, {"django": of_storage})
    stack = made.stack()
    _use_modes(stack, modes)
    return stack


def _dropped(*, setting: str, **_: Any) -> None:
    global _current
    if setting in READ:
        with _lock:
            old, _current = _current, None
        if old is not None:
            old.close()


setting_changed.connect(_dropped, dispatch_uid="mediamw.ext.django")
