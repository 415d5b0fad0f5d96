"""README and docs are true: Python runs, commands parse, links lead somewhere, bounds and options are the code's."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from mediamw.cli import build_parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[Any]:
    return [
        pytest.param(match[2], id=f"{page.name}:{page.read_text('utf-8')[: match.start()].count(chr(10)) + 1}")
        for page in PAGES
        for match in BLOCK.finditer(page.read_text("utf-8"))
        if match[1] == language
    ]


def their_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app"]


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks run where a project would run them: with an app, media, and the AWS profile they name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.txt").write_text("hello")
    config = tmp_path / "aws"
    config.write_text("[profile acme-ro]\nregion = eu-west-1\naws_access_key_id = AK\naws_secret_access_key = SK\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    namespace: dict[str, Any] = {}
    codes = [match[2] for match in BLOCK.finditer((ROOT / "README.md").read_text("utf-8")) if match[1] == "python"]
    assert len(codes) == 3, "the last is Django's: tests/test_docs_django.py"
    for code in codes[:2]:
        namespace["app"] = their_app
        exec(compile(code, "block", "exec"), namespace)
        client = Client(namespace["app"])
        assert client.get("/media/a.txt").data == b"hello"
        assert client.get("/").data == b"the app"
        production = namespace["app"].service.stack.backends[1]
        production.prepare()
        url = production.sign("homes/1.jpg", "GET", 1_800_000_000.0).url
        assert url.startswith("https://acme-prod-media.s3.eu-west-1.amazonaws.com/uploads/homes/1.jpg?X-Amz-")
        assert production.name == "prod"


@pytest.mark.parametrize("text", blocks("console"))
def test_commands(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for line in text.splitlines():
        words = shlex.split(line.removeprefix("$ "))
        assert words[0] == "mediamw", line
        build_parser().parse_args(words[1:])


def test_the_two_commands_of_a_fresh_machine() -> None:
    """.ci/run takes them from here, word for word."""
    readme = BLOCK.sub("", (ROOT / "README.md").read_text("utf-8")).splitlines()
    setup = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[demo,test]' && .venv/bin/mediamw demo"
    assert [line.strip() for line in readme if line.startswith("    ")] == [setup, ".venv/bin/python -m pytest -q"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
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
    from mediamw.backends import base, origin_http, s3
    from mediamw.core import conditions, keys, ranges
    from mediamw.settings import sources
    from mediamw.stack import asking, lookups, origin_health, reader, stack

    assert (keys.MAX_KEY_BYTES, keys.MAX_SEGMENT_BYTES) == (1024, 255)
    assert (ranges.MAX_HEADER_BYTES, ranges.MAX_RANGES, conditions.MAX_HEADER_BYTES) == (8192, 16, 8192)
    assert (reply.INLINE_BYTES, base.CHUNK_BYTES) == (64 << 10, 1 << 20)
    assert (lookups.MAX_ANSWERS, lookups.MAX_BYTES) == (50_000, 16 << 20)
    assert (asking.NETWORK_THREADS, asking.DISK_THREADS, stack.DEADLINE_SECONDS) == (16, 8, 8)
    assert (stack.FOUND_TTL_SECONDS, stack.MISSING_TTL_SECONDS, stack.STALE_IF_ERROR_SECONDS) == (300, 30, 900)
    assert (origin_health.FAILURES, origin_health.OPEN_SECONDS, origin_health.MISSES_A_MINUTE) == (3, 10, 600)
    assert (lookups.MAX_FLIGHTS, sources.MAX_FILE_BYTES) == (1024, 1 << 20)
    assert (origin_http.CONNECT_SECONDS, origin_http.READ_SECONDS) == (2, 5)
    assert (s3.URL_LIFE_SECONDS, s3.URL_WINDOW_SECONDS, s3.LEAST_REST_SECONDS) == (3600, 900, 300)
    assert reader.BUFFER_BYTES == 64 << 10


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


def _lines_of_the_readme_s_table() -> dict[str, str]:
    table = re.findall(r"^\| ([^|]+) \| [^|]+ \| `([^`]+)` \|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    return {project.strip(): line.replace("[...]", "['./media']") for project, line in table}


@pytest.mark.parametrize("project", ["Flask", "Starlette, FastAPI", "media alone, mounted"])  # and Django
def test_where_the_line_goes(project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import flask
    from starlette.applications import Starlette
    from starlette.routing import Mount

    import mediamw.ext.flask
    from mediamw import asgi, wsgi

    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.txt").write_text("hello")
    line = _lines_of_the_readme_s_table()[project]
    is_wsgi = project == "Flask"
    names: dict[str, Any] = {
        "MediaMiddleware": (wsgi if is_wsgi else asgi).MediaMiddleware,
        "app": flask.Flask("shop") if project == "Flask" else Starlette(),
        "Mount": Mount,
        "MediaApp": asgi.MediaApp,
        "mediamw": mediamw,
    }
    if project == "media alone, mounted":
        names["app"] = Starlette(routes=[eval(line, names)])
    else:
        exec(line, names)
    app = names["app"]
    if is_wsgi:
        assert Client(app).get("/media/a.txt").data == b"hello"
    else:
        assert asyncio.run(_asgi_get(app, "/media/a.txt")) == b"hello"


async def _asgi_get(app: Any, path: str) -> bytes:
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send)
    return b"".join(message.get("body", b"") for message in sent)
