"""The journal of a migration: what of a storage is at another, and as what. One SQLite file for each pair of storages.

1. A row says ``done`` only of what was proved to be at the target. What a kill leaves out is compared there next time.
2. The file is locked as long as it is open (SQLite's exclusive locking mode): a second run is told so. The lock ends
   with its process. Rows are committed as results come, in a write-ahead log, which a kill does not harm; after a power
   cut the last ones may be missing, never half there.
3. It is a journal of two places, not of two names: if a name stands for another place by now it is refused.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from typing import Final, NamedTuple

from ...core.errors import ConfigError
from ...core.model import Meta
from .copying import Result

FORMAT: Final = 1
_APPLICATION: Final = 0x6D6D6967  # "mmig": tells a journal from other SQLite files
_KEYS_AT_ONCE: Final = 500  # older SQLites take 999 variables
_SCHEMA: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE files (
    key TEXT PRIMARY KEY, state TEXT NOT NULL, run INTEGER NOT NULL, at REAL NOT NULL,
    size INTEGER, etag TEXT, mtime_ns INTEGER, checksum TEXT, reason TEXT NOT NULL
) WITHOUT ROWID;
"""
_UPSERT: Final = """
INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    state = excluded.state, run = excluded.run, at = excluded.at, size = excluded.size, etag = excluded.etag,
    mtime_ns = excluded.mtime_ns, checksum = COALESCE(excluded.checksum, checksum), reason = excluded.reason
"""


class Row(NamedTuple):
    """What is known of a file. ``state``: ``done``, or the outcome that it had; ``run``: the number of the run that
    said so; ``checksum``: the SHA-256 of what was last stored at the target, None if nothing was."""

    key: str
    state: str
    run: int
    size: int | None
    etag: str | None
    mtime_ns: int | None
    checksum: str | None
    reason: str

    def is_of(self, meta: Meta) -> bool:
        """Say whether the source is known to have that version still: by ETag, else by length and time."""
        if self.etag is not None and meta.etag is not None:
            return self.etag == meta.etag
        return self.mtime_ns is not None and (self.size, self.mtime_ns) == (meta.size, meta.mtime_ns)


class JournalLost(ConfigError):
    """A journal that was open cannot be read or written any more: its disk is full, or it is damaged."""


class Journal:
    """An open journal, of one thread. ``about``: what it is a journal of, as words; another one's is refused.

    ``path`` None: in memory, gone with the process. Raises ``ConfigError`` if the file is no journal, another's, or in
    use. Its methods raise ``JournalLost``.
    """

    def __init__(self, path: str | PathLike[str] | None, about: Mapping[str, str]) -> None:
        self.path = None if path is None else fspath(path)
        where = "a journal in memory" if self.path is None else f"journal {self.path}"
        try:
            self._db = sqlite3.connect(self.path or ":memory:", timeout=0, isolation_level=None)
        except sqlite3.Error as error:
            raise ConfigError(f"{where}: {error}: give a path in a directory that can be written") from error
        try:
            self.run = self._opened(where, about)
        except sqlite3.Error as error:
            self._db.close()
            if "locked" in str(error):
                raise ConfigError(f"{where}: another run is at work on it: wait for its end") from error
            if isinstance(error, sqlite3.OperationalError):
                raise ConfigError(f"{where}: {error}: give a path that can be written, on a disk with room") from error
            raise ConfigError(
                f"{where}: {error}: it is no journal of a migration, or damaged: give another path"
            ) from error
        except BaseException:
            self._db.close()
            raise

    def _opened(self, where: str, about: Mapping[str, str]) -> int:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")  # first: then the log needs no shared memory
        self._is_new(where)  # before anything is changed in what may be another program's
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN EXCLUSIVE")  # the lock stays
        if self._is_new(where):
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
            db.executemany("INSERT INTO about VALUES (?, ?)", [*about.items(), ("run", "0")])
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != FORMAT:
            raise ConfigError(f"{where}: its format is {version}, and this mediamw knows {FORMAT}: give another path")
        told = dict(db.execute("SELECT name, value FROM about"))
        for name, value in about.items():
            if told.get(name) != value:
                raise ConfigError(
                    f"{where}: it is of another migration, whose {name} is {told.get(name)}, not {value}: give "
                    "another path"
                )
        db.execute("CREATE TEMP TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")
        db.execute("COMMIT")
        return int(told["run"])

    def _is_new(self, where: str) -> bool:
        """Say whether nothing is in the file. Raises ``ConfigError`` if it is not ours."""
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        if not application and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
            return True
        if application != _APPLICATION:
            raise ConfigError(f"{where}: it is another program's file, give another path")
        return False

    @contextmanager
    def _used(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalLost(f"journal {self.path}: {error}") from error

    def begin_run(self, *, is_dry: bool = False) -> None:
        """Give the run that begins a number of its own; one that ``is_dry`` leaves no trace."""
        self.run += 1
        if not is_dry:
            with self._used():
                self._db.execute("UPDATE about SET value = ? WHERE name = 'run'", (str(self.run),))

    def known(self, keys: Sequence[str]) -> dict[str, Row]:
        """Return the rows of those of ``keys`` that have one."""
        found = {}
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[start : start + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(some))
            columns = "key, state, run, size, etag, mtime_ns, checksum, reason"
            query = f"SELECT {columns} FROM files WHERE key IN ({marks})"  # noqa: S608 - question marks
            with self._used():
                found.update({row[0]: Row(*row) for row in self._db.execute(query, some)})
        return found

    def record(self, results: Iterable[Result]) -> None:
        """Keep what became of files, all of it or, if that fails, nothing. What is gone is forgotten unless it was
        copied before."""
        now = time.time()
        rows, gone = [], []
        for result in results:
            if result.outcome == "gone":
                gone.append((result.key,))
                continue
            state = "done" if result.outcome in ("copied", "equal") else result.outcome
            version = (result.size, result.etag, result.mtime_ns)
            rows.append((result.key, state, self.run, now, *version, result.checksum, result.reason))
        with self._used(), self._all_or_nothing():
            self._db.executemany(_UPSERT, rows)
            self._db.executemany("DELETE FROM files WHERE key = ? AND state != 'done'", gone)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # of some errors SQLite has rolled back itself
                self._db.execute("ROLLBACK")
            raise

    def begin_listing(self) -> None:
        """Forget which keys have been seen."""
        with self._used():
            self._db.execute("DELETE FROM temp.seen")

    def see(self, keys: Iterable[str]) -> None:
        """Note that the source has these. On disk: they may be more than memory holds."""
        with self._used(), self._all_or_nothing():
            self._db.executemany("INSERT OR IGNORE INTO temp.seen VALUES (?)", [(key,) for key in keys])

    def unseen(self, limit: int) -> tuple[int, list[str]]:
        """Return how many copied files the source did not list, and the first ``limit`` of them."""
        rest = "FROM files WHERE state = 'done' AND key NOT IN (SELECT key FROM temp.seen)"
        with self._used():
            (count,) = self._db.execute(f"SELECT count(*) {rest}").fetchone()
            keys = self._db.execute(f"SELECT key {rest} ORDER BY key LIMIT ?", (limit,))
            return count, [key for (key,) in keys]

    def close(self) -> None:
        """Let go of the file, and of the lock."""
        with suppress(sqlite3.Error):
            self._db.close()
