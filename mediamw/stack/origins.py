"""The remote backends of a stack, and how one of them is asked.

1. What it said is remembered (``lookups.py``, ``folder_listing.py``); if it cannot tell, what it said not long ago may
   answer for it.
2. One that does not answer is left alone (``origin_health.py``).
3. Each has threads of its own, and a look-up a deadline, waiting for a thread included.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple, cast

from ..backends.base import Backend, Entry, Lists, ListsPages, ReadsRanges, Remote, Signs
from ..backends.via import VIA
from ..core.errors import BackendUnavailable, Unreachable
from ..core.keys import Key
from ..core.model import Handle
from .copies import COPY_SECONDS
from .folder_listing import FolderListing, told_by
from .lookups import UNKNOWN, Lookups, Unknown
from .origin_health import OriginHealth, Probe
from .origin_reads import OriginReads
from .remote_upper import remote_answer
from .steps import Pool, Steps, Wait, question_of

NETWORK_THREADS: Final = 16
COPY_THREADS: Final = 8

Say = Callable[[str, str], None]


class Times(NamedTuple):
    """In seconds: how long answers are believed, how long a look-up of one backend may take."""

    found_ttl: float
    missing_ttl: float
    stale_if_error: float
    deadline: float


class Belief(NamedTuple):
    """What some backends said of a key counts ``until`` then, if nothing that was said is dropped meanwhile."""

    until: float
    changes: int


class Origin:
    """One remote backend: threads that look up, threads that fetch, its health. ``said`` is what all have said."""

    def __init__(self, backend: Backend, said: Origins, misses_a_minute: int, say: Say) -> None:
        name = backend.name
        self.backend = backend
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
        self._said = said
        self._say = say
        self._lists_pages = isinstance(backend, ListsPages)  # slow with a protocol, so it is asked once

    def ask(self, key: Key, via: str, *, whole: bool) -> Steps[tuple[Remote | None, str]]:
        """Return what the backend says, and where from if it was not asked. ``whole``: what a listing tells is too
        little of a file that is there."""
        backend, lookups, listings = self.backend, self._said.lookups, self._said.listed
        known = lookups.known(backend, key)
        if known is not UNKNOWN:
            return known, "remembered"
        listed = listings.known(backend, key) if self._lists_pages else UNKNOWN
        if listed is None or (listed is not UNKNOWN and not whole):
            return listed, "listed"
        probe, spent = None, 0.0
        try:
            probe = self.health.admit()
            if self._lists_pages and probe is None and not via and not whole:
                listed, spent = yield from self._list(key)
                if listed is not UNKNOWN:
                    return listed, "listed"
            flight = lookups.ask(backend, key, via)
            try:
                return (yield from self.within_deadline(flight, probe=probe, spent=spent)), ""
            except BaseException:
                lookups.leave(backend, key, flight, via)
                raise
        except BackendUnavailable as error:
            stale = lookups.stale(backend, key)
            if stale is None and self._lists_pages and not whole:
                stale = listings.stale(backend, key)
            if stale is None:
                raise
            self._say(f"stale {backend.name}", f"{error}; what it said before is believed")
            return stale, "stale"
        finally:
            self.health.leave(probe)

    def _list(self, key: Key) -> Steps[tuple[Remote | Unknown | None, float]]:
        """Return what the listing that is under way tells of ``key``, ``UNKNOWN`` if it has to be asked for, and how
        many seconds it took."""
        listings = self._said.listed
        flight = listings.flight(self.backend, key)
        if flight is None:
            return UNKNOWN, 0.0
        began = time.monotonic()
        try:
            told = told_by((yield Wait(flight.future, self._said.times.deadline / 2)), key)
            return told, time.monotonic() - began
        except TimeoutError:  # there may be time for a HEAD
            listings.pause(self.backend.name)
        except BackendUnavailable:  # a HEAD tells, or says why it cannot
            pass
        finally:
            listings.leave(flight)
        return UNKNOWN, time.monotonic() - began

    def look(self, key: Key, via: str) -> Remote | None:
        """What a thread does for a look-up."""

        def ask() -> Remote | None:
            VIA.set(via)
            return remote_answer(self.backend, key)

        return self.health.call(ask, key=key)

    def within_deadline(
        self, future: Future[Any], doing: str = "", probe: Probe | None = None, spent: float = 0.0
    ) -> Steps[Any]:
        """Wait for what a thread does for the backend, as long as a look-up may take; ``spent`` seconds are over."""
        seconds = self._said.times.deadline
        try:
            return (yield Wait(future, max(seconds - spent, 0.0)))
        except TimeoutError:
            error = Unreachable(f"no answer within {seconds:g} s", backend=self.backend.name, operation=doing)
            if future.running():  # else it is this machine's threads that were too few, which is not its fault
                self.health.timed_out(error.reason, question_of(future))
            self.health.got_no_thread(probe)  # they all hang still, as in a DNS that no deadline can end
            raise error from None

    def call(self, work: Callable[[], Any], doing: str) -> Steps[Any]:
        """Have a thread do what is no look-up, such as fetching a body's start, in the time of one."""
        probe = self.health.admit(is_lookup=False)
        try:
            future = self.bodies.submit(work)
            try:
                return (yield from self.within_deadline(future, doing, probe))
            except BaseException:
                future.cancel()  # if no thread has begun: nobody waits for it any more
                raise
        finally:
            self.health.leave(probe)

    def copy(self, work: Callable[[], Handle]) -> Steps[Any]:
        """Have a thread copy a file of unknown length. It has longer than a look-up, and threads of its own."""
        probe = self.health.admit(is_lookup=False)
        try:
            future = self.copies.submit(work)
            try:
                return (yield Wait(future, COPY_SECONDS))
            except BaseException as error:
                if not future.cancel():
                    future.add_done_callback(close_abandoned)
                if isinstance(error, TimeoutError):
                    raise BackendUnavailable(
                        f"no whole copy within {COPY_SECONDS:g} s", backend=self.backend.name
                    ) from None
                raise
        finally:
            self.health.leave(probe)

    def prepare(self, work: Callable[[], Any]) -> Steps[Any]:
        """Have a thread fetch what signing needs."""
        return self.call(lambda: self.health.call(work, is_lookup=False), "sign")

    def reads(self, via: str = "") -> OriginReads:
        """Return what reads its files."""
        return OriginReads(self.backend, self.health, via)

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """List it, if it answers."""
        return self.health.watch(lambda: cast("Lists", self.backend).list(prefix, recursive=recursive))

    def close(self) -> None:
        """End its threads."""
        for pool in (self.lookups, self.passed_on, self.bodies, self.copies, self.markers):
            pool.close()


