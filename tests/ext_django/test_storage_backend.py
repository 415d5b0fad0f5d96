"""Any Django storage as a backend: it keeps the contract, cannot be written, and never says missing for an outage."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage, storages
from django.test import Client

from mediamw import BackendUnavailable, Key, MediaStack, MemoryBackend, NotServable
from mediamw.backends.base import Deletes, Puts
from mediamw.ext.django import media_stack
from mediamw.ext.django.storage_backend import MAX_REASON_CHARACTERS, StorageBackend
from mediamw.testing import SAMPLE_FILES, check_backend

from .test_storages import FILES, MEMORY


def filled(storage: Any, files: Any = SAMPLE_FILES) -> Any:
    for name, data in files.items():
        with storage.open(name, "wb") if isinstance(storage, InMemoryStorage) else _made(storage, name) as file:
            file.write(data)
    return storage


def _made(storage: Any, name: str) -> Any:
    path = Path(storage.path(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


def test_two_who_read_one_file_in_memory() -> None:
    """Django's files in memory are one object, with one position, for all who open them."""
    backend = StorageBackend(filled(InMemoryStorage()))
    one, other = backend.open(Key("big.bin")), backend.open(Key("big.bin"))
    assert one is not None
    assert other is not None
    pieces = one.chunks(0, 1_054_200)
    first = next(pieces)
    assert next(other.chunks(7, 9)) == SAMPLE_FILES["big.bin"][7:9]
    assert first + b"".join(pieces) == SAMPLE_FILES["big.bin"]


@pytest.mark.parametrize("timezones", [True, False])
def test_in_memory_passes(timezones: bool, project: Any) -> None:
    project(USE_TZ=timezones)
    check_backend(StorageBackend(filled(InMemoryStorage())), SAMPLE_FILES)


def test_files_pass(tmp_path: Path) -> None:
    """Handles over files, of which each has a position of its own."""
    backend = StorageBackend(filled(FileSystemStorage(tmp_path / "files")), name="other")
    check_backend(backend, SAMPLE_FILES)
    handle = backend.open(Key("big.bin"))
    assert handle is not None
    assert abs((handle.meta.mtime_ns or 0) - (tmp_path / "files/big.bin").stat().st_mtime_ns) <= 1000
    handle.close()


class Only(Storage):  # type: ignore[misc]
    """The least that a storage can be: it opens."""

    def exists(self, name: str) -> bool:
        return name == "a.txt"

    def _open(self, name: str, mode: str) -> Any:
        assert mode == "rb"
        return ContentFile(b"hello", name)


def test_what_is_not_implemented_is_not_known() -> None:
    handle = StorageBackend(Only()).open(Key("a.txt"))
    assert handle is not None
    assert (handle.meta.size, handle.meta.mtime_ns, handle.meta.etag) == (5, None, None)
    assert b"".join(handle.chunks(1, 3)) == b"el"
    with pytest.raises(BackendUnavailable, match="Only raised NotImplementedError"):
        list(StorageBackend(Only()).list("", recursive=False))


class KeepsText(Only):
    """Opens as text what was saved as text, whatever the mode, and says how many letters it has."""

    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.file = wrap(io.StringIO("grün und blau"))
        self.file.read(4)

    def _open(self, name: str, mode: str) -> Any:
        return self.file

    def size(self, name: str) -> int:
        return 13


@pytest.mark.parametrize("wrap", [File, lambda file: file], ids=["File", "its own"])
def test_text_is_utf_8(wrap: Any) -> None:
    handle = StorageBackend(KeepsText(wrap)).open(Key("a.txt"))
    assert handle is not None
    assert handle.meta.size == 14
    assert b"".join(handle.chunks(0, 14)) == "grün und blau".encode()


def test_it_cannot_be_written() -> None:
    backend = StorageBackend(InMemoryStorage())
    assert not isinstance(backend, (Puts, Deletes))


class Failing(InMemoryStorage):  # type: ignore[misc]
    """One whose method ``at`` raises ``error``, if it is asked."""

    def __init__(self, at: str, error: Exception) -> None:
        super().__init__()
        filled(self, {"a.txt": b"hello"})

        def fail(*_: Any) -> Any:
            raise error

        setattr(self, at, fail)


ASKED = ["exists", "size", "get_modified_time", "open"]


