"""Three ways to send a row: a WSGI caller, an ASGI caller, and HTTP/1.1 on a socket. None of them tidies a path."""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from .row import Pairs

TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Response:
    """What came back: header names in lower case, in their order, and the body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def get(self, name: str) -> str | None:
        """Return a header's value, None if it is not there."""
        return next((value for key, value in self.headers if key == name), None)


class Sendfile:
    """A ``wsgi.file_wrapper`` that hands the descriptor to the kernel, which knows of no end but the file's."""

    def __init__(self, file: Any, _block: int = 0) -> None:
        self._file = file
        self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        while data := os.read(self._file.fileno(), 1 << 20):
            yield data


def environ(method: str, target: str, headers: Pairs = (), mount: str = "") -> dict[str, Any]:
    """Make an environ as PEP 3333 wants it; ``mount`` is the SCRIPT_NAME."""
    path, _, query = target.partition("?")
    made: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": mount,
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "gunicorn/0",  # breaks off what its app breaks off
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        variable = "HTTP_" + name.upper().replace("-", "_")
        made[variable] = f"{made[variable]},{value}" if variable in made else value
    return made


def call_wsgi(
    app: Callable[..., Iterable[bytes]], method: str, target: str, headers: Pairs = (), *,
    mount: str = "", file_wrapper: Any = None,
) -> Response:  # fmt: skip
    """Call a WSGI app as a strict server does: it closes what it got, and hands out no leniency."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, sent: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        assert not started or exc_info, "start_response was called twice"
        started.append((status, sent))
        return written.append

    env = environ(method, target, headers, mount)
    if file_wrapper is not None:
        env["wsgi.file_wrapper"] = file_wrapper
    result = app(env, start_response)
    try:
        for piece in result:
            assert started, "a body before start_response"
            assert type(piece) is bytes
            written.append(piece)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    status, sent = started[-1]
    assert type(sent) is list
    for name, value in sent:
        assert type(name) is str
        assert type(value) is str
        value.encode("latin-1")
    return Response(int(status[:3]), tuple((name.lower(), value) for name, value in sent), b"".join(written))


async def messages_of(
    app: Any,
    on_send: Callable[[int], Any],
    left: asyncio.Event,
    target: str = "/media/big.bin",
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
    send_waits: bool = True,
) -> list[Any]:
    """Send one GET as a server does whose client leaves when ``left`` is set; return what the app sent.

    ``on_send`` is called with the number of each message, before it counts as sent. ``send_waits``: others get a turn
    while it is sent, as they do at a server whose client does not keep up.
    """
    sent: list[Any] = []
    first = True

    async def receive() -> Any:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        on_send(len(sent))
        sent.append(message)
        if send_waits:
            await asyncio.sleep(0)

    scope = {"type": "http", "method": "GET", "path": target, "headers": list(headers), "query_string": b""}
    await asyncio.wait_for(app(scope, receive, send), TIMEOUT_SECONDS)
    return sent


async def acall_asgi(app: Any, method: str, target: str, headers: Pairs = (), *, mount: str = "") -> Response:
    """Call an ASGI app as a strict server does."""
    raw, _, query = (mount + target).partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw),  # as uvicorn does it: what is not UTF-8 becomes U+FFFD
        "raw_path": raw.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": mount,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[Any] = []
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()  # the client stays
        raise AssertionError("nobody gets here")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), TIMEOUT_SECONDS)
    start, *bodies = sent
    assert start["type"] == "http.response.start"
    assert bodies, "no body message: the server would wait for ever"
    assert [message["type"] for message in bodies] == ["http.response.body"] * len(bodies)
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]
    for name, value in start["headers"]:
        assert type(name) is bytes
        assert name == name.lower()
        assert type(value) is bytes
    return Response(
        start["status"],
        tuple((name.decode(), value.decode("latin-1")) for name, value in start["headers"]),
        b"".join(message.get("body", b"") for message in bodies),
    )


class _Wire:
    """What http.client reads a response from: bytes that are all there already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        self.file = io.BytesIO(self._data)
        # http.client closes what it has read to the end of; what is left over is still wanted.
        self.file.close = lambda: None
        return self.file


def call_socket(port: int, host: str, method: str, target: str, headers: Pairs = ()) -> Response:
    """Send one HTTP/1.1 request and read until the server closes; a byte too many is an error."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        received = bytearray()
        while True:
            try:
                data = connection.recv(1 << 16)
            except ConnectionResetError:  # a server that refuses a header may not read the rest of it
                break
            if not data:
                break
            received += data
    wire = _Wire(bytes(received))
    response = http.client.HTTPResponse(wire, method=method)
    response.begin()
    body = response.read()
    rest = wire.file.read()
    assert not rest, f"{len(rest)} bytes behind the body: {rest[:40]!r}"
    return Response(response.status, tuple((name.lower(), value) for name, value in response.getheaders()), body)
