"""README and docs are true: blocks run, commands parse, links lead somewhere, bounds and options are the code's."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from mediamw.cli import build_parser
from mediamw.settings import read_settings
from mediamw.wsgi import MediaMiddleware

from .http_table.sites import wrapped_wsgi

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*/*.md")]),
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^    (?:\$ )?(mediamw .*)$", re.MULTILINE)
RUN_BY = {
    ("README.md", "python"): "test_docs_readme.py",
    ("README.md", "console"): "test_docs.py",
    ("backends.md", "python"): "test_docs_backends.py",
    ("configuration.md", "python"): "test_docs_configuration.py",
    ("configuration.md", "sh"): "test_docs_configuration.py",
    ("configuration.md", "toml"): "test_docs_configuration.py",
    ("depot.md", "python"): "test_docs_depot.py",
    ("design.md", "text"): "test_docs.py",
    ("django.md", "python"): "test_docs_django.py",
    ("fallback_storage.md", "python"): "test_docs_fallback_storage.py",
    ("from_depot.md", "console"): "test_docs.py",
    ("from_depot.md", "python"): "test_docs_from_depot.py",
    ("frameworks.md", "python"): "test_docs_frameworks.py",
    ("http_origin.md", "python"): "test_http_origin.py",
    ("overlay.md", "python"): "test_docs_overlay.py",
    ("migrate.md", "console"): "test_docs.py",
    ("migrate.md", "python"): "test_docs_migrate.py",
    ("pull.md", "python"): "test_docs_pull.py",
    ("s3.md", "python"): "s3/test_s3_docs.py",
    ("s3.md", "spec"): "s3/test_s3_docs.py",
    ("semantics.md", "python"): "test_docs.py",
    ("sqlalchemy.md", "python"): "test_docs_sqlalchemy.py",
    ("storages.md", "python"): "test_docs_storages.py",
    ("storages.md", "sh"): "test_docs_storages.py",
    ("testing.md", "python"): "test_docs_testing.py",
}
"""Page and language -> the test that runs the blocks, all of them."""


def blocks(language: str) -> list[Any]:
    return [
        pytest.param(match[2], id=f"{page.relative_to(ROOT)}:{text[: match.start()].count(chr(10)) + 1}")
        for page, text in ((page, page.read_text("utf-8")) for page in PAGES)
        for match in BLOCK.finditer(text)
        if match[1] == language
    ]


def test_every_block_is_run_somewhere() -> None:
    there = {(page.name, match[1]) for page in PAGES for match in BLOCK.finditer(page.read_text("utf-8"))}
    assert there == set(RUN_BY)
    for (page, _), test in RUN_BY.items():
        assert f'"{page}"' in (ROOT / "tests" / test).read_text("utf-8"), f"{test}: {page}"


def test_semantics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.txt").write_text("hello")
    (code,) = [match[2] for match in BLOCK.finditer((ROOT / "docs" / "semantics.md").read_text("utf-8"))]
    names: dict[str, Any] = {"app": wrapped_wsgi, "MediaMiddleware": MediaMiddleware}
    exec(compile(code, "docs/semantics.md", "exec"), names)
    assert Client(names["app"]).get("/media/a.txt").data == b"hello"
    assert Client(names["app"]).get("/").headers["X-App"] == "yes"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_amid_the_text(page: Path) -> None:
    for command in COMMAND.findall(BLOCK.sub("", page.read_text("utf-8"))):
        build_parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("text", blocks("console"))
def test_commands(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in text.splitlines():
        words = shlex.split(line.removeprefix("$ "))
        if words[0] == "export":
            monkeypatch.setenv(*words[1].split("=", 1))
            assert read_settings(environ=os.environ).faults == (), line
            continue
        assert words[0] == "mediamw", line
        build_parser().parse_args(words[1:])


def test_the_two_commands_of_a_fresh_machine() -> None:
    """.ci/run takes them from here, word for word."""
    readme = BLOCK.sub("", (ROOT / "README.md").read_text("utf-8")).splitlines()
    setup = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[demo,test]' && .venv/bin/mediamw demo"
    assert [line.strip() for line in readme if line.startswith("    ")] == [setup, ".venv/bin/python -m pytest -q"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_files(page: Path) -> None:
    text = page.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    named = set(re.findall(r"`((?:tests|benchmarks|docs|tools|mediamw)/[\w/.]+)`", text))
    missing += [name for name in named if not (ROOT / name).exists()]
    assert missing == []


def test_the_house_in_the_design_is_the_house() -> None:
    design = (ROOT / "docs" / "design.md").read_text("utf-8")
    house = re.search(r"```text\nmediamw/\n(.*?)```", design, re.DOTALL)
    assert house is not None
    named = set(re.findall(r"\b(\w+\.py)\b", house[1]))
    there = {path.name for path in (ROOT / "mediamw").rglob("*.py") if not {"cli", "testing"} & set(path.parts)}
    assert there - named - {"__main__.py", "__init__.py"} == set(), "modules that the design does not name"
    assert named - there == set(), "modules that the design names and nobody has"


def test_the_bounds_in_the_design_are_the_code_s() -> None:
    from mediamw import reply
    from mediamw.backends import base, origin_http, s3, s3_draft, s3_writer
    from mediamw.backends.local_put import SWEEP_SECONDS
    from mediamw.backends.rules import PULL_TTL_SECONDS
    from mediamw.core import conditions, keys, ranges
    from mediamw.settings import sources
    from mediamw.stack import (
        asking,
        download,
        lookups,
        origin_health,
        origins,
        pull_files,
        pulled,
        pulling,
        reader,
        stack,
    )

    assert (keys.MAX_KEY_BYTES, keys.MAX_SEGMENT_BYTES) == (1024, 255)
    assert (ranges.MAX_HEADER_BYTES, ranges.MAX_RANGES, conditions.MAX_HEADER_BYTES) == (8192, 16, 8192)
    assert (base.INLINE_BYTES, base.CHUNK_BYTES) == (64 << 10, 1 << 20)
    assert (reply.PIECE_BYTES, base.READ_BYTES) == (96 << 10, 256 << 10)
    assert (lookups.MAX_ANSWERS, lookups.MAX_BYTES) == (50_000, 16 << 20)
    assert (origins.NETWORK_THREADS, asking.DISK_THREADS, stack.DEADLINE_SECONDS) == (16, 8, 8)
    assert (stack.FOUND_TTL_SECONDS, stack.MISSING_TTL_SECONDS, stack.STALE_IF_ERROR_SECONDS) == (300, 30, 900)
    assert (origin_health.FAILURES, origin_health.OPEN_SECONDS, origin_health.MISSES_A_MINUTE) == (3, 10, 600)
    assert (lookups.MAX_FLIGHTS, sources.MAX_FILE_BYTES) == (1024, 1 << 20)
    assert (origin_http.CONNECT_SECONDS, origin_http.READ_SECONDS) == (2, 5)
    assert (s3.URL_LIFE_SECONDS, s3.URL_WINDOW_SECONDS, s3.LEAST_REST_SECONDS) == (3600, 900, 300)
    assert reader.BUFFER_BYTES == 64 << 10
    assert (s3_draft.MEMORY_BYTES, s3_writer.MAX_SINGLE_BYTES, s3_writer.PART_BYTES) == (4 << 20, 64 << 20, 16 << 20)
    assert (s3_writer.ATTEMPTS, s3_writer.READ_SECONDS, s3_writer.MAX_PUT_BYTES) == (4, 60, 5 << 30)
    assert s3_writer.CONNECTIONS == 32
    assert (pulled.PULL_BUDGET_BYTES, pulling.PULL_THREADS, PULL_TTL_SECONDS) == (2 << 30, 16, 3600)
    assert (download.PATIENCE_SECONDS, download.RETRY_SECONDS, download.POLL_SECONDS) == (30, 0.5, 0.02)
    assert (pulled.USED_SECONDS, pull_files.LOCK_SECONDS, SWEEP_SECONDS) == (60, 10, 3600)


def test_options_in_the_semantics_are_the_code_s() -> None:
    from mediamw import asgi, wsgi
    from mediamw.config import Options
    from mediamw.stack import stack

    options = set(Options.__annotations__)
    for middleware in (asgi.MediaMiddleware, wsgi.MediaMiddleware):
        assert {name for name in options if f"``{name}``" in str(middleware.__doc__)} == options
    text = (ROOT / "docs" / "semantics.md").read_text("utf-8")
    table = text[text.index("## Options of the middlewares") : text.index("## Options of the stack")]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == options
    table = text[text.index("## Options of the stack") : text.index("## Backends by spec")]
    names = [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert names == list(stack.StackOptions.__annotations__)
