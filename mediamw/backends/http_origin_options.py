"""What ``HTTPOriginBackend`` is told, checked: its base URL, headers and credentials.

No fault repeats what may be a secret.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from ..core.errors import ConfigError
from .rules import Rules

_FORM: Final = "give scheme, host and path, such as https://www.example.com/media/"
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Those that frame a message or are about the connection, and those that are set here for each request.
_NOT_GIVEN = re.compile(
    r"host|range|if-.*|via|accept-encoding|connection|content-.*|transfer-encoding|te|trailer|upgrade|expect"
    r"|keep-alive|proxy-.*"
)


def base_url_parts(base_url: object, backend: str) -> tuple[str, str]:
    """Return (origin, path that starts and ends with ``/``), both in their one normal form. Raises ``ConfigError``."""

    def wrong(reason: str) -> ConfigError:
        return ConfigError(f"base_url: {reason}", backend=backend)

    if not isinstance(base_url, str):
        raise wrong(f"{type(base_url).__name__} is no text; {_FORM}")
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        raise wrong(f"not a URL; {_FORM}") from None
    scheme = parts.scheme.lower()
    if "@" in parts.netloc:
        raise wrong("user and password do not belong into a URL, which ends up in logs: give username and password")
    if scheme not in ("http", "https"):
        raise wrong(f"it does not start with http:// or https://; {_FORM}")
    if "?" in base_url or "#" in base_url:
        raise wrong(f"it has a query or a fragment, and keys are added at its end; {_FORM}")
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.removesuffix(":")
    host = host.lower()
    if not _HOST.fullmatch(host):
        raise wrong(f"its host is no host name in ASCII; {_FORM}")
    if port == 0:
        raise wrong(f"port 0 is no port; {_FORM}")
    if port is not None and port != {"http": 80, "https": 443}[scheme]:
        host = f"{host}:{port}"
    path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    if not _PATH.fullmatch(path) or base_url != base_url.strip() or re.search(r"[\x00-\x20\x7f]", base_url):
        raise wrong("its path holds characters that a URL has to quote, such as %20 for a blank")
    if has_dot_segment(path):
        raise wrong("its path holds a dot segment: write where it leads")
    return f"{scheme}://{host}", path


def has_dot_segment(path: str) -> bool:
    """True if some server may read ``path`` as one that leads up: some decode ``%2f`` and ``%5c`` before they split.

    Others drop what stands behind a ``;`` in a segment.
    """
    segments = re.split(r"[/\\]", path.lower().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/"))
    return any(segment.partition(";")[0] in (".", "..") for segment in segments)


def basic(username: str | None, password: str | None, backend: str) -> str:
    """Return the value of Authorization for Basic authentication. Raises ``ConfigError``."""
    if not username:
        reason = "password without username" if username is None else "username is empty"
        raise ConfigError(reason, backend=backend)
    if ":" in username:
        raise ConfigError("username holds ':', which ends it in Basic authentication", backend=backend)
    pair = f"{username}:{password or ''}"
    if not pair.isprintable():
        raise ConfigError("username or password holds control characters", backend=backend)
    return "Basic " + b64encode(pair.encode()).decode()


def check_headers(headers: Any, backend: str) -> dict[str, str]:
    """Return a copy of ``headers``. Raises ``ConfigError``, which names the header and not its value."""
    if not isinstance(headers, Mapping):
        raise ConfigError("headers: give a mapping, such as {'Authorization': 'Bearer ...'}", backend=backend)
    checked: dict[str, str] = {}
    seen: set[str] = set()
    for header, value in headers.items():
        if not isinstance(header, str) or not _TOKEN.fullmatch(header):
            raise ConfigError("headers: one of the names is none that HTTP allows", backend=backend)
        if _NOT_GIVEN.fullmatch(header.lower()):
            raise ConfigError(f"headers: {header} is set for each request and cannot be given", backend=backend)
        if header.lower() in seen:
            raise ConfigError(f"headers: {header} stands there twice", backend=backend)
        if not isinstance(value, str) or not value.isascii() or not re.fullmatch(r"[\t -~]*", value):
            raise ConfigError(f"headers: the value of {header} is no printable ASCII text", backend=backend)
        seen.add(header.lower())
        checked[header] = value
    return checked


def check_rules(rules: Rules, backend: str) -> None:
    """Refuse with ``ConfigError`` the rules that send clients where only this side has credentials."""
    for option, redirects in (
        ("delivery", rules.delivery == "redirect"),
        ("delivery_by", "redirect" in rules.deliveries),
    ):
        if redirects:
            reason = f"{option}: redirect cannot be, since clients have no headers or password: use proxy"
            raise ConfigError(reason, backend=backend)
    if not rules.check:
        reason = "check: False sends clients there unasked, but they have no headers or password"
        raise ConfigError(reason, backend=backend)
