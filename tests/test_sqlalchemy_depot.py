"""``UploadedFileField``: what DEPOT's own tests (tests/depot_suite/) do not look at."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import Engine, delete, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from mediamw.ext.depot.fields.filters.thumbnails import WithThumbnailFilter
from mediamw.ext.depot.fields.sqlalchemy import UploadedFileField
from mediamw.ext.depot.fields.upload import UploadedFile
from mediamw.ext.depot.io.utils import FileIntent
from mediamw.ext.depot.manager import DepotManager

from .sqla_models import database
from .test_depot_fields import picture


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "document"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    photo: Mapped[Any] = mapped_column(UploadedFileField(filters=[WithThumbnailFilter((12, 12), "PNG")]), nullable=True)
    paper: Mapped[Any] = mapped_column(UploadedFileField, nullable=True)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    DepotManager._clear()
    DepotManager.configure("local", {"depot.storage_path": str(tmp_path / "files")})
    DepotManager.make_middleware(None)
    made = database(tmp_path / "db.sqlite")
    Base.metadata.create_all(made)
    yield made
    made.dispose()
    DepotManager._clear()


def there() -> set[str]:
    return {f"local/{file_id}" for file_id in DepotManager.get("local").list()}


def named(engine: Engine) -> set[str]:
    with Session(engine) as session:
        values = [value for row in session.execute(select(Document.photo, Document.paper)) for value in row]
    return {path for value in values if value for path in value.files}


def check(engine: Engine, count: int) -> None:
    assert there() == named(engine)
    assert len(there()) == count


def test_pictures_and_thumbnails(engine: Engine) -> None:
    """What DEPOT's test finds by the path of its own class."""
    with Session(engine) as session:
        document = Document(name="a", photo=FileIntent(io.BytesIO(picture()), "a.png", "image/png"))
        session.add(document)
        session.commit()
        check(engine, 2)
        with DepotManager.get_file(document.photo.thumb_12x12_path) as file, Image.open(file) as thumb:
            assert (thumb.format, max(thumb.size)) == ("PNG", 12)
        document.photo = picture(20, 20)
        session.flush()
        assert len(there()) == 4
        session.rollback()
        check(engine, 2)
        document.photo = picture(20, 20)
        session.commit()
        check(engine, 2)
        session.delete(document)
        session.commit()
        check(engine, 0)


def test_a_picture_that_is_none_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(OSError, match="cannot identify image"):
        Document(name="a", photo=b"no picture")
    assert there() == set()


def test_statements_and_savepoints(engine: Engine) -> None:
    with Session(engine) as session:
        session.add_all([Document(name=name, photo=picture(), paper=name.encode()) for name in "abcd"])
        session.commit()
        check(engine, 12)
        with session.begin_nested() as savepoint:
            session.execute(delete(Document).where(Document.name == "a"))
            session.add(Document(name="e", photo=picture()))
            session.flush()
            savepoint.rollback()
        session.execute(delete(Document).where(Document.name == "b"))
        session.execute(update(Document).where(Document.name == "c").values(paper=None))
        session.commit()
        check(engine, 8)
        session.add(Document(name="a", paper=b"x"))
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        check(engine, 8)


@pytest.mark.parametrize("is_flushed_between", [True, False])
def test_moved_to_another_row(engine: Engine, is_flushed_between: bool) -> None:
    with Session(engine) as session:
        one, two = Document(name="a", paper=b"x"), Document(name="b")
        session.add_all([one, two])
        session.commit()
        two.paper, one.paper = one.paper, None
        if is_flushed_between:
            session.flush()
        session.delete(one)
        session.commit()
        check(engine, 1)


def test_an_uploaded_file_that_was_made_before(engine: Engine) -> None:
    """In a thread, say. It is the transaction's from then on; what a row had is nobody's new file."""
    with Session(engine) as session:
        session.add(Document(name="a", paper=UploadedFile(b"x")))
        session.rollback()
        check(engine, 0)
        one = Document(name="a", paper=UploadedFile(b"x"))
        session.add(one)
        session.commit()
        session.add(Document(name="b", paper=one.paper))
        session.rollback()
        check(engine, 1)


def test_an_upload_in_the_event_loop_is_not_unnoticed(engine: Engine) -> None:
    async def assign() -> None:
        document = Document(name="a")
        with pytest.warns(RuntimeWarning, match=r"asyncio.to_thread\(UploadedFile, data\)"):
            document.paper = b"x"

    asyncio.run(assign())


def test_a_commit_whose_answer_is_lost(engine: Engine) -> None:
    commit = engine.dialect.do_commit

    def lose(connection: Any) -> None:
        commit(connection)
        raise OSError("the connection is gone")

    with Session(engine) as session:
        session.add(Document(name="a", photo=picture()))
        session.flush()
        engine.dialect.do_commit = lose  # type: ignore[method-assign]
        with pytest.raises(OSError, match="the connection is gone"):
            session.commit()
        engine.dialect.do_commit = commit  # type: ignore[method-assign]
    check(engine, 2)


def test_rows_that_are_broken(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("insert into document (id, name, paper) values (1, 'a', ''), (2, 'b', '{broken')"))
    with Session(engine) as session:
        assert session.scalars(select(Document.paper).where(Document.id == 1)).one() is None
        with pytest.raises(ValueError, match="no JSON"):
            session.get(Document, 2)
    with Session(engine) as session:
        session.add(Document(id=3, name="c", paper=b"x"))
        session.commit()
        assert len(there()) == 1
        session.execute(update(Document).where(Document.id == 2).values(name="d"))
        session.execute(delete(Document))
        session.commit()
    check(engine, 0)


@pytest.mark.parametrize("files", ['"abc"', "[{}]", "[1]", '{"local/x": 1}', "5", '["local/../x"]', '["/x"]'])
def test_a_row_whose_files_are_none_can_be_deleted(engine: Engine, files: str) -> None:
    row = f'{{"depot_name": "local", "file_id": "x", "files": {files}}}'
    with engine.begin() as connection:
        connection.execute(text("insert into document (id, name, paper) values (1, 'a', :row)"), {"row": row})
    with Session(engine) as session:
        session.delete(session.get(Document, 1))
        session.commit()
    check(engine, 0)


def test_a_file_of_a_committed_row_is_no_new_one_of_a_second(engine: Engine) -> None:
    with Session(engine) as session:
        first = Document(name="a", paper=b"x")
        session.add(first)
        session.commit()
        file = first.paper
        for name in ("b", "a"):  # the second time a name that is taken
            session.add(Document(name=name, paper=file))
            with suppress(IntegrityError):
                session.flush()
            session.rollback()
    check(engine, 1)
