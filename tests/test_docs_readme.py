"""README's Python runs, block after block. ``test_quickstarts.py`` types it into fresh projects."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from werkzeug.test import Client

from mediamw.asgi import MediaMiddleware

from .fresh.readme import BLOCK, blocks, from_outside, quickstart, spelled_out
from .http_table.callers import acall_asgi
from .http_table.sites import wrapped_asgi, wrapped_wsgi

TITLES = ("Any WSGI app", "Any ASGI app", "Flask", "Django", "Starlette, FastAPI")
ROOT = Path(__file__).parents[1]

DJANGO = """
import sys
from pathlib import Path

import django
from django.conf import settings

BASE_DIR = Path.cwd()
DEBUG, SECRET_KEY, ROOT_URLCONF = True, "for this test", "urls"
INSTALLED_APPS, MIDDLEWARE = [], ["django.middleware.security.SecurityMiddleware"]
{quickstart}
settings.configure(**{{name: value for name, value in globals().items() if name.isupper()}})
django.setup()
sys.modules["urls"] = type("urls", (), {{"urlpatterns": []}})

from django.core.management import call_command
from django.test import Client
from mediamw.ext.django import media_stack

call_command("check", fail_level="WARNING")
assert Client().get("/media/a.txt").content == b"hello"
assert b"The install worked" in Client().get("/").content
print(*[backend.name for backend in media_stack().backends])
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with media, and the AWS profile that the blocks name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.txt").write_text("hello")
    config = tmp_path / "aws"
    config.write_text("[profile acme-ro]\nregion = eu-west-1\naws_access_key_id = AK\naws_secret_access_key = SK\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return tmp_path


def typed(block: str, app: Any) -> Any:
    names: dict[str, Any] = {"app": app}
    exec(compile(block, "README.md", "exec"), names)
    return names["app"]


def leads_to_production(stack: Any) -> None:
    production = stack.backends[1]
    production.prepare()
    url = production.sign("homes/1.jpg", "GET", 1_800_000_000.0).url
    assert url.startswith("https://acme-prod-media.s3.eu-west-1.amazonaws.com/uploads/homes/1.jpg?X-Amz-")
    assert [backend.name for backend in stack.backends] == ["local", "prod"]


def test_every_block_is_run_here_or_in_test_docs() -> None:
    assert blocks("python") == [*map(quickstart, TITLES), spelled_out()]
    languages = {match[1] for match in BLOCK.finditer((ROOT / "README.md").read_text("utf-8"))}
    assert languages == {"python", "console"}
    assert from_outside()[1][:2] == ["mediamw", "serve"]


@pytest.mark.parametrize("block", [quickstart("Any WSGI app"), spelled_out()], ids=["short", "spelled out"])
def test_wsgi(block: str) -> None:
    app = typed(block, wrapped_wsgi)
    assert Client(app).get("/media/a.txt").data == b"hello"
    assert Client(app).get("/").headers["X-App"] == "yes"
    leads_to_production(app.service.stack)


def test_asgi() -> None:
    app = typed(quickstart("Any ASGI app"), wrapped_asgi)
    assert asyncio.run(acall_asgi(app, "GET", "/media/a.txt")).body == b"hello"
    assert dict(asyncio.run(acall_asgi(app, "GET", "/")).headers)["x-app"] == "yes"
    leads_to_production(app.service.stack)


def test_flask() -> None:
    app = typed(quickstart("Flask"), flask.Flask("shop"))
    assert app.test_client().get("/media/a.txt").data == b"hello"
    leads_to_production(app.extensions["mediamw"])


@pytest.mark.parametrize("made", [Starlette, FastAPI])
def test_starlette(made: Any) -> None:
    app = typed(quickstart("Starlette, FastAPI"), made())
    assert asyncio.run(acall_asgi(app, "GET", "/media/a.txt")).body == b"hello"
    (added,) = [middleware for middleware in app.user_middleware if middleware.cls is MediaMiddleware]
    leads_to_production(added.cls(app, **added.kwargs).service.stack)


def test_django(project: Path) -> None:
    """In a process of its own: Django has one configuration for each."""
    (project / "run.py").write_text(DJANGO.format(quickstart=quickstart("Django")))
    ran = subprocess.run([sys.executable, "run.py"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (0, ["local prod"]), ran.stdout + ran.stderr
