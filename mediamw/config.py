"""Floor 3: from what people write to what runs. Specs to backends, options to a policy; each fault names its setting.

A spec is ``[name=]where``: a path, ``s3://bucket[/location][?option=value&...]``, or ``memory:``. The options of
``s3://`` are those of ``S3Backend`` (``backends/s3_options.py``) but its secrets: these never stand in a spec, since
specs end up in process lists, shell histories and logs. A name is made of ASCII letters, digits, ``-`` and ``_``; a
path that looks like one with ``=`` in it is written with ``./`` before it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, TypedDict, Unpack
from urllib.parse import parse_qsl, urlsplit

from .backends.base import Backend
from .backends.s3_options import SPEC_OPTIONS as S3_OPTIONS
from .backends.s3_options import add_option, refused_in_specs
from .core.errors import ConfigError
from .core.keys import DotfileRule
from .core.media_types import guess, is_media_type
from .core.plan import OnMiss, Placeholder, Policy
from .stack.stack import MediaStack

MAX_PLACEHOLDER_BYTES = 1024 * 1024
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)=(.*)", re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")

Spec = str | PathLike[str] | Backend
AddHeaders = Callable[[str, int], Mapping[str, str]]


def build_stack(specs: Sequence[Spec], *, base_url: str | None = None) -> MediaStack:
    """Make the stack of ``specs``, first to last; backends that are made already may stand among them.

    Unnamed ones are called ``local``, ``s3``, ``memory``; a second one of a kind ``s3_2``. Raises ``ConfigError``.
    """
    if isinstance(specs, (str, bytes, PathLike)) or not isinstance(specs, Iterable):
        raise ConfigError(f"backends: give a list, such as ['./media', 's3://acme-media'], not {type(specs).__name__}")
    specs = list(specs)
    # What is no backend either has no name here, and is refused by the stack.
    taken = {str(getattr(spec, "name", "")) for spec in specs if not isinstance(spec, (str, PathLike))}
    taken |= {name for spec in specs if isinstance(spec, str) and (name := _split_name(spec)[0])}
    backends: list[Backend] = []
    for spec in specs:
        if not isinstance(spec, (str, PathLike)):
            backends.append(spec)
            continue
        if isinstance(spec, str):
            name, where = _split_name(spec)
            kind = _kind(where)
        else:  # a path, whatever its text looks like
            name, where, kind = "", os.fspath(spec), "local"
        if not name:
            name = _free_name(kind, taken)
            taken.add(name)
        backends.append(_backend(kind, where, name))
    return MediaStack(backends, base_url=base_url)


def _split_name(spec: str) -> tuple[str, str]:
    match = _NAMED.fullmatch(spec)
    return (match[1], match[2]) if match else ("", spec)


def _kind(where: str) -> str:
    match = _SCHEME.match(where)
    return match[1].lower() if match else "local"


def _free_name(kind: str, taken: set[str]) -> str:
    if kind not in taken:
        return kind
    return next(name for number in range(2, len(taken) + 3) if (name := f"{kind}_{number}") not in taken)


def _backend(kind: str, where: str, name: str) -> Backend:
    if kind == "local":
        from .backends.local import LocalBackend

        if not where:
            raise ConfigError("its path is empty: name the directory of the media", backend=name)
        try:
            return LocalBackend(where, name=name)
        except ValueError:  # NUL, or half a surrogate pair; ConfigError is none
            raise ConfigError(f"{where!r} is not a possible path", backend=name) from None
    if kind == "memory":
        from .backends.memory import MemoryBackend

        if where.partition(":")[2]:
            raise ConfigError("memory: takes nothing behind the colon", backend=name)
        return MemoryBackend(name=name)
    if kind == "s3":
        return _s3(where, name)
    raise ConfigError(
        f"{kind}: is no kind of backend known here; there are s3://bucket, memory:, and paths "
        f"(a path that looks like this is written with ./ before it)",
        backend=name,
    )


def _s3(where: str, name: str) -> Backend:
    from .backends.s3 import S3Backend

    form = "give s3://bucket[/location][?region=...&profile=...]"
    if not where[3:].startswith("//"):
        raise ConfigError(f"s3: without //; {form}", backend=name)
    try:
        parts = urlsplit(where)
    except ValueError:
        raise ConfigError(f"not a usable spec; {form}", backend=name) from None
    if "@" in parts.netloc:
        # The text is not repeated: what stands before the @ is probably a secret.
        raise ConfigError("keys do not belong into a spec; use profile=NAME or the environment", backend=name)
    if parts.fragment:
        raise ConfigError("'#' has no meaning in a spec", backend=name)
    options = _options(parts.query, name)
    location = parts.path.strip("/")
    if location and "location" in options:
        raise ConfigError("the location stands twice, in the path and as an option", backend=name)
    options.setdefault("location", location)
    return S3Backend(parts.netloc, name=name, **options)


def _options(query: str, name: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise ConfigError("options are written option=value, with & between them", backend=name) from None
    for option, value in pairs:
        if option not in S3_OPTIONS:
            # What looks like a secret comes first: the other text repeats it.
            unknown = f"unknown option {option!r}; {_hint(option, S3_OPTIONS)}"
            raise ConfigError(refused_in_specs(option) or unknown, backend=name)
        try:
            add_option(options, option, value)
        except ValueError as error:
            raise ConfigError(str(error), backend=name) from None
    return options


class PolicyOptions(TypedDict, total=False):
    """The options that change what is answered; ages in seconds. ``docs/semantics.md`` has each of them."""

    on_miss: OnMiss
    debug: bool
    max_age: int | None
    redirect_max_age: int | None
    media_types: Mapping[str, str] | None
    placeholder: str | PathLike[str] | None
    add_headers: AddHeaders | None


def build_policy(**options: Unpack[PolicyOptions]) -> Policy:
    """Check the options of a middleware and make its policy. Raises ``ConfigError`` that names the option."""
    placeholder = options.get("placeholder")
    return Policy(
        on_miss=_on_miss(options.get("on_miss", "app")),
        max_age=_age("max_age", options.get("max_age")),
        redirect_max_age=_age("redirect_max_age", options.get("redirect_max_age")),
        debug=check_switch("debug", options.get("debug", False)),
        media_types=_types(options.get("media_types") or {}),
        placeholder=Placeholder() if placeholder is None else _placeholder(placeholder),
        add_headers=_add_headers(options.get("add_headers")),
    )


def _add_headers(value: AddHeaders | None) -> AddHeaders | None:
    if value is not None and not callable(value):
        raise ConfigError("add_headers: it is a function of key and status that returns a mapping")
    return value


def check_options(given: Collection[str], known: Sequence[str]) -> None:
    """Raise ``ConfigError`` for an option that nobody knows."""
    for option in given:
        if option not in known:
            raise ConfigError(f"unknown option {option!r}; {_hint(option, known)}")


def check_switch(option: str, value: object) -> bool:
    """Return ``value`` if it is True or False; ``"false"`` and ``"0"`` would be true to Python."""
    if not isinstance(value, bool):
        raise ConfigError(f"{option}: {value!r} is neither True nor False")
    return value


def build_dotfiles(patterns: Sequence[str]) -> DotfileRule:
    """Make the rule of ``allow_dotfiles``. Raises ``ConfigError``."""
    if isinstance(patterns, str) or not all(isinstance(pattern, str) for pattern in patterns):
        raise ConfigError("allow_dotfiles: give a list of patterns, such as ['.thumbs/']")
    return DotfileRule(patterns)


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1, 0.5)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` if it can be one: ASCII, ``/`` at both ends, no empty or dot segment."""
    if prefix == "/":  # mounted where the media are: the middleware says when it may not be
        return prefix
    if not isinstance(prefix, str) or not (prefix.startswith("/") and prefix.endswith("/") and len(prefix) > 2):
        raise ConfigError(f"prefix: {prefix!r} must start and end with '/', such as /media/")
    if not prefix.isascii() or not prefix.isprintable() or set(prefix) & set('\\%?# "<>^`{|}'):
        raise ConfigError(f"prefix: {prefix!r} holds characters that a URL path has to quote")
    if any(segment in ("", ".", "..") for segment in prefix[1:-1].split("/")):
        raise ConfigError(f"prefix: {prefix!r} holds an empty or a dot segment")
    return prefix


