"""FileStorage and StoredFile: what DEPOT's documentation promises of them, and all that can be stored."""

from __future__ import annotations

import gzip
import io
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from starlette.datastructures import Headers, UploadFile
from werkzeug.datastructures import FileStorage as WerkzeugFile

from mediamw import BackendUnavailable, LocalBackend, MediaStack, MemoryBackend
from mediamw.ext.depot.io.interfaces import FileStorage, StoredFile
from mediamw.ext.depot.io.local import DepotDirectory, LocalFileStorage
from mediamw.ext.depot.io.memory import MemoryFileStorage
from mediamw.ext.depot.io.utils import INMEMORY_FILESIZE, FileIntent, file_from_content, fileinfo

from .depot_suite.differences import EXPECTED_DIFFERENCES
from .fakes import Bucket

DATA = b"HELLO WORLD\n" * 3
PNG, OCTETS = "image/png", "application/octet-stream"


def layered(folder: Path) -> FileStorage:
    return FileStorage(MediaStack([DepotDirectory(folder / "upper"), MemoryBackend()]))


STORAGES: dict[str, Callable[[Path], FileStorage]] = {
    "local": lambda folder: LocalFileStorage(folder / "media"),
    "memory": lambda _: MemoryFileStorage(),
    "layered": layered,
}


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileStorage]:
    made = STORAGES[request.param](tmp_path)
    yield made
    made.stack.close()


_open: list[Any] = []
"""The files that a test made."""


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def named_file(folder: Path) -> Any:
    path = folder / "photo.png"
    path.write_bytes(DATA)
    _open.append(path.open("rb"))
    return _open[-1]


def numbered_file() -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed above
    _open.append(file)
    file.write(DATA)
    file.seek(0)
    return file


def at(position: int) -> io.BytesIO:
    file = io.BytesIO(b"___" + DATA)
    file.seek(position)
    return file


def field(**members: Any) -> Any:
    return SimpleNamespace(**{"filename": "photo.png", "file": io.BytesIO(DATA), "type": PNG, **members})


INPUTS: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "bytes": (lambda _: DATA, "unnamed", OCTETS),
    "a bytearray": (lambda _: bytearray(DATA), "unnamed", OCTETS),
    "pieces": (lambda _: iter([DATA[:5], DATA[5:]]), "unnamed", OCTETS),
    "a file in memory": (lambda _: io.BytesIO(DATA), "unnamed", OCTETS),
    "a file that was read before: from where it stands": (lambda _: at(3), "unnamed", OCTETS),
    "a file of the disk": (named_file, "photo.png", PNG),
    "a file whose name is a number": (lambda _: numbered_file(), "unnamed", OCTETS),
    "an intent": (lambda _: FileIntent(DATA, "photo.png", PNG), "photo.png", PNG),
    "an intent of a file": (lambda folder: FileIntent(named_file(folder), "b.gif", "image/gif"), "b.gif", "image/gif"),
    "an intent without a name": (lambda _: FileIntent(DATA, None, None), "unnamed", OCTETS),
    "cgi.FieldStorage": (lambda _: field(), "photo.png", PNG),
    "multipart.MultipartPart": (lambda _: field(content_type=PNG, type=None), "photo.png", PNG),
    "an upload that has a type of its own": (lambda _: field(type="image/gif"), "photo.png", "image/gif"),
    "an upload without a type": (lambda _: field(type=None), "photo.png", PNG),
    "an upload without a name": (lambda _: field(filename=None, type=None), "unnamed", OCTETS),
    "Werkzeug": (lambda _: WerkzeugFile(io.BytesIO(DATA), "photo.png", content_type=PNG), "photo.png", PNG),
    "Werkzeug, of a large upload": (lambda _: rolled(), "photo.png", PNG),
    "Starlette": (
        lambda _: UploadFile(io.BytesIO(DATA), filename="photo.png", headers=Headers({"content-type": PNG})),
        "photo.png",
        PNG,
    ),
    "a stored file": (lambda _: other_file(), "photo.png", PNG),
}  # fmt: skip


