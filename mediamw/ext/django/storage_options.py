"""How a ``MediaStorage`` is configured: its stack, that of ``settings.MEDIAMW`` or one of its own, and its options.

The stack is asked for anew at each call, so that ``override_settings`` counts; making a storage reads no settings: a
model may do it at import.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.core.signals import setting_changed

from ...core.errors import ConfigError
from ...core.names import NamePolicy
from ...stack.checks import check_names
from ...stack.stack import MediaStack
from . import conf
from .storage_names import StackStorage

_OF_SETTINGS: Final = object()


class ConfiguredStorage(StackStorage):
    """A storage over a stack: what of it the settings and its options say. Raises ``ConfigError``."""

    def __init__(
        self,
        *,
        backends: Sequence[Any] | None = None,
        names: NamePolicy | None = None,
        base_url: str | None = None,
        direct_urls: bool = False,
        allow_overwrite: bool = False,
        file_permissions_mode: int | None = None,
        directory_permissions_mode: int | None = None,
    ) -> None:
        if names is not None and allow_overwrite and check_names(names) != "replace":
            raise ConfigError(f"names, allow_overwrite: overwriting is names='replace', and names is {names!r}")
        if backends is None and not (file_permissions_mode is directory_permissions_mode is None):
            raise ConfigError(
                "file_permissions_mode, directory_permissions_mode: they go with backends; the stack of MEDIAMW has "
                "FILE_UPLOAD_PERMISSIONS, or file_mode beside its first backend"
            )
        self._backends = backends
        self._names: NamePolicy | None = "replace" if allow_overwrite else None if names is None else check_names(names)
        self._base_url: Any = _OF_SETTINGS if base_url is None else base_url
        self._direct_urls = direct_urls
        self._modes = (file_permissions_mode, directory_permissions_mode)
        self._lock = threading.Lock()
        self._own: MediaStack | None = None
        setting_changed.connect(self._setting_changed)

    def __reduce__(self) -> Any:
        """Have a copy, and what is unpickled, be made anew: a stack has threads and connections."""
        args, kwargs = self._constructor_args  # deconstructible keeps them
        return partial(type(self), *args, **kwargs), ()

    @property
    def stack(self) -> MediaStack:
        """The stack. Raises ``ConfigErrors``."""
        if self._backends is None:
            return conf.storage_stack()
        with self._lock:
            if self._own is None:
                given: Mapping[str, Any] = {"backends": self._backends}
                self._own = conf.own_stack(given, self._modes)
            return self._own

    @property
    def shares_stack(self) -> bool:
        """True if it reads and writes the stack of MEDIAMW."""
        return self._backends is None

    @property
    def setting(self) -> str:
        """Where its backends stand, if they are its own."""
        return "its OPTIONS['backends']"

    @property
    def names(self) -> NamePolicy:
        """What is done with a name that is taken."""
        return self.stack.names if self._names is None else self._names

    @property
    def base_url(self) -> str | None:
        """What ``url`` puts before a name."""
        url = settings.MEDIA_URL if self._base_url is _OF_SETTINGS else self._base_url
        return url if url is None or url.endswith("/") else f"{url}/"

    @base_url.setter
    def base_url(self, url: str | None) -> None:
        self._base_url = url

    @property
    def file_permissions_mode(self) -> int | None:
        """The mode of new files, None if the umask says it."""
        return conf.modes(self._modes)[0]

    @property
    def directory_permissions_mode(self) -> int | None:
        """The mode of new folders, None if the umask says it."""
        return conf.modes(self._modes)[1]

    def _setting_changed(self, *, setting: str, **_: Any) -> None:
        if setting in conf.READ:
            with self._lock:
                old, self._own = self._own, None
            given: Any = self._backends
            if old is not None and old is not given:  # a stack that the project made is the project's
                old.close()
