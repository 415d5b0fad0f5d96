"""FallbackStorage: what django-fallback-storage documents, one test each, and its accidents, which cannot happen."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage, default_storage, storages
from django.db.migrations.writer import MigrationWriter
from django.utils import timezone

from mediamw import BackendUnavailable, LocalBackend, NameTaken
from mediamw.backends.local_put import LocalDraft
from mediamw.core.keys import Key
from mediamw.ext.django import FallbackStorage
from mediamw.ext.django.fallback_copy import copy_up
from mediamw.ext.django.fallback_members import FallbackConfigError
from mediamw.stack.whiteouts import marker_of

PRODUCTION = {"far/b.txt": b"production's", "both.txt": b"production's both"}
FILES = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
THIRTEEN = [
    *("_open", "_save", "delete", "exists", "listdir", "size", "url", "accessed_time", "created_time", "modified_time"),
    *("get_valid_name", "get_available_name", "path"),
]


class Production(InMemoryStorage):  # type: ignore[misc]
    """It counts what writes it is asked for, and cannot tell while it is ``away``."""

    def __init__(self) -> None:
        super().__init__(base_url="https://cdn.example.com/")
        self.away = False
        for name, data in PRODUCTION.items():
            super()._save(name, ContentFile(data))
        self.writes: list[tuple[str, str]] = []

    def _save(self, name: str, content: Any) -> Any:
        self.writes.append(("save", name))
        return super()._save(name, content)

    def delete(self, name: str) -> None:
        self.writes.append(("delete", name))
        super().delete(name)

    def exists(self, name: str) -> bool:
        if self.away:
            raise ConnectionError("no answer")
        there: bool = super().exists(name)
        return there


@pytest.fixture
def production() -> Iterator[Production]:
    made = Production()
    yield made
    made.away = False
    assert made.writes == [], "production was written to"
    assert {name: made.open(name).read() for name in PRODUCTION} == PRODUCTION


@pytest.fixture
def storage(project: Any, media: Path, production: Production) -> FallbackStorage:
    project(FALLBACK_STORAGES=["django.core.files.storage.FileSystemStorage", production])
    return FallbackStorage()


def bytes_of(storage: Any, name: str) -> bytes:
    with storage.open(name) as file:
        data: bytes = file.read()
        return data


# -- what its README says ----------------------------------------------------------------------------------------------


def test_installed_by_a_setting(project: Any, media: Path) -> None:
    project(
        STORAGES={"default": {"BACKEND": "mediamw.ext.django.FallbackStorage"}, "production": FILES | {"OPTIONS": {}}},
        FALLBACK_STORAGES=("django.core.files.storage.InMemoryStorage", "production"),
    )
    assert bytes_of(default_storage, "a.txt") == b"hello"
    assert default_storage.save("new.txt", ContentFile(b"mine")) == "new.txt"
    assert not storages["production"].exists("new.txt")


def test_the_first_that_has_a_file_gives_it(storage: FallbackStorage) -> None:
    assert bytes_of(storage, "a.txt") == b"hello"
    assert bytes_of(storage, "far/b.txt") == b"production's"
    storage.stack.save("both.txt", b"mine", names="shadow")
    assert bytes_of(storage, "both.txt") == b"mine"
    assert (storage.size("both.txt"), storage.size("far/b.txt")) == (4, 12)


def test_writes_go_to_the_first(storage: FallbackStorage, media: Path) -> None:
    assert storage.save("up/new.txt", ContentFile(b"mine")) == "up/new.txt"
    assert (media / "up" / "new.txt").read_bytes() == b"mine"


def test_exists_in_any(storage: FallbackStorage) -> None:
    assert storage.exists("a.txt")
    assert storage.exists("far/b.txt")
    assert not storage.exists("nobody.txt")


def test_listdir_of_all(storage: FallbackStorage) -> None:
    storage.stack.save("both.txt", b"mine", names="shadow")
    assert storage.listdir("") == (["far"], ["a.txt", "both.txt", "large.bin"]), "no doubles"
    assert storage.listdir("far") == ([], ["b.txt"])


def test_url_of_who_has_it_and_of_the_last_if_nobody(storage: FallbackStorage) -> None:
    assert storage.url("a.txt") == "/media/a.txt"
    assert storage.url("far/b.txt") == "https://cdn.example.com/far/b.txt"
    assert storage.url("nobody.txt") == "https://cdn.example.com/nobody.txt"


def test_delete_in_the_first(storage: FallbackStorage, media: Path) -> None:
    storage.delete("a.txt")
    assert not (media / "a.txt").exists()
    assert not storage.exists("a.txt")


def test_times(storage: FallbackStorage, media: Path, project: Any) -> None:
    project(USE_TZ=True, TIME_ZONE="Asia/Tokyo")
    os.utime(media / "a.txt", (1e9, 1e9 + 1))
    assert storage.get_modified_time("a.txt").timestamp() == 1e9 + 1
    assert storage.modified_time("a.txt") == datetime(2001, 9, 9, 10, 46, 41)  # noqa: DTZ001 - naive, as it was
    assert storage.accessed_time("a.txt") == datetime(2001, 9, 9, 10, 46, 40)  # noqa: DTZ001 - naive, as Django gives it without USE_TZ
    assert storage.created_time("a.txt") >= storage.accessed_time("a.txt")
    age = timezone.now() - storage.get_created_time("far/b.txt")
    assert timedelta(0) <= age < timedelta(hours=1)


def test_a_valid_name_is_the_first_s_affair(storage: FallbackStorage, production: Production) -> None:
    class Lower(FileSystemStorage):  # type: ignore[misc]
        def get_valid_name(self, name: str) -> str:
            return name.lower()

    assert storage.get_valid_name("A b?.txt") == "A_b.txt"
    assert FallbackStorage(backends=[Lower(), production]).get_valid_name("A b?.txt") == "a b?.txt"


def test_an_available_name_is_unique_in_all(storage: FallbackStorage) -> None:
    assert storage.get_available_name("new.txt") == "new.txt"
    for name in ("a.txt", "both.txt"):
        free = storage.get_available_name(name)
        assert free != name
        assert not storage.exists(free)


def test_path_of_the_first(storage: FallbackStorage, media: Path) -> None:
    assert storage.path("a.txt") == str(media / "a.txt")
    assert storage.path("new.txt") == str(media / "new.txt")


class Broken(InMemoryStorage):  # type: ignore[misc]
    def exists(self, name: str) -> bool:
        raise ConnectionError("no answer")

    listdir = exists


def test_errors_are_raised_if_no_storage_has_an_answer() -> None:
    storage = FallbackStorage(backends=[InMemoryStorage(), Broken()])
    for ask in (storage.open, storage.size, storage.exists, storage.get_modified_time, storage.listdir):
        with pytest.raises(OSError, match="ConnectionError: no answer"):
            ask("a.txt")
    storage.save("here.txt", ContentFile(b"mine"))
    (name,) = storage.stack.upper.storage.listdir("")[1]  # type: ignore[attr-defined]
    assert bytes_of(storage, name) == b"mine", "of what one has, nobody's errors count"


class Bare(Storage):  # type: ignore[misc]
    get_valid_name = get_available_name = None


def test_a_method_that_no_storage_has_is_an_attribute_error() -> None:
    storage = FallbackStorage(backends=[Bare(), Bare()])
    arguments: dict[str, tuple[Any, ...]] = {"_save": ("a.txt", ContentFile(b""))}
    for method in THIRTEEN:
        with pytest.raises(AttributeError, match=f"the method `(get_)?{method}`"):
            getattr(storage, method)(*arguments.get(method, ("a.txt",)))


class Lists(Storage):  # type: ignore[misc]
    def listdir(self, path: str) -> Any:
        return [], ["c.txt"]


def test_a_storage_without_a_method_is_passed_over(production: Production) -> None:
    storage = FallbackStorage(backends=[Bare(), Lists(), production])
    assert bytes_of(storage, "far/b.txt") == b"production's"
    assert storage.listdir("far")[1] == ["b.txt"]
    assert storage.url("far/b.txt") == "https://cdn.example.com/far/b.txt"
    with pytest.raises(NotImplementedError):
        storage.path("far/b.txt")
    with pytest.raises(AttributeError, match="the first storage does not have the method `_save`"):
        storage.save("new.txt", ContentFile(b"mine"))


# -- its data migration mode -------------------------------------------------------------------------------------------


def test_migration_copies_what_is_read(storage: FallbackStorage, media: Path, project: Any) -> None:
    project(FALLBACK_DATA_MIGRATION=True)
    with storage.open("far/b.txt") as file:
        assert file.read() == b"production's"
    assert (media / "far" / "b.txt").read_bytes() == b"production's"
    assert storage.url("nobody.txt") == storage.url("both.txt").replace("both", "nobody") == "/media/nobody.txt"
    with pytest.raises(FileNotFoundError):
        storage.open("nobody.txt")
    storage.delete("both.txt")
    with pytest.raises(FileNotFoundError):
        storage.open("both.txt")
    assert not (media / "both.txt").exists()


def test_migration_loses_no_race(
    storage: FallbackStorage, media: Path, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While production's file is fetched it is deleted here, or another is uploaded by its name."""
    project(FALLBACK_DATA_MIGRATION=True)
    upper, other = storage.stack.upper, FallbackStorage()
    assert isinstance(upper, LocalBackend)
    fetch = upper.draft
    changes = [
        lambda: other.delete("both.txt"),
        lambda: other.stack.save("far/b.txt", b"mine", names="shadow"),
    ]

    def draft(*args: Any, **options: Any) -> Any:
        made = fetch(*args, **options)
        changes.pop(0)()
        return made

    monkeypatch.setattr(upper, "draft", draft)
    assert not copy_up(storage.stack, "both.txt")
    assert not (media / "both.txt").exists()
    assert not storage.exists("both.txt")
    assert not copy_up(storage.stack, "far/b.txt")
    assert bytes_of(storage, "far/b.txt") == b"mine"
    assert [path.name for path in (media / "far").iterdir()] == ["b.txt"]


