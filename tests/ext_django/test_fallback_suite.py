"""django-fallback-storage's own tests: how they are run. They are in its repository alone, which a test cannot reach.

So a suite of the same make stands in for them: of ``get_storage_class``, and with settings beside it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..fresh.environment import CHECKOUT, clean

pytestmark = pytest.mark.slow

SETTINGS = """
SECRET_KEY = "for tests"
DEFAULT_FILE_STORAGE = "fallback_storage.storage.FallbackStorage"
FALLBACK_STORAGES = (
    "django.core.files.storage.InMemoryStorage",
    "django.core.files.storage.FileSystemStorage",
)
MEDIA_ROOT = {root!r}
"""
SUITE = """
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, get_storage_class


def test_reading():
    assert get_storage_class()().open("a.txt").read() == b"production's"
    assert get_storage_class("django.core.files.storage.FileSystemStorage") is FileSystemStorage


def test_covering():
    assert get_storage_class()().save("a.txt", ContentFile(b"mine")) == "a.txt"
"""


def run(suite: Path, *names: str) -> tuple[int, str]:
    command = [sys.executable, CHECKOUT / "tools" / "fallback_suite.py", suite, *names]
    variables = clean(PYTHONPATH=str(CHECKOUT))
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=variables)
    return ran.returncode, ran.stdout + ran.stderr


def test_a_suite_of_their_make(tmp_path: Path) -> None:
    suite, production = tmp_path / "tests", tmp_path / "media"
    for folder in (suite, production):
        folder.mkdir()
    (production / "a.txt").write_bytes(b"production's")
    (suite / "settings.py").write_text(SETTINGS.format(root=str(production)))
    (suite / "test_of_theirs.py").write_text(SUITE)
    ended, said = run(suite)
    assert ended == 1, said
    assert re.search("FAILED .*::test_covering", said), said
    assert "1 failed, 1 passed" in said
    ended, said = run(suite, "shadow")
    assert (ended, "2 passed" in said) == (0, True), said
    assert (production / "a.txt").read_bytes() == b"production's"
