"""Floor 3: specs, the short way to write backends: ``[name=]where``, where ``where`` is

- a path, or ``file:///path``, percent-encoded;
- ``s3://bucket[/location][?option=value&...]``, with ``writable=true`` if it is the first and takes uploads;
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
from typing import Any

from .backends.base import Backend
from .core.errors import ConfigError
from .spec_options import GIVEN as GIVEN
from .spec_options import HTTP_OPTIONS as HTTP_OPTIONS
from .spec_options import S3_OPTIONS as S3_OPTIONS
from .spec_options import SECRETS as SECRETS
from .spec_options import MisplacedSecret as MisplacedSecret
from .spec_options import Readers, check_beside, read_options
from .spec_options import refused_in_specs as refused_in_specs
from .spec_options import secrets_of as secrets_of

_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)=(.*)", re.DOTALL)
_WRITTEN_OUT = re.compile(r"\./([A-Za-z][A-Za-z0-9_-]*=)?[A-Za-z][A-Za-z0-9+.-]+://")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")

_NO_NAMES = GIVEN["s3"] | GIVEN["http"]

Spec = str | PathLike[str] | Backend
Scheme = Callable[..., Backend]


def build_backends(
    specs: Sequence[Spec],
    given: Callable[[str, str], Mapping[str, Any]] = lambda _name, _kind: {},
    schemes: Mapping[str, Scheme] | None = None,
) -> list[Backend]:
    """Make the backends of ``specs``, first to last; some that are made already may stand among them.

    Unnamed ones are called ``local``, ``s3``, ``http``, ``memory``; a second one of a kind ``s3_2``. ``given`` says
    what one of this name and kind has beside its spec; ``schemes`` what other kinds there are (see ``build_backend``).
    Raises ``ConfigError``.
    """
    if isinstance(specs, (str, bytes, PathLike)) or not isinstance(specs, Iterable):
        raise ConfigError(f"backends: give a list, such as ['./media', 's3://acme-media'], not {type(specs).__name__}")
    return [
        build_backend(spec, name, given(name, kind_of(spec)) if isinstance(spec, (str, PathLike)) else None, schemes)
        for name, spec in named(list(specs))
    ]


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
            chosen = _free_name(kind_of(spec).replace("+", "_"), taken)  # which no variable may have
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
        others = "".join(f"{other}:, " for other in schemes or ())
        raise ConfigError(
            f"{kind}: is no kind of backend known here; there are {others}s3://bucket, https://host/path/, memory:, "
            "file:///path and paths (a path that looks like this is written with ./ before it)",
            backend=name,
        )
    check_beside(kind, beside, name)
    if kind == "s3":
        return _s3(where, name, beside)
    if kind == "http":
        return _http(where, name, beside)
    if kind == "local":
        if isinstance(spec, str):
            where = _file_path(where, name) if _SCHEME.match(spec) else _written_path(where, name)
        return _local(where, name, beside)
    from .backends.memory import MemoryBackend

    if where.partition(":")[2]:
        raise ConfigError("memory: takes nothing behind the colon", backend=name)
    return MemoryBackend(name=name)


def _written_path(path: str, name: str) -> str:
    """Return a path as people write it. Refuses what means something else, and would be a directory of that name."""
    if "://" in path and not _WRITTEN_OUT.match(path):  # the text is not repeated: who knows what is in it
        reason = (
            "a path holds '://': one spec stands here, not several (in MEDIAMW_BACKENDS blanks divide them, and quotes "
            "stand around one, not around all); a name before '=' has ASCII letters, digits, '-' and '_'"
        )
        raise ConfigError(reason, backend=name)
    if name in _NO_NAMES:  # the value is not repeated: it may be a secret
        reason = f"{name}= is no name but an option: it stands behind '?' or '&' of its spec, without a blank before it"
        raise ConfigError(reason, backend=name)
    if re.search(r"\?[a-z_]+=", path):
        reason = (
            "a path takes no options: they stand behind s3://bucket/location, and quotes stand around a spec that "
            "holds a blank; a path that has '?' in it is written file:///path"
        )
        raise ConfigError(reason, backend=name)
    if path.startswith("="):
        raise ConfigError(f"{path!r}: no name stands before '=': write prod={path[1:]}, or ./ before it", backend=name)
    if path.startswith("$") or "${" in path:
        reason = f"{path!r} holds a variable that nobody replaced: write the path itself, or ./ before it if it is one"
        raise ConfigError(reason, backend=name)
    try:
        is_nobodys = path.startswith("~") and os.path.expanduser(path) == path
    except ValueError:  # NUL, or half a surrogate pair: no path at all, as will be said
        is_nobodys = False
    if is_nobodys:
        raise ConfigError(f"{path!r}: there is no such user: write the path itself, or ./ before it", backend=name)
    return path


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
    from urllib.parse import unquote_to_bytes  # here and below: a path needs none of it

    try:
        return os.fsdecode(unquote_to_bytes(rest[2:]))
    except UnicodeError:  # half a surrogate pair
        raise ConfigError(f"file: is not a possible path; {form}", backend=name) from None


def _s3(where: str, name: str, beside: dict[str, Any]) -> Backend:
    from .backends.s3 import S3Backend

    bucket, path, options = split_s3(where, name, S3_OPTIONS, beside)
    location = path.strip("/")
    if location and "location" in options:
        raise ConfigError("the location stands twice, in the path and as an option", backend=name)
    options.setdefault("location", location)
    if is_writable(options, name):
        from .backends.s3_writable import WritableS3Backend

        return WritableS3Backend(bucket, name=name, **options)
    return S3Backend(bucket, name=name, **options)


def split_s3(
    where: str, name: str, known: Readers, beside: Mapping[str, Any], scheme: str = "s3"
) -> tuple[str, str, dict[str, Any]]:
    """Return bucket, path and options of the URL of a bucket. Raises ``ConfigError``.

    The path begins with ``/`` if there is one. ``scheme`` is what the URL is to begin with.
    """
    form = f"give {scheme}://bucket[/location][?region=...&profile=...]"
    if not where.partition(":")[2].startswith("//"):
        raise ConfigError(f"{scheme}: without //; {form}", backend=name)
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(where)
    except ValueError:
        raise ConfigError(f"not a usable spec; {form}", backend=name) from None
    if "@" in parts.netloc or (":" in parts.netloc and not parts.netloc.startswith("arn:")):
        # The text is not repeated: what stands before the @ or behind the colon is probably a secret.
        raise MisplacedSecret("keys do not belong into a spec; use profile=NAME or the environment", backend=name)
    if parts.fragment:
        raise ConfigError(f"'#' has no meaning in a spec of {scheme}", backend=name)
    return parts.netloc, parts.path, read_options(parts.query, known, name, beside)


def is_writable(options: dict[str, Any], name: str) -> bool:
    """Take ``writable`` out of the options of a bucket and return it. Raises ``ConfigError``."""
    writable = options.pop("writable", False)
    if not isinstance(writable, bool):
        raise ConfigError(f"writable: {writable!r} is neither True nor False", backend=name)
    return writable


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
    return HTTPOriginBackend(base_url, name=name, **read_options(fragment, HTTP_OPTIONS, name, beside))


def options_in(spec: Spec) -> dict[str, Any]:
    """Return the options that stand in a spec without its name, of which a backend has been made."""
    if not isinstance(spec, str) or (kind := kind_of(spec)) not in ("s3", "http"):
        return {}
    if kind == "s3":
        from urllib.parse import urlsplit

        return read_options(urlsplit(spec).query, S3_OPTIONS, "", {})
    return read_options(spec.partition("#")[2], HTTP_OPTIONS, "", {})