def rolled() -> WerkzeugFile:
    file = tempfile.SpooledTemporaryFile(5)  # noqa: SIM115 - closed above
    _open.append(file)
    file.write(DATA)
    file.seek(0)
    return WerkzeugFile(file, "photo.png", content_type=PNG)  # type: ignore[arg-type]


def other_file() -> StoredFile:
    other = MemoryFileStorage()
    return other.get(other.create(DATA, "photo.png"))


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what the inputs are made of
@pytest.mark.parametrize("kind", INPUTS)
def test_what_can_be_stored(storage: FileStorage, tmp_path: Path, kind: str) -> None:
    make, filename, content_type = INPUTS[kind]
    with storage.get(storage.create(make(tmp_path))) as file:
        assert (file.read(), file.filename, file.content_type) == (DATA, filename, content_type)
        assert file.content_length == len(DATA)
    if "intent" in kind:
        return
    with storage.get(storage.create(make(tmp_path), "given.txt", "text/css")) as file:
        assert (file.read(), file.filename, file.content_type) == (DATA, "given.txt", "text/css")
    old = storage.create(b"old", "old.txt")
    assert storage.replace(old, make(tmp_path)) == old
    with storage.get(old) as file:
        expected = ("old.txt", "text/plain") if filename == "unnamed" else (filename, content_type)
        assert (file.read(), file.filename, file.content_type) == (DATA, *expected)


@pytest.mark.parametrize("content", ["text", io.StringIO("text"), ["text"], None, 5])
def test_what_is_no_bytes(storage: FileStorage, content: Any) -> None:
    file_id = storage.create(b"old", "old.txt")
    for act in (lambda: storage.create(content, "a.txt"), lambda: storage.replace(file_id, content)):
        with pytest.raises(
            TypeError, match="Only bytes can be stored, not unicode" if content == "text" else "expected bytes"
        ):
            act()
    assert storage.list() == [file_id]
    assert storage.get(file_id).read() == b"old"


def test_an_upload_that_breaks_leaves_what_was(storage: FileStorage) -> None:
    def breaks() -> Iterator[bytes]:
        yield b"new"
        raise ConnectionResetError

    file_id = storage.create(b"old", "old.txt")
    for act in (lambda: storage.create(breaks(), "a.txt"), lambda: storage.replace(file_id, breaks(), "a.txt")):
        with pytest.raises(ConnectionResetError):
            act()
    assert storage.list() == [file_id]
    with storage.get(file_id) as file:
        assert (file.read(), file.filename) == (b"old", "old.txt")


def test_names_of_all_kinds(storage: FileStorage) -> None:
    for name in ("Küche 1.jpg", "些公.pdf", "../../etc/passwd", 'a"b.txt', "a\r\nb.txt", "x" * 300):
        assert storage.get(storage.create(DATA, name)).filename == name


@pytest.mark.parametrize("file_id", ["NOTANID", "", "../../etc/passwd", "a" * 1000, None, 5, "urn:uuid:" + "0" * 32])
def test_what_is_no_id(storage: FileStorage, file_id: Any) -> None:
    for act in (
        lambda: storage.get(file_id),
        lambda: storage.exists(file_id),
        lambda: storage.replace(file_id, b"x"),
        lambda: storage.delete(file_id),
    ):
        with pytest.raises(ValueError, match="it is no UUID"):
            act()


def test_what_is_an_id(storage: FileStorage) -> None:
    file_id = storage.create(DATA)
    assert uuid.UUID(file_id).version == 1
    assert str(uuid.UUID(file_id)) == file_id
    file = storage.get(uuid.UUID(file_id))
    assert storage.fileid(file) == storage.fileid(file_id) == file_id
    assert storage.exists(file)
    assert storage.get(file).read() == DATA


