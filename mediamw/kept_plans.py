"""Plans of small files of the upper that were answered before: the way of a request that asks for one of them again.

A plan depends on the request, the policy, and what was opened. So it is kept with the inode, the length and the time of
the file, and true for as long as the name leads to a file with all three; that is looked at each time, and the body is
read each time. Nothing is kept of an answer that depends on more: on ``authorize``, ``add_headers`` or ``debug``, on
the clock, on whom the request came through. What is not here is answered by ``service.py``.

Bounds: 2,048 plans, with conditions and ranges of at most 256 characters each, the oldest go first.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Final

from .backends.again import Seen, read_again
from .backends.local import LocalBackend, LocalHandle
from .core.model import Held, Plan, Request, Slice
from .reply import INLINE_BYTES, Head

MAX_PLANS: Final = 2048
MAX_CONDITION_CHARS: Final = 256

_Id = str | tuple[str, ...]


class KeptPlans:
    """The plans of the files of one directory."""

    def __init__(self, upper: LocalBackend) -> None:
        self._name = upper.name
        self._root = upper.beneath
        self._kept: dict[_Id, tuple[Seen, Head]] = {}
        self._lock = threading.Lock()

    def answer(self, method: str, name: str, headers: Mapping[str, str], *, waits: bool) -> tuple[Head, bytes] | None:
        """Return what is answered to a request; None if that has to be found out.

        ``name`` and ``headers`` are those of a ``Request``, not yet checked. ``waits`` False: on an event loop.
        """
        kept = self._kept.get(name if method == "GET" and not headers else (method, name, *_flat(headers)))
        if kept is None:
            return None
        body = read_again(self._root, kept[0], waits=waits)
        return None if body is None else (kept[1], body)

    def keep(self, request: Request, found: Held, plan: Plan, now: float) -> None:
        """Keep a plan, if it will be that of the same request as long as the file is the same."""
        handle, headers = found.handle, request.headers
        if found.backend != self._name or not isinstance(handle, LocalHandle) or not _is_for_good(headers):
            return
        mtime_ns, size = handle.meta.mtime_ns, handle.meta.size
        if mtime_ns is None or size is None or mtime_ns >= int(now) * 1_000_000_000:
            return  # Last-Modified depends on the clock as long as that second is not over
        part = plan.body[0] if plan.body else Slice(0, 0)
        if len(plan.body) > 1 or not isinstance(part, Slice) or part.length > INLINE_BYTES:
            return
        inode = os.fstat(handle.fileno()).st_ino
        seen = Seen(os.fsencode(request.key), mtime_ns, size, inode, part.start, part.length)
        method, name = request.method, str(request.key)
        identity = name if method == "GET" and not headers else (method, name, *_flat(headers))
        with self._lock:
            while len(self._kept) >= MAX_PLANS:
                del self._kept[next(iter(self._kept))]
            self._kept[identity] = seen, Head(plan)


def _flat(headers: Mapping[str, str]) -> list[str]:
    return [text for pair in headers.items() for text in pair]


def _is_for_good(headers: Mapping[str, str]) -> bool:
    """Say whether the verdict on these conditions is the same tomorrow: dates with two digits for the year are not."""
    if "via" in headers or "if-range" in headers or "if-unmodified-since" in headers:
        return False
    if "if-modified-since" in headers and "if-none-match" not in headers:
        return False
    return all(len(value) <= MAX_CONDITION_CHARS for value in headers.values())
