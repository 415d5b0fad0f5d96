"""UpperBackend: any Django storage as an upper. The conformance suite, and what storages do that it does not know."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage

from mediamw import BackendUnavailable, MediaStack, MemoryBackend, NameTaken
from mediamw.core.keys import Key
from mediamw.ext.django.storage_upper import MemberBackend, UpperBackend, implements
from mediamw.testing import SAMPLE_FILES, find_faults


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_the_conformance_suite(kind: str, tmp_path: Path) -> None:
    storage = InMemoryStorage() if kind == "memory" else FileSystemStorage(tmp_path / "files")
    for name, data in SAMPLE_FILES.items():
        storage.save(name, ContentFile(data))
    faults = find_faults(UpperBackend(storage, name="upper"), SAMPLE_FILES)
    # A content type that the name does not tell is the storage's to keep.
    assert [fault for fault in faults if "content_type=" not in fault] == []


def test_the_overlay_over_any_storage() -> None:
    storage = InMemoryStorage()
    stack = MediaStack([UpperBackend(storage, name="upper"), MemoryBackend({"a/b.txt": b"production's"})])
    assert stack.save("a/b.txt", b"mine") != "a/b.txt"
    assert stack.delete("a/b.txt")
    assert not stack.exists("a/b.txt")
    assert list(stack.hidden()) == ["a/b.txt"]
    assert [entry.key for entry in stack.list(recursive=True)] != []
    assert all(not entry.key.startswith(".mediamw") for entry in stack.list())
    assert stack.save("a/b.txt", b"mine") == "a/b.txt"
    assert stack.open("a/b.txt").read() == b"mine"
    assert stack.save("a/b.txt", b"again", names="replace") == "a/b.txt"
    assert stack.open("a/b.txt").read() == b"again"
    assert stack.reset("a/b.txt")
    assert stack.open("a/b.txt").read() == b"production's"


@pytest.mark.parametrize(
    "wrong", ["text", StringIO("text"), StringIO(), [b"bytes first", "text"]], ids=["str", "file", "empty file", "list"]
)
def test_text_is_not_stored(wrong: Any) -> None:
    storage = InMemoryStorage()
    with pytest.raises(TypeError, match="expected bytes, a binary file or an iterable of bytes"):
        MediaStack([UpperBackend(storage, name="upper")]).save("a.txt", wrong)
    assert storage.listdir("") == ([], [])


def test_a_folder_is_never_removed_with_what_lies_in_it() -> None:
    storage = InMemoryStorage()
    storage.save("a/b.txt", ContentFile(b"mine"))
    upper = UpperBackend(storage, name="upper")
    assert not upper.delete(Key("a"))
    with pytest.raises(NameTaken):
        upper.put(Key("a"), b"x", replace=True)
    assert storage.open("a/b.txt").read() == b"mine"


class Renames(InMemoryStorage):  # type: ignore[misc]
    def _save(self, name: str, content: Any) -> Any:
        return super()._save(f"{name}.bak", content)


def test_a_storage_that_stores_under_another_name_has_not_taken_this_one() -> None:
    storage = Renames()
    with pytest.raises(NameTaken, match=r"stores it as 'a\.txt\.bak'"):
        UpperBackend(storage, name="upper").put(Key("a.txt"), b"x")
    assert storage.listdir("") == ([], [])


class Overwrites(InMemoryStorage):  # type: ignore[misc]
    """While it stores a file, ``meanwhile`` is called: another upload."""

    meanwhile: Any = None

    def exists(self, name: str) -> bool:
        return False

    def _save(self, name: str, content: Any) -> Any:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super()._save(name, content)


def test_two_uploads_of_one_name_at_once_are_two_files() -> None:
    storage = Overwrites()
    stack = MediaStack([UpperBackend(storage, name="upper")])
    names: list[str] = []
    storage.meanwhile = lambda: names.append(stack.save("a.txt", b"the second"))
    names.append(stack.save("a.txt", b"the first"))
    assert names[1] == "a.txt"
    assert storage.open("a.txt").read() == b"the first"
    assert storage.open(names[0]).read() == b"the second"


class Meets(Overwrites):
    """Says what it has."""

    exists = InMemoryStorage.exists


def test_who_replaces_waits_for_who_stores() -> None:
    storage = Meets()
    stack = MediaStack([UpperBackend(storage, name="upper")])
    with ThreadPoolExecutor(1) as pool:
        second: list[Future[str]] = []

        def another() -> None:
            second.append(pool.submit(stack.save, "a.txt", b"the second", names="replace"))
            assert not wait(second, timeout=0.1).done

        storage.meanwhile = another
        assert stack.save("a.txt", b"the first", names="replace") == "a.txt"
        assert second[0].result(10) == "a.txt"
    assert stack.open("a.txt").read() == b"the second"


class Breaks(InMemoryStorage):  # type: ignore[misc]
    def _save(self, name: str, content: Any) -> Any:
        raise OSError(28, "No space left on device")

    def listdir(self, path: str) -> Any:
        if path:
            raise RuntimeError(f"{path}: who is that?")  # what one storage in memory does for what is not there
        return [], []


def test_what_a_storage_raises_is_said() -> None:
    upper = UpperBackend(Breaks(), name="upper")
    with pytest.raises(BackendUnavailable, match=r"'upper' put 'a\.txt': Breaks raised OSError: .* No space left"):
        upper.put(Key("a.txt"), b"x")
    assert list(upper.list("no/such/folder/", recursive=False)) == []
    assert list(upper.list(".mediamw/whiteouts/", recursive=True)) == []


class Bare(Storage):  # type: ignore[misc]
    """Django's ``Storage`` with nothing of its own."""


def test_what_a_storage_does_not_implement_it_is_not_asked() -> None:
    bare = MemberBackend(Bare(), name="bare")
    assert bare.open(Key("a.txt")) is None
    assert list(bare.list("", recursive=True)) == []
    methods = ("_open", "_save", "delete", "exists", "listdir", "size", "url", "path", "get_modified_time")
    assert not any(implements(Bare(), method) for method in methods)
    assert all(implements(FileSystemStorage(), method) for method in methods)
    assert implements(Bare(), "get_valid_name")
