"""MediaStorage: what a Django storage has to do, over a stack; Django's own tests run in test_django_suite.py."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage, storages
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db.migrations.writer import MigrationWriter
from django.test import Client

from mediamw import BackendUnavailable, ConfigError, Entry, LocalBackend, MemoryBackend, Meta, NameTaken, NotWritable
from mediamw.ext.django import MediaStorage, media_stack

from .test_storages import FILES

OURS = {"BACKEND": "mediamw.ext.django.MediaStorage"}
LOWER = {"far/b.txt": b"production's", "a.txt": b"hidden by the upper's"}


class Lower(MemoryBackend):
    """Production: it counts what it is asked, and cannot tell while it is ``away``."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        super().__init__(LOWER if files is None else files, name="prod")
        self.before = dict(self._files)
        self.asked: list[str] = []
        self.away = False

    def open(self, key: Any) -> Any:
        self.asked.append(key)
        if self.away:
            raise BackendUnavailable("no answer", backend=self.name, key=key, operation="open")
        return super().open(key)

    open_now = open  # type: ignore[assignment]


@pytest.fixture
def lower() -> Iterator[Lower]:
    made = Lower()
    yield made
    assert made._files == made.before, "production was changed"


@pytest.fixture
def storage(project: Any, lower: Lower, media: Path) -> Any:
    project(STORAGES={"default": OURS}, MEDIAMW={"backends": [str(media), lower]}, USE_TZ=True)
    return default_storage


def bytes_of(storage: Any, name: str) -> bytes:
    with storage.open(name) as file:
        data: bytes = file.read()
        return data


def kept(media: Path) -> dict[str, bytes]:
    """Return the files of the upper but those of the state."""
    files = [path for path in media.rglob("*") if path.is_file() and ".mediamw" not in path.parts]
    return {str(path.relative_to(media)): path.read_bytes() for path in files if path.name != "large.bin"}


class Overwriting(MemoryBackend):
    """An upper whose server does not honour If-None-Match."""

    def is_exclusive(self) -> bool:
        return False


# -- the same truth ----------------------------------------------------------------------------------------------------


def test_code_sees_what_the_browser_sees(storage: Any, media: Path) -> None:
    client = Client()
    assert client.get(storage.url("far/b.txt")).content == storage.open("far/b.txt").read() == b"production's"
    name = storage.save("up loads/ü.txt", ContentFile(b"mine"))
    assert name == "up loads/ü.txt"
    assert client.get(storage.url(name)).content == storage.open(name).read() == b"mine"
    assert storage.listdir("") == (["far", "up loads"], ["a.txt", "large.bin"])
    storage.delete("far/b.txt")
    assert client.get("/media/far/b.txt").status_code == 404
    assert not storage.exists("far/b.txt")
    assert storage.listdir("") == (["up loads"], ["a.txt", "large.bin"])
    assert storage.listdir("far") == storage.listdir("nowhere") == ([], [])
    for ask in (storage.open, storage.size, storage.get_modified_time):
        with pytest.raises(FileNotFoundError):
            ask("far/b.txt")
    assert storage.path("far/b.txt") == str(media / "far/b.txt"), "where a new one would be"
    assert media_stack().restore("far/b.txt")
    assert storage.exists("far/b.txt")
    storage.delete("nobody/has.it")
    assert kept(media) == {"a.txt": b"hello", "up loads/ü.txt": b"mine"}


def test_a_name_that_production_has_is_taken(storage: Any, lower: Lower) -> None:
    name = storage.save("far/b.txt", ContentFile(b"mine"))
    assert (name[:6], name[-4:], len(name)) == ("far/b_", ".txt", len("far/b_1234567.txt"))
    assert storage.open("far/b.txt").read() == b"production's"
    storage.delete("far/b.txt")
    assert storage.save("far/b.txt", ContentFile(b"mine")) == "far/b.txt", "what was deleted is free"
    assert storage.open("far/b.txt").read() == b"mine"


def test_production_is_asked_once_for_each_upload(storage: Any, lower: Lower) -> None:
    storage.save("new.txt", ContentFile(b"mine"))
    assert lower.asked == ["new.txt"]


