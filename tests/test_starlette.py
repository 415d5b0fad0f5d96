"""Starlette and FastAPI, as their users write it: the middleware in the list, the media mounted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from mediamw import ConfigErrors, NoURL
from mediamw.asgi import MediaApp, MediaMiddleware
from mediamw.testing import StrictS3
from mediamw.wsgi import MediaApp as WSGIMediaApp

from .http_table.callers import Response, acall_asgi

ID, SECRET = "AKREADONLY", "the-secret-of-it"


@pytest.fixture(autouse=True)
def media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("MEDIAMW_", "STORAGE"))]:
        monkeypatch.delenv(name)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.txt").write_text("local")


@pytest.fixture
def specs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with StrictS3(keys={}, read_only_keys={ID: SECRET}) as server:
        server.create_bucket("prod")
        server.put("prod", "far.jpg", b"far")
        yield ["./media", f"prod=s3://prod?endpoint_url={server.endpoint}"]
        assert server.writes == []


def index(request: Any) -> PlainTextResponse:
    return PlainTextResponse("the app")


def starlette_app(specs: list[str]) -> Any:
    return Starlette(routes=[Route("/", index)], middleware=[Middleware(MediaMiddleware, backends=specs)])


def mounted_app(specs: list[str]) -> Any:
    return Starlette(routes=[Route("/", index), Mount("/media", MediaApp(specs))])


def fastapi_app(specs: list[str]) -> Any:
    app = FastAPI(middleware=[Middleware(MediaMiddleware, backends=specs)])
    app.get("/", response_class=PlainTextResponse)(lambda: "the app")
    return app


def fastapi_later(specs: list[str]) -> Any:
    app = FastAPI()
    app.add_middleware(MediaMiddleware, backends=specs)
    app.get("/", response_class=PlainTextResponse)(lambda: "the app")
    return app


def fastapi_mounted(specs: list[str]) -> Any:
    app = FastAPI()
    app.mount("/media", MediaApp(specs))
    app.get("/", response_class=PlainTextResponse)(lambda: "the app")
    return app


@pytest.mark.parametrize(
    "make", [starlette_app, mounted_app, fastapi_app, fastapi_later, fastapi_mounted], ids=lambda make: make.__name__
)
@pytest.mark.parametrize("root_path", ["", "/shop"])
def test_local_production_and_nobody(make: Any, specs: list[str], root_path: str) -> None:
    app = make(specs)

    def ask(path: str, method: str = "GET", **headers: str) -> Response:
        return asyncio.run(acall_asgi(app, method, path, tuple(headers.items()), mount=root_path))

    assert ask("/").body == b"the app"
    assert ask("/media/a.txt").body == b"local"
    assert ask("/media/a.txt", Range="bytes=1-2").body == b"oc"
    redirect = ask("/media/far.jpg")
    assert redirect.status == 302
    assert "/prod/far.jpg?X-Amz-" in str(redirect.get("location"))
    assert ask("/media/nobody.jpg").status == 404
    assert ask("/media/a.txt", "POST").status == (405 if "mounted" in make.__name__ else 404)


class Quiet(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


@pytest.mark.parametrize("make", [starlette_app, fastapi_app, fastapi_later], ids=lambda make: make.__name__)
@pytest.mark.parametrize("outside", [False, True], ids=["", "behind-another"])
def test_a_mistake_fails_the_start(make: Any, outside: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Starlette makes its middlewares in the lifespan, where servers take an exception for an app that has none."""
    app = make(["./media", "ftp://x", "s3://acme?regoin=eu-west-1"])
    if outside:
        app.add_middleware(Quiet)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def start() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
        if outside:  # older Starlettes' BaseHTTPMiddleware leaves streams open if the app raises
            return
        with pytest.raises(ConfigErrors):  # of a server that is told to do without the lifespan
            await acall_asgi(app, "GET", "/media/a.txt", ())

    asyncio.run(start())
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    for said in (sent[0]["message"], caplog.text):
        assert "mediamw.E007 backends.ftp (keyword backends[1])" in said
        assert "did you mean region?" in said


def test_what_is_mounted_is_told_when_it_is_made() -> None:
    """On a loop too, as under uvicorn, which imports the app on one: no lifespan reaches what is mounted."""

    async def make() -> None:
        with pytest.raises(ConfigErrors):
            MediaApp(["ftp://x"])

    asyncio.run(make())


def test_uvicorn_does_not_start_with_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from fastapi import FastAPI\nfrom mediamw.asgi import MediaMiddleware\n"
        "app = FastAPI()\napp.add_middleware(MediaMiddleware, backends=['./media'], prefix='media')\n"
    )
    command = [sys.executable, "-m", "uvicorn", "shop:app", "--port", "0"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 3
    assert "mediamw.E006 prefix (keyword prefix): 'media' must start and end with '/'" in ran.stderr
    assert "Application startup failed" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_sub_application_of_its_own(specs: list[str]) -> None:
    app, inner = FastAPI(), fastapi_later(specs)
    app.mount("/inner", inner)
    app.add_middleware(Quiet)
    for path, body in (("/inner/media/a.txt", b"local"), ("/inner/", b"the app")):
        assert asyncio.run(acall_asgi(app, "GET", path, ())).body == body
    assert asyncio.run(acall_asgi(app, "GET", "/media/a.txt", ())).status == 404


def test_mounted_under_wsgi() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"the app"]

    client = Client(DispatcherMiddleware(app, {"/media": WSGIMediaApp(["./media"])}))
    assert client.get("/").text == "the app"
    assert client.get("/media/a.txt").text == "local"
    assert client.get("/media/nobody.jpg").status_code == 404


@pytest.mark.parametrize("kind", [MediaApp, WSGIMediaApp], ids=["asgi", "wsgi"])
def test_where_it_is_mounted_is_not_known(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMW_BACKENDS", "./media")
    for app in (kind(["./media"]), kind()):
        with pytest.raises(NoURL):
            app.service.stack.url("a.txt")
    monkeypatch.setenv("MEDIAMW_BASE_URL", "/m/")
    assert kind().service.stack.url("a.txt") == "/m/a.txt"
