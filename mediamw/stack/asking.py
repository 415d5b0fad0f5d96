"""Asking backends for a key, in order, until one has it.

1. A backend whose rules exclude the key is not asked, and neither is one through which the request came (its Via).
2. What a remote backend said is remembered (``lookups.py``); one that does not answer is left alone
   (``origin_health.py``); a look-up has a deadline for each backend, waiting for a thread included.
3. A lower that cannot tell is passed over, or answered for by what it said not long ago. If nobody has the key then,
   the answer is that one cannot tell, never that it is missing. An upper that cannot tell always is that answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, NamedTuple, cast

from ..backends.base import LATER, Backend, Entry, Lists, ListsPages, OpensNow, ReadsRanges, Remote, Signs
from ..backends.via import VIA
from ..core.errors import BackendUnavailable, NotServable, Unreachable
from ..core.keys import Key
from ..core.model import Handle, Hidden, Look, Meta
from .checks import rules_of
from .copies import COPY_SECONDS
from .copy_lookup import CopyLookup
from .folder_listing import FolderListing, told_by
from .lookups import UNKNOWN, Lookups, Unknown
from .origin_health import OriginHealth, Probe
from .origin_reads import OriginReads
from .pulled import Pulled
from .remote_upper import RemoteUpper, remote_answer
from .steps import Pool, Steps, Wait, question_of
from .whiteouts import as_upper, marker_of

NETWORK_THREADS: Final = 16
DISK_THREADS: Final = 8
COPY_THREADS: Final = 8

UNCHECKED: Final = Remote(Meta(None))
"""The answer of a backend that is not checked."""

Answer = Handle | Remote | None
Located = tuple[Backend, Handle | Remote] | Hidden | None
Say = Callable[[str, str], None]


class Times(NamedTuple):
    """In seconds: how long answers are believed, how long a look-up of one backend may take."""

    found_ttl: float
    missing_ttl: float
    stale_if_error: float
    deadline: float


class _Origin:
    """What belongs to one remote backend: threads that look up, threads that fetch, its health."""

    def __init__(self, name: str, misses_a_minute: int, say: Say) -> None:
        self.lookups = Pool(NETWORK_THREADS, f"mediamw-network-{name}")
        # For requests that came through other sites with mediamw, whose threads wait for us: if ours wait for theirs in
        # turn, neither is ever free.
        self.passed_on = Pool(NETWORK_THREADS, f"mediamw-via-{name}")
        # Threads of their own, so that slow bodies do not keep look-ups waiting.
        self.bodies = Pool(NETWORK_THREADS, f"mediamw-bodies-{name}")
        self.copies = Pool(COPY_THREADS, f"mediamw-copies-{name}")
        # Of an upper: its whiteouts, which are asked for beside the files.
        self.markers = Pool(NETWORK_THREADS, f"mediamw-whiteouts-{name}")
        self.health = OriginHealth(
            name, misses_a_minute=misses_a_minute, told=lambda text: say(f"breaker {name}", text)
        )


class Asker:
    """Asks the backends of one stack. ``say`` logs a line about a subject, at most once a minute.

    ``pulled`` are the copies of lowers' files in the upper, if it can have any.
    """

    def __init__(
        self, backends: Sequence[Backend], times: Times, misses_a_minute: int, say: Say, pulled: Pulled | None = None
    ) -> None:
        self._backends = backends
        self._times = times
        self._say = say
        self.disk = Pool(DISK_THREADS, "mediamw-disk")
        # isinstance with a protocol is slow, so it is asked once.
        self._origins = {
            backend.name: _Origin(backend.name, misses_a_minute, say)
            for backend in backends
            if isinstance(backend, (Signs, ReadsRanges))
        }
        self._upper = as_upper(backends[0])
        self._has_whiteouts = len(backends) > 1 and self._upper is not None
        self._remote_upper = self._asking_from_afar()
        ask_upper = partial(self._ask_upper, backends[0])
        self._copies = None if pulled is None else CopyLookup(pulled, ask_upper, self.disk, times.stale_if_error, say)
        self._now = frozenset(backend.name for backend in backends if isinstance(backend, OpensNow))
        self.rules = {backend.name: rules_of(backend) for backend in backends}
        self.lookups = Lookups(
            lambda name, via: self._origins[name].passed_on if via else self._origins[name].lookups,
            look=self._look,
            found_ttl=times.found_ttl,
            missing_ttl=times.missing_ttl,
            stale_if_error=times.stale_if_error,
            on_forget=lambda key, backend: self.listed.forget(key, backend),
        )
        self.listed = FolderListing(
            lambda name: self._origins[name].lookups,
            call=lambda name, folder, work: self._origins[name].health.call(work, key=folder),
            heard=self.lookups.known,
            found_ttl=times.found_ttl,
            missing_ttl=times.missing_ttl,
            stale_if_error=times.stale_if_error,
        )
        self._lists_pages = frozenset(backend.name for backend in backends if isinstance(backend, ListsPages))

    def is_remote(self, backend: Backend) -> bool:
        """True if it is asked over a network: what is at hand of it is a copy."""
        return backend.name in self._origins

    def bodies_of(self, backend: str) -> Pool:
        """Return the threads that read the files of ``backend``."""
        origin = self._origins.get(backend)
        return self.disk if origin is None else origin.bodies

    def close(self) -> None:
        """End the threads."""
        self.disk.close()
        for origin in self._origins.values():
            origin.lookups.close()
            origin.passed_on.close()
            origin.bodies.close()
            origin.copies.close()
            origin.markers.close()

    def _asking_from_afar(self) -> RemoteUpper | None:
        upper = self._upper
        origin = None if upper is None else self._origins.get(upper.name)
        if upper is None or origin is None:
            return None
        return RemoteUpper(
            upper,
            origin.health,
            (origin.lookups, origin.markers),
            seconds=self._times.deadline,
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
        for backend in self._backends:
            started = time.perf_counter()
            reason = self._reason_to_skip(backend, key, via)
            if reason:
                _note(looks, Look(backend.name, "not asked", reason=reason))
                continue
            answer: Answer | Hidden
            try:
                if serving and not self.rules[backend.name].check:
                    answer, source = UNCHECKED, "unchecked"
                elif backend is self._backends[0] and self._remote_upper is not None:
                    answer, source = (yield from self._remote_upper.ask(key)), ""
                else:
                    answer, source = yield from self._ask_or_copy(backend, key, inline, via)
                    if isinstance(answer, Remote) and answer.is_partial and whole(backend):
                        answer, source = yield from self._ask(backend, key, inline, via, whole=True)
            except (BackendUnavailable, NotServable) as error:
                said = "unavailable" if isinstance(error, BackendUnavailable) else "refused"
                _note(looks, Look(backend.name, said, time.perf_counter() - started, reason=error.reason))
                if backend is self._backends[0] or isinstance(error, NotServable):
                    raise
                unsure = unsure or error
                continue
            if answer is None and self._has_whiteouts and backend is self._upper and self._remote_upper is None:
                answer = yield from self._behind_whiteout(backend, key, inline)
            if isinstance(answer, Hidden):
                _note(looks, Look(backend.name, "hidden", time.perf_counter() - started))
                return answer
            meta = None if answer is None else answer.meta
            said = "missing" if answer is None else "found"
            _note(looks, Look(backend.name, said, time.perf_counter() - started, source, meta))
            if answer is not None:
                if unsure is not None:
                    self._say(f"instead of {unsure.backend}", f"{unsure}; served from backend {backend.name!r} instead")
                return backend, answer
        if unsure is not None:
            raise unsure
        return None

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

    def within_deadline(
        self, backend: str, future: Future[Any], doing: str = "", probe: Probe | None = None, spent: float = 0.0
    ) -> Steps[Any]:
        """Wait for what a thread does for ``backend``, as long as a look-up may take; ``spent`` seconds are over."""
        seconds = self._times.deadline
        try:
            return (yield Wait(future, max(seconds - spent, 0.0)))
        except TimeoutError:
            error = Unreachable(f"no answer within {seconds:g} s", backend=backend, operation=doing)
            health = self._origins[backend].health
            if future.running():  # else it is this machine's threads that were too few, which is not its fault
                health.timed_out(error.reason, question_of(future))
            health.got_no_thread(probe)  # they all hang still, as in a DNS that no deadline can end
            raise error from None

    def call(self, backend: str, work: Callable[[], Any], doing: str) -> Steps[Any]:
        """Have a thread do what is no look-up, such as fetching a body's start, in the time of one."""
        origin = self._origins[backend]
        probe = origin.health.admit(is_lookup=False)
        try:
            future = origin.bodies.submit(work)
            try:
                return (yield from self.within_deadline(backend, future, doing, probe))
            except BaseException:
                future.cancel()  # if no thread has begun: nobody waits for it any more
                raise
        finally:
            origin.health.leave(probe)

    def copy(self, backend: str, work: Callable[[], Handle]) -> Steps[Any]:
        """Have a thread copy a file of unknown length. It has longer than a look-up, and threads of its own."""
        origin = self._origins[backend]
        probe = origin.health.admit(is_lookup=False)
        try:
            future = origin.copies.submit(work)
            try:
                return (yield Wait(future, COPY_SECONDS))
            except BaseException as error:
                if not future.cancel():
                    future.add_done_callback(_close_abandoned)
                if isinstance(error, TimeoutError):
                    raise BackendUnavailable(f"no whole copy within {COPY_SECONDS:g} s", backend=backend) from None
                raise
        finally:
            origin.health.leave(probe)

    def prepare(self, backend: str, work: Callable[[], Any]) -> Steps[Any]:
        """Have a thread fetch what signing needs."""
        health = self._origins[backend].health
        return self.call(backend, lambda: health.call(work, is_lookup=False), "sign")

    def reads(self, backend: Backend, via: str = "") -> OriginReads:
        """Return what reads the files of a remote backend."""
        return OriginReads(backend, self._origins[backend.name].health, via)

    def listing(self, backend: Lists, name: str, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """List a backend; a remote one is left alone if it does not answer."""
        origin = self._origins.get(name)
        if origin is None:
            return backend.list(prefix, recursive=recursive)
        return origin.health.watch(lambda: backend.list(prefix, recursive=recursive))

    def known(self, backend: Backend, key: Key) -> Remote | Unknown | None:
        """Return what a remote backend said, by HEAD or in a listing, and is still believed, or ``UNKNOWN``."""
        said = self.lookups.known(backend, key)
        return self.listed.known(backend, key) if said is UNKNOWN else said

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
        if self._copies is None or backend.name not in self._origins:
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
        if backend.name in self._origins:
            return (yield from self._ask_origin(backend, key, via, whole))
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
            future.add_done_callback(_close_abandoned)
            raise
        return answer, ""

    def _ask_origin(self, backend: Backend, key: Key, via: str, whole: bool) -> Steps[tuple[Answer, str]]:
        known = self.lookups.known(backend, key)
        if known is not UNKNOWN:
            return known, "remembered"
        lists = backend.name in self._lists_pages
        listed = self.listed.known(backend, key) if lists else UNKNOWN
        if listed is None or (listed is not UNKNOWN and not whole):
            return listed, "listed"
        health, probe, spent = self._origins[backend.name].health, None, 0.0
        try:
            probe = health.admit()
            if lists and probe is None and not via and not whole:
                listed, spent = yield from self._list(backend, key)
                if listed is not UNKNOWN:
                    return listed, "listed"
            flight = self.lookups.ask(backend, key, via)
            try:
                return (yield from self.within_deadline(backend.name, flight, probe=probe, spent=spent)), ""
            except BaseException:
                self.lookups.leave(backend, key, flight, via)
                raise
        except BackendUnavailable as error:
            stale = self.lookups.stale(backend, key)
            if stale is None and lists and not whole:
                stale = self.listed.stale(backend, key)
            if stale is None:
                raise
            self._say(f"stale {backend.name}", f"{error}; what it said before is believed")
            return stale, "stale"
        finally:
            health.leave(probe)

    def _list(self, backend: Backend, key: Key) -> Steps[tuple[Remote | Unknown | None, float]]:
        """Return what the listing that is under way tells of ``key``, ``UNKNOWN`` if it has to be asked for, and how
        many seconds it took."""
        flight = self.listed.flight(backend, key)
        if flight is None:
            return UNKNOWN, 0.0
        began = time.monotonic()
        try:
            return told_by((yield Wait(flight.future, self._times.deadline / 2)), key), time.monotonic() - began
        except TimeoutError:  # there may be time for a HEAD
            self.listed.pause(backend.name)
        except BackendUnavailable:  # a HEAD tells, or says why it cannot
            pass
        finally:
            self.listed.leave(flight)
        return UNKNOWN, time.monotonic() - began

    def _look(self, backend: Backend, key: Key, via: str) -> Remote | None:
        """What a thread does for a look-up."""

        def ask() -> Remote | None:
            VIA.set(via)
            return remote_answer(backend, key)

        return self._origins[backend.name].health.call(ask, key=key)


def _note(looks: list[Look] | None, look: Look) -> None:
    if looks is not None:
        looks.append(look)


def _close_abandoned(future: Any) -> None:
    if not future.cancelled() and future.exception() is None and future.result() is not None:
        future.result().close()
