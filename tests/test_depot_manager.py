"""``DepotManager``: DEPOT's configurations and names, over a registry of ``mediamw.storages``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from io import BytesIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from mediamw import BackendUnavailable, ConfigError, MediaStack, MemoryBackend, NotWritable, storages
from mediamw.core.errors import ContentChanged
from mediamw.core.keys import Key
from mediamw.ext.depot.errors import DepotError
from mediamw.ext.depot.fields.upload import UploadedFile
from mediamw.ext.depot.foreign import ForeignStorage
from mediamw.ext.depot.io.interfaces import FileStorage
from mediamw.ext.depot.io.utils import FileIntent
from mediamw.ext.depot.manager import DepotManager, configure, get_depot, get_file, set_default
from mediamw.storages import Registry

MEMORY = {"depot.backend": "depot.io.memory.MemoryFileStorage"}


@pytest.fixture(autouse=True)
def manager() -> Iterator[type[DepotManager]]:
    DepotManager._clear()
    yield DepotManager
    DepotManager._clear()


def test_a_file_by_the_functions_of_the_module() -> None:
    first = configure("first", MEMORY)
    second = configure("second", MEMORY)
    assert get_depot() is get_depot("first") is first
    set_default("second")
    assert get_depot() is second
    assert DepotManager.get_default() == "second"
    file_id = second.create(b"a picture", "a.png")
    with get_file(f"second/{file_id}") as file:
        assert (file.read(), file.filename, file.content_type) == (b"a picture", "a.png", "image/png")
    with pytest.raises(OSError, match=file_id):
        get_file(f"first/{file_id}")


def test_it_is_a_face_of_the_registry(manager: type[DepotManager], tmp_path: Path) -> None:
    assert manager.registry is storages.registry
    made = manager.configure("local", {"depot.storage_path": str(tmp_path)})
    assert storages.get("local") is made.stack
    storages.configure("other", MediaStack([MemoryBackend()]))
    other = manager.get("other")
    assert isinstance(other, FileStorage)
    assert other.stack is storages.get("other")
    with pytest.raises(DepotError, match="'other' is configured already"):
        manager.configure("other", {"depot.backend": "no.such.Class"})  # which is not looked for
    manager.alias("avatars", "other")
    with pytest.raises(DepotError, match="'avatars' is configured already"):
        manager.configure("avatars", MEMORY)


def test_another_registry(manager: type[DepotManager]) -> None:
    manager.set_middleware(object())

    class Reports(DepotManager):
        pass

    mine = Registry()

    class Mine(DepotManager, registry=mine):
        pass

    manager.configure("files", MEMORY)
    made = Reports.configure("files", MEMORY)
    Mine.configure("mine", MEMORY)
    assert Reports.get("files") is made is not manager.get("files")
    assert mine.names() == {"mine": "mine"}
    assert manager.get("mine") is None
    with pytest.raises(RuntimeError, match="no middleware"):
        Reports.get_middleware()
    Reports._clear()
    assert manager.get("files") is not None


def test_aliases(manager: type[DepotManager]) -> None:
    first, second = manager.configure("first", MEMORY), manager.configure("second", MEMORY)
    manager.alias("avatars", "first")
    manager.alias("old_avatars", "avatars")
    assert manager.get("old_avatars") is first
    assert manager.resolve_alias("old_avatars") == "first"
    manager.alias("avatars", "second")
    assert manager.get("old_avatars") is second
    assert manager.resolve_alias("nobody") is manager.resolve_alias(None) is manager.get("nobody") is None
    assert manager.get(3) is manager.resolve_alias(3) is None


def test_names_of_production_are_answered_here(manager: type[DepotManager]) -> None:
    here = manager.configure("layered", MEMORY)
    manager.remap({"s3_avatars": "layered"})
    file_id = here.create(b"x", "a.txt")
    assert manager.get("s3_avatars") is here
    with manager.get_file(f"s3_avatars/{file_id}") as file:
        assert file.read() == b"x"
    assert manager.resolve_alias("s3_avatars") == "layered"
    manager.configure("s3_avatars", MEMORY)
    assert manager.get("s3_avatars") is here


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: DepotManager.get_default(), "no storages"),
        (lambda: DepotManager.set_default("a"), "no storage 'a'"),
        (lambda: DepotManager.alias("a", "b"), "no storage 'b'"),
        (lambda: DepotManager.remap({"a": "b"}), "no storage 'b'"),
        (lambda: DepotManager.get_file("a/b"), "no storage 'a'"),
        (lambda: DepotManager.get_file("a"), "'a' is no path: give 'storage/id'"),
        (lambda: DepotManager.get_middleware(), "call make_middleware"),
        (lambda: DepotManager.url_for("a/b"), "call make_middleware"),
        (lambda: DepotManager.make_middleware(None, interface="cgi"), "give 'wsgi' or 'asgi'"),
    ],
)
def test_errors_are_what_old_code_catches(ask: Any, said: str) -> None:
    for kind in (RuntimeError, ValueError, ConfigError):
        with pytest.raises(kind, match=said):
            ask()


def test_a_second_middleware_is_refused(manager: type[DepotManager]) -> None:
    made = manager.make_middleware(None)
    assert manager.get_middleware() is made
    with pytest.raises(RuntimeError, match="already"):
        manager.make_middleware(None)


def test_classes_of_depot_are_ours(manager: type[DepotManager], tmp_path: Path) -> None:
    for backend in ("depot.io.local.LocalFileStorage", "mediamw.ext.depot.io.local.LocalFileStorage"):
        made = manager.from_config({"d.backend": backend, "d.storage_path": str(tmp_path)}, prefix="d.")
        assert type(made).__module__ == "mediamw.ext.depot.io.local"
    assert manager.registry.names() == {}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "depot.storage_path: depot.io.local.LocalFileStorage needs it"),
        ({"depot.storage_pth": "x"}, "unknown option 'depot.storage_pth'; did you mean depot.storage_path?"),
        ({"depot.backend": "LocalFileStorage"}, "is no dotted name of a class"),
        ({"depot.backend": "depot.io.gridfs.GridFSStorage"}, "files are not kept in MongoDB here"),
        ({"depot.backend": "depot.io.gcs.GCSStorage"}, "Google's storage has an S3 endpoint"),
        ({"depot.backend": "depot.io.lokal.LocalFileStorage"}, "did you mean depot.io.local?"),
        ({"depot.backend": "depot.io.local.LocalStorage"}, "has no LocalStorage"),
        ({"depot.backend": "no.such.Class"}, "importing no.such raised ModuleNotFoundError"),
        ({"depot.backend": "pathlib.Path"}, "is no class of a storage: it lacks create, delete, get, list"),
        ({**MEMORY, "depot.backends": "memory:"}, "leave one of them out"),
        ({"depot.backends": ""}, "depot.backends: it is empty"),
        ({"depot.backends": "memory:", "depot.found_tll": "3"}, "did you mean depot.found_ttl?"),
        (
            {"depot.backends": "memory:", "depot.found_ttl": "soon"},
            "depot.found_ttl: 'soon' is not a number of seconds",
        ),
        ({"depot.backends": "memory:", "depot.max_age": "3"}, "unknown option 'depot.max_age'"),
        ({"depot.backends": "depot:"}, "depot: is followed by the path"),
        ({"depot.backends": "depot+s3:bucket"}, r"depot\+s3: without //"),
    ],
)
def test_mistakes_are_told(manager: type[DepotManager], config: dict[str, str], said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        manager.configure("files", config)
    assert manager.registry.names() == {}


def test_a_layered_storage(manager: type[DepotManager], tmp_path: Path) -> None:
    production = manager.configure("production", {"depot.storage_path": str(tmp_path / "prod")})
    file_id = production.create(b"production's", "home.jpg")
    texts = {"depot.backends": f"depot:{tmp_path}/dev prod=depot:{tmp_path}/prod", "depot.found_ttl": "2"}
    layered = manager.configure("layered", texts)
    assert [backend.name for backend in layered.stack.backends] == ["depot", "prod"]
    with layered.get(file_id) as file:
        assert (file.read(), file.filename) == (b"production's", "home.jpg")
    layered.delete(file_id)
    assert (layered.exists(file_id), production.exists(file_id)) == (False, True)
    assert layered.exists(layered.create(b"dev's", "b.jpg"))
    assert production.list() == [file_id]


def test_backends_that_are_made_already(manager: type[DepotManager]) -> None:
    for number, backends in enumerate((MemoryBackend(), [MemoryBackend(), MemoryBackend(name="two")])):
        made = manager.configure(f"n{number}", {"depot.backends": backends, "depot.names": "error"})
        assert made.stack.names == "error"


class Own:
    """A storage of the user's own: it has DEPOT's six methods, and nothing of ours."""

    def __init__(self, folder: Path, counts: bool = True) -> None:
        self.files: dict[str, Any] = {}
        self.counts = counts

    def create(self, content: Any, filename: str | None = None, content_type: str | None = None) -> str:
        content, filename, content_type = FileStorage.fileinfo(content, filename, content_type)
        file_id = str(uuid4())
        self.files[file_id] = (content, filename, content_type)
        return file_id

    def get(self, file_id: str) -> Any:
        if file_id == "away":
            raise ConnectionResetError("gone")
        if file_id not in self.files:
            raise OSError(f"no file {file_id}")
        content, filename, content_type = self.files[file_id]
        file = BytesIO(content)
        return SimpleNamespace(
            read=file.read,
            close=file.close,
            filename=filename,
            content_type=content_type,
            content_length=len(content) if self.counts else None,
            last_modified=datetime(2020, 1, 1),  # noqa: DTZ001 - as DEPOT has them
        )

    def replace(self, file_id: str, content: bytes) -> None:
        self.files[file_id] = (content, "b", None)

    def delete(self, file_id: str) -> None:
        self.files.pop(file_id, None)

    def exists(self, file_id: str) -> bool:
        return file_id in self.files

    def list(self) -> list[str]:
        return [*self.files]


@pytest.mark.parametrize("counts", [True, False])
def test_a_class_of_the_users_own(
    manager: type[DepotManager], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, counts: bool
) -> None:
    module = ModuleType("acme_storages")
    module.Own = Own  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acme_storages", module)
    config = {"depot.backend": "acme_storages.Own", "depot.folder": tmp_path, "depot.counts": counts}
    made = manager.configure("own", config)
    assert manager.get("own") is made
    assert isinstance(made, Own)
    file_id = made.create(b"0123456789", "a.txt", "text/plain")
    stack = manager.registry.get("own")
    assert stack.stat(file_id)[:2] == (10, 1577836800 * 10**9)
    with stack.open(file_id) as file:
        assert file.read() == b"0123456789"
        file.seek(3)
        assert file.read(2) == b"34"
        file.seek(1)
        assert file.read(2) == b"12"
    assert [entry.key for entry in stack.list()] == [file_id]
    assert not stack.exists("nobody")
    with pytest.raises(NotWritable, match="Own chooses its ids itself"):
        stack.save("a", b"x")
    assert (stack.delete(file_id), stack.delete(file_id), made.list()) == (True, False, [])
    row = UploadedFile(FileIntent(b"x", "b.txt", "text/plain"), "own")
    assert (row.filename, row["_public_url"], made.list()) == ("b.txt", None, [row.file_id])
    with pytest.raises(ConfigError, match=r"did you mean depot\.folder\?"):
        manager.configure("again", {**config, "depot.foldr": tmp_path})


def test_an_id_of_a_class_of_the_users_own_is_no_path(tmp_path: Path) -> None:
    own = Own(tmp_path)
    own.files |= {"a/b": (b"x", None, None), "..": (b"x", None, None), "ab": (b"x", None, None)}
    stack = MediaStack([ForeignStorage(own, name="own")])
    assert [entry.key for entry in stack.list(recursive=True)] == ["ab"]
    assert (stack.exists("a/b"), stack.delete("a/b")) == (False, False)
    assert "a/b" in own.files


def test_a_class_of_the_users_own_that_is_replaced_while_it_is_read(tmp_path: Path) -> None:
    own = Own(tmp_path)
    file_id = own.create(b"0123456789", "a.txt", "text/plain")
    handle = ForeignStorage(own, name="own").open(Key(file_id))
    assert handle is not None
    with closing(handle):
        assert b"".join(handle.chunks(5, 8)) == b"567"
        own.replace(file_id, b"another one")
        with pytest.raises(ContentChanged):
            list(handle.chunks(0, 3))


def test_options_that_depot_ignores_too(manager: type[DepotManager]) -> None:
    assert manager.from_config({**MEMORY, "depot.storage_path": "x"}).list() == []


def test_a_class_of_the_users_own_that_cannot_tell(manager: type[DepotManager], tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="gone"):
        MediaStack([ForeignStorage(Own(tmp_path), name="own")]).exists("away")


def test_a_kind_of_spec_that_is_none_is_told_with_depots_own() -> None:
    with pytest.raises(
        DepotError, match=r"depo: is no kind of backend known here; there are depot:, depot\+s3:, s3://"
    ):
        DepotManager.configure("layered", {"depot.backends": "depo:./dev"})


def test_the_column_without_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mediamw.ext.depot.fields.sqlalchemy", raising=False)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ConfigError, match=r"needs SQLAlchemy: pip install 'mediamw\[depot\]'"):
        importlib.import_module("mediamw.ext.depot.fields.sqlalchemy")
