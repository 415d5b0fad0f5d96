"""Opening by descriptor beneath a root: what is opened lies below the root, whoever swaps links in the meantime.

Three ways, best first: ``openat2`` with RESOLVE_BENEATH (Linux 5.6; one call), component by component with O_NOFOLLOW
(macOS, older kernels, containers whose seccomp filter forbids openat2), and by real path (Windows, which has no
directory descriptors; there a race with a swapped link is possible). A link that these refuse is looked at again: one
whose target lies below the root, or below a directory that ``follow`` lists, is followed, again by descriptor.
Opening never waits for the other end of a FIFO (O_NONBLOCK) and takes no terminal (O_NOCTTY).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable

from .folder import Folder, make_directory
from .openat2 import (
    BENEATH,
    CACHED,
    DIRECTORY_FLAGS,
    FILE_FLAGS,
    NO_MAGICLINKS,
    NO_SYMLINKS,
    NO_XDEV,
    Prepared,
    load_openat2,
    opens_at_once,
    prepared,
)
from .spelling import Spelling, SpeltOtherwise

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
HAS_DIR_FD = os.open in os.supports_dir_fd and _NOFOLLOW != 0
_ROOT_CHECK_SECONDS = 1.0

_openat2, _open_cached, _open_quietly = load_openat2()


class _Directory:
    """An open directory; closed when the last user lets go, so that no thread sees its number used for another."""

    __slots__ = ("fd", "identity", "is_quick", "prepared")

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, DIRECTORY_FLAGS)
        self.prepared = prepared(self.fd)
        found = os.fstat(self.fd)
        self.identity = (found.st_dev, found.st_ino)
        # Else the loop, and with the GIL all threads, would wait for a server or for another process.
        self.is_quick = _openat2 is not None and opens_at_once(self.fd)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


class LinkRefused(OSError):
    """The name is a link, or lies behind one, that leads where nobody allowed it to lead."""


class Root:
    """A directory beneath which files are opened. It may be missing, appear, be removed, renamed and made again."""

    def __init__(self, path: str, follow: tuple[str, ...] = ()) -> None:
        self.path = path
        self._follow = follow
        self._directory: _Directory | None = None
        self._checked = 0.0
        self._spelling = Spelling()

    def open_file(self, key: str) -> int:
        """Open ``key`` for reading. Raises ``OSError``: ENOENT or ENOTDIR if missing, ``LinkRefused``, and others."""
        fd = self._open_file(key)
        if self._spelling.may_differ(key):
            try:
                if not self.is_exact(key):
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), key)
            except BaseException:
                os.close(fd)
                raise
        return fd

    def open_file_if_any(self, key: str) -> int | None:
        """Like ``open_file``, but None if there is nothing: an exception costs more than looking does."""
        if _openat2 is None or _open_quietly is None:
            return self.open_file(key)
        directory = self._current()  # held by name: another thread may renew it, and its descriptor must stay open
        fd = _open_quietly(directory.fd, key.encode(errors="surrogateescape"))
        if fd == -errno.ENOENT and self._renewed() is directory:
            return None
        if fd < 0:
            return self.open_file(key)
        if self._spelling.may_differ(key):
            os.close(fd)
            return self.open_file(key)
        return fd

    def open_file_now(self, key: str) -> int | None:
        """Like ``open_file``, but None where the answer would have to wait for the disk."""
        fd = self._open_file_now(key)
        if fd is not None and self._spelling.may_differ(key):  # a folder may have to be read
            os.close(fd)
            return None
        return fd

    def open_folder_if_any(self, folder: str) -> Folder | None:
        """Open a directory to read what is in it, None if there is nothing: as ``open_file_if_any`` does it."""
        if _openat2 is not None and _open_quietly is not None and not self._spelling.may_differ(folder):
            directory = self._current()  # held by name, as there
            fd = _open_quietly(directory.fd, folder.encode(errors="surrogateescape"))
            if fd >= 0:
                return Folder(fd, "")
            if fd == -errno.ENOENT and self._renewed() is directory:
                return None
        return self.open_folder(folder)

    def _open_file(self, key: str) -> int:
        if not HAS_DIR_FD:
            return self._open_linked(key, FILE_FLAGS)
        directory = self._current()
        try:
            return self._open(directory, key)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR) or self._renewed() is directory:
                raise
            return self._open(self._current(), key)

    def _open_file_now(self, key: str) -> int | None:
        if _openat2 is None:
            return self._open_file(key)
        directory = self._quick()
        if directory is None:
            return None
        try:
            return _openat2(directory.fd, key, FILE_FLAGS, BENEATH | NO_MAGICLINKS | NO_XDEV | CACHED)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                if self._renewed() is not directory:
                    return None
                raise
            # EAGAIN: not in the dentry cache; EINVAL: a kernel before 5.12; EXDEV, ELOOP: a link or mount.
            return None

    def open_again(self, path: Prepared) -> int:
        """Open a file of which all is in the caches; negative if not, if it is missing, or the root is to be looked at.

        ``path`` is a key, ``prepared``. Where there is no openat2 it always is.
        """
        directory = self._quick()
        return -1 if directory is None or _open_cached is None else _open_cached(directory.prepared, path)

    @property
    def is_quick(self) -> bool:
        """Whether what was opened before can be opened again, or seen to be missing, without waiting."""
        return self._directory is not None and self._directory.is_quick

    def _quick(self) -> _Directory | None:
        """Return the directory if it can be asked without waiting and need not be looked at first.

        The caller holds it by name: another thread may renew it, and its descriptor must stay open.
        """
        directory = self._directory
        if directory is None or not directory.is_quick or time.monotonic() - self._checked > _ROOT_CHECK_SECONDS:
            return None
        return directory

    def are_missing_again(self, paths: Iterable[Prepared], twice: Iterable[bytes]) -> bool:
        """Say whether the caches know that there is nothing under any of these names, looked at in this order.

        ``twice``: those of them that are looked at once more, which is cheaper, as the caches have them now. False if
        there is something, or one would have to wait for the disk to know.
        """
        directory = self._quick()
        if directory is None or not _are_missing(directory, paths, wait=False):
            return False
        return not any(os.access(path, os.F_OK, dir_fd=directory.fd) for path in twice)

    def are_missing(self, paths: Iterable[Prepared], *, wait: bool) -> bool:
        """The same, of the directory that the root is after all were looked at. ``wait``: for the disk, if need be."""
        directory = self._directory
        try:
            return directory is not None and _are_missing(directory, paths, wait=wait) and self._renewed() is directory
        except OSError:
            return False

    def may_differ(self, key: str) -> bool:
        """Say whether what opens as ``key`` may have another name, on a disk that folds names. Asks no disk."""
        return self._spelling.may_differ(key)

    def is_exact(self, key: str) -> bool:
        """Say whether what is there as ``key`` (a folder's ends in ``/``) has that very name. Raises ``OSError``."""
        return self._spelling.is_exact(key, self.open_folder)

    def is_taken(self, key: str) -> bool:
        """Say whether ``key`` is there in another spelling. Raises ``OSError``."""
        return self._spelling.is_taken(key, self.open_folder)

    def open_folder(self, folder: str, *, create: bool = False, mode: int | None = None) -> Folder:
        """Open a directory beneath the root ("" is the root itself), making what is missing below it if ``create``.

        ``mode`` is that of the directories it makes; None: 0o777 less the umask. With ``create``, raises
        ``SpeltOtherwise`` if the disk takes one of them for a directory of another spelling.
        """
        names = folder.split("/") if folder else []
        if not HAS_DIR_FD:
            path = self.path
            for depth, name in enumerate(names, 1):
                path = os.path.join(path, name)
                if create:
                    make_directory(path, None, mode)
                    self._target("/".join(names[:depth]))  # before something is made on its other side
                    self._check_folder("/".join(names[:depth]))
            self._target(folder)
            os.scandir(path).close()  # NotADirectoryError if it is a file
            return Folder(None, path)
        fd = os.open(self.path, DIRECTORY_FLAGS)
        try:
            for depth, name in enumerate(names, 1):
                if create and make_directory(name, fd, mode):
                    Folder(fd, "").sync()  # or the disk may lose it, with all that is synced in it
                if create:
                    self._check_folder("/".join(names[:depth]))
                deeper = self._open_one(fd, name, "/".join(names[:depth]))
                os.close(fd)
                fd = deeper
        except BaseException:
            os.close(fd)
            raise
        return Folder(fd, "")

    def _check_folder(self, folder: str) -> None:
        if not self.is_exact(f"{folder}/"):
            raise SpeltOtherwise(errno.ENOTDIR, f"the disk has its folder {folder!r} in another spelling")

    def _open_one(self, fd: int, name: str, folder: str) -> int:
        try:
            return os.open(name, DIRECTORY_FLAGS | _NOFOLLOW, dir_fd=fd)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                return self._open_linked(folder, DIRECTORY_FLAGS)
            raise

    def close(self) -> None:
        """Let go of the directory; the next call opens it again."""
        self._directory = None

    def _current(self) -> _Directory:
        directory = self._directory
        if directory is None or time.monotonic() - self._checked > _ROOT_CHECK_SECONDS:
            return self._renewed()
        return directory

    def _renewed(self) -> _Directory:
        """Return the directory that the path names now: the open one if it is still that. Raises ``OSError``."""
        now, directory = time.monotonic(), self._directory
        try:
            found = os.stat(self.path)  # which may take long: until it is back nobody believes the old one for longer
            if directory is None or directory.identity != (found.st_dev, found.st_ino):
                directory = self._directory = _Directory(self.path)
                self._spelling = Spelling()  # it may be another disk
            self._checked = now
        except OSError:
            self._directory = None  # the old one must not be served in the place of what cannot be opened
            raise
        return directory

    def _open(self, directory: _Directory, key: str) -> int:
        try:
            if _openat2 is not None:
                for _ in range(8):  # EAGAIN: a rename went on somewhere while the kernel resolved ".." of a link
                    try:
                        return _openat2(directory.fd, key, FILE_FLAGS, BENEATH | NO_MAGICLINKS)
                    except OSError as error:
                        if error.errno not in (errno.EAGAIN, errno.EINTR):
                            raise
            return _walk(directory.fd, key, FILE_FLAGS)
        except OSError as error:
            # EXDEV: a link out of the root, or an absolute one. The walk knows a link as ELOOP, or as ENOTDIR.
            if error.errno in (errno.EXDEV, errno.ELOOP) or (error.errno == errno.ENOTDIR and _openat2 is None):
                return self._open_linked(key, FILE_FLAGS)
            raise

    def _open_linked(self, key: str, flags: int) -> int:
        """Follow the links of ``key`` to where they end, and open that by descriptor if it may be followed there."""
        base, path = self._target(key)
        return _open_below(base, path, flags)

    def _target(self, key: str) -> tuple[str, str]:
        """Return where the links of ``key`` lead: a real directory that is allowed, and a path below it."""
        path = os.path.join(self.path, key)
        try:
            target = os.path.realpath(path, strict=True)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise LinkRefused(errno.ELOOP, "a link that leads to itself", key) from None
            if os.path.exists(path):  # it opens, and yet has no name: a magic link, such as /proc/self/fd/0
                raise LinkRefused(errno.EXDEV, "a link to what has no place in a directory", key) from None
            raise
        for allowed in (self.path, *self._follow):
            base = os.path.realpath(allowed)
            if target == base:
                return base, "."
            if target.startswith(base.rstrip(os.sep) + os.sep):
                return base, os.path.relpath(target, base)
        raise LinkRefused(errno.EXDEV, "a link that leads out of the root (see follow_links_to)", key)


def _are_missing(directory: _Directory, paths: Iterable[Prepared], *, wait: bool) -> bool:
    """Say whether there is nothing under any of ``paths``; ``directory`` stays open as long as it is held here."""
    if _openat2 is None or _open_cached is None or _open_quietly is None:
        return False
    if not directory.is_quick and not wait:
        return False
    for path in paths:
        fd = _open_cached(directory.prepared, path) if directory.is_quick else -errno.EAGAIN
        if fd in (-errno.EAGAIN, -errno.EXDEV) and wait:
            fd = _open_quietly(directory.fd, path.value)
        if fd != -errno.ENOENT:
            if fd >= 0:
                os.close(fd)
            return False
    return True


def _open_below(base: str, path: str, flags: int) -> int:
    """Open a path that holds no links; one that was swapped in since is refused."""
    if not HAS_DIR_FD:
        return os.open(os.path.join(base, path), flags)
    directory = _Directory(base)
    try:
        if _openat2 is not None:
            return _openat2(directory.fd, path, flags, BENEATH | NO_MAGICLINKS | NO_SYMLINKS)
        return _walk(directory.fd, path, flags)
    except OSError as error:
        # ENOTDIR is what the walk says of a link on the way; a file there would have shown when links were followed.
        if error.errno in (errno.ELOOP, errno.EXDEV) or (error.errno == errno.ENOTDIR and flags == FILE_FLAGS):
            raise LinkRefused(error.errno, "a link that changed while it was followed", path) from None
        raise


def _walk(fd: int, path: str, flags: int) -> int:
    """Open ``path`` below ``fd`` component by component, following no link."""
    *folders, name = path.split("/")
    current = fd
    try:
        for folder in folders:
            deeper = os.open(folder, DIRECTORY_FLAGS | _NOFOLLOW, dir_fd=current)
            if current != fd:
                os.close(current)
            current = deeper
        return os.open(name, flags | _NOFOLLOW, dir_fd=current)
    finally:
        if current != fd:
            os.close(current)
