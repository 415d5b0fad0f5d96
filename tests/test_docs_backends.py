"""docs/backends.md is true: its backend serves through the middleware and passes the suite, its table is the code's."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

import mediamw
from mediamw.backends import base

PAGE = (Path(__file__).parents[1] / "docs" / "backends.md").read_text("utf-8")
FILES = {"a.txt": b"hello from the archive", "homes/1.txt": b"one", "secret.txt": b"x"}


def their_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app"]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the blocks of the page define, run one after the other where a project would run them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "local.txt").write_bytes(b"hello from the folder")
    with zipfile.ZipFile("photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    packed = Path("photos.zip").read_bytes()
    # Say in the directory of the archive that the last file needs a password: flags are 8 bytes into its entry.
    flags = packed.rindex(b"PK\x01\x02") + 8
    Path("photos.zip").write_bytes(packed[:flags] + bytes([packed[flags] | 1]) + packed[flags + 1 :])
    namespace: dict[str, Any] = {"app": their_app, "__name__": "page"}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "docs/backends.md", "exec"), namespace)
    return namespace


def test_the_check_of_the_page_passes(page: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    page["test_zip_backend"](tmp_path / "other")


def test_the_check_of_the_page_finds_faults(page: dict[str, Any], tmp_path: Path) -> None:
    page["ZipHandle"].chunks = lambda self, start, stop: iter([b""])
    (tmp_path / "other").mkdir()
    with pytest.raises(AssertionError, match="yielded an empty piece"):
        page["test_zip_backend"](tmp_path / "other")


def test_its_files_are_served(page: dict[str, Any]) -> None:
    client = Client(page["app"])
    assert client.get("/").data == b"the app"
    assert client.get("/media/local.txt").data == b"hello from the folder"
    whole = client.get("/media/a.txt")
    assert (whole.status_code, whole.data) == (200, FILES["a.txt"])
    assert client.get("/media/a.txt", headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    part = client.get("/media/a.txt", headers={"Range": "bytes=6-9"})
    assert (part.status_code, part.data) == (206, b"from")


def test_its_other_answers_are_what_the_page_says(page: dict[str, Any]) -> None:
    client = Client(page["app"])
    assert client.get("/media/nowhere.txt").data == b"the app"
    assert client.get("/media/secret.txt").status_code == 404
    Path("photos.zip").write_bytes(b"no archive any more")
    gone = client.get("/media/a.txt")
    assert gone.status_code == 503
    assert "Retry-After" in gone.headers
    assert client.get("/media/local.txt").status_code == 200


def test_it_is_listed(page: dict[str, Any]) -> None:
    assert [(entry.key, entry.backend) for entry in page["stack"].list()] == [
        ("a.txt", "zip"),
        ("homes/", "zip"),
        ("local.txt", "local"),
        ("secret.txt", "zip"),
    ]


def test_the_capabilities_are_the_code_s() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE))
    protocols = {name: value for name, value in vars(base).items() if getattr(value, "_is_protocol", False)}
    protocols = {name: value for name, value in protocols.items() if value.__module__ == base.__name__}
    assert set(told) == set(protocols) - {"Backend"}
    for name, methods in told.items():
        assert set(re.findall(r"`(\w+)\(", methods)) == {
            method for method in vars(protocols[name]) if not method.startswith("_")
        }


def test_the_public_names_are_public() -> None:
    (line,) = re.findall(r"^(.*) and the errors are imported from `mediamw`\.", PAGE, re.MULTILINE)
    names = re.findall(r"`(\w+)`", line)
    assert len(names) == 7
    assert set(names) <= set(mediamw.__all__)
