"""A dump of production's database is restored on a laptop, and worked with: production's bucket is read, never written.

The key may do everything there, so that what is written would be written.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, delete, event, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from mediamw import LocalBackend, MediaStack, S3Backend
from mediamw.ext.depot.fields.filters.thumbnails import WithThumbnailFilter
from mediamw.ext.depot.fields.sqlalchemy import UploadedFileField
from mediamw.ext.depot.io.boto3 import ReadOnlyDepotBucket
from mediamw.ext.depot.io.local import DepotDirectory
from mediamw.ext.depot.manager import DepotManager
from mediamw.ext.sqlalchemy import MediaField, MediaFile
from mediamw.storages import registry
from mediamw.testing import StrictS3

from .test_depot_fields import picture

BUCKET = "acme-prod-media"
ROWS = 8


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    avatar: Mapped[MediaFile | None] = mapped_column(MediaField("avatars"))


class Member(Base):
    __tablename__ = "member"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    avatar: Mapped[Any] = mapped_column(
        UploadedFileField(filters=[WithThumbnailFilter((12, 12), "PNG")], upload_storage="avatars"), nullable=True
    )


class Laptop(NamedTuple):
    """What a developer has: the dump, and a stack over the production bucket by which its rows are answered."""

    model: Any
    engine: Engine
    s3: StrictS3
    stack: MediaStack

    def check(self) -> None:
        assert self.s3.writes == []
        assert self.s3.objects(BUCKET) == production()


def keys() -> list[list[str]]:
    """Those of each row: a picture and its thumbnail, both by ids."""
    return [[str(UUID(int=16 * row + which, version=4)) for which in (1, 2)] for row in range(ROWS)]


def production() -> dict[str, bytes]:
    return {f"avatars/{key}": picture(kind="PNG") for row in keys() for key in row}


def restore_the_dump(connection: Any, model: Any) -> None:
    """The rows as production wrote them: they name its storage, which a laptop does not have."""
    for number, (file, thumb) in enumerate(keys()):
        value = f"s3_avatars/{file}"
        if model is Member:
            public = f"https://{BUCKET}.s3.amazonaws.com/{file}?X-Amz-Signature=old"
            found = {"depot_name": "s3_avatars", "file_id": file, "path": value, "_public_url": public}
            found |= {"files": [value, f"s3_avatars/{thumb}"], "filename": "a.png", "content_type": "image/png"}
            found |= {"thumb_12x12_path": f"s3_avatars/{thumb}", "thumb_12x12_id": thumb, "uploaded_at": "x"}
            value = json.dumps(found)
        row = {"id": number + 1, "name": f"name {number}", "avatar": value}
        connection.execute(text(f"insert into {model.__tablename__} values (:id, :name, :avatar)"), row)


@pytest.fixture(params=[Person, Member])
def laptop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Laptop]:
    with StrictS3(keys={"AKALL": "secret"}) as s3:
        s3.create_bucket(BUCKET)
        for key, data in production().items():
            s3.put(BUCKET, key, data, content_type="image/png", metadata={"x-depot-filename": "a.png"})
        options: Any = {"access_key_id": "AKALL", "secret_access_key": "secret", "endpoint_url": s3.endpoint}
        DepotManager._clear()
        backends: list[Any] = (
            [LocalBackend(tmp_path / "media"), S3Backend(BUCKET, location="avatars", **options)]
            if request.param is Person
            else [DepotDirectory(tmp_path / "media"), ReadOnlyDepotBucket(BUCKET, prefix="avatars/", **options)]
        )
        stack = registry.configure("dev_avatars", backends)
        registry.alias("avatars", "dev_avatars")
        registry.remap({"s3_avatars": "avatars"})
        DepotManager.make_middleware(None)
        engine = create_engine(f"sqlite:///{tmp_path / 'dump.sqlite'}")
        event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            restore_the_dump(connection, request.param)
        s3.clear_calls()
        yield Laptop(request.param, engine, s3, stack)
        engine.dispose()
        DepotManager._clear()


def files_of(value: Any) -> list[str]:
    """The keys of a row's value."""
    paths = [str(value)] if isinstance(value, MediaFile) else value.files
    return [path.partition("/")[2] for path in paths]


def read(value: Any) -> bytes:
    if isinstance(value, MediaFile):
        return value.read()
    with value.file as file:
        data: bytes = file.read()
    return data


def test_all_that_is_done_with_a_dump(laptop: Laptop) -> None:
    model, stack = laptop.model, laptop.stack
    with Session(laptop.engine) as session:
        people = session.scalars(select(model).order_by(model.id)).all()
        assert read(people[0].avatar) == picture(kind="PNG")
        old = [files_of(person.avatar) for person in people]

        people[0].avatar = picture(40, 40)  # replaced
        session.flush()
        session.rollback()
        assert [stack.exists(key) for key in old[0]] == [True for _ in old[0]]
        people[0].avatar = picture(40, 40)
        new = files_of(people[0].avatar)
        session.commit()
        assert read(people[0].avatar) == picture(40, 40)
        assert not any(stack.exists(key) for key in old[0]), "hidden here"
        assert all(stack.exists(key) for key in new)

        session.delete(people[1])  # deleted
        with session.begin_nested() as savepoint:
            session.delete(people[2])
            session.flush()
            savepoint.rollback()
        session.commit()
        assert not any(stack.exists(key) for key in old[1])
        assert all(stack.exists(key) for key in old[2])

        session.execute(delete(model).where(model.id.in_([3, 4])))  # in bulk
        session.rollback()
        assert all(stack.exists(key) for key in (*old[2], *old[3]))
        session.execute(delete(model).where(model.id.in_([3, 4])))
        session.query(model).filter(model.id == 5).delete()
        session.execute(update(model).where(model.id == 6).values(avatar=None))
        session.commit()
        assert not any(stack.exists(key) for keys in old[2:6] for key in keys)

        people[6].avatar = people[7].avatar  # moved
        session.delete(people[7])
        session.commit()
        assert not any(stack.exists(key) for key in old[6])
        assert all(stack.exists(key) for key in old[7])

        session.add(model(name="name 0", avatar=picture()))
        with pytest.raises(IntegrityError):
            session.commit()
        session.close()
        session.execute(delete(model))  # all that is left
        session.commit()
    assert not any(stack.exists(key) for row in range(ROWS) for key in files_of_row(laptop, row))
    assert list((laptop.stack.upper).list("", recursive=True)) == []  # type: ignore[attr-defined]
    laptop.check()
    assert laptop.s3.calls, "it was asked"


def test_production_refuses_everything(laptop: Laptop, caplog: pytest.LogCaptureFixture) -> None:
    """Even if nobody can tell what production has: what is let go is hidden, and nothing is sent that writes."""
    laptop.s3.close()
    with Session(laptop.engine) as session, caplog.at_level(logging.CRITICAL):
        session.execute(delete(laptop.model).where(laptop.model.id == 1))
        session.commit()
    assert sorted(laptop.stack.hidden()) == sorted(files_of_row(laptop, 0))


def files_of_row(laptop: Laptop, row: int) -> list[str]:
    return keys()[row] if laptop.model is Member else keys()[row][:1]