def test_an_upload_works_while_production_is_away(
    storage: Any, lower: Lower, media: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lower.away = True
    with caplog.at_level(logging.WARNING, "mediamw"):
        name = storage.save("new.txt", ContentFile(b"mine"), max_length=14)
    assert len(name) == 14
    assert (lower.asked, kept(media)[name]) == (["new.txt"], b"mine")
    assert f"so the upload 'new.txt' is stored as '{name}'" in caplog.text
    assert storage.open(name).read() == b"mine"
    assert storage.url("new.txt") == "/media/new.txt"
    for ask in (storage.exists, storage.open, storage.size, storage.path):
        with pytest.raises(BackendUnavailable, match="no answer") as caught:
            ask("new.txt")
        assert isinstance(caught.value, OSError), "what libraries catch around a storage"
    assert not storage.is_name_available("new.txt")
    lower.away = False
    assert storage.is_name_available("new.txt")


def test_two_uploads_of_one_name_are_two_files(storage: Any, media: Path) -> None:
    both = threading.Barrier(2, timeout=10)

    class Slow(ContentFile):  # type: ignore[misc]
        def chunks(self, chunk_size: int | None = None) -> Any:
            both.wait()  # both have found the name free
            return super().chunks(chunk_size)

    names: list[str] = []
    threads = [
        threading.Thread(target=lambda at=at: names.append(storage.save("same.txt", Slow(b"%d" % at))))
        for at in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kept(media)[name] for name in names) == [b"0", b"1"]
    assert "same.txt" in names


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "of_stack", "taken_above", "taken_below"),
    [
        ({}, "suffix", "another", "another"),
        ({"names": "shadow"}, "suffix", "another", "far/b.txt"),
        ({}, "shadow", "another", "far/b.txt"),
        ({"names": "suffix"}, "shadow", "another", "another"),
        ({"names": "error"}, "suffix", None, None),
        ({}, "error", None, None),
        ({"allow_overwrite": True}, "suffix", "a.txt", "far/b.txt"),
        ({"names": "replace"}, "error", "a.txt", "far/b.txt"),
        ({}, "replace", "a.txt", "far/b.txt"),
    ],
)
def test_policies(
    options: Any, of_stack: str, taken_above: str | None, taken_below: str | None, project: Any, lower: Lower
) -> None:
    project(
        STORAGES={"default": {**OURS, "OPTIONS": options}}, MEDIAMW={"backends": ["media", lower], "names": of_stack}
    )
    for name, saved in (("a.txt", taken_above), ("far/b.txt", taken_below)):
        if saved is None:
            with pytest.raises(FileExistsError):
                default_storage.save(name, ContentFile(b"mine"))
            continue
        got = default_storage.save(name, ContentFile(b"mine"))
        assert (got != name) if saved == "another" else got == saved
        assert default_storage.open(got).read() == b"mine"
    assert default_storage.save("free.txt", ContentFile(b"mine")) == "free.txt"


def test_an_upper_that_cannot_keep_uploads_apart(project: Any, lower: Lower) -> None:
    """Every new file has a name by chance, as in the stack, and no longer than a field may have it."""
    project(STORAGES={"default": OURS}, MEDIAMW={"backends": [Overwriting(name="qa"), lower]})
    stack = default_storage.stack
    names = [default_storage.save("new.txt", ContentFile(b"mine"), max_length=14) for _ in range(2)]
    assert all(re.fullmatch(r"ne?w?_[A-Za-z0-9]{7}\.txt", name) and len(name) <= 14 for name in names)
    assert len(set(names)) == 2
    assert {bytes_of(default_storage, name) for name in names} == {b"mine"}
    assert not default_storage.is_name_available("new.txt")
    assert not stack.is_free("new.txt")
    # A project that names files itself: what has the name is not replaced all the same.
    stack.save("own.txt", b"first", names="replace")
    saved = default_storage._save("own.txt", ContentFile(b"second"))
    assert re.fullmatch(r"own_[A-Za-z0-9]{7}\.txt", saved)
    assert bytes_of(default_storage, "own.txt") == b"first"
    with pytest.raises(NotWritable, match="does not honour If-None-Match"):
        MediaStorage(names="error").save("other.txt", ContentFile(b"mine"))
    assert MediaStorage(allow_overwrite=True).save("own.txt", ContentFile(b"third")) == "own.txt"


def test_a_project_s_own_way_to_a_name(storage: Any, lower: Lower) -> None:
    class Deleting(MediaStorage):
        """An old recipe for replacing."""

        def get_available_name(self, name: Any, max_length: int | None = None) -> str:
            self.delete(name)
            return str(name)

    made = Deleting()
    for name in ("a.txt", "far/b.txt"):
        assert made.save(name, ContentFile(b"mine")) == name
        assert storage.open(name).read() == b"mine"


