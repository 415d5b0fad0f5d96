"""When to leave an origin alone: a breaker for one that does not answer, a budget for names that exist nowhere.

1. Three failures to answer in a row open the breaker: for ten seconds nobody asks, and the answer is at once that one
   cannot tell. Then one question goes through; its answer closes the breaker, its failure opens it for ten more.
2. Each name that the origin does not have costs one of a number of misses a minute. With none left nothing new is
   looked up: a crawler of invented names gets 503s, not the origin's attention. Names that exist cost nothing, and
   files that are known are fetched all the same.
3. Not answering is never "missing": whoever is turned away gets ``Unreachable`` or ``BackendUnavailable``.

A refused credential, or any other answer that says nothing of the key, is an answer: it closes the breaker.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, TypeVar

from ..backends.per_process import PerProcess
from ..core.errors import BackendUnavailable, Unreachable

FAILURES: Final = 3
OPEN_SECONDS: Final = 10.0
MISSES_A_MINUTE: Final = 600

log = logging.getLogger("mediamw")
T = TypeVar("T")


class _State:
    """What one process knows."""

    def __init__(self, misses: float, now: float) -> None:
        self.lock = threading.Lock()
        self.failures = 0
        self.last = ""  # what the last failure said
        self.open_until: float | None = None
        self.probing_until = 0.0  # somebody tries whether the origin is back; not believed for ever
        self.misses = misses  # how many are left,
        self.counted = now  # and when that was reckoned


class OriginHealth:
    """The health of one backend. ``clock`` in seconds, for tests; ``told`` is given one line when the breaker opens."""

    def __init__(
        self,
        backend: str,
        *,
        misses_a_minute: int = MISSES_A_MINUTE,
        told: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._misses = misses_a_minute
        self._told = told
        self._clock = clock
        self._state = PerProcess(lambda: _State(misses_a_minute, clock()))

    def check(self, *, is_lookup: bool = True) -> None:
        """Raise what whoever wants to ask now has to be told, if the origin is to be left alone."""
        state = self._state.get()
        with state.lock:
            self._check(state, is_lookup)

    def call(self, ask: Callable[[], T], *, is_lookup: bool = True) -> T:
        """Ask, unless the origin is to be left alone by now, and remember how that went.

        A look-up that returns None costs a miss.
        """
        state = self._state.get()
        with state.lock:
            self._check(state, is_lookup)
            if state.open_until is not None:
                state.probing_until = self._clock() + OPEN_SECONDS
        try:
            answer = ask()
        except Unreachable as error:
            self.failed(error.reason)
            raise
        except BaseException:
            self._answered(state)
            raise
        self._answered(state)
        if is_lookup and answer is None:
            with state.lock:
                self._count(state)
                state.misses -= 1
        return answer

    def watch(self, make: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Yield what ``make()`` gives, which asks as it goes: bodies, listings. Its failures are remembered too."""

        def begin() -> tuple[Iterator[T], list[T]]:
            items = make()
            return items, list(islice(items, 1))

        items, first = self.call(begin, is_lookup=False)
        try:
            yield from first
            yield from items
        except Unreachable as error:
            self.failed(error.reason)
            raise
        finally:
            close = getattr(items, "close", None)  # a generator's: gives its connection back
            if close is not None:
                close()

    def failed(self, reason: str) -> None:
        """Remember that the origin did not answer."""
        state = self._state.get()
        with state.lock:
            state.failures += 1
            state.last = reason
            if state.failures < FAILURES:
                return
            was_open = state.open_until is not None
            state.open_until = self._clock() + OPEN_SECONDS
            state.probing_until = 0.0
        if not was_open:
            self._told(
                f"backend {self._backend!r}: {FAILURES} failures in a row, so it is not asked for {OPEN_SECONDS:g} s; "
                f"the last one: {reason}"
            )

    def _answered(self, state: _State) -> None:
        with state.lock:
            was_open = state.open_until is not None
            state.failures = 0
            state.open_until = None
        if was_open:
            log.info("backend %r: it answers again", self._backend)

    def _check(self, state: _State, is_lookup: bool) -> None:
        now = self._clock()
        if state.open_until is not None:
            left = max(state.open_until, state.probing_until) - now
            if left > 0:
                raise Unreachable(
                    f"it did not answer {FAILURES} times in a row and is left alone; the last time: {state.last}",
                    backend=self._backend,
                    retry_after=math.ceil(left),
                )
        self._count(state)
        if is_lookup and state.misses < 1:
            raise BackendUnavailable(
                f"it was asked for {self._misses} names that it does not have, which is all that it is asked in a "
                "minute (misses_a_minute)",
                backend=self._backend,
                retry_after=math.ceil(60 / self._misses),
            )

    def _count(self, state: _State) -> None:
        now = self._clock()
        state.misses = min(self._misses, state.misses + (now - state.counted) * self._misses / 60)
        state.counted = now
