"""Asking an upper that lies across a network: each time, a file and its whiteout at once, and nothing remembered.

1. No answer is shared, not even by those who ask at the same moment: a question that was put before an upload ended
   does not know of it.
2. A file that is found is the answer. That there is none has to be seen twice: the two questions of one round arrive
   in any order, so an upload or a delete between them may look like neither file nor whiteout. A whiteout counts if
   there was no file in the round before, absence if both saw neither. ``tests/test_interleavings_remote.py`` walks the
   orders in which one writer meets this; two whole writes within the two rounds of one reader may still deceive it.
3. All rounds together have the time of one look-up. An upper that does not answer is left alone for a while, as every
   origin, and whoever asks is told so: it is never answered for by others.
4. What it does not have costs no miss: every file of a lower is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from ..backends.base import Backend, Remote
from ..core.errors import Unreachable
from ..core.keys import Key
from ..core.model import Hidden
from .origin_health import OriginHealth, Probe
from .steps import Pool, Steps, Wait, question_of
from .whiteouts import marker_of


def remote_answer(backend: Backend, key: Key) -> Remote | None:
    """Ask a backend whose answers are no open files."""
    answer = backend.open(key)
    if answer is not None and not isinstance(answer, Remote):
        answer.close()
        raise TypeError(
            f"backend {backend.name!r} signs or reads ranges, so its answers are shared: it has to answer "
            "Remote or None, not an open file"
        )
    return answer


class RemoteUpper:
    """Asks ``upper`` on two pools, one for files, one for whiteouts. ``seconds``: how long a look-up may take."""

    def __init__(
        self,
        upper: Backend,
        health: OriginHealth,
        pools: tuple[Pool, Pool],
        *,
        seconds: float,
        has_lowers: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.upper = upper
        self._health = health
        self._files, self._markers = pools
        self._seconds = seconds
        self._has_lowers = has_lowers
        self._clock = clock

    def ask(self, key: Key) -> Steps[Remote | Hidden | None]:
        """Return the file, ``Hidden``, or None to ask the lowers. Raises ``BackendUnavailable``, ``NotServable``."""
        until = self._clock() + self._seconds
        if not self._has_lowers:
            file, _ = yield from self._round(key, until)
            return file
        was_hidden: bool | None = None  # in the round before; None: there was none
        while True:  # a third time only if there was a whiteout in the first round and none in the second
            file, is_hidden = yield from self._round(key, until)
            if file is not None:
                return file
            if was_hidden is not None and is_hidden:
                return Hidden(self.upper.name)
            if was_hidden is False:
                return None
            was_hidden = is_hidden

    def _round(self, key: Key, until: float) -> Steps[tuple[Remote | None, bool]]:
        """Return the file, and if there is none whether it has a whiteout."""
        probe = self._health.admit(is_lookup=False)
        futures = [
            self._files.submit(self._health.call, partial(remote_answer, self.upper, key), key=key, is_lookup=False)
        ]
        if self._has_lowers:  # it goes along: how the origin is, the other question tells
            futures.append(self._markers.submit(remote_answer, self.upper, marker_of(key)))
        try:
            file = yield from self._wait(futures[0], until, probe)
            if file is not None or not self._has_lowers:
                return file, False
            marker = yield from self._wait(futures[1], until, None)
            return None, marker is not None
        finally:
            for future in futures:
                future.cancel()  # if no thread has begun: nobody waits for it any more
            self._health.leave(probe)

    def _wait(self, future: Future[Any], until: float, probe: Probe | None) -> Steps[Any]:
        try:
            return (yield Wait(future, max(until - self._clock(), 0.0)))
        except TimeoutError:
            error = Unreachable(f"no answer within {self._seconds:g} s", backend=self.upper.name)
            if future.running():
                self._health.timed_out(error.reason, question_of(future))
            self._health.got_no_thread(probe)
            raise error from None
