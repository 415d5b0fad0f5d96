"""Credentials renewed ahead of their end, in the background, so that no request waits for it.

One daemon thread for each process and backend that has temporary credentials. It waits until 14 minutes before they end
(botocore renews from 15 on), renews them if the backend was used since the last time, and goes on with the new ones;
after a failure, or when the same credentials came back, it asks again half a minute later. A thread whose backend
nobody uses ends, and so does one that is closed; the next use starts another. A forked child starts its own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from ..core.errors import BackendUnavailable

AHEAD_SECONDS: Final = 14 * 60
RETRY_SECONDS: Final = 30
_LONGEST_PAUSE_SECONDS: Final = 60.0  # threads wait by a clock that stands still while the machine sleeps

log = logging.getLogger("mediamw")


class Run:
    """What one thread goes by: when its credentials end, when it renews them, and whether it shall stop."""

    def __init__(self, expires: float, due: float) -> None:
        self.expires = expires
        self.due = due
        self.stop = threading.Event()


class Renewal:
    """Calls ``renew``, which returns when the new credentials end (None: never), ahead of time and while in use."""

    def __init__(self, renew: Callable[[], float | None], name: str, clock: Callable[[], float] = time.time) -> None:
        self._renew = renew
        self._name = name
        self._clock = clock
        self._was_used = False
        self._runs: dict[int, Run] = {}

    def used(self, expires: float | None) -> None:
        """Say that credentials which end at ``expires`` are in use. Never waits."""
        if expires is None:
            return
        self._was_used = True
        if os.getpid() not in self._runs:
            run = Run(expires, expires - AHEAD_SECONDS)
            if self._runs.setdefault(os.getpid(), run) is run:
                name = f"mediamw-{self._name}-renewal"
                try:
                    threading.Thread(target=self._go, args=(run,), name=name, daemon=True).start()
                except RuntimeError:  # no more threads, or Python is about to end: the request itself lacks nothing
                    self._runs.pop(os.getpid(), None)

    def close(self) -> None:
        """Let the thread end, at the latest when the question that it asks just now is answered."""
        run = self._runs.pop(os.getpid(), None)
        if run is not None:
            run.stop.set()

    def _go(self, run: Run) -> None:
        try:
            while (pause := self.step(run)) is not None and not run.stop.wait(pause):
                pass
        finally:
            if self._runs.get(os.getpid()) is run:
                del self._runs[os.getpid()]

    def step(self, run: Run) -> float | None:
        """Renew if it is time to; return for how long to wait then, None for ever."""
        now = self._clock()
        if now < run.due:
            return min(run.due - now, _LONGEST_PAUSE_SECONDS)
        if not self._was_used:
            return None
        self._was_used = False
        try:
            expires = self._renew()
        except BackendUnavailable as error:
            if self._clock() >= run.expires:
                return None  # whoever comes next asks for himself, and is told why it fails
            log.warning("credentials are not renewed yet: %s", error)
            self._was_used = True
        else:
            if expires is None:
                return None
            run.expires = expires
        run.due = max(run.expires - AHEAD_SECONDS, self._clock() + RETRY_SECONDS)
        return 0.0
