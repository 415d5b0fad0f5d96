"""Pooled HTTP to an origin that can send GET and HEAD, and nothing else. Whoever holds one cannot write.

Redirects are not followed and bodies are not decoded: what the origin says is what the caller sees. A request that
failed on a connection which the origin had closed meanwhile is sent once more; every other failure, time-outs among
them, is ``BackendUnavailable`` at once.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from ..core.errors import BackendUnavailable, ContentChanged

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
_CONNECTIONS = 16
_PIECE_BYTES = 64 * 1024
# In URLs, and as botocore writes headers, what it signs, and the answers of STS and metadata services.
_SECRETS = re.compile(
    r"""((?:signature|token|secret_?(?:access_?)?key)['"]?\s*[=:>]\s*b?['"]?)[^&\s'",<>}]+""", re.IGNORECASE
)


class OriginHTTP:
    """The connections of one backend to one origin (``scheme://host[:port]``).

    ``hint`` ends the texts that say it could not be reached.
    """

    def __init__(
        self,
        origin: str,
        backend: str,
        hint: str = "",
        *,
        proxy: str | None = None,
        verify: bool | str = True,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.origin = origin
        self._proxy, self._verify, self._headers = proxy, verify, dict(headers or {})
        self._backend = backend
        self._hint = hint
        # By process: a forked child must not read its parent's answers from a shared socket. No lock, which a fork
        # could leave held: setdefault is atomic.
        self._pools: dict[int, HTTPConnectionPool] = {}

    def head(self, url: str) -> tuple[int, Mapping[str, str]]:
        """Send HEAD; return the status and the headers (any case of name finds them)."""
        response = self._send("HEAD", url, {})
        response.drain_conn()
        return response.status, response.headers

    def get_start(self, url: str, limit_bytes: int) -> tuple[int, bytes]:
        """Send GET for one byte and return the status and the body up to ``limit_bytes``: what a HEAD cannot tell."""
        from urllib3.exceptions import HTTPError

        response = self._send("GET", url, {"Range": "bytes=0-0"})
        body = b""
        try:
            while len(body) < limit_bytes and (data := response.read(limit_bytes - len(body))):
                body += data
        except HTTPError as error:
            self._fail(error, "the body broke off")
        finally:
            response.close()
            response.release_conn()
        return response.status, body

    def get_range(self, url: str, start: int, stop: int, etag: str | None) -> Iterator[bytes]:
        """Send GET for the bytes from ``start`` to ``stop`` of the version ``etag`` and yield exactly these.

        Raises ``ContentChanged`` if there is another version, none any more, or fewer bytes.
        """
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if etag is not None:
            headers["If-Match"] = etag
        response = self._send("GET", url, headers)
        try:
            skip = self._offset(response, start, stop, etag)
            yield from self._body(response, skip, stop - start)
        finally:
            response.close()
            response.release_conn()

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()

    def _send(self, method: str, url: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        if method not in ("GET", "HEAD"):
            raise ValueError(f"{method} is a write, or no HTTP method at all: only GET and HEAD are ever sent")
        from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

        pool = self._connections()
        target = url[len(self.origin) :]
        # Identity: a proxy on the way must not re-code what is read by offset.
        all_headers = {"Accept-Encoding": "identity", "User-Agent": "mediamw", **self._headers, **headers}
        for last in (False, True):
            try:
                return pool.urlopen(
                    method,
                    target,
                    headers=all_headers,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                    enforce_content_length=True,  # the default of urllib3 2, not of 1.26
                )
            except ProtocolError as error:
                if last:
                    self._fail(error)
            except ReadTimeoutError as error:
                self._fail(error, f"no answer within {READ_SECONDS:g} s")
            except HTTPError as error:
                self._fail(error)
        raise AssertionError("unreachable")

    def _connections(self) -> HTTPConnectionPool:
        pool = self._pools.get(os.getpid())
        if pool is None:
            import urllib3

            # They log every target at DEBUG, query and all, and with a malformed answer the URL as a warning.
            keep_secrets_out_of_logs("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")
            parts = urlsplit(self.origin)
            timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
            options: dict[str, Any] = {"timeout": timeout, "maxsize": _CONNECTIONS, "block": False}
            if parts.scheme == "https":
                options["cert_reqs"] = "CERT_NONE" if self._verify is False else "CERT_REQUIRED"
                if isinstance(self._verify, str):
                    options["ca_certs"] = self._verify
            # block=False: the number of threads bounds the requests; more connections are closed after use.
            manager = urllib3.ProxyManager(self._proxy, **options) if self._proxy else urllib3.PoolManager(**options)
            new = manager.connection_from_host(parts.hostname or "", parts.port, parts.scheme)
            pool = self._pools.setdefault(os.getpid(), new)
        return pool

    def _fail(self, error: Exception, reason: str = "") -> NoReturn:
        # Not str(error): urllib3 puts the path into some of its messages, and that holds the signature.
        text = reason or type(error).__name__
        raise BackendUnavailable(
            f"{self.origin} could not be reached: {text}{self._hint}", backend=self._backend
        ) from None

    def _offset(self, response: BaseHTTPResponse, start: int, stop: int, etag: str | None) -> int:
        """Return how many bytes of the body stand before ``start``; raise what the status means otherwise."""
        status = response.status
        if status == 206 or (status == 200 and "Content-Range" in response.headers):  # some servers say 200 to a range
            if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise BackendUnavailable("the origin sent another range than it was asked for", backend=self._backend)
            self._check_version(response, etag)
            return 0
        if status == 200:  # Range ignored, as RFC 9110, 14.2 allows
            self._check_version(response, etag)
            return start
        if status in (404, 410, 412, 416):
            raise ContentChanged(f"the file changed while it was read (status {status})", backend=self._backend)
        raise BackendUnavailable(f"the origin answered {status} to GET", backend=self._backend)

    def _check_version(self, response: BaseHTTPResponse, etag: str | None) -> None:
        """If-Match is the origin's to keep; some ignore it, but they do say which version they send."""
        sent = response.headers.get("ETag")
        if etag is not None and sent is not None and sent != etag:
            raise ContentChanged("the file changed while it was read (another ETag)", backend=self._backend)

    def _body(self, response: BaseHTTPResponse, skip: int, length: int) -> Iterator[bytes]:
        from urllib3.exceptions import HTTPError

        rest = length
        while rest:
            try:
                data = response.read(_PIECE_BYTES)
            except HTTPError as error:
                self._fail(error, "the body broke off")
            if not data:
                raise ContentChanged(f"the body ended {rest} bytes early", backend=self._backend)
            if skip:
                dropped = min(skip, len(data))
                skip -= dropped
                data = data[dropped:]
            data = data[:rest]
            rest -= len(data)
            if data:
                yield data


def keep_secrets_out_of_logs(*loggers: str) -> None:
    """Have signatures, tokens and secrets replaced in what these loggers say; those below them need their own."""
    for name in loggers:
        logging.getLogger(name).addFilter(_redact)  # adding it twice is adding it once


def _redact(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    clean = _SECRETS.sub(r"\1REDACTED", text)
    if clean != text:
        record.msg, record.args = clean, ()
    return True
