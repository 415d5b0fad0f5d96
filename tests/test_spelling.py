"""Disks that fold names (tests/folding.py makes one): only a name's very spelling is a hit, for reading and writing."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from mediamw import LocalBackend, MediaStack, MemoryBackend
from mediamw.backends import spelling
from mediamw.backends.beneath import Root
from mediamw.backends.folder import Folder
from mediamw.core.errors import BackendUnavailable, NameTaken, NotServable
from mediamw.core.keys import Key
from mediamw.wsgi import MediaMiddleware

from .folding import fold
from .http_table.callers import call_wsgi
from .test_local import MISSING, answer, names, root, temporaries

__all__ = ["root"]  # a fixture

COMPOSED = "caf\u00e9.jpg"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.fixture
def folding(mode: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (root / COMPOSED).write_bytes(b"composed")
    fold(monkeypatch)
    assert (root / "A.TXT").stat().st_ino == (root / "a.txt").stat().st_ino  # it does fold
    return root


OTHERS = ["A.txt", "A.TXT", "Sub/b.txt", "sub/B.txt", "SUB/DEEP/C.TXT", "sub/Deep/c.txt", DECOMPOSED, COMPOSED.upper()]


@pytest.mark.parametrize("first", ["a.txt", "A.TXT", "sub/Deep/c.txt", COMPOSED, DECOMPOSED, "nothing"])
def test_another_spelling_is_missing(folding: Path, first: str) -> None:
    """Whatever is asked first, by which is found out whether the disk folds."""
    backend = LocalBackend(folding)
    answer(backend, first)
    for key in OTHERS:
        assert answer(backend, key) == MISSING
    assert answer(backend, "a.txt") == b"a"
    assert answer(backend, "sub/deep/c.txt") == b"deep below"
    assert answer(backend, COMPOSED) == b"composed"
    assert names(backend, "SUB/") == names(backend, "Sub/De") == []
    assert names(backend, "sub/") == ["sub/b.txt", "sub/deep/c.txt"]


def test_the_lowers_are_asked_for_it(folding: Path) -> None:
    stack = MediaStack([LocalBackend(folding), MemoryBackend({"A.TXT": b"production"})])
    assert (stack.open("a.txt").read(), stack.open("A.TXT").read()) == (b"a", b"production")
    assert not stack.exists("A.txt")
    with pytest.raises(FileNotFoundError):
        stack.stat("A.txt")


@pytest.mark.parametrize("key", OTHERS)
def test_another_spelling_is_not_deleted(folding: Path, key: str) -> None:
    stack = MediaStack([LocalBackend(folding)])
    before = names(LocalBackend(folding))
    assert stack.delete(key) is False
    assert stack.reset(key) is False
    assert names(LocalBackend(folding)) == before
    assert stack.delete("a.txt") is True


def test_another_spelling_is_taken(folding: Path) -> None:
    stack = MediaStack([LocalBackend(folding)])
    for key in ("A.TXT", DECOMPOSED):
        assert not stack.is_free(key)
        for policy in ("suffix", "shadow"):
            given = stack.save(key, b"new", names=policy)  # type: ignore[arg-type]
            assert given != key
            assert stack.open(given).read() == b"new"
        for policy in ("error", "replace"):
            with pytest.raises(NameTaken):
                stack.save(key, b"new", names=policy)  # type: ignore[arg-type]
        with pytest.raises(NameTaken):
            LocalBackend(folding).put(Key(key), b"new")
    with LocalBackend(folding).draft(b"new") as draft, pytest.raises(NameTaken, match="another spelling") as caught:
        draft.publish(Key("A.TXT"), replace=True)
    assert not caught.value.is_final
    assert answer(LocalBackend(folding), "a.txt") == b"a"
    assert answer(LocalBackend(folding), COMPOSED) == b"composed"
    assert stack.save("a.txt", b"replaced", names="replace") == "a.txt"
    assert answer(LocalBackend(folding), "a.txt") == b"replaced"
    assert temporaries(folding) == []


@pytest.mark.parametrize("first", ["a.txt", "nothing"])
@pytest.mark.parametrize("key", ["Sub/x.jpg", "sub/DEEP/x.jpg", "SUB/new/x.jpg", "Sub/b.txt"])
def test_a_folder_of_another_spelling(folding: Path, key: str, first: str) -> None:
    """A file there would be stored, and never found: its folder has another name."""
    stack = MediaStack([LocalBackend(folding)])
    before = sorted(str(path) for path in (folding / "sub").rglob("*"))
    stack.exists(first)
    for policy in ("suffix", "replace"):
        with pytest.raises(NameTaken, match="in another spelling"):
            stack.save(key, b"x", names=policy)  # type: ignore[arg-type]
    assert sorted(str(path) for path in (folding / "sub").rglob("*")) == before
    assert temporaries(folding) == []
    assert stack.save("sub/deep/x.jpg", b"x") == "sub/deep/x.jpg"
    assert stack.save("Other/x.jpg", b"x") == "Other/x.jpg"


def test_a_disk_that_spells_in_its_own_way(folding: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HFS+ decomposes what it stores. A file that would never be found is not kept."""
    link = os.link

    def decomposing(source: Any, target: str, **about: Any) -> None:
        link(source, unicodedata.normalize("NFD", target), **about)

    monkeypatch.setattr(os, "link", decomposing)
    stack = MediaStack([LocalBackend(folding)])
    with pytest.raises(NotServable, match="spells this name in another way"):
        stack.save("ni\u00f1o.jpg", b"x")
    assert not any(name.startswith("ni") for name in os.listdir(folding))
    assert stack.save("nino.jpg", b"x") == "nino.jpg"


