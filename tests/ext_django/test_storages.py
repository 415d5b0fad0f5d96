"""Entries of STORAGES as backends: ``django:ALIAS``, never written, with django-storages' options as they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.test import Client

from mediamw import LocalBackend, S3Backend
from mediamw.backends.base import Puts
from mediamw.ext.django import conf, media_stack
from mediamw.testing import StrictS3

ID, SECRET = "AKREADONLY", "the-secret-of-it"
FILES = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
MEMORY = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
OPTIONS = {"bucket_name": "acme", "access_key": ID, "secret_key": SECRET, "region_name": "eu-west-1"}


def s3(path: str = "storages.backends.s3.S3Storage", **options: Any) -> dict[str, Any]:
    return {"BACKEND": path, "OPTIONS": {**OPTIONS, **options}}


def lower() -> S3Backend:
    made = media_stack().backends[1]
    assert isinstance(made, S3Backend)
    return made


def reasons() -> str:
    return "\n".join(map(str, conf.configuration().faults))


@pytest.fixture
def django_storages() -> Iterator[type]:
    """As much of django-storages as a project's own class is derived from."""
    names = ("storages", "storages.backends", "storages.backends.s3", "storages.backends.s3boto3")
    made = {name: ModuleType(name) for name in names}

    class S3Storage:
        location = "of the base class"
        access_key = property(lambda self: "a property")

        def get_default_settings(self) -> dict[str, Any]:
            return {"location": "", "querystring_expire": 3600, "file_overwrite": True}

    S3Storage.__module__, S3Storage.__qualname__ = "storages.backends.s3", "S3Storage"
    made["storages.backends.s3"].S3Storage = S3Storage  # type: ignore[attr-defined]
    made["storages.backends.s3boto3"].S3Boto3Storage = S3Storage  # type: ignore[attr-defined]
    sys.modules.update(made)
    yield S3Storage
    for name in names:
        del sys.modules[name]


class Files(FileSystemStorage):
    """A project's own."""


def __getattr__(name: str) -> Any:
    """The project's own classes on django-storages, made when that is there."""
    if name == "ProductionStorage":
        from storages.backends.s3 import S3Storage

        attributes = {"location": "uploads", "querystring_auth": False, "custom_domain": "cdn.example.com"}
        return type(name, (S3Storage,), attributes)
    if name == "ByDefaults":
        from storages.backends.s3 import S3Storage

        def get_default_settings(self: Any) -> dict[str, Any]:
            return {**S3Storage.get_default_settings(self), "location": "by default", "file_overwrite": False}

        return type(name, (S3Storage,), {"get_default_settings": get_default_settings, "region_name": "eu-north-1"})
    if name == "Raising":
        from storages.backends.s3 import S3Storage

        return type(name, (S3Storage,), {"get_default_settings": lambda self: self.nothing})
    raise AttributeError(name)


@pytest.mark.parametrize("path", ["storages.backends.s3.S3Storage", "storages.backends.s3boto3.S3Boto3Storage"])
@pytest.mark.parametrize("spec", ["prod=django:production", {"spec": "django:production", "name": "prod"}])
def test_s3_without_django_storages(path: str, spec: Any, project: Any) -> None:
    project(STORAGES={"default": FILES, "production": s3(path, location="up")}, MEDIAMW={"backends": ["./media", spec]})
    assert (lower().name, lower().bucket, lower().location) == ("prod", "acme", "up")
    assert not isinstance(lower(), Puts), "it cannot be written, by type"
    url = lower().sign("a.jpg", "GET", 1_800_000_000.0).url  # type: ignore[arg-type]
    assert url.startswith("https://acme.s3.eu-west-1.amazonaws.com/up/a.jpg?X-Amz-")


def test_settings_beside_the_options(project: Any) -> None:
    storages = {"default": FILES, "production": {"BACKEND": "storages.backends.s3.S3Storage"}}
    values = {
        "AWS_STORAGE_BUCKET_NAME": "acme",
        "AWS_S3_ACCESS_KEY_ID": ID,
        "AWS_S3_SECRET_ACCESS_KEY": SECRET,
        "AWS_S3_ENDPOINT_URL": "https://fra1.digitaloceanspaces.com",
        "AWS_LOCATION": "media",
    }
    project(STORAGES=storages, MEDIAMW={"backends": ["./media", "django:production"]}, **values)
    assert (lower().bucket, lower().location, lower().endpoint_url) == (
        "acme",
        "media",
        "https://fra1.digitaloceanspaces.com",
    )
    project(AWS_LOCATION="other")
    assert lower().location == "other", "read anew"


