"""What the upper has none of is told by one look at all its names: the whiteout, the file again, the copies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mediamw import LocalBackend, MediaStack
from mediamw.backends import beneath
from mediamw.core.keys import Key
from mediamw.core.model import Held, Hidden, Redirect
from mediamw.stack.pull_version import record_key, source_of
from mediamw.stack.whiteouts import marker_of

from .descriptors import descriptors
from .fakes import Bucket

A = "a.jpg"
pytestmark = pytest.mark.skipif(beneath._openat2 is None, reason="one look needs openat2")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that were opened one by one."""
    keys: list[str] = []
    real = beneath.Root.open_file_if_any

    def open_file_if_any(self: beneath.Root, key: str) -> int | None:
        keys.append(key)
        return real(self, key)

    monkeypatch.setattr(beneath.Root, "open_file_if_any", open_file_if_any)
    return keys


def before_look(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], Any]) -> list[bytes]:
    """Have ``act`` happen before look ``number``; return what is looked at."""
    looks: list[bytes] = []
    real = beneath._open_cached
    assert real is not None

    def look(directory: Any, path: Any) -> int:
        looks.append(path.value)
        if len(looks) == number:
            act()
        return real(directory, path)

    monkeypatch.setattr(beneath, "_open_cached", look)
    return looks


def test_one_look_at_all_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]) -> None:
    bucket = Bucket("prod", {A: b"far"})
    stack = MediaStack([LocalBackend(tmp_path), bucket])
    looks = before_look(monkeypatch, 0, lambda: None)
    assert isinstance(stack.find(A), Redirect)
    assert opened == [A]
    marker, record = marker_of(Key(A)), record_key(source_of(bucket), Key(A))
    assert looks == [os.fsencode(path) for path in (marker, A, marker, record)]


@pytest.mark.parametrize("number", [1, 2])
def test_an_upload_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    stack = MediaStack([LocalBackend(tmp_path), Bucket("prod", {A: b"far"})])
    before_look(monkeypatch, number, lambda: (tmp_path / A).write_bytes(b"new"))
    found = stack.find(A)
    assert isinstance(found, Held)
    found.handle.close()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_delete_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    stack = MediaStack([LocalBackend(tmp_path), Bucket("prod", {A: b"far"})])
    other = MediaStack([LocalBackend(tmp_path), Bucket("prod", {A: b"far"})])
    before_look(monkeypatch, number, lambda: other.delete(A) if not (tmp_path / marker_of(Key(A))).exists() else None)
    assert isinstance(stack.find(A), Hidden)


def test_another_root_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that was put back is seen at once."""
    root = tmp_path / "media"
    root.mkdir()
    (tmp_path / "restored").mkdir()
    (tmp_path / "restored" / A).write_bytes(b"restored")
    stack = MediaStack([LocalBackend(root), Bucket("prod", {A: b"far"})])

    def swap() -> None:
        root.rename(tmp_path / "gone")
        (tmp_path / "restored").rename(root)

    before_look(monkeypatch, 4, swap)
    found = stack.find(A)
    assert isinstance(found, Held)
    found.handle.close()


def test_what_the_disk_does_not_remember(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]) -> None:
    """Names that are in no cache are looked up where one may wait, and left to a thread where not."""
    stack = MediaStack([LocalBackend(tmp_path), Bucket("prod", {A: b"far"})])
    monkeypatch.setattr(beneath, "_open_cached", lambda fd, path: -11)
    assert isinstance(stack.find(A), Redirect)
    assert opened == [A]
    assert not stack._asker._is_bare(Key(A), inline=True)


def test_a_backend_that_opens_in_its_own_way_is_asked(tmp_path: Path) -> None:
    asked: list[str] = []

    class Own(LocalBackend):
        def open(self, key: Key) -> Any:
            asked.append(key)
            return super().open(key)

    MediaStack([Own(tmp_path), Bucket("prod", {A: b"far"})]).find(A)
    assert len(asked) == 5


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    stack = MediaStack([LocalBackend(tmp_path), Bucket("prod", {A: b"far"})], names="shadow")
    stack.delete(A)
    (tmp_path / "b").mkdir()
    stack.find(A)
    count = descriptors()
    for _ in range(20):
        stack.find(A)
        stack.find("b")
        stack.find("b/c")
    assert descriptors() == count