def _on_miss(value: OnMiss) -> OnMiss:
    if value not in ("app", "404", "placeholder"):
        raise ConfigError(f"on_miss: {value!r} is none of 'app', '404', 'placeholder'")
    return value


def _age(option: str, seconds: int | None) -> int | None:
    if seconds is not None and (not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0):
        raise ConfigError(f"{option}: {seconds!r} is not a whole number of seconds, 0 or more")
    return seconds


def _types(media_types: Mapping[str, str]) -> dict[str, str]:
    checked = {}
    for extension, media_type in media_types.items():
        if (
            not isinstance(extension, str)
            or not extension.startswith(".")
            or "." in extension[1:]
            or len(extension) < 2
        ):
            raise ConfigError(f"media_types: {extension!r} is not an extension such as '.usdz'")
        if not isinstance(media_type, str) or not is_media_type(media_type):
            raise ConfigError(f"media_types: {media_type!r} for {extension} is not a media type such as 'model/usd'")
        checked[extension.lower()] = media_type
    return checked


def _placeholder(path: str | PathLike[str]) -> Placeholder:
    media_type = guess(os.fspath(path).replace(os.sep, "/"))[0]
    if not media_type.startswith("image/"):
        raise ConfigError(f"placeholder: {os.fspath(path)} is not an image by its extension")
    try:
        with open(path, "rb") as file:
            body = file.read(MAX_PLACEHOLDER_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"placeholder: {reason}: {os.fspath(path)}") from None
    if len(body) > MAX_PLACEHOLDER_BYTES:
        raise ConfigError(f"placeholder: {os.fspath(path)} has more than {MAX_PLACEHOLDER_BYTES} bytes")
    return Placeholder(body, media_type)
