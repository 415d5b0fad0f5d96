"""What each process has for itself: a forked child inherits no thread, and maybe a lock that is held for good."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One value for each process, made when it is first asked for."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        # No lock, which a fork could leave held: setdefault is atomic, and a value that nobody uses harmless.
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """Return this process's value."""
        pid = os.getpid()
        value = self._values.get(pid)
        return value if value is not None else self._values.setdefault(pid, self._make())

    def made(self) -> T | None:
        """Return this process's value if it was asked for before."""
        return self._values.get(os.getpid())

    def pop(self) -> T | None:
        """Forget this process's value and return it."""
        return self._values.pop(os.getpid(), None)
