"""From what sources say of backends to backends: each is made, all faults are told, secrets come from variables.

A list has specs, backends that are made already, and tables: ``{"spec": "s3://acme", "name": "prod", "region": ...}``,
in TOML ``[[backends]]``. A table takes the options of its backend beside the spec, of their own types.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from os import PathLike
from typing import Any, Final, NamedTuple

from ..backends.base import Backend, Closes
from ..core.errors import ConfigError, ConfigErrors, Fault
from ..specs import MisplacedSecret, Scheme, Spec, build_backend, kind_of, named, options_in, secrets_of, split_name
from .faults import BACKEND, MISPLACED, NO_BACKENDS, SPLIT, STACK, UNKNOWN
from .options import OPTIONS, read_words
from .secrets import Secrets
from .sources import Value, of_variable, variable

_NAME = re.compile("[A-Za-z][A-Za-z0-9_-]*")
# A comma or semicolon with nothing or the next spec behind it.
_DIVIDED = re.compile(r"[,;](?:$|(?:[A-Za-z][A-Za-z0-9_-]*=)?(?:\.{0,2}/|~|[A-Za-z][A-Za-z0-9+.-]+:))")
_TEXTS: Final = frozenset(
    (
        *("location", "region", "profile", "endpoint_url", "public_endpoint_url", "custom_domain", "addressing_style"),
        *("access_key_id", "secret_access_key", "session_token", "cloudfront_key_id", "username", "password"),
    )
)


class Item(NamedTuple):
    """One backend as it is written: its spec, or itself, the options beside it, and where it stands.

    ``secrets``: values with the names of the variables that they stand in, if none of its own has them. ``sources``:
    where an option beside the spec stands, if that is not where the backend does.
    """

    spec: Spec
    name: str = ""
    given: Mapping[str, Any] = {}
    source: str = ""
    secrets: Mapping[str, tuple[str, str]] = {}
    sources: Mapping[str, str] = {}


class Made(NamedTuple):
    """A backend, where it was named, and its secrets with the variables that they came from.

    ``options`` are the others with their sources; what code gives in the place of a variable is among them.
    """

    backend: Backend
    source: str
    secrets: Mapping[str, str]
    options: Mapping[str, tuple[Any, str]] = {}


def items_of(value: Value, faults: list[Fault]) -> list[Item]:
    """Return the backends that ``value`` lists."""
    if value.is_text:
        return [Item(word, source=value.source) for word in _words(value, faults)]
    listed = value.value
    if not isinstance(listed, (list, tuple)):
        form = "give a list, such as ['./media', 's3://acme-media']; in TOML tables are written [[backends]]"
        faults.append(Fault(BACKEND, "backends", value.source, f"{type(listed).__name__} is no list: {form}"))
        return []
    items = []
    for number, entry in enumerate(listed):
        source = f"{value.source}[{number}]"
        if isinstance(entry, Mapping):
            try:
                items.append(_of_table(_without_options(entry, source, faults), source))
            except ConfigError as error:
                faults.append(Fault(BACKEND, "backends", source, error.reason))
        elif isinstance(entry, (str, PathLike)) or callable(getattr(entry, "open", None)):
            items.append(Item(entry, source=source))
        else:
            reason = f"{type(entry).__name__} is no backend: give a spec, a table with one, or a backend"
            faults.append(Fault(BACKEND, "backends", source, reason))
    if not listed:
        faults.append(Fault(NO_BACKENDS, "backends", value.source, "the list is empty: name at least one, ./media"))
    return items


def _without_options(table: Mapping[str, Any], source: str, faults: list[Fault]) -> dict[str, Any]:
    """Return the table without options of the middleware: below ``[[backends]]`` TOML takes them for the table's."""
    for option in table:
        if option in OPTIONS:
            reason = "it is no option of a backend: write it beside backends, in TOML above the first [[backends]]"
            faults.append(Fault(UNKNOWN, option, source, reason))
    return {option: value for option, value in table.items() if option not in OPTIONS}


def _words(value: Value, faults: list[Fault]) -> list[str]:
    try:
        words = read_words(value.value)
    except ValueError as error:
        faults.append(Fault(SPLIT, "backends", value.source, str(error)))
        return []
    if not words:
        reason = "it is set and empty: write './media s3://acme-media', or do not set it"
        faults.append(Fault(NO_BACKENDS, "backends", value.source, reason))
    if any(_DIVIDED.search(word) for word in words):
        reason = "blanks stand between specs, not ',' or ';', and no brackets around them: './media s3://acme-media'"
        faults.append(Fault(SPLIT, "backends", value.source, f"{reason} (a comma that is meant is %2C in a URL)"))
        return []
    for first, second in pairwise(words):
        both = f"{split_name(first)[1]} {second}"
        if kind_of(both) == "local" and os.path.isdir(os.path.expanduser(both)):
            reason = (
                f"there is a directory {both!r}: write quotes around a path with blanks, MEDIAMW_BACKENDS=\"'a b' ...\""
            )
            faults.append(Fault(SPLIT, "backends", value.source, reason))
            return []
    return words


def _of_table(table: Mapping[str, Any], source: str) -> Item:
    given = {str(option): value for option, value in table.items() if value is not None}
    spec, name = given.pop("spec", None), given.pop("name", "")
    if not isinstance(spec, (str, PathLike)) or not os.fspath(spec):
        raise ConfigError("a backend's table has no spec: give one, such as spec = 's3://acme-media'")
    if not isinstance(name, str) or (name and not _NAME.fullmatch(name)):
        raise ConfigError(f"name {name!r}: a name has ASCII letters, digits, '-' and '_', and begins with a letter")
    if isinstance(spec, str):
        in_spec, where = split_name(spec)
        if in_spec and name:
            raise ConfigError(f"it is named twice, {name!r} and, in its spec, {in_spec!r}: leave one out")
        return Item(where, name or in_spec, given, source)
    return Item(spec, name, given, source)


