"""A session's transactions and savepoints, and what becomes of files when they end.

A ``SessionTransaction`` has ended with a commit if ``after_commit`` was sent for it, and without one in every other
way: ``rollback``, ``close``, a flush that failed. So all is done when it ends, in ``after_transaction_end``; by then
the session has given its connections back.

Three ends are no ends:

- A COMMIT that raised may have been done nevertheless, its answer being lost. Then the database is asked which of the
  new files its rows name.
- A two-phase commit that was lost after its first phase is in doubt: nobody sees its rows until somebody ends it, by a
  commit perhaps. What is new stays.
- A session that is bound to a connection with a transaction of its own has committed nothing until that is. What it let
  go stays; what is new goes if the connection rolls back.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Mapper, Session, SessionTransaction

from ...storages.bookkeeping import Claim, Ledger, left_behind
from .rows import CannotTell, named_in_rows

_KEY: Final = "mediamw"


class Books:
    """What is kept of a session's transaction, from the first file to its end."""

    def __init__(self, session: Session) -> None:
        self.ledger = Ledger()
        self.mappers: set[Mapper[Any]] = set()
        self.committed: set[SessionTransaction] = set()
        self.commits = Counter[SessionTransaction]()
        self.may_be_committed = False
        """A COMMIT was about to be sent, and nobody said that it was done; or each statement is one."""
        self.asks_all = False
        """Rows were written whose files only the database knows, and ``shared=False`` does not say it all."""
        self.schemas: list[Any] = []
        """The ``schema_translate_map`` (None: none) of each connection and statement that wrote."""
        self._releases_commit = False
        self._connections: dict[Connection, None] = {}
        self.is_rolled_back = False
        """A ROLLBACK was sent after what may be a commit, and the connections that wrote were still there."""
        nested = session.get_nested_transaction()
        while nested is not None:  # savepoints that are older than the first file
            if nested.nested:
                self.ledger.begin()
            nested = nested.parent

    def writes(self, connection: Connection, options: Mapping[str, Any] | None = None) -> None:
        """Note a connection that writes rows, and the execution options of a statement."""
        schemas = {**connection.get_execution_options(), **(options or {})}.get("schema_translate_map")
        if schemas not in self.schemas:
            self.schemas.append(schemas)
        self.may_be_committed |= connection._is_autocommit_isolation()
        self._releases_commit |= connection.dialect.name == "sqlite"
        self._connections[connection] = None

    def roll_back(self) -> None:
        """The database was told to roll back. A connection that is lost was not, and nothing raises then."""
        self.is_rolled_back = not any(connection.invalidated for connection in self._connections)

    def release(self) -> None:
        """A savepoint ends well. SQLite's outermost RELEASE is a COMMIT where its driver has sent no BEGIN."""
        self.ledger.release()
        self.may_be_committed |= self._releases_commit


def books_of(session: Session) -> Books:
    """Return the books of the session's transaction; new ones, if it has none yet."""
    books: Books | None = session.info.get(_KEY)
    if books is None:
        books = session.info[_KEY] = Books(session)
    return books


def _open_books(session: Session) -> Books | None:
    return session.info.get(_KEY)


def _innermost(session: Session) -> SessionTransaction | None:
    return session.get_nested_transaction() or session.get_transaction()


def _created(session: Session, transaction: SessionTransaction) -> None:
    books = _open_books(session)
    if books is not None and transaction.nested:
        books.ledger.begin()


def _before_commit(session: Session) -> None:
    books, transaction = _open_books(session), _innermost(session)
    if books is not None and transaction is not None:
        books.commits[transaction] += 1
        if not transaction.nested:
            books.may_be_committed, books.is_rolled_back = True, False


def _after_commit(session: Session) -> None:
    books, transaction = _open_books(session), _innermost(session)
    if books is not None and transaction is not None:
        books.committed.add(transaction)


