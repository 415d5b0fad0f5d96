"""urllib3's connections, as ``OriginHTTP`` needs them: under a deadline, and strict about where an answer's head ends.

Loaded when the first pool is made. Works with urllib3 1.26 and 2.

1. Every socket is watched by the deadline of the thread that uses it, from the moment it is connected: TLS handshake,
   CONNECT and a dripping head count. The addresses of a host share the deadline; only the DNS look-up cannot be ended.
2. A head that breaks off is an error. To ``http.client`` the end of the connection ends a head like an empty line, and
   ``Content-Length: 1`` may be the start of 10.
3. A body whose end is that of the connection ends under TLS with the server's word (close_notify). Without it the body
   was cut off (RFC 9112, 9.8), which Python hides by default.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager, Timeout, make_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from .network import proxy_parts
from .watchdog import Deadline

if TYPE_CHECKING:
    _Mixed = HTTPConnection
else:
    _Mixed = object


class Exchange(Deadline):
    """One request and its answer's head: its deadline, and how far it came."""

    is_sent = False
    """True once there is a connection and the request goes out."""

    def begin(self) -> None:
        """Watch what this thread's connections do from now on."""
        _current.exchange = self

    def release(self) -> None:
        _current.exchange = None
        super().release()


class _Current(threading.local):
    exchange: Exchange | None = None


_current = _Current()


class _Lines:
    """The lines of a head. One without its end is an error."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._is_first = True

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._file.readline(limit)
        # No status line at all is for http.client to tell: then the request may be sent again.
        if not line.endswith(b"\n") and (limit < 0 or len(line) < limit) and (line or not self._is_first):
            raise http.client.IncompleteRead(line)
        self._is_first = False
        return line

    def close(self) -> None:
        self._file.close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **keywords: Any) -> None:
        super().__init__(sock, *args, **keywords)
        self._socket = sock

    def begin(self) -> None:
        file: Any = self.fp
        lines: Any = _Lines(file)
        self.fp = lines
        try:
            super().begin()
        finally:
            if self.fp is lines:  # http.client drops it when it gives up
                self.fp = file
        if self.status < 200:  # 100 is skipped by http.client; behind any other the real answer would follow
            raise http.client.UnknownProtocol(f"status {self.status}")
        if self.length is None and not self.chunked and hasattr(self._socket, "suppress_ragged_eofs"):
            self._socket.suppress_ragged_eofs = False


class _Watched(_Mixed):
    """What both kinds of connections do otherwise than urllib3's."""

    response_class = _Response

    def connect(self) -> None:
        super().connect()
        # Who gave verify=False knows; urllib3 would warn of it for each connection.
        self.is_verified = True
        if _current.exchange is not None:
            _current.exchange.is_sent = True

    def request(self, *args: Any, **keywords: Any) -> None:
        exchange = _current.exchange
        if exchange is not None and self.sock is not None and not exchange.is_sent:  # kept alive
            exchange.watch(self.sock)
            exchange.is_sent = True
        super().request(*args, **keywords)

    def _new_conn(self) -> socket.socket:
        exchange = _current.exchange
        try:
            connection = self._connect_in_time(exchange)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a label of the name is too long
            raise NewConnectionError(self, "no connection") from error
        if exchange is not None:
            exchange.watch(connection)
        return connection

    def _connect_in_time(self, exchange: Exchange | None) -> socket.socket:
        last: OSError = OSError("the name has no address")
        host = self._dns_host.strip("[]")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, self.port, 0, socket.SOCK_STREAM):
            limit = self.timeout if isinstance(self.timeout, (int, float)) else None
            if exchange is not None:
                limit = exchange.left() if limit is None else min(limit, exchange.left())
            if limit == 0:
                raise TimeoutError
            connection = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    connection.setsockopt(*option)
                connection.settimeout(limit)
                connection.connect(address)
            except OSError as error:
                connection.close()
                last = error
            else:
                return connection
        raise last


class _HTTPConnection(_Watched, HTTPConnection):
    pass


class _HTTPSConnection(_Watched, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


def make_pool(
    origin: str, *, proxy: str | None, verify: bool | str, timeout: Timeout, connections: int
) -> HTTPConnectionPool:
    """Make the pool for ``origin``, of connections to the proxy if there is one. Raises ``ValueError``, ``OSError``."""
    parts = urlsplit(origin)
    # block=False: the number of threads bounds the requests; more connections are closed after use.
    options: dict[str, Any] = {"timeout": timeout, "maxsize": connections, "block": False}
    if parts.scheme == "https" or (proxy or "").startswith("https:"):
        # One for all connections: reading the bundle anew for each takes longer than the handshake.
        options["ssl_context"] = _context(verify)
    if proxy is None:
        if parts.scheme == "https":
            return _HTTPSPool(parts.hostname or "", parts.port, **options)
        return _HTTPPool(parts.hostname or "", parts.port, **options)
    url, _, credentials = proxy_parts(proxy)
    headers = make_headers(proxy_basic_auth=credentials) if credentials else {}
    context = options.get("ssl_context") if url.startswith("https:") else None
    manager = ProxyManager(url, proxy_headers=headers, proxy_ssl_context=context, **options)
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return manager.connection_from_host(parts.hostname or "", parts.port, parts.scheme)


def _context(verify: bool | str) -> ssl.SSLContext:
    if verify is False:
        context = create_urllib3_context(cert_reqs=ssl.CERT_NONE)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    if verify is True:
        from botocore.httpsession import get_cert_path

        verify = str(get_cert_path(True))
    if os.path.isdir(verify):
        context.load_verify_locations(capath=verify)
    else:
        context.load_verify_locations(cafile=verify)
    return context
