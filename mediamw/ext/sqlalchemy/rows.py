"""What rows name, asked of the database outside of any session."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, Table, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session

from ...core.errors import MediaError
from ...storages.bookkeeping import Placed
from .columns import tracked
from .file_type import FileType

BATCH: Final = 200
"""How many files one statement asks for: SQLite takes no more than 999 values in one, in old versions."""


class CannotTell(Exception):
    """The database was not asked, or did not answer."""


def named_in_rows(
    session: Session,
    files: Collection[Placed],
    mappers: Iterable[Mapper[Any]],
    schemas: Iterable[Any],
    *,
    only_shared: bool,
) -> set[Placed]:
    """Return those of ``files`` that a committed row names, of all classes that have a base with one of ``mappers``.

    ``schemas``: each ``schema_translate_map`` with which rows were written; None is none, and so is an empty list.
    ``only_shared``: only columns whose files may be named by several rows. Raises ``CannotTell``.
    """
    named: set[Placed] = set()
    seen: set[Column[Any]] = set()
    related = {mapper for known in mappers for mapper in known.registry.mappers}
    try:
        for mapper in related:
            for _, column, type_ in tracked(mapper):
                if column in seen or (only_shared and not type_.shared):
                    continue
                seen.add(column)
                of_type = [file for file in files if file.registry is type_.names]
                if not of_type:
                    continue
                # Where rows are written: a replica, from which a session may read, need not have them yet.
                write = update(column.table) if isinstance(column.table, Table) else None
                with _connection(session.get_bind(mapper, clause=write)) as connection:
                    for translate in list(schemas) or [None]:
                        translated = connection.execution_options(schema_translate_map=translate)
                        named |= named_in_column(translated, column, type_, of_type)
    except (SQLAlchemyError, MediaError) as error:
        raise CannotTell(f"{type(error).__name__}: {error}".partition("\n")[0]) from error
    return named


def named_in_column(
    connection: Connection, column: Column[Any], type_: FileType, files: Collection[Placed]
) -> set[Placed]:
    """Return those of ``files`` that a row names in ``column``. Raises as SQLAlchemy does."""
    wanted, named = set(files), set()
    rest = list(files)
    while rest:
        some, rest = rest[:BATCH], rest[BATCH:]
        for value in connection.execute(select(column).where(type_.naming(column, some))).scalars():
            named.update(wanted.intersection(type_.files_of(value)))
    return named


@contextmanager
def _connection(bind: Engine | Connection) -> Iterator[Connection]:
    """Lend a connection for reading, also where the session had one of somebody else's."""
    with bind.engine.connect() as connection:
        yield connection