@pytest.mark.parametrize("name", ["..", "../a.txt", "/etc/passwd", "x/../../a", "a\0b", ".mediamw/tmp/x", "é" * 200])
def test_names_that_lead_out_or_can_be_none(name: str, storage: Any) -> None:
    for ask in (storage.exists, storage.open, storage.size, storage.delete):
        with pytest.raises(SuspiciousFileOperation):
            ask(name)
    with pytest.raises(SuspiciousFileOperation):
        storage.save(name, ContentFile(b""))


def test_names_that_mean_the_same(storage: Any, media: Path) -> None:
    for name in ("./far//b.txt", Path("far/b.txt"), "far\\b.txt", str(media / "far" / "b.txt")):
        assert storage.open(name).read() == b"production's"
    assert storage.listdir(str(media)) == storage.listdir(".") == storage.listdir("")
    assert storage.exists("")
    assert storage.path("") == str(media)


def test_a_folder_has_its_name(storage: Any, media: Path) -> None:
    storage.save("folder/x.txt", ContentFile(b""))
    assert storage.exists("folder")
    assert storage.save("folder", ContentFile(b"")) != "folder"
    with pytest.raises(FileExistsError, match=f"{media}/a.txt exists and is not a directory"):
        storage.save("a.txt/b.txt", ContentFile(b""))


# -- open --------------------------------------------------------------------------------------------------------------

MODES = [way + plus + kind for way in "rwxa" for plus in ("", "+") for kind in ("", "b")]


def used(storage: Any, name: str, mode: str) -> tuple[Any, ...]:
    """Open a file and do what the mode lets one do; return what was seen."""
    seen: list[Any] = []
    content: Any = b"new\n" if "b" in mode else "nü\n"
    try:
        with storage.open(name, mode) as file:
            for do in (
                lambda: file.tell(),
                lambda: file.read(3),
                lambda: file.write(content),
                lambda: file.seek(2),
                lambda: file.write(content),
                lambda: file.seek(0),
                lambda: file.read(),
            ):
                try:
                    seen.append(do())
                except (OSError, ValueError) as error:
                    seen.append(type(error))
            seen.append(file.size)
    except OSError as error:
        seen.append(type(error))
    return *seen, storage.exists(name) and bytes_of(storage, name)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["a.txt", "far/b.txt", "far/none.txt"])
def test_every_mode_is_as_on_a_disk(name: str, mode: str, storage: Any, tmp_path: Path, media: Path) -> None:
    """Wherever the file lies; what is written to one of production's is written to a copy."""
    oracle = tmp_path / "oracle"
    (oracle / "far").mkdir(parents=True)
    (oracle / "a.txt").write_bytes(b"hello")
    (oracle / "far" / "b.txt").write_bytes(LOWER["far/b.txt"])
    assert used(storage, name, mode) == used(FileSystemStorage(oracle), name, mode)
    if mode[0] != "r":
        assert (name in kept(media)) == (oracle / name).exists() or mode[0] == "x"


@pytest.mark.parametrize("mode", ["", "rw", "br+z", "rbt", "U", "rr", "+"])
def test_no_mode(mode: str, storage: Any) -> None:
    with pytest.raises(ValueError, match="mode"):
        storage.open("a.txt", mode)


@pytest.mark.parametrize("mode", ["r+b", "ab"])
def test_what_is_opened_and_not_changed_stays_production_s(mode: str, storage: Any, media: Path) -> None:
    with storage.open("far/b.txt", mode):
        pass
    assert kept(media) == {"a.txt": b"hello"}
    with pytest.raises(NotImplementedError):
        storage.path("far/b.txt")
    with storage.open("far/b.txt", mode) as file:
        file.write(b"P")
    assert bytes_of(storage, "far/b.txt") == (b"Production's" if "r" in mode else b"production'sP")


def test_others_see_the_old_file_until_it_is_closed(storage: Any, media: Path) -> None:
    file = storage.open("far/b.txt", "w")
    file.write("mine")
    file.flush()
    assert storage.open("far/b.txt").read() == b"production's"
    file.close()
    file.close()
    assert storage.open("far/b.txt").read() == b"mine"
    file.open()  # as it was opened before: a FieldFile does that
    file.close()
    assert storage.size("far/b.txt") == 0
    with pytest.raises(UnicodeEncodeError), storage.open("a.txt", "w") as file:
        print("half", "\udc80", file=file)
    assert kept(media)["a.txt"] == b"hello"


