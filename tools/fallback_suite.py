"""Run django-fallback-storage's own tests, unchanged, over our FallbackStorage.

    python tools/fallback_suite.py FOLDER [NAMES]

FOLDER is ``tests`` of a checkout of it, or of a fork: what is on the package index has none. NAMES is what is done with
a name that is taken. They want more than we do: ``pip install dj-inmemorystorage six pytest-django pytest-mock``. What
Django has dropped since is given back to them: ``get_storage_class`` and DEFAULT_FILE_STORAGE.
"""

from __future__ import annotations

import os
import runpy
import sys
from functools import partial
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.files import storage
from django.utils.module_loading import import_string

THEIRS = "fallback_storage.storage.FallbackStorage"


def main(folder: Path, names: Any = None) -> int:
    """Run the tests of a folder, with the settings that lie there; return how pytest ends."""
    found = runpy.run_path(str(folder / "settings.py"))
    settings.configure(**{name: value for name, value in found.items() if name.isupper()})
    django.setup()
    from mediamw.ext.django import FallbackStorage

    def get_storage_class(path: str | None = None) -> Any:
        path = path or settings.DEFAULT_FILE_STORAGE
        return partial(FallbackStorage, names=names) if path == THEIRS else import_string(path)

    storage.get_storage_class = get_storage_class
    where = ["-c", os.devnull, "--rootdir", str(folder), "--import-mode=importlib", "-p", "no:cacheprovider"]
    return int(pytest.main([str(folder), *where]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), *sys.argv[2:]))
