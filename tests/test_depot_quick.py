"""A DEPOT directory as the upper: what was answered before is answered again, and never when any part is another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mediamw import MediaStack
from mediamw.backends import beneath, exchange
from mediamw.core.keys import Key
from mediamw.core.model import Meta
from mediamw.ext.depot.io import staging
from mediamw.ext.depot.io.interfaces import FileStorage
from mediamw.ext.depot.io.local import DepotDirectory

from .quick_disks import need_remembered_names
from .test_kept_plans import OLD, Ask, decided
from .test_kept_plans import make as middleware
from .test_known_redirects import Bucket

__all__ = ["decided", "middleware"]  # fixtures

pytestmark = pytest.mark.usefixtures("roots_believed")

A = Key("11111111-1111-4111-8111-111111111111")
B = Key("22222222-2222-4222-8222-222222222222")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    need_remembered_names(tmp_path)
    (tmp_path / "media").mkdir()
    put(tmp_path / "media", b"first", "a.jpg")
    return tmp_path / "media"


def put(root: Path, data: bytes, filename: str, at: int = OLD) -> None:
    """Store A, some time ago: of this second nothing is kept."""
    FileStorage(MediaStack([DepotDirectory(root)]))._save(A, data, filename, "image/jpeg")
    age(root, at)


def age(root: Path, at: int = OLD) -> None:
    metadata = root / A / "metadata.json"
    found = json.loads(metadata.read_text()) | {"last_modified": "2024-01-02 03:04:05"}
    metadata.write_text(json.dumps(found))
    for part in (root / A).iterdir():
        os.utime(part, (at, at))


@pytest.fixture
def make(middleware: Callable[..., Ask]) -> Callable[..., Ask]:
    """A middleware of either kind around a directory and a bucket with B, and how it is asked."""
    return lambda root, key=A: partial(
        middleware(MediaStack([DepotDirectory(root), Bucket("prod", B)])), f"/media/{key}"
    )


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", (), 200),
        ("HEAD", (), 200),
        ("GET", (("Range", "bytes=1-2"),), 206),
        ("GET", (("If-None-Match", "{etag}"),), 304),
    ],
)
def test_what_is_kept(make: Any, root: Path, decided: list[str], method: str, headers: Any, status: int) -> None:
    get = make(root)
    etag = get().get("etag")
    filled = [(name, value.format(etag=etag)) for name, value in headers]
    first = get(*filled, method=method)
    assert first.status == status
    if status == 200:
        assert 'filename="a.jpg"' in str(first.get("content-disposition"))
    decided.clear()
    assert get(*filled, method=method) == first
    assert decided == []


def rewrite_metadata(root: Path) -> None:
    """In place, and of the same length."""
    metadata = root / A / "metadata.json"
    metadata.write_text(metadata.read_text().replace("a.jpg", "b.jpg"))


def as_depot_does(root: Path) -> None:
    """The file again, in place, with its name: DEPOT removes and writes both parts."""
    (root / A / "file").write_bytes(b"other")
    rewrite_metadata(root)


@pytest.mark.parametrize(
    ("change", "body", "name"),
    [
        (lambda root: put(root, b"second", "b.jpg"), b"second", "b.jpg"),
        (lambda root: put(root, b"other", "b.jpg"), b"other", "b.jpg"),
        (lambda root: put(root, b"first", "b.jpg"), b"first", "b.jpg"),
        (rewrite_metadata, b"first", "b.jpg"),
        (as_depot_does, b"other", "b.jpg"),
    ],
)
@pytest.mark.parametrize("has_exchange", [True, False])
def test_what_has_changed(
    make: Any, root: Path, change: Any, body: bytes, name: str, has_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_exchange:
        monkeypatch.setattr(exchange, "_renameat2", None)
    get = make(root)
    assert get() == get()
    change(root)
    for _ in range(2):
        answer = get()
        assert (answer.body, f'filename="{name}"' in str(answer.get("content-disposition"))) == (body, True)


def test_a_plan_that_is_kept_between_two_parts(make: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where folders cannot trade places there are new bytes under the old name for a moment, and not for longer."""
    monkeypatch.setattr(exchange, "_renameat2", None)
    get, between = make(root), []
    real = staging._rename

    def rename(folder: Any, name: str, other: Any, other_name: str) -> None:
        if (name, other_name) == ("metadata.json", "metadata.json"):
            os.utime(root / A / "file", (OLD, OLD))
            between.extend(get() for _ in range(2))
        real(folder, name, other, other_name)

    monkeypatch.setattr(staging, "_rename", rename)
    put(root, b"second", "b.jpg")
    assert [(answer.body, "a.jpg" in str(answer.get("content-disposition"))) for answer in between] == [
        (b"second", True)
    ] * 2
    assert "b.jpg" in str(get().get("content-disposition"))


