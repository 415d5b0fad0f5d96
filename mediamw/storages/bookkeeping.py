"""What a transaction stored and what it let go. Knows no database: whoever drives one says what happens in it.

1. A file is stored before its row is, and removed after its row is. So whatever breaks in between leaves a file that no
   row names (``mediamw storages orphans`` lists those), never a row without its file.
2. What is new goes when its transaction or savepoint is rolled back. What was let go goes after the outermost commit
   alone, and not if the savepoint in which it was let go was rolled back.
3. How often a file is named is counted: one that a row lets go and another takes is kept, in whatever order they do.
   Of a file that was there before, one row is taken to name it.
4. A new file that is named in two transactions at once is left to both: neither takes it from the other.
5. A file that one transaction lets go while another of this process, still open, has a row name it stays: the database
   cannot tell of that row yet. So what is to be removed is claimed before the database is asked (``Claim``), and
   whoever names a file ends the claim to it.
6. That a file cannot be removed is logged, and nothing else: the transaction has ended, and nobody can take that back.
7. Whoever names a file that was removed here is told at once: his row would be one without its file.

A ``Ledger`` is one transaction's, in one thread at a time; they share what is known of new files.
"""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from threading import RLock
from typing import Final, NamedTuple
from weakref import WeakSet, WeakValueDictionary

from cachetools import LRUCache

from ..core.errors import ConfigError, MediaError
from .registry import Registry, Stored

LOG: Final = logging.getLogger("mediamw")
MAX_REMEMBERED: Final = 65_536
"""How many files are remembered that were removed, and how many that are nobody's yet."""
MAX_NAMED_IN_LOG: Final = 20


class Placed(NamedTuple):
    """A file, and the registry in which its storage has that name."""

    registry: Registry
    stored: Stored

    @classmethod
    def of(cls, registry: Registry, file: Stored) -> Placed:
        """Return where ``file`` is by now: rows may name it by an alias, or by a name that is remapped."""
        try:
            return cls(registry, Stored(registry.resolve(file.storage), file.key))
        except ConfigError:  # a storage that is not configured here: there is nothing to be removed from
            return cls(registry, file)

    def __str__(self) -> str:
        return str(self.stored)


class _Known:
    """What all ledgers of the process know of new files. Its lock is held for moments."""

    def __init__(self) -> None:
        # Taken again where the garbage that is collected meanwhile closes a session, as a generator's "finally" may.
        self.lock = RLock()
        self.owners: WeakValueDictionary[Placed, Ledger] = WeakValueDictionary()  # less those that were dropped
        self.nobodys: LRUCache[Placed, None] = LRUCache(MAX_REMEMBERED)
        self.open: WeakSet[Ledger] = WeakSet()
        """Those that have had a row name a file, and have not ended."""
        self.claims: WeakSet[Claim] = WeakSet()
        self.going: set[Placed] = set()
        self.removed: LRUCache[Placed, None] = LRUCache(MAX_REMEMBERED)


_known: Final = _Known()


class _Frame:
    """What happened in the transaction, or in one savepoint of it."""

    def __init__(self) -> None:
        self.new: dict[Placed, None] = {}  # in the order in which they came
        self.named: Counter[Placed] = Counter()


class Ledger:
    """The files of one transaction, with its savepoints."""

    def __init__(self) -> None:
        self._frames = [_Frame()]
        self.has_named: set[Placed] = set()
        """What its rows have come to name, whether or not they still do; other ledgers look."""

    def stored(self, file: Placed) -> None:
        """Note a file that was stored just now, or in the name of nobody (``stored_for_nobody``)."""
        with _known.lock:
            _known.removed.pop(file, None)
            _known.nobodys.pop(file, None)
            _known.owners[file] = self
            self._frames[-1].new[file] = None

    def take(self, file: Placed) -> None:
        """Note a file as a new one of this transaction if it is nobody's. Of two that take it at once one has it."""
        with _known.lock:
            if file in _known.nobodys:
                self.stored(file)

    def named(self, file: Placed) -> None:
        """Note that one more row names a file. Raises ``FileNotFoundError`` if it was removed."""
        with _known.lock:
            self.take(file)
            owner = _known.owners.get(file)
            if owner is not None and owner is not self:  # rule 4
                owner._disown(file)
            _known.open.add(self)
            self.has_named.add(file)
            self._frames[-1].named[file] += 1
            for claim in list(_known.claims):  # rule 5
                claim.end(file)
        try:
            check_not_removed(file)  # no sooner, lest it goes meanwhile
        except FileNotFoundError:
            self.let_go(file)
            raise

    def let_go(self, file: Placed) -> None:
        """Note that one row less names a file."""
        self._frames[-1].named[file] -= 1

    def begin(self) -> None:
        """A savepoint begins."""
        self._frames.append(_Frame())

    def release(self) -> None:
        """The innermost savepoint ends, and what was done in it stays."""
        frame = self._frames.pop()
        with _known.lock:
            self._frames[-1].new |= frame.new
        for file, count in frame.named.items():
            self._frames[-1].named[file] += count

    def roll_back_savepoint(self) -> list[Placed]:
        """The innermost savepoint is undone. Return the files that are to be removed."""
        return self._end(self._frames.pop())

    def commit(self) -> list[Placed]:
        """The transaction has been committed. Return the files that no row names any more, as far as it knows."""
        while len(self._frames) > 1:
            self.release()
        (frame,) = self._close()
        new = self._end(frame)
        gone = [file for file in new if frame.named[file] <= 0]
        return gone + [file for file, count in frame.named.items() if count < 0 and file not in frame.new]

    def stay_open(self) -> None:
        """Its commit is only about to be done: what it named stays (rule 5), as long as somebody keeps the ledger."""
        with _known.lock:
            _known.open.add(self)

    def roll_back(self) -> list[Placed]:
        """The transaction, with all savepoints, is undone. Return the files that are to be removed."""
        return [file for frame in self._close() for file in self._end(frame)]

    def _close(self) -> list[_Frame]:
        with _known.lock:
            _known.open.discard(self)
            frames, self._frames = self._frames, [_Frame()]
        return frames

    def _end(self, frame: _Frame) -> list[Placed]:
        with _known.lock:
            self.has_named.difference_update(frame.new)
            for file in frame.new:
                if _known.owners.get(file) is self:
                    del _known.owners[file]
            return list(frame.new)

    def _disown(self, file: Placed) -> None:
        """Have nobody remove a new file; the lock is held."""
        _known.owners.pop(file, None)
        for frame in self._frames:
            frame.new.pop(file, None)


