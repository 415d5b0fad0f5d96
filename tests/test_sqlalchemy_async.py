"""``AsyncSession``: the same transactions, and no upload or removal in the event loop's thread unless one is warned."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, defer

from mediamw import MediaStack, MemoryBackend
from mediamw.ext.sqlalchemy import store_async

from .sqla_models import REGISTRY, Base, User, database, fresh_storages, there


class Watching(MemoryBackend):
    """A memory that remembers in which threads it was written."""

    def __init__(self) -> None:
        super().__init__(name="memory")
        self.threads: set[threading.Thread] = set()

    def draft(self, *arguments: Any, **options: Any) -> Any:
        self.threads.add(threading.current_thread())
        return super().draft(*arguments, **options)

    def delete(self, key: Any) -> bool:
        self.threads.add(threading.current_thread())
        return super().delete(key)


def run(tmp_path: Path, act: Callable[[AsyncSession], Awaitable[None]]) -> Watching:
    REGISTRY.clear()
    watching = Watching()
    REGISTRY.configure("local", MediaStack([watching]))
    REGISTRY.alias("avatars", "local")

    async def main() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'db.sqlite'}")
        event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        event.listen(engine.sync_engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            await act(session)
        await engine.dispose()

    asyncio.run(main())
    return watching


async def go_through(session: AsyncSession) -> None:
    """Assign, replace and delete, and end transactions and savepoints in each way, on any database."""
    ann = User(name="ann", photo=await store_async(User.photo, b"first", filename="a.jpg"))
    session.add(ann)
    await session.commit()
    # The old value has expired, and no query may be sent by an assignment.
    ann.photo = await store_async(User.photo, b"second")
    await session.rollback()
    assert len(there()) == 1
    ann.photo = await store_async(User.photo, b"second")
    await session.commit()
    assert len(there()) == 1
    async with session.begin_nested() as savepoint:
        session.add(User(name="eve", photo=await store_async(User.photo, b"hers")))
        await session.flush()
        await savepoint.rollback()
    await session.commit()
    assert len(there()) == 1
    deferred = await session.get(User, 1, options=[defer(User.photo)], populate_existing=True)
    await session.delete(deferred)
    await session.commit()
    assert there() == set()
    session.add(User(name="zoe", photo=await store_async(User.photo, b"hers")))
    await session.commit()
    await session.execute(delete(User))
    await session.commit()
    assert there() == set()


def test_transactions(tmp_path: Path) -> None:
    watching = run(tmp_path, go_through)
    assert watching.threads
    assert threading.main_thread() not in watching.threads


def test_an_upload_in_the_event_loop_is_not_unnoticed(tmp_path: Path) -> None:
    async def act(session: AsyncSession) -> None:
        ann = User(name="ann")
        session.add(ann)
        with pytest.warns(RuntimeWarning, match=r"User.photo: .*`await store_async\(User.photo, data\)`") as warned:
            ann.photo = b"first"  # type: ignore[assignment]
        assert warned[0].filename == __file__
        await session.rollback()
        assert there() == set()

    run(tmp_path, act)


def test_a_plain_session_in_the_thread_of_a_loop(tmp_path: Path) -> None:
    """What it removes cannot be awaited there: it is removed all the same."""
    fresh_storages()
    engine = database(tmp_path / "db.sqlite")

    async def act() -> None:
        with Session(engine) as session:
            session.add(User(name="ann", photo=await store_async(User.photo, b"x")))
            session.flush()
            assert len(there()) == 1
            session.rollback()
            assert there() == set()

    asyncio.run(act())
    engine.dispose()
