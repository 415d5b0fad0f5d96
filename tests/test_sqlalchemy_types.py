"""What a type checker makes of a ``MediaField``: the column's type is the attribute's."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from mediamw.ext.sqlalchemy import MediaField, MediaFile, store, store_async

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    photo: Mapped[MediaFile | None] = mapped_column(MediaField("avatars", max_bytes=5))
    cover: Mapped[MediaFile] = mapped_column(MediaField("avatars"))

async def change(user: User, data: bytes) -> str:
    user.photo = store(User.photo, data)
    user.cover = await store_async(User.cover, data)
    user.photo = None
    return f"{user.cover.storage}/{user.cover.key}"
"""
WRONG = {
    'text: str = User.cover.key + store(User.cover, b"").read()': "bytes",
    "size: str = User().cover.stat().size": "int",
}


@pytest.mark.parametrize("wrong", [None, *WRONG])
def test_mapped(wrong: str | None, tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api", reason="pip install mypy")
    (tmp_path / "models.py").write_text(MODELS + (wrong or "") + "\n")
    out, err, status = api.run(["--strict", f"--cache-dir={tmp_path}", str(tmp_path / "models.py")])
    assert err == ""
    assert status == bool(wrong), out
    assert WRONG[wrong] in out if wrong else True
