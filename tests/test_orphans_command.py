"""``mediamw storages orphans``: what no row names, of the upper alone, and never by mistake."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.orm import Session

from mediamw import BackendUnavailable, Entry, LocalBackend
from mediamw.cli import main
from mediamw.ext.sqlalchemy import orphans

SHOP = """
import io
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from mediamw import storages, LocalBackend
from mediamw.ext.sqlalchemy import MediaField, MediaFile
from mediamw.ext.depot.fields.sqlalchemy import UploadedFileField
from mediamw.ext.depot.fields.upload import UploadedFile

class Thumbed(UploadedFile):
    def process_content(self, content, filename=None, content_type=None):
        super().process_content(content, filename, content_type)
        self["thumb"], _ = self.store_content(b"thumb")

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    photo: Mapped[MediaFile | None] = mapped_column(MediaField("avatars"))
    paper: Mapped[dict | None] = mapped_column(UploadedFileField(upload_storage="avatars", upload_type=Thumbed))

class Plain(DeclarativeBase):
    pass

engine = create_engine("sqlite:///db.sqlite")

def setup():
    storages.clear()
    storages.configure("layered", [LocalBackend("media"), LocalBackend("production", name="prod")])
    storages.configure("other", [LocalBackend("other")])
    storages.alias("avatars", "layered")
    storages.remap({"s3_avatars": "avatars"})

def used():
    yield "avatars/used.jpg"

def broken():
    raise RuntimeError("the page of settings is away")

def no_file():
    yield "used.jpg"

def no_text():
    yield 5