def stored_for_nobody(file: Placed) -> None:
    """Note a file that was stored outside of any transaction; the first that names it takes it for its own."""
    with _known.lock:
        _known.removed.pop(file, None)
        _known.nobodys[file] = None


def is_nobodys(file: Placed) -> bool:
    """Say whether a file was stored for nobody, and nobody has taken it."""
    with _known.lock:
        return file in _known.nobodys


def check_not_removed(file: Placed) -> None:
    """Raise ``FileNotFoundError`` if a file was removed here, with the transaction that stored it or let it go."""
    with _known.lock:
        is_gone, is_going = file in _known.removed, file in _known.going
    if is_gone and not is_going:
        with suppress(MediaError):  # it may be there again: stored, or restored from below
            is_gone = not file.registry.get(file.stored.storage).exists(file.stored.key)
    if is_gone or is_going:
        reason = "The file was removed when a transaction ended: assign its bytes again"
        raise FileNotFoundError(errno.ENOENT, reason, str(file))


class Claim:
    """Files that are to be removed, less those that open transactions name: these are left to them (rule 5)."""

    def __init__(self, files: Iterable[Placed]) -> None:
        self._files = dict.fromkeys(files)
        self._left: dict[Placed, None] = {}
        with _known.lock:
            for file in list(self._files):
                if any(file in ledger.has_named for ledger in list(_known.open)):
                    self.end(file)
            _known.claims.add(self)

    def files(self) -> list[Placed]:
        """Return all, with those that are left."""
        with _known.lock:
            return [*self._files, *self._left]

    def end(self, file: Placed) -> None:
        """Leave a file to a transaction that names it, unless it is too late; the lock is held."""
        if file in self._files:
            del self._files[file]
            self._left[file] = None

    def keep(self, files: Iterable[Placed]) -> None:
        """Give up files that rows name."""
        with _known.lock:
            for file in files:
                self._files.pop(file, None)
                self._left.pop(file, None)

    def remove(self) -> None:
        """Delete the files, each through its storage's stack, so that a lower's are hidden and stay. Never raises."""
        failed: dict[Placed, Exception] = {}
        while (file := self._next()) is not None:
            try:
                file.registry.get(file.stored.storage).delete(file.stored.key)
            except Exception as error:  # noqa: BLE001 - rule 6: whatever a storage raises, the others are to go
                failed[file] = error
            finally:  # also if the process is told to end, or this thread: then nobody knows, and who asks is told
                with _known.lock:
                    _known.going.discard(file)
                    if file not in failed:
                        _known.removed[file] = None
        if failed:
            left_behind(failed, f"{next(iter(failed.values()))}")
        left_behind(self._left, "another transaction had a row name them")

    def _next(self) -> Placed | None:
        with _known.lock:
            file = next(iter(self._files), None)
            if file is not None:
                del self._files[file]
                _known.going.add(file)  # before it goes: who names it meanwhile is told
            else:
                _known.claims.discard(self)
            return file


def left_behind(files: Collection[Placed], reason: str) -> None:
    """Log that files which no row may name any more are still there."""
    if not files:
        return
    named = ", ".join(str(file) for file in list(files)[:MAX_NAMED_IN_LOG])
    more = f" and {len(files) - MAX_NAMED_IN_LOG} more" if len(files) > MAX_NAMED_IN_LOG else ""
    LOG.warning("left behind: %s%s, since %s; mediamw storages orphans lists what no row names", named, more, reason)