def test_what_is_of_this_second_is_not_kept(make: Any, root: Path, decided: list[str]) -> None:
    os.utime(root / A / "metadata.json")
    get = make(root)
    assert get() == get()
    assert decided == [A, A]


def test_a_folder_that_becomes_a_link_out(make: Any, root: Path, tmp_path: Path) -> None:
    get = make(root)
    assert get() == get()
    (root / A).rename(tmp_path / "outside")
    (root / A).symlink_to(tmp_path / "outside")
    assert get().status == 404


@pytest.mark.parametrize("part", ["file", "metadata.json"])
def test_a_part_that_is_gone(make: Any, root: Path, part: str) -> None:
    get = make(root)
    assert get() == get()
    (root / A / part).unlink()
    assert get().status == 404


def test_a_redirect(make: Any, root: Path, decided: list[str]) -> None:
    """To what only production has, until it is stored or hidden here."""
    get, stack = make(root, B), MediaStack([DepotDirectory(root), Bucket("prod", B)])
    first = get()
    assert first.status == 302
    decided.clear()
    assert get() == first
    assert decided == []
    stack.save(B, b"mine", filename="b.jpg", names="replace")
    assert get().body == b"mine"
    stack.delete(B)
    assert get().status == 404
    stack.restore(B)
    assert get() == first


def test_a_subclass_is_asked(middleware: Callable[..., Ask], root: Path) -> None:
    class Own(DepotDirectory):
        opened = 0

        def open(self, key: Key) -> Any:
            self.opened += 1
            return super().open(key)

    own = Own(root)
    get = middleware(MediaStack([own, Bucket("prod", B)]))
    for _ in range(3):
        assert get(f"/media/{A}").status == 200
    assert own.opened >= 3


def test_the_parts_are_of_one_moment(root: Path) -> None:
    """What is kept is as it was opened, not as it is when it is kept."""
    handle = DepotDirectory(root).open(A)
    assert handle is not None
    with (root / A / "file").open("ab") as file:
        file.write(b"!")
    rewrite_metadata(root)
    path, mtime_ns, beside = handle.lies(A)
    handle.close()
    assert (path, mtime_ns) == (f"{A}/file", OLD * 1_000_000_000)
    assert beside is not None
    assert (beside.path, beside.mtime_ns) == (f"{A}/metadata.json", OLD * 1_000_000_000)
    assert handle.meta == handle.meta._replace(size=5) != Meta(None)


def test_another_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the old one lacks is looked for in the new one at once; what it has is believed for a second."""
    backend = DepotDirectory(root)
    assert backend.open(B) is None
    root.rename(root.with_name("old"))
    root.mkdir()
    FileStorage(MediaStack([DepotDirectory(root)]))._save(B, b"new", "b.jpg", "image/jpeg")
    handle = backend.open(B)
    assert handle is not None
    handle.close()
    monkeypatch.setattr(beneath, "_ROOT_CHECK_SECONDS", -1.0)
    assert backend.open(A) is None
