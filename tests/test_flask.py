"""The extension for Flask, as its users write it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session

from mediamw import ConfigError, MediaStack, MemoryBackend
from mediamw.core.keys import Key
from mediamw.ext.flask import MediaMW
from mediamw.testing import StrictS3

ID, SECRET = "AKREADONLY", "the-secret-of-it"


@pytest.fixture(autouse=True)
def media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("MEDIAMW_", "STORAGE"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a.txt").write_text("local")
    return folder


@pytest.fixture
def s3() -> Iterator[StrictS3]:
    with StrictS3(keys={}, read_only_keys={ID: SECRET}) as server:
        server.create_bucket("prod")
        server.put("prod", "far.jpg", b"far")
        yield server


def new_app(name: str = "shop", **config: Any) -> Flask:
    app = Flask(name)
    app.config.update(SECRET_KEY="x", **config)

    @app.get("/")
    def index() -> str:
        return "the app"

    @app.get("/media/<path:name>")
    def media_route(name: str) -> tuple[str, int]:
        return f"the app has no {name}", 404

    return app


def test_local_production_and_nobody(s3: StrictS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    app = new_app()
    MediaMW(app, ["./media", f"prod=s3://prod?endpoint_url={s3.endpoint}"])
    client = app.test_client()
    assert client.get("/").text == "the app"
    assert client.get("/media/a.txt").text == "local"
    assert client.get("/media/a.txt", headers={"Range": "bytes=1-2"}).text == "oc"
    redirect = client.get("/media/far.jpg")
    assert (redirect.status_code, redirect.location.partition("?")[0]) == (302, f"{s3.endpoint}/prod/far.jpg")
    assert client.get("/media/nobody.jpg").text == "the app has no nobody.jpg"
    assert s3.writes == []


@pytest.mark.parametrize("how", ["config", "environment", "file", "arguments win"])
def test_where_settings_come_from(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = new_app()
    if how == "config":
        app.config.update(MEDIAMW_BACKENDS=["./media"], MEDIAMW_PREFIX="/files/")
        MediaMW(app)
    elif how == "environment":
        monkeypatch.setenv("MEDIAMW_BACKENDS", "./media")
        monkeypatch.setenv("MEDIAMW_PREFIX", "/files/")
        MediaMW(app)
    elif how == "file":
        (tmp_path / "mediamw.toml").write_text('prefix = "/files/"\nbackends = ["./media"]\n')
        MediaMW(app)
    else:
        monkeypatch.setenv("MEDIAMW_PREFIX", "/wrong/")
        app.config.update(MEDIAMW_PREFIX="/wrong-too/", MEDIAMW_BACKENDS=["memory:"])
        MediaMW(app, ["./media"], prefix="/files/")
    assert app.test_client().get("/files/a.txt").text == "local"


def test_all_faults_at_once_and_where_they_stand() -> None:
    app = new_app(MEDIAMW_PREFIX="media", MEDIAMW_ON_MIS="404", MEDIAMW_BACKENDS=["ftp://x"])
    with pytest.raises(ConfigError) as caught:
        MediaMW(app, max_age=-1)
    said = str(caught.value)
    for part in (
        "app.config['MEDIAMW_PREFIX']",
        "app.config['MEDIAMW_ON_MIS']",
        "did you mean on_miss?",
        "app.config['MEDIAMW_BACKENDS']",
        "MediaMW(..., max_age=...)",
    ):
        assert part in said
    assert app.test_client().get("/").text == "the app"


def test_several_apps_and_the_stack_of_each() -> None:
    media = MediaMW(prefix="/m/")
    apps = [new_app(name) for name in ("one", "two")]
    for number, app in enumerate(apps):
        local = MemoryBackend(name="local")
        local.put(Key("who.txt"), str(number).encode())
        media.init_app(app, MediaStack([local]))
    for number, app in enumerate(apps):
        assert app.test_client().get("/m/who.txt").text == str(number)
        with app.app_context():
            assert media.stack is app.extensions["mediamw"]
            assert media.stack.open("who.txt").read() == str(number).encode()


def test_authorize_knows_the_session() -> None:
    app = new_app()

    @app.get("/login")
    def login() -> str:
        session["user"] = "ann"
        return "hello"

    def may_see(request: Any, key: str) -> Any:
        assert (request.path, request.args["size"], key) == ("/media/a.txt", "2", "a.txt")
        return True if session.get("user") == "ann" else 403

    MediaMW(app, ["./media"], authorize=may_see)
    client = app.test_client()
    assert client.get("/media/a.txt?size=2").status_code == 403
    client.get("/login")
    assert client.get("/media/a.txt?size=2").text == "local"


def test_authorize_cannot_be_awaited() -> None:
    async def may_see(request: Any, key: str) -> bool:
        return True

    with pytest.raises(ConfigError, match="authorize: WSGI cannot await it"):
        MediaMW(new_app(), ["./media"], authorize=may_see)


def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMW_ENABLED", "0")
    app = new_app()
    media = MediaMW(app, ["./media"])
    assert app.test_client().get("/media/a.txt").text == "the app has no a.txt"
    with app.app_context(), pytest.raises(ConfigError, match="'shop' has no stack: enabled is false"):
        _ = media.stack


def test_mistakes_in_time() -> None:
    app = new_app()
    media = MediaMW()
    with app.app_context(), pytest.raises(ConfigError, match="init_app was not called"):
        _ = media.stack
    media.init_app(app, ["./media"])
    with pytest.raises(ConfigError, match="the app 'shop' has it already"):
        MediaMW(app, ["./media"])
