"""The extension for Flask, as its users write it."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, abort, render_template_string, request, session
from werkzeug.datastructures import FileStorage

from mediamw import ConfigError, InvalidKey, LocalBackend, MediaStack, MemoryBackend
from mediamw.core.keys import Key
from mediamw.ext.flask import MediaMW
from mediamw.testing import StrictS3

from .descriptors import descriptors

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


# -- saving, linking, sending ------------------------------------------------------------------------------------------


def gallery(**options: Any) -> tuple[Flask, MediaMW]:
    app = new_app()
    media = MediaMW(app, [LocalBackend("media"), MemoryBackend({"far.jpg": b"0123456789"}, name="prod")], **options)

    @app.post("/upload")
    def upload() -> str:
        sent = request.files["file"]
        try:
            return media.save(sent, request.form.get("key"), folder=request.form.get("folder", ""))
        except InvalidKey as error:
            abort(400, error.reason)

    @app.get("/secret/<path:key>")
    def secret(key: str) -> Any:
        return media.send(key)

    @app.get("/link/<path:key>")
    def link(key: str) -> str:
        return render_template_string("{{ url_for_media(key) }}", key=key)

    return app, media


@pytest.mark.parametrize(
    ("form", "name", "key"),
    [
        ({}, "a b.jpg", "a_b.jpg"),
        ({}, "../../etc/passwd", "etc_passwd"),
        ({}, "кухня.jpg", "file.jpg"),
        ({}, "照片/日本語.tar.gz", "file.tar.gz"),
        ({}, "日本語", "file"),
        ({}, "照片/a.jpg", "a.jpg"),
        ({}, ".htaccess", "htaccess"),
        ({"folder": "/uploads/"}, "a.jpg", "uploads/a.jpg"),
        ({"key": "homes/ü.jpg"}, "a.jpg", "homes/ü.jpg"),
    ],
)
def test_a_form_s_file_is_saved(form: dict[str, str], name: str, key: str) -> None:
    app, media = gallery()
    client = app.test_client()
    sent = client.post("/upload", data={**form, "file": (io.BytesIO(b"new"), name)})
    assert sent.text == key
    assert client.get(client.get(f"/link/{key}").text).data == b"new"
    with app.app_context():
        assert media.stack.open(key).read() == b"new"


def test_a_name_that_production_has_and_a_name_that_is_none() -> None:
    client = gallery()[0].test_client()
    assert re.fullmatch(r"far_\w{7}\.jpg", client.post("/upload", data={"file": (io.BytesIO(b"x"), "far.jpg")}).text)
    refused = client.post("/upload", data={"file": (io.BytesIO(b"x"), "...")})
    assert (refused.status_code, "nothing is left" in refused.text) == (400, True)


def test_an_upload_that_the_view_has_read_is_stored_whole() -> None:
    app, media = gallery()

    @app.post("/checked")
    def checked() -> str:
        upload = request.files["file"]
        upload.read(4)
        return media.save(upload)

    class Pipe(io.RawIOBase):
        """A stream of the app's own, which cannot seek."""

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return 0

    with app.test_client() as client:
        key = client.post("/checked", data={"file": (io.BytesIO(b"0123456789"), "a.jpg")}).text
        assert client.get(f"/media/{key}").data == b"0123456789"
    with app.app_context():
        assert media.save(FileStorage(io.BufferedReader(Pipe()), "pipe.jpg")) == "pipe.jpg"


def test_the_content_type_of_a_form_is_kept() -> None:
    client = gallery()[0].test_client()
    client.post("/upload", data={"file": (io.BytesIO(b"x"), "photo", "image/webp")})
    assert client.get("/media/photo").mimetype == "image/webp"


def test_links_know_the_prefix_and_where_the_app_is_mounted() -> None:
    app, media = gallery(prefix="/m/")
    assert app.test_client().get("/link/a b/ü~.jpg").text == "/m/a%20b/%C3%BC~.jpg"
    assert app.test_client().get("/link/a.jpg", environ_overrides={"SCRIPT_NAME": "/site"}).text == "/site/m/a.jpg"
    with app.app_context():  # no request: a mail, a task
        assert media.url_for("a.jpg") == "/m/a.jpg"


def test_sending_from_a_view() -> None:
    app, _ = gallery(authorize=lambda *_: 403)
    client = app.test_client()
    assert client.get("/media/far.jpg").status_code == 403
    whole = client.get("/secret/far.jpg")
    assert (whole.status_code, whole.data, whole.mimetype) == (200, b"0123456789", "image/jpeg")
    part = client.get("/secret/far.jpg", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.data) == (206, b"234")
    same = client.get("/secret/far.jpg", headers={"If-None-Match": whole.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    head = client.head("/secret/far.jpg")
    assert (head.data, head.headers["Content-Length"]) == (b"", "10")
    assert client.get("/secret/nobody.jpg").status_code == client.get("/secret/.git/config").status_code == 404


def test_a_large_file_is_sent_in_pieces_and_closed(media: Path) -> None:
    (media / "large.bin").write_bytes(os.urandom(3_000_000))
    client = gallery()[0].test_client()
    client.get("/secret/a.txt")  # from now on the directory is held
    before = descriptors()
    with client.get("/secret/large.bin") as sent:
        assert sent.data == (media / "large.bin").read_bytes()
    with client.get("/secret/large.bin", buffered=False):
        pass  # the client leaves
    assert descriptors() == before
