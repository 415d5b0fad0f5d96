"""What ``HTTPOriginBackend`` is told, checked: its base URL and its headers. No fault repeats what may be a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from ..core.errors import ConfigError

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
    if {".", ".."} & set(path.lower().replace("%2e", ".").split("/")):
        raise wrong("its path holds a dot segment: write where it leads")
    return f"{scheme}://{host}", path


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