def _after_rollback(session: Session) -> None:
    books = _open_books(session)
    if books is not None:
        books.roll_back()


def _ended(session: Session, transaction: SessionTransaction) -> None:
    books = _open_books(session)
    if books is None or not (transaction.nested or transaction.parent is None):
        return
    is_committed = transaction in books.committed
    books.committed.discard(transaction)
    if not transaction.nested:
        del session.info[_KEY]
        _settle(session, books, is_committed)
    elif is_committed:
        books.release()
        # Sent for it once more than it was committed: what is around it is being committed, with it.
        books.may_be_committed |= books.commits.pop(transaction, 1) > 1
    else:
        _remove(Claim(books.ledger.roll_back_savepoint()))


def _settle(session: Session, books: Books, is_committed: bool) -> None:
    outer = _outer_connection(session, books) if is_committed else None
    if outer is not None:
        _wait_for(outer, books.ledger)
        return
    claim = Claim(books.ledger.commit() if is_committed else books.ledger.roll_back())
    files = claim.files()
    if session.twophase and books.may_be_committed and not is_committed and not books.is_rolled_back:
        left_behind(files, "their transaction may be prepared still, and its rows are seen when that is committed")
        return
    if files and (is_committed or books.may_be_committed):
        try:
            only_shared = is_committed and not books.asks_all
            claim.keep(named_in_rows(session, files, books.mappers, books.schemas, only_shared=only_shared))
        except CannotTell as error:
            left_behind(files, f"the database does not tell whether a row names them ({error})")
            return
    _remove(claim)


def _outer_connection(session: Session, books: Books) -> Connection | None:
    """Return the connection that the session was given, if a transaction goes on there."""
    for mapper in books.mappers:
        try:
            bind = session.get_bind(mapper)
        except UnboundExecutionError:  # none of its rows was written
            continue
        if isinstance(bind, Connection) and not bind.closed and bind.in_transaction():
            return bind
    return None


def _wait_for(connection: Connection, ledger: Ledger) -> None:
    """Have the new files go if the transaction around the session's is rolled back, in a test of an app, say."""
    is_over = False

    def rolled_back(*_: Any) -> None:
        nonlocal is_over
        if not is_over:
            is_over = True
            _remove(Claim(ledger.roll_back()))

    def about_to_commit(*_: Any) -> None:
        nonlocal is_over
        if not is_over:
            is_over = True
            left_behind(ledger.commit(), "the session's transaction was part of its connection's, which ends unseen")
            ledger.stay_open()

    for phases in ("", "_twophase"):
        event.listen(connection, f"rollback{phases}", rolled_back)
        event.listen(connection, f"commit{phases}", about_to_commit)


class _Removal:
    """``await`` it to remove files in a thread. No coroutine, of which older SQLAlchemys leave one that never began."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    def __await__(self) -> Generator[Any, None, None]:
        import asyncio  # by now it is there

        return asyncio.to_thread(self._claim.remove).__await__()


def _remove(claim: Claim) -> None:
    """Remove files; in a thread, if SQLAlchemy's greenlet can let an event loop go on meanwhile."""
    asyncio = sys.modules.get("asyncio")
    if claim.files() and asyncio is not None and asyncio._get_running_loop() is not None:
        from sqlalchemy.exc import MissingGreenlet
        from sqlalchemy.util import await_only

        try:
            await_only(_Removal(claim))
        # A plain session in the thread of a loop, or no greenlet is installed; nothing has been started.
        except (MissingGreenlet, ImportError, ValueError):
            pass
        else:
            return
    claim.remove()


def set_up() -> None:
    """Listen, once for all sessions of the process; an ``AsyncSession`` has one of them inside."""
    event.listen(Session, "after_transaction_create", _created)
    event.listen(Session, "after_transaction_end", _ended)
    event.listen(Session, "before_commit", _before_commit)
    event.listen(Session, "after_commit", _after_commit)
    event.listen(Session, "after_rollback", _after_rollback)