def build_all(
    items: Sequence[Item],
    environ: Mapping[str, str],
    faults: list[Fault],
    *,
    others: Iterable[str] = (),
    schemes: Mapping[str, Scheme] | None = None,
) -> list[Made]:
    """Make the backends; what was made is closed again if one of them is wrong. ``faults`` has those of ``items``.

    ``others``: names of backends that a higher source has replaced; their variables are nobody's mistake.
    """
    before = len(faults)
    resolved = named([_with_name(item) for item in items])
    items = [item if item.name else item._replace(spec=spec) for item, (_, spec) in zip(items, resolved, strict=True)]
    names = [name for name, _ in resolved]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        source = ", ".join(dict.fromkeys(item.source for item, own in zip(items, names, strict=True) if own == name))
        reason = f"{names.count(name)} backends are named {name!r}; give each a name of its own, such as other=./media"
        faults.append(Fault(STACK, "backends", source, reason))
    secrets = Secrets(environ, names, faults)
    made: list[Made] = []
    for item, name in zip(items, names, strict=True):
        spec = item.spec
        if not isinstance(spec, (str, PathLike)):
            made.append(Made(spec, item.source, {}))
            continue
        kind = kind_of(spec)
        used = {**item.secrets, **secrets.of(name, kind, item.given)}
        given = {**{option: value for option, (value, _) in used.items()}, **item.given}
        variables = {option: name_of for option, (_, name_of) in used.items()}
        try:
            _check_types(given)
            backend = build_backend(spec, name, given, schemes)
            options = {option: (value, item.source) for option, value in options_in(spec).items()}
            options |= {option: (value, item.sources.get(option, item.source)) for option, value in item.given.items()}
            made.append(Made(backend, item.source, variables, options))
        except ConfigError as error:
            faults += _faults_of(error, item, name, variables)
    if not before:  # else a backend that could not even be read would seem not to be there
        kinds = {
            name: kind_of(item.spec) if isinstance(item.spec, (str, PathLike)) else ""
            for name, item in zip(names, items, strict=True)
        }
        secrets.tell_unused(kinds, others)
    if len(faults) > before:
        close_all(one.backend for one in made)
        return []
    return made


def _faults_of(error: ConfigError, item: Item, name: str, variables: Mapping[str, str]) -> Iterable[Fault]:
    """Return what is wrong with the backend ``name``, which could not be made."""
    if isinstance(error, ConfigErrors):  # django-storages' settings, each of which knows where it stands
        return error.faults
    faults = []
    for part in error.parts or (error,):
        id_, reason = BACKEND, part.reason
        if isinstance(part, MisplacedSecret) and isinstance(item.spec, (str, PathLike)):
            ways = ", ".join(variable(name, option) for option in secrets_of(kind_of(item.spec))[:2])
            id_, reason = MISPLACED, f"{reason}, such as {ways}"
        faults.append(Fault(id_, f"backends.{name}", _source_of(part.reason, item, variables), reason))
    return faults


def _source_of(reason: str, item: Item, variables: Mapping[str, str]) -> str:
    """Say where that stands of which ``reason`` speaks: it begins with an option, or names those of variables."""
    word = re.split("[^a-z0-9_]", reason, maxsplit=1)[0]
    if word in item.sources:
        return item.sources[word]
    names = [name for option, name in variables.items() if option in reason]
    return ", ".join([item.source, *map(of_variable, names)])


def names_of(listed: object) -> list[str]:
    """Return the names of the backends in a list that code gave; what is wrong with it is told when they are made."""
    return [name for name, _ in kinds_of(Value(listed, ""))] if isinstance(listed, list) else []


def kinds_of(value: Value | None) -> list[tuple[str, str]]:
    """Return name and kind of the backends that ``value`` lists, the kind "" if code made it; faults are not told."""
    items = [] if value is None else items_of(value, [])
    return [
        (name, kind_of(spec) if isinstance(spec, (str, PathLike)) else "")
        for name, spec in named([_with_name(item) for item in items])
    ]


def close_all(backends: Iterable[Backend]) -> None:
    """Close those that can be."""
    for backend in backends:
        if isinstance(backend, Closes):
            backend.close()


def _with_name(item: Item) -> Spec:
    """Return what ``named`` reads the name from."""
    if not item.name:
        return item.spec
    return f"{item.name}=" if isinstance(item.spec, PathLike) else f"{item.name}={item.spec}"


def _check_types(given: Mapping[str, Any]) -> None:
    """Refuse what no spec could say: constructors take the types of Python's callers for granted."""
    checks: tuple[tuple[Collection[str], Callable[[Any], bool], str], ...] = (
        (_TEXTS, lambda value: isinstance(value, str), "give a text"),
        (("verify",), lambda value: isinstance(value, (bool, str)), "give False, or the path of a CA bundle"),
        (("cloudfront_key",), lambda value: isinstance(value, (str, bytes)), "give the text of a private key in PEM"),
        (
            ("follow_links_to",),
            lambda value: isinstance(value, (list, tuple)) and all(isinstance(path, (str, PathLike)) for path in value),
            "give a list of directories",
        ),
    )
    wrong = [
        ConfigError(f"{option}: {type(given[option]).__name__} is of the wrong type: {form}")
        for option in given
        for options, is_right, form in checks
        if option in options and not is_right(given[option])
    ]
    if wrong:
        raise ConfigError.of(wrong)