def test_migration_takes_no_upload_for_its_own_copy(storage: FallbackStorage, project: Any) -> None:
    """Just when the copy has its name the file is deleted, and another is uploaded whose whiteout is still there."""
    project(FALLBACK_DATA_MIGRATION=True)
    upper, key = storage.stack.upper, Key("far/b.txt")
    assert isinstance(upper, LocalBackend)
    publish = LocalDraft.publish

    def meanwhile(draft: LocalDraft, name: Key, *, replace: bool = False) -> None:
        publish(draft, name, replace=replace)
        patch.undo()
        upper.put(marker_of(key), key.encode())
        upper.delete(key)
        upper.put(key, b"mine")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalDraft, "publish", meanwhile)
        copy_up(storage.stack, key)
    assert bytes_of(storage, key) == b"mine"


def test_migration_that_has_no_room_goes_on_reading(
    storage: FallbackStorage, project: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(FALLBACK_DATA_MIGRATION=True)
    fill_the_disk(storage, monkeypatch)
    assert bytes_of(storage, "far/b.txt") == b"production's"
    assert "'far/b.txt' was read and could not be copied" in caplog.text


def test_migration_on_a_disk_without_locks(
    storage: FallbackStorage,
    media: Path,
    project: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    project(FALLBACK_DATA_MIGRATION=True)
    monkeypatch.setattr("fcntl.flock", no_locks)
    assert bytes_of(storage, "far/b.txt") == b"production's"
    assert (media / "far" / "b.txt").read_bytes() == b"production's"
    assert list((media / ".mediamw" / "tmp").iterdir()) == []
    storage.delete("both.txt")
    assert not copy_up(storage.stack, "both.txt")
    assert "could not be copied" not in caplog.text


# -- its accidents -----------------------------------------------------------------------------------------------------


def fill_the_disk(storage: FallbackStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(fd: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    storage.stack  # noqa: B018 - makes it
    monkeypatch.setattr("mediamw.backends.local_put.os.write", write)


def test_a_full_disk_writes_nothing_to_production(
    storage: FallbackStorage, production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fill_the_disk(storage, patch)
        with pytest.raises(OSError, match="No space left") as caught:
            storage.save("new.txt", ContentFile(b"mine"))
    assert caught.value.errno == errno.ENOSPC
    assert not storage.exists("new.txt")


class Stubborn(InMemoryStorage):  # type: ignore[misc]
    def delete(self, name: str) -> None:
        if not name.startswith(".mediamw/"):
            raise PermissionError(errno.EACCES, "not yours")
        super().delete(name)

    def _save(self, name: str, content: Any) -> Any:
        if name.startswith("full"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super()._save(name, content)


def test_a_failing_delete_or_save_of_the_first_touches_no_other(production: Production) -> None:
    first = Stubborn()
    first.save("both.txt", ContentFile(b"mine"))
    storage = FallbackStorage(backends=[first, production])
    with pytest.raises(PermissionError, match="not yours"):
        storage.delete("both.txt")
    assert bytes_of(storage, "both.txt") == b"mine"
    with pytest.raises(OSError, match="No space left"):
        storage.save("full.txt", ContentFile(b"mine"))


def test_production_s_name_is_not_covered_and_its_bytes_do_not_come_back(
    storage: FallbackStorage, media: Path, production: Production
) -> None:
    name = storage.save("both.txt", ContentFile(b"mine"))
    assert name != "both.txt"
    covers = FallbackStorage(names="shadow")
    assert covers.save("both.txt", ContentFile(b"mine")) == "both.txt"
    assert bytes_of(storage, "both.txt") == b"mine"
    storage.delete("both.txt")
    assert not storage.exists("both.txt")
    assert "both.txt" not in storage.listdir("")[1]
    assert storage.url("both.txt") == "/media/both.txt", "production's would lead to what was deleted"
    with pytest.raises(FileNotFoundError):
        storage.open("both.txt")
    assert storage.stack.restore("both.txt")
    assert bytes_of(storage, "both.txt") == b"production's both"


def test_what_nobody_has_is_missing_and_each_says_so(storage: FallbackStorage, production: Production) -> None:
    for ask in (storage.open, storage.size, storage.get_modified_time):
        with pytest.raises(FileNotFoundError) as caught:
            ask("nobody.txt")
        assert "FileSystemStorage: missing; Production: missing" in str(caught.value)
    storage.delete("far/b.txt")
    with pytest.raises(FileNotFoundError, match="FileSystemStorage: hidden"):
        storage.open("far/b.txt")


def test_an_outage_is_neither_a_missing_file_nor_a_stop(storage: FallbackStorage, production: Production) -> None:
    production.away = True
    assert bytes_of(storage, "a.txt") == b"hello"
    for ask in (storage.exists, storage.open, storage.size):
        with pytest.raises(BackendUnavailable, match="ConnectionError: no answer"):
            ask("far/b.txt")
    assert storage.url("far/b.txt") == "https://cdn.example.com/far/b.txt", "pages are rendered"
    name = storage.save("new.txt", ContentFile(b"mine"))
    assert name != "new.txt"
    assert bytes_of(storage, name) == b"mine"


def test_the_path_of_production_s_file_is_nobody_s_to_write_to(storage: FallbackStorage, media: Path) -> None:
    with pytest.raises(NotImplementedError):
        storage.path("far/b.txt")
    with storage.open("far/b.txt", "ab") as file:
        file.write(b" and mine")
    assert storage.path("far/b.txt") == str(media / "far" / "b.txt")
    assert bytes_of(storage, "far/b.txt") == b"production's and mine"


def test_the_other_policies(storage: FallbackStorage) -> None:
    with pytest.raises(NameTaken):
        FallbackStorage(names="error").save("both.txt", ContentFile(b"mine"))
    assert FallbackStorage(names="replace").save("a.txt", ContentFile(b"mine")) == "a.txt"
    assert bytes_of(storage, "a.txt") == b"mine"


# -- its settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (None, "FALLBACK_STORAGES is missing, empty or no list"),
        ([], "FALLBACK_STORAGES is missing, empty or no list"),
        ("storages.backends.s3.S3Storage", "FALLBACK_STORAGES is missing, empty or no list"),
        (["no.such.Storage"], "importing no.such.Storage raised ModuleNotFoundError"),
        (["default"], "'default' is a stack of storages itself"),
        (["files", "files"], "it has the same files as 'files'"),
        (["files", "django.core.files.storage.FileSystemStorage"], "it has the same files as 'files'"),
        (["memory", "memory"], "it has the same files as 'memory'"),
        (["files", "storages.backends.s3.S3Storage"], "bucket_name"),
    ],
)
def test_what_is_wrong_is_told(entries: Any, says: str, project: Any) -> None:
    made = {"default": {"BACKEND": "mediamw.ext.django.FallbackStorage"}, "files": FILES}
    made["memory"] = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    project(STORAGES=made, FALLBACK_STORAGES=entries)
    storage = FallbackStorage()  # a model may do this at import
    with pytest.raises(ImproperlyConfigured) as caught:
        storage.exists("a.txt")
    assert isinstance(caught.value, FallbackConfigError)
    assert says in str(caught.value)


def test_settings_may_change(storage: FallbackStorage, media: Path, project: Any, tmp_path: Path) -> None:
    assert storage.exists("a.txt")
    project(MEDIA_ROOT=str(tmp_path / "other"))
    assert not storage.exists("a.txt")
    project(FALLBACK_STORAGES=["django.core.files.storage.InMemoryStorage", FileSystemStorage(media)])
    assert storage.exists("a.txt")


def test_it_can_stand_in_a_migration() -> None:
    written, imports = MigrationWriter.serialize(FallbackStorage(names="shadow"))
    assert written == "mediamw.ext.django.FallbackStorage(names='shadow')"
    assert imports == {"import mediamw.ext.django"}


class Shouts(FileSystemStorage):  # type: ignore[misc]
    def _save(self, name: str, content: Any) -> Any:
        return super()._save(name, ContentFile(content.read().upper()))


def test_a_class_that_does_more_than_a_directory_is_asked_by_its_methods(media: Path, production: Production) -> None:
    storage = FallbackStorage(backends=[Shouts(), production])
    assert storage.save("new.txt", ContentFile(b"mine")) == "new.txt"
    assert (media / "new.txt").read_bytes() == b"MINE"
    with pytest.raises(ImproperlyConfigured, match="it has the same files as 'Shouts'"):
        FallbackStorage(backends=[Shouts(), FileSystemStorage()]).exists("a.txt")


def test_modes_are_those_of_the_settings(storage: FallbackStorage, media: Path, project: Any) -> None:
    project(FILE_UPLOAD_PERMISSIONS=0o604, FILE_UPLOAD_DIRECTORY_PERMISSIONS=0o705)
    storage.save("up/new.txt", ContentFile(b"mine"))
    assert [oct((media / name).stat().st_mode & 0o777) for name in ("up", "up/new.txt")] == ["0o705", "0o604"]
