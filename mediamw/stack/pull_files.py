"""Files of the folder of the copies: opened by its descriptor, never by a link; locks that end with their process."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from typing import Any, Final

from ..backends.folder import Folder
from .pull_version import MAX_RECORD_BYTES, NoLocks, NotKept

with contextlib.suppress(ImportError):  # Windows: where there are no locks, checks.py allows no copies
    import fcntl

LOCK_SECONDS: Final = 10.0
"""How long one waits for another process that has a lock of the folder."""
_NO_LOCKS: Final = frozenset((errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS))
_LOCK_POLL_SECONDS: Final = 0.002
_OLD: Final = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
NEW: Final = _OLD | os.O_CREAT


class File:
    """An open file of the folder; closed when the last who reads it lets go."""

    __slots__ = ("fd", "is_whole")

    def __init__(self, fd: int, *, is_whole: bool) -> None:
        self.fd = fd
        self.is_whole = is_whole

    def __del__(self) -> None:
        os.close(self.fd)

    def lock(self) -> bool:
        """Try to be the one who writes it."""
        return _try_lock(self.fd)

    def unlock(self) -> None:
        """Let another write it."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)


@contextlib.contextmanager
def flock(folder: Folder, name: str) -> Iterator[None]:
    """Hold the lock of ``name``, made if there is none. Raises ``NotKept`` if another does not let go; ``NoLocks``."""
    fd = _open_lock(folder, name)
    try:
        end = time.monotonic() + LOCK_SECONDS
        while not _try_lock(fd):
            if time.monotonic() > end:
                raise NotKept(f"another process has held {name} in .mediamw/pulled for {LOCK_SECONDS:g} s")
            time.sleep(_LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(fd)


def _open_lock(folder: Folder, name: str) -> int:
    try:
        return os.open(folder.at(name), NEW, 0o666, dir_fd=folder.fd)
    except PermissionError:  # another user's: reading is enough for a lock, but on some network disks
        return os.open(folder.at(name), NEW & ~os.O_RDWR, 0o666, dir_fd=folder.fd)


def open_file(folder: Folder, name: str) -> int | None:
    """Open a file for reading and writing; None if there is none."""
    try:
        return os.open(folder.at(name), _OLD, dir_fd=folder.fd)
    except FileNotFoundError:
        return None


def read_file(folder: Folder, name: str, most: int = MAX_RECORD_BYTES) -> bytes:
    """Return what stands in a record, or another file of at most so many bytes."""
    fd = os.open(folder.at(name), _OLD & ~os.O_RDWR | os.O_RDONLY, dir_fd=folder.fd)
    try:
        return os.read(fd, most)
    finally:
        os.close(fd)


def stat_of(folder: Folder, name: str) -> os.stat_result:
    """Return what a name is, links not followed."""
    return os.stat(folder.at(name), dir_fd=folder.fd, follow_symlinks=False)


def rename(folder: Folder, name: str, new: str) -> None:
    """Rename a file, over another if there is one."""
    arguments: Any = {"src_dir_fd": folder.fd, "dst_dir_fd": folder.fd}
    os.replace(folder.at(name), folder.at(new), **arguments)


def write_file(folder: Folder, name: str, text: bytes) -> None:
    """Have ``text`` stand in a file, made if there is none. A process that is killed meanwhile leaves a part of it."""
    fd = os.open(folder.at(name), NEW | os.O_TRUNC, 0o666, dir_fd=folder.fd)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)


def remove(folder: Folder, name: str) -> bool:
    """Remove a file; False if there is none."""
    try:
        os.unlink(folder.at(name), dir_fd=folder.fd)
    except FileNotFoundError:
        return False
    return True


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        reason = f"the first backend's disk has no locks for files (flock: {error.strerror}), which copies need"
        raise NoLocks(f"{reason}: mount it with locks, or put another directory first") from error
    return True
