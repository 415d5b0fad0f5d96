"""Runs Django's own tests with ``MediaStorage`` in place of ``FileSystemStorage``; writes how each ended, as JSON.

    python runner.py TESTS local|lower ANSWERS.json    TESTS: the folder `tests` of Django's source distribution

A program of its own: what it replaces has to be replaced before Django's modules are imported, and it is where they are
run from. ``lower`` puts an in-memory backend with files of its own below each directory.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

LABELS = [
    "file_storage.tests",
    "file_storage.test_base",
    "file_storage.test_generate_filename",
    "file_uploads.tests",
    "model_fields.test_filefield",
    "model_fields.test_imagefield",
]
APPS = ["file_storage", "file_uploads", "model_fields"]
LOWER_FILES = {"from_production/a.txt": b"production's", "from_production/deep/b.txt": b"production's"}


def main(tests: str, below: str, answers: str) -> None:
    sys.path.insert(0, tests)
    from django.conf import settings

    with tempfile.TemporaryDirectory(prefix="mediamw-django-tests-") as folder:
        os.chdir(folder)
        settings.configure(
            SECRET_KEY="for tests",
            INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sites", *APPS],
            DATABASES={alias: {"ENGINE": "django.db.backends.sqlite3"} for alias in ("default", "other")},
            DEFAULT_AUTO_FIELD="django.db.models.AutoField",
            MEDIA_ROOT=folder,
            MEDIA_URL="media/",
            STATIC_URL="static/",
            ROOT_URLCONF="file_storage.urls",
            SITE_ID=1,
            USE_TZ=False,
            MIGRATION_MODULES={"auth": None, "contenttypes": None, "sessions": None, "sites": None},
            PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        )
        replace_file_system_storage(below == "lower")
        Path(answers).write_text(json.dumps(run()))


def replace_file_system_storage(with_lower: bool) -> None:
    """Put a class over ``MediaStorage`` in the place of Django's, which takes what that takes."""
    from django.conf import settings
    from django.core.files import storage
    from django.core.files.storage import filesystem

    from mediamw import LocalBackend, MemoryBackend
    from mediamw.ext.django import MediaStorage

    class FileSystemStorage(MediaStorage):  # type: ignore[misc]
        """The arguments and the attributes for the location of Django's; all that it does is MediaStorage's."""

        OS_OPEN_FLAGS = os.O_EXCL  # without it 5.2's tests cannot be imported

        def __init__(self, location: Any = None, base_url: Any = None, **options: Any) -> None:
            self._location = location
            super().__init__(backends=[], base_url=base_url, **options)

        @property
        def base_location(self) -> str:
            return settings.MEDIA_ROOT if self._location is None else self._location

        @property
        def location(self) -> str:
            return os.path.abspath(self.base_location)

        @property
        def _backends(self) -> list[Any]:
            """One directory, or that and a lower: where the settings say when they are asked for."""
            lower = [MemoryBackend(LOWER_FILES, name="production")] if with_lower else []
            return [LocalBackend(self.location), *lower]

        @_backends.setter
        def _backends(self, given: Any) -> None:
            assert given == []

    filesystem.FileSystemStorage = storage.FileSystemStorage = FileSystemStorage


def run() -> dict[str, str]:
    """Run them; return how each ended: ok, skipped, or what was wrong."""
    import django
    from django.test.runner import DiscoverRunner

    django.setup()
    ended: dict[str, str] = {}

    class Result(unittest.TextTestResult):
        def addSuccess(self, test: unittest.TestCase) -> None:
            ended.setdefault(test.id(), "ok")

        def addSkip(self, test: unittest.TestCase, reason: str) -> None:
            ended[test.id()] = f"skipped: {reason}"

        def addFailure(self, test: unittest.TestCase, err: Any) -> None:
            ended[test.id()] = self._exc_info_to_string(err, test)

        addError = addFailure

        def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
            ended[test.id()] = "ok"

        def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
            if err is not None:
                ended[test.id()] = self._exc_info_to_string(err, test)

    class Runner(DiscoverRunner):
        def get_resultclass(self) -> type[unittest.TestResult]:
            return Result

        def get_test_runner_kwargs(self) -> dict[str, Any]:
            return {**super().get_test_runner_kwargs(), "stream": open(os.devnull, "w")}

    runner = Runner(verbosity=0, interactive=False)
    runner.run_tests(LABELS)
    return ended


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()), sys.argv[2], str(Path(sys.argv[3]).resolve()))