def test_one_that_was_never_closed_is_told(storage: Any, media: Path) -> None:
    file = storage.open("a.txt", "w")
    file.write("x")
    with pytest.warns(ResourceWarning, match=r"'a\.txt' was written and never closed"):
        file.__del__()
    assert kept(media)["a.txt"] == b"hello"


def test_no_temporary_file_stays(storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "tmp"
    there.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(there))
    for name in ("a.txt", "far/b.txt", "far/none.txt"):
        for mode in MODES:
            used(storage, name, mode)
    assert list(there.iterdir()) == []


def test_reading(storage: Any, lower: Lower) -> None:
    file = storage.open("far/b.txt")
    assert (file.name, file.size, len(file), file.mode, bool(file)) == ("far/b.txt", 12, 12, "rb", True)
    assert list(file.chunks(5)) == [b"produ", b"ction", b"'s"]
    file.close()
    assert file.closed
    assert file.open().read() == b"production's"
    file.close()
    with storage.open("far/b.txt", "r") as text:
        assert text.readlines() == ["production's"]


def test_an_outage_while_reading_is_an_oserror(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks_off(*_: Any) -> Iterator[bytes]:
        raise BackendUnavailable("reset", backend="prod")

    monkeypatch.setattr("mediamw.backends.memory.MemoryHandle.chunks", breaks_off)
    for read in ("read", "readline"):
        with storage.open("far/b.txt") as file, pytest.raises(OSError, match="reset"):
            getattr(file, read)()


# -- save --------------------------------------------------------------------------------------------------------------


def test_an_upload_is_streamed(storage: Any, media: Path) -> None:
    class Endless(ContentFile):  # type: ignore[misc]
        most = 0

        def chunks(self, chunk_size: int | None = None) -> Any:
            for _ in range(64):
                yield b"x" * 65536
                state = media / ".mediamw" / "tmp"
                self.most = max(self.most, sum(path.stat().st_size for path in state.iterdir()))

        def read(self, *_: Any) -> bytes:
            raise AssertionError("it is not read as a whole")

    content = Endless(b"")
    storage.save("large.dat", content)
    assert storage.size("large.dat") == content.most == 64 * 65536


def test_a_temporary_upload_is_taken_over(storage: Any) -> None:
    with TemporaryUploadedFile("t.txt", "text/plain", 4, None) as upload:
        upload.write(b"mine")
        storage.save("t.txt", upload)
        assert not os.path.exists(upload.temporary_file_path())
    assert storage.open("t.txt").read() == b"mine"


def test_a_full_disk(storage: Any, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mediamw.backends.local_put._write", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        storage.save("new.txt", ContentFile(b"mine"))
    assert (caught.value.errno, isinstance(caught.value, BackendUnavailable)) == (28, True)
    with pytest.raises(OSError, match="No space"), storage.open("far/b.txt", "a") as file:
        file.write("mine")
    assert kept(media) == {"a.txt": b"hello"}


def test_a_disk_that_may_not_be_written(storage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mediamw.backends.local_put._temporary", refused)
    with pytest.raises(PermissionError):
        storage.save("new.txt", ContentFile(b"mine"))


def test_no_upper_that_takes_writes(project: Any) -> None:
    class OnlyReads:
        name = "prod"

        def open(self, key: Any) -> None:
            return None

    project(STORAGES={"default": OURS}, MEDIAMW={"backends": [OnlyReads()]})
    with pytest.raises(NotWritable):
        default_storage.save("a.txt", ContentFile(b""))
    with pytest.raises(NotWritable):
        default_storage.open("a.txt", "w")
    with pytest.raises(NotWritable):
        default_storage.delete("a.txt")


def test_modes_of_files(project: Any, media: Path, lower: Lower) -> None:
    project(STORAGES={"default": OURS}, FILE_UPLOAD_PERMISSIONS=0o604, FILE_UPLOAD_DIRECTORY_PERMISSIONS=0o705)

    def modes(name: str) -> tuple[int, int]:
        path = Path(default_storage.path(default_storage.save(name, ContentFile(b""))))
        return path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777

    assert modes("one/a.txt") == (0o604, 0o705)
    project(FILE_UPLOAD_PERMISSIONS=0o640)
    assert modes("two/a.txt") == (0o640, 0o705)
    project(MEDIAMW={"backends": [{"spec": str(media), "file_mode": 0o600}]})
    assert modes("three/a.txt") == (0o600, 0o705)
    own = LocalBackend(media)
    options = {"backends": [own], "file_permissions_mode": 0o611}
    project(STORAGES={"default": {**OURS, "OPTIONS": options}}, FILE_UPLOAD_DIRECTORY_PERMISSIONS=None)
    assert modes("four/a.txt")[0] == 0o611
    assert (default_storage.file_permissions_mode, default_storage.directory_permissions_mode) == (0o611, None)


# -- url, path, size, times --------------------------------------------------------------------------------------------


def test_direct_urls(project: Any, media: Path) -> None:
    bucket = {
        "spec": "s3://acme",
        "name": "prod",
        "access_key_id": "AK",
        "secret_access_key": "SK",
        "check": False,
    }
    options = {"direct_urls": True}
    project(
        STORAGES={"default": {**OURS, "OPTIONS": options}, "plain": OURS},
        MEDIAMW={"backends": [str(media), {**bucket, "region": "eu-west-1"}]},
    )
    assert default_storage.url("far/b.txt").startswith("https://acme.s3.eu-west-1.amazonaws.com/far/b.txt?X-Amz-")
    assert default_storage.url("a.txt") == storages["plain"].url("a.txt") == "/media/a.txt"
    assert storages["plain"].url("far/b.txt") == "/media/far/b.txt"
    assert default_storage.url("../a") == storages["plain"].url("../a")
    media_stack().delete("far/b.txt")
    assert default_storage.url("far/b.txt") == "/media/far/b.txt"


def test_url_asks_nobody(storage: Any, lower: Lower, project: Any) -> None:
    assert storage.url("far/ü b.txt") == "/media/far/%C3%BC%20b.txt"
    project(MEDIA_URL="https://cdn.example.com/m/")
    assert storage.url("a.txt") == "https://cdn.example.com/m/a.txt"
    assert MediaStorage(base_url="/x").url("a.txt") == "/x/a.txt"
    assert lower.asked == []


def test_path_is_of_the_upper_alone(storage: Any, media: Path, project: Any, tmp_path: Path) -> None:
    assert storage.path("a.txt") == str(media / "a.txt")
    assert storage.path("new.txt") == str(media / "new.txt")
    with pytest.raises(NotImplementedError, match="in a read-only backend"):
        storage.path("far/b.txt")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c.txt").write_text("production's, on a disk that can be written to")
    project(MEDIAMW={"backends": [str(media), {"spec": str(tmp_path / "below"), "name": "below"}]})
    with pytest.raises(NotImplementedError):
        storage.path("c.txt")
    project(MEDIAMW={"backends": ["memory:"]})
    with pytest.raises(NotImplementedError, match="not a directory"):
        storage.path("a.txt")


def test_times(storage: Any, media: Path, lower: Lower, project: Any) -> None:
    os.utime(media / "a.txt", (1_000_000_000, 1_100_000_000))
    assert storage.get_accessed_time("a.txt") == datetime.fromtimestamp(1_000_000_000, UTC)
    assert storage.get_modified_time("a.txt") == datetime.fromtimestamp(1_100_000_000, UTC)
    assert storage.get_created_time("a.txt") == datetime.fromtimestamp(os.path.getctime(media / "a.txt"), UTC)
    assert storage.get_created_time("far/b.txt") == storage.get_modified_time("far/b.txt")
    with pytest.raises(NotImplementedError):
        storage.get_accessed_time("far/b.txt")
    project(USE_TZ=False)
    assert storage.get_modified_time("a.txt") == datetime.fromtimestamp(1_100_000_000)  # noqa: DTZ006 - so it is then
    for ask in (storage.get_accessed_time, storage.get_modified_time, storage.get_created_time):
        with pytest.raises(FileNotFoundError):
            ask("none.txt")


def test_what_a_backend_does_not_say(project: Any, media: Path) -> None:
    """Neither length nor date, as of a site that compresses as it sends."""

    class Site:
        name = "site"

        def open(self, key: Any) -> Any:
            from mediamw import Remote

            return Remote(Meta(None)) if key == "b.txt" else None

        def read_range(self, *_: Any, **__: Any) -> Any:
            raise AssertionError

        def read_whole(self, key: Any, etag: Any) -> Iterator[bytes]:
            yield b"hello"
            yield b" there"

        def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
            raise BackendUnavailable("it cannot list", backend="site")

    project(STORAGES={"default": OURS}, MEDIAMW={"backends": [str(media), Site()]})
    assert default_storage.size("b.txt") == 11
    assert bytes_of(default_storage, "b.txt") == b"hello there"
    with pytest.raises(NotImplementedError):
        default_storage.get_modified_time("b.txt")
    with pytest.raises(OSError, match="cannot list"):
        default_storage.listdir("")


# -- settings ----------------------------------------------------------------------------------------------------------


def test_it_is_made_before_the_settings_are_complete(project: Any, tmp_path: Path) -> None:
    project(MEDIAMW={"backends": 1, "nonsense": 2})
    made = MediaStorage()
    with pytest.raises(ConfigError, match="nonsense"):
        made.exists("a.txt")
    project(MEDIAMW={"backends": [str(tmp_path / "media")]})
    assert made.exists("a.txt")
    (tmp_path / "b").mkdir()
    project(MEDIAMW={"backends": [str(tmp_path / "b")]})
    assert not made.exists("a.txt")


def test_backends_of_its_own(project: Any, media: Path, tmp_path: Path) -> None:
    options = {"backends": [str(tmp_path / "own"), {"spec": "django:files", "name": "below"}]}
    project(STORAGES={"default": OURS, "own": {**OURS, "OPTIONS": options}, "files": FILES})
    own = storages["own"]
    assert own.open("a.txt").read() == b"hello"
    own.delete("a.txt")
    assert own.save("b.txt", ContentFile(b"mine")) == "b.txt"
    assert own.path("b.txt") == str(tmp_path / "own" / "b.txt")
    assert (media / "a.txt").exists()
    assert not default_storage.exists("b.txt")
    stack = own.stack
    assert own.stack is stack, "made once"
    project(MEDIA_ROOT=str(tmp_path / "elsewhere"))
    assert own.stack is not stack
    assert not own.exists("a.txt")


def test_switched_off_it_is_a_storage_of_media_root(project: Any, media: Path) -> None:
    """Whatever else is set: production's own settings may not know the backends of a developer."""
    project(STORAGES={"default": OURS}, MEDIAMW={"enabled": False, "backends": ["ftp://nowhere"]})
    assert default_storage.open("a.txt").read() == b"hello"
    assert default_storage.save("b.txt", ContentFile(b"mine")) == "b.txt"
    default_storage.delete("a.txt")
    assert kept(media) == {"b.txt": b"mine"}
    project(MEDIA_ROOT="")
    with pytest.raises(ConfigError, match="MEDIA_ROOT"):
        default_storage.exists("b.txt")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"names": "overwrite"}, "none of suffix"),
        ({"names": "error", "allow_overwrite": True}, "overwriting is names='replace'"),
        ({"file_permissions_mode": 0o600}, "they go with backends"),
    ],
)
def test_wrong_options(options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MediaStorage(**options)


def test_in_a_migration() -> None:
    made = MediaStorage(backends=["./other", "s3://acme"], direct_urls=True)
    assert made.deconstruct() == (
        "mediamw.ext.django.MediaStorage",
        (),
        {"backends": ["./other", "s3://acme"], "direct_urls": True},
    )
    text, imports = MigrationWriter.serialize(made)
    assert text == "mediamw.ext.django.MediaStorage(backends=['./other', 's3://acme'], direct_urls=True)"
    assert imports == {"import mediamw.ext.django"}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_copies(copied: Any, tmp_path: Path) -> None:
    made = MediaStorage(backends=[str(tmp_path)], names="shadow")
    assert made.save("a.txt", ContentFile(b"mine")) == "a.txt"
    other = copied(made)
    assert (other.exists("a.txt"), other.names, other.stack is made.stack) == (True, "shadow", False)


def test_delete_wants_a_name(storage: Any) -> None:
    for name in ("", None):
        with pytest.raises(ValueError, match="The name must be given"):
            storage.delete(name)


def test_name_taken_is_django_s_own_error() -> None:
    assert issubclass(NameTaken, FileExistsError)
