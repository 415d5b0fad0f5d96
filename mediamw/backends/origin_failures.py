"""Why a request to an origin failed, in words that name the setting and the way out.

Of urllib3's exceptions the types and the causes are used and never the texts: those hold targets, and with them
signatures, and of a proxy the whole URL.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator, Mapping
from typing import Final

from ..core.http_dates import parse_http_date

RETRY_AFTER_SECONDS: Final = (1, 10, 60)
"""After how long asking again makes sense: the least and the most that an origin's Retry-After counts for, and what
is said without one (in the middle)."""

_TUNNEL = r"Tunnel connection failed: ([0-9]{3})\b"


def retry_after(headers: Mapping[str, str]) -> int:
    """Return the seconds that the Retry-After of an answer asks for, within bounds."""
    least, usual, most = RETRY_AFTER_SECONDS
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return most if len(text) > 4 else min(max(int(text), least), most)
    moment = parse_http_date(text, 0)
    return usual if moment is None else int(min(max(moment - time.time(), least), most))


def why(
    error: BaseException, origin: str, proxy_place: str | None, *, is_sent: bool, connect: float, read: float
) -> str:
    """Say why a request failed. ``is_sent``: there was a connection; ``connect`` and ``read``: its time-outs."""
    import socket
    from urllib.parse import urlsplit

    causes = list(_causes(error))
    host = urlsplit(origin).hostname or origin
    if proxy_place is not None and (said := _of_proxy(causes, proxy_place, is_sent=is_sent)):
        return said
    if any(isinstance(cause, (socket.gaierror, UnicodeError)) for cause in causes):
        return f"the host name {host} is not known: check its spelling, or the network"
    if not is_sent and (said := _of_tls(causes)):
        return said
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "connection refused: nothing listens there"
    if any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in causes):
        return f"no answer within {read:g} s" if is_sent else f"no connection within {connect:g} s"
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
            return (cause.strerror or errno.errorcode[cause.errno]).lower()
    if not is_sent:
        return "no connection"
    return "the connection ended before the answer did, or the answer is not HTTP"


def _of_proxy(causes: list[BaseException], place: str, *, is_sent: bool) -> str:
    import socket
    import ssl  # here and below: slow to load, and seldom needed

    for cause in causes:
        if isinstance(cause, OSError) and (refused := re.search(_TUNNEL, str(cause))):
            way_out = ": check its user and password" if refused[1] == "407" else ""
            return f"the proxy {place} answered {refused[1]} to CONNECT{way_out}"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"the host name of the proxy {place} is not known: check HTTP_PROXY, HTTPS_PROXY or proxies"
    if not is_sent and not any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"no connection through the proxy {place}: check HTTP_PROXY, HTTPS_PROXY or proxies, or set NO_PROXY"
    return ""


def _of_tls(causes: list[BaseException]) -> str:
    import ssl

    way_out = "give its CA by verify=PATH or AWS_CA_BUNDLE"
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}): {way_out}"
        if type(cause).__name__ == "CertificateError":  # urllib3's own, of the host name
            return f"its certificate is of another host: {way_out}"
        if isinstance(cause, TimeoutError):
            return ""
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or 'the connection ended'}): is it an https:// origin?"
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it wraps. Not ``__context__``: that may be what our caller was handling already."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__, getattr(one, "original_error", None), getattr(one, "reason", None), *one.args)
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]