@pytest.mark.usefixtures("django_storages")
def test_a_project_s_own_class(project: Any) -> None:
    storages = {"default": FILES, "production": s3(f"{__name__}.ProductionStorage", location="in options")}
    project(STORAGES=storages)
    assert lower().location == "in options"
    del storages["production"]["OPTIONS"]["location"]
    project(STORAGES=storages)
    assert lower().location == "uploads"
    assert lower().sign("a.jpg", "GET", 0).url == "https://cdn.example.com/uploads/a.jpg"  # type: ignore[arg-type]


@pytest.mark.usefixtures("django_storages")
def test_defaults_of_a_project_s_own_class(project: Any) -> None:
    own = s3(f"{__name__}.ByDefaults")
    del own["OPTIONS"]["region_name"]
    project(STORAGES={"default": FILES, "production": own}, AWS_LOCATION="of the settings")
    url = lower().sign("a.jpg", "GET", 0).url  # type: ignore[arg-type]
    assert url.startswith("https://acme.s3.eu-north-1.amazonaws.com/by%20default/a.jpg?")
    project(STORAGES={"default": FILES, "production": s3(f"{__name__}.Raising")})
    assert "Raising.get_default_settings raised AttributeError" in reasons()


def test_a_directory(project: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.txt").write_text("there")
    storages = {
        "default": FILES,
        "other": {"BACKEND": f"{__name__}.Files", "OPTIONS": {"location": str(other)}},
    }
    project(STORAGES=storages, MEDIAMW={"backends": ["django:default", {"spec": "django:other", "exclude": ["x/"]}]})
    upper, below = media_stack().backends
    assert isinstance(upper, LocalBackend)
    assert isinstance(below, LocalBackend)
    assert (upper.root, below.root) == (str(tmp_path / "media"), str(other))
    assert Client().get("/media/b.txt").content == b"there"


def test_rules_beside_it(project: Any) -> None:
    spec = {"spec": "django:production", "exclude": ["invoices/"], "delivery": "proxy"}
    project(STORAGES={"default": FILES, "production": s3()}, MEDIAMW={"backends": ["./media", spec]})
    assert lower().rules.delivery == "proxy"
    assert not lower().rules.lets("invoices/1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("django:prodution", "did you mean production?"),
        (
            "django:production?delivery=proxy",
            "options stand beside: {'spec': 'django:production', 'delivery': 'proxy'}",
        ),
        ({"spec": "django:production", "delivry": "proxy"}, "did you mean delivery?"),
        ({"spec": "django:default", "delivery": "proxy"}, "unknown option 'delivery'"),
        ({"spec": "django:memory", "delivery": "proxy"}, "unknown option 'delivery'"),
        ("django:refuses", "STORAGES['refuses']: making it raised TypeError"),
        ("django:nothing", "has no BACKEND: name a class"),
        ("django:gone", "importing no.such.Storage raised ModuleNotFoundError"),
        ("django:wrong", "settings.STORAGES['wrong']['OPTIONS']['bucket_name']): it is missing or empty"),
    ],
    ids=str,
)
def test_mistakes(spec: Any, said: str, project: Any) -> None:
    storages = {
        "default": FILES,
        "production": s3(),
        "memory": MEMORY,
        "refuses": {**MEMORY, "OPTIONS": {"nothing": 1}},
        "nothing": {},
        "gone": {"BACKEND": "no.such.Storage"},
        "wrong": s3(bucket_name=""),
    }
    project(STORAGES=storages, MEDIAMW={"backends": ["./media", spec]})
    assert said in reasons()
    assert SECRET not in reasons()


def test_through_django_nothing_is_written(project: Any) -> None:
    with StrictS3(keys={}, read_only_keys={ID: SECRET}) as server:
        server.create_bucket("acme")
        server.put("acme", "far.jpg", b"far")
        storage = s3(endpoint_url=server.endpoint, region_name="us-east-1")
        project(STORAGES={"default": FILES, "production": storage})
        client = Client()
        redirect = client.get("/media/far.jpg")
        assert redirect.status_code == 302
        assert redirect["Location"].startswith(f"{server.endpoint}/acme/far.jpg?X-Amz-")
        assert client.get("/media/a.txt").content == b"hello"
        assert media_stack().open("far.jpg").read() == b"far"
        project(MEDIAMW={"backends": ["./media", {"spec": "django:production", "delivery": "proxy"}]})
        assert client.get("/media/far.jpg").content == b"far"
        assert server.writes == []
        media_stack().close()