def test_a_file_that_is_not_there(storage: FileStorage) -> None:
    file_id = storage.create(DATA, "a.txt")
    assert storage.exists(file_id)
    storage.delete(file_id)
    storage.delete(file_id)
    assert not storage.exists(file_id)
    assert storage.list() == []
    for act in (lambda: storage.get(file_id), lambda: storage.replace(file_id, b"x")):
        with pytest.raises(IOError, match=f"file {file_id} does not exist"):
            act()
    assert storage.list() == []


def test_a_copy_into_another_storage_keeps_the_id(storage: FileStorage, tmp_path: Path) -> None:
    file = storage.get(storage.create(DATA, "Küche.txt", "text/plain"))
    file.read()
    for other in (LocalFileStorage(tmp_path / "other"), MemoryFileStorage()):
        assert other.replace(file, file) == file.file_id
        with other.get(file.file_id) as copy:
            assert (copy.read(), copy.filename, copy.content_type) == (DATA, "Küche.txt", "text/plain")
        other.stack.close()
    file.close()


def test_a_file_can_take_its_own_place(storage: FileStorage) -> None:
    with storage.get(storage.create(DATA, "a.txt")) as file:
        storage.replace(file, file)
    assert storage.get(file.file_id).read() == DATA


def test_dates_are_utc_without_a_zone(storage: FileStorage) -> None:
    modified = storage.get(storage.create(DATA)).last_modified
    assert modified is not None
    assert modified.tzinfo is None
    assert abs(modified - datetime.now(UTC).replace(tzinfo=None)) < timedelta(seconds=60)


# -- a stored file is a file -------------------------------------------------------------------------------------------


def test_it_is_read_like_a_file(storage: FileStorage) -> None:
    file = storage.get(storage.create(DATA, "a.txt"))
    assert isinstance(file, io.IOBase)
    assert (file.readable(), file.writable(), file.seekable(), file.closed) == (True, False, True, False)
    assert (file.name, file.tell()) == ("a.txt", 0)
    assert file.read(5) == b"HELLO"
    assert file.tell() == 5
    assert (file.readline(), file.readline(3)) == (b" WORLD\n", b"HEL")
    assert file.seek(0) == 0
    assert list(file) == [b"HELLO WORLD\n"] * 3
    assert file.read() == b""
    assert file.seek(-6, 2) == len(DATA) - 6
    assert file.read(None) == b"WORLD\n"
    file.seek(0)
    buffer = bytearray(5)
    assert (file.readinto(buffer), bytes(buffer)) == (5, b"HELLO")
    file.close()
    file.close()
    assert file.closed
    for act in (file.read, file.readline, file.tell, lambda: file.seek(0), file.__enter__):
        with pytest.raises(ValueError, match="closed file"):
            act()


def test_programs_that_take_files_take_it(storage: FileStorage) -> None:
    picture, packed = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (3, 2)).save(picture, "PNG")
    with gzip.open(packed, "wb") as stream:
        stream.write(DATA)
    with storage.get(storage.create(picture.getvalue())) as file, Image.open(file) as image:
        assert image.size == (3, 2)
    with storage.get(storage.create(packed.getvalue())) as file, gzip.open(file) as unpacked:
        assert unpacked.read() == DATA
    with storage.get(storage.create(DATA)) as file, tempfile.TemporaryFile() as target:
        shutil.copyfileobj(file, target)
        target.seek(0)
        assert target.read() == DATA
    with io.TextIOWrapper(io.BufferedReader(storage.get(storage.create(DATA)))) as text:  # type: ignore[type-var]
        assert text.read() == DATA.decode()


def test_it_is_opened_when_it_is_read(tmp_path: Path) -> None:
    opened = []
    file = StoredFile("id", open=lambda: opened.append(1) or io.BytesIO(DATA))  # type: ignore[func-returns-value]
    file.tell()
    assert not opened
    assert (file.read(), file.read()) == (DATA, b"")
    assert opened == [1]
    never = StoredFile("id")
    with pytest.raises(OSError, match="nobody said how"):
        never.read()
    assert never.public_url is None


