"""FaultProxy: TCP to a port of this machine, with faults that can be switched while connections are open.

    with FaultProxy(s3.port) as proxy:
        backend = S3Backend("prod", endpoint_url=proxy.url, ...)
        proxy.fault = BLACK_HOLE
        ...
        proxy.fault = HEALTHY

Rules:

1. A fault counts for live connections too, from the next byte on: a black hole holds what was under way, and lets it go
   on when it ends, as a network that lost packets does. What a black hole holds is counted as seen.
2. ``REFUSE`` and ``reset("accept")`` reset the live connections too. The port stays ours all the while.
3. Requests are heads (``...\\r\\n\\r\\n``) that clients sent; an answer begins with the request before it. Nobody here
   pipelines or has empty lines in request bodies. In TLS there are no heads: all bytes count as body.
4. Waits end early when the fault is switched; nothing outlives the ``with`` block.
"""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from typing import Literal, NamedTuple, Self

from .connection import Connection
from .fault import (
    BLACK_HOLE,
    CONNECT_HANGS,
    HEALTHY,
    REFUSE,
    Fault,
    bandwidth,
    drip,
    latency,
    reset,
    sliced,
    slow_first_byte,
    truncated,
)
from .listener import JOIN_SECONDS, readable

__all__ = [
    "BLACK_HOLE",
    "CONNECT_HANGS",
    "HEALTHY",
    "REFUSE",
    "Fault",
    "FaultProxy",
    "Seen",
    "bandwidth",
    "drip",
    "latency",
    "reset",
    "sliced",
    "slow_first_byte",
    "truncated",
]

_BACKLOG = 128
_MAX_FILLERS = 16


class Seen(NamedTuple):
    """What the proxy saw: a new connection, or a request with its first line; ``at`` by time.monotonic."""

    at: float
    kind: Literal["connection", "request"]
    line: str = ""


class FaultProxy:
    """A context manager; forwards to ``upstream_port`` on 127.0.0.1 as ``fault`` has it. The module has the rules."""

    def __init__(self, upstream_port: int, fault: Fault = HEALTHY) -> None:
        self.upstream_port = upstream_port
        self.log: list[Seen] = []
        self.closing = False
        self._switching = threading.Lock()
        self._lock = threading.Lock()  # never held while a thread is waited for
        self._once: list[Fault] = []
        self._live: set[Connection] = set()
        self._threads: list[threading.Thread] = []
        self._fillers: dict[object, socket.socket] = {}  # by their own address
        self._listener: socket.socket | None = None
        self._accepting: tuple[threading.Thread, socket.socket] | None = None  # and what wakes it
        self._holder = _bound(0)  # never listens: it keeps the port while nobody does
        self.port = int(self._holder.getsockname()[1])
        self._fault = HEALTHY
        self.fault = fault

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def fault(self) -> Fault:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        """Switch. When this returns, new connections and new bytes meet the new fault."""
        with self._switching:
            self._stop_accepting()
            self._fault = fault
            if fault.refuse:
                self._close_listener()
            elif fault.connect_hangs:
                self._fill(self._listen())
            else:
                self._start_accepting(self._listen())
            with self._lock:
                for connection in self._live:
                    connection.wake()

    def once(self, *faults: Fault) -> None:
        """Have the next requests meet these instead, one each. None of them may be of those that connecting meets."""
        if any(fault.refuse or fault.connect_hangs or fault.reset == "accept" for fault in faults):
            raise ValueError("a request cannot meet what its connection meets: set fault")
        with self._lock:
            self._once += faults

    @property
    def connections(self) -> int:
        """How many were accepted so far."""
        return sum(seen.kind == "connection" for seen in list(self.log))

    @property
    def requests(self) -> int:
        """How many came so far, answered or not."""
        return sum(seen.kind == "request" for seen in list(self.log))

    @property
    def open_connections(self) -> int:
        return len(self._live)

    def close(self) -> None:
        with self._switching:
            self._stop_accepting()
            self._close_listener()
            self._holder.close()
        with self._lock:
            self.closing = True
            for connection in self._live:
                connection.wake()
                connection.shut()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
            assert not thread.is_alive(), f"{thread.name} has not ended"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- what the connections call -----------------------------------------------------------------------------------

    def saw_request(self, line: str) -> Fault | None:
        """Note a request; return the fault that is for it alone."""
        with self._lock:
            self.log.append(Seen(time.monotonic(), "request", line))
            return self._once.pop(0) if self._once else None

    def gone(self, connection: Connection) -> None:
        with self._lock:
            self._live.discard(connection)

    # -- listening -----------------------------------------------------------------------------------------------------

    def _listen(self) -> socket.socket:
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.setblocking(False)
        self._listener.listen(_BACKLOG)  # again, if a fault had made it 0
        return self._listener

    def _close_listener(self) -> None:
        self._drop_fillers()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _start_accepting(self, listener: socket.socket) -> None:
        waiting, waker = socket.socketpair()
        fillers = set(self._fillers)
        self._drop_fillers()
        thread = threading.Thread(target=self._accept, args=(listener, waiting, fillers), name="accept", daemon=True)
        self._accepting = thread, waker
        thread.start()

    def _stop_accepting(self) -> None:
        if self._accepting is not None:
            thread, waker = self._accepting
            self._accepting = None
            waker.close()
            thread.join(JOIN_SECONDS)

    def _accept(self, listener: socket.socket, waiting: socket.socket, fillers: set[object]) -> None:
        with waiting:
            while waiting not in readable(listener, waiting):
                try:
                    accepted, peer = listener.accept()
                except OSError:  # it hung up before
                    continue
                if peer in fillers:
                    accepted.close()
                    continue
                accepted.setblocking(True)
                connection = Connection(self, accepted)
                thread = threading.Thread(target=connection.run, name=f"proxy {self.port}", daemon=True)
                with self._lock:
                    self.log.append(Seen(time.monotonic(), "connection"))
                    self._live.add(connection)
                    self._threads = [each for each in self._threads if each.is_alive()] + [thread]
                thread.start()

    def _fill(self, listener: socket.socket) -> None:
        """Fill the queue of those that nobody has accepted: Linux drops the SYNs of all others."""
        listener.listen(0)
        for _ in range(_MAX_FILLERS):
            filler = socket.socket()
            filler.settimeout(0.1)
            try:
                filler.connect(("127.0.0.1", self.port))
            except TimeoutError:
                filler.close()
                return
            self._fillers[filler.getsockname()] = filler
        raise RuntimeError("a full queue does not make connecting hang on this system")

    def _drop_fillers(self) -> None:
        for filler in self._fillers.values():
            filler.close()
        self._fillers.clear()


def _bound(port: int) -> socket.socket:
    """A socket on 127.0.0.1 that shares its port with another one of ours."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made
