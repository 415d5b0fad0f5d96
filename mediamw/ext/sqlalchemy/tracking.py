"""What objects do with files: what is assigned, and what a flush writes to rows and takes from them.

The counting hangs on the mappers' events, not on the session's lists: they fire for each row that is written, whatever
brought it there (cascades, orphans), and in the transaction, so that a value that is not loaded can still be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Dialect, String, event, inspect, select, type_coerce
from sqlalchemy.orm import InstanceState, Mapper, Session, object_session
from sqlalchemy.sql import ClauseElement

from ...core.errors import MediaError
from ...storages.bookkeeping import Placed, is_nobodys
from .columns import Tracked, tracked
from .file_type import FileType
from .transactions import Books, books_of

_WAITING = "mediamw.waiting"
_OLD = "mediamw.old"


class _Waiting(list[Placed]):
    """New files of an object that is in no session yet. Who pickles the object leaves them."""

    def __reduce__(self) -> tuple[type[_Waiting], tuple[()]]:
        return _Waiting, ()


def files_named_by(type_: FileType, values: Iterable[Any]) -> Iterator[Placed]:
    """Yield the files of values. One that names none, such as an old row's, keeps nobody from replacing it."""
    for value in values:
        try:
            yield from type_.files_of(value)
        except (MediaError, TypeError):
            continue


def _configured(mapper: Mapper[Any], class_: type) -> None:
    for attribute in tracked(mapper):
        prop = mapper.attrs[attribute.key]
        if prop.parent is mapper:  # else the base's event is passed on
            event.listen(getattr(class_, attribute.key), "set", _assigned, retval=True, propagate=True)


def _assigned(target: Any, value: Any, oldvalue: Any, initiator: Any) -> Any:
    if value is None or isinstance(value, ClauseElement):
        return value
    state: InstanceState[Any] = inspect(target)
    column = state.mapper.column_attrs[initiator.key].columns[0]
    type_ = column.type
    if not isinstance(type_, FileType):  # a subclass has another column there
        return value
    value = type_.coming(value, f"{type(target).__name__}.{initiator.key}")
    session = state.session
    for file in type_.files_of(value):
        if is_nobodys(file):
            if session is None:
                state.info.setdefault(_WAITING, _Waiting()).append(file)
            else:
                _noted(session, state).ledger.take(file)
    return value


def _attached(session: Session, instance: object) -> None:
    state: InstanceState[Any] = inspect(instance)
    waiting = state.info.pop(_WAITING, None) if "info" in state.__dict__ else None
    for file in waiting or ():
        if is_nobodys(file):
            _noted(session, state).ledger.take(file)


def _noted(session: Session, state: InstanceState[Any]) -> Books:
    """Return the books of the session, for which rows of that class may name a file."""
    books = books_of(session)
    books.mappers.add(state.mapper)
    return books


def _books(target: object, connection: Connection) -> Books:
    session = object_session(target)
    if session is None:  # not in a flush
        raise RuntimeError(f"{target!r} is written and in no session")
    books = _noted(session, inspect(target))
    books.writes(connection)
    return books


def values_of(type_: FileType, texts: Iterable[str | None], dialect: Dialect) -> Iterator[Any]:
    """Yield what rows hold, by the texts of their column, less what cannot be read: such rows can be deleted too."""
    for text in texts:
        with suppress(MediaError, ValueError, TypeError):
            yield type_.process_result_value(text, dialect)


def _unloaded(connection: Connection, state: InstanceState[Any], attribute: Tracked) -> tuple[Any, ...]:
    """Read what the row has, where the object has not loaded it."""
    mapper = state.mapper
    query = select(type_coerce(attribute.column, String)).select_from(mapper.persist_selectable)
    for column, value in zip(mapper.primary_key, state.identity or (), strict=True):
        query = query.where(column == value)
    return tuple(values_of(attribute.type, connection.execute(query).scalars(), connection.dialect))


def _inserted(mapper: Mapper[Any], connection: Connection, target: object) -> None:
    state: InstanceState[Any] = inspect(target)
    for attribute in tracked(mapper):
        value = state.dict.get(attribute.key)
        if value is not None:
            _name(_books(target, connection), attribute.type, (value,))


def _before_update(mapper: Mapper[Any], connection: Connection, target: object) -> None:
    state: InstanceState[Any] = inspect(target)
    for attribute in tracked(mapper):
        history = state.attrs[attribute.key].history
        if history.added and not history.deleted:  # it was assigned before it was loaded
            state.info[_OLD, attribute.key] = _unloaded(connection, state, attribute)


def _updated(mapper: Mapper[Any], connection: Connection, target: object) -> None:
    state: InstanceState[Any] = inspect(target)
    for attribute in tracked(mapper):
        history = state.attrs[attribute.key].history
        old = state.info.pop((_OLD, attribute.key), None)
        if history.added:
            books = _books(target, connection)
            for file in files_named_by(attribute.type, history.deleted or old or ()):
                books.ledger.let_go(file)
            _name(books, attribute.type, history.added)


def _before_delete(mapper: Mapper[Any], connection: Connection, target: object) -> None:
    state: InstanceState[Any] = inspect(target)
    for attribute in tracked(mapper):
        books = _books(target, connection)
        history = state.attrs[attribute.key].history
        # What the row has, which an assignment that was never flushed is not.
        values = history.deleted or history.unchanged or _unloaded(connection, state, attribute)
        for file in files_named_by(attribute.type, values):
            books.ledger.let_go(file)


def _name(books: Books, type_: FileType, values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, ClauseElement):
            books.asks_all = True
            continue
        for file in type_.files_of(value):
            books.ledger.named(file)


def set_up() -> None:
    """Listen, once for all mapped classes and sessions of the process."""
    event.listen(Mapper, "mapper_configured", _configured)
    event.listen(Session, "after_attach", _attached)
    event.listen(Mapper, "after_insert", _inserted)
    event.listen(Mapper, "before_update", _before_update)
    event.listen(Mapper, "after_update", _updated)
    event.listen(Mapper, "before_delete", _before_delete)
