"""What remote backends said, remembered for a while; and one question at a time for each key.

Bounds: 50,000 answers and 16 MiB, the least recently used go first; 1,024 questions under way to each backend. Presence
is believed for ``found_ttl`` seconds, absence for ``missing_ttl``, and that one cannot tell is not remembered at all.
Presence is kept for ``stale_if_error`` seconds more, for when the backend cannot tell (RFC 5861, 4); absence never is.
Local backends and uppers are never in here: a file that another process writes shows at the next request.

A request that came through other sites with mediamw (Via) waits for nobody's question but those of the same way: two
sites that stand behind each other would wait for each other. What it finds is remembered. That it finds nothing is not,
since whoever it came through was not asked.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from ..backends.base import Backend, Remote
from ..backends.per_process import PerProcess
from ..core.errors import BackendUnavailable
from ..core.keys import Key
from .steps import Pool

if TYPE_CHECKING:
    from cachetools import TLRUCache

MAX_ANSWERS = 50_000
MAX_BYTES = 16 * 1024 * 1024
MAX_FLIGHTS = 1024
# Of one answer beside its texts, measured: tuples, Meta, and what the cache keeps of evicted ones.
_OVERHEAD_BYTES = 864


class Unknown(Enum):
    """The value of a key that was not asked for, or too long ago."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

Flight = Future[Remote | None]
_Id = tuple[str, Key]
_FlightId = tuple[str, Key, str]
"""The backend's name, the key, and through which sites the request came."""


class _Remembered(NamedTuple):
    answer: Remote | None
    size: int
    fresh_until: float


class _State:
    """What belongs to one process."""

    def __init__(self, answers: TLRUCache[_Id, _Remembered]) -> None:
        self.lock = threading.Lock()
        self.answers = answers
        self.flights: dict[_FlightId, Flight] = {}
        self.under_way: Counter[str] = Counter()  # how many flights each backend has
        self.waiting: dict[Flight, int] = {}  # how many wait for a flight

    def end(self, identity: _FlightId) -> None:
        """Have whoever asks from now on start anew."""
        if self.flights.pop(identity, None) is not None:
            self.under_way[identity[0]] -= 1


