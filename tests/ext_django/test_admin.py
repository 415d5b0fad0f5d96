"""Django's admin, ``FileField`` and ``ImageField`` over ``MediaStorage``, with production's files below, which stay.

Rows of the dump are made as a dump makes them: by names of files that only production has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from PIL import Image

from mediamw.ext.django import media_stack
from mediamw.testing import StrictS3

from .middlewares import OURS as MIDDLEWARE
from .test_media_storage import OURS, bytes_of, kept
from .test_storages import ID, SECRET

CONTRIB = "django.contrib"
FRONT = [
    MIDDLEWARE,
    f"{CONTRIB}.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    f"{CONTRIB}.auth.middleware.AuthenticationMiddleware",
    f"{CONTRIB}.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                f"{CONTRIB}.auth.context_processors.auth",
                f"{CONTRIB}.messages.context_processors.messages",
            ]
        },
    }
]
APPS = ["contenttypes", "auth", "sessions", "messages", "staticfiles", "admin.apps.SimpleAdminConfig"]
ADD, LIST = "/admin/album/photo/add/", "/admin/album/photo/"


def png(width: int, height: int, color: str = "red") -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), color).save(file, "png")
    return file.getvalue()


FAR = {"photos/far.png": png(70, 40), "notes/far.txt": b"production's"}


@contextmanager
def a_directory(folder: Path) -> Iterator[Any]:
    for key, data in FAR.items():
        (folder / key).parent.mkdir(parents=True)
        (folder / key).write_bytes(data)

    def shot() -> dict[str, Any]:
        return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in folder.rglob("*")}

    before = shot()
    yield {"spec": str(folder), "name": "prod"}
    assert shot() == before
    assert {key: (folder / key).read_bytes() for key in FAR} == FAR


@contextmanager
def a_bucket(folder: Path) -> Iterator[Any]:
    with StrictS3(keys={}, read_only_keys={ID: SECRET}) as server:
        server.create_bucket("acme")
        for key, data in FAR.items():
            server.put("acme", key, data)
        keys = {"access_key_id": ID, "secret_access_key": SECRET}
        yield {"spec": f"s3://acme?endpoint_url={server.endpoint}", "name": "prod", "delivery": "proxy", **keys}
        assert server.writes == []
        assert server.objects("acme") == FAR


@pytest.fixture(params=[a_directory, a_bucket], ids=["directory", "bucket"])
def lower(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Production, as it stands in MEDIAMW; nothing may be written there."""
    with request.param(tmp_path / "production") as made:
        yield made


@pytest.fixture
def admin(project: Any, media: Path, lower: Any) -> Iterator[Any]:
    """The pages of a superuser's admin, and what is below ``/media/``."""
    for made in media.iterdir():
        made.unlink()
    project(
        INSTALLED_APPS=[f"{CONTRIB}.{app}" for app in APPS] + ["mediamw.ext.django", "tests.ext_django.album"],
        MIGRATION_MODULES=dict.fromkeys(["contenttypes", "auth", "sessions", "admin"]),
        MIDDLEWARE=FRONT,
        TEMPLATES=TEMPLATES,
        ROOT_URLCONF="tests.ext_django.album_urls",
        STORAGES={
            "default": OURS,
            "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
        },
        MEDIAMW={"backends": [str(media), lower]},
        FILE_UPLOAD_TEMP_DIR=None,
    )
    call_command("migrate", run_syncdb=True, verbosity=0)
    from django.contrib.auth.models import User

    user = User.objects.create_superuser("editor", password="x")
    made = Admin()
    made.client.force_login(user)
    yield made
    photos().all().delete()
    user.delete()  # and what the admin noted: tests without it empty the tables that it refers to


def photos() -> Any:
    """``Photo.objects``: the class can be imported only while its app is installed."""
    from .album.models import Photo

    return Photo.objects


