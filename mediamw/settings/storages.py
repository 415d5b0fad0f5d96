"""What is written of named storages: which there are, what each is made of, and which names stand for which.

Two forms say the same: a mapping that code has, and the variables ``MEDIAMW_STORAGES`` and ``MEDIAMW_STORAGE_...``.
What is made of it, ``storage_stacks.py`` makes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Final, NamedTuple

from ..core.errors import Fault, unknown_option
from ..stack.stack import MediaStack, StackOptions
from .backends import kinds_of
from .faults import NO_BACKENDS, NO_STORAGES, OPTION, STORAGE, UNKNOWN, UNREADABLE
from .options import read_words
from .sources import OF_STORAGES, STORAGE_SETTINGS, Source, Value, of_variable

OPTIONS_OF_STORAGE: Final = ("backends", *StackOptions.__annotations__)
_SETTINGS: Final = ("storages", "default", "aliases", "remap")
_NAME = re.compile("[A-Za-z][A-Za-z0-9_-]*")


class Link(NamedTuple):
    """A name, the one that it stands for, and where that is written."""

    name: str
    target: str
    source: str


class Written(NamedTuple):
    """What is written of storages: the sources of each one's settings, and what points at them."""

    storages: Mapping[str, Source]
    default: Link | None = None
    aliases: Sequence[Link] = ()
    remap: Sequence[Link] | None = None


def written_in_mapping(given: Mapping[str, Any], faults: list[Fault]) -> Written:
    """Return what a mapping says: ``storages``, ``default``, ``aliases``, ``remap``."""
    for setting in given:
        if setting not in _SETTINGS:
            reason = unknown_option(str(setting), _SETTINGS, "setting")
            faults.append(Fault(UNKNOWN, str(setting), _of_key(setting), reason))
    storages: dict[str, Source] = {}
    for name, value in _mapping(given, "storages", faults).items():
        storages[name] = _of_storage(name, value, faults)
    default = given.get("default")
    if default is not None and not isinstance(default, str):
        reason = f"{type(default).__name__} is no name: give the name of a storage or an alias"
        faults.append(Fault(OPTION, "default", _of_key("default"), reason))
        default = None
    return Written(
        storages,
        None if default is None else Link("", default, _of_key("default")),
        _links(given, "aliases", faults),
        _links(given, "remap", faults) if given.get("remap") is not None else None,
    )


def written_in_environment(environ: Mapping[str, str], faults: list[Fault]) -> Written:
    """Return what the variables say. Those of storages that are not named are faults."""
    names, of_names = _names(environ, faults), dict[str, str]()
    variables: dict[str, tuple[str, str]] = {}
    for name in names:
        for option in OPTIONS_OF_STORAGE:
            variable = variable_of(name, option)
            if variable in variables and option == "backends":
                reason = f"{variable} is the variable of {variables[variable][0]} too: name one of them otherwise"
                faults.append(Fault(STORAGE, f"storages.{name}", of_variable("MEDIAMW_STORAGES"), reason))
            variables[variable] = name, option
    storages: dict[str, Source] = {name: {} for name in names}
    known = (*STORAGE_SETTINGS, *variables)
    for variable, text in environ.items():
        if not variable.startswith(OF_STORAGES):
            continue
        source = of_variable(variable)
        if variable not in known:
            reason = unknown_option(variable, known, "variable", OF_STORAGES)
            faults.append(Fault(UNKNOWN, variable, source, reason))
        elif not text.strip():
            reason = "it is set and empty: give it a value, or do not set it"
            faults.append(Fault(UNREADABLE, variable, source, reason))
        elif variable in variables:
            name, option = variables[variable]
            storages[name][option] = Value(text, source, is_text=True)
        else:
            of_names[variable] = text
    for name, of_storage in storages.items():
        if "backends" not in of_storage and variable_of(name, "backends") not in environ:
            reason = f"it has no backends: set {variable_of(name, 'backends')}='./media s3://acme-media'"
            faults.append(Fault(NO_BACKENDS, f"storages.{name}", of_variable("MEDIAMW_STORAGES"), reason))
    default = of_names.get(OF_STORAGES + "DEFAULT")
    remap = OF_STORAGES + "REMAP"
    return Written(
        storages,
        None if default is None else Link("", default.strip(), of_variable(OF_STORAGES + "DEFAULT")),
        _pairs(OF_STORAGES + "ALIASES", of_names, faults),
        _pairs(remap, of_names, faults) if remap in of_names else None,
    )


def variable_of(storage: str, option: str) -> str:
    """Return the name of the environment variable for an option of a storage."""
    return f"{OF_STORAGES}{storage.upper().replace('-', '_')}_{option.upper()}"


