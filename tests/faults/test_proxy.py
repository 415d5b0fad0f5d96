"""FaultProxy: each of its faults as a plain client sees it."""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from mediamw.testing.strict_s3 import StrictS3

from ..fakes import until
from .certificates import Certificates, TLSFront
from .conftest import BODY, PATH
from .proxy import (
    BLACK_HOLE,
    CONNECT_HANGS,
    HEALTHY,
    REFUSE,
    Fault,
    FaultProxy,
    bandwidth,
    drip,
    latency,
    reset,
    sliced,
    slow_first_byte,
    truncated,
)

REQUEST = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
HEAD = f"HEAD {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@pytest.fixture
def proxy(sound: StrictS3) -> Iterator[FaultProxy]:
    before = set(threading.enumerate())
    with FaultProxy(sound.port) as made:
        yield made
    assert made.open_connections == 0
    left = set(threading.enumerate()) - before
    # The sound server's end by themselves.
    assert all("process_request_thread" in thread.name for thread in left), left
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", made.port))


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as made:
        yield made


def get(client: http.client.HTTPConnection, method: str = "GET") -> bytes:
    client.request(method, PATH)
    with client.getresponse() as answer:
        assert answer.status == 200
        return answer.read()


def plain(proxy: FaultProxy, timeout: float = 10) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout)


