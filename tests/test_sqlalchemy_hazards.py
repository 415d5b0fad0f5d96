"""Sessions and statements that are not the plain ones: no file that a row names is lost by them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Delete,
    Engine,
    ForeignKey,
    Insert,
    Update,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from mediamw.ext.sqlalchemy import MediaField, MediaFile, store

from .sqla_models import REGISTRY, Album, Base, User, database, fresh_storages, named, there


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    fresh_storages()
    made = database(tmp_path / "db.sqlite")
    yield made
    made.dispose()
    REGISTRY.clear()


def check(engine: Engine, count: int) -> None:
    with Session(engine) as session:
        assert named(session) == there()
    assert len(there()) == count


# -- statements whose values only the database knows -------------------------------------------------------------------


def keep_by_expression(session: Session, _: Album) -> None:
    session.execute(update(Album).values(cover=func.coalesce(Album.cover, "local/none.jpg")))


def keep_by_parameter(session: Session, album: Album) -> None:
    statement = update(Album).where(Album.id == bindparam("which")).values(cover=bindparam("file"))
    session.execute(statement, {"which": album.id, "file": album.cover})


def keep_by_attribute(session: Session, album: Album) -> None:
    assert album.cover is not None
    album.cover = func.coalesce(Album.cover, "local/none.jpg")  # type: ignore[assignment]


@pytest.mark.parametrize("act", [keep_by_expression, keep_by_parameter, keep_by_attribute])
def test_a_row_keeps_its_file(engine: Engine, act: Callable[[Session, Album], None]) -> None:
    """Its column is not shared, so that the database is not asked without reason."""
    with Session(engine) as session:
        album = Album(cover=b"x")
        session.add(album)
        session.commit()
        act(session, album)
        session.commit()
    check(engine, 1)


def test_an_upsert_names_a_file(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Album(id=1))
        session.commit()
        dropped = Album(cover=b"x")
        session.add(dropped)
        session.expunge(dropped)
        statement = sqlite.insert(Album).values(id=1)
        session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"cover_file": dropped.cover}))
        session.commit()
    check(engine, 1)


def test_a_statement_that_names_what_is_gone_is_not_sent(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(lost := User(name="ann", photo=b"x"))
        session.rollback()
        file = lost.photo
        with pytest.raises(FileNotFoundError):
            session.execute(insert(User), [{"name": "eve", "photo": file}])
        session.commit()
    check(engine, 0)


def test_a_statement_for_many_rows(engine: Engine) -> None:
    """More than one condition can have."""
    count = 1500
    with Session(engine) as session:
        file = store(User.photo, b"x")
        session.execute(insert(User), [{"id": at, "name": f"{at}", "photo": file} for at in range(1, count + 1)])
        session.commit()
        session.execute(update(User), [{"id": at, "photo": None} for at in range(2, count + 1)])
        session.commit()
        check(engine, 1)


@pytest.mark.parametrize(
    ("narrowed", "rows", "options", "left"),
    [
        (User.name != "eve", [{"id": 1, "photo": None}, {"id": 2, "photo": None}], {}, 2),
        (User.name == bindparam("who"), [{"who": "ann"}, {"who": "eve"}], {"dml_strategy": "core_only"}, 1),
    ],
)
def test_a_condition_and_many_rows(engine: Engine, narrowed: Any, rows: Any, options: Any, left: int) -> None:
    statement = update(User).where(narrowed)
    with Session(engine) as session:
        session.add_all([User(name=name, photo=b"x") for name in ("ann", "eve", "zoe")])
        session.commit()
        if options:
            statement = statement.values(photo=None)
        try:
            session.execute(statement, rows, execution_options={"synchronize_session": None, **options})
        except (ArgumentError, InvalidRequestError) as error:  # what older SQLAlchemys, such as 2.0.0, say of it
            assert "not supported right now" in str(error) or "Valid strategies" in str(error)  # noqa: PT017
            left = 3
        session.commit()
    check(engine, left)


def test_many_rows_of_a_joined_class(engine: Engine) -> None:
    """Such a statement writes to the tables of its bases too."""

    class Own(DeclarativeBase):
        pass

    class Person(Own):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        photo: Mapped[MediaFile | None] = mapped_column(MediaField("avatars", registry=REGISTRY))
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012

    class Engineer(Person):
        __tablename__ = "engineer"
        id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
        badge: Mapped[MediaFile | None] = mapped_column(MediaField("avatars", registry=REGISTRY))
        __mapper_args__ = {"polymorphic_identity": "engineer"}  # noqa: RUF012

    Own.metadata.create_all(engine)
    with Session(engine) as session:
        for end, left in ((session.rollback, 0), (session.commit, 2)):
            row = {"photo": store(Person.photo, b"1"), "badge": store(Engineer.badge, b"2")}
            session.execute(insert(Engineer), [{"id": 1, **row}])
            end()
            assert len(there()) == left
        session.execute(update(Engineer), [{"id": 1, "photo": None, "badge": None}])
        assert len(there()) == 2
        session.commit()
    assert there() == set()


# -- transactions that are none ----------------------------------------------------------------------------------------


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Engine]:
    """SQLite without the events that SQLAlchemy recommends."""
    fresh_storages()
    made = create_engine(f"sqlite:///{tmp_path}/plain.sqlite")
    Base.metadata.create_all(made)
    yield made
    made.dispose()
    REGISTRY.clear()


@pytest.mark.parametrize("is_flushed_by", ["object", "statement"])
def test_each_statement_is_a_commit(plain: Engine, is_flushed_by: str) -> None:
    with Session(plain.execution_options(isolation_level="AUTOCOMMIT")) as session:
        if is_flushed_by == "object":
            session.add(User(name="ann", photo=b"x"))
            session.flush()
        else:
            session.execute(insert(User).values(name="ann", photo=store(User.photo, b"x")))
        session.rollback()
    check(plain, 1)


def test_a_savepoint_of_sqlite_is_a_commit(plain: Engine) -> None:
    with Session(plain) as session:
        with session.begin_nested():
            session.add(User(name="ann", photo=b"x"))
        session.rollback()
    check(plain, 1)


# -- where the database is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_statement", [False, True])
def test_a_session_that_reads_from_a_replica(engine: Engine, tmp_path: Path, is_statement: bool) -> None:
    """It lags: the rows are not there yet."""
    replica = database(tmp_path / "replica.sqlite")

    class Routing(Session):
        def get_bind(self, mapper: Any = None, clause: Any = None, **_: Any) -> Engine:  # type: ignore[override]
            return engine if self._flushing or isinstance(clause, (Update, Delete, Insert)) else replica

    with Routing(expire_on_commit=False) as session:
        session.add(ann := User(name="ann", photo=b"x"))
        session.add_all([User(name="eve", photo=ann.photo), zoe := User(name="zoe", photo=b"y")])
        session.commit()
        for user in (ann, zoe):
            if is_statement:
                session.execute(delete(User).where(User.name == user.name))
            else:
                session.delete(user)
        session.commit()
    replica.dispose()
    check(engine, 1)


@pytest.mark.parametrize("is_statement", [False, True])
def test_a_schema_that_is_translated(engine: Engine, tmp_path: Path, is_statement: bool) -> None:
    event.listen(engine, "connect", lambda made, _: made.execute(f"ATTACH '{tmp_path}/tenant.sqlite' AS tenant"))
    engine.dispose()
    options = {"schema_translate_map": {None: "tenant"}}
    with engine.begin() as connection:
        Base.metadata.create_all(connection.execution_options(**options))  # type: ignore[arg-type]
    with Session(engine) as session:
        session.connection(execution_options=options)
        session.add(ann := User(name="ann", photo=b"x"))
        session.add(User(name="eve", photo=ann.photo))
        session.commit()
        if is_statement:
            session.execute(delete(User).where(User.name == "ann"), execution_options=options)
        else:
            session.connection(execution_options=options)
            session.delete(ann)
        session.commit()
    assert len(there()) == 1
    with Session(engine.execution_options(**options)) as session:
        session.execute(delete(User))
        session.commit()
    assert there() == set()


def test_a_session_without_a_database(engine: Engine) -> None:
    with Session() as session:
        session.add(User(name="ann", photo=b"x"))
        assert len(there()) == 1
    assert there() == set()


def test_a_plain_session_on_a_loop_without_greenlet(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy installs it for its own asyncio only."""

    def refuse(_: Any) -> None:
        raise ImportError("greenlet")

    monkeypatch.setattr(sys.modules["sqlalchemy.util"], "await_only", refuse)

    async def act() -> None:
        with Session(engine) as session:
            session.add(User(name="ann", photo=store(User.photo, b"x")))
            session.rollback()

    asyncio.run(act())
    check(engine, 0)


def test_an_attribute_that_came_later(engine: Engine) -> None:
    """Its rows name files as well as those of the others."""

    class Own(DeclarativeBase):
        pass

    class Late(Own):
        __tablename__ = "late"
        id: Mapped[int] = mapped_column(primary_key=True)
        photo: Mapped[MediaFile | None] = mapped_column(MediaField("avatars", registry=REGISTRY))

    Late()
    Late.other = mapped_column(MediaField("avatars", registry=REGISTRY))  # type: ignore[attr-defined]
    Own.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(first := Late(photo=b"x"))
        session.flush()
        session.add(second := Late(other=first.photo))  # type: ignore[call-arg]
        session.commit()
        session.delete(first)
        session.commit()
        assert len(there()) == 1
        session.delete(second)
        session.commit()
    assert there() == set()
