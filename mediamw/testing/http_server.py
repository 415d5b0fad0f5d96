"""A small HTTP/1.1 server for StrictS3: what came on the wire, byte for byte, and the answer back."""

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from .s3_request import HttpRequest

Answer = tuple[int, list[tuple[str, str]], bytes]

MAX_BODY_BYTES = 256 * 1024 * 1024  # moto holds every object in memory


class Server(ThreadingHTTPServer):
    """HTTP/1.1 with kept-alive connections, a thread for each.

    Not werkzeug's: that closes every connection after one answer, 10 ms late.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answer: Callable[[HttpRequest], Answer]) -> None:
        self.answer = answer
        self._lock = threading.Lock()
        self._live: dict[threading.Thread, socket.socket] = {}
        self._stopping = False
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise OSError(error.errno, f"StrictS3 cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="StrictS3", daemon=True)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's asks DNS for the host's name
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        with self._lock:
            self._stopping = True
            live = dict(self._live)
        for connection in live.values():
            with suppress(OSError):  # the client was faster
                connection.shutdown(socket.SHUT_RDWR)
        for thread in live:
            thread.join(timeout=5)
        self.server_close()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if not self._stopping:
                self._live[threading.current_thread()] = request
        if self._stopping:
            self.shutdown_request(request)
            return
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._live[threading.current_thread()]

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # clients hang up as they like
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """From the wire to HttpRequest, and the answer back."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # header and body are two writes

    def _serve(self) -> None:
        body = self._read_body()
        if body is None:
            self.close_connection = True
            return
        # Not self.path: http.server folds leading slashes, and they are signed.
        target = self.requestline.split()[1]
        if not target.startswith("/"):
            self.send_error(400)
            return
        status, headers, content = self.server.answer(
            HttpRequest(self.command, target, tuple(self.headers.items()), body)
        )
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if (
            self.command != "HEAD"
            and status not in (204, 304)
            and "content-length" not in {n.lower() for n, _ in headers}
        ):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = _serve

    def _read_body(self) -> bytes | None:
        """The whole body; None, after an error answer if one can be given, when there is no telling where it ends."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY_BYTES:
            self.send_error(400, explain=f"Content-Length must be a number up to {MAX_BODY_BYTES}")
            return None
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def _read_chunks(self) -> bytes | None:
        body = b""
        while True:
            size = self.rfile.readline(100).partition(b";")[0].strip()
            try:
                length = int(size, 16)
            except ValueError:
                length = -1
            if not 0 <= length <= MAX_BODY_BYTES - len(body):
                self.send_error(400, explain="bad chunk, or body too large")
                return None
            if length == 0:
                break
            body += self.rfile.read(length)
            self.rfile.readline(3)
        while self.rfile.readline(1000).strip():
            pass  # trailers
        return body

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: what came is in StrictS3.calls."""
