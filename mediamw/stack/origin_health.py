"""When to leave an origin alone: a breaker for one that does not answer, a budget for names that exist nowhere.

1. Three failures to answer in a row open the breaker: for ten seconds nobody asks, and the answer is at once that one
   cannot tell. Then one question goes through, while the others are turned away from the moment at which it is put into
   the queue; its answer closes the breaker, its failure, or that no thread was free in time, opens it for ten more.
2. An origin that says of a file that it failed (5xx) is up, and the file may be broken: what it says so of the same one
   counts once in a row. That nothing is answered counts each time, but for each question once: whoever waits for it
   counts its time-out, and how its thread ends later is not counted again.
3. Each name that the origin does not have, or cannot tell of, costs one of a number of misses in any minute. With none
   left nothing new is looked up: a crawler of invented names gets 503s, not the origin's attention. Names that exist
   cost nothing, and files that are known are fetched all the same. What is under way when the last is spent still ends.
4. Not answering is never "missing": whoever is turned away gets ``Unreachable`` or ``BackendUnavailable``.

A refused credential, or any other answer that says nothing of the key, is an answer: it closes the breaker. What was
found out without asking the origin (``answered`` False) is none: it changes nothing.
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
from .miss_budget import MissBudget
from .steps import QUESTION, Question

FAILURES: Final = 3
OPEN_SECONDS: Final = 10.0
MISSES_A_MINUTE: Final = 600

log = logging.getLogger("mediamw")
T = TypeVar("T")


class Probe:
    """The right to ask alone whether the origin is back. Not believed for ever, should it never be given back."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.has_begun = False


class _State:
    """What one process knows."""

    def __init__(self, misses_a_minute: int) -> None:
        self.lock = threading.Lock()
        self.failures = 0
        self.last = ""  # what the last failure said
        self.broken: set[str] = set()  # the keys that were counted; one for each failure at most
        self.open_until: float | None = None
        self.probe: Probe | None = None
        self.misses = MissBudget(misses_a_minute)


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
        self._state = PerProcess(lambda: _State(misses_a_minute))

    def admit(self, *, is_lookup: bool = True) -> Probe | None:
        """Raise what whoever wants to ask now has to be told, if the origin is to be left alone.

        Where one question may go through, the first who wants to ask has its place: nobody else is let in until it is
        answered, or given back by ``leave``.
        """
        state = self._state.get()
        with state.lock:
            return self._admit(state, is_lookup=is_lookup, begins=False)

    def leave(self, probe: Probe | None) -> None:
        """Give back what ``admit`` returned; needed only if nobody has begun to ask, harmless otherwise."""
        if probe is None:
            return
        state = self._state.get()
        with state.lock:
            if state.probe is probe and not probe.has_begun:
                state.probe = None

    def call(self, ask: Callable[[], T], *, key: str = "", is_lookup: bool = True) -> T:
        """Ask, unless the origin is to be left alone by now, and remember how that went.

        A look-up that returns None, or is answered that one cannot tell, costs a miss. ``key``: whom it is about.
        """
        state = self._state.get()
        with state.lock:
            # Who was admitted begins here. If it is another one, that one asks instead: what counts is that one does.
            probe = self._admit(state, is_lookup=is_lookup, begins=True)
        try:
            answer = ask()
        except Unreachable as error:
            self._failed(state, error, key)
            raise
        except BackendUnavailable as error:
            if error.answered:
                self._answered(state, is_miss=is_lookup)
            else:
                self._was_not_asked(state, probe)
            raise
        except BaseException:
            self._answered(state)
            raise
        self._answered(state, is_miss=is_lookup and answer is None)
        return answer

    def watch(self, make: Callable[[], Iterator[T]], key: str = "") -> Iterator[T]:
        """Yield what ``make()`` gives, which asks as it goes: bodies, listings. Its failures are remembered too."""

        def begin() -> tuple[Iterator[T], list[T]]:
            items = make()
            return items, list(islice(items, 1))

        items, first = self.call(begin, key=key, is_lookup=False)
        try:
            yield from first
            yield from items
        except Unreachable as error:
            self._failed(self._state.get(), error, key)
            raise
        finally:
            close = getattr(items, "close", None)  # a generator's: gives its connection back
            if close is not None:
                close()

    def timed_out(self, reason: str, question: Question | None = None) -> None:
        """Remember that ``question`` was not answered in time; once, however many waited for it."""
        state = self._state.get()
        with state.lock:
            if question is not None:
                if question.is_late:
                    return
                question.is_late = True
            opened = self._count(state, reason)
        if opened:
            self._tell(reason)

    def got_no_thread(self, probe: Probe | None) -> None:
        """Leave the origin alone for longer: who was to try it did not come to it in time."""
        state = self._state.get()
        with state.lock:
            if probe is not None and state.probe is probe:
                state.open_until = self._clock() + OPEN_SECONDS
                state.probe = None

    def _failed(self, state: _State, error: Unreachable, key: str) -> None:
        question = QUESTION.get()
        with state.lock:
            if question is not None and question.is_late:
                return  # whoever waited for it has counted it
            opened = self._count(state, error.reason, key if error.answered else "")
        if opened:
            self._tell(error.reason)

    def _count(self, state: _State, reason: str, key: str = "") -> bool:
        """Count a failure, of ``key`` alone if it is given, and return True if that opens the breaker."""
        if key and state.open_until is None:
            if key in state.broken:
                return False
            state.broken.add(key)
        state.failures += 1
        state.last = reason
        if state.failures < FAILURES:
            return False
        was_open = state.open_until is not None
        state.open_until = self._clock() + OPEN_SECONDS
        state.probe = None
        return not was_open

    def _tell(self, reason: str) -> None:
        self._told(
            f"backend {self._backend!r}: {FAILURES} failures in a row, so it is not asked for {OPEN_SECONDS:g} s; "
            f"the last one: {reason}"
        )

    def _was_not_asked(self, state: _State, probe: Probe | None) -> None:
        with state.lock:
            if probe is not None and state.probe is probe:
                state.probe = None  # the next one may try

    def _answered(self, state: _State, *, is_miss: bool = False) -> None:
        with state.lock:
            was_open = state.open_until is not None
            state.failures = 0
            state.broken.clear()
            state.open_until = state.probe = None
            if is_miss:
                state.misses.spend(self._clock())
        if was_open:
            log.info("backend %r: it answers again", self._backend)

    def _admit(self, state: _State, *, is_lookup: bool, begins: bool) -> Probe | None:
        now = self._clock()
        probe = state.probe if state.probe is not None and state.probe.until > now else None
        if state.open_until is not None:
            left = state.open_until - now
            if probe is not None and (probe.has_begun or not begins):
                left = max(left, probe.until - now)
            if left > 0:
                raise Unreachable(
                    f"it did not answer {FAILURES} times in a row and is left alone; the last time: {state.last}",
                    backend=self._backend,
                    retry_after=math.ceil(left),
                )
        wait = state.misses.wait(now) if is_lookup else 0.0
        if wait > 0:
            raise BackendUnavailable(
                f"it was asked for {self._misses} names that it does not have, or cannot tell of, which is all that it "
                "is asked in a minute (misses_a_minute)",
                backend=self._backend,
                retry_after=math.ceil(wait),
                answered=False,
            )
        if state.open_until is None:
            return None
        if probe is None:
            probe = state.probe = Probe(now + OPEN_SECONDS)
        probe.has_begun = probe.has_begun or begins
        return probe
