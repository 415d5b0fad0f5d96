"""Writing into a directory: a file is published whole or not at all, and never over another unless that is asked for.

1. A draft below ``.mediamw/tmp`` takes the bytes and is synced to disk. It is locked for as long as it is held, so that
   what a killed process left can be told from an upload under way: unlocked ones are swept an hour later.
2. An exclusive hard link publishes it, so that of two uploads of one name the second fails instead of replacing the
   first; a rename does if the file is to be replaced.
3. Where the folder is another mount, the bytes go on into a dot-named neighbour of the target, to be published there.
4. Where there are no hard links (FAT, some network file systems) the name is taken with O_EXCL and the draft renamed
   over it: exclusive too, but a process that is killed between the two leaves an empty file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from ..core.errors import BackendUnavailable, MediaError, NameTaken, NotServable
from ..core.keys import STATE_FOLDER, Key
from .base import CHUNK_BYTES, Content, pieces
from .beneath import LinkRefused, Root
from .folder import Folder, make_directories
from .spelling import SpeltOtherwise

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

SWEEP_SECONDS: Final = 3600.0
_TEMPORARIES = f"{STATE_FOLDER}/tmp"  # noqa: S108 - beneath the root, not the system's
_NEIGHBOUR = f"{STATE_FOLDER}-"
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL))
_BAD_NAME = frozenset((errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ))
_NO_FILE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ))


class Place(NamedTuple):
    """Where to write: a root, the name of its backend, and the modes of new files and folders (None: by the umask)."""

    root: Root
    backend: str
    file_mode: int | None = None
    directory_mode: int | None = None

    def folder(self, name: str) -> Folder:
        """Open a folder, making what is missing. Raises ``OSError``."""
        return self.root.open_folder(name, create=True, mode=self.directory_mode)

    @contextlib.contextmanager
    def errors(self, key: str, operation: str = "put") -> Iterator[None]:
        """Say what an error of the disk means."""
        try:
            yield
        except OSError as error:
            raise self._meaning(error, key, operation) from error

    def make_root(self) -> None:
        """Make the directory itself. A file in its place is no name that is taken. Raises ``BackendUnavailable``."""
        try:
            make_directories(self.root.path, self.directory_mode)
        except OSError as error:
            raise BackendUnavailable(
                f"{error.strerror} ({self.root.path})", backend=self.backend, operation="put"
            ) from error

    def _meaning(self, error: OSError, key: str, operation: str) -> MediaError:
        taken = partial(NameTaken, backend=self.backend, key=key, operation=operation)
        if isinstance(error, SpeltOtherwise):
            return taken(str(error.strerror), is_final=error.errno == errno.ENOTDIR)
        if isinstance(error, FileExistsError):
            return taken("a file or a folder has this name")
        if isinstance(error, IsADirectoryError):
            return taken("a folder has this name")
        if isinstance(error, NotADirectoryError):
            return taken("one of its folders is a file", is_final=True)
        is_refused = isinstance(error, LinkRefused) or error.errno in _BAD_NAME
        kind: Any = NotServable if is_refused else BackendUnavailable
        made: MediaError = kind(
            f"{error.strerror} ({self.root.path})", backend=self.backend, key=key, operation=operation
        )
        return made


Named = Callable[[Key, os.stat_result], contextlib.AbstractContextManager[None]]


def _unnamed(_key: Key, _status: os.stat_result) -> contextlib.AbstractContextManager[None]:
    """Nobody wants to know."""
    return contextlib.nullcontext()


class LocalDraft:
    """A finished file without a name. ``close`` it, published or not. ``named``: what is done as it gets one."""

    def __init__(self, place: Place, data: Content, named: Named = _unnamed) -> None:
        self._place, self._named = place, named
        self._stays = False
        place.make_root()
        with place.errors(""):
            self._folder = place.folder(_TEMPORARIES)
        try:
            with place.errors(""):
                sweep(self._folder)
                self._name, self._fd = _temporary(self._folder)
        except BaseException:
            self._folder.close()
            raise
        try:
            for piece in pieces(data):
                with place.errors(""):
                    _write(self._fd, piece)
            with place.errors(""):
                if place.file_mode is not None:
                    os.chmod(self._fd if os.chmod in os.supports_fd else self._folder.at(self._name), place.file_mode)
                os.fsync(self._fd)
        except BaseException:
            self.close()
            raise

    @classmethod
    def of(cls, place: Place, folder: Folder, name: str, named: Named = _unnamed) -> LocalDraft:
        """Take a finished, synced file of ``folder`` for a draft. Unlike others it stays there if it gets no name."""
        draft = cls.__new__(cls)
        draft._place, draft._named, draft._folder, draft._name = place, named, folder, name
        draft._stays, draft._fd = True, -1
        try:
            with place.errors(""):
                draft._fd = os.open(folder.at(name), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder.fd)
                if place.file_mode is not None:
                    os.chmod(draft._fd, place.file_mode)
        except BaseException:
            draft.close()
            raise
        return draft

    def __enter__(self) -> LocalDraft:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def publish(self, key: Key, *, replace: bool = False) -> None:
        """Give it a name. Raises ``NameTaken``, after which another may be tried; see ``put``."""
        with self._place.errors(key), self._place.folder(key.rpartition("/")[0]) as folder:
            try:
                self._give(key, self._fd, self._folder, self._name, folder, replace)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._publish_on_another_mount(folder, key, replace)
            folder.sync()
        self._stays = False

    def _publish_on_another_mount(self, folder: Folder, key: Key, replace: bool) -> None:
        sweep(folder, _NEIGHBOUR)
        neighbour, fd = _temporary(folder, _NEIGHBOUR)
        try:
            if self._place.file_mode is not None:
                os.chmod(fd if os.chmod in os.supports_fd else folder.at(neighbour), self._place.file_mode)
            _copy(self._fd, fd)
            self._give(key, fd, folder, neighbour, folder, replace)
        finally:
            os.close(fd)
            _discard(folder, neighbour)

    def _give(self, key: Key, fd: int, source: Folder, temporary: str, folder: Folder, replace: bool) -> None:
        """Give a temporary its name, and have it spelt so. On most disks that is looked at once for all."""
        name, root = key.rpartition("/")[2], self._place.root
        if root.is_taken(key):  # a rename would replace that
            raise SpeltOtherwise(errno.EEXIST, "the disk has this name in another spelling")
        with self._named(key, os.fstat(fd)):
            _publish(fd, source, temporary, folder, name, replace)
            if not root.is_exact(key) and _is_ours(fd, folder, name):  # it would be stored, and never found
                os.unlink(folder.at(name), dir_fd=folder.fd)
                raise OSError(errno.EILSEQ, "the disk spells this name in another way", key)

    def stay(self) -> None:
        """Leave the temporary where it is: its name came to nothing after all."""
        self._stays = True

    def close(self) -> None:
        """Remove what has got no name, and let go."""
        if self._fd >= 0:
            if not self._stays:
                _discard(self._folder, self._name)  # before the lock goes with the descriptor
            os.close(self._fd)
            self._fd = -1
        self._folder.close()


def check_free(place: Place, key: Key) -> None:
    """Raise ``NameTaken`` if somebody has the name already."""
    folder, _, name = key.rpartition("/")
    place.make_root()
    with place.errors(key), contextlib.suppress(FileNotFoundError), place.root.open_folder(folder) as opened:
        os.stat(opened.at(name), dir_fd=opened.fd, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), key)


def put(place: Place, key: Key, data: Content) -> None:
    """Store ``data`` as ``key``, whoever has the name.

    Raises ``NameTaken`` if a folder has the name, or if one of its folders is a file; ``NotServable`` if a link on the
    way leads out or the disk cannot hold the name; ``BackendUnavailable`` if it does not take the bytes (full,
    read-only, no permission). No part of the file stays behind then. What reading ``data`` raises goes through.
    """
    with LocalDraft(place, data) as draft:
        draft.publish(key, replace=True)


def delete(place: Place, key: Key) -> bool:
    """Remove the file ``key``; False if there is none. Folders stay. Raises as ``put`` does."""
    folder_name, _, name = key.rpartition("/")
    try:
        with place.errors(key, "delete"), place.root.open_folder(folder_name) as folder:
            if stat.S_ISDIR(os.stat(folder.at(name), dir_fd=folder.fd, follow_symlinks=False).st_mode):
                return False  # not every system tells it when a folder is to be unlinked
            if not place.root.is_exact(key):
                return False
            os.unlink(folder.at(name), dir_fd=folder.fd)
            folder.sync()
    except MediaError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_FILE:
            return False
        raise
    return True


def sweep(folder: Folder, prefix: str = "") -> None:
    """Remove temporaries that nobody holds: an hour old and not locked. What cannot be removed stays."""
    if not HAS_LOCKS:
        return
    old = time.time() - SWEEP_SECONDS
    for name, status in folder.scan():
        if not name.startswith(prefix) or status.st_mtime > old or not stat.S_ISREG(status.st_mode):
            continue
        with contextlib.suppress(OSError):
            fd = os.open(folder.at(name), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder.fd)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(folder.at(name), dir_fd=folder.fd)
            finally:
                os.close(fd)


def _temporary(folder: Folder, prefix: str = "") -> tuple[str, int]:
    name = f"{prefix}{os.urandom(12).hex()}"
    fd = os.open(folder.at(name), _CREATE, 0o666, dir_fd=folder.fd)
    if HAS_LOCKS:
        with contextlib.suppress(OSError):  # some network disks have no locks: then an upload has an hour
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return name, fd


def _discard(folder: Folder, temporary: str) -> None:
    """Remove a temporary. If that fails the put is no less done, or failed: somebody removed the state, or will."""
    with contextlib.suppress(OSError):
        os.unlink(folder.at(temporary), dir_fd=folder.fd)


def _publish(fd: int, source_folder: Folder, source: str, folder: Folder, name: str, replace: bool) -> None:
    """Give a temporary its name. Raises ``OSError``: EXDEV if they lie on two mounts, EEXIST if the name is taken."""
    _is_still_there(fd, source_folder, source)
    if replace:
        _rename(source_folder, source, folder, name)
        return
    try:
        os.link(source_folder.at(source), folder.at(name), src_dir_fd=source_folder.fd, dst_dir_fd=folder.fd)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(folder.at(name), _CREATE, 0o666, dir_fd=folder.fd))
        try:
            _rename(source_folder, source, folder, name)
        except BaseException:
            os.unlink(folder.at(name), dir_fd=folder.fd)  # ours: O_EXCL made it
            raise


def _is_still_there(fd: int, folder: Folder, name: str) -> None:
    """A name that somebody else took over must not be published: the state may be removed at any time."""
    if not _is_ours(fd, folder, name):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _is_ours(fd: int, folder: Folder, name: str) -> bool:
    try:
        return os.path.samestat(os.stat(folder.at(name), dir_fd=folder.fd, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False


def _rename(source_folder: Folder, source: str, folder: Folder, name: str) -> None:
    arguments: Any = {"src_dir_fd": source_folder.fd, "dst_dir_fd": folder.fd}
    os.replace(source_folder.at(source), folder.at(name), **arguments)


def _copy(source: int, target: int) -> None:
    os.lseek(source, 0, os.SEEK_SET)
    while data := os.read(source, CHUNK_BYTES):
        _write(target, data)
    os.fsync(target)


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(fd, rest) :]
