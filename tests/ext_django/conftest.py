"""One Django for all these tests; each changes its settings with ``override_settings``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings
from django.test import override_settings

if not settings.configured:
    settings.configure(
        DEBUG=True,
        SECRET_KEY="for tests",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="tests.ext_django.urls",
        INSTALLED_APPS=["mediamw.ext.django"],
        MIDDLEWARE=["mediamw.ext.django.MediaMiddleware"],
        MEDIA_URL="/media/",
        STATIC_URL="/static/",
        LOGGING_CONFIG=None,
    )
    django.setup()


@pytest.fixture
def media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """MEDIA_ROOT, with a small file in it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
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
