"""What remote backends said, remembered for a while; and one question at a time for each key.

Bounds: 50,000 answers and 16 MiB, the least recently used go first. Presence is believed for ``found_ttl`` seconds,
absence for ``missing_ttl``, and that one cannot tell is not remembered at all. Local backends are never in here: a file
that another process writes shows at the next request.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from typing import Final, NamedTuple

from cachetools import TLRUCache

from ..backends.base import Backend, Remote
from ..core.keys import Key
from .steps import Pool

MAX_ANSWERS = 50_000
MAX_BYTES = 16 * 1024 * 1024
# Of one answer beside its texts, measured: tuples, Meta, and what the cache keeps of evicted ones.
_OVERHEAD_BYTES = 800


class Unknown(Enum):
    """The value of a key that was not asked for, or too long ago."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

Flight = Future[Remote | None]
_Id = tuple[str, Key]


class _Remembered(NamedTuple):
    answer: Remote | None
    size: int


class _State:
    """What belongs to one process: a forked child has no thread that would answer, and a lock may be held for good."""

    def __init__(self, answers: TLRUCache[_Id, _Remembered]) -> None:
        self.lock = threading.Lock()
        self.answers = answers
        self.flights: dict[_Id, Flight] = {}
        self.waiting: dict[Flight, int] = {}  # how many wait for a flight
        self.backends: set[str] = set()  # the names of those that were asked


class Lookups:
    """The answers of the remote backends of one stack. ``pool_of`` gives the threads that ask a backend, by its name:
    each has its own, so that a dead one does not keep the others waiting. ``clock`` in seconds, for tests."""

    def __init__(
        self,
        pool_of: Callable[[str], Pool],
        *,
        found_ttl: float,
        missing_ttl: float,
        max_answers: int = MAX_ANSWERS,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # One size for both bounds: every answer counts at least its share of the bytes.
        least = -(-max_bytes // max_answers)

        def expires(_id: _Id, value: _Remembered, now: float) -> float:
            return now + (missing_ttl if value.answer is None else found_ttl)

        def new_state() -> _State:
            return _State(
                TLRUCache(max_bytes, ttu=expires, timer=clock, getsizeof=lambda value: max(value.size, least))
            )

        self._pool_of = pool_of
        self._new_state = new_state
        self._states: dict[int, _State] = {}  # by process; one assignment or setdefault, so no lock

    def __len__(self) -> int:
        state = self._state()
        with state.lock:
            return len(state.answers)

    def known(self, backend: Backend, key: Key) -> Remote | Unknown | None:
        """Return what is remembered, or ``UNKNOWN``."""
        state = self._state()
        with state.lock:
            found = state.answers.get((backend.name, key))
        return UNKNOWN if found is None else found.answer

    def ask(self, backend: Backend, key: Key) -> Flight:
        """Ask ``backend`` on its pool, unless somebody is asking already; the future has the answer.

        Who does not wait for it to the end calls ``leave``.
        """
        state = self._state()
        identity = (backend.name, key)
        with state.lock:
            found = state.answers.get(identity)
            if found is not None:  # somebody's answer came after the caller looked
                flight: Flight = Future()
                flight.set_result(found.answer)
                return flight
            if identity in state.flights:
                flight = state.flights[identity]
                state.waiting[flight] += 1
                return flight
            flight = state.flights[identity] = self._pool_of(backend.name).submit(_open_remote, backend, key)
            state.waiting[flight] = 1
            state.backends.add(backend.name)
        # Outside the lock: a future that is done calls back at once.
        flight.add_done_callback(lambda done: _landed(state, identity, done))
        return flight

    def leave(self, backend: Backend, key: Key, flight: Flight) -> None:
        """Wait no longer. A question that nobody waits for and nobody has begun to ask is dropped.

        This bounds the queue by those who wait: a flood of clients that give up leaves nothing behind.
        """
        state = self._state()
        identity = (backend.name, key)
        with state.lock:
            left = state.waiting.get(flight, 1) - 1
            if left > 0:
                state.waiting[flight] = left
                return
            if flight.running() or flight.done():
                return
            if state.flights.get(identity) is flight:
                del state.flights[identity]  # who asks from now on starts anew
        flight.cancel()  # outside the lock: it calls back at once

    def forget(self, key: Key) -> None:
        """Drop what is remembered of ``key``, and do not remember what is being asked now."""
        state = self._state()
        with state.lock:
            for backend in state.backends:
                state.answers.pop((backend, key), None)
                state.flights.pop((backend, key), None)

    def _state(self) -> _State:
        pid = os.getpid()
        state = self._states.get(pid)
        return state if state is not None else self._states.setdefault(pid, self._new_state())


def _open_remote(backend: Backend, key: Key) -> Remote | None:
    answer = backend.open(key)
    if answer is not None and not isinstance(answer, Remote):
        answer.close()
        raise TypeError(
            f"backend {backend.name!r} signs or reads ranges, so its answers are shared: it has to answer Remote or "
            "None, not an open file"
        )
    return answer


def _landed(state: _State, identity: _Id, flight: Flight) -> None:
    with state.lock:
        state.waiting.pop(flight, None)
        if state.flights.get(identity) is not flight:
            return  # forgotten meanwhile
        del state.flights[identity]
        if flight.cancelled() or flight.exception() is not None:
            return
        answer = flight.result()
        state.answers[identity] = _Remembered(answer, _bytes_of(identity, answer))


def _bytes_of(identity: _Id, answer: Remote | None) -> int:
    """Estimate the memory of an answer, in bytes."""
    texts: list[str | None] = [identity[1]]
    if answer is not None:
        texts += [answer.meta.etag, answer.meta.content_type, answer.meta.content_encoding]
    return _OVERHEAD_BYTES + sum(sys.getsizeof(text) for text in texts if text is not None)
