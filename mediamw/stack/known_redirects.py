"""Redirects that were made before: the way of a request for a file that still only a lower has.

What another process can change is looked at each time: the upper, its whiteout, the copies, and the first two again.
What the lowers said counts for as long as it is believed, a URL for as long as the backend gives the same. Whatever is
unusual is left to ``MediaStack.finding``.

Bound: 4,096 redirects; where there is no room any one goes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final, cast

from ..backends.base import Backend, Signs
from ..backends.beneath import Root
from ..backends.bounded import Bounded
from ..backends.openat2 import Prepared, prepared
from ..core.keys import Key
from ..core.model import Redirect
from .origins import Belief, Origins
from .pull_version import record_key, source_of
from .whiteouts import marker_of

MAX_REDIRECTS: Final = 4096

AskedUntil = Callable[[Backend, Key], Sequence[Backend]]
"""The lowers that are asked for a key, up to the backend that has it."""


class _Known:
    """A redirect to a file of ``backend``."""

    __slots__ = ("asked", "backend", "belief", "paths", "redirect", "twice")

    def __init__(self, backend: Backend, redirect: Redirect) -> None:
        self.backend = backend
        self.redirect = redirect
        # Made when they are first needed: who is asked up to the backend, and what is looked at in the upper.
        self.asked: Sequence[Backend] = ()
        self.paths: tuple[Prepared, ...] = ()
        self.twice: tuple[bytes, ...] = ()
        self.belief: Belief | None = None  # that it is the backend which has the key, once that was looked up


class KnownRedirects:
    """The redirects of a stack whose upper is a directory. ``has_copies``: copies of lowers' files may be in it."""

    def __init__(self, root: Root, origins: Origins, asked_until: AskedUntil, *, has_copies: bool) -> None:
        self._root = root
        self._origins = origins
        self._asked_until = asked_until
        self._has_copies = has_copies
        self._kept: Bounded[tuple[str, str], _Known] = Bounded(MAX_REDIRECTS)

    def again(self, key: str, method: str, now: float) -> Redirect | None:
        """Return the redirect of last time, the very same, if it is right still; None if that has to be found out."""
        kept = self._kept.get((key, method))
        if kept is None:
            return None
        checked = cast("Key", key)  # or it would not be here
        if not kept.paths:
            kept.asked = self._asked_until(kept.backend, checked)
            names = (checked, marker_of(checked))
            copies = [record_key(source_of(backend), checked) for backend in kept.asked] if self._has_copies else []
            kept.twice = tuple(map(os.fsencode, names))
            kept.paths = tuple(map(prepared, (*names, *copies)))
        if not self._root.are_missing_again(kept.paths, kept.twice):
            return None
        belief = kept.belief  # another thread may have another one
        if belief is None or not self._origins.holds(belief):
            belief = kept.belief = self._origins.belief(kept.asked, checked)
            if belief is None:
                return None
        signing = cast("Signs", kept.backend)
        if not signing.can_sign(now) or signing.sign(checked, method, now).url != kept.redirect.url:
            return None
        return kept.redirect

    def keep(self, key: Key, method: str, redirect: Redirect, backend: Backend) -> Redirect:
        """Keep a redirect to a file of ``backend``; return it, or that to the same URL which is kept already.

        Whether it is right is looked at later: many are asked for once.
        """
        kept = self._kept.get((key, method))
        if kept is not None and kept.redirect.url == redirect.url and kept.backend is backend:
            return kept.redirect
        if self._root.is_quick:
            self._kept.put((key, method), _Known(backend, redirect))
        return redirect
