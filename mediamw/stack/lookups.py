"""What remote backends said, remembered for a while; and one question at a time for each key.

Bounds: 50,000 answers and 16 MiB, the least recently used go first. Presence is believed for ``found_ttl`` seconds,
absence for ``missing_ttl``, and that one cannot tell is not remembered at all. Local backends are never in here: a file
that another process writes shows at the next request.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from cachetools import TLRUCache

from ..backends.base import Backend, Remote
from ..core.keys import Key
from ..core.model import Handle
from .steps import Pool

MAX_ANSWERS = 50_000
MAX_BYTES = 16 * 1024 * 1024
_OVERHEAD_BYTES = 300  # of one answer: the tuple, the Meta, the cache's own entry


class Unknown(Enum):
    """The value of a key that was not asked for, or too long ago."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

Answer: TypeAlias = Handle | Remote | None
_Id = tuple[str, Key]


class _Remembered(NamedTuple):
    answer: Remote | None
    size: int


class Lookups:
    """The answers of the remote backends of one stack. ``clock`` in seconds, for tests."""

    def __init__(
        self,
        pool: Pool,
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

        self._pool = pool
        self._least = least
        self._lock = threading.Lock()
        self._answers: TLRUCache[_Id, _Remembered] = TLRUCache(
            max_bytes, ttu=expires, timer=clock, getsizeof=lambda value: max(value.size, least)
        )
        self._flights: dict[_Id, Future[Answer]] = {}
        self._pid = os.getpid()

    def __len__(self) -> int:
        with self._lock:
            return len(self._answers)

    def known(self, backend: Backend, key: Key) -> Remote | Unknown | None:
        """Return what is remembered, or ``UNKNOWN``."""
        self._check_fork()
        with self._lock:
            found = self._answers.get((backend.name, key))
        return UNKNOWN if found is None else found.answer

    def ask(self, backend: Backend, key: Key) -> Future[Answer]:
        """Ask ``backend`` on the network pool, unless somebody is asking already; the future has the answer."""
        self._check_fork()
        identity = (backend.name, key)
        with self._lock:
            flight = self._flights.get(identity)
            if flight is None:
                flight = self._flights[identity] = self._pool.submit(backend.open, key)
                first = True
            else:
                first = False
        if first:  # outside the lock: a future that is done calls back at once
            flight.add_done_callback(lambda done: self._landed(identity, done))
        return flight

    def forget(self, key: Key) -> None:
        """Drop what is remembered of ``key``, and do not remember what is being asked now."""
        with self._lock:
            for cached in [identity for identity in (*self._answers, *self._flights) if identity[1] == key]:
                self._answers.pop(cached, None)
                self._flights.pop(cached, None)

    def _landed(self, identity: _Id, flight: Future[Answer]) -> None:
        with self._lock:
            if self._flights.get(identity) is not flight:
                return  # forgotten meanwhile
            del self._flights[identity]
            if flight.cancelled() or flight.exception() is not None:
                return
            answer = flight.result()
            if answer is None or isinstance(answer, Remote):
                self._answers[identity] = _Remembered(answer, _bytes_of(identity, answer))

    def _check_fork(self) -> None:
        """In a forked child the threads that would answer are gone, and one of them may have held the lock."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._lock = threading.Lock()
            self._flights = {}


def _bytes_of(identity: _Id, answer: Remote | None) -> int:
    """Estimate the memory of an answer, in bytes: up to 4 bytes a character."""
    texts: list[str | None] = [identity[1]]
    if answer is not None:
        texts += [answer.meta.etag, answer.meta.content_type, answer.meta.content_encoding]
    return _OVERHEAD_BYTES + sum(4 * len(text) for text in texts if text is not None)
