"""One Django for all these tests; each changes its settings with ``override_settings``."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

if not settings.configured:
    # On the disk: a database in memory is one for each thread, and authorize is asked on several.
    folder = TemporaryDirectory(prefix="mediamw-django-")
    atexit.register(folder.cleanup)
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"]
    settings.configure(
        DEBUG=True,
        SECRET_KEY="for tests",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="tests.ext_django.urls",
        INSTALLED_APPS=[*apps, "django.contrib.staticfiles", "mediamw.ext.django"],
        MIDDLEWARE=["mediamw.ext.django.MediaMiddleware"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder.name}/db.sqlite3"}},
        MIGRATION_MODULES={app.rpartition(".")[2]: None for app in apps},
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        MEDIA_URL="/media/",
        STATIC_URL="/static/",
        LOGGING_CONFIG=None,
    )
    django.setup()


@pytest.fixture(autouse=True)
def folder_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is configured from outside, and relative paths lie where the test's files are."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("MEDIAMW_", "STORAGE"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def media(tmp_path: Path) -> Iterator[Path]:
    """MEDIA_ROOT, with a small file and a large one in it."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    (folder / "large.bin").write_bytes(bytes(range(256)) * 1200)
    with override_settings(MEDIA_ROOT=str(folder)):
        yield folder


@pytest.fixture
def project(media: Path) -> Iterator[Any]:
    """``project(MEDIAMW=..., ...)`` changes settings until the test ends."""
    entered: list[Any] = []

    def change(**values: Any) -> None:
        entered.append(override_settings(**values))
        entered[-1].enable()

    yield change
    for one in reversed(entered):
        one.disable()


@pytest.fixture(scope="session")
def database() -> None:
    """The tables of users and sessions."""
    call_command("migrate", run_syncdb=True, verbosity=0)
