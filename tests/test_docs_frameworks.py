"""The page about frameworks: its code is run, block after block."""

from __future__ import annotations

import asyncio
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
    flask_app, _, _, starlette_app, _, fastapi_app = apps
    assert flask_app.test_client().get("/media/a.txt").text == "local"
    assert names["create_app"]().test_client().get("/files/a.txt").text == "local"
    private = names["private"].test_client()
    assert [private.get(f"/media/{name}").status_code for name in ("a.txt", "invoices/1.txt")] == [200, 403]
    assert starlette_app is not fastapi_app
    for app in (starlette_app, fastapi_app):
        assert asyncio.run(acall_asgi(app, "GET", "/media/a.txt")).body == b"local"
