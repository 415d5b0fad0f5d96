"""MediaField: what is assigned, what a row has, and what is left when a transaction has ended, in each way it can."""

from __future__ import annotations

import copy
import gc
import io
import logging
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, create_engine, delete, event, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, defer, mapped_column

from mediamw import BackendUnavailable, ConfigError, InvalidKey, MediaStack, MemoryBackend
from mediamw.core.keys import Key
from mediamw.ext.sqlalchemy import MediaField, MediaFile, store
from mediamw.storages import Stored

from .sqla_models import REGISTRY, Admin, Album, User, database, fresh_storages, named, there


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A database: a file, or a URL."""
    url: str = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    return url or tmp_path / "db.sqlite"


@pytest.fixture
def engine(where: Path | str) -> Iterator[Engine]:
    fresh_storages()
    made = database(where)
    yield made
    made.dispose()
    REGISTRY.clear()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as made:
        yield made
    gc.collect()


def user(session: Session, name: str = "ann", photo: Any = b"first") -> User:
    """A committed user."""
    made = User(name=name, photo=photo)
    session.add(made)
    session.commit()
    return made


def check(session: Session, count: int) -> None:
    """What is stored is what rows name, and of that so many."""
    assert there() == named(session)
    assert len(there()) == count


# -- the value ---------------------------------------------------------------------------------------------------------


def test_the_value(session: Session) -> None:
    file = user(session).photo
    assert file is not None
    assert (file.storage, str(file)) == ("local", f"local/{file.key}"), "never the alias"
    assert file.read() == b"first"
    with file.open() as opened:
        assert opened.read(2) == b"fi"
    assert (file.stat().size, file.exists()) == (5, True)
    assert file == MediaFile("local", file.key, REGISTRY)
    assert file != MediaFile("local", "other", REGISTRY)
    assert file != str(file)
    assert len({file, MediaFile("local", file.key, REGISTRY)}) == 1
    assert repr(file) == f"MediaFile('local/{file.key}')"
    assert copy.deepcopy(file) is copy.copy(file) is file
    assert str(pickle.loads(pickle.dumps(file))) == str(file)
    with pytest.raises(AttributeError):
        file.key = "x"  # type: ignore[misc, assignment]


class Upload:
    """As Werkzeug has it, or with ``file`` Starlette."""

    def __init__(self, data: bytes, filename: str, attribute: str) -> None:
        self.filename, self.content_type = filename, "image/webp"
        setattr(self, attribute, io.BytesIO(data))


@pytest.mark.parametrize("attribute", ["stream", "file"])
def test_uploads(session: Session, attribute: str) -> None:
    upload = Upload(b"data", "C:\\photos\\Ann Öz.WEBP", attribute)
    getattr(upload, attribute).read()  # a form has looked at it
    file = user(session, photo=upload).photo
    assert file is not None
    assert file.key.endswith(".webp")
    assert "/" not in file.key
    assert (file.read(), file.filename) == (b"data", "Ann Öz.WEBP")
    plain = user(session, name="eve", photo=Upload(b"data", "no extension", attribute)).photo
    assert plain is not None
    assert plain.stat().content_type == "image/webp"
    with pytest.raises(ValueError, match="no file was chosen"):
        User(photo=Upload(b"", "", attribute))


def test_the_uploads_of_werkzeug_and_starlette(session: Session) -> None:
    from starlette.datastructures import Headers, UploadFile
    from werkzeug.datastructures import FileStorage

    both = [
        FileStorage(io.BytesIO(b"one"), "a.jpg", content_type="image/jpeg"),
        UploadFile(io.BytesIO(b"two"), filename="b.jpg", headers=Headers({"content-type": "image/jpeg"})),
    ]
    for number, upload in enumerate(both):
        file = user(session, name=str(number), photo=upload).photo
        assert file is not None
        assert (file.read(), file.filename) == ((b"one", b"two")[number], ("a.jpg", "b.jpg")[number])


def test_files(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"data")
    with (tmp_path / "a.png").open("rb") as opened:
        file = user(session, photo=opened).photo
    assert file is not None
    assert (file.read(), file.filename, file.key[-4:]) == (b"data", "a.png", ".png")
    assert user(session, name="eve", photo=io.BytesIO(b"x")).photo is not None


@pytest.mark.parametrize("value", ["text", 5, Path("a")])
def test_what_is_no_file(session: Session, value: Any) -> None:
    with pytest.raises(TypeError, match="expected bytes, an open binary file, an upload, or a MediaFile"):
        User(photo=value)
    assert there() == set()


def test_keys(session: Session) -> None:
    album, admin = Album(cover=b"1"), Admin(badge=b"2")
    assert album.cover is not None
    assert admin.badge is not None
    assert album.cover.key.startswith("covers/20")
    assert admin.badge.key.startswith("badges/")
    field = MediaField("avatars", key=lambda name: f"own/{name or 'none'}", registry=REGISTRY)
    keys = [field.store(b"x", filename=name).key for name in ("a.jpg", "a.jpg", None)]
    assert (keys[0], keys[2]) == ("own/a.jpg", "own/none")
    assert keys[1] != keys[0], "a name that is taken gets a suffix"
    with pytest.raises(ConfigError, match="storage: 5 is no name"):
        MediaField(5)  # type: ignore[arg-type]


def test_limits() -> None:
    fresh_storages()
    from mediamw.core.errors import TooLarge

    with pytest.raises(TooLarge):
        MediaField("avatars", max_bytes=3, registry=REGISTRY).store(b"four")
    short = MediaField("avatars", length=10, registry=REGISTRY)
    with pytest.raises(ValueError, match="the column takes 10"):
        short.process_bind_param(MediaFile("local", "a" * 20, REGISTRY), None)  # type: ignore[arg-type]
    assert there() == set()


def test_store_wants_a_field() -> None:
    with pytest.raises(TypeError, match="is no attribute with a MediaField"):
        store(User.name, b"x")


# -- transactions ------------------------------------------------------------------------------------------------------


def test_commit_and_replace_and_delete(session: Session) -> None:
    ann = user(session)
    check(session, 1)
    old = str(ann.photo)
    ann.photo = b"second"  # type: ignore[assignment]
    assert len(there()) == 2, "the old one stays until the commit"
    session.flush()
    assert old in there()
    session.commit()
    check(session, 1)
    assert old not in there()
    ann.photo = None
    session.flush()
    assert len(there()) == 1
    session.commit()
    check(session, 0)
    ann.photo = b"third"  # type: ignore[assignment]
    session.commit()
    session.delete(ann)
    session.flush()
    assert len(there()) == 1
    session.commit()
    check(session, 0)


@pytest.mark.parametrize("is_flushed", [False, True])
@pytest.mark.parametrize("end", ["rollback", "close"])
def test_rollback(session: Session, is_flushed: bool, end: str) -> None:
    ann = user(session)
    old = str(ann.photo)
    ann.photo = b"second"  # type: ignore[assignment]
    session.add(User(name="eve", photo=b"hers"))
    detached = User(name="zoe")
    session.add(detached)
    detached.photo = b"hers too"  # type: ignore[assignment]
    if is_flushed:
        session.flush()
    assert len(there()) == 4
    getattr(session, end)()
    assert there() == {old}
    check(session, 1)


def test_a_deletion_that_is_rolled_back(session: Session) -> None:
    session.delete(user(session))
    session.flush()
    session.rollback()
    check(session, 1)


def test_assigned_several_times(session: Session) -> None:
    ann = User(name="ann", photo=b"1")
    ann.photo = b"2"  # type: ignore[assignment]
    session.add(ann)
    ann.photo = b"3"  # type: ignore[assignment]
    session.flush()
    ann.photo = b"4"  # type: ignore[assignment]
    ann.photo = b"5"  # type: ignore[assignment]
    session.commit()
    check(session, 1)
    assert ann.photo.read() == b"5"  # type: ignore[attr-defined]


def test_a_flush_that_fails(session: Session) -> None:
    ann = user(session)
    ann.photo = b"second"  # type: ignore[assignment]
    session.add(User(name="ann", photo=b"third"))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()
    check(session, 1)
    assert ann.photo.read() == b"first"  # type: ignore[union-attr]


def test_a_commit_that_fails(session: Session) -> None:
    user(session)
    session.add(User(name="ann", photo=b"third"))
    with pytest.raises(IntegrityError):
        session.commit()
    session.rollback()
    check(session, 1)


def test_an_object_that_is_added_again_after_a_rollback(session: Session) -> None:
    user(session)
    eve = User(name="ann", photo=b"hers")
    session.add(eve)
    with pytest.raises(IntegrityError):
        session.commit()
    session.rollback()
    eve.name = "eve"
    session.add(eve)
    with pytest.raises(FileNotFoundError, match="removed when a transaction ended: assign its bytes again"):
        session.commit()
    session.rollback()
    eve.photo = b"hers"  # type: ignore[assignment]
    session.add(eve)
    session.commit()
    check(session, 2)


# -- savepoints --------------------------------------------------------------------------------------------------------


def test_a_savepoint_that_is_rolled_back(session: Session) -> None:
    ann = user(session)
    first = str(ann.photo)
    zoe = User(name="zoe", photo=b"hers")
    session.add(zoe)
    with session.begin_nested() as savepoint:
        ann.photo = b"second"  # type: ignore[assignment]
        session.add(User(name="eve", photo=b"hers"))
        session.delete(zoe)
        session.flush()
        savepoint.rollback()
    assert there() == {first, str(zoe.photo)}
    session.commit()
    check(session, 2)


def test_savepoints_in_savepoints(session: Session) -> None:
    ann = user(session)
    with session.begin_nested():
        ann.photo = b"2"  # type: ignore[assignment]
        with session.begin_nested():
            ann.photo = b"3"  # type: ignore[assignment]
        inner = session.begin_nested()
        ann.photo = b"4"  # type: ignore[assignment]
        inner.rollback()
        assert ann.photo.read() == b"3"  # type: ignore[attr-defined]
    assert len(there()) == 3
    session.commit()
    check(session, 1)
    assert ann.photo.read() == b"3"  # type: ignore[attr-defined]


def test_a_savepoint_is_released_and_all_is_rolled_back(session: Session) -> None:
    ann = user(session)
    with session.begin_nested():
        ann.photo = b"2"  # type: ignore[assignment]
    session.rollback()
    check(session, 1)
    assert ann.photo.read() == b"first"  # type: ignore[union-attr]


def test_a_flush_that_fails_in_a_savepoint(session: Session) -> None:
    ann = user(session)
    ann.photo = b"2"  # type: ignore[assignment]
    with pytest.raises(IntegrityError), session.begin_nested():
        session.add(User(name="ann", photo=b"3"))
    session.commit()
    check(session, 1)
    assert ann.photo.read() == b"2"  # type: ignore[attr-defined]


def test_all_is_committed_with_a_savepoint_open(session: Session) -> None:
    ann = user(session)
    session.begin_nested()
    ann.photo = b"2"  # type: ignore[assignment]
    session.commit()
    check(session, 1)
    assert ann.photo.read() == b"2"  # type: ignore[attr-defined]


# -- one file, several rows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_taken_first", [True, False])
@pytest.mark.parametrize("is_flushed_between", [True, False])
def test_moved(session: Session, is_taken_first: bool, is_flushed_between: bool) -> None:
    ann, eve = user(session), user(session, "eve", None)
    photo = ann.photo

    def take() -> None:
        eve.photo = photo

    steps = [take, lambda: session.delete(ann)]
    for step in steps if is_taken_first else reversed(steps):
        step()
        if is_flushed_between:
            session.flush()
    session.commit()
    check(session, 1)


@pytest.mark.parametrize("is_flushed_between", [True, False])
def test_moved_between_columns_that_are_not_shared(session: Session, is_flushed_between: bool) -> None:
    one, two = Album(cover=b"x"), Album()
    session.add_all([one, two])
    session.commit()
    two.cover, one.cover = one.cover, None
    if is_flushed_between:
        session.flush()
        one.cover, two.cover = two.cover, None
    session.commit()
    check(session, 1)


def test_a_file_of_two_rows_goes_with_the_second(session: Session) -> None:
    ann = user(session)
    session.add(User(name="eve", photo=ann.photo))
    session.commit()
    session.delete(ann)
    session.commit()
    check(session, 1)
    session.execute(delete(User))
    session.commit()
    check(session, 0)


def test_another_row_names_it_by_an_alias(session: Session) -> None:
    ann = user(session)
    assert ann.photo is not None
    session.add(User(name="eve", photo=Stored("avatars", ann.photo.key)))
    session.commit()
    ann.photo = None
    session.commit()
    assert len(there()) == 1
    session.execute(delete(User))
    session.commit()
    assert there() == set()


def test_a_storage_that_is_misspelt_is_told_at_once(session: Session) -> None:
    with pytest.raises(ConfigError, match="did you mean avatars"):
        User(name="eve", photo=Stored("avatar", Key("a.jpg")))


def test_a_raw_statement_names_a_new_file(session: Session) -> None:
    ann = User(name="ann", photo=b"x")
    session.add(ann)
    session.autoflush = False
    session.execute(
        text("insert into users (name, photo, kind) values ('eve', :photo, 'user')"), {"photo": str(ann.photo)}
    )
    ann.photo = None
    session.commit()
    check(session, 1)


def test_a_new_file_in_two_sessions(engine: Engine, session: Session) -> None:
    ann = User(name="ann", photo=b"x")
    session.add(ann)
    session.expunge(ann)
    with Session(engine) as other:
        other.add(ann)
        other.commit()
    session.rollback()
    check(session, 1)


def test_expunged(session: Session) -> None:
    ann = User(name="ann", photo=b"x")
    session.add(ann)
    session.expunge(ann)
    session.commit()
    check(session, 0)
    session.add(ann)
    with pytest.raises(FileNotFoundError):
        session.commit()


def test_merge(engine: Engine, session: Session) -> None:
    ann = user(session)
    copied = session.merge(User(id=ann.id, name="ann", photo=b"second"))
    assert len(there()) == 2
    session.rollback()
    check(session, 1)
    copied = session.merge(User(id=ann.id, name="ann", photo=b"second"))
    session.commit()
    assert copied is ann
    check(session, 1)
    session.expunge_all()
    ann.photo = None
    session.merge(ann)
    session.commit()
    check(session, 0)


def test_pickled(engine: Engine, session: Session) -> None:
    ann = user(session)
    fresh = User(name="eve", photo=b"hers")
    other = pickle.loads(pickle.dumps(fresh))
    assert str(other.photo) == str(fresh.photo)
    session.add(other)
    session.commit()
    check(session, 2)
    session.refresh(ann)
    restored = pickle.loads(pickle.dumps(ann))
    assert str(restored.photo) == str(ann.photo)


# -- cascades, what is not loaded --------------------------------------------------------------------------------------


def test_cascades(session: Session) -> None:
    ann = User(name="ann", albums=[Album(cover=b"1"), Album(cover=b"2"), Album()])
    session.add(ann)
    session.commit()
    check(session, 2)
    ann.albums.pop(0)
    session.commit()
    check(session, 1)
    session.delete(ann)
    session.flush()
    session.rollback()
    check(session, 1)
    session.delete(ann)
    session.commit()
    check(session, 0)


def test_an_old_value_that_is_not_loaded(session: Session) -> None:
    ann = user(session)
    session.add(Album(cover=b"1"))
    session.commit()
    session.expunge_all()
    ann = session.scalars(select(User).options(defer(User.photo))).one()
    ann.photo = b"second"  # type: ignore[assignment]
    album = session.scalars(select(Album)).one()
    album.cover = None
    session.commit()
    check(session, 1)
    session.delete(session.scalars(select(User).options(defer(User.photo))).one())
    session.commit()
    check(session, 0)


def test_single_table_inheritance(session: Session) -> None:
    admin = Admin(name="ann", photo=b"1", badge=b"2")
    session.add(admin)
    session.commit()
    check(session, 2)
    admin.badge = b"3"  # type: ignore[assignment]
    admin.photo = b"4"  # type: ignore[assignment]
    session.add(User(name="eve", photo=b"5"))
    session.commit()
    check(session, 3)
    session.execute(delete(Admin))
    session.flush()
    assert len(there()) == 3
    session.commit()
    check(session, 1)


@pytest.mark.parametrize("is_loaded", [True, False])
def test_deleted_before_the_new_value_was_flushed(session: Session, is_loaded: bool) -> None:
    ann = user(session)
    if is_loaded:
        session.refresh(ann)
    with session.no_autoflush:
        ann.photo = b"second"  # type: ignore[assignment]
        session.delete(ann)
    session.commit()
    check(session, 0)


# -- statements --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda session: session.execute(delete(User).where(User.name.in_(["ann", "eve"]))),
        lambda session: session.execute(delete(User).where(User.name <= bindparam("last")), {"last": "eve"}),
        lambda session: session.query(User).filter(User.name != "zoe").delete(),
        lambda session: session.execute(update(User).where(User.name != "zoe").values(photo=None)),
        lambda session: session.execute(update(User).where(User.name != "zoe").values({User.photo: None})),
        lambda session: session.execute(update(User).where(User.name != "zoe").values({"photo": None})),
        lambda session: session.query(User).filter(User.name != "zoe").update({"photo": None}),
        lambda session: session.query(User).filter(User.name != "zoe").update({User.photo: None}),
        lambda session: session.execute(update(User), [{"id": 1, "photo": None}, {"id": 2, "photo": None}]),
    ],
)
@pytest.mark.parametrize("is_committed", [True, False])
def test_statements_that_let_go(session: Session, act: Any, is_committed: bool) -> None:
    for name in ("ann", "eve", "zoe"):
        user(session, name)
    act(session)
    assert len(there()) == 3
    (session.commit if is_committed else session.rollback)()
    check(session, 1 if is_committed else 3)


def test_a_statement_that_changes_something_else(session: Session) -> None:
    user(session)
    session.execute(update(User).values(name="eve"))
    session.commit()
    check(session, 1)


def test_a_statement_that_fails(session: Session) -> None:
    """A session goes on after it, and its rows are still there."""
    album = Album(cover=b"x")
    session.add(album)
    session.commit()
    session.execute(text("create table guard (album int references album(id))"))
    session.execute(text("insert into guard values (1)"))
    with pytest.raises(IntegrityError):
        session.execute(delete(Album))
    session.commit()
    check(session, 1)


def test_statements_with_files(session: Session) -> None:
    ann, file, other = user(session), store(User.photo, b"new"), store(User.photo, b"other")
    session.execute(update(User).values(photo=file))
    session.execute(insert(User), [{"name": "eve", "photo": other}, {"name": "zoe", "photo": None}])
    session.commit()
    check(session, 2)
    assert ann.photo == file
    session.execute(insert(User).values(name="kim", photo=str(file)))
    session.commit()
    lost = store(User.photo, b"lost")
    session.execute(insert(User), [{"name": "joe", "photo": lost}])
    session.rollback()
    check(session, 2)
    with pytest.raises(StatementError, match="statements store no file"):
        session.execute(insert(User), [{"name": "joe", "photo": b"bytes"}])


def test_joined_criteria(session: Session) -> None:
    session.add(User(name="ann", photo=b"1", albums=[Album(cover=b"2")]))
    session.add(User(name="eve", photo=b"1", albums=[Album(cover=b"2")]))
    session.commit()
    anns = select(User.id).where(User.name == "ann").scalar_subquery()
    session.execute(delete(Album).where(Album.user_id == anns))
    session.commit()
    check(session, 3)


# -- storages that fail, commits that may have been done ---------------------------------------------------------------


class Away(MemoryBackend):
    """A memory in which some files cannot be removed."""

    kept = b""

    def delete(self, key: Any) -> bool:
        handle = self.open(key)
        if handle is not None and self.kept in b"".join(handle.chunks(0, 100)):
            raise BackendUnavailable("it is away", backend=self.name)
        return super().delete(key)


def test_a_storage_that_is_away(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    REGISTRY.clear()
    away = Away(name="memory")
    REGISTRY.configure("local", MediaStack([away]))
    REGISTRY.alias("avatars", "local")
    for name in ("ann", "eve", "zoe"):
        user(session, name, photo=name.encode())
    away.kept = b"eve"
    kept = session.scalars(select(User.photo).where(User.name == "eve")).one()
    session.execute(delete(User))
    with caplog.at_level(logging.WARNING, "mediamw"):
        session.commit()
    assert there() == {str(kept)}, "the others went"
    (record,) = caplog.records
    assert f"left behind: {kept}, since" in record.getMessage()
    assert "it is away" in record.getMessage()


def test_a_commit_whose_answer_is_lost(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """The database has done it and the client is told that it failed: the rows are there, and so are their files."""
    commit = engine.dialect.do_commit

    def lose(connection: Any) -> None:
        commit(connection)
        raise OperationalError("COMMIT", {}, Exception("the connection is gone"))

    session = Session(engine)
    session.add(User(name="ann", photo=b"x"))
    session.flush()
    engine.dialect.do_commit = lose  # type: ignore[method-assign]
    with pytest.raises(OperationalError):
        session.commit()
    engine.dialect.do_commit = commit  # type: ignore[method-assign]
    session.close()
    check(session, 1)
    # And where nobody can be asked, nothing is removed.
    session.add(User(name="eve", photo=b"y"))
    session.flush()
    engine.dialect.do_commit = lose  # type: ignore[method-assign]
    with pytest.raises(OperationalError):
        session.commit()
    engine.dialect.do_commit = commit  # type: ignore[method-assign]

    def refuse(*_: Any) -> None:
        raise OperationalError("connect", {}, Exception("it is away"))

    event.listen(engine, "engine_connect", refuse)
    with caplog.at_level(logging.WARNING, "mediamw"):
        session.close()
    event.remove(engine, "engine_connect", refuse)
    assert "the database does not tell" in caplog.text
    check(session, 2)


def test_a_commit_that_the_database_refuses(engine: Engine, session: Session) -> None:
    """As with a constraint that is looked at then; the database is asked, and says that there is no such row."""
    commit = engine.dialect.do_commit

    def refuse(connection: Any) -> None:
        connection.rollback()
        raise IntegrityError("COMMIT", {}, Exception("a constraint"))

    session.add(User(name="ann", photo=b"x"))
    session.flush()
    engine.dialect.do_commit = refuse  # type: ignore[method-assign]
    with pytest.raises(IntegrityError):
        session.commit()
    engine.dialect.do_commit = commit  # type: ignore[method-assign]
    session.rollback()
    check(session, 0)


@pytest.mark.parametrize("mode", ["create_savepoint", "conditional_savepoint", "rollback_only"])
@pytest.mark.parametrize("is_committed", [False, True])
def test_a_transaction_around_the_sessions(engine: Engine, session: Session, mode: Any, is_committed: bool) -> None:
    """As tests of apps have it: what the session commits is rolled back with the connection."""
    user(session)
    session.close()
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode=mode) as inner:
            inner.add(User(name="eve", photo=b"y"))
            inner.execute(delete(User).where(User.name == "ann"))
            inner.commit()
            assert len(there()) == 2
            inner.add(User(name="zoe", photo=b"y"))
            inner.commit()
            assert len(there()) == 3
        (outer.commit if is_committed else outer.rollback)()
    if is_committed:
        assert named(session) < there(), "the old one is left to the orphans"
        assert len(there()) == 3
    else:
        check(session, 1)


def test_a_pool_of_one(where: Path | str) -> None:
    """Asking the database before a file goes takes no second connection."""
    fresh_storages()
    engine = database(where, pool_size=1, max_overflow=0, pool_timeout=2)
    with Session(engine) as session:
        session.delete(user(session))
        session.commit()
        check(session, 0)
    engine.dispose()


def test_threads(engine: Engine) -> None:
    faults: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(10):
                with Session(engine) as session:
                    session.add(User(name=f"{name} {number}", photo=b"1"))
                    (session.commit if number % 2 else session.rollback)()
        except BaseException as error:  # noqa: BLE001 - it is raised below
            faults.append(error)

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    with Session(engine) as session:
        check(session, 15)


def test_a_value_that_names_nothing(session: Session) -> None:
    session.execute(
        text("insert into users (name, photo, kind) values ('ann', 'old.jpg', 'user'), ('eve', '', 'user')")
    )
    session.commit()
    assert session.scalars(select(User.photo).where(User.name == "eve")).one() is None
    with pytest.raises(InvalidKey, match=r"'old\.jpg' names no file"):
        session.scalars(select(User.photo).where(User.name == "ann")).one()
    ann = session.scalars(select(User).options(defer(User.photo)).where(User.name == "ann")).one()
    session.delete(ann)
    session.flush()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"key": 3}, "key: 3 is no folder and no function"),
        ({"key": "a/../b"}, "key: 'a/../b' is no folder"),
        ({"max_bytes": "1MB"}, "max_bytes: '1MB' is not a whole number"),
        ({"length": "x"}, "length: 'x' is not a whole number"),
        ({"length": 0}, "length: 0 is not a whole number"),
        ({"registry": "local"}, "registry: str is no Registry"),
    ],
)
def test_a_wrong_option_is_told_where_it_stands(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MediaField("avatars", **options)


def test_a_column_for_short_texts_keeps_no_file_of_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whether one of its rows names a file is asked before that is removed, and no long text fits there."""

    class Own(DeclarativeBase):
        pass

    class Short(Own):
        __tablename__ = "short"
        id: Mapped[int] = mapped_column(primary_key=True)
        photo: Mapped[MediaFile | None] = mapped_column(MediaField("avatars", length=10, registry=REGISTRY))

    class Long(Own):
        __tablename__ = "long"
        id: Mapped[int] = mapped_column(primary_key=True)
        photo: Mapped[MediaFile | None] = mapped_column(MediaField("avatars", registry=REGISTRY))

    fresh_storages()
    made = create_engine(f"sqlite:///{tmp_path}/own.sqlite")
    Own.metadata.create_all(made)
    try:
        with Session(made) as session:
            session.add(row := Long(photo=b"photo"))
            session.commit()
            session.delete(row)
            session.commit()
            assert there() == set()
            session.add(Short(photo=b"photo"))
            with pytest.raises(StatementError, match="see length="):
                session.commit()
            session.rollback()
        assert there() == set()
        assert "left behind" not in caplog.text
    finally:
        made.dispose()
        REGISTRY.clear()
