"""What the misbehaving servers of the fault tests share: a port, a thread for each connection, and an end to all of it.

Rules: the system chooses the port, on loopback; ``close`` returns when every thread has ended and every socket is
closed, whatever the peers do; a connection's thread may block in a socket that it gave to ``keep``, and nowhere else
but in ``Listener.closing``.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

MAX_HEAD_BYTES = 256 * 1024
JOIN_SECONDS = 10


class Listener:
    """Accepts connections and calls ``serve(connection)`` in a thread for each; ``serve`` need not close it.

    ``connections`` is how many came. ``closing`` is set when the end begins.
    """

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self.connections = 0
        self.closing = threading.Event()
        self._serve = serve
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._socket.getsockname()[1])
        self._accepting = threading.Thread(target=self._accept, name=f"accept {self.port}", daemon=True)
        self._accepting.start()

    def keep(self, made: socket.socket) -> socket.socket:
        """Have ``made`` shut down at the end, so that the thread that blocks in it wakes; return it."""
        with self._lock:
            self._sockets.add(made)
            if self.closing.is_set():
                shut(made)
        return made

    def drop(self, made: socket.socket) -> None:
        """Close ``made`` and forget it."""
        with self._lock:
            self._sockets.discard(made)
            made.close()

    def swap(self, old: socket.socket, new: socket.socket) -> socket.socket:
        """Keep ``new``, which took over the descriptor of ``old``, in its place; return it."""
        with self._lock:
            self._sockets.discard(old)
        return self.keep(new)

    def close(self) -> None:
        """End all threads and close all sockets. Harmless when closed."""
        self.closing.set()
        shut(self._socket)
        self._accepting.join(JOIN_SECONDS)
        self._socket.close()
        with self._lock:
            for each in self._sockets:
                shut(each)
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
            assert not thread.is_alive(), f"{thread.name} has not ended"

    def _accept(self) -> None:
        with suppress(OSError):  # shut
            while True:
                connection = self.keep(self._socket.accept()[0])
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = threading.Thread(target=self._run, args=(connection,), name=f"serve {self.port}", daemon=True)
                with self._lock:
                    self.connections += 1
                    self._threads = [each for each in self._threads if each.is_alive()] + [thread]
                thread.start()

    def _run(self, connection: socket.socket) -> None:
        try:
            with suppress(OSError):  # the peer hung up, or the end has come
                self._serve(connection)
        finally:
            self.drop(connection)


class Server:
    """A context manager around a ``Listener``; subclasses have ``serve``."""

    def __init__(self) -> None:
        self.listener = Listener(self.serve)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    @property
    def port(self) -> int:
        return self.listener.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return self.listener.connections

    def close(self) -> None:
        self.listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def readable(*sockets: socket.socket, timeout_s: float | None = None) -> list[socket.socket]:
    """Return those of ``sockets`` that have data, an end or an error; none after ``timeout_s``."""
    poll = select.poll()  # select() fails beyond 1,024 descriptors
    for each in sockets:
        poll.register(each, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(None if timeout_s is None else max(0, timeout_s) * 1000)}
    return [each for each in sockets if each.fileno() in ready]


def read_head(connection: socket.socket, rest: bytes = b"") -> tuple[bytes, bytes] | None:
    """Return a message's head with its empty line, and what came behind it; None if the peer hung up before."""
    while b"\r\n\r\n" not in rest:
        data = connection.recv(65536)
        if not data or len(rest) > MAX_HEAD_BYTES:
            return None
        rest += data
    head, end, rest = rest.partition(b"\r\n\r\n")
    return head + end, rest


def relay(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes both ways until one side ends."""
    while True:
        # What TLS has decrypted already does not show in poll().
        ready = [each for each in (one, other) if getattr(each, "pending", int)()] or readable(one, other)
        for each in ready:
            data = each.recv(65536)
            if not data:
                return
            (other if each is one else one).sendall(data)


def shut(connection: socket.socket) -> None:
    """End the connection by FIN. Whoever blocks in it wakes."""
    with suppress(OSError):  # it was ended already
        # Not SSLSocket's own, which would forget the TLS state under the thread that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    """End the connection by RST, once the peer's machine has all that was sent before (for at most 5 s)."""
    end = time.monotonic() + 5
    poll = select.poll()
    poll.register(connection, 0)  # that the peer is gone altogether is told all the same
    while unsent(connection) and not poll.poll(0) and time.monotonic() < end:
        time.sleep(0.001)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def unsent(connection: socket.socket) -> int:
    """Return the number of bytes sent that the peer's machine has not acknowledged. 0 where nobody tells."""
    if sys.platform != "linux":
        return 0
    answer = fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0")
    return int(struct.unpack("i", answer)[0])
