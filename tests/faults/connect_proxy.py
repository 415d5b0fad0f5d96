"""ConnectProxy: an HTTP proxy as companies have one. CONNECT makes tunnels, ``GET http://...`` is passed on.

Rules: only loopback is reached, whatever is asked for (``hosts`` may name other hosts' ports there). With ``user`` and
``password`` everything else than their basic authorization is answered 407. ``log`` has what was forwarded and
``refused`` what was not, as (method, target). Proxy-Authorization goes no further than here.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from .listener import Server, read_head, relay, reset
from .scripted import Asked, parse

_PIECE_BYTES = 64 * 1024
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade"}
)


class ConnectProxy(Server):
    """A context manager. ``hosts``: host name -> port on 127.0.0.1, for names that no DNS has."""

    def __init__(self, *, user: str | None = None, password: str = "", hosts: Mapping[str, int] | None = None) -> None:
        self.log: list[tuple[str, str]] = []
        self.refused: list[tuple[str, str]] = []
        self._hosts = dict(hosts or {})
        self._user = user
        self._password = password
        super().__init__()

    @property
    def url_with_password(self) -> str:
        """The proxy's URL as people write it, ``http://user:password@host:port``."""
        return self.url.replace("//", f"//{self._user}:{self._password}@") if self._user is not None else self.url

    def serve(self, connection: socket.socket) -> None:
        rest = b""
        while (read := read_head(connection, rest)) is not None:
            head, rest = read
            asked = parse(head)
            what = (asked.method, asked.target)
            if not self._allowed(asked):
                self.refused.append(what)
                connection.sendall(_answer(407, 'Proxy-Authenticate: Basic realm="a test"\r\n'))
                return
            address = self._address(asked)
            if address is None:
                self.refused.append(what)
                connection.sendall(_answer(403))
                return
            self.log.append(what)
            if asked.method == "CONNECT":
                self._tunnel(connection, address, rest)
                return
            if not self._pass_on(connection, asked, address):
                return

    def _allowed(self, asked: Asked) -> bool:
        if self._user is None:
            return True
        right = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
        kind, _, given = asked.headers.get("proxy-authorization", "").partition(" ")
        return kind.lower() == "basic" and given.strip() == right

    def _address(self, asked: Asked) -> tuple[str, int] | None:
        """Where it is to go; None if that is not loopback."""
        try:
            parts = urlsplit(f"//{asked.target}" if asked.method == "CONNECT" else asked.target)
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            return None
        if host is None or (asked.method != "CONNECT" and parts.scheme != "http"):
            return None
        if host in self._hosts:
            return "127.0.0.1", self._hosts[host]
        with contextlib.suppress(ValueError):
            return (host, port) if ipaddress.ip_address(host).is_loopback else None
        return ("127.0.0.1", port) if host == "localhost" else None

    def _tunnel(self, connection: socket.socket, address: tuple[str, int], rest: bytes) -> None:
        try:
            upstream = self.listener.keep(socket.create_connection(address, 10))
        except OSError:
            connection.sendall(_answer(502))
            return
        try:
            upstream.settimeout(None)
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            upstream.sendall(rest)
            relay(connection, upstream)
        finally:
            self.listener.drop(upstream)

    def _pass_on(self, connection: socket.socket, asked: Asked, address: tuple[str, int]) -> bool:
        """Ask the origin and pass its answer on as it comes; return whether the connection goes on."""
        with contextlib.closing(http.client.HTTPConnection(*address, timeout=10)) as upstream:
            try:
                upstream.connect()
            except OSError:
                connection.sendall(_answer(502))
                return False
            made = self.listener.keep(upstream.sock)
            try:
                return _forward(connection, asked, upstream)
            except http.client.HTTPException:  # before or amid the answer; an end by FIN would make a broken body whole
                reset(connection)
                return False
            finally:
                self.listener.drop(made)


def _forward(connection: socket.socket, asked: Asked, upstream: http.client.HTTPConnection) -> bool:
    target = asked.target.split("/", 3)
    upstream.putrequest(
        asked.method, "/" + (target[3] if len(target) > 3 else ""), skip_host=True, skip_accept_encoding=True
    )
    for name, text in asked.headers.items():
        if name not in _HOP_BY_HOP:
            upstream.putheader(name, text)
    upstream.endheaders()
    upstream.sock.settimeout(None)  # for getresponse(), which hands the socket on
    with upstream.getresponse() as answer:
        headers = [(name, text) for name, text in answer.getheaders() if name.lower() not in _HOP_BY_HOP]
        # A chunked body is passed on without its framing, and ends with the connection.
        keeps = not answer.chunked and (answer.length is not None or asked.method == "HEAD")
        lines = [f"{name}: {text}\r\n" for name, text in headers if name.lower() != "transfer-encoding"]
        lines.append("" if keeps else "Connection: close\r\n")
        connection.sendall(f"HTTP/1.1 {answer.status} {answer.reason}\r\n{''.join(lines)}\r\n".encode("latin-1"))
        while piece := answer.read1(_PIECE_BYTES):
            connection.sendall(piece)
        return keeps and not answer.length  # bytes that were promised and did not come


def _answer(status: int, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
