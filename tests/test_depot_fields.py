"""What rows hold of files: new ones, those of a production dump, broken ones; uploads that fail half way."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, UnidentifiedImageError

from mediamw import (
    BackendUnavailable,
    ConfigError,
    MediaStack,
    MemoryBackend,
    NotWritable,
    S3Backend,
    WritableS3Backend,
)
from mediamw.ext.depot.errors import DepotError
from mediamw.ext.depot.fields.filters.thumbnails import WithThumbnailFilter
from mediamw.ext.depot.fields.interfaces import DepotFileInfo, FileFilter
from mediamw.ext.depot.fields.specialized.image import UploadedImageWithThumb
from mediamw.ext.depot.fields.sqlalchemy import UploadedFileField
from mediamw.ext.depot.fields.upload import UploadedFile
from mediamw.ext.depot.io.utils import FileIntent
from mediamw.ext.depot.manager import DepotManager
from mediamw.testing import StrictS3

MEMORY = {"depot.backend": "depot.io.memory.MemoryFileStorage"}
ID = "0a9c8ee6-3d0c-11f1-9d0e-0242ac120002"


@pytest.fixture(autouse=True)
def storage() -> Iterator[Any]:
    DepotManager._clear()
    made = DepotManager.configure("avatars", MEMORY)
    DepotManager.make_middleware(None)
    yield made
    DepotManager._clear()


def picture(width: int = 300, height: int = 200, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, kind, **options)
    return file.getvalue()


def size_of(stored: Any) -> tuple[int, int]:
    with stored, Image.open(stored) as found:
        return found.size


def test_a_new_file(storage: Any) -> None:
    DepotManager.alias("new", "avatars")
    file = UploadedFile(FileIntent(io.BytesIO(b"x"), "a b.txt", "text/plain"), "new")
    assert file.depot_name == "avatars", "the storage, not the alias"
    assert file == {
        "depot_name": "avatars",
        "files": [f"avatars/{file.file_id}"],
        "file_id": file.file_id,
        "path": f"avatars/{file.file_id}",
        "filename": "a b.txt",
        "content_type": "text/plain",
        "uploaded_at": file.uploaded_at,
        "_public_url": None,
    }
    assert file.uploaded_at == file.file.last_modified.strftime("%Y-%m-%d %H:%M:%S")
    assert file.url == f"/depot/avatars/{file.file_id}"
    read = UploadedFile.decode(file.encode())
    assert read == file
    assert read.depot is storage
    with read.file as stored:
        assert stored.read() == b"x"
    with pytest.raises(TypeError, match="assign a new file"):
        read.filename = "b"
    assert not hasattr(read, "nothing")


def test_copies_of_a_row() -> None:
    row = UploadedFile.decode(UploadedFile(b"x").encode())
    for made in (copy.copy(row), copy.deepcopy(row), pickle.loads(pickle.dumps(row))):
        assert made == row
        assert type(made) is UploadedFile
        with pytest.raises(TypeError):
            made["filename"] = "b"


def test_another_manager() -> None:
    class Reports(DepotManager):
        pass

    class Report(UploadedFile):
        depot_manager = Reports

    storage = Reports.configure("reports", MEMORY)
    report = Report(b"x")
    assert (report.depot_name, report.depot) == ("reports", storage)


def test_no_such_storage() -> None:
    with pytest.raises(ValueError, match="no storage 'nobody'"):
        UploadedFile(b"x", "nobody")
    with pytest.raises(TypeError, match="derive it from UploadedFile"):
        DepotFileInfo(b"x")


def test_a_file_is_found_again_whatever_is_remapped(storage: Any) -> None:
    DepotManager.configure("here", MEMORY)
    with pytest.raises(ValueError, match="their rows be answered by 'avatars', where they are not"):
        DepotManager.remap({"avatars": "here", "here": "avatars"})
    DepotManager.remap({"avatars": "here"})
    uploaded = UploadedFile(b"x", "avatars")
    assert uploaded.depot_name == "here"
    assert uploaded.file.read() == b"x"
    assert storage.list() == []


# Rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a row of 0 characters is no JSON"),
        ("{'depot_name': 'x'}", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "a row holds list"),
        ('"text"', "a row holds str"),
        ("null", "a row holds NoneType"),
    ],
)
def test_rows_that_are_none(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        UploadedFile.decode(text)


@pytest.mark.parametrize("row", [{}, {"depot_name": "avatars"}, {"file_id": ID}, {"depot_name": 3, "file_id": []}])
def test_rows_that_lack_something(row: dict[str, Any]) -> None:
    read = UploadedFile.decode(json.dumps(row))
    for ask in (lambda: read.file, lambda: read.url):
        with pytest.raises(DepotError, match=r"the row holds no (depot_name|file_id)"):
            ask()


def test_a_row_of_old(storage: Any) -> None:
    file_id = storage.create(b"x", "a.txt")
    row = {"depot_name": "avatars", "file_id": file_id, "of_2014": {"kept": True}}
    read = UploadedFile.decode(json.dumps(row))
    assert read.file.filename == "a.txt"
    assert read.files == [f"avatars/{file_id}"]
    assert read.url == f"/depot/avatars/{file_id}"
    assert json.loads(read.encode()) == row, "nothing is added, nothing is lost"


def test_the_id_of_a_row_is_no_path(storage: Any) -> None:
    for file_id in ("../../etc/passwd", "a/b", ".mediamw/x"):
        with pytest.raises(ValueError, match="invalid file id"):
            _ = UploadedFile({"depot_name": "avatars", "file_id": file_id}).file


def dumped(**changes: Any) -> UploadedFile:
    row = {"depot_name": "s3_avatars", "file_id": ID, "path": f"s3_avatars/{ID}", "files": [f"s3_avatars/{ID}"]}
    return UploadedFile({**row, "_public_url": f"https://prod.s3.amazonaws.com/{ID}", **changes})


def test_a_public_url_of_production() -> None:
    row = dumped()
    assert row.url == f"https://prod.s3.amazonaws.com/{ID}", "nobody knows that storage here: as in DEPOT"
    with pytest.raises(ValueError, match="names a storage 's3_avatars'"):
        _ = row.file
    DepotManager.remap({"s3_avatars": "avatars"})
    assert row.url == f"/depot/s3_avatars/{ID}"
    storages = DepotManager._storages
    storages["avatars"] = (storages["avatars"][0], object())  # a class of the user's own
    assert row.url == f"/depot/s3_avatars/{ID}"
    assert dumped(depot_name="avatars").url == f"https://prod.s3.amazonaws.com/{ID}"
    DepotManager.remap({})
    DepotManager.configure("s3_avatars", MEMORY)  # the same name for another place
    assert row.url == f"/depot/s3_avatars/{ID}"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", 5, "x.jpg"])
def test_a_public_url_that_is_none(url: Any) -> None:
    """Pages write it into links."""
    assert dumped(_public_url=url).url == f"/depot/s3_avatars/{ID}"
    for kept in ("HTTPS://prod.example/x", "/files/x"):
        assert dumped(_public_url=kept).url == kept


@pytest.mark.parametrize("files", ["abc", [{}], [1], {"avatars/x": 1}, 5])
def test_files_that_are_no_list_of_paths(files: Any) -> None:
    """What deletes the row is told by the one error that it knows."""
    with pytest.raises(DepotError, match=r"files are no list of 'storage/id'"):
        UploadedFileField().files_of(dumped(files=files))


def test_what_a_class_of_the_users_notes_as_depots_does(storage: Any) -> None:
    class Own(UploadedFile):
        def store_content(self, content: Any, filename: Any = None, content_type: Any = None) -> tuple[str, str]:
            file_id = self.depot.create(content, filename, content_type)
            self.files.append(f"{self.depot_name}/{file_id}")
            return f"{self.depot_name}/{file_id}", file_id

    made = Own(b"x")
    assert made["files"] == [made.path]


def test_rows_of_depot_are_ours_and_ours_are_depots(tmp_path: Path) -> None:
    theirs = pytest.importorskip("depot.manager").DepotManager
    their_file = pytest.importorskip("depot.fields.upload").UploadedFile
    their_image = pytest.importorskip("depot.fields.specialized.image").UploadedImageWithThumb
    config = {"depot.storage_path": str(tmp_path)}
    theirs._clear()
    theirs.configure("disk", config)
    theirs.make_middleware(None)
    DepotManager.configure("disk", config)
    try:
        for writes, reads in ((their_file, UploadedFile), (UploadedFile, their_file)):
            row = writes(b"caf\xc3\xa9", "disk")
            read = reads.decode(row.encode())
            assert (dict(read), read.url, read.file.read()) == (dict(row), row.url, b"caf\xc3\xa9")
        for writes, reads in ((their_image, UploadedImageWithThumb), (UploadedImageWithThumb, their_image)):
            row = writes(io.BytesIO(picture()), "disk")  # DEPOT closes what it makes of bytes too early
            read = reads.decode(row.encode())
            assert (dict(read), read.thumb_url, size_of(read.thumb_file)) == (dict(row), row.thumb_url, (128, 85))
    finally:
        theirs._clear()


# Buckets


@pytest.fixture
def s3() -> Iterator[StrictS3]:
    pytest.importorskip("moto")
    with StrictS3(keys={"AKID": "secret"}, public_buckets={"public"}) as server:
        for bucket in ("private", "public"):
            server.create_bucket(bucket)
        yield server


def given(s3: StrictS3) -> dict[str, Any]:
    return {"endpoint_url": s3.endpoint, "access_key_id": "AKID", "secret_access_key": "secret", "region": "us-east-1"}


def test_a_signature_is_never_stored(s3: StrictS3) -> None:
    DepotManager.registry.configure("private", MediaStack([WritableS3Backend("private", **given(s3))]))
    file = UploadedFile(b"x", "private")
    assert file["_public_url"] is None
    assert file.url == f"/depot/private/{file.file_id}", "the middleware signs when it is asked"
    stale = f"{s3.endpoint}/private/{file.file_id}?X-Amz-Signature=0"
    assert UploadedFile({**file, "_public_url": stale}).url == f"/depot/private/{file.file_id}"
    DepotManager._middleware = None
    assert "X-Amz-Signature" in file.url, "a worker without a middleware: alive now"


def test_a_url_that_stays_is_stored(s3: StrictS3) -> None:
    backend = WritableS3Backend("public", custom_domain="cdn.example.com", **given(s3))
    DepotManager.registry.configure("public", MediaStack([backend]))
    file = UploadedFile(b"x", "public")
    assert file["_public_url"] == file.url == f"https://cdn.example.com/{file.file_id}"
    older = UploadedFile({**file, "_public_url": "https://old-cdn.example.com/x"})
    assert older.url == file.url, "what it is now"


def test_a_url_that_only_the_server_may_use_is_not_given_away(s3: StrictS3) -> None:
    backend = WritableS3Backend("public", custom_domain="cdn.example.com", delivery="proxy", **given(s3))
    DepotManager.registry.configure("proxied", MediaStack([backend]))
    file = UploadedFile(b"x", "proxied")
    assert (file["_public_url"], file.url) == (None, f"/depot/proxied/{file.file_id}")


def test_a_bucket_whose_keys_cannot_be_had_now(s3: StrictS3, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise BackendUnavailable("no credentials now")

    backend = WritableS3Backend("private", **given(s3))
    DepotManager.registry.configure("private", MediaStack([backend]))
    monkeypatch.setattr(backend, "can_sign", lambda now: False)
    monkeypatch.setattr(backend, "prepare", fail)
    row = UploadedFile({"depot_name": "private", "file_id": ID})
    assert row.url == f"/depot/private/{ID}", "a page is not broken for that"


def test_a_layered_storage_is_served_by_the_middleware(s3: StrictS3) -> None:
    lower = S3Backend("public", custom_domain="cdn.example.com", **given(s3))
    DepotManager.registry.configure("layered", MediaStack([MemoryBackend(), lower]))
    file = UploadedFile(b"x", "layered")
    assert (file["_public_url"], file.url) == (None, f"/depot/layered/{file.file_id}")
    upper = WritableS3Backend("public", custom_domain="cdn.example.com", location="dev", **given(s3))
    DepotManager.registry.configure("shadowed", MediaStack([upper, S3Backend("private", name="prod", **given(s3))]))
    file = UploadedFile(b"x", "shadowed")
    assert (file["_public_url"], file.url) == (None, f"/depot/shadowed/{file.file_id}"), "the lower's may be meant"


# Filters and pictures


class Marking(FileFilter):
    def on_save(self, uploaded_file: Any) -> None:
        uploaded_file["marked"] = True


class Failing(FileFilter):
    def on_save(self, uploaded_file: Any) -> None:
        uploaded_file.store_content(b"another", "b.txt")
        raise ZeroDivisionError


def test_filters(storage: Any) -> None:
    file = UploadedFile(picture())
    file._apply_filters([Marking(), WithThumbnailFilter(), WithThumbnailFilter((30, 30), "JPEG")])
    assert file.marked
    assert size_of(file.depot.get(file.thumb_128x128_id)) == (128, 85)
    small = file.depot.get(file.thumb_30x30_id)
    assert (small.filename, small.content_type) == ("thumb_30x30.jpeg", "image/jpeg")
    assert file.thumb_30x30_url == f"/depot/avatars/{file.thumb_30x30_id}"
    assert file.files == [file.path, file.thumb_128x128_path, file.thumb_30x30_path]
    assert sorted(storage.list()) == sorted(path.partition("/")[2] for path in file.files)
    row = UploadedFile.decode(file.encode())
    row._apply_filters([Failing()])  # of a row nothing is stored again
    assert row == file


def test_a_filter_that_fails_leaves_nothing(storage: Any) -> None:
    for one, error in ((Failing(), ZeroDivisionError), (WithThumbnailFilter(), UnidentifiedImageError)):
        file = UploadedFile(b"no picture")
        assert storage.list() == [file.file_id]
        with pytest.raises(error):
            file._apply_filters([Marking(), one])
        assert storage.list() == []


def test_what_cannot_be_removed_is_told(storage: Any, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_: object) -> None:
        raise NotWritable("the disk is read-only now")

    file = UploadedFile(b"x")
    storage.delete = refuse
    with pytest.raises(ZeroDivisionError), caplog.at_level(logging.ERROR):
        file._apply_filters([Failing()])
    assert [f"avatars/{file.file_id}" in record.message for record in caplog.records] == [True, False]


def test_an_image_with_a_thumbnail(storage: Any) -> None:
    image = UploadedImageWithThumb(FileIntent(picture(1500, 600, "JPEG"), "a.jpg", "image/jpeg"))
    assert (image.filename, image.content_type) == ("a.jpg", "image/jpeg")
    assert size_of(image.file) == (1024, 410)
    assert size_of(image.thumb_file) == (128, 51)
    assert image.thumb_url == f"/depot/avatars/{image.thumb_id}"
    assert image.files == [image.path, image.thumb_path]
    assert len(storage.list()) == 2
    small = UploadedImageWithThumb(picture(1023, 10))
    with small.file as stored:
        assert stored.read() == picture(1023, 10), "one that is small enough stays as it is"


def test_a_smaller_image_is_held_as_the_camera_was() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # by a quarter
    image = UploadedImageWithThumb(picture(1500, 600, "JPEG", exif=turned))
    assert size_of(image.file) == (410, 1024)
    assert size_of(image.thumb_file) == (51, 128)


def test_an_image_that_is_none_stores_nothing(storage: Any) -> None:
    for content in (b"no picture", picture()[:60]):
        with pytest.raises(OSError, match=r"cannot identify|truncated|broken"):
            UploadedImageWithThumb(content)
    assert storage.list() == []


def test_a_thumbnail_that_cannot_be_stored_takes_the_picture_along(
    storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = storage.create

    def full(content: Any, filename: str | None = None, content_type: str | None = None) -> Any:
        if filename == "thumb.png":
            assert len(storage.list()) == 1
            raise OSError("no space left")
        return create(content, filename, content_type)

    monkeypatch.setattr(storage, "create", full)
    with pytest.raises(OSError, match="no space left"):
        UploadedImageWithThumb(picture())
    assert storage.list() == []


def test_pillow_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"pip install 'mediamw\[depot\]'"):
        UploadedImageWithThumb(b"x")


def test_files_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture())
    DepotManager.configure("disk", {"depot.storage_path": str(tmp_path / "depot")})
    with path.open("rb") as file:  # pytest turns an unclosed file into an error
        image = UploadedImageWithThumb(file, "disk")
        image._apply_filters([WithThumbnailFilter()])
        assert not file.closed
    assert image.filename == "a.png"
