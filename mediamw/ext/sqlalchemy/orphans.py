"""Files of a storage that no row names: what a killed process left, or a storage that was away.

1. Rows are read first, and of each only a hash of what it names is kept; then files are listed, and none counts that
   is younger than what is asked for, or than the reading. So a file whose row came meanwhile is none of them.
2. Only the upper's files are looked at and removed: a lower's are production's, which other rows name.
3. Of a row that cannot be read nobody knows what it names. Then nothing is removed.
4. Before files are removed the database is asked for these very ones once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Connection, Engine, MetaData, String, select, type_coerce

from ...backends.base import Backend, Remote
from ...core.errors import BackendUnavailable, ConfigError, MediaError
from ...core.keys import Key
from ...core.model import Meta
from ...stack.whiteouts import as_upper
from ...storages.bookkeeping import Placed
from ...storages.registry import Registry, Stored
from .file_type import FileType
from .rows import BATCH, named_in_column

ROWS_AT_ONCE: Final = 1000


class Orphan(NamedTuple):
    """A file that no row names: where it is, its size in bytes and when it was stored, in seconds since 1970."""

    stored: Stored
    size: int | None
    mtime: float


class BadRow(NamedTuple):
    """A row of which one cannot tell which files it names."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class Finder:
    """Finds what is named nowhere. ``also_used`` yields more texts such as ``storage/key``.

    ``columns`` as ``file_columns`` returns them. Raises ``ConfigError`` if there are none.
    """

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        columns: Collection[tuple[Column[Any], FileType]],
        also_used: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        if not columns:
            raise ConfigError("models: no column has a MediaField or UploadedFileField, and so every file would be one")
        self._registry, self._engine, self._columns, self._also_used = registry, engine, columns, also_used
        self._started = time.time()
        self._named: set[bytes] = set()
        self.bad_rows: list[BadRow] = []
        """Filled by ``read``: while there are some nothing may be removed."""

    def read(self) -> None:
        """Read all rows. Raises as SQLAlchemy and ``also_used`` do, and ``ConfigError`` if that names no file."""
        self._started = time.time()
        for column, type_ in self._columns:
            with self._engine.connect() as connection:
                for where, value in self._values(connection, column, type_):
                    try:
                        self._named.update(self._hash(file.stored) for file in self._files_of(type_, value))
                    except (MediaError, TypeError, ValueError) as error:
                        self.bad_rows.append(BadRow(where, f"{error}".partition("\n")[0]))
        self._named.update(self._hash(stored) for stored in self._used_besides())

    def orphans(self, storage: str, older_than: float) -> Iterator[Orphan]:
        """Yield the files of a storage's upper that nobody names and that are older than so many seconds.

        None where the first backend takes no writes: its files are somebody else's. Raises ``BackendUnavailable``.
        """
        upper = as_upper(self._registry.get(storage).upper)
        if upper is None:
            return
        for entry in upper.list("", recursive=True):
            stored, meta = Stored(storage, Key(entry.key)), entry.meta
            if self._hash(stored) in self._named:
                continue
            if meta is None or meta.mtime_ns is None:  # not all listings tell dates
                meta = _meta_of(upper, stored.key)
            if meta is None or meta.mtime_ns is None:  # it is gone, or one cannot tell
                continue
            if meta.mtime_ns / 1e9 <= self._started - older_than:
                yield Orphan(stored, meta.size, meta.mtime_ns / 1e9)

    def remove(self, orphans: Sequence[Orphan]) -> Iterator[tuple[Orphan, str]]:
        """Remove files, unless the database names them by now; yield each with why it is still there, "" if it is not.

        Only the upper's go, and nothing of a lower is hidden. Raises ``ConfigError`` if a row could not be read.
        """
        if self.bad_rows:
            raise ConfigError(f"a row cannot be read, and may name any of them: {self.bad_rows[0]}")
        for start in range(0, len(orphans), BATCH):
            some = orphans[start : start + BATCH]
            named = self._named_now([orphan.stored for orphan in some])
            for orphan in some:
                yield orphan, "a row names it by now" if orphan.stored in named else self._removed(orphan.stored)

    def _removed(self, stored: Stored) -> str:
        try:
            self._registry.get(stored.storage).reset(stored.key)
        except BackendUnavailable as error:
            return str(error)
        return ""

    def _named_now(self, files: Collection[Stored]) -> set[Stored]:
        found = set(self._used_besides())
        with self._engine.connect() as connection:
            for column, type_ in self._columns:
                placed = [Placed(type_.names, stored) for stored in files]
                found |= {file.stored for file in named_in_column(connection, column, type_, placed)}
        return found

    def _used_besides(self) -> Iterator[Stored]:
        for text in self._also_used():
            if not isinstance(text, str):
                raise ConfigError(f"also_used: {text!r} is no text: give storage/key, such as local/a.jpg")
            try:
                found = Stored.of(text)
                storage = self._registry.resolve(found.storage)
            except MediaError as error:
                raise ConfigError(f"also_used: {error}") from error
            yield Stored(storage, found.key)

    def _values(self, connection: Connection, column: Column[Any], type_: FileType) -> Iterator[tuple[str, Any]]:
        """Yield which row it is, and the text of its column."""
        keys = list(column.table.primary_key) if column.table is not None else []
        query = select(type_coerce(column, String), *keys).where(column.is_not(None))
        for text, *values in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query):
            row = ", ".join(f"{key.name}={value!r}" for key, value in zip(keys, values, strict=True))
            yield f"{column.table.name}.{column.name} of the row {row or '?'}", text

    def _files_of(self, type_: FileType, text: str) -> list[Placed]:
        value = type_.process_result_value(text, self._engine.dialect)
        files = list(type_.files_of(value))
        for file in files:
            type_.names.resolve(file.stored.storage)  # raises: it may be a name of what is here, not remapped yet
        return files

    def _hash(self, stored: Stored) -> bytes:
        return blake2b(str(stored).encode(), digest_size=16).digest()


def _meta_of(backend: Backend, key: Key) -> Meta | None:
    found = backend.open(key)
    if found is not None and not isinstance(found, Remote):
        found.close()
    return None if found is None else found.meta


def file_columns(models: Iterable[object]) -> list[tuple[Column[Any], FileType]]:
    """Return the columns with files of ``models``: each a ``MetaData``, or what has one, such as a declarative base.

    Of a mapped class all tables that share its ``MetaData`` count. Raises ``ConfigError``.
    """
    found: dict[Column[Any], FileType] = {}
    for model in models:
        metadata = model if isinstance(model, MetaData) else getattr(model, "metadata", None)
        if not isinstance(metadata, MetaData):
            raise ConfigError(f"models: {model!r} is no declarative base, no registry, no mapped class and no MetaData")
        for table in metadata.tables.values():
            for column in table.columns:
                if isinstance(column.type, FileType):
                    found[column] = column.type
    return list(found.items())
