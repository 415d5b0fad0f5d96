"""docs/from_depot.md is true: its blocks run, one after the other, against a bucket; its modules are there."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from werkzeug.test import Client

from mediamw.ext.depot.manager import DepotManager
from mediamw.testing import StrictS3

from .http_table.sites import wrapped_wsgi
from .s3.s3_world import ID, SECRET, fetch

NAME = "from_depot.md"
PAGE = (Path(__file__).parents[1] / "docs" / NAME).read_text("utf-8")
BUCKET = "acme-avatars"


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictS3]:
    monkeypatch.chdir(tmp_path)
    DepotManager._clear()
    with StrictS3(keys={"AKWRITER": SECRET}, read_only_keys={ID: SECRET}, region="eu-west-1") as server:
        server.create_bucket(BUCKET)
        monkeypatch.setenv("AVATARS_KEY", "AKWRITER")
        monkeypatch.setenv("AVATARS_SECRET", SECRET)
        monkeypatch.setenv("MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID", ID)
        monkeypatch.setenv("MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY", SECRET)
        yield server
        DepotManager._clear()


def run(number: int, names: dict[str, Any], s3: StrictS3) -> None:
    code = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[number]
    code = code.replace(
        '"depot.region_name": "eu-west-1",', f'"depot.region_name": "eu-west-1", "depot.endpoint_url": {s3.endpoint!r},'
    )
    code = code.replace("?region=eu-west-1", f"?region=eu-west-1&endpoint_url={s3.endpoint}")
    exec(compile(code, f"docs/{NAME}, block {number}", "exec", dont_inherit=True), names)


def shown(app: Any, user: Any) -> bytes:
    """What a browser sees of an avatar."""
    got = Client(app).get(user.avatar.url)
    if got.status_code == 302:
        status, body = fetch(got.headers["Location"])
        assert status == 200
        return body
    assert got.status_code == 200
    return got.data


def users(session: Session, names: dict[str, Any]) -> dict[str, Any]:
    return {user.name: user for user in session.query(names["User"])}


def site(s3: StrictS3) -> dict[str, Any]:
    """The site after the second block: alice in the directory, bob in the bucket."""
    names: dict[str, Any] = {"__name__": "shop_of_the_guide", "app": wrapped_wsgi}
    run(0, names, s3)
    engine = create_engine("sqlite://")
    names["Base"].metadata.create_all(engine)
    names["session"] = Session(engine)
    run(1, names, s3)
    return names


def close(session: Session) -> None:
    """Close the database too, of which newer Pythons warn if nobody does."""
    session.close()
    session.get_bind().dispose()  # type: ignore[union-attr]  # an engine


def test_there_and_back_and_for_good(s3: StrictS3) -> None:
    names = site(s3)
    session = names["session"]
    assert len(s3.objects(BUCKET)) == 1
    assert {name: shown(names["app"], user) for name, user in users(session, names).items()} == {
        "alice": b"alice's picture",
        "bob": b"bob's picture",
    }
    run(2, names, s3)
    assert names["report"].is_complete
    assert DepotManager.resolve_alias("local") == "s3"
    file_id = names["alice"].avatar.file_id
    assert s3.objects(BUCKET)[file_id] == b"alice's picture"
    for path in sorted(Path("avatars").rglob("*"), reverse=True):  # the old place is of no use to anybody
        path.rmdir() if path.is_dir() else path.unlink()
    assert shown(names["app"], names["alice"]) == b"alice's picture"
    assert names["alice"].avatar.file.filename == "unnamed"
    close(session)


def test_the_dump_accident(s3: StrictS3) -> None:
    names = site(s3)
    before, writes = s3.objects(BUCKET), len(s3.writes)
    assert list(before.values()) == [b"bob's picture"]
    run(3, names, s3)
    assert set(users(names["session"], names)) == {"alice"}
    assert s3.objects(BUCKET) == before
    assert len(s3.writes) == writes, "production's log shows no write"
    assert [path for path in Path("dev").rglob("file") if path.is_file()] == [], "the new file went with its row"
    close(names["session"])


def test_the_blocks_are_all_of_them() -> None:
    assert len(re.findall(r"^```python$", PAGE, re.MULTILINE)) == 4


def test_the_modules() -> None:
    section = PAGE[PAGE.index("### API reference") :]
    named = re.findall(r"`((?:io\.|fields\.)?[a-z0-9_.]+)`", section)
    assert len(named) == 14
    for name in named:
        importlib.import_module(f"mediamw.ext.depot.{name}")
