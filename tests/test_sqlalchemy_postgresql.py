"""What only a database with several writers, two-phase commits and constraints of the commit can show.

All of test_sqlalchemy_field.py runs on it too.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SAWarning
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from .sqla_models import REGISTRY, Album, User, database, fresh_storages, named, there
from .test_sqlalchemy_async import go_through

pytestmark = pytest.mark.slow


@pytest.fixture
def engine(postgresql: str) -> Iterator[Engine]:
    fresh_storages()
    made = database(postgresql)
    yield made
    made.dispose()
    REGISTRY.clear()


def check(engine: Engine, count: int) -> None:
    with Session(engine) as session:
        assert there() == named(session)
    assert len(there()) == count


@contextmanager
def two_sessions(engine: Engine) -> Iterator[tuple[Session, Session]]:
    """Two, with a committed user who has a photo."""
    with Session(engine) as one, Session(engine) as two:
        one.add(User(name="ann", photo=b"x"))
        one.commit()
        yield one, two


# -- several transactions at once --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_let_go_first", [True, False])
def test_another_transaction_takes_a_file_that_is_let_go(engine: Engine, is_let_go_first: bool) -> None:
    """Its row is not to be seen yet when the first has ended."""
    with two_sessions(engine) as (one, two):
        ann = two.scalars(select(User)).one()
        steps = [lambda: one.execute(delete(User)), lambda: (two.add(User(name="eve", photo=ann.photo)), two.flush())]
        for step in steps if is_let_go_first else reversed(steps):
            step()
        one.commit()
        assert len(there()) == 1
        two.commit()
    check(engine, 1)


def test_another_transaction_is_too_late(engine: Engine) -> None:
    with two_sessions(engine) as (one, two):
        ann = two.scalars(select(User)).one()
        one.execute(delete(User))
        one.commit()
        two.add(User(name="eve", photo=ann.photo))
        with pytest.raises(FileNotFoundError, match="assign its bytes again"):
            two.flush()
    check(engine, 0)


def test_two_that_replace_one_file(engine: Engine) -> None:
    """The second waits for the first's row. What the first stored is left to the orphans: no object ever had it."""
    with two_sessions(engine) as (one, two):
        mine, other = one.scalars(select(User)).one(), two.scalars(select(User)).one()
        mine.photo, other.photo = b"1", b"2"  # type: ignore[assignment]
        one.commit()
        two.commit()
        assert other.photo is not None
        assert other.photo.read() == b"2"
        assert named(one) < there()
        assert len(there()) == 2


def test_a_transaction_that_cannot_be_serialized(engine: Engine) -> None:
    apart = engine.execution_options(isolation_level="REPEATABLE READ")
    with two_sessions(apart) as (one, two):
        mine, other = one.scalars(select(User)).one(), two.scalars(select(User)).one()
        mine.photo, other.photo = b"1", b"2"  # type: ignore[assignment]
        one.commit()
        with pytest.raises(OperationalError, match="could not serialize"):
            two.commit()
        two.rollback()
        assert other.photo is not None
        assert other.photo.read() == b"1"
    check(engine, 1)


def test_threads_that_take_what_others_let_go(engine: Engine) -> None:
    """Whatever they do at once to the same rows, each committed row has its file."""
    faults: list[BaseException] = []
    ended: Counter[str] = Counter()
    names = ["ann", "eve", "zoe", "kim"]

    def step(session: Session, chance: random.Random) -> None:
        users = {user.name: user for user in session.scalars(select(User))}
        name, other = chance.sample(names, 2)
        match chance.choice(["put", "put", "share", "share", "delete", "delete many", "clear"]):
            case "put":
                session.merge(User(id=names.index(name) + 1, name=name, photo=chance.randbytes(3)))
            case "share" if other in users:
                session.merge(User(id=names.index(name) + 1, name=name, photo=users[other].photo))
            case "delete" if name in users:
                session.delete(users[name])
            case "delete many":
                session.execute(delete(User).where(User.name.in_([name, other])))
            case "clear":
                session.execute(update(User).where(User.name == name).values(photo=None))
        session.flush()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(150):
                with Session(engine) as session:
                    try:
                        for _ in range(chance.randint(1, 3)):
                            step(session, chance)
                        (session.commit if chance.random() < 0.8 else session.rollback)()
                        ended["well"] += 1
                    except (DBAPIError, StaleDataError, SAWarning, FileNotFoundError) as error:  # deadlocks, rows gone
                        ended[type(error).__name__] += 1
        except BaseException as error:  # noqa: BLE001 - it is raised below
            faults.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert faults == []
    assert ended["well"] > 100, ended
    with Session(engine) as session:
        assert named(session) <= there()
        for user in session.scalars(select(User)):
            assert user.photo is None or user.photo.exists()


