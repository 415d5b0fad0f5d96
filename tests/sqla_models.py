"""A database, a registry of storages and mapped classes with files, for the tests of ``mediamw.ext.sqlalchemy``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, ForeignKey, String, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from mediamw import MediaStack, MemoryBackend
from mediamw.ext.sqlalchemy import MediaField, MediaFile
from mediamw.storages import Registry

REGISTRY = Registry()


class Base(DeclarativeBase):
    pass


class HasPhoto:
    photo: Mapped[MediaFile | None] = mapped_column(MediaField("avatars", registry=REGISTRY))


class User(HasPhoto, Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(String(20), unique=True)
    kind: Mapped[str] = mapped_column(String(10), default="user")
    albums: Mapped[list[Album]] = relationship(cascade="all, delete-orphan")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "user"}  # noqa: RUF012 - SQLAlchemy's own


class Admin(User):
    badge: Mapped[MediaFile | None] = mapped_column(MediaField("avatars", key="badges", registry=REGISTRY))
    __mapper_args__ = {"polymorphic_identity": "admin"}  # noqa: RUF012 - SQLAlchemy's own


class Album(Base):
    __tablename__ = "album"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    cover: Mapped[MediaFile | None] = mapped_column(
        "cover_file", MediaField("avatars", key="covers/%Y", shared=False, registry=REGISTRY), deferred=True
    )


def database(where: Path | str, **options: Any) -> Engine:
    """The tables in a file with SQLite, or in the PostgreSQL of that URL, which is emptied."""
    if str(where).startswith("postgresql"):
        engine = create_engine(where, **options)
        Base.metadata.drop_all(engine)
    else:
        engine = create_engine(f"sqlite:///{where}", **options)
        event.listen(engine, "connect", _connected)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    Base.metadata.create_all(engine)
    return engine


def _connected(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # savepoints, as SQLAlchemy documents them for Python's driver
    connection.execute("PRAGMA foreign_keys = ON")


def fresh_storages() -> MediaStack:
    """A memory named ``local``, into which ``avatars`` go."""
    REGISTRY.clear()
    stack = REGISTRY.configure("local", [MemoryBackend(name="memory")])
    REGISTRY.alias("avatars", "local")
    return stack


def there() -> set[str]:
    """All files that are stored, as rows name them."""
    return {f"local/{entry.key}" for entry in REGISTRY.get("local").list(recursive=True)}


def named(session: Session) -> set[str]:
    """All files that rows name, by the database alone."""
    tables = [("users", "photo"), ("users", "badge"), ("album", "cover_file")]
    with session.get_bind().connect() as connection:  # type: ignore[union-attr]
        return {
            text
            for table, column in tables
            for (text,) in connection.exec_driver_sql(f"select {column} from {table} where {column} is not null")
        }