class Origins:
    """The remote ones among ``backends``, by name, and what they said. ``say`` logs a line about a subject."""

    def __init__(self, backends: Sequence[Backend], times: Times, misses_a_minute: int, say: Say) -> None:
        self.times = times
        self._all = {
            backend.name: Origin(backend, self, misses_a_minute, say)
            for backend in backends
            if isinstance(backend, (Signs, ReadsRanges))
        }
        self.lookups = Lookups(
            lambda name, via: self._all[name].passed_on if via else self._all[name].lookups,
            look=lambda backend, key, via: self._all[backend.name].look(key, via),
            found_ttl=times.found_ttl,
            missing_ttl=times.missing_ttl,
            stale_if_error=times.stale_if_error,
            on_forget=lambda key, backend: self.listed.forget(key, backend),
        )
        self.listed = FolderListing(
            lambda name: self._all[name].lookups,
            call=lambda name, folder, work: self._all[name].health.call(work, key=folder),
            heard=self.lookups.known,
            found_ttl=times.found_ttl,
            missing_ttl=times.missing_ttl,
            stale_if_error=times.stale_if_error,
        )

    def __getitem__(self, name: str) -> Origin:
        return self._all[name]

    def __iter__(self) -> Iterator[Origin]:
        return iter(self._all.values())

    def get(self, name: str) -> Origin | None:
        """Return the backend of this name; None if it is not remote."""
        return self._all.get(name)

    def belief(self, asked: Sequence[Backend], key: Key) -> Belief | None:
        """Return for how long it is believed, by HEADs or listings, that the last of ``asked`` has the key and none
        before it; None if that is not known."""
        until, changes = math.inf, self.listed.changes  # read first: what is dropped meanwhile counts
        for backend in asked:
            said, its_until = self.lookups.believed(backend, key)
            if said is UNKNOWN:
                said, its_until = self.listed.believed(backend, key)
            if not (isinstance(said, Remote) if backend is asked[-1] else said is None):
                return None
            until = min(until, its_until)
        return Belief(until, changes)

    def holds(self, belief: Belief) -> bool:
        """Say whether that is believed still."""
        return belief.changes == self.listed.changes and not self.lookups.is_over(belief.until)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of ``key``, so that the next look-up asks."""
        self.lookups.forget(key)

    def close(self) -> None:
        """End the threads."""
        for origin in self._all.values():
            origin.close()


def close_abandoned(future: Any) -> None:
    """Close the file that a thread opened for who left."""
    if not future.cancelled() and future.exception() is None and future.result() is not None:
        future.result().close()