# -- the end of a transaction ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_prepared", [True, False])
def test_two_phase_commit(engine: Engine, is_prepared: bool) -> None:
    with Session(engine, twophase=True) as session:
        for end in (session.rollback, session.commit):
            session.add(User(name="ann", photo=b"x"))
            if is_prepared:
                session.prepare()
            else:
                session.flush()
            assert len(there()) == 1
            end()
        check(engine, 1)
        session.execute(delete(User))
        if is_prepared:
            session.prepare()
        assert len(there()) == 1, "it is let go, and not before the commit"
        session.commit()
    check(engine, 0)


def test_a_two_phase_commit_that_is_in_doubt(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """The server is lost between the phases, and somebody commits later what it has prepared."""
    commit = engine.dialect.do_commit_twophase
    with Session(engine, twophase=True) as session:
        session.add(User(name="ann", photo=b"x"))
        session.flush()
        pid = session.scalar(text("select pg_backend_pid()"))

        def kill(*arguments: Any, **options: Any) -> None:
            with engine.connect() as other:
                other.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            commit(*arguments, **options)

        engine.dialect.do_commit_twophase = kill  # type: ignore[method-assign]
        with pytest.raises(OperationalError):
            session.commit()
        engine.dialect.do_commit_twophase = commit  # type: ignore[method-assign]
        session.rollback()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"commit prepared '{connection.scalar(text('select gid from pg_prepared_xacts'))}'")
    check(engine, 1)
    assert "left behind" in caplog.text


def test_a_two_phase_commit_around_the_sessions(engine: Engine) -> None:
    """A later rollback of the same connection is another transaction's."""
    with engine.connect() as connection:
        outer = connection.begin_twophase()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            session.add(User(name="ann", photo=b"x"))
            session.commit()
        outer.prepare()
        outer.commit()
        with connection.begin() as later:
            later.rollback()
    check(engine, 1)


def test_a_commit_around_the_sessions_takes_its_time(engine: Engine) -> None:
    """Another transaction lets go meanwhile what a row of its names."""
    commit = engine.dialect.do_commit
    with Session(engine) as session, engine.connect() as connection:
        session.add(ann := User(name="ann", photo=b"x"))
        session.commit()
        file = ann.photo
        session.commit()
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as inner:
            inner.add(User(name="eve", photo=file))
            inner.commit()

        def slow(made: Any) -> None:
            engine.dialect.do_commit = commit  # type: ignore[method-assign]
            session.execute(delete(User).where(User.name == "ann"))
            session.commit()
            commit(made)

        engine.dialect.do_commit = slow  # type: ignore[method-assign]
        outer.commit()
    check(engine, 1)


def test_a_constraint_that_is_looked_at_in_the_commit(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("alter table album alter constraint album_user_id_fkey deferrable initially deferred"))
    with Session(engine) as session:
        session.add(User(name="ann", photo=b"x"))
        session.add(Album(user_id=99, cover=b"y"))
        session.flush()
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
    check(engine, 0)


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_server_that_goes_away(engine: Engine, is_answered: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Before the COMMIT, or after it and before its answer: whoever asks next is told what became of it."""
    with Session(engine) as session:
        session.add(User(name="ann", photo=b"x"))
        session.flush()
        pid = session.scalar(text("select pg_backend_pid()"))
        commit = engine.dialect.do_commit

        def kill(connection: Any) -> None:
            if is_answered:
                commit(connection)
            with engine.connect() as other:
                other.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            connection.execute("select 1" if is_answered else "commit")  # who asks is told

        engine.dialect.do_commit = kill  # type: ignore[method-assign]
        with pytest.raises(OperationalError):
            session.commit()
        engine.dialect.do_commit = commit  # type: ignore[method-assign]
        session.rollback()
    assert "left behind" not in caplog.text
    check(engine, 1 if is_answered else 0)


# -- an event loop -----------------------------------------------------------------------------------------------------


def test_async_sessions(engine: Engine, postgresql: str) -> None:
    async def main() -> None:
        made = create_async_engine(postgresql)
        async with AsyncSession(made) as session:
            await go_through(session)
        await made.dispose()

    asyncio.run(main())
    check(engine, 0)


def test_what_is_left_is_logged(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    with two_sessions(engine) as (one, two), caplog.at_level(logging.WARNING, "mediamw"):
        file = two.scalars(select(User)).one().photo
        two.add(User(name="eve", photo=file))
        two.flush()
        one.execute(delete(User))
        one.commit()
        two.rollback()
    assert f"left behind: {file}, since another transaction had a row name them" in caplog.text
    assert there() == {str(file)}, "an orphan: nothing is lost"
