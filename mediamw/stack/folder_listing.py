"""Listing a folder instead of asking for each of its files: a page of a hundred images is four questions, not a
hundred.

1. The first two unknown keys of a folder are asked for by HEAD. At the third one within two seconds one flight lists
   the folder, from its start, and once more from the first key that is waited for if that lies behind the end of the
   page. Whoever asks for a key of that folder meanwhile waits for it. A folder whose start is known is listed from
   that key on.
2. What was listed answers for all keys of its range, there or not, as long as HEAD's answers are believed. It tells
   size and ETag alone: whoever needs more asks for that key (``Remote.is_partial``).
3. A HEAD goes out, as ever, where a listing tells nothing of the key, is refused, fails, or takes too long: then that
   backend is not listed for a minute. Nothing is ever missing because a listing failed.
4. A listing that lacks what a HEAD found just before is not believed, and that folder not listed for five minutes: so
   come servers that list what they had a while ago. A folder whose last listing helped with fewer than three keys, a
   big one whose files are asked for here and there, is not listed again for a minute.
5. What a listing finds missing costs no miss; one that was begun for a missing key costs one.
6. A key that is forgotten, or that a HEAD did not find, is no longer told of by what was listed before, nor by what is
   being listed then.

Bounds, in each process: 16 MiB of listed names and 1,024 folders, the least recently used go first; 16 pages of one
folder, 64 listings under way.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple, cast

from ..backends.base import Backend, ListsPages, Remote
from ..backends.pages import Page, folder_of, just_before
from ..backends.per_process import PerProcess
from ..core.keys import Key
from .lookups import UNKNOWN, Unknown
from .steps import Pool

HEADS_FIRST: Final = 2
TOGETHER_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 60.0
NOT_BELIEVED_SECONDS: Final = 300.0
FEW_KEYS: Final = 3
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_FOLDERS: Final = 1024
MAX_PAGES: Final = 16
MAX_FLIGHTS: Final = 64
MAX_DROPPED: Final = 64
"""So many keys of a page may be forgotten; with one more the page is."""

Pages = tuple[Page, ...]
_Id = tuple[str, str]
"""The backend's name, and the folder."""


class _Told:
    """A page, and until when it is believed of what is there, of what is not, and in need."""

    def __init__(self, page: Page, found_until: float, missing_until: float, stale_until: float) -> None:
        self.page = page
        self.found_until, self.missing_until, self.stale_until = found_until, missing_until, stale_until
        self.dropped: set[str] = set()


class Flight(NamedTuple):
    """A listing under way. ``future`` has what it tells."""

    id: _Id
    future: Future[Pages]
    wanted: set[str]
    dropped: set[str]
    waiting: list[None]  # as long as there are who wait


class _Folder:
    """What one process knows of a folder."""

    def __init__(self) -> None:
        self.told: list[_Told] = []  # the newest first
        self.asked: dict[str, float] = {}  # the last keys that were left to HEAD, and when
        self.flight: Flight | None = None
        self.not_before = 0.0
        self.listed_at = 0.0
        self.helped = FEW_KEYS  # with how many keys the last listing did

    @property
    def bytes(self) -> int:
        return sum(told.page.bytes for told in self.told)


