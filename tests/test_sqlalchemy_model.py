"""Any order of assignments, flushes, savepoints, commits and rollbacks: each committed row has its file, and in the end
there is no file that no row names."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from sqlalchemy import Engine, create_engine, delete, event, select, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from .sqla_models import REGISTRY, Base, User, fresh_storages, named, there

NAMES = st.sampled_from(["ann", "eve", "zoe"])
Rows = dict[str, bytes | None]


def memory() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    Base.metadata.create_all(engine)
    return engine


class Model(RuleBasedStateMachine):
    """``levels``: what the rows are to hold, committed, in the transaction and in each savepoint."""

    def __init__(self) -> None:
        super().__init__()
        fresh_storages()
        self.engine = memory()
        self.session = Session(self.engine)
        self.levels: list[Rows] = [{}, {}]
        self.savepoints: list[Any] = []
        self.count = 0

    @property
    def rows(self) -> Rows:
        return self.levels[-1]

    def bytes_(self) -> bytes:
        self.count += 1
        return b"%d" % self.count

    def found(self, name: str) -> User | None:
        return self.session.scalars(select(User).where(User.name == name)).one_or_none()

    @rule(name=NAMES)
    def assign(self, name: str) -> None:
        data = self.bytes_()
        there_is = self.found(name)
        if there_is is None:
            self.session.add(User(name=name, photo=data))
        else:
            there_is.photo = data  # type: ignore[assignment]
        self.rows[name] = data

    @rule(name=NAMES)
    def assign_none(self, name: str) -> None:
        there_is = self.found(name)
        if there_is is not None:
            there_is.photo = None
            self.rows[name] = None

    @rule(name=NAMES, other=NAMES)
    def share(self, name: str, other: str) -> None:
        one, two = self.found(name), self.found(other)
        if one is not None and two is not None:
            two.photo = one.photo
            self.rows[other] = self.rows[name]

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        there_is = self.found(name)
        if there_is is not None:
            self.session.delete(there_is)
            self.session.flush()
            del self.rows[name]

    @rule(names=st.sets(NAMES))
    def delete_many(self, names: set[str]) -> None:
        self.session.execute(delete(User).where(User.name.in_(names)))
        for name in names:
            self.rows.pop(name, None)

    @rule(names=st.sets(NAMES))
    def clear_many(self, names: set[str]) -> None:
        self.session.execute(update(User).where(User.name.in_(names)).values(photo=None))
        for name in names & set(self.rows):
            self.rows[name] = None

    @rule()
    def flush(self) -> None:
        self.session.flush()

    @precondition(lambda self: len(self.savepoints) < 3)
    @rule()
    def begin(self) -> None:
        self.savepoints.append(self.session.begin_nested())
        self.levels.append(copy.copy(self.rows))

    @precondition(lambda self: self.savepoints)
    @rule(is_kept=st.booleans())
    def end_savepoint(self, is_kept: bool) -> None:
        savepoint, rows = self.savepoints.pop(), self.levels.pop()
        if is_kept:
            savepoint.commit()
            self.levels[-1] = rows
        else:
            savepoint.rollback()

    @rule(how=st.sampled_from(["commit", "rollback", "close"]))
    def end(self, how: str) -> None:
        rows = self.rows if how == "commit" else self.levels[0]
        getattr(self.session, how)()
        self.savepoints.clear()
        self.levels = [copy.copy(rows), copy.copy(rows)]
        self.check()

    def check(self) -> None:
        with Session(self.engine) as session:
            found = {user.name: user.photo and user.photo.read() for user in session.scalars(select(User))}
            assert found == self.levels[0]
        assert there() == named(session), "no file is left that no row names"

    def teardown(self) -> None:
        self.end("close")
        self.engine.dispose()
        REGISTRY.clear()


Model.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestModel = Model.TestCase
