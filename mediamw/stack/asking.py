"""Asking backends for a key, in order, until one has it.

1. A backend whose rules exclude the key is not asked, and neither is one through which the request came (its Via). How
   a remote one is asked stands in ``origins.py``.
2. What a whiteout of the upper hides is not looked for below.
3. A lower that cannot tell is passed over, or answered for by what it said not long ago. If nobody has the key then,
   the answer is that one cannot tell, never that it is missing. An upper that cannot tell always is that answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, cast

from ..backends.again import root_of
from ..backends.base import LATER, Backend, Entry, Lists, OpensNow, Remote
from ..backends.openat2 import prepared
from ..core.errors import BackendUnavailable, NotServable
from ..core.keys import Key
from ..core.model import Handle, Hidden, Look, Meta
from .checks import rules_of
from .copy_lookup import CopyLookup
from .origin_reads import OriginReads
from .origins import Origins, Say, Times, close_abandoned
from .pull_version import record_key, source_of
from .pulled import Pulled
from .remote_upper import RemoteUpper
from .steps import Pool, Steps, Wait
from .whiteouts import as_upper, marker_of

DISK_THREADS: Final = 8

UNCHECKED: Final = Remote(Meta(None))
"""The answer of a backend that is not checked."""

Answer = Handle | Remote | None
Located = tuple[Backend, Handle | Remote] | Hidden | None


class Asker:
    """Asks the backends of one stack. ``say`` logs a line about a subject, at most once a minute.

    ``pulled`` are the copies of lowers' files in the upper, if it can have any.
    """

    def __init__(
        self, backends: Sequence[Backend], times: Times, misses_a_minute: int, say: Say, pulled: Pulled | None = None
    ) -> None:
        self._backends = backends
        self._say = say
        self.disk = Pool(DISK_THREADS, "mediamw-disk")
        self.origins = Origins(backends, times, misses_a_minute, say)
        self._upper = as_upper(backends[0])
        self._has_whiteouts = len(backends) > 1 and self._upper is not None
        self._remote_upper = self._asking_from_afar(times.deadline)
        ask_upper = partial(self._ask_upper, backends[0])
        self._copies = None if pulled is None else CopyLookup(pulled, ask_upper, self.disk, times.stale_if_error, say)
        # isinstance with a protocol is slow, so it is asked once.
        self._now = frozenset(backend.name for backend in backends if isinstance(backend, OpensNow))
        self.rules = {backend.name: rules_of(backend) for backend in backends}
        self._root = root_of(backends[0]) if self._has_whiteouts else None
        self._sources = {origin.backend.name: source_of(origin.backend) for origin in self.origins}

    def is_remote(self, backend: Backend) -> bool:
        """True if it is asked over a network: what is at hand of it is a copy."""
        return self.origins.get(backend.name) is not None

    def bodies_of(self, backend: str) -> Pool:
        """Return the threads that read the files of ``backend``."""
        origin = self.origins.get(backend)
        return self.disk if origin is None else origin.bodies

    def reads(self, backend: Backend, via: str = "") -> OriginReads:
        """Return what reads the files of a remote backend."""
        return self.origins[backend.name].reads(via)

    def listing(self, backend: Lists, name: str, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """List a backend; a remote one is left alone if it does not answer."""
        origin = self.origins.get(name)
        return (backend if origin is None else origin).list(prefix, recursive=recursive)

    def close(self) -> None:
        """End the threads."""
        self.disk.close()
        self.origins.close()

    def _asking_from_afar(self, deadline: float) -> RemoteUpper | None:
        upper = self._upper
        origin = None if upper is None else self.origins.get(upper.name)
        if upper is None or origin is None:
            return None
        return RemoteUpper(
            upper,
            origin.health,
            (origin.lookups, origin.markers),
            seconds=deadline,
            has_lowers=self._has_whiteouts,
        )

    def locate(
        self,
        key: Key,
        *,
        inline: bool = False,
        serving: bool = False,
        via: str = "",
        whole: Callable[[Backend], bool] = lambda _: True,
        looks: list[Look] | None = None,
    ) -> Steps[Located]:
        """Return the first backend that has the key, with its answer; ``Hidden`` if a whiteout hides it.

        ``inline``: on an event loop. ``serving``: a backend that need not be checked has it. ``via``: the request's
        header. ``whole``: whether more has to be known of a backend's file than what a listing tells. ``looks`` is told
        what each backend said.
        """
        unsure: BackendUnavailable | None = None
        is_bare = False  # the upper has neither file nor whiteout, nor any copy
        for backend in self._backends:
            started = time.perf_counter()
            reason = self._reason_to_skip(backend, key, via)
            if reason:
                if looks is not None:
                    looks.append(Look(backend.name, "not asked", reason=reason))
                continue
            answer: Answer | Hidden
            try:
                if serving and not self.rules[backend.name].check:
                    answer, source = UNCHECKED, "unchecked"
                elif backend is self._backends[0] and self._remote_upper is not None:
                    answer, source = (yield from self._remote_upper.ask(key)), ""
                else:
                    ask = self._ask if is_bare else self._ask_or_copy
                    answer, source = yield from ask(backend, key, inline, via)
                    if isinstance(answer, Remote) and answer.is_partial and whole(backend):
                        answer, source = yield from self._ask(backend, key, inline, via, whole=True)
            except (BackendUnavailable, NotServable) as error:
                if looks is not None:
                    said = "unavailable" if isinstance(error, BackendUnavailable) else "refused"
                    looks.append(Look(backend.name, said, time.perf_counter() - started, reason=error.reason))
                if backend is self._backends[0] or isinstance(error, NotServable):
                    raise
                unsure = unsure or error
                continue
            if answer is None and self._has_whiteouts and backend is self._upper and self._remote_upper is None:
                is_bare = self._is_bare(key, inline)
                if not is_bare:
                    answer = yield from self._behind_whiteout(backend, key, inline)
            if isinstance(answer, Hidden):
                if looks is not None:
                    looks.append(Look(backend.name, "hidden", time.perf_counter() - started))
                return answer
            if looks is not None:
                meta, said = (None, "missing") if answer is None else (answer.meta, "found")
                looks.append(Look(backend.name, said, time.perf_counter() - started, source, meta))
            if answer is not None:
                if unsure is not None:
                    self._say(f"instead of {unsure.backend}", f"{unsure}; served from backend {backend.name!r} instead")
                return backend, answer
        if unsure is not None:
            raise unsure
        return None

    def _is_bare(self, key: Key, inline: bool) -> bool:
        """Say whether the upper has none of what is looked for behind its own file, if one look can tell.

        The names and their order are those of ``_behind_whiteout`` and ``copy_lookup.py``, which find what is there.
        """
        if self._root is None:
            return False
        marker = marker_of(key)
        paths = [marker, key, marker]
        if self._copies is not None:
            paths += [record_key(source, key) for source in self._sources.values()]
        return self._root.are_missing(map(prepared, paths), wait=not inline)

    def _behind_whiteout(self, upper: Backend, key: Key, inline: bool) -> Steps[Answer | Hidden]:
        """Say what to do with a key that the upper does not have: ``Hidden``, None to ask the lowers, or its file.

        An upload that came after the first look may have cleared the whiteout before the second: so there is a third;
        and a delete that came after that one has set it again: so there is a fourth.
        """
        for looks_again in (True, False):
            marker, _ = yield from self._ask(upper, marker_of(key), inline, "")
            if marker is not None:
                if not isinstance(marker, Remote):
                    marker.close()
                return Hidden(upper.name)
            if looks_again:
                answer, _ = yield from self._ask(upper, key, inline, "")
                if answer is not None:
                    return answer
        return None

    def has_below(self, key: Key) -> Steps[bool]:
        """Say whether a lower has the key, or a copy. Raises ``BackendUnavailable`` if none is known to and one cannot
        tell.

        Of a backend that is not checked nobody knows.
        """
        unsure: BackendUnavailable | None = None
        for backend in self._backends[1:]:
            if self._reason_to_skip(backend, key, ""):
                continue
            try:
                if not self.rules[backend.name].check:
                    raise BackendUnavailable("it is not asked (check=False)", backend=backend.name)
                answer, _ = yield from self._ask_or_copy(backend, key, False, "")
            except NotServable:  # whatever it is, it has the name
                return True
            except BackendUnavailable as error:
                unsure = unsure or error
                continue
            if answer is not None:
                if not isinstance(answer, Remote):
                    answer.close()
                return True
        if unsure is not None:
            raise unsure
        return False

    def asked_until(self, last: Backend, key: Key) -> list[Backend]:
        """Return the lowers that a look-up of ``key`` asks up to ``last``, which has it."""
        lowers = self._backends[1 : self._backends.index(last) + 1]
        return [backend for backend in lowers if not self._reason_to_skip(backend, key, "")]

    def _reason_to_skip(self, backend: Backend, key: Key, via: str) -> str:
        rules = self.rules[backend.name]
        if not rules.lets(key):
            return "its rules exclude the key"
        if not rules.fits(key) and backend is not self._upper:  # whose whiteout may fit all the same
            return "with its location the key is longer than any that it can have"
        if via and getattr(backend, "via", None) in re.split(r"[\s,]+", via):
            return "the request has come through it (Via)"
        return ""

    def _ask_or_copy(self, backend: Backend, key: Key, inline: bool, via: str) -> Steps[tuple[Answer, str]]:
        """Return what one backend says, or the copy that stands for it."""
        ask_lower = partial(self._ask, backend, key, inline, via)
        if self._copies is None or self.origins.get(backend.name) is None:
            return (yield from ask_lower(whole=False))
        return (yield from self._copies.answer(backend, key, self.rules[backend.name].pull_ttl, inline, ask_lower))

    def _ask_upper(self, upper: Backend, key: Key, inline: bool) -> Steps[Answer]:
        answer, _ = yield from self._ask(upper, key, inline, "")
        return answer

    def _ask(
        self, backend: Backend, key: Key, inline: bool, via: str, *, whole: bool = False
    ) -> Steps[tuple[Answer, str]]:
        """Return what one backend says, and where from if nobody was asked. ``whole``: what a listing tells is too
        little of a file that is there."""
        origin = self.origins.get(backend.name)
        if origin is not None:
            return (yield from origin.ask(key, via, whole=whole))
        if not inline:
            return backend.open(key), ""
        if backend.name in self._now:
            now = cast("OpensNow", backend).open_now(key)
            if now is not LATER:
                return cast("Answer", now), ""
        future = self.disk.submit(backend.open, key)
        try:
            answer = yield Wait(future)
        except BaseException:  # the client left: nobody will close what is being opened
            future.add_done_callback(close_abandoned)
            raise
        return answer, ""