def no_storage():
    yield "avatar/used.jpg"
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A project in the working directory, and some rows: a photo, a paper with a thumbnail, one of a dump."""
    (tmp_path / "orphan_shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.syspath_prepend(str(tmp_path))
    import orphan_shop  # type: ignore[import-not-found]  # written just now

    orphan_shop.setup()
    orphan_shop.Base.metadata.create_all(orphan_shop.engine)
    with Session(orphan_shop.engine) as session:
        session.add(orphan_shop.User(photo=b"photo", paper=b"paper"))
        session.commit()
        save("dump.jpg")
        session.execute(text("insert into user (photo) values ('s3_avatars/dump.jpg')"))
        session.commit()
    production = tmp_path / "production"
    production.mkdir(exist_ok=True)
    (production / "theirs.jpg").write_bytes(b"production")
    yield orphan_shop
    orphan_shop.engine.dispose()
    orphan_shop.storages.clear()
    del sys.modules["orphan_shop"]


def save(key: str, storage: str = "layered") -> None:
    from mediamw import storages

    storages.get(storage).save(key, b"data")


def age(tmp_path: Path, hours: float = 48) -> None:
    """All files were stored long ago."""
    for path in tmp_path.rglob("*"):
        if path.is_file() and ".mediamw" not in path.parts:
            os.utime(path, (time.time() - hours * 3600,) * 2)


def files(tmp_path: Path) -> set[str]:
    return {
        path.relative_to(tmp_path).as_posix()
        for folder in ("media", "other", "production")
        for path in (tmp_path / folder).rglob("*")
        if path.is_file() and ".mediamw" not in path.parts
    }


def command(*arguments: str, database: str = "sqlite:///db.sqlite", models: str = "orphan_shop:Base") -> int:
    return main(
        ["storages", "orphans", "--app", "orphan_shop:setup", "--models", models, "--database", database, *arguments]
    )


def test_what_no_row_names(shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key in ("lost.jpg", "deep/er/lost.jpg"):
        save(key)
    save("young.jpg")
    save("lost.jpg", "other")
    age(tmp_path)
    os.utime(tmp_path / "media" / "young.jpg")
    before = files(tmp_path)
    assert len(before) == 9
    assert command() == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["layered/deep/er/lost.jpg", "layered/lost.jpg", "other/lost.jpg"]
    assert err == "3 files that no row names, 12 bytes\n"
    assert files(tmp_path) == before
    assert command("--storage", "avatars", "--older-than", "0s", "--database", "orphan_shop:engine") == 0
    assert capsys.readouterr().out.splitlines() == [
        "layered/deep/er/lost.jpg",
        "layered/lost.jpg",
        "layered/young.jpg",
    ]


def test_delete(shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("lost.jpg")
    shop.storages.get("layered").save("theirs.jpg", b"over production's", names="shadow")
    age(tmp_path)
    before = files(tmp_path)
    assert command("--delete", "--format", "json") == 0
    out, err = capsys.readouterr()
    told = [json.loads(line) for line in out.splitlines()]
    assert [(found["storage"], found["key"], found["removed"]) for found in told] == [
        ("layered", "lost.jpg", True),
        ("layered", "theirs.jpg", True),
    ]
    assert told[0]["size"] == 4
    assert told[0]["modified"].endswith("+00:00")
    assert err == "2 files that no row names, 21 bytes; 2 removed\n"
    assert before - files(tmp_path) == {"media/lost.jpg", "media/theirs.jpg"}
    shop.setup()
    with shop.storages.get("layered").open("theirs.jpg") as file:
        assert file.read() == b"production", "and it is not hidden"
    assert command("--delete") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("insert into user (id, photo) values (7, 'no storage')", "user.photo of the row id=7: "),
        ("insert into user (id, paper) values (7, '{broken')", "user.paper of the row id=7: "),
        ("insert into user (id, paper) values (7, '[1]')", "user.paper of the row id=7: "),
        ("insert into user (id, photo) values (7, 's3_photos/a.jpg')", "unknown storage 's3_photos'"),
    ],
)
def test_a_row_that_cannot_be_read(
    shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, reason: str
) -> None:
    save("lost.jpg")
    age(tmp_path)
    with shop.engine.begin() as connection:
        connection.execute(text(row))
    before = files(tmp_path)
    assert command("--delete") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err
    assert "nothing is removed" in err
    assert files(tmp_path) == before
    assert command() == 1
    assert "layered/lost.jpg" in capsys.readouterr().out


def test_also_used(shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("used.jpg")
    age(tmp_path)
    assert command("--also-used", "orphan_shop:used") == 0
    assert capsys.readouterr().out == ""
    with pytest.raises(RuntimeError, match="the page of settings is away"):
        command("--also-used", "orphan_shop:broken", "--delete")
    assert "media/used.jpg" in files(tmp_path)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("no_file", "'used.jpg' names no file"),
        ("no_text", "5 is no text"),
        ("no_storage", "did you mean avatars"),
    ],
)
def test_also_used_that_tells_no_files(
    shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], function: str, said: str
) -> None:
    save("used.jpg")
    age(tmp_path)
    assert command("--also-used", f"orphan_shop:{function}", "--delete") == 2
    err = capsys.readouterr().err
    assert err.startswith("mediamw: also_used: ")
    assert said in err
    assert "media/used.jpg" in files(tmp_path)


@pytest.mark.parametrize("options", [(), ("--delete",)])
def test_a_storage_that_cannot_be_listed(
    shop: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    """The others are looked at, and the status tells that not all were."""
    save("lost.jpg")
    save("lost.jpg", "other")
    age(tmp_path)
    real = LocalBackend.list

    def listed(self: LocalBackend, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        yield from real(self, prefix, recursive=recursive)
        if self.root == str(tmp_path / "media"):
            raise BackendUnavailable("the disk is away", backend=self.name, operation="list")

    monkeypatch.setattr(LocalBackend, "list", listed)
    assert command(*options) == 1
    out, err = capsys.readouterr()
    removed = ": removed" if options else ""
    assert out.splitlines() == [f"layered/lost.jpg{removed}", f"other/lost.jpg{removed}"]
    assert "mediamw: 'layered' cannot be listed: backend 'local' list: the disk is away" in err


def test_ctrl_c(shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    save("lost.jpg")
    age(tmp_path)

    def pressed(self: orphans.Finder, some: Any) -> Iterator[tuple[orphans.Orphan, str]]:
        yield from remove(self, some)
        raise KeyboardInterrupt

    remove = orphans.Finder.remove
    monkeypatch.setattr(orphans.Finder, "remove", pressed)
    assert command("--delete") == 130
    assert capsys.readouterr() == ("layered/lost.jpg: removed\n", "mediamw: interrupted\n")


def test_a_row_that_comes_between(
    shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save("late.jpg")
    save("lost.jpg")
    age(tmp_path)
    read = orphans.Finder.read

    def read_and_insert(self: orphans.Finder) -> None:
        read(self)
        with shop.engine.begin() as connection:
            connection.execute(text("insert into user (photo) values ('avatars/late.jpg')"))

    monkeypatch.setattr(orphans.Finder, "read", read_and_insert)
    assert command("--delete") == 1
    out, _ = capsys.readouterr()
    assert out.splitlines() == ["layered/late.jpg: a row names it by now", "layered/lost.jpg: removed"]
    assert "media/late.jpg" in files(tmp_path)


@pytest.mark.parametrize(
    ("options", "text_"),
    [
        ({"models": "orphan_shop:Plain"}, "no column has a MediaField or UploadedFileField"),
        ({"models": "orphan_shop:used"}, "is no declarative base"),
        ({"models": "orphan_shop:Bass"}, "orphan_shop has no 'Bass'"),
        ({"models": "orphan_shop"}, "give MODULE:ATTR"),
        ({"models": "orphan_mall:Base"}, "no module 'orphan_mall'"),
        ({"database": "orphan_shop:Base"}, "give an Engine, or a URL"),
        ({"database": "nothing://user:secret@host/db"}, "for a URL that begins nothing://"),
        ({"database": "sqlite+aiosqlite:///db.sqlite"}, "aiosqlite is asynchronous"),
    ],
)
def test_settings_that_are_wrong(
    shop: Any, capsys: pytest.CaptureFixture[str], options: dict[str, str], text_: str
) -> None:
    assert command(**options) == 2
    err = capsys.readouterr().err
    assert text_ in err
    assert "secret" not in err


def test_a_storage_that_there_is_not(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--storage", "layerd") == 2
    assert "did you mean layered" in capsys.readouterr().err


@pytest.mark.parametrize("time_", ["soon", "24"])
def test_times(shop: Any, capsys: pytest.CaptureFixture[str], time_: str) -> None:
    """A number alone might be meant as hours, and be taken as seconds."""
    with pytest.raises(SystemExit):
        command("--older-than", time_)
    assert "such as 24h" in capsys.readouterr().err


def test_many_rows(shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More than are read, and removed, at once."""
    for number in range(450):
        save(f"{number:03}.jpg")
    with create_engine("sqlite:///db.sqlite", poolclass=NullPool).begin() as connection:
        rows = [{"photo": f"avatars/{number:03}.jpg"} for number in range(0, 450, 9)]
        connection.execute(text("insert into user (photo) values (:photo)"), rows)
        connection.execute(text("insert into user (photo) values (:photo)"), [{"photo": "layered/dump.jpg"}] * 1500)
    age(tmp_path)
    before = files(tmp_path)
    assert command("--delete") == 0
    capsys.readouterr()
    assert len(before) - len(files(tmp_path)) == 400
    assert command() == 0
    assert capsys.readouterr().out == ""


