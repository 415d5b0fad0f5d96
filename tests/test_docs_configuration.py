"""docs/configuration.md is true: its blocks run, its tables are the code's."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from mediamw.config import PolicyOptions
from mediamw.settings import read_settings
from mediamw.settings.faults import IDS
from mediamw.settings.options import OPTIONS
from mediamw.settings.sources import FILE_NAME, STORAGE_SETTINGS
from mediamw.settings.storages import OPTIONS_OF_STORAGE
from mediamw.settings.template import DO_REGION, LOCAL_DIR, template_items
from mediamw.specs import SECRETS

PAGE = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def their_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app"]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.txt").write_text("hello")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "media.py").write_text("def may_see(request, key):\n    return True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("shop", "shop.media"):
        sys.modules.pop(name, None)


def environment(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in map("".join, map(shlex.split, block.splitlines())))


@pytest.mark.parametrize(("number", "name"), [(0, "prod"), (1, "do")])
def test_environments(number: int, name: str) -> None:
    settings = read_settings(environ=environment(blocks("sh")[number]))
    assert settings.faults == ()
    local, bucket = settings.stack().backends
    assert (local.name, bucket.name) == ("local", name)
    assert bucket.can_sign(0)  # type: ignore[attr-defined]
    assert len(blocks("sh")) == 2


@pytest.mark.parametrize(("number", "prefix"), [(0, "/files/"), (1, "/media/")])
def test_files(number: int, prefix: str) -> None:
    Path(FILE_NAME).write_text(blocks("toml")[number])
    settings = read_settings(environ={})
    assert settings.faults == ()
    assert [backend.name for backend in settings.stack().backends] == ["local", "prod"]
    assert settings.value("prefix") == prefix
    assert len(blocks("toml")) == 2


def test_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMW_BACKENDS", "./media")
    namespace: dict[str, Any] = {}
    codes = blocks("python")
    assert len(codes) == 3
    for code in codes[:2]:
        namespace["app"] = their_app
        exec(compile(code, "docs/configuration.md", "exec"), namespace)
        assert Client(namespace["app"]).get("/media/a.txt").data == b"hello"
        assert Client(namespace["app"]).get("/").data == b"the app"
    exec(compile(codes[2], "docs/configuration.md", "exec"), namespace)
    assert (namespace["prod"].name, namespace["prod"].location, namespace["prod"]._life) == ("prod", "media", 7200)


def test_every_variable_is_there() -> None:
    named = set(re.findall(r"`(MEDIAMW_[A-Z_]+)`", PAGE)) - {"MEDIAMW_"}
    assert {f"MEDIAMW_{option.upper()}" for option in OPTIONS} <= named
    others = {"MEDIAMW_STORAGES", *STORAGE_SETTINGS}
    assert named - others == {f"MEDIAMW_{name.upper()}" for name in ("backends", "config", "local_dir", *OPTIONS)}
    assert others <= named
    of_storages = set(re.findall(r"`MEDIAMW_STORAGE_<NAME>_([A-Z_]+)`", PAGE))
    assert of_storages == {option.upper() for option in OPTIONS_OF_STORAGE}
    secrets = set(re.findall(r"`MEDIAMW_BACKEND_<NAME>_([A-Z_]+)`", PAGE))
    assert secrets == {option.upper() for options in SECRETS.values() for option in options}
    assert set(PolicyOptions.__annotations__) <= set(OPTIONS)


def test_the_ids_are_the_code_s() -> None:
    assert dict(re.findall(r"^\| `(mediamw\.E\d+)` \| (.*) \|$", PAGE, re.MULTILINE)) == IDS


def test_the_lines_of_faults() -> None:
    lines = [line.strip() for line in PAGE.splitlines() if line.startswith("    mediamw.E")]
    environ = {"MEDIAMW_BACKENDS": "./media", "MEDIAMW_PREFIX": "/media", "MEDIAMW_DEBGU": "1"}
    assert sorted(lines) == sorted(map(str, read_settings(environ=environ).faults))


def test_the_template_s_table() -> None:
    table = PAGE[PAGE.index("## The project template") : PAGE.index("## In code")]
    assert f"| `{DO_REGION}` |" in table
    assert f"| `{LOCAL_DIR}` |" in table
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table)) - {"MEDIAMW_LOCAL_DIR"}
    source = Path(template_items.__code__.co_filename).read_text()
    assert {name for name in named if f'"{name}"' not in source} == set()
