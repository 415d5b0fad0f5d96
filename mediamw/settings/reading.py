"""All settings of one middleware or stack, each from the highest source that has it.

The order, highest first: what code gives, the environment (``MEDIAMW_*``), the file ``mediamw.toml``, the variables of
the project template (for the backends alone), the defaults. What was read is judged as a whole: ``faults`` has all of
them. Nothing here asks a network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn, cast

from ..config import Options, base_url_of, check_options
from ..core.errors import ConfigError, ConfigErrors, Fault
from ..specs import Scheme, Spec, split_name
from ..stack.stack import MediaStack, StackOptions
from .backends import Item, Made, build_all, close_all, items_of, names_of
from .faults import FILE, LOADING, NO_BACKENDS, OPTION, STACK, UNREADABLE
from .options import OPTIONS, load
from .secrets import secrets_for
from .sources import Source, Value, from_environment, from_file, from_mapping
from .template import template_items

DEFAULT: Final = "default"
KEYWORD_OF: Final = "keyword {}".format
FLAG_OF: Final = "--{}".format


class Settings:
    """What ``read_settings`` has read. What is not asked for is not done: no option is read, no backend made before."""

    def __init__(
        self,
        sources: Sequence[Source],
        faults: Sequence[Fault],
        environ: Mapping[str, str],
        schemes: Mapping[str, Scheme] | None = None,
        *,
        is_served: bool = True,
    ) -> None:
        self._sources = sources
        self._read_faults = list(faults)
        self._environ = environ
        self._schemes = schemes
        self._is_served = is_served  # at the prefix, which is then its base_url
        self._read_values: dict[str, tuple[Any, Fault | None]] = {}
        self._made: tuple[list[Made], MediaStack | None, list[Fault]] | None = None

    @property
    def enabled(self) -> bool:
        """Whether the middleware is on; what else is wrong does not matter to one that is off."""
        value, fault = self._value("enabled")
        own = [fault] if fault is not None else [other for other in self._read_faults if other.setting == "enabled"]
        if own:
            raise ConfigErrors(own)
        return bool(value)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All that is wrong; empty if ``stack`` and ``options`` can be used."""
        return (*self._other_faults(), *self._build()[2])

    @property
    def backends(self) -> tuple[Made, ...]:
        """The backends, with their sources and the variables of their secrets; none if there are faults."""
        return tuple(self._build()[0])

    def stack(self) -> MediaStack:
        """Return the stack, the same one each time. Raises ``ConfigErrors``."""
        stack = self._build()[1]
        if stack is None:
            self._raise()
        return stack

    def options(self) -> Options:
        """Return the options of a middleware that were given; raises ``ConfigErrors``."""
        if self.faults:
            self._raise()
        names = [name for name, option in OPTIONS.items() if not option.of_stack and self.source(name) != DEFAULT]
        return cast("Options", {name: self.value(name) for name in names})

    def value(self, option: str) -> Any:
        """Return the value of an option, its default if it is given nowhere, or is wrong."""
        return self._value(option)[0]

    def source(self, option: str) -> str:
        """Say where the value of an option, or ``backends``, came from."""
        given = self._given(option)
        return DEFAULT if given is None else given.source

    def _given(self, option: str) -> Value | None:
        return next((source[option] for source in self._sources if option in source), None)

    def _value(self, option: str) -> tuple[Any, Fault | None]:
        if option not in self._read_values:
            self._read_values[option] = self._read(option)
        return self._read_values[option]

    def _read(self, option: str) -> tuple[Any, Fault | None]:
        """Return the value and what is wrong with it, in which case the value is the default."""
        known, given = OPTIONS[option], self._given(option)
        if given is None:
            return known.default, None
        value = given.value
        id_ = OPTION
        try:
            if given.is_text:
                id_ = UNREADABLE
                value = known.read(value)
            if known.is_loaded:
                id_ = LOADING
                value = load(value)
            id_ = LOADING if known.is_loaded and isinstance(given.value, str) else OPTION
            known.check(value)
        except (ConfigError, ValueError, TypeError, AttributeError) as error:
            # The two last: a check that asks a value of another type for what it does not have.
            reason = _reason(error, option) if isinstance(error, (ConfigError, ValueError)) else ""
            reason = reason or f"{type(value).__name__} is not what it takes: see docs/configuration.md"
            return known.default, Fault(id_, option, given.source, reason)
        return value, None

    def _build(self) -> tuple[list[Made], MediaStack | None, list[Fault]]:
        if self._made is None:
            made, stack, faults = self._new()
            if stack is not None and (faults or self._other_faults()):
                if (given := self._given("backends")) is None or given.value is not stack:
                    stack.close()
                made, stack = [], None
            self._made = made, stack, faults
        return self._made

    def _other_faults(self) -> list[Fault]:
        of_options = [fault for option in OPTIONS if (fault := self._value(option)[1]) is not None]
        return [*self._read_faults, *of_options]

    def _new(self) -> tuple[list[Made], MediaStack | None, list[Fault]]:
        faults: list[Fault] = []
        given = self._given("backends")
        if given is not None and isinstance(given.value, MediaStack):
            for name in StackOptions.__annotations__:
                if name in self._sources[0]:
                    reason = "the stack is made already: give it to MediaStack or build_stack"
                    faults.append(Fault(STACK, name, self._sources[0][name].source, reason))
            return [Made(one, given.source, {}) for one in given.value.backends], given.value, faults
        options = {name: self.value(name) for name in StackOptions.__annotations__}
        if options["base_url"] is None and self._is_served:
            options["base_url"] = base_url_of(self.value("prefix"))
        items = template_items(self._environ, faults) if given is None else items_of(given, faults)
        if given is None and any(fault.id == FILE for fault in self._read_faults):
            faults = [fault for fault in faults if fault.id != NO_BACKENDS]  # they may well stand in that file
        if not items:
            return [], None, faults
        made = build_all(items, self._environ, faults, others=self._replaced(), schemes=self._schemes)
        if faults or not made:
            close_all(one.backend for one in made)
            return [], None, faults
        try:
            stack = MediaStack([one.backend for one in made], **options)
        except ConfigError as error:
            close_all(one.backend for one in made)
            source = self.source("backends") if given is not None else made[-1].source
            setting = f"backends.{error.backend}" if error.backend else "backends"
            return [], None, [Fault(STACK, setting, source, error.reason)]
        return made, stack, faults

    def _replaced(self) -> set[str]:
        """Return the names of the backends that a higher source has replaced, and of those of named storages."""
        values = [source["backends"] for source in self._sources if "backends" in source][1:]
        items: list[Item] = [item for value in values for item in items_of(value, [])]
        names = {item.name or (split_name(item.spec)[0] if isinstance(item.spec, str) else "") for item in items}
        if "MEDIAMW_STORAGES" not in self._environ:
            return names
        from .storages import backends_of_storages  # of use to those who have some

        return names | backends_of_storages(self._environ)

    def _raise(self) -> NoReturn:
        raise ConfigErrors(self.faults)


