"""An origin with files of any size that take no room: their bytes follow from the offset."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_BLOCK = bytes(range(251)) * 1100


def content(start: int, stop: int) -> bytes:
    """The bytes of every file from ``start`` to ``stop``, at most 256 KiB."""
    offset = start % 251
    return _BLOCK[offset : offset + stop - start]


@dataclass
class File:
    """``length`` False: no Content-Length is sent. After ``cut_at`` bytes of the file the connection ends, ``cuts``
    times."""

    size: int
    etag: str | None = '"v1"'
    length: bool = True
    chunked: bool = False
    cut_at: int | None = None
    cuts: int = 1_000_000


@dataclass
class BigOrigin:
    """What it has, and what it was asked."""

    url: str
    files: dict[str, File]
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """(method, path, Range)"""


@contextmanager
def big_origin(files: dict[str, File]) -> Iterator[BigOrigin]:
    """Serve ``files`` below ``/media/`` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            origin.requests.append((self.command, self.path, self.headers.get("Range")))
            file = files.get(self.path.removeprefix("/media/"))
            if file is None:
                self.send_error(404)
                return
            if self.headers.get("If-Match", file.etag) != file.etag:
                self.send_error(412)
                return
            start, stop = 0, file.size
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if wanted and file.length:
                start, stop = int(wanted[1]), min(int(wanted[2]) + 1, file.size)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{file.size}")
            else:
                self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            if file.etag is not None:
                self.send_header("ETag", file.etag)
            if file.length:
                self.send_header("Content-Length", str(stop - start))
            elif file.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if with_body:
                self._body(file, start, stop)

        def _body(self, file: File, start: int, stop: int) -> None:
            while start < stop:
                if file.cut_at is not None and start >= file.cut_at and file.cuts:
                    file.cuts -= 1
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                data = content(start, min(start + 65536, stop, file.cut_at if file.cut_at and file.cuts else stop))
                head, tail = (f"{len(data):x}\r\n".encode(), b"\r\n") if file.chunked else (b"", b"")
                try:
                    self.wfile.write(head + data + tail)
                except OSError:  # the client left
                    self.close_connection = True
                    return
                start += len(data)
            if file.chunked:
                self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *args: Any) -> None:
            """A client that leaves is no error."""

    server = Server(("127.0.0.1", 0), Handler)
    origin = BigOrigin(f"http://127.0.0.1:{server.server_port}/media/", files)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield origin
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
