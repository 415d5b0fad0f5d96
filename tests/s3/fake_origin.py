"""An origin made of a socket: it answers what it is told to, right or wrong."""

from __future__ import annotations

import contextlib
import socket
import threading

CLOSE = None  # the end of a connection


class Origin:
    """Answers the requests of all connections with ``script``, one after the other; None closes the connection."""

    def __init__(self, *script: bytes | None) -> None:
        self.script = list(script)
        self.requests: list[bytes] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.open: list[socket.socket] = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection = self.listener.accept()[0]
                self.open.append(connection)
                self.connections += 1
                threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while True:
                request = b""
                while b"\r\n\r\n" not in request:
                    data = connection.recv(65536)
                    if not data:
                        return
                    request += data
                with self.lock:
                    self.requests.append(request)
                    answer = self.script.pop(0) if self.script else b""
                    closes = bool(self.script) and self.script[0] is None and answer is not None
                    if closes:
                        self.script.pop(0)
                if answer is None:
                    return
                connection.sendall(answer)
                if closes:
                    return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