def test_models_whose_module_loads_the_environment_need_no_app(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save("lost.jpg")
    age(tmp_path)
    shop.storages.clear()
    monkeypatch.setenv("MEDIAMW_STORAGES", "layered")
    monkeypatch.setenv("MEDIAMW_STORAGE_LAYERED_BACKENDS", "./media")
    monkeypatch.setenv("MEDIAMW_STORAGE_ALIASES", "avatars=layered s3_avatars=layered")
    (tmp_path / "orphan_models.py").write_text(
        "from mediamw import storages\nstorages.load_environment()\nfrom orphan_shop import Base\n"
    )
    arguments = ["--database", "sqlite:///db.sqlite"]
    try:
        for models in ("orphan_models:Base", "orphan_shop:Base"):  # by that module, and by the command
            assert main(["storages", "orphans", "--models", models, *arguments]) == 0
            assert capsys.readouterr().out == "layered/lost.jpg\n"
    finally:
        del sys.modules["orphan_models"]


def test_a_database_that_cannot_be_read(shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("lost.jpg")
    age(tmp_path)
    before = files(tmp_path)
    assert command("--delete", database="sqlite:///empty.sqlite") == 2
    said = "mediamw: --database: no such table: user; nothing is removed\n"
    assert capsys.readouterr() == ("", said)
    assert files(tmp_path) == before


def test_a_database_that_goes_away_amid_the_run(
    shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save("lost.jpg")
    age(tmp_path)
    before = files(tmp_path)
    read = orphans.Finder.read

    def read_and_drop(self: orphans.Finder) -> None:
        read(self)
        shop.Base.metadata.drop_all(shop.engine)

    monkeypatch.setattr(orphans.Finder, "read", read_and_drop)
    assert command("--delete") == 2
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "mediamw: --database: no such table: user; what was told until now is done, and no more\n",
    )
    assert files(tmp_path) == before


def test_a_driver_that_is_missing_is_named(
    shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    assert command(database="postgresql+psycopg2://ann:secret@localhost/shop") == 2
    err = capsys.readouterr().err
    assert "--database: psycopg2 is not installed" in err
    assert "secret" not in err
