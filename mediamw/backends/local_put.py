"""Putting a new file into a directory: whole or not at all, and never over another.

A temporary below ``.mediamw/tmp`` takes the bytes and is synced to disk; an exclusive hard link then publishes it, so
that of two uploads of one name the second fails instead of replacing the first. Where the folder is another mount, the
bytes go on into a dot-named neighbour of the target and are linked there. Where there are no hard links (FAT, some
network file systems) the name is taken with O_EXCL and filled: exclusive too, but a reader may see it grow.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator

from ..core.errors import BackendUnavailable, MediaError, NameTaken, NotServable
from ..core.keys import STATE_FOLDER, Key
from .base import CHUNK_BYTES, Content, pieces
from .beneath import Folder, LinkRefused, Root

_TEMPORARIES = f"{STATE_FOLDER}/tmp"  # noqa: S108 - beneath the root, not the system's
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL))
_BAD_NAME = frozenset((errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ))


def put(root: Root, backend: str, key: Key, data: Content) -> None:
    """Store ``data`` as ``key`` beneath ``root``.

    Raises ``NameTaken`` if the name, or one of its folders, is taken; ``NotServable`` if a link on the way leads out or
    the disk cannot hold the name; ``BackendUnavailable`` if it does not take the bytes (full, read-only, no
    permission). No part of the file stays behind then. What reading ``data`` raises goes through.
    """
    folder_name, _, name = key.rpartition("/")
    try:
        os.makedirs(root.path, exist_ok=True)
    except OSError as error:  # a file in its place is no name that is taken
        raise BackendUnavailable(
            f"{error.strerror} ({root.path})", backend=backend, key=key, operation="put"
        ) from error
    with contextlib.ExitStack() as opened:
        with _errors(root, backend, key):
            folder = opened.enter_context(root.open_folder(folder_name, create=True))
            temporaries = opened.enter_context(root.open_folder(_TEMPORARIES, create=True))
            if _exists(folder, name):  # spares reading an upload that cannot be kept; the link below decides
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), key)
        with _errors(root, backend, key):
            temporary, fd = _temporary(temporaries)
        try:
            for piece in pieces(data):
                with _errors(root, backend, key):
                    _write(fd, piece)
            with _errors(root, backend, key):
                os.fsync(fd)
                _publish(fd, temporaries, temporary, folder, name)
                folder.sync()
        finally:
            os.close(fd)
            _discard(temporaries, temporary)


@contextlib.contextmanager
def _errors(root: Root, backend: str, key: Key) -> Iterator[None]:
    """Say what an error of the disk means."""
    try:
        yield
    except OSError as error:
        raise _meaning(error, root, backend, key) from error


def _meaning(error: OSError, root: Root, backend: str, key: Key) -> MediaError:
    if isinstance(error, FileExistsError):
        return NameTaken("a file or a folder has this name", backend=backend, key=key, operation="put")
    if isinstance(error, NotADirectoryError):
        return NameTaken("one of its folders is a file", backend=backend, key=key, operation="put")
    reason = f"{error.strerror} ({root.path})"
    if isinstance(error, LinkRefused) or error.errno in _BAD_NAME:
        return NotServable(reason, backend=backend, key=key, operation="put")
    return BackendUnavailable(reason, backend=backend, key=key, operation="put")


def _exists(folder: Folder, name: str) -> bool:
    try:
        os.stat(folder.at(name), dir_fd=folder.fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _temporary(folder: Folder, prefix: str = "") -> tuple[str, int]:
    name = f"{prefix}{secrets.token_hex(12)}"
    return name, os.open(folder.at(name), _CREATE, 0o666, dir_fd=folder.fd)


def _discard(folder: Folder, temporary: str) -> None:
    """Remove a temporary. If that fails the put is no less done, or failed: somebody removed the state, or will."""
    with contextlib.suppress(OSError):
        os.unlink(folder.at(temporary), dir_fd=folder.fd)


def _publish(fd: int, temporaries: Folder, temporary: str, folder: Folder, name: str) -> None:
    try:
        _link(temporaries, temporary, folder, name)
    except OSError as error:
        if error.errno == errno.EXDEV:
            neighbour, copy = _temporary(folder, f"{STATE_FOLDER}-")
            try:
                _copy(fd, copy)
                _link(folder, neighbour, folder, name)
            except OSError as second:
                if second.errno not in _NO_LINKS:
                    raise
                _take_and_fill(fd, folder, name)
            finally:
                os.close(copy)
                _discard(folder, neighbour)
        elif error.errno in _NO_LINKS:
            _take_and_fill(fd, folder, name)
        else:
            raise


def _link(source_folder: Folder, source: str, folder: Folder, name: str) -> None:
    os.link(source_folder.at(source), folder.at(name), src_dir_fd=source_folder.fd, dst_dir_fd=folder.fd)


def _take_and_fill(fd: int, folder: Folder, name: str) -> None:
    copy = os.open(folder.at(name), _CREATE, 0o666, dir_fd=folder.fd)
    try:
        _copy(fd, copy)
    except BaseException:
        os.unlink(folder.at(name), dir_fd=folder.fd)  # ours: O_EXCL made it
        raise
    finally:
        os.close(copy)


def _copy(source: int, target: int) -> None:
    os.lseek(source, 0, os.SEEK_SET)
    while data := os.read(source, CHUNK_BYTES):
        _write(target, data)
    os.fsync(target)


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(fd, rest) :]