def test_a_file_that_is_gone_at_once_was_stored(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process deletes it before its spelling is looked at."""
    link = os.link

    def and_gone(*names: Any, **about: Any) -> None:
        link(*names, **about)
        (root / "new.txt").unlink()

    monkeypatch.setattr(os, "link", and_gone)
    LocalBackend(root).put(Key("new.txt"), b"x")


def test_a_folder_that_may_not_be_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One may pass through it: what is opened there is taken as it was spelt."""

    def refuse(_: Folder) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Folder, "names", refuse)
    fold(monkeypatch)
    backend = LocalBackend(root)
    assert answer(backend, "sub/b.txt") == answer(backend, "sub/B.txt") == b"below"


def test_a_folder_that_cannot_be_listed(folding: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Folder) -> list[str]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Folder, "names", refuse)
    backend = LocalBackend(folding)
    for call in (backend.open, backend.is_taken, backend.delete):
        with pytest.raises(BackendUnavailable, match="Input/output error"):
            call(Key("A.TXT"))
    assert (folding / "a.txt").exists()


def test_a_disk_that_does_not_fold_is_looked_at_once(mode: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / COMPOSED).write_bytes(b"composed")
    (root / DECOMPOSED).write_bytes(b"decomposed")
    (root / "A.TXT").write_bytes(b"A")
    if len(os.listdir(root)) < 5:
        pytest.skip("the disk folds names")
    backend = LocalBackend(root)
    assert answer(backend, "a.txt") == b"a"  # both are there: two files
    assert answer(backend, "A.TXT") == b"A"
    assert answer(backend, COMPOSED) == b"composed"
    assert answer(backend, DECOMPOSED) == b"decomposed"

    def forbid(*_: object) -> bool:
        raise AssertionError("looked again")

    for looks in ("_is_there", "_is_listed"):
        monkeypatch.setattr(spelling, looks, forbid)
    for key in ("a.txt", "A.TXT", "sub/b.txt", COMPOSED, DECOMPOSED):
        assert isinstance(answer(backend, key), bytes)
    assert not backend.is_taken(Key("Sub/b.txt"))
    backend.put(Key("B/b.txt"), b"x")
    assert backend.delete(Key("B/b.txt"))


def test_what_is_no_sign_is_not_believed(root: Path) -> None:
    """A file that goes between two looks, and a folder of other case that leads out, tell nothing of the disk."""
    looked, beneath = spelling.Spelling(), Root(str(root))
    assert looked.is_exact("gone.txt", beneath.open_folder) is False
    assert looked._folds_case is None
    (root / "SUB").symlink_to(root.parent / "outside")
    assert looked.is_exact("sub/b.txt", beneath.open_folder)
    assert looked._folds_case is None
    assert looked.is_exact("a.txt", beneath.open_folder)
    assert looked._folds_case is False


def test_names_without_letters_tell_nothing_and_need_not() -> None:
    looked = spelling.Spelling()
    assert not looked.may_differ("1")
    assert not looked.may_differ("\u56fe/1")
    assert not looked.may_differ(".mediamw/whiteouts/abc")
    assert looked.may_differ("a")
    assert looked.may_differ("1\u00e9")


def test_no_plan_is_kept_of_a_name_that_may_be_another_s(folding: Path) -> None:
    """A file that is renamed to another spelling has the same inode, length and time, and opens under both."""
    os.utime(folding / "a.txt", (1e9, 1e9))
    app = MediaMiddleware(None, [LocalBackend(folding)])
    for _ in range(2):
        assert call_wsgi(app, "GET", "/media/a.txt").status == 200
    (folding / "a.txt").rename(folding / "new")
    (folding / "new").rename(folding / "A.txt")
    assert call_wsgi(app, "GET", "/media/a.txt").status == 404