class Admin:
    def __init__(self) -> None:
        self.client = Client(enforce_csrf_checks=True)

    def page(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, path
        return str(answer.content.decode())

    def submit(self, path: str, **fields: Any) -> None:
        """Fill in the form of a page, and send it, with the token that it has."""
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.page(path))
        assert found is not None
        answer = self.client.post(path, {**fields, "csrfmiddlewaretoken": found[1]})
        assert (answer.status_code, answer.get("Location")) == (302, LIST), answer.content.decode()

    def shown(self, file: Any) -> bytes | int:
        """Return what the browser gets for a file, or a status."""
        answer = self.client.get(file.url)
        return b"".join(answer) if answer.status_code == 200 else int(answer.status_code)


def change(photo: Any) -> str:
    return f"/admin/album/photo/{photo.pk}/change/"


@pytest.fixture
def dumped(admin: Admin) -> Any:
    """A row of which only production has the files."""
    from .album.models import Photo

    photos().bulk_create([Photo(title="dumped", image="photos/far.png", notes="notes/far.txt", width=70, height=40)])
    return photos().get(title="dumped")


# -- the forms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", ["MemoryFileUploadHandler", "TemporaryFileUploadHandler"])
def test_add(handler: str, admin: Admin, project: Any, media: Path, tmp_path: Path) -> None:
    there = tmp_path / "uploads"
    there.mkdir()
    project(
        FILE_UPLOAD_HANDLERS=[f"django.core.files.uploadhandler.{handler}"],
        FILE_UPLOAD_TEMP_DIR=str(there),
        FILE_UPLOAD_PERMISSIONS=0o640,
        FILE_UPLOAD_DIRECTORY_PERMISSIONS=0o750,
    )
    picture, notes = png(30, 20), b"line\n" * 100_000
    admin.submit(ADD, title="new", image=named("mine.png", picture), notes=named("large.txt", notes))
    photo = photos().get(title="new")
    assert (photo.image.name, photo.notes.name) == ("photos/mine.png", "notes/large.txt")
    assert (photo.width, photo.height, photo.image.width) == (30, 20, 30)
    assert (admin.shown(photo.image), admin.shown(photo.notes)) == (picture, notes)
    assert kept(media) == {"photos/mine.png": picture, "notes/large.txt": notes}
    for name in kept(media):
        assert ((media / name).stat().st_mode & 0o777, (media / name).parent.stat().st_mode & 0o777) == (0o640, 0o750)
    assert list(there.iterdir()) == [], "of a large upload nothing is left behind"
    assert list((media / ".mediamw" / "tmp").iterdir()) == []


