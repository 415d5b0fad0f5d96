"""The page about frameworks: its code is run, block after block."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from mediamw.ext.flask import _safe_name

from .http_table.callers import acall_asgi

PAGE = Path(__file__).parents[1] / "docs" / "frameworks.md"


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media" / "invoices").mkdir(parents=True)
    (tmp_path / "media" / "a.txt").write_text("local")
    (tmp_path / "media" / "invoices" / "1.txt").write_text("secret")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "shop"}
    apps = []
    assert sum("50_000_000" in block for block in blocks) == 1
    for block in blocks:
        exec(compile(block.replace("50_000_000", "1_000"), PAGE.name, "exec"), names)
        apps.append(names.get("app"))
    flask_app, _, _, uploads_app, _, starlette_app, _, fastapi_app, upload_api = apps
    assert flask_app.test_client().get("/media/a.txt").text == "local"
    assert names["create_app"]().test_client().get("/files/a.txt").text == "local"
    private = names["private"].test_client()
    assert [private.get(f"/media/{name}").status_code for name in ("a.txt", "invoices/1.txt")] == [200, 403]
    assert uploads_app is flask_app
    client = flask_app.test_client()
    key = client.post("/pictures", data={"picture": (io.BytesIO(b"new"), "../a b.jpg")}).text
    assert re.fullmatch(r"uploads/a_b_\w{7}\.jpg", key)  # production cannot be asked here
    assert client.get(f"/media/{key}").data == client.get(f"/pictures/{key}").data == b"new"
    nothing_chosen = client.post("/pictures", data={"picture": (io.BytesIO(b""), "")})
    assert (nothing_chosen.status_code, "no file was chosen" in nothing_chosen.text) == (400, True)
    for name, stored in {
        "照片": "file_X",
        "кухня.jpg": "file_X.jpg",
        "C:\\\\кухня.tar.gz": "file.tar_X.gz",
        ".env": "env_X",
        "a.кухня": "a_X",
        "кухня/a.jpg": "a_X.jpg",
    }.items():
        assert re.sub(r"_\w{7}(?=\.|$)", "_X", posted(upload_api, name, b"newer")) == f"/media/uploads/{stored}", name
        assert names["safe_name"](name) == _safe_name(name)
    assert answered(upload_api, "x" * 300 + ".jpg", b"x") == (
        400,
        b"not a usable name: a segment has more than 255 bytes\n",
    )
    assert answered(upload_api, "a.jpg", b"x" * 1001) == (413, b"the file has more than 1000 bytes\n")
    assert answered(upload_api, "", b"x") == (400, b"not a usable name: it ends with '/'\n")
    assert answered(upload_api, "", b"")[0] in (400, 422)  # no file was chosen, which newer FastAPI says itself
    url = posted(upload_api, "../c d.jpg", b"newer")
    assert re.fullmatch(r"/media/uploads/c_d_\w{7}\.jpg", url)
    assert asyncio.run(acall_asgi(upload_api, "GET", url)).body == b"newer"
    assert starlette_app is not fastapi_app
    for app in (starlette_app, fastapi_app):
        assert asyncio.run(acall_asgi(app, "GET", "/media/a.txt")).body == b"local"


def posted(app: Any, name: str, data: bytes) -> str:
    """Post a form with one file; return the URL that is answered."""
    status, body = answered(app, name, data)
    assert status == 200
    return str(json.loads(body)["url"])


def answered(app: Any, name: str, data: bytes) -> tuple[int, bytes]:
    """Post a form with one file; return status and body of the answer."""
    body = (
        f'--x\r\nContent-Disposition: form-data; name="picture"; filename="{name}"\r\n\r\n'.encode()
        + data
        + b"\r\n--x--\r\n"
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", str(len(body)).encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/pictures",
        "raw_path": b"/pictures",
        "query_string": b"",
        "headers": headers,
        "root_path": "",
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]
