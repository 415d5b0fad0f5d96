"""Pooled HTTP to an origin that can send GET and HEAD, and nothing else. Whoever holds one cannot write.

1. Bodies are not decoded, and redirects followed only where ``follow`` says so: what the origin says is what the caller
   sees. What was quoted goes over the wire as it is: it may be signed.
2. A request that failed on a connection which the origin had closed meanwhile is sent once more. Every other failure is
   ``Unreachable`` at once, with its cause: time-outs (connect 2 s, each read 5 s, an answer's head 8 s in all), TLS,
   DNS, proxies, answers that break off, and 5xx and 429 to a read.
3. A body is never silently short: ``ContentChanged`` or ``Unreachable``. Each read has a bound, the whole has none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from types import EllipsisType
from typing import TYPE_CHECKING, Final, NoReturn

from ..core.errors import BackendUnavailable, Unreachable
from .network import ca_fault, proxy_parts
from .origin_body import body, rest_of_body, start_in_body
from .origin_failures import retry_after, why
from .quick_head import quick_head, request_of
from .redaction import keep_secrets_out_of_logs

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

    from .connections import Exchange

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
HEAD_SECONDS = 8.0
"""For a look-up as a whole: all of the head, and what ``get_start`` reads of a body."""

MAX_HOPS: Final = 3
_CONNECTIONS = 16
_REDIRECTS = (301, 302, 303, 307, 308)

Follow = Callable[[str, str], str]
"""``follow(url, location)`` returns the URL to ask next, below the same origin, or raises ``BackendUnavailable``."""


class OriginHTTP:
    """The connections of one backend to one origin (``scheme://host[:port]``). Threads may share it.

    ``hint`` ends the texts that say it could not be reached. ``proxy``: the URL of an HTTP proxy, with its credentials.
    ``verify``: True for botocore's CA bundle, the path of another, False for no check. ``headers``: with each request.
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
        follow: Follow | None = None,
    ) -> None:
        self.origin = origin
        self._backend = backend
        self._hint = hint
        self._proxy = proxy
        self._verify = verify
        # Identity: a proxy on the way must not re-code what is read by offset.
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "mediamw", **(headers or {})}
        self._follow = follow
        self._is_plain = True  # as far as is known
        # By process: a forked child must not read its parent's answers from a shared socket. No lock, which a fork
        # could leave held: setdefault is atomic.
        self._pools: dict[int, HTTPConnectionPool] = {}

    def __repr__(self) -> str:
        return f"OriginHTTP({self.origin!r})"

    def head(
        self, url: str, *, until: float | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str]]:
        """Send HEAD; return the status and the headers (any case of name finds them).

        ``until`` on the monotonic clock is the end of all waiting, for look-ups that ask more than once.
        """
        if until is None:
            until = time.monotonic() + HEAD_SECONDS
        is_tried = False
        if self._is_plain and self._follow is None and not self._is_forwarded:
            is_tried, answer = self._quick_head(url, headers or {}, until)
            if answer is not None:
                return answer
        response, exchange = self._send("HEAD", url, headers or {}, until, is_tried=is_tried)
        exchange.release()
        response.drain_conn()
        return response.status, response.headers

    def _quick_head(
        self, url: str, headers: Mapping[str, str], until: float
    ) -> tuple[bool, tuple[int, Mapping[str, str]] | None]:
        """Ask over a connection that is open already; return if it was tried, and the answer if there is one."""
        pool, target = self._connections(), url[len(self.origin) :]
        from urllib3.exceptions import ClosedPoolError, ReadTimeoutError  # which are loaded by now

        request = request_of(target, self.origin.partition("://")[2], {**self._headers, **headers})
        try:
            return (False, None) if request is None else quick_head(pool, request, until, READ_SECONDS)
        except ValueError:
            self._is_plain = False
            return True, None
        except TimeoutError:
            from .connections import Exchange

            late = Exchange(until)
            late.is_sent = True
            self._fail(ReadTimeoutError(pool, target, "no answer"), late)
        except ClosedPoolError:
            return False, None  # by ``close``, at this moment: there will be another pool

    def probe(
        self, url: str, *, until: float | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str]]:
        """What ``head`` does, by a GET for one byte, for origins that refuse HEAD."""
        response, exchange = self._send("GET", url, {"Range": "bytes=0-0", **(headers or {})}, until)
        exchange.release()
        response.close()
        response.release_conn()
        return response.status, response.headers

    def get_start(self, url: str, limit_bytes: int, *, until: float | None = None) -> tuple[int, bytes]:
        """Send GET for one byte and return the status and the body up to ``limit_bytes``: what a HEAD cannot tell."""
        status, _, start = self._get(url, {"Range": "bytes=0-0"}, limit_bytes, until)
        return status, start

    def get_document(
        self, url: str, limit_bytes: int, *, until: float | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send GET and return status, headers, and the body up to ``limit_bytes``, in the time of one look-up."""
        return self._get(url, {}, limit_bytes, until)

    def _get(
        self, url: str, headers: Mapping[str, str], limit_bytes: int, until: float | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        from urllib3.exceptions import HTTPError

        response, exchange = self._send("GET", url, headers, until)
        pieces, left = [], limit_bytes
        is_whole = False
        try:
            while left > 0 and (data := response.read(left)):
                pieces.append(data)
                left -= len(data)
            is_whole = left > 0
        except HTTPError as error:
            self._fail(error, exchange, "the body broke off")
        finally:
            exchange.release()
            if not is_whole or exchange.is_over:  # else the connection is kept
                response.close()
            response.release_conn()
        if exchange.is_over:  # the end that we made ourselves may look like the body's
            self._fail(TimeoutError(), exchange)
        return response.status, response.headers, b"".join(pieces)

    def get_range(
        self,
        url: str,
        start: int,
        stop: int,
        etag: str | None,
        *,
        size: int | None = None,
        coding: str | EllipsisType | None = ...,
        may_be_page: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[bytes]:
        """Send GET for the bytes from ``start`` to ``stop`` of the version ``etag`` and yield exactly these.

        They are yielded as they arrive, at most 32 KiB at once. ``size`` is that of the whole file, if it is known,
        ``coding`` its Content-Encoding (``...``: not known), and without ``may_be_page`` HTML is not it. Raises
        ``ContentChanged`` if there is another version, none any more, fewer bytes, another size or coding.
        """
        sent = {} if etag is None else {"If-Match": etag}
        if size is None or start > 0 or stop != size:
            sent["Range"] = f"bytes={start}-{stop - 1}"
        response, exchange = self._send("GET", url, {**sent, **(headers or {})})
        exchange.release()
        try:
            self._refuse_overload(response)
            skip = start_in_body(
                response, self._backend, start, stop, etag, size=size, coding=coding, may_be_page=may_be_page
            )
            yield from body(response, skip, stop - start, self._backend, self._broke_off)
        finally:
            response.close()
            response.release_conn()

    def get_whole(
        self,
        url: str,
        etag: str | None,
        *,
        coding: str | EllipsisType | None = ...,
        may_be_page: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[bytes]:
        """Send GET for all of the version ``etag`` and yield it to its end, for files whose length nobody said.

        Raises as ``get_range`` does, and when the body ends before its end. A body that neither has a length nor comes
        in chunks ends with its connection. Without TLS nobody can tell whether it was cut off (RFC 9112, 8 and 9.8).
        """
        sent = {} if etag is None else {"If-Match": etag}
        response, exchange = self._send("GET", url, {**sent, **(headers or {})})
        exchange.release()
        try:
            self._refuse_overload(response)
            start_in_body(response, self._backend, 0, None, etag, size=None, coding=coding, may_be_page=may_be_page)
            yield from rest_of_body(response, self._backend, self._broke_off)
        finally:
            response.close()
            response.release_conn()

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], until: float | None = None, *, is_tried: bool = False
    ) -> tuple[BaseHTTPResponse, Exchange]:
        """Return the answer, its head complete, and what bounds its time, which the caller releases."""
        if until is None:
            until = time.monotonic() + HEAD_SECONDS
        for hop in range(MAX_HOPS + 1):
            response, exchange = self._send_one(method, url, headers, until, is_tried)
            location = response.headers.get("Location")
            if self._follow is None or response.status not in _REDIRECTS or location is None:
                return response, exchange
            exchange.release()
            response.close()
            response.release_conn()
            if hop < MAX_HOPS:
                url = self._follow(url, location)
        raise BackendUnavailable(f"{self.origin} redirects more than {MAX_HOPS} times", backend=self._backend)

    @property
    def _is_forwarded(self) -> bool:
        """To a proxy of plain HTTP the target is the whole URL; the rest is asked of the origin itself."""
        return self._proxy is not None and self.origin.startswith("http:")

    def _send_one(
        self, method: str, url: str, headers: Mapping[str, str], until: float, is_tried: bool
    ) -> tuple[BaseHTTPResponse, Exchange]:
        if method not in ("GET", "HEAD"):
            raise ValueError(f"{method} is a write, or no HTTP method at all: only GET and HEAD are ever sent")
        pool = self._connections()
        from urllib3.exceptions import HTTPError, ProtocolError

        from .connections import Exchange

        is_forwarded = self._is_forwarded
        target = url if is_forwarded else url[len(self.origin) :]
        for is_last in (True,) if is_tried else (False, True):
            exchange = Exchange(until)
            exchange.begin()
            try:
                response = pool.urlopen(
                    method,
                    target,
                    headers={**self._headers, **headers},
                    redirect=False,
                    retries=False,
                    assert_same_host=not is_forwarded,
                    preload_content=False,
                    decode_content=False,
                    enforce_content_length=True,  # the default of urllib3 2, not of 1.26
                )
            except HTTPError as error:
                exchange.release()
                repeats = isinstance(error, ProtocolError) and exchange.is_sent and not exchange.is_over
                if is_last or not repeats:
                    self._fail(error, exchange)
            except BaseException:
                exchange.release()
                raise
            else:
                if self._proxy is not None and response.status == 407:
                    exchange.release()
                    response.close()
                    self._unreachable(f"the proxy {self._proxy_place()} answered 407: check its user and password")
                return response, exchange
        raise AssertionError("unreachable")

    def _connections(self) -> HTTPConnectionPool:
        pool = self._pools.get(os.getpid())
        if pool is None:
            import urllib3

            from .connections import make_pool

            # They log every target at DEBUG, query and all, and with a malformed answer the URL as a warning.
            keep_secrets_out_of_logs("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")
            timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
            if (fault := ca_fault(self._verify)) is not None:
                raise BackendUnavailable(fault, backend=self._backend, answered=False)
            try:
                new = make_pool(
                    self.origin, proxy=self._proxy, verify=self._verify, timeout=timeout, connections=_CONNECTIONS
                )
            except ValueError as error:
                raise BackendUnavailable(
                    f"{error}: correct HTTP_PROXY or proxies", backend=self._backend, answered=False
                ) from None
            except OSError:  # ssl.SSLError among them: a file without certificates
                raise BackendUnavailable(
                    f"{self._verify} is no CA bundle: correct verify, AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE",
                    backend=self._backend,
                    answered=False,
                ) from None
            pool = self._pools.setdefault(os.getpid(), new)
        return pool

    def _refuse_overload(self, response: BaseHTTPResponse) -> None:
        if response.status == 429 or response.status >= 500:
            raise Unreachable(
                f"the origin answered {response.status} to GET",
                backend=self._backend,
                retry_after=retry_after(response.headers),
                answered=True,
            )

    def _proxy_place(self) -> str | None:
        return None if self._proxy is None else proxy_parts(self._proxy)[1]

    def _fail(self, error: Exception, exchange: Exchange, reason: str = "") -> NoReturn:
        if exchange.is_over or exchange.left() == 0:
            self._unreachable(f"no whole answer within {HEAD_SECONDS:g} s")
        times = {"connect": CONNECT_SECONDS, "read": READ_SECONDS}
        self._unreachable(reason or why(error, self.origin, self._proxy_place(), is_sent=exchange.is_sent, **times))

    def _broke_off(self, error: Exception) -> NoReturn:
        self._unreachable("the body broke off")

    def _unreachable(self, reason: str) -> NoReturn:
        raise Unreachable(f"{self.origin} could not be reached: {reason}{self._hint}", backend=self._backend) from None