def named(name: str, data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def test_a_name_that_production_has(admin: Admin, dumped: Any) -> None:
    picture = png(5, 6)
    admin.submit(ADD, title="same", image=named("far.png", picture), notes=named("far.txt", b"mine"))
    photo = photos().get(title="same")
    assert re.fullmatch(r"photos/far_\w{7}\.png", photo.image.name)
    assert re.fullmatch(r"notes/far_\w{7}\.txt", photo.notes.name)
    assert (admin.shown(photo.image), admin.shown(photo.notes)) == (picture, b"mine")
    assert (admin.shown(dumped.image), admin.shown(dumped.notes)) == tuple(FAR.values())


def test_a_row_of_the_dump(admin: Admin, dumped: Any, media: Path) -> None:
    page = admin.page(change(dumped))
    for key in FAR:
        assert f'<a href="/media/{key}">{key}</a>' in page
    assert admin.shown(dumped.image) == FAR["photos/far.png"]
    admin.submit(change(dumped), title="renamed")
    row = photos().get(title="renamed")
    assert (row.image.name, row.notes.name, row.width, row.height) == (*FAR, 70, 40)
    assert kept(media) == {}, "nothing was copied"


def test_a_replacement(admin: Admin, dumped: Any, media: Path) -> None:
    """As with Django's own storage the file before stays, until somebody deletes it."""
    first, second = png(11, 12), png(13, 14)
    admin.submit(change(dumped), title="replaced", image=named("first.png", first))
    admin.submit(change(dumped), title="replaced", image=named("second.png", second))
    row = photos().get(title="replaced")
    assert (row.image.name, row.width, row.height) == ("photos/second.png", 13, 14)
    assert kept(media) == {"photos/first.png": first, "photos/second.png": second}
    assert admin.shown(row.image) == second
    assert admin.shown(dumped.image) == FAR["photos/far.png"]


def test_clear(admin: Admin, dumped: Any) -> None:
    assert 'name="notes-clear"' in admin.page(change(dumped))
    assert 'name="image-clear"' not in admin.page(change(dumped)), "it has to have one"
    admin.submit(change(dumped), title="cleared", **{"notes-clear": "on"})
    row = photos().get(title="cleared")
    assert (row.notes.name, bool(row.notes), row.image.name) == ("", False, "photos/far.png")
    assert admin.shown(dumped.notes) == b"production's"


def test_delete(admin: Admin, dumped: Any) -> None:
    """As with Django's own storage the files of a row outlive it; a project that removes them hides production's."""
    admin.submit(f"/admin/album/photo/{dumped.pk}/delete/", post="yes")
    assert not photos().filter(title="dumped").exists()
    assert admin.shown(dumped.image) == FAR["photos/far.png"]
    dumped.image.delete(save=False)
    assert default_storage.exists("photos/far.png") is False
    assert media_stack().restore("photos/far.png")
    assert default_storage.exists("photos/far.png")


# -- the fields --------------------------------------------------------------------------------------------------------


def test_reading_production_s_file(dumped: Any, media: Path) -> None:
    assert (dumped.image.width, dumped.image.height, dumped.image.size) == (70, 40, len(FAR["photos/far.png"]))
    assert dumped.notes.url == "/media/notes/far.txt"
    with dumped.notes.open() as file:
        assert (file.read(), dumped.notes.size) == (b"production's", 12)
    with pytest.raises(NotImplementedError, match="read-only"):
        dumped.notes.path  # noqa: B018 - it raises
    assert kept(media) == {}


def test_a_dump_without_sizes(dumped: Any) -> None:
    photos().update(width=None, height=None)
    row = photos().get()
    assert (row.width, row.height) == (70, 40)


def test_save_of_a_field(admin: Admin, dumped: Any, media: Path) -> None:
    dumped.notes.save("far.txt", ContentFile(b"mine"))
    row = photos().get()
    assert re.fullmatch(r"notes/far_\w{7}\.txt", row.notes.name)
    assert (row.notes.path, row.notes.size) == (str(media / row.notes.name), 4)
    assert (admin.shown(row.notes), bytes_of(default_storage, "notes/far.txt")) == (b"mine", b"production's")
    row.image.save("new.png", ContentFile(png(9, 8)))
    assert (photos().get().width, photos().get().height) == (9, 8)


def test_writing_to_production_s_file(dumped: Any, media: Path) -> None:
    with dumped.notes.open("ab") as file:
        file.write(b" and mine")
    assert kept(media) == {"notes/far.txt": b"production's and mine"}
    assert photos().get().notes.path == str(media / "notes/far.txt")


def test_delete_of_a_field(admin: Admin, dumped: Any) -> None:
    for field, key in ((dumped.notes, "notes/far.txt"), (dumped.image, "photos/far.png")):
        url = field.url
        field.delete()
        assert not field
        assert admin.client.get(url).status_code == 404
        assert not default_storage.exists(key)
        assert default_storage.listdir(key.partition("/")[0]) == ([], [])
        with pytest.raises(FileNotFoundError):
            default_storage.open(key)
    row = photos().get()
    assert (row.notes.name, row.image.name, row.width, row.height) == ("", "", None, None)
    # Another row that has the same file can still be opened and changed.
    photos().update(image="photos/far.png", width=70, height=40)
    assert "photos/far.png" in admin.page(change(row))
    admin.submit(change(row), title="mended", image=named("far.png", png(3, 4)))
    row = photos().get()
    assert (row.image.name, row.width, row.height) == ("photos/far.png", 3, 4), "the name of a deleted file is free"
    assert admin.shown(row.image) == png(3, 4)
    row.image.delete()
    assert not default_storage.exists("photos/far.png"), "production's does not come back"
