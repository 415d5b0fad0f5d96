"""A disk that folds names, made of any directory: what macOS, Windows and ext4 with casefold do.

Every call of the system that takes a name finds an entry of another spelling, and keeps that entry's.
Not every kernel can mount a disk that does. By hand the same was tried on NTFS, by `lowntfs-3g -o ignore_case`, which
stores names in lower case: `a.jpg` is found, `A.jpg` is the lower's, and saving it is refused.
"""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from mediamw.backends import beneath
from mediamw.backends import openat2 as openat2s

REAL = {
    name: getattr(os, name)
    for name in ("open", "stat", "lstat", "mkdir", "unlink", "link", "replace", "listdir", "scandir")
}


def folded(name: str) -> str:
    return unicodedata.normalize("NFD", name).casefold()


def on_disk(path: Any, dir_fd: int | None = None) -> Any:
    """Return a path in the spelling that its entries have, as far as there are any."""
    path = path if isinstance(path, int) else os.fspath(path)
    if not isinstance(path, str):
        return path
    known = "/" if path.startswith("/") else ""
    for name in path.split("/"):
        if name in ("", ".", ".."):
            known = os.path.join(known, name) if name else known
            continue
        try:
            folder = REAL["open"](known or ".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=dir_fd)
        except OSError:
            return path
        try:
            names = REAL["listdir"](folder)
        except PermissionError:
            names = []
        finally:
            os.close(folder)
        if name not in names:
            name = next((other for other in names if folded(other) == folded(name)), name)
        known = os.path.join(known, name)
    return known


def fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all disks fold names, case and the forms of Unicode, to ``LocalBackend``."""

    def one(name: str) -> Any:
        def call(path: Any, *arguments: Any, dir_fd: int | None = None, **others: Any) -> Any:
            return REAL[name](on_disk(path, dir_fd), *arguments, dir_fd=dir_fd, **others)

        return call

    def two(name: str) -> Any:
        def call(source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> Any:
            source, target = on_disk(source, src_dir_fd), on_disk(target, dst_dir_fd)
            return REAL[name](source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        return call

    for name in ("open", "stat", "lstat", "mkdir", "unlink"):
        monkeypatch.setattr(os, name, one(name))
    for name in ("link", "replace"):
        monkeypatch.setattr(os, name, two(name))
    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, lambda path, name=name: REAL[name](on_disk(path)))
    real = beneath._openat2
    if real is not None:
        use_openat2(monkeypatch, lambda fd, path, *more: real(fd, on_disk(path, fd), *more))
    cached = beneath._open_cached
    if cached is not None:

        def open_cached(directory: Any, path: Any) -> int:
            return cached(directory, openat2s.prepared(on_disk(os.fsdecode(path.value), directory.value)))

        monkeypatch.setattr(beneath, "_open_cached", open_cached)


def use_openat2(monkeypatch: pytest.MonkeyPatch, openat2: Callable[..., int]) -> None:
    """Have ``openat2`` be the kernel's, for what raises and for what does not."""

    def quietly(fd: int, path: bytes) -> int:
        try:
            return openat2(fd, os.fsdecode(path), openat2s.FILE_FLAGS, openat2s.BENEATH | openat2s.NO_MAGICLINKS)
        except OSError as error:
            return -(error.errno or errno.EIO)

    monkeypatch.setattr(beneath, "_openat2", openat2)
    monkeypatch.setattr(beneath, "_open_quietly", quietly)