def backends_of_storages(environ: Mapping[str, str]) -> set[str]:
    """Return the names of the backends of the storages that the environment names."""
    written = written_in_environment(environ, [])
    return {name for source in written.storages.values() for name, _ in kinds_of(source.get("backends"))}


def _of_key(setting: object) -> str:
    return f"storages configuration [{setting!r}]"


def _mapping(given: Mapping[str, Any], setting: str, faults: list[Fault]) -> dict[str, Any]:
    """Return the mapping that ``given`` has here, without what is no name."""
    value = given.get(setting)
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        reason = f"{type(value).__name__} is no mapping of names"
        faults.append(Fault(OPTION, setting, _of_key(setting), reason))
        return {}
    for name in value:
        if not isinstance(name, str):
            reason = f"{type(name).__name__} is no name: names are texts"
            faults.append(Fault(STORAGE, setting, _of_key(setting), reason))
    return {name: found for name, found in value.items() if isinstance(name, str)}


def _of_storage(name: str, value: Any, faults: list[Fault]) -> Source:
    """Return what stands at one storage of a mapping: a stack, backends, or a table of backends and options."""
    where = f"{_of_key('storages')}[{name!r}]"
    if not isinstance(value, Mapping):
        return {"backends": Value(_listed(value), where)}
    found: Source = {}
    for option, given in value.items():
        if option not in OPTIONS_OF_STORAGE:
            reason = unknown_option(str(option), OPTIONS_OF_STORAGE, "option of a storage")
            faults.append(Fault(UNKNOWN, f"storages.{name}.{option}", where, reason))
        else:
            found[option] = Value(_listed(given) if option == "backends" else given, f"{where}[{option!r}]")
    if "backends" not in found:
        reason = "it has no backends: give {'backends': ['./media', 's3://acme-media']}"
        faults.append(Fault(NO_BACKENDS, f"storages.{name}", where, reason))
    return found


def _listed(backends: Any) -> Any:
    is_one = isinstance(backends, (str, PathLike)) or (
        not isinstance(backends, MediaStack) and callable(getattr(backends, "open", None))
    )
    return [backends] if is_one else backends


def _links(given: Mapping[str, Any], setting: str, faults: list[Fault]) -> list[Link]:
    links = []
    for name, target in _mapping(given, setting, faults).items():
        if isinstance(target, str):
            links.append(Link(name, target, f"{_of_key(setting)}[{name!r}]"))
        else:
            reason = f"{type(target).__name__} is no name: give the name of a storage or an alias"
            faults.append(Fault(STORAGE, f"{setting}.{name}", _of_key(setting), reason))
    return links


def _names(environ: Mapping[str, str], faults: list[Fault]) -> list[str]:
    source = of_variable("MEDIAMW_STORAGES")
    words = _words("MEDIAMW_STORAGES", environ.get("MEDIAMW_STORAGES", ""), faults)
    if words == []:
        reason = "it names none: write the names of the storages, MEDIAMW_STORAGES='local avatars', the default first"
        faults.append(Fault(NO_STORAGES, "storages", source, reason))
    names = []
    for word in words or ():
        if not _NAME.fullmatch(word):
            reason = f"{word!r}: such a name has ASCII letters, digits, '-' and '_', and begins with a letter"
            faults.append(Fault(STORAGE, "storages", source, reason))
        elif word in names:
            faults.append(Fault(STORAGE, "storages", source, f"{word!r} stands twice: leave one out"))
        else:
            names.append(word)
    return names


def _pairs(variable: str, texts: Mapping[str, str], faults: list[Fault]) -> list[Link]:
    """Return what stands in a variable as ``name=target name=target``."""
    links: dict[str, Link] = {}
    setting = variable.removeprefix(OF_STORAGES).lower()
    for word in _words(variable, texts.get(variable, ""), faults) or ():
        name, equals, target = word.partition("=")
        reason = ""
        if not equals or not name or not target:
            reason = f"{word!r}: write NAME=STORAGE, such as avatars=local, with blanks between them"
        elif name in links:
            reason = f"{name!r} stands twice: leave one out"
        if reason:
            faults.append(Fault(STORAGE, setting, of_variable(variable), reason))
        else:
            links[name] = Link(name, target, of_variable(variable))
    return list(links.values())


def _words(variable: str, text: str, faults: list[Fault]) -> list[str] | None:
    """Split by the rules of a shell; None if that cannot be done."""
    try:
        return read_words(text)
    except ValueError as error:
        faults.append(Fault(UNREADABLE, variable, of_variable(variable), str(error)))
        return None
