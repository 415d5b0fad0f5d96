"""What DEPOT's tests import and its source distribution does not have: written anew, from how it is used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Column, DateTime, Integer, Unicode, create_engine
from sqlalchemy.orm import DeclarativeBase as Base
from sqlalchemy.orm import scoped_session, sessionmaker
from werkzeug.datastructures import Headers
from werkzeug.test import Client, TestResponse


class FieldStorage:
    """An upload as ``cgi.FieldStorage`` has it; newer Pythons have no module ``cgi``."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.filename: str | None = None
        self.type: str | None = None
        self.file: Any = None


cgi = SimpleNamespace(FieldStorage=FieldStorage)


def create_cgifs(mimetype: str, content: Any, filename: str) -> FieldStorage:
    """Return an upload of ``content``: bytes, or a file."""
    field = FieldStorage()
    field.filename = field.name = filename
    field.type = mimetype
    field.file = BytesIO(content) if isinstance(content, bytes) else open(content.name, "rb")  # noqa: SIM115 - the test closes it
    return field


def flaky(case: Any) -> Any:
    """Run a test once: nothing here is asked over a network."""
    return case


class OpenFiles:
    """Files that a test opened."""

    def __init__(self) -> None:
        self._files: list[Any] = []

    def open(self, path: str, mode: str) -> Any:
        """Open a file."""
        return self.add(open(path, mode))

    def add(self, file: Any) -> Any:
        """Have a file be closed with the others."""
        self._files.append(file)
        return file

    def close_all(self) -> None:
        """Close them all."""
        while self._files:
            self._files.pop().close()


class TestApp:
    """The requests of a WSGI app that DEPOT's tests make with ``webtest``, which imports ``cgi``."""

    __test__ = False

    def __init__(self, app: Any) -> None:
        self._client = Client(app)

    def get(self, path: str, *, headers: Sequence[tuple[str, str]] = (), status: int | None = None) -> Any:
        """Return the answer; raise if its status is an error, or another than ``status``."""
        return _checked(self._client.get(path, headers=Headers(headers)), status)

    def post(self, path: str, *, params: dict[str, str] | None = None, status: int | None = None) -> Any:
        """Send a form, and return as ``get`` does."""
        return _checked(self._client.post(path, data=params or {}), status)


def _checked(answer: TestResponse, status: int | None) -> Any:
    assert answer.status_code == status if status is not None else answer.status_code < 400, answer.status
    return SimpleNamespace(
        status=answer.status,
        headers=answer.headers,
        body=answer.data,
        json=answer.get_json(silent=True),
        request=answer.request,
    )


class DeclarativeBase(Base):
    """The tables of DEPOT's tests."""

    __allow_unmapped__ = True


DBSession: Any = scoped_session(sessionmaker(autoflush=True))


class ThingWithDate(DeclarativeBase):
    """A row without a file."""

    __tablename__ = "things"

    uid = Column(Integer, autoincrement=True, primary_key=True)
    name = Column(Unicode(16), unique=True)
    updated_at = Column(DateTime, default=lambda: datetime.now(UTC).replace(tzinfo=None))


def setup_database() -> None:
    """Have the session work on an empty database in memory."""
    close_database()
    DBSession.configure(bind=create_engine("sqlite://"))


def close_database() -> None:
    """Close the database, if there is one: newer Pythons warn if nobody does."""
    DBSession.remove()
    engine = DBSession.session_factory.kw["bind"]
    if engine is not None:
        engine.dispose()


def clear_database() -> None:
    """Make all tables anew."""
    DBSession.remove()
    engine = DBSession.session_factory.kw["bind"]
    DeclarativeBase.metadata.drop_all(engine)
    DeclarativeBase.metadata.create_all(engine)
