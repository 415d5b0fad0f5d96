"""Writing into a directory beyond new files: replacing, deleting, drafts, modes, and what killed processes leave."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediamw import MediaStack, MemoryBackend
from mediamw.backends import local_put
from mediamw.backends.local import LocalBackend
from mediamw.core.errors import BackendUnavailable, ConfigError, NameTaken, NotServable
from mediamw.core.keys import Key

from .test_local import MISSING, answer, linked, needs_links, no_links, root, temporaries

with contextlib.suppress(ImportError):  # Windows
    import fcntl

__all__ = ["linked", "root"]  # fixtures


def test_replacing(mode: str, root: Path) -> None:
    backend = LocalBackend(root)
    before = backend.open(Key("a.txt"))
    assert before is not None
    backend.put(Key("a.txt"), b"replaced", replace=True)
    assert answer(backend, "a.txt") == b"replaced"
    assert b"".join(before.chunks(0, before.meta.size or 0)) != b"replaced"  # whoever reads it reads on
    before.close()
    backend.put(Key("new/x.txt"), b"x", replace=True)
    for taken in ("sub", "a.txt/x"):
        with pytest.raises(NameTaken):
            backend.put(Key(taken), b"x", replace=True)
    assert temporaries(root) == []


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM])
def test_replacing_where_there_are_no_links(
    mode: str, root: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_links(monkeypatch, number)
    if number == errno.EXDEV:
        real = os.replace

        def replace(source: str, target: str, **about: Any) -> None:
            if ".mediamw-" not in source:
                raise OSError(number, os.strerror(number))
            real(source, target, **about)

        monkeypatch.setattr(os, "replace", replace)
    backend = LocalBackend(root)
    backend.put(Key("a.txt"), b"replaced", replace=True)
    assert answer(backend, "a.txt") == b"replaced"
    assert temporaries(root) == []


def test_deleting(mode: str, root: Path) -> None:
    backend = LocalBackend(root)
    assert backend.delete(Key("sub/b.txt")) is True
    assert answer(backend, "sub/b.txt") == MISSING
    for nothing in ("sub/b.txt", "sub", "nowhere/x", "a.txt/x", "x" * 255, "nowhere/" + "y" * 255):
        assert backend.delete(Key(nothing)) is False
    assert (root / "sub").is_dir()
    assert LocalBackend(root / "not there").delete(Key("a.txt")) is False


@needs_links
def test_deleting_through_links(mode: str, linked: Path) -> None:
    """A link is removed, not what it leads to; and nothing outside the root, by whatever link."""
    backend = LocalBackend(linked)
    outside = linked.parent / "outside"
    before = sorted(os.listdir(outside))
    assert backend.delete(Key("out-relative")) is True
    for key in ("out-folder/secret.txt", "to-parent/outside/secret.txt"):
        with pytest.raises(NotServable):
            backend.delete(Key(key))
    assert sorted(os.listdir(outside)) == before
    assert not os.path.lexists(linked / "out-relative")


@pytest.mark.parametrize("name", ["EROFS", "EACCES", "EIO", "EPERM"])
def test_a_disk_that_does_not_delete(mode: str, root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = getattr(errno, name)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(BackendUnavailable, match=os.strerror(number)):
        LocalBackend(root).delete(Key("a.txt"))
    assert (root / "a.txt").exists()


def test_a_draft_has_no_name(mode: str, root: Path) -> None:
    backend = LocalBackend(root)
    with backend.draft(b"draft") as draft:
        assert [entry.key for entry in backend.list("", recursive=True)] == ["a.txt", "sub/b.txt", "sub/deep/c.txt"]
        with pytest.raises(NameTaken):
            draft.publish(Key("a.txt"))
        draft.publish(Key("draft.txt"))
    assert answer(backend, "draft.txt") == b"draft"
    backend.draft(b"nobody wants it").close()
    assert temporaries(root) == []


def test_modes_that_are_given(mode: str, root: Path) -> None:
    backend = LocalBackend(root, file_mode=0o640, directory_mode=0o2750)
    before = os.umask(0o077)
    try:
        backend.put(Key("made/deeper/x.txt"), b"x", content_type="image/webp")
        with pytest.MonkeyPatch.context() as patch:
            no_links(patch, errno.EXDEV)
            backend.put(Key("made/y.txt"), b"y")
    finally:
        os.umask(before)
    for name in ("made/deeper/x.txt", "made/y.txt"):
        assert stat.S_IMODE((root / name).stat().st_mode) == 0o640
    for name in ("made", "made/deeper", ".mediamw", ".mediamw/tmp"):
        assert stat.S_IMODE((root / name).stat().st_mode) == 0o2750
    assert stat.S_IMODE((root / "sub").stat().st_mode) != 0o2750  # it was there


def test_modes_of_a_root_that_is_made(mode: str, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        LocalBackend(tmp_path / "around/media", directory_mode=0o2750).put(Key("x.txt"), b"x")
        LocalBackend(tmp_path / "by/umask").put(Key("x.txt"), b"x")
    finally:
        os.umask(before)
    for name, expected in (("around", 0o2750), ("around/media", 0o2750), ("by", 0o700), ("by/umask", 0o700)):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == expected
    assert stat.S_IMODE(tmp_path.stat().st_mode) != 0o2750  # it was there


def test_a_root_where_a_file_is(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "file/media")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BackendUnavailable, match=r"Not a directory|File exists"):
        backend.put(Key("x.txt"), b"x")


@pytest.mark.parametrize("wrong", ["0644", 0, -1, 0o10000, True, 6.5], ids=repr)
@pytest.mark.parametrize("option", ["file_mode", "directory_mode"])
def test_what_is_no_mode(root: Path, option: str, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=f"{option}: .* is no mode, such as 0o644"):
        LocalBackend(root, **{option: wrong})


@pytest.mark.skipif(not local_put.HAS_LOCKS, reason="no locks here")
def test_what_a_killed_process_left_is_swept(mode: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LocalBackend(root)
    backend.put(Key("first.txt"), b"x")
    folder = root / ".mediamw" / "tmp"
    hour = local_put.SWEEP_SECONDS
    for name, age in (("old", hour + 60), ("young", hour - 60), ("held", hour + 60)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    (folder / "a folder").mkdir()
    os.utime(folder / "a folder", (0, 0))
    held = os.open(folder / "held", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        backend.put(Key("second.txt"), b"x")
        assert sorted(os.listdir(folder)) == ["a folder", "held", "young"]
    finally:
        os.close(held)
    backend.put(Key("third.txt"), b"x")
    assert sorted(os.listdir(folder)) == ["a folder", "young"]
    (root / ".mediamw-left").write_bytes(b"x")  # of a folder on another mount
    os.utime(root / ".mediamw-left", (0, 0))
    no_links(monkeypatch, errno.EXDEV)
    backend.put(Key("fourth.txt"), b"x")
    assert not (root / ".mediamw-left").exists()


@pytest.mark.skipif(not local_put.HAS_LOCKS, reason="no locks here")
def test_an_upload_that_takes_long_is_not_swept(mode: str, root: Path) -> None:
    backend, other = LocalBackend(root), LocalBackend(root)

    def slow() -> Iterator[bytes]:
        yield b"first"
        [temporary] = (root / ".mediamw" / "tmp").iterdir()
        os.utime(temporary, (0, 0))
        other.put(Key("between.txt"), b"x")
        yield b", second"

    backend.put(Key("slow.txt"), slow())
    assert answer(backend, "slow.txt") == b"first, second"


@needs_links
@pytest.mark.parametrize("reaches", ["production", "production/homes", ".", "shared"])
def test_no_link_leads_from_uploads_to_a_lower(tmp_path: Path, reaches: str) -> None:
    """By a link to a folder a delete would remove production's file."""
    (tmp_path / "production" / "homes").mkdir(parents=True)
    upper = LocalBackend(tmp_path / "media", follow_links_to=[tmp_path / reaches])
    lower = LocalBackend(tmp_path / "production", name="prod", follow_links_to=[tmp_path / "shared"])
    with pytest.raises(ConfigError, match=r"follow_links_to: .* could reach files of 'prod', '.*': leave that"):
        MediaStack([upper, lower])
    if reaches != ".":  # then its root is in there too
        with pytest.raises(ConfigError, match="follow_links_to"):
            MediaStack([LocalBackend(lower.root), LocalBackend(upper.root, name="prod", follow_links_to=[lower.root])])
    beside = LocalBackend(upper.root, follow_links_to=[tmp_path / "beside"])
    assert MediaStack([beside, lower]).save("a.jpg", b"x") == "a.jpg"
    MediaStack(
        [
            MemoryBackend(),
            LocalBackend(lower.root),
            LocalBackend(tmp_path / "x", name="x", follow_links_to=[lower.root]),
        ]
    )