def test_repr(storage: FileStorage) -> None:
    file = storage.get(storage.create(DATA, "a.txt"))
    assert repr(file) == (
        f"<StoredFile:{file.file_id} filename=a.txt content_type=text/plain last_modified={file.last_modified}>"
    )
    assert "MediaStack" in repr(storage)


# -- inputs by themselves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, INMEMORY_FILESIZE + 1])
def test_file_from_content(size: int) -> None:
    data = b"x" * size
    for content, must_close in (
        (data, True),
        (FileIntent(data, "a.txt", None), True),
        (io.BytesIO(data), False),
        (FileIntent(io.BytesIO(data), "a.txt", None), False),
        (field(file=io.BytesIO(data)), False),
    ):
        closes, file = file_from_content(content)
        file_again = file
        assert (closes, file_again.read()) == (must_close, data)
        file.close()


def test_fileinfo_of_what_was_there_before() -> None:
    before = SimpleNamespace(filename="old.txt", content_type="text/plain")
    for existing in (before, lambda: before):
        assert fileinfo(b"x", existing=existing) == (b"x", "old.txt", "text/plain")
        assert fileinfo(b"x", "new.png", existing=existing) == (b"x", "new.png", PNG)
        assert fileinfo(FileIntent(b"x", None, PNG), existing=existing) == (b"x", "old.txt", "text/plain")


# -- layers ------------------------------------------------------------------------------------------------------------


class Watched(MemoryBackend):
    """A lower that could be written to, and must not be."""

    def __init__(self) -> None:
        super().__init__(name="production")
        self.is_watched = False

    def keep(self, *arguments: Any) -> None:
        assert not self.is_watched
        super().keep(*arguments)

    def delete(self, *arguments: Any) -> bool:
        assert not self.is_watched
        return super().delete(*arguments)


def test_only_the_upper_is_written_to(tmp_path: Path) -> None:
    production = Watched()
    theirs = FileStorage(MediaStack([production]))
    one, two = theirs.create(b"theirs", "a.txt"), theirs.create(b"theirs", "b.txt")
    production.is_watched = True
    storage = FileStorage(MediaStack([DepotDirectory(tmp_path), production]))
    storage.replace(one, b"ours")
    storage.delete(two)
    new = storage.create(b"new", "c.txt")
    assert storage.list() == sorted([one, new])
    with storage.get(one) as file:
        assert (file.read(), file.filename) == (b"ours", "a.txt")
    assert sorted(theirs.list()) == sorted([one, two])
    storage.delete(one)
    assert not storage.exists(one), "and production's does not come back"
    storage.stack.close()
    theirs.stack.close()


def test_what_cannot_tell_is_no_missing_file() -> None:
    def fail() -> None:
        raise BackendUnavailable("down", backend="production")

    away = Bucket("production", wait=fail)
    storage = FileStorage(MediaStack([MemoryBackend(), away]))
    file_id = storage.create(DATA, "a.txt")
    assert storage.get(file_id).read() == DATA
    for act in (lambda: storage.get(str(uuid.uuid1())), lambda: storage.exists(str(uuid.uuid1()))):
        with pytest.raises(BackendUnavailable):
            act()
    storage.stack.close()


def test_a_plain_directory_keeps_no_names(tmp_path: Path) -> None:
    storage = FileStorage(MediaStack([LocalBackend(tmp_path)]))
    file_id = storage.create(DATA, "a.png")
    (tmp_path / "no id.txt").write_bytes(b"x")
    assert (tmp_path / file_id).read_bytes() == DATA
    assert storage.list() == [file_id]
    assert (storage.get(file_id).filename, storage.get(file_id).content_type) == ("unnamed", PNG)
    assert storage.get(file_id).public_url is None
    storage.stack.close()


def test_every_difference_is_a_test_of_depots() -> None:
    """A name that is misspelt, or gone, would hide nothing and say that it does."""
    from .depot_suite import test_buckets
    from .depot_suite.loader import load

    for name in EXPECTED_DIFFERENCES:
        file, case, test = name.split(".")
        module = test_buckets if file == "test_buckets" else load(file)
        assert hasattr(getattr(module, case), test), name