def read_all(connection: socket.socket) -> tuple[bytes, str]:
    """What came, and how it ended."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        return data, "rst"
    return data, "fin"


def seconds_of(call: Callable[[], object]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def test_healthy(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    for _ in range(3):
        assert get(client) == BODY
    assert get(client, "HEAD") == b""
    assert (proxy.connections, proxy.requests, proxy.open_connections) == (1, 4, 1)
    assert [seen.line for seen in proxy.log if seen.kind == "request"][-2:] == [
        f"GET {PATH} HTTP/1.1",
        f"HEAD {PATH} HTTP/1.1",
    ]


def test_refuse_and_back_on_the_same_port(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    assert get(client) == BODY
    proxy.fault = REFUSE
    with pytest.raises(ConnectionError):  # the live one was reset
        get(client)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            plain(proxy)
    with pytest.raises(OSError, match="in use"), socket.socket() as other:  # nobody else gets the port meanwhile
        other.bind(("127.0.0.1", proxy.port))
    proxy.fault = HEALTHY
    client.close()
    assert get(client) == BODY
    assert proxy.connections == 2


def test_black_hole_takes_connections_and_is_silent(proxy: FaultProxy) -> None:
    proxy.fault = BLACK_HOLE
    with plain(proxy, 0.1) as connection:
        connection.sendall(HEAD)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert (proxy.connections, proxy.requests) == (1, 1)
        proxy.fault = HEALTHY
        connection.settimeout(10)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")  # what was lost is sent again


def test_black_hole_swallows_a_live_connection(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    get(client)
    assert client.sock is not None
    client.sock.settimeout(0.1)
    proxy.fault = BLACK_HOLE
    with pytest.raises(TimeoutError):
        get(client)
    client.close()
    until(lambda: proxy.open_connections == 0)  # a client that gives up is noticed


def test_black_hole_amid_a_body(proxy: FaultProxy) -> None:
    proxy.fault = Fault(piece_bytes=1000, piece_delay_s=0.001)
    with plain(proxy) as connection:
        connection.sendall(REQUEST)
        data = connection.recv(1000)
        proxy.fault = BLACK_HOLE
        connection.settimeout(0.1)
        try:
            while piece := connection.recv(65536):
                data += piece
        except TimeoutError:
            pass
        assert len(data) < len(BODY)
        proxy.fault = HEALTHY
        connection.settimeout(10)
        while not data.endswith(BODY):
            data += connection.recv(65536)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems answer when the queue is full")
def test_connecting_hangs(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    get(client)
    for _ in range(2):
        proxy.fault = CONNECT_HANGS
        for _ in range(3):
            with pytest.raises(TimeoutError):
                plain(proxy, 0.05)
        assert client.sock is not None
        client.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            get(client)
        client.close()
        count = proxy.connections
        proxy.fault = HEALTHY
        get(client)
        assert proxy.connections == count + 1  # those that fill the queue are not counted
    proxy.fault = CONNECT_HANGS
    proxy.fault = REFUSE
    with pytest.raises(ConnectionRefusedError):
        plain(proxy)


@pytest.mark.parametrize("at", ["accept", "request", "head"])
def test_reset(proxy: FaultProxy, at: str) -> None:
    proxy.fault = reset(at)  # type: ignore[arg-type]
    try:
        with plain(proxy) as connection:
            if at != "accept":
                connection.sendall(REQUEST)
            data, end = read_all(connection)
    except ConnectionResetError:  # before connecting was over
        assert at == "accept"
        data, end = b"", "rst"
    assert end == "rst"
    assert b"\r\n\r\n" not in data
    assert data.startswith(b"HTTP/1.1 2") == (at == "head")
    assert (proxy.connections, proxy.requests) == (1, at != "accept")


def test_reset_at_accept_ends_live_connections(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    get(client)
    proxy.fault = reset("accept")
    until(lambda: proxy.open_connections == 0)
    with pytest.raises(ConnectionResetError):
        get(client)


def test_slow_first_byte_is_for_each_request(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    proxy.fault = slow_first_byte(0.1)
    for _ in range(2):
        assert seconds_of(lambda: get(client)) >= 0.1


def test_latency_of_each_piece(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    proxy.fault = latency(0.02, 40_000)
    assert seconds_of(lambda: get(client)) >= 0.1  # 204,800 bytes: six pieces or more


def test_bandwidth(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    proxy.fault = bandwidth(1_000_000)
    assert 0.2 <= seconds_of(lambda: get(client)) < 2


def test_a_wait_ends_when_the_fault_does(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    proxy.fault = slow_first_byte(60)
    client.request("GET", PATH)
    until(lambda: proxy.requests == 1)
    proxy.fault = HEALTHY
    with client.getresponse() as answer:
        assert answer.read() == BODY


def test_slices(proxy: FaultProxy) -> None:
    proxy.fault = sliced(7)
    with plain(proxy) as connection:
        connection.sendall(HEAD)
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            piece = connection.recv(7)
            assert 0 < len(piece) <= 7
            data += piece
    proxy.fault = sliced(2000)
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as client:
        assert get(client) == BODY


def test_drip_never_ends(proxy: FaultProxy) -> None:
    proxy.fault = drip(0.002)
    with plain(proxy) as connection:
        connection.sendall(REQUEST)
        data = b""
        while len(data) < 60:
            piece = connection.recv(65536)
            assert piece
            data += piece
        assert data.startswith(b"HTTP/1.1 200 OK\r\nX-Drip: aaaa")
        assert b"\r\n\r\n" not in data
        proxy.fault = HEALTHY
        assert read_all(connection)[1] == "rst"


@pytest.mark.parametrize("by", ["fin", "rst"])
@pytest.mark.parametrize("after", [0, 1, 1000, 100_000])
@pytest.mark.parametrize("piece_bytes", [None, 50])
def test_truncated(proxy: FaultProxy, after: int, by: str, piece_bytes: int | None) -> None:
    proxy.fault = Fault(cut_after=after, cut_by=by, piece_bytes=piece_bytes)  # type: ignore[arg-type]
    with plain(proxy) as connection:
        connection.sendall(REQUEST)
        data, end = read_all(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    assert f"content-length: {len(BODY)}" in head.decode().lower()
    assert body == BODY[:after]
    assert end == by


def test_a_body_that_is_shorter_is_not_truncated(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    assert truncated(5, "rst") == Fault(cut_after=5, cut_by="rst")
    proxy.fault = truncated(len(BODY) + 1)
    assert [get(client), get(client, "HEAD"), get(client)] == [BODY, b"", BODY]
    assert proxy.connections == 1


def test_once(proxy: FaultProxy, client: http.client.HTTPConnection) -> None:
    proxy.once(reset("request"), truncated(10))
    with pytest.raises(ConnectionResetError):
        get(client)
    client.close()
    with pytest.raises(http.client.IncompleteRead):
        get(client)
    client.close()
    assert [get(client), get(client)] == [BODY, BODY]
    for fault in (REFUSE, CONNECT_HANGS, reset("accept")):
        with pytest.raises(ValueError, match="connection"):
            proxy.once(fault)


def test_no_upstream() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with FaultProxy(port) as proxy, plain(proxy) as connection:
        connection.sendall(REQUEST)
        assert read_all(connection) == (b"", "rst")


@pytest.mark.parametrize("fault", [slow_first_byte(60), bandwidth(1), BLACK_HOLE, drip(60)])
def test_the_end_waits_for_no_fault(sound: StrictS3, fault: Fault) -> None:
    with FaultProxy(sound.port, fault) as proxy, plain(proxy) as connection:
        connection.sendall(REQUEST)
        until(lambda: proxy.requests == 1)
        start = time.monotonic()
        proxy.close()
        assert time.monotonic() - start < 5


def test_the_end_waits_for_no_client(sound: StrictS3) -> None:
    sound.put("prod", "large", bytes(8_000_000))
    with FaultProxy(sound.port) as proxy, plain(proxy) as connection:
        connection.sendall(REQUEST.replace(b"photo.jpg", b"large"))
        connection.recv(1)  # and no more: the proxy's thread comes to block in its send


def test_tls_passes_and_is_cut_by_bytes(sound: StrictS3, certificates: Certificates) -> None:
    context = certificates.client_context()
    with TLSFront(sound.port, certificates) as front, FaultProxy(front.port) as proxy:
        client = http.client.HTTPSConnection("localhost", proxy.port, timeout=10, context=context)
        with closing(client):
            assert get(client) == BODY
            proxy.fault = truncated(5000)
            with pytest.raises((http.client.IncompleteRead, ssl.SSLError, ConnectionError)):
                get(client)
        assert (proxy.connections, proxy.requests) == (1, 0)