@pytest.mark.parametrize("at", ASKED)
@pytest.mark.parametrize(
    "error",
    [PermissionError("no"), RuntimeError("429"), ImproperlyConfigured("key"), TimeoutError(), KeyError("x")],
    ids=repr,
)
def test_what_it_cannot_tell_is_unavailable(at: str, error: Exception) -> None:
    backend = StorageBackend(Failing(at, error), name="prod")
    with pytest.raises(BackendUnavailable, match=f"Failing raised {type(error).__name__}") as caught:
        backend.open(Key("a.txt"))
    assert (caught.value.backend, caught.value.key) == ("prod", "a.txt")


@pytest.mark.parametrize("at", ASKED)
@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone"), IsADirectoryError(), NotADirectoryError()], ids=repr)
def test_what_it_says_is_missing_is(at: str, error: Exception) -> None:
    assert StorageBackend(Failing(at, error)).open(Key("a.txt")) is None


def test_a_name_that_it_refuses() -> None:
    with pytest.raises(NotServable, match="refuses the name: outside"):
        StorageBackend(Failing("exists", SuspiciousFileOperation("outside"))).open(Key("a.txt"))


def test_a_failing_listing() -> None:
    with pytest.raises(BackendUnavailable, match="Failing raised OSError"):
        list(StorageBackend(Failing("listdir", OSError(5, "io"))).list("", recursive=True))
    assert list(StorageBackend(Failing("listdir", FileNotFoundError())).list("b/", recursive=True)) == []


def test_what_is_said_is_short_and_holds_no_signature() -> None:
    error = RuntimeError("https://x/?X-Goog-Signature=" + "abcdef" + "&b=1\n" + "y" * 2000)
    with pytest.raises(BackendUnavailable) as caught:
        StorageBackend(Failing("exists", error)).open(Key("a.txt"))
    assert "abcdef" not in str(caught.value)
    assert "\n" not in caught.value.reason
    assert len(caught.value.reason) <= MAX_REASON_CHARACTERS + len("Failing raised RuntimeError: ")


class Breaking:
    """A file whose network breaks off."""

    size = 10

    def __init__(self, pieces: list[Any]) -> None:
        self._pieces = pieces
        self.closed = 0

    def seek(self, position: int) -> None:
        assert position == 0

    def read(self, size: int) -> Any:
        piece = self._pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("wrong", [OSError("reset"), "text"], ids=["error", "text"])
def test_a_file_that_breaks_off(wrong: Any) -> None:
    class OneFile(Only):
        def _open(self, name: str, mode: str) -> Any:
            return file

        def size(self, name: str) -> int:
            return 10

        def get_modified_time(self, name: str) -> datetime:
            return datetime(2020, 1, 1, tzinfo=UTC)

    file = Breaking([b"hello", wrong])
    handle = StorageBackend(OneFile()).open(Key("a.txt"))
    assert handle is not None
    pieces = handle.chunks(0, 10)
    assert next(pieces) == b"hello"
    with pytest.raises(BackendUnavailable, match="OneFile raised"):
        next(pieces)
    handle.close()
    handle.close()
    assert file.closed == 1


def test_as_a_lower_of_the_project(project: Any) -> None:
    project(STORAGES={"default": FILES, "far": MEMORY}, MEDIAMW={"backends": ["./media", "far=django:far"]})
    filled(storages["far"], {"far/b.txt": b"there", "a.txt": b"hidden by the upper's"})
    client = Client()
    assert client.get("/media/far/b.txt").content == b"there"
    assert client.get("/media/far/b.txt", headers={"Range": "bytes=1-2"}).content == b"he"
    assert client.get("/media/a.txt").content == b"hello"
    assert [entry.key for entry in media_stack().list()] == ["a.txt", "far/", "large.bin"]
    stack = media_stack()
    assert stack.delete("far/b.txt")
    assert client.get("/media/far/b.txt").status_code == 404
    assert storages["far"].exists("far/b.txt"), "nothing is deleted there"
    assert stack.restore("far/b.txt")
    project(MEDIAMW={"backends": ["./media", {"spec": "django:far", "exclude": ["far/"]}]})
    assert not media_stack().exists("far/b.txt")


def test_first_it_takes_no_writes() -> None:
    from mediamw import NotWritable

    stack = MediaStack([StorageBackend(InMemoryStorage()), MemoryBackend()])
    with pytest.raises(NotWritable):
        stack.save("a.txt", b"x")
