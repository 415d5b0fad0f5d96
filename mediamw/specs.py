"""Floor 3: specs, the short way to write backends: ``[name=]where``, where ``where`` is

- a path, or ``file:///path``, percent-encoded;
- ``s3://bucket[/location][?option=value&...]``;
- the URL of a web site, ``https://host/path/[#option=value&...]``: its own query is its own, and a fragment is what no
  server is ever sent;
- ``memory:``.

Options are those of the backend, their values percent-encoded (``%26`` for ``&``; ``+`` is itself). ``exclude``,
``only`` and ``delivery_by`` (``DELIVERY:PATTERN``) may be repeated. Booleans are ``true`` or ``false``, nothing else.
The location of a bucket is taken as it stands. Secrets never stand in a spec, since specs end up in process lists,
shell histories and logs. A name is made of ASCII letters, digits, ``-`` and ``_``; a path that looks like one with
``=`` in it is written with ``./`` before it. Every fault is a ``ConfigError`` that names the backend and the option.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Final, Unpack
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from .backends.base import Backend
from .backends.rules import DELIVERIES
from .core.errors import ConfigError, unknown_option
from .stack.stack import MediaStack, StackOptions

_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)=(.*)", re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")

Spec = str | PathLike[str] | Backend
Scheme = Callable[..., Backend]


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _seconds(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"{text!r}: give a whole number of seconds")
    return int(text)


def _verify(text: str) -> bool | str:
    return _switch(text) if text in ("true", "false") else text


_Readers = Mapping[str, Callable[[str], Any]]
_LISTS: Final = ("exclude", "only")
_RULES: Final[_Readers] = {"check": _switch, "delivery": str, "delivery_by": str, "exclude": str, "only": str}
HTTP_OPTIONS: Final[_Readers] = {**_RULES, "verify": _verify}
S3_OPTIONS: Final[_Readers] = {
    **HTTP_OPTIONS,
    **dict.fromkeys(("addressing_style", "custom_domain", "endpoint_url", "location", "profile"), str),
    **dict.fromkeys(("public_endpoint_url", "region"), str),
    **dict.fromkeys(("anonymous", "dualstack", "missing_on_403"), _switch),
    **dict.fromkeys(("url_life", "url_window"), _seconds),
}
SECRETS: Final[Mapping[str, tuple[str, ...]]] = {
    "s3": ("access_key_id", "secret_access_key", "session_token", "cloudfront_key_id", "cloudfront_key"),
    "http": ("username", "password", "headers"),
}
"""What is given beside the spec of a kind, and never in it."""
GIVEN: Final[Mapping[str, frozenset[str]]] = {
    "local": frozenset(("directory_mode", "exclude", "file_mode", "follow_links_to", "only")),
    "memory": frozenset(),
    "s3": frozenset((*S3_OPTIONS, *SECRETS["s3"], "proxies")),
    "http": frozenset((*HTTP_OPTIONS, *SECRETS["http"], "proxies")),
}
"""The options of each kind that may stand beside its spec."""
_NOT_YET: Final = {"writable": "writable: buckets are only read here, and uploads stay local: leave it out"}
_NOT_IN_SPECS: Final = (
    ("cloudfront", "give S3Backend(..., cloudfront_key_id=..., cloudfront_key=...) in Python"),
    ("prox", "set HTTPS_PROXY, or give proxies={...} in Python"),
    ("username|password|passwd|headers", "give them to HTTPOriginBackend in Python"),
    ("secret|token|access.?key|credential|private", "use profile=NAME or the environment"),
)


class MisplacedSecret(ConfigError):
    """What is secret, or may be, stands in a spec. The text does not repeat it."""


def build_stack(specs: Sequence[Spec], **options: Unpack[StackOptions]) -> MediaStack:
    """Make the stack of ``specs``, first to last; backends that are made already may stand among them.

    Unnamed ones are called ``local``, ``s3``, ``http``, ``memory``; a second one of a kind ``s3_2``. ``options`` are
    those of ``MediaStack``. Raises ``ConfigError``.
    """
    if isinstance(specs, (str, bytes, PathLike)) or not isinstance(specs, Iterable):
        raise ConfigError(f"backends: give a list, such as ['./media', 's3://acme-media'], not {type(specs).__name__}")
    return MediaStack([build_backend(spec, name) for name, spec in named(list(specs))], **options)


def named(specs: Sequence[Spec]) -> list[tuple[str, Spec]]:
    """Return the name of each spec, and the spec without it."""
    pairs: list[tuple[str, Spec]] = []
    for spec in specs:
        if isinstance(spec, str):
            pairs.append(split_name(spec))
        else:  # a path's name is another thing; what is no backend either has none, and is refused by the stack
            pairs.append(("" if isinstance(spec, PathLike) else str(getattr(spec, "name", "")), spec))
    taken = {name for name, _ in pairs}
    found: list[tuple[str, Spec]] = []
    for name, spec in pairs:
        chosen = name
        if not name and isinstance(spec, (str, PathLike)):
            chosen = _free_name(kind_of(spec), taken)
            taken.add(chosen)
        found.append((chosen, spec))
    return found


def split_name(spec: str) -> tuple[str, str]:
    """Return the name that stands before ``=``, "" if there is none, and the rest."""
    match = _NAMED.fullmatch(spec)
    return (match[1], match[2]) if match else ("", spec)


def kind_of(spec: str | PathLike[str]) -> str:
    """Return what ``spec``, without its name, is: ``local``, ``s3``, ``http``, ``memory``, or another scheme."""
    match = _SCHEME.match(spec) if isinstance(spec, str) else None  # a path is one, whatever its text looks like
    kind = match[1].lower() if match else "local"
    return {"file": "local", "https": "http"}.get(kind, kind)


def _free_name(kind: str, taken: set[str]) -> str:
    if kind not in taken:
        return kind
    return next(name for number in range(2, len(taken) + 3) if (name := f"{kind}_{number}") not in taken)


def build_backend(
    spec: Spec, name: str, given: Mapping[str, Any] | None = None, schemes: Mapping[str, Scheme] | None = None
) -> Backend:
    """Make one backend. ``given``: options beside the spec, those among them that may not stand in one.

    ``schemes``: what else there is, as functions of what stands behind the colon and of the name. Raises
    ``ConfigError``.
    """
    if not isinstance(spec, (str, PathLike)):
        return spec
    kind, where, beside = kind_of(spec), os.fspath(spec), dict(given or {})
    if kind not in GIVEN:
        if schemes is not None and kind in schemes:
            return schemes[kind](where.partition(":")[2], name, **beside)
        raise ConfigError(
            f"{kind}: is no kind of backend known here; there are s3://bucket, https://host/path/, memory:, file:///path"
            " and paths (a path that looks like this is written with ./ before it)",
            backend=name,
        )
    for option in beside:
        if option not in GIVEN[kind]:
            raise ConfigError(unknown_option(option, sorted(GIVEN[kind])), backend=name)
    if kind == "s3":
        return _s3(where, name, beside)
    if kind == "http":
        return _http(where, name, beside)
    if kind == "local":
        path = _file_path(where, name) if isinstance(spec, str) and _SCHEME.match(spec) else where
        return _local(path, name, beside)
    from .backends.memory import MemoryBackend

    if where.partition(":")[2]:
        raise ConfigError("memory: takes nothing behind the colon", backend=name)
    return MemoryBackend(name=name)


def _local(path: str, name: str, beside: dict[str, Any]) -> Backend:
    from .backends.local import LocalBackend

    if not path:
        raise ConfigError("its path is empty: name the directory of the media", backend=name)
    try:
        if "\0" in path:  # LocalBackend would find nothing there, ever
            raise ValueError
        return LocalBackend(path, name=name, **beside)
    except ValueError:  # NUL, or half a surrogate pair; ConfigError is none
        raise ConfigError(f"{path!r} is not a possible path", backend=name) from None


def _file_path(url: str, name: str) -> str:
    """Return the path of a file URL (RFC 8089), of which the form with three slashes is taken and no other."""
    form = "write file:///path, percent-encoded, or the path alone"
    rest = url.partition(":")[2]
    if rest.startswith("//") and not rest.startswith("///"):
        raise ConfigError(f"file: names a host, and the directory is on this machine; {form}", backend=name)
    if not rest.startswith("///") or rest.startswith("////"):
        raise ConfigError(f"file: is no absolute path; {form}", backend=name)
    if re.search(r"[?#]|%(?![0-9A-Fa-f]{2})", rest):
        raise ConfigError(f"file: '?', '#' and '%' are written %3F, %23 and %25; {form}", backend=name)
    try:
        return os.fsdecode(unquote_to_bytes(rest[2:]))
    except UnicodeError:  # half a surrogate pair
        raise ConfigError(f"file: is not a possible path; {form}", backend=name) from None


def _s3(where: str, name: str, beside: dict[str, Any]) -> Backend:
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
        raise MisplacedSecret("keys do not belong into a spec; use profile=NAME or the environment", backend=name)
    if parts.fragment:
        raise ConfigError("'#' has no meaning in a spec of s3", backend=name)
    options = _options(parts.query, S3_OPTIONS, name, beside)
    location = parts.path.strip("/")
    if location and "location" in options:
        raise ConfigError("the location stands twice, in the path and as an option", backend=name)
    options.setdefault("location", location)
    return S3Backend(parts.netloc, name=name, **options)


def _http(where: str, name: str, beside: dict[str, Any]) -> Backend:
    from .backends.http_origin import HTTPOriginBackend

    base_url, _, fragment = where.partition("#")
    query = base_url.partition("?")[2]
    if any(part.partition("=")[0] in HTTP_OPTIONS for part in query.split("&")):
        raise ConfigError("options of a web site stand behind '#': https://host/path/#delivery=proxy", backend=name)
    if "@" in base_url.partition("//")[2].partition("/")[0]:
        raise MisplacedSecret(
            "user and password do not belong into a URL, which ends up in logs: give username and password",
            backend=name,
        )
    return HTTPOriginBackend(base_url, name=name, **_options(fragment, HTTP_OPTIONS, name, beside))


def _options(text: str, known: _Readers, name: str, beside: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    try:
        # A blank is %20: "+" is no form's here, and stands in names such as c++.
        pairs = parse_qsl(text.replace("+", "%2B"), keep_blank_values=True, strict_parsing=True) if text else []
    except ValueError:
        raise ConfigError("options are written option=value, with & between them", backend=name) from None
    for option, value in pairs:
        if option not in known:
            # What looks like a secret comes first: the other text repeats it.
            if (reason := refused_in_specs(option)) is not None:
                raise MisplacedSecret(reason, backend=name)
            raise ConfigError(_NOT_YET.get(option) or unknown_option(option, sorted(known)), backend=name)
        try:
            _add(options, option, value, known[option])
        except ValueError as error:
            raise ConfigError(str(error), backend=name) from None
    for option in beside:
        if option in options:
            raise ConfigError(f"option {option} stands twice, in the spec and beside it", backend=name)
    return {**options, **beside}


def refused_in_specs(option: str) -> str | None:
    """Return the way out if ``option`` is known, or looks like a secret, and may not stand in a spec."""
    for pattern, way_out in _NOT_IN_SPECS:
        if re.search(pattern, option, re.IGNORECASE):
            return f"{option} does not belong into a spec; {way_out}"
    return None


def _add(options: dict[str, Any], option: str, text: str, read: Callable[[str], Any]) -> None:
    """Add an option as it is written to what the backend takes. Raises ``ValueError`` that says why not."""
    if not text:
        raise ValueError(f"option {option} has no value")
    if option in _LISTS:
        options.setdefault(option, []).append(text)
    elif option == "delivery_by":
        delivery, colon, pattern = text.partition(":")
        by = options.setdefault(option, {})
        if not colon or not pattern:
            raise ValueError(f"delivery_by: {text!r}: write DELIVERY:PATTERN, such as proxy:*.svg")
        if delivery not in DELIVERIES and pattern in DELIVERIES:
            raise ValueError(f"delivery_by: {text!r}: the delivery comes first: {pattern}:{delivery}")
        if pattern in by:
            raise ValueError(f"delivery_by: {pattern!r} stands twice")
        by[pattern] = delivery
    elif option in options:
        raise ValueError(f"option {option} stands twice")
    else:
        try:
            options[option] = read(text)
        except ValueError as error:
            raise ValueError(f"{option}: {error}") from None
