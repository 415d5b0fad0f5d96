"""A bound on how long a thread may wait for an answer as a whole; socket time-outs bound only each read of it.

An origin that drips one byte of a header every four seconds never hits a time-out of five. So one daemon thread in a
process, started when it is first needed, shuts down the sockets of those whose time is over: their threads wake up and
find the connection ended.

Rules:

1. What is shut down is a duplicate of the descriptor, which its ``Deadline`` owns: TLS may wrap the socket meanwhile,
   and the connection may be closed and its number given to another file, which is never touched.
2. A forked child starts a watchdog of its own; its parent's thread and lock do not exist there.
3. The deadlines are a set, not a heap: there are as many as threads that wait, and they are looked through once for
   each time the watchdog wakes up, which is when the earliest of them would be over.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress


class Deadline:
    """Ends the connections that it watches once ``until`` (on the monotonic clock) is over.

    Used by one thread, the one that waits, which releases it.
    """

    def __init__(self, until: float) -> None:
        self.until = until
        self.is_over = False
        """True if it was this that ended the connections."""
        self._held: list[socket.socket] = []
        self._dog = _dog

    def left(self) -> float:
        """Return the seconds that are left, 0 if none."""
        return max(self.until - time.monotonic(), 0.0)

    def watch(self, connection: socket.socket) -> None:
        """Have ``connection`` shut down when the time is over, which may be now."""
        try:
            double = socket.socket(fileno=os.dup(connection.fileno()))
        except OSError:  # closed already, or no descriptor is left: then its read time-outs have to do
            return
        self._dog.watch(self, double)

    def release(self) -> None:
        """Watch no more. May be called twice."""
        self._dog.release(self)

    def _hold(self, double: socket.socket) -> None:
        self._held.append(double)

    def _end(self) -> None:
        self.is_over = True
        for double in self._held:
            with suppress(OSError):  # the other side was faster
                double.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        while self._held:
            self._held.pop().close()


class _Watchdog:
    """The thread and what it watches; the lock is held while descriptors are shut down or closed, never for a wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._watched: set[Deadline] = set()
        self._thread: threading.Thread | None = None
        self._wakes = float("inf")

    def watch(self, deadline: Deadline, double: socket.socket) -> None:
        with self._changed:
            deadline._hold(double)
            self._watched.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mediamw-watchdog", daemon=True)
                self._thread.start()
            if deadline.until < self._wakes:
                self._changed.notify()

    def release(self, deadline: Deadline) -> None:
        with self._changed:
            self._watched.discard(deadline)
            deadline._let_go()

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for deadline in [one for one in self._watched if one.until <= now]:
                    self._watched.discard(deadline)
                    deadline._end()
                self._wakes = min((one.until for one in self._watched), default=float("inf"))
                self._changed.wait(None if self._wakes == float("inf") else self._wakes - now)


_dog = _Watchdog()


def _begin_anew() -> None:
    global _dog
    _dog = _Watchdog()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
