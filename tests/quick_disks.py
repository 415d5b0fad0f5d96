"""Which disks know what is missing without being asked."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from mediamw.backends import beneath
from mediamw.backends.openat2 import prepared


def need_remembered_names(folder: Path) -> None:
    """Skip where the kernel does not remember what is missing, as of tmpfs: there no look at it is quick."""
    if not beneath.HAS_DIR_FD or beneath._openat2 is None or beneath._open_cached is None:
        pytest.skip("run without Linux-only calls: nothing is kept")
    with suppress(FileNotFoundError):
        os.stat(folder / "missing")
    directory = beneath.Root(str(folder))._current()
    if beneath._open_cached(directory.prepared, prepared("missing")) != -errno.ENOENT:
        pytest.skip("this disk remembers no names that are missing: have the tests on another, --basetemp=DIRECTORY")
