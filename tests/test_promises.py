"""A length is a promise: what real servers send when a file changes, or the client leaves, in the middle."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .servers import SERVERS, Running, running

pytestmark = pytest.mark.slow

SIZE = 96 * 1024 * 1024
MODULE = """
import os
from mediamw import asgi, wsgi
asgi_app = asgi.MediaMiddleware(None, [os.environ["MEDIA_DIR"]])
wsgi_app = wsgi.MediaMiddleware(None, [os.environ["MEDIA_DIR"]])
"""


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path_factory.mktemp(request.param)
    media = folder / "media"
    media.mkdir()
    app = "asgi_app" if request.param.endswith("asgi") else "wsgi_app"
    with running(request.param, MODULE, app, folder, MEDIA_DIR=str(media)) as found:
        yield found, media


def big_file(media: Path, name: str) -> Path:
    path = media / name
    path.write_bytes(b"0123456789abcdef" * (SIZE // 16))
    return path


def begin(server: Running, name: str) -> tuple[socket.socket, bytes]:
    """Ask for a file and read no more than the answer's head; a small buffer keeps the server from running ahead."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    client.settimeout(20)
    client.connect(("127.0.0.1", server.port))
    client.sendall(f"GET /media/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(4096)
    head, _, body = data.partition(b"\r\n\r\n")
    assert f"content-length: {SIZE}".encode() in head.lower()
    return client, body


def rest(client: socket.socket, received: int, want: int) -> int:
    """Read up to ``want`` bytes of body; return how many came before the server closed."""
    while received < want:
        try:
            data = client.recv(min(1 << 20, want - received))
        except ConnectionResetError:
            return received
        if not data:
            return received
        received += len(data)
    return received


def test_a_file_that_shrinks_breaks_the_connection_off(server: tuple[Running, Path]) -> None:
    found, media = server
    path = big_file(media, "shrinks.bin")
    client, body = begin(found, "shrinks.bin")
    with client:
        os.truncate(path, 100)
        # A server that waits for bytes which never come is a time-out here.
        assert rest(client, len(body), SIZE) < SIZE


def test_a_file_that_grows_is_cut(server: tuple[Running, Path]) -> None:
    found, media = server
    path = big_file(media, "grows.bin")
    client, body = begin(found, "grows.bin")
    with client:
        with path.open("ab") as file:
            file.write(b"!" * 1_000_000)
        assert rest(client, len(body), SIZE) == SIZE
        # The next answer on the same connection starts where the promise ended.
        client.sendall(b"GET /media/none HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 404 ")


def test_a_client_that_leaves_closes_the_file(server: tuple[Running, Path]) -> None:
    found, media = server
    path = big_file(media, "left.bin")
    clients = [begin(found, "left.bin")[0] for _ in range(6)]
    try:
        assert any(str(path) in name for name in found.open_files()), "it is being sent"
    finally:
        for client in clients:
            client.close()
    end = time.monotonic() + 20
    while any(str(path) in name for name in found.open_files()):
        assert time.monotonic() < end, "descriptors stay open after their clients have left"
        time.sleep(0.05)


def test_a_small_request_is_answered_beside_stalled_downloads(server: tuple[Running, Path]) -> None:
    found, media = server
    big_file(media, "stalled.bin")
    (media / "small.txt").write_text("hello")
    with contextlib.ExitStack() as clients:
        for _ in range(6):
            clients.enter_context(begin(found, "stalled.bin")[0])
        connection = found.http(timeout=5)
        connection.request("GET", "/media/small.txt")
        assert connection.getresponse().read() == b"hello"
        connection.close()
