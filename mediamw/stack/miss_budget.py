"""How many names may be asked for in vain: never more than so many in any 60 seconds.

A sliding window. The misses of one second are counted together and forgotten together, 60 s after the last of them, so
that 62 numbers are kept at most, however large the limit is.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 60.0
_TOGETHER_SECONDS: Final = 1.0


class _Second:
    __slots__ = ("count", "first", "latest")

    def __init__(self, first: float) -> None:
        self.first = self.latest = first
        self.count = 1


class MissBudget:
    """Counts misses against ``limit``. Its callers say what time it is, and hold a lock."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._spent = 0
        self._seconds: deque[_Second] = deque()

    def spend(self, now: float) -> None:
        """Count one miss."""
        self._forget(now)
        self._spent += 1
        last = self._seconds[-1] if self._seconds else None
        if last is None or now - last.first >= _TOGETHER_SECONDS:
            self._seconds.append(_Second(now))
        else:
            last.latest = now
            last.count += 1

    def wait(self, now: float) -> float:
        """Return in how many seconds there may be one more; 0 if there may be one now."""
        self._forget(now)
        spent = self._spent
        for second in self._seconds:
            if spent < self._limit:
                break
            spent -= second.count
            if spent < self._limit:
                return second.latest + WINDOW_SECONDS - now
        return 0.0

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0].latest + WINDOW_SECONDS <= now:
            self._spent -= self._seconds.popleft().count
