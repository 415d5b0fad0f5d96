"""Ctrl-C, SIGTERM and a closed terminal as something to wait for, not as an exception or a sudden death.

An exception could strike anywhere, between making a temporary directory and remembering to remove it. And a handler in
Python runs only when the main thread runs Python again: one that waits for a lock may sleep through the signal. So the
interpreter itself writes a byte into a socket, from whichever thread the system interrupts.
"""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager


class StopSignals:
    """What arrived; made by ``stop_signals``."""

    def __init__(self, reader: socket.socket) -> None:
        self._reader = reader

    def arrived(self) -> bool:
        """Say whether one came."""
        return bool(select.select([self._reader], [], [], 0)[0])

    def wait(self) -> None:
        """Wait for one."""
        self._reader.recv(1, socket.MSG_PEEK)


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Catch the signals inside the block, which only a program's main thread can do."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        numbers.append(signal.SIGHUP)
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
        try:
            yield StopSignals(reader)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