class Lookups:
    """The answers of the remote backends of one stack.

    ``pool_of`` gives the threads that ask a backend, by its name and the request's Via: each has its own, so that a
    dead one does not keep the others waiting. ``look`` is what such a thread does. ``clock`` in seconds, for tests.
    ``on_forget`` is told of keys that are forgotten, and with the backend of those that it turned out not to have.
    """

    def __init__(
        self,
        pool_of: Callable[[str, str], Pool],
        *,
        look: Callable[[Backend, Key, str], Remote | None],
        found_ttl: float,
        missing_ttl: float,
        stale_if_error: float = 0.0,
        max_answers: int = MAX_ANSWERS,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
        on_forget: Callable[[Key, str | None], None] = lambda _key, _backend: None,
    ) -> None:
        # One size for both bounds: every answer counts at least its share of the bytes.
        least = -(-max_bytes // max_answers)

        def expires(_id: _Id, value: _Remembered, _now: float) -> float:
            return value.fresh_until + (0.0 if value.answer is None else stale_if_error)

        def new_state() -> _State:
            from cachetools import TLRUCache  # once something is looked up

            return _State(
                TLRUCache(max_bytes, ttu=expires, timer=clock, getsizeof=lambda value: max(value.size, least))
            )

        self._pool_of = pool_of
        self._look = look
        self._ttl = {True: found_ttl, False: missing_ttl}
        self._clock = clock
        self._on_forget = on_forget
        self._state = PerProcess(new_state)

    def __len__(self) -> int:
        state = self._state.get()
        with state.lock:
            return len(state.answers)

    def known(self, backend: Backend, key: Key) -> Remote | Unknown | None:
        """Return what is remembered and still believed, or ``UNKNOWN``."""
        return self.believed(backend, key)[0]

    def believed(self, backend: Backend, key: Key) -> tuple[Remote | Unknown | None, float]:
        """Return what ``known`` does, and until when on the clock."""
        found = self._remembered(backend, key)
        if found is None or found.fresh_until <= self._clock():
            return UNKNOWN, 0.0
        return found.answer, found.fresh_until

    def is_over(self, until: float) -> bool:
        """Say whether what is believed ``until`` then is believed no longer."""
        return until <= self._clock()

    def stale(self, backend: Backend, key: Key) -> Remote | None:
        """Return what was found not too long ago: good enough if the backend cannot tell."""
        found = self._remembered(backend, key)
        return None if found is None else found.answer

    def ask(self, backend: Backend, key: Key, via: str = "") -> Flight:
        """Ask ``backend`` on its pool, unless somebody is asking already; the future has the answer.

        Who does not wait for it to the end calls ``leave``. Raises ``BackendUnavailable`` if too many are waiting.
        """
        state = self._state.get()
        identity = (backend.name, key, via)
        with state.lock:
            found = state.answers.get(identity[:2])
            if found is not None and found.fresh_until > self._clock():  # it came after the caller looked
                flight: Flight = Future()
                flight.set_result(found.answer)
                return flight
            if identity in state.flights:
                flight = state.flights[identity]
                state.waiting[flight] += 1
                return flight
            if state.under_way[backend.name] >= MAX_FLIGHTS:
                raise BackendUnavailable(f"{MAX_FLIGHTS} look-ups are waiting for it already", backend=backend.name)
            flight = self._pool_of(backend.name, via).submit(self._look, backend, key, via)
            state.flights[identity] = flight
            state.waiting[flight] = 1
            state.under_way[backend.name] += 1
        # Outside the lock: a future that is done calls back at once.
        flight.add_done_callback(lambda done: self._landed(state, identity, done))
        return flight

    def leave(self, backend: Backend, key: Key, flight: Flight, via: str = "") -> None:
        """Wait no longer. A question that nobody waits for and nobody has begun to ask is dropped.

        This bounds the queue by those who wait: a flood of clients that give up leaves nothing behind.
        """
        state = self._state.get()
        identity = (backend.name, key, via)
        with state.lock:
            left = state.waiting.get(flight, 1) - 1
            if left > 0:
                state.waiting[flight] = left
                return
            if flight.running() or flight.done():
                return
            if state.flights.get(identity) is flight:
                state.end(identity)
        flight.cancel()  # outside the lock: it calls back at once

    def forget(self, key: Key) -> None:
        """Drop what is remembered of ``key``, and do not remember what is being asked now."""
        state = self._state.get()
        with state.lock:
            for backend in state.under_way:
                state.answers.pop((backend, key), None)
            for identity in [each for each in state.flights if each[1] == key]:
                state.end(identity)
        self._on_forget(key, None)

    def _remembered(self, backend: Backend, key: Key) -> _Remembered | None:
        state = self._state.made()
        if state is None:  # nobody has been asked yet
            return None
        with state.lock:
            found: _Remembered | None = state.answers.get((backend.name, key))
        return found

    def _landed(self, state: _State, identity: _FlightId, flight: Flight) -> None:
        with state.lock:
            state.waiting.pop(flight, None)
            if state.flights.get(identity) is not flight:
                return  # forgotten meanwhile
            state.end(identity)
            if flight.cancelled() or flight.exception() is not None:
                return
            answer = flight.result()
            backend, key, via = identity
            if answer is None and via:
                return
            if answer is None:
                self._on_forget(key, backend)
            fresh_until = self._clock() + self._ttl[answer is not None]
            state.answers[backend, key] = _Remembered(answer, _bytes_of(key, answer), fresh_until)


def _bytes_of(key: Key, answer: Remote | None) -> int:
    """Estimate the memory of an answer, in bytes."""
    texts: list[str | None] = [key]
    if answer is not None:
        texts += [answer.meta.etag, answer.meta.content_type, answer.meta.content_encoding, answer.meta.filename]
    return _OVERHEAD_BYTES + sum(sys.getsizeof(text) for text in texts if text is not None)
