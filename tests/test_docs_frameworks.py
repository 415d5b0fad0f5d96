"""The page about frameworks: its code is run, block after block."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

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
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
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
    assert re.fullmatch(r"/media/uploads/file_\w{7}", posted(upload_api, "照片", b"newer"))
    url = posted(upload_api, "../c d.jpg", b"newer")
    assert re.fullmatch(r"/media/uploads/c_d_\w{7}\.jpg", url)
    assert asyncio.run(acall_asgi(upload_api, "GET", url)).body == b"newer"
    assert starlette_app is not fastapi_app
    for app in (starlette_app, fastapi_app):
        assert asyncio.run(acall_asgi(app, "GET", "/media/a.txt")).body == b"local"


def posted(app: Any, name: str, data: bytes) -> str:
    """Post a form with one file; return the URL that is answered."""
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
    assert sent[0]["status"] == 200
    return str(json.loads(sent[1]["body"])["url"])
