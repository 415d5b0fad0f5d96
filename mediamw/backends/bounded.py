"""What is remembered within a bound."""

from __future__ import annotations

from threading import Lock
from typing import TypeVar

from .per_process import PerProcess

K = TypeVar("K")
V = TypeVar("V")


class Bounded(dict[K, V]):
    """A dict that ``put`` keeps to so many values: where there is no room any of them goes.

    The oldest would go just before it is asked for again, where more are asked for in turn than there is room for.
    Reading is a dict's own, and needs no lock.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._order: list[K] = []
        self._lock = PerProcess(Lock)

    def put(self, key: K, value: V) -> None:
        """Keep ``value``, in the place of another one if need be."""
        with self._lock.get():
            if key not in self:
                if len(self._order) < self._room:
                    self._order.append(key)
                else:
                    at = hash(key) % self._room  # by chance, as far as keys are concerned
                    self.pop(self._order[at], None)  # not there if a fork came between
                    self._order[at] = key
            self[key] = value
