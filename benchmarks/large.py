"""A file of 100 MB: CPU time, memory, and what small requests feel of downloads that stall.

Memory is how much that of the server's processes grows (PSS: what they share is divided), by the client: with 8 that
download at once, at its highest, and with 32 that read the head of an answer and then nothing.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from contextlib import ExitStack

from benchmarks.contenders import FILES, Contender, installed
from benchmarks.report import Column, Table
from benchmarks.serving import Server
from benchmarks.setting import BIG, BIG_BYTES, BIG_SMOKE_BYTES, Media, Options

CPU, DOWNLOAD, STALLED = "CPU of the server", "memory, each of 8 downloads", "memory, each of 32 stalled"
QUIET, BESIDE, SLOWER = "10 KB alone", "10 KB beside 8 stalled downloads", "which is slower by"
COLUMNS = (
    Column(CPU, "s/GB"),
    Column(DOWNLOAD, "MiB"),
    Column(STALLED, "MiB"),
    Column(QUIET, "ms"),
    Column(BESIDE, "ms"),
    Column(SLOWER, "times"),
)
SERVERS = {
    "uvicorn": ("asgi", ("mediamw", "Starlette StaticFiles", "ServeStatic, indexed")),
    "granian, ASGI": ("asgi", ("mediamw", "Starlette StaticFiles")),
    "gunicorn": ("wsgi", ("mediamw", "WhiteNoise, indexed")),
    "granian, many threads": ("wsgi", ("mediamw", "WhiteNoise, indexed")),
}
THREADS = 64  # a stalled client holds one of a WSGI server's


def run(media: Media, options: Options) -> list[Table]:
    """Measure behind each server."""
    tables = []
    for server, (interface, names) in SERVERS.items():
        table = Table(f"100 MB, {server}", COLUMNS)
        contenders = installed(FILES[interface], *names)
        for _ in range(options.rounds):
            for name, contender in contenders.items():
                app = f"files/{interface}/{name}"
                with Server(server, media, app, threads=THREADS) as running:
                    _cpu(table, name, running, contender, media, options)
                with Server(server, media, app, threads=THREADS) as running:  # whose memory nothing has used yet
                    _memory(table, name, running, contender, media, options)
        tables.append(table)
    return tables


def _cpu(table: Table, name: str, server: Server, contender: Contender, media: Media, options: Options) -> None:
    path, size = contender.url(media, BIG), BIG_SMOKE_BYTES if options.smoke else BIG_BYTES
    buffer = bytearray(1 << 20)
    _download(server.port, path, buffer)
    before, count = server.cpu_seconds(), options.few(10, 1)
    for _ in range(count):
        got = _download(server.port, path, buffer)
        assert got > size, got  # the body, and a head
    table.add(name, CPU, (server.cpu_seconds() - before) / (count * size / 1e9))


def _memory(table: Table, name: str, server: Server, contender: Contender, media: Media, options: Options) -> None:
    path, small = contender.url(media, BIG), contender.url(media, "small.jpg")
    _wake(server, small)
    alone = _latency(server, small, options)
    table.add(name, QUIET, alone)
    before, most = server.memory_bytes(), 0
    clients = [threading.Thread(target=_download, args=(server.port, path, bytearray(1 << 18))) for _ in range(8)]
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients):
        most = max(most, server.memory_bytes())
        time.sleep(0.005)
    table.add(name, DOWNLOAD, (most - before) / len(clients) / (1 << 20))
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(_stalled(server.port, path))
        beside = _latency(server, small, options)
    table.add(name, BESIDE, beside)
    table.add(name, SLOWER, beside / alone)
    count = options.few(32, 2)
    time.sleep(options.few(10, 1) / 10)  # the server has seen that they left; what it keeps of them counts all the same
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(_stalled(server.port, path))
        time.sleep(options.few(10, 1) / 10)  # until the sockets are full
        table.add(name, STALLED, (server.memory_bytes() - before) / count / (1 << 20))


def _asked(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 60)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    return connection


def _download(port: int, path: str, buffer: bytearray) -> int:
    """Read an answer and throw it away; return its bytes."""
    total = 0
    with _asked(port, path) as connection:
        while size := connection.recv_into(buffer):
            total += size
    return total


def _stalled(port: int, path: str) -> socket.socket:
    """Return a connection whose answer has begun, and which nobody reads."""
    connection = _asked(port, path)
    head = connection.recv(12)
    assert head.startswith(b"HTTP/1.1 200"), head
    return connection


def _wake(server: Server, path: str) -> None:
    """Ask as many at once as will stall, so that the server's threads are there."""
    clients = [threading.Thread(target=server.get, args=(path,)) for _ in range(32)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()


def _latency(server: Server, path: str, options: Options) -> float:
    """Return milliseconds for a small request, the median, over one connection."""
    connection, took = server.connect(), []
    for _ in range(options.few(500, 3)):
        started = time.perf_counter()
        connection.request("GET", path)
        connection.getresponse().read()
        took.append(time.perf_counter() - started)
    connection.close()
    return statistics.median(took) * 1000