class _State:
    """What belongs to one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.folders: OrderedDict[_Id, _Folder] = OrderedDict()  # the last used last
        self.backends: set[str] = set()
        self.bytes = 0
        self.flights = 0
        self.paused: dict[str, float] = {}

    def keep(self, folder: _Folder, told: list[_Told]) -> None:
        """Have ``told`` be what is known of a folder, and make room for it."""
        self.bytes -= folder.bytes
        folder.told = told
        self.bytes += folder.bytes
        while self.folders and (self.bytes > MAX_BYTES or len(self.folders) > MAX_FOLDERS):
            self.bytes -= self.folders.popitem(last=False)[1].bytes


class FolderListing:
    """What listings told of the remote backends of one stack.

    ``pool_of`` gives the threads that ask a backend, by its name. ``call`` does so for a folder, if the backend is to
    be asked at all; None that comes back costs a miss. ``heard`` is what HEADs said. ``clock`` in seconds, for tests.
    """

    def __init__(
        self,
        pool_of: Callable[[str], Pool],
        *,
        call: Callable[[str, str, Callable[[], bool | None]], object],
        heard: Callable[[Backend, Key], Remote | Unknown | None],
        found_ttl: float,
        missing_ttl: float,
        stale_if_error: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool_of = pool_of
        self._call = call
        self._heard = heard
        self._found, self._missing, self._stale = found_ttl, missing_ttl, stale_if_error
        self._clock = clock
        self._state = PerProcess(_State)
        self.changes = 0
        """How often something was told otherwise before its time, or is to be asked for anew: of HEADs' answers too."""

    def known(self, backend: Backend, key: Key) -> Remote | Unknown | None:
        """Return what a listing told and is still believed, or ``UNKNOWN``."""
        return self.believed(backend, key)[0]

    def believed(self, backend: Backend, key: Key) -> tuple[Remote | Unknown | None, float]:
        """Return what ``known`` does, and until when on the clock."""
        state = self._state.get()
        with state.lock:
            told = self._told(state, backend, key)
            if told is None:
                return UNKNOWN, 0.0
            meta = told.page.get(key)
            until = told.missing_until if meta is None else told.found_until
            if until <= self._clock():
                return UNKNOWN, 0.0
            identity = (backend.name, folder_of(key))
            state.folders.move_to_end(identity)
            state.folders[identity].helped += 1
            return None if meta is None else Remote(meta, is_partial=True), until

    def stale(self, backend: Backend, key: Key) -> Remote | None:
        """Return what a listing told not too long ago: good enough if the backend cannot tell."""
        state = self._state.get()
        with state.lock:
            told = self._told(state, backend, key)
            meta = None if told is None or told.stale_until <= self._clock() else told.page.get(key)
        return None if meta is None else Remote(meta, is_partial=True)

    def flight(self, backend: Backend, key: Key) -> Flight | None:
        """Return the listing to wait for, which may begin now; None if ``key`` is to be asked for by HEAD.

        Whoever waits for it calls ``leave`` in the end.
        """
        now, identity = self._clock(), (backend.name, folder_of(key))
        state = self._state.get()
        with state.lock:
            if state.paused.get(backend.name, 0.0) > now:
                return None
            folder = state.folders.get(identity)
            if folder is None:
                folder = state.folders[identity] = _Folder()
                state.backends.add(backend.name)
                state.keep(folder, [])
            state.folders.move_to_end(identity)
            if (flight := folder.flight) is not None:
                if key in flight.dropped:
                    return None
                flight.wanted.add(key)
                flight.waiting.append(None)
                return flight
            folder.asked = {
                other: at for other, at in folder.asked.items() if now - at < TOGETHER_SECONDS and other != key
            }
            if len(folder.asked) < HEADS_FIRST:
                folder.asked[key] = now
                return None
            if folder.helped < FEW_KEYS and now - folder.listed_at < PAUSE_SECONDS:
                return None
            if folder.not_before > now or state.flights >= MAX_FLIGHTS:
                return None
            starts_anew = not any(told.page.after is None and told.missing_until > now for told in folder.told)
            wanted: set[str] = {key}
            asked = tuple(folder.asked)
            future = self._pool_of(backend.name).submit(self._list, backend, key, starts_anew, wanted, asked)
            flight = folder.flight = Flight(identity, future, wanted, set(), [None])
            state.flights += 1
        # Outside the lock: a future that is done calls back at once.
        future.add_done_callback(lambda _: self._landed(state, folder, flight))
        return flight

    def leave(self, flight: Flight) -> None:
        """Wait no longer. A listing that nobody waits for and nobody has begun is dropped."""
        state = self._state.get()
        with state.lock:
            flight.waiting.pop()
            if flight.waiting or flight.future.running() or flight.future.done():
                return
            folder = state.folders.get(flight.id)
            if folder is not None and folder.flight is flight:
                folder.flight = None
        flight.future.cancel()

    def pause(self, backend: str) -> None:
        """Leave all keys of ``backend`` to HEAD for a while."""
        state = self._state.get()
        with state.lock:
            state.paused[backend] = self._clock() + PAUSE_SECONDS

    def forget(self, key: Key, missed_by: str | None = None) -> None:
        """Have nothing that was listed, or is being listed now, tell of ``key``.

        ``missed_by``: the backend that was asked and does not have it; then only that it is there counts no more.
        """
        name = folder_of(key)
        state = self._state.get()
        with state.lock:
            self.changes += 1
            for backend in state.backends if missed_by is None else (missed_by,):
                folder = state.folders.get((backend, name))
                if folder is None:
                    continue
                if folder.flight is not None:
                    folder.flight.dropped.add(key)
                for told in folder.told:
                    if told.page.tells(key) and (missed_by is None or told.page.get(key) is not None):
                        told.dropped.add(key)
                if any(len(told.dropped) > MAX_DROPPED for told in folder.told):
                    state.keep(folder, [told for told in folder.told if len(told.dropped) <= MAX_DROPPED])

    def _told(self, state: _State, backend: Backend, key: Key) -> _Told | None:
        """Return the newest page that tells of ``key``: what older ones say counts no more, however old it is."""
        folder = state.folders.get((backend.name, folder_of(key)))
        for told in () if folder is None else folder.told:
            if told.page.tells(key):
                return None if key in told.dropped else told
        return None

    def _list(self, backend: Backend, key: Key, starts_anew: bool, wanted: set[str], asked: tuple[str, ...]) -> Pages:
        """What a thread does. Nothing that is told means: ask for each key."""
        pages: list[Page] = []
        name, listing = folder_of(key), cast("ListsPages", backend)

        def work() -> bool | None:
            page = listing.list_page(name) if starts_anew else None
            if page is not None:
                pages.append(page)
                if page.last is None or key <= page.last:
                    return None if page.tells(key) and page.get(key) is None else True
            elif starts_anew:
                return True
            # Those who have come meanwhile want what stands beside it.
            end = "" if page is None or page.last is None else page.last
            first = min(other for other in wanted.copy() if other > end)
            page = listing.list_page(name, just_before(first))
            if page is not None:
                pages.append(page)
            return None if page is not None and page.tells(key) and page.get(key) is None else True

        self._call(backend.name, name, work)
        for other in asked:
            if isinstance(self._heard(backend, Key(other)), Remote) and any(
                page.tells(other) and page.get(other) is None for page in pages
            ):
                return ()
        return tuple(pages)

    def _landed(self, state: _State, folder: _Folder, flight: Flight) -> None:
        now, future = self._clock(), flight.future
        with state.lock:
            state.flights -= 1
            is_dropped = folder.flight is not flight  # by those who waited: it was not told what was forgotten since
            folder.flight = None if not is_dropped else folder.flight
            if future.cancelled():
                return
            if future.exception() is not None:
                state.paused[flight.id[0]] = now + PAUSE_SECONDS
                return
            if is_dropped or state.folders.get(flight.id) is not folder:  # or to make room
                return
            pages = future.result()
            folder.asked.clear()
            if len(flight.dropped) > MAX_DROPPED:
                return
            if not pages:
                folder.not_before = now + NOT_BELIEVED_SECONDS
                return
            told = [
                _Told(page, now + self._found, now + self._missing, now + self._found + self._stale)
                for page in reversed(pages)
            ]
            for each in told:
                each.dropped = set(flight.dropped)
            helped = sum(any(page.tells(key) for page in pages) for key in flight.wanted)
            folder.listed_at, folder.helped = now, helped
            state.folders.move_to_end(flight.id)
            older = [] if any(page.is_whole for page in pages) else folder.told
            state.keep(folder, [each for each in (*told, *older) if each.stale_until > now][:MAX_PAGES])
            self.changes += 1


def told_by(pages: Pages, key: Key) -> Remote | Unknown | None:
    """Return what ``pages`` tell of ``key``, or ``UNKNOWN``."""
    for page in pages:
        if page.tells(key):
            meta = page.get(key)
            return None if meta is None else Remote(meta, is_partial=True)
    return UNKNOWN
