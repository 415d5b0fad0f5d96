"""Statements that change many rows: ``delete(User).where(...)``, ``update(...)``, ``insert(...)``, by a session.

No object knows of them, so the files of the rows that they meet are read first, in the same transaction and under a
lock where the database has those, and counted once the statement was done. A file is never stored by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Insert,
    Result,
    Select,
    String,
    Table,
    Update,
    and_,
    event,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import Mapper, ORMExecuteState, Session
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import BindParameter

from ...storages.bookkeeping import Placed
from .columns import Tracked, tracked
from .rows import BATCH
from .tracking import files_named_by, values_of
from .transactions import books_of


def _executed(state: ORMExecuteState) -> Result[Any] | None:
    statement: Any = state.statement
    if not isinstance(statement, (Delete, Update, Insert)) or not isinstance(statement.table, Table):
        return None
    mapper = state.bind_mapper
    if mapper is None:
        return None
    attributes = tracked(mapper) if _has_many(state) else _of_table(mapper, statement.table)
    if not attributes:
        return None
    given = list(_given(state, attributes))
    if isinstance(statement, Update):
        attributes = [attribute for attribute in attributes if any(attribute is named for named, _ in given)]
        if not attributes:
            return None
    if state.session.autoflush:
        state.session.flush()
    # Where the statement goes, which is another database than a SELECT's in a session that reads from replicas.
    connection = state.session.connection(bind_arguments=dict(state.bind_arguments))
    old = [] if isinstance(statement, Insert) else _matched(state, mapper, attributes, connection)
    # What names no file is refused when the statement is sent.
    new = [file for attribute, value in given for file in files_named_by(attribute.type, [value])]
    if not old and not new:
        return None
    books = books_of(state.session)
    books.mappers.add(mapper)
    books.writes(connection, state.execution_options)
    books.asks_all |= any(isinstance(value, ClauseElement) for _, value in given)
    for file in new:  # it may be gone: then nothing is sent
        books.ledger.named(file)
    try:
        result: Any = state.invoke_statement()
    except BaseException:
        for file in new:
            books.ledger.let_go(file)
        raise
    for file in old:
        books.ledger.let_go(file)
    return result  # type: ignore[no-any-return]


def _has_many(state: ORMExecuteState) -> bool:
    """Say whether it is for a list of rows by their attributes, which may be in several tables of a joined class."""
    return isinstance(state.parameters, Sequence) and state.execution_options.get("dml_strategy") != "core_only"


def _of_table(mapper: Mapper[Any], table: Table) -> Sequence[Tracked]:
    """Return the attributes whose column the statement's rows have: of a joined class it meets one table alone."""
    # The table of a statement is a copy with notes: compared by its name.
    return [found for found in tracked(mapper) if found.column.table.key == table.key]


def _matched(
    state: ORMExecuteState, mapper: Mapper[Any], attributes: Sequence[Tracked], connection: Connection
) -> list[Placed]:
    """Return the files of the rows that the statement will meet, as often as rows name them."""
    statement: Any = state.statement
    entity = mapper.class_
    texts = (type_coerce(getattr(entity, found.key), String) for found in attributes)
    query: Any = select(*texts).select_from(entity).with_for_update()
    if statement.whereclause is not None:
        query = query.where(statement.whereclause)
    options = {name: value for name, value in state.execution_options.items() if name == "schema_translate_map"}
    return [
        file
        for narrowed, parameters in _narrowed(state, mapper, query)
        for row in connection.execute(narrowed, parameters, execution_options=options)
        for found, text in zip(attributes, row, strict=True)
        for file in files_named_by(found.type, values_of(found.type, [text], connection.dialect))
    ]


def _narrowed(state: ORMExecuteState, mapper: Mapper[Any], query: Select[Any]) -> Iterator[tuple[Select[Any], Any]]:
    """Yield the queries for the rows of a statement, and their parameters; it has many with a list of these."""
    several: Any = state.parameters
    if _has_many(state):
        for start in range(0, len(several), BATCH):
            yield query.where(_by_primary_key(mapper, several[start : start + BATCH])), None
    elif isinstance(several, Sequence):
        for parameters in several:
            yield query, parameters
    else:
        yield query, several


def _by_primary_key(mapper: Mapper[Any], parameters: Iterable[Mapping[str, Any]]) -> ColumnElement[bool]:
    keys = [(mapper.get_property_by_column(column).key, column) for column in mapper.primary_key]
    return or_(*(and_(*(column == row[key] for key, column in keys)) for row in parameters))


def _given(state: ORMExecuteState, attributes: Sequence[Tracked]) -> Iterator[tuple[Tracked, Any]]:
    """Yield what the statement writes into columns with files, be it in ``values()`` or beside the statement.

    An SQL expression for what only the database knows.
    """
    statement: Any = state.statement
    if isinstance(statement, Delete):
        return
    rows: list[Any] = [dict(statement._values or {}), dict(getattr(statement, "_ordered_values", None) or ())]
    for several in statement._multi_values:
        rows.extend(several)
    upsert: Any = getattr(statement, "_post_values_clause", None)
    rows.append(dict(getattr(upsert, "update_values_to_set", None) or getattr(upsert, "update", None) or {}))
    parameters: Any = state.parameters
    sent = list(parameters) if isinstance(parameters, Sequence) else [parameters or {}]
    for row in rows + sent:
        for name, value in row.items() if isinstance(row, Mapping) else ():
            for found in attributes:
                if (
                    name in (found.key, found.column.name)
                    or name is found.column
                    or (getattr(name, "key", None) in (found.key, found.column.key))
                ):
                    for plain in _plain(value, sent):
                        yield found, plain


def _plain(value: Any, sent: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Return the values of what is written: of a parameter those that are sent for it, or its own."""
    if not isinstance(value, BindParameter):
        return [value]
    return [row[value.key] for row in sent if value.key in row] or [value.effective_value]


def set_up() -> None:
    """Listen, once for all sessions of the process."""
    event.listen(Session, "do_orm_execute", _executed)