def read_settings(
    given: Mapping[str, Any] | None = None,
    *,
    named: Callable[[str], str] = "MEDIAMW[{!r}]".format,
    environ: Mapping[str, str] | None = None,
    schemes: Mapping[str, Scheme] | None = None,
) -> Settings:
    """Read the settings of ``given``, the environment, the file and the template. Raises nothing: see ``faults``.

    ``given`` is what a framework's settings have: options of the middlewares and of the stack, and ``backends``, a list
    of specs, tables and backends, or a stack. ``named`` says how the framework calls an option, for the faults.
    ``schemes``: more kinds of specs, as functions of what stands behind the colon and of the name.
    """
    environ = os.environ if environ is None else environ
    faults: list[Fault] = []
    sources = [
        from_mapping(given or {}, named, faults),
        from_environment(environ, faults),
        from_file(environ, faults),
    ]
    return Settings(sources, faults, environ, schemes)


def settings_beside(
    backends: MediaStack | Sequence[Spec], given: Mapping[str, Any], *, named: Callable[[str], str] = KEYWORD_OF
) -> Settings:
    """Return the settings where code gives the backends, and what else it gives. Raises nothing: see ``faults``.

    Two things count of the environment, and no file: MEDIAMW_ENABLED, so that a deployment can switch it off, and the
    secrets of these backends.
    """
    listed: Any = backends
    if isinstance(backends, Iterable) and not isinstance(backends, (str, bytes, Mapping)):
        listed = list(backends)  # what is no list is told with the other faults
    faults: list[Fault] = []
    switch = {name: text for name, text in os.environ.items() if name == "MEDIAMW_ENABLED"}
    sources = [from_mapping({**given, "backends": listed}, named, faults), from_environment(switch, faults)]
    return Settings(sources, faults, secrets_for(names_of(listed), os.environ))


def settled(backends: MediaStack | Sequence[Spec] | None, options: Options) -> tuple[Any, Options]:
    """Return backends and options of a middleware: as ``backends`` says, or without it as the settings have them.

    Switched off, the backends are as they were given. Raises ``ConfigErrors``.
    """
    if backends is None:
        settings = read_settings(options, named=KEYWORD_OF)
        return (settings.stack(), settings.options()) if settings.enabled else ((), {"enabled": False})
    of_stack = [option for option in options if option in StackOptions.__annotations__]
    check_options(of_stack, (), of_stack)
    settings = settings_beside(backends, options)
    return (settings.stack(), settings.options()) if settings.enabled else (backends, {**options, "enabled": False})


def _reason(error: Exception, option: str) -> str:
    text = error.reason if isinstance(error, ConfigError) else str(error)
    return text.removeprefix(f"{option}: ")
