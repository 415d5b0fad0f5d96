"""Files of an origin through real servers: bounded memory, and nothing that broke off passed off as whole."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from .big_origin import BigOrigin, File, big_origin, content
from .servers import Running, running

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
SERVERS = ("uvicorn-asgi", "granian-asgi", "gunicorn-wsgi-64", "granian-wsgi-64")
MODULE = """
import os
from mediamw import HTTPOriginBackend, MemoryBackend, MediaStack, asgi, wsgi
stack = MediaStack([MemoryBackend(), HTTPOriginBackend(os.environ["ORIGIN"], delivery="proxy")])
asgi_app = asgi.MediaMiddleware(None, stack)
wsgi_app = wsgi.MediaMiddleware(None, stack)
"""
FILES = {
    "1g.bin": File(1024 * MIB),
    "20m.bin": File(20 * MIB),
    "small.bin": File(1000),
    "chunked.bin": File(3 * MIB, etag=None, length=False, chunked=True),
    "to-the-end.bin": File(3 * MIB, etag=None, length=False),
    "cut.bin": File(3 * MIB, etag=None, cut_at=MIB),
    "cut-chunked.bin": File(3 * MIB, etag=None, length=False, chunked=True, cut_at=MIB),
    "cut-small.bin": File(1000, etag=None, cut_at=500),
    "broken-once.bin": File(3 * MIB, cut_at=MIB),
}


@pytest.fixture(scope="module")
def origin() -> Iterator[BigOrigin]:
    with big_origin(dict(FILES)) as made:
        yield made


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, origin: BigOrigin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    name: str = request.param
    app = "asgi_app" if "asgi" in name else "wsgi_app"
    with running(name, MODULE, app, tmp_path_factory.mktemp(name), ORIGIN=origin.url) as found:
        yield found


def get(server: Running, name: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = server.http(30)
    try:
        connection.request("GET", f"/media/{name}", headers=headers or {})
        response = connection.getresponse()
        return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def of(start: int, stop: int) -> bytes:
    return b"".join(content(at, min(at + 65536, stop)) for at in range(start, stop, 65536))


@pytest.mark.parametrize("name", ["small.bin", "20m.bin", "chunked.bin", "to-the-end.bin"])
def test_whole_files(server: Running, name: str) -> None:
    status, headers, body = get(server, name)
    file = FILES[name]
    assert (status, len(body)) == (200, file.size)
    assert hashlib.sha256(body).digest() == hashlib.sha256(of(0, file.size)).digest()
    # Granian ends a WSGI answer that broke off as if it were whole: so it is copied first.
    has_length = file.length or server.name.startswith("granian-wsgi")
    assert headers.get("content-length") == (str(file.size) if has_length else None)
    assert ("accept-ranges" in headers) == has_length


@pytest.mark.parametrize(
    ("wanted", "parts"),
    [
        ("bytes=0-0", [(0, 1)]),
        (f"bytes={1000 * MIB}-{1000 * MIB + 200_000}", [(1000 * MIB, 1000 * MIB + 200_001)]),
        ("bytes=-5", [(1024 * MIB - 5, 1024 * MIB)]),
        (f"bytes=5-9,{900 * MIB}-{900 * MIB + 99}", [(5, 10), (900 * MIB, 900 * MIB + 100)]),
    ],
)
def test_ranges_of_a_gigabyte(server: Running, origin: BigOrigin, wanted: str, parts: list[tuple[int, int]]) -> None:
    status, _, body = get(server, "1g.bin", {"Range": wanted})
    assert status == 206
    if len(parts) == 1:
        assert body == of(*parts[0])
    for part in parts:
        assert of(*part) in body
    assert [asked for method, _, asked in origin.requests[-len(parts) :] if method == "GET"] == [
        f"bytes={start}-{stop - 1}" for start, stop in parts
    ]


@pytest.mark.parametrize("name", ["cut.bin", "cut-chunked.bin"])
def test_what_breaks_off_is_not_passed_off_as_whole(server: Running, name: str) -> None:
    with closing(server.http(30)) as connection:
        connection.request("GET", f"/media/{name}")
        with connection.getresponse() as response:
            if name == "cut-chunked.bin" and server.name.startswith("granian-wsgi"):  # copied before it is sent
                assert response.status == 503
                return
            assert response.status == 200
            with pytest.raises((HTTPException, OSError)):
                response.read()


@pytest.mark.parametrize(("name", "status"), [("chunked.bin", 200), ("cut-chunked.bin", 503)])
def test_who_speaks_http_1_0_gets_a_length(server: Running, name: str, status: int) -> None:
    """An answer without one ends with its connection, cut off or not: so the file is copied first."""
    with socket.create_connection(("127.0.0.1", server.port), 30) as client:
        client.sendall(f"GET /media/{name} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        with client.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    assert length is not None
    assert int(length[1]) == len(body)
    if status == 200:
        assert body == of(0, FILES[name].size)


def test_a_small_file_that_breaks_off_is_503(server: Running) -> None:
    assert get(server, "cut-small.bin")[0] == 503


def test_a_connection_that_breaks_off_is_taken_up_again(server: Running, origin: BigOrigin) -> None:
    """The origin ends the first connection at 1 MiB of the file."""
    origin.files["broken-once.bin"].cuts = 1
    before = len(origin.requests)
    status, _, body = get(server, "broken-once.bin")
    assert (status, body == of(0, 3 * MIB)) == (200, True)
    asked = [wanted for method, path, wanted in origin.requests[before:] if method == "GET" and "broken" in path]
    assert asked == [None, f"bytes={MIB}-{3 * MIB - 1}"]


def test_fifty_clients_of_a_gigabyte_half_of_them_stalled(server: Running) -> None:
    """At most 64 MiB above what the idle server has."""
    get(server, "small.bin")
    with at_most_64_mib_more(server), ExitStack() as stack:
        for _ in range(25):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
            client.settimeout(30)
            client.connect(("127.0.0.1", server.port))
            client.sendall(b"GET /media/1g.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(1) == b"H"
        with ThreadPoolExecutor(25) as threads:
            assert list(threads.map(lambda _: read_some(server, 16 * MIB), range(25))) == [True] * 25


def read_some(server: Running, length: int) -> bool:
    """Read the first ``length`` bytes of the gigabyte, and leave."""
    with closing(server.http(60)) as connection:
        connection.request("GET", "/media/1g.bin")
        with connection.getresponse() as response:
            position = 0
            while position < length:
                data = response.read(65536)
                assert data == content(position, position + 65536)
                position += len(data)
    return True


@contextmanager
def at_most_64_mib_more(server: Running) -> Iterator[None]:
    """Fail if the server takes more than 64 MiB above what it has now, idle, while the block runs."""
    idle = resident_bytes(server)
    peak, stop = [idle], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            peak.append(resident_bytes(server))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        stop.set()
        watching.join()
    assert max(peak) - idle <= 64 * MIB, f"{(max(peak) - idle) / MIB:.1f} MiB above idle"


def resident_bytes(server: Running) -> int:
    """What the server's processes have in memory, without what they share with files (Linux)."""
    total = 0
    for pid in server.pids():
        status = Path(f"/proc/{pid}/status")
        try:
            lines = status.read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
    return total


def test_nothing_is_left_open(server: Running, origin: BigOrigin) -> None:
    """After all that: no connection to the origin but those that are kept for the next request."""
    port = origin.url.split(":")[2].split("/")[0]
    end = time.monotonic() + 20
    while True:
        kept = connections_to(server, int(port))
        if kept <= 16:
            return
        assert time.monotonic() < end, f"{kept} connections to the origin"
        time.sleep(0.05)


def connections_to(server: Running, port: int) -> int:
    inodes = {link[8:-1] for link in server.open_files() if link.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[9] in inodes and row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)
