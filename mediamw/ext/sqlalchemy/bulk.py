"""Statements that change many rows: ``delete(User).where(...)``, ``update(...)``, ``insert(...)``, by a session.

No object knows of them, so the files of the rows that they meet are read first, in the same transaction and under a
lock where the database has those, and counted once the statement was done. A file is never stored by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Result,
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
from sqlalchemy.sql.elements import BindParameter

from ...storages.bookkeeping import Placed
from .columns import Tracked, tracked
from .tracking import files_named_by, values_of
from .transactions import books_of


def _executed(state: ORMExecuteState) -> Result[Any] | None:
    statement: Any = state.statement
    if not isinstance(statement, (Delete, Update, Insert)) or not isinstance(statement.table, Table):
        return None
    mapper = state.bind_mapper
    attributes = _of_table(mapper, statement.table)
    if not attributes or mapper is None:
        return None
    given = list(_given(state, attributes))
    if isinstance(statement, Update):
        attributes = [attribute for attribute in attributes if any(attribute is named for named, _ in given)]
        if not attributes:
            return None
    old = [] if isinstance(statement, Insert) else _matched(state, mapper, attributes)
    # What names no file is refused when the statement is sent.
    new = [file for attribute, value in given for file in files_named_by(attribute.type, [value])]
    result: Any = state.invoke_statement()
    if old or new:
        books = books_of(state.session)
        books.mappers.add(mapper)
        for file in old:
            books.ledger.let_go(file)
        for file in new:
            books.ledger.named(file)
    return result  # type: ignore[no-any-return]


def _of_table(mapper: Mapper[Any] | None, table: Table) -> Sequence[Tracked]:
    """Return the attributes whose column the statement's rows have: of a joined class it meets one table alone."""
    # The table of a statement is a copy with notes: compared by its name.
    return [] if mapper is None else [found for found in tracked(mapper) if found.column.table.key == table.key]


def _matched(state: ORMExecuteState, mapper: Mapper[Any], attributes: Sequence[Tracked]) -> list[Placed]:
    """Return the files of the rows that the statement will meet, as often as rows name them."""
    statement: Any = state.statement
    entity = mapper.class_
    texts = (type_coerce(getattr(entity, found.key), String) for found in attributes)
    query = select(*texts).select_from(entity).with_for_update()
    parameters: Any = state.parameters
    if statement.whereclause is not None:
        query = query.where(statement.whereclause)
    elif isinstance(statement, Update) and isinstance(parameters, Sequence):
        query = query.where(_by_primary_key(mapper, parameters))
        parameters = None
    options = {name: value for name, value in state.execution_options.items() if name == "schema_translate_map"}
    rows = state.session.execute(query, parameters, execution_options=options, bind_arguments=state.bind_arguments)
    dialect = state.session.get_bind(mapper).dialect
    return [
        file
        for row in rows
        for found, text in zip(attributes, row, strict=True)
        for file in files_named_by(found.type, values_of(found.type, [text], dialect))
    ]


def _by_primary_key(mapper: Mapper[Any], parameters: Iterable[Mapping[str, Any]]) -> ColumnElement[bool]:
    keys = [(mapper.get_property_by_column(column).key, column) for column in mapper.primary_key]
    return or_(*(and_(*(column == row[key] for key, column in keys)) for row in parameters))


def _given(state: ORMExecuteState, attributes: Sequence[Tracked]) -> Iterator[tuple[Tracked, Any]]:
    """Yield what the statement writes into columns with files, be it in ``values()`` or beside the statement."""
    statement: Any = state.statement
    if isinstance(statement, Delete):
        return
    rows: list[Any] = [dict(statement._values or {}), dict(getattr(statement, "_ordered_values", None) or ())]
    for several in statement._multi_values:
        rows.extend(several)
    parameters: Any = state.parameters
    rows.extend(parameters if isinstance(parameters, Sequence) else [parameters or {}])
    for row in rows:
        for name, value in row.items() if isinstance(row, Mapping) else ():
            for found in attributes:
                if (
                    name in (found.key, found.column.name)
                    or name is found.column
                    or (getattr(name, "key", None) in (found.key, found.column.key))
                ):
                    yield found, _plain(value)


def _plain(value: Any) -> Any:
    """Return the value of a parameter; None for what only the database knows."""
    if isinstance(value, BindParameter):
        value = value.value
    return None if isinstance(value, ColumnElement) else value


def set_up() -> None:
    """Listen, once for all sessions of the process."""
    event.listen(Session, "do_orm_execute", _executed)
