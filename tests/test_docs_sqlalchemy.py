"""The blocks of docs/sqlalchemy.md, in their order."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mediamw import storages

from .test_docs import BLOCK, ROOT

PAGE = "sqlalchemy.md"


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert PAGE == "sqlalchemy.md"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ann.jpg").write_bytes(b"ann")
    storages.clear()
    module = ModuleType("shop")  # SQLAlchemy looks up what annotations name
    monkeypatch.setitem(sys.modules, "shop", module)
    names: dict[str, Any] = vars(module)
    text = (ROOT / "docs" / PAGE).read_text("utf-8")
    for match in BLOCK.finditer(text):
        assert match[1] == "python"
        exec(compile(match[2], f"docs/{PAGE}", "exec"), names)
    stored, url = capsys.readouterr().out.split()
    assert stored.startswith("local/faces/20")
    assert stored.endswith(".jpg")
    assert url == "/media/" + stored.removeprefix("local/")
    assert len([path for path in (tmp_path / "media" / "faces").rglob("*") if path.is_file()]) == 1

    class Session:
        async def commit(self) -> None:
            pass

    user = names["User"](name="eve")
    asyncio.run(names["change"](Session(), user, b"hers"))
    assert user.photo.read() == b"hers"
    names["engine"].dispose()
    storages.clear()
