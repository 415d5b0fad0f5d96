"""Plans that were made before: the way of a request that is made again, for a small file of the upper or a redirect.

A plan depends on the request, the policy, and what was found. So that of a file is kept with its inode, length and
time, and true for as long as the name leads to a file with all three; that is looked at each time, and the body is read
each time. That of a redirect is true for as long as the stack gives the same (``stack/known_redirects.py``). Nothing is
kept of an answer that depends on more: on ``authorize``, ``add_headers`` or ``debug``, on the clock, on whom the
request came through. What is not here is answered by ``service.py``.

Bounds: 4,096 files; 2,048 answers to ranges, conditions and HEAD; 4,096 redirects. Where there is no room any one goes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from .backends.again import Seen, read_again
from .backends.base import INLINE_BYTES
from .backends.beneath import Root
from .backends.bounded import Bounded
from .backends.local_handle import LocalHandle
from .backends.openat2 import prepared
from .core.conditions import is_timeless
from .core.head import Head
from .core.model import Held, Plan, Redirect, Request, Slice
from .stack.known_redirects import MAX_REDIRECTS
from .stack.stack import MediaStack

MAX_FILES: Final = 4096
MAX_OTHERS: Final = 2048
"""Of these a client can ask for as many of one file as it likes; the files keep their room."""

_Id = str | tuple[str, ...]


class KeptPlans:
    """The plans of a stack whose upper is a directory, with its files beneath ``root``."""

    def __init__(self, root: Root, stack: MediaStack) -> None:
        self._name = stack.upper.name
        self._root = root
        self._stack = stack
        self._files: Bounded[_Id, tuple[Seen, Head]] = Bounded(MAX_FILES)
        self._others: Bounded[_Id, tuple[Seen, Head]] = Bounded(MAX_OTHERS)
        self._redirects: Bounded[_Id, tuple[Redirect, Head]] = Bounded(MAX_REDIRECTS)

    def answer(self, method: str, name: str, headers: Mapping[str, str], *, waits: bool) -> tuple[Head, bytes] | None:
        """Return what is answered to a request; None if that has to be found out.

        ``name`` and ``headers`` are those of a ``Request``, not yet checked. ``waits`` False: on an event loop.
        """
        identity = _identity(method, name, headers)
        if (kept := (self._files if type(identity) is str else self._others).get(identity)) is not None:
            body = read_again(self._root, kept[0], waits=waits)
            if body is not None:
                return kept[1], body
        if (redirected := self._redirects.get(identity)) is not None:
            redirect, head = redirected
            if self._stack.redirect_again(name, method) is redirect:
                return head, b""
        return None

    def keep(self, request: Request, found: Held | Redirect, plan: Plan, now: float) -> None:
        """Keep a plan, if it will be that of the same request as long as what is found is the same."""
        if not self._root.is_quick:
            return
        identity = _identity(request.method, request.key, request.headers)
        if isinstance(found, Redirect):
            if not request.headers:
                self._redirects.put(identity, (found, Head(plan)))
        elif (seen := self._seen(request, found, plan, now)) is not None:
            (self._files if isinstance(identity, str) else self._others).put(identity, (seen, Head(plan)))

    def _seen(self, request: Request, found: Held, plan: Plan, now: float) -> Seen | None:
        handle = found.handle
        if found.backend != self._name or not isinstance(handle, LocalHandle) or not is_timeless(request.headers):
            return None
        path, mtime_ns, beside = handle.lies(request.key)
        size = handle.meta.size
        if self._root.may_differ(request.key):
            return None  # the disk folds names, and this one may be another's by the next time
        times = (handle.meta.mtime_ns, mtime_ns, 0 if beside is None else beside.mtime_ns)
        if mtime_ns is None or size is None or any(time is None or time >= int(now) * 1_000_000_000 for time in times):
            return None  # Last-Modified depends on the clock as long as that second is not over
        part = plan.body[0] if plan.body else Slice(0, 0)
        if len(plan.body) > 1 or not isinstance(part, Slice) or part.length > INLINE_BYTES:
            return None
        inode = os.fstat(handle.fileno()).st_ino
        said = None if beside is None else (prepared(beside.path), beside)
        return Seen(prepared(path), mtime_ns, size, inode, part.start, part.length, said)


def _identity(method: str, name: str, headers: Mapping[str, str]) -> _Id:
    """Return what tells requests apart."""
    return str(name) if method == "GET" and not headers else (method, name, *_flat(headers))


def _flat(headers: Mapping[str, str]) -> list[str]:
    return [text for pair in headers.items() for text in pair]
