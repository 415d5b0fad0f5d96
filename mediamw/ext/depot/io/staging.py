"""How the folder of a file comes to its name in a DEPOT directory, and goes: each time in one step.

1. A folder is made whole in ``.mediamw/staged``, synced, and renamed to its id. Nothing else is in its place then: a
   rename does not replace a folder that has files.
2. To replace one the two trade places (``backends/exchange.py``): whoever looks finds one of them. Where the disk has
   no such call the parts are renamed into the old folder, the bytes first: each is whole at any time, and for a moment
   there are new bytes under the old name. Who does so locks that folder: the parts of two would mix for good.
3. A file is deleted by renaming its folder into ``.mediamw/staged``, where it is emptied.
4. What a killed process left there is swept when it is an hour old. It is never all that there is of a file.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, Final

from ....backends.base import Draft
from ....backends.exchange import exchange
from ....backends.folder import Folder
from ....backends.local import LocalBackend
from ....backends.local_put import SWEEP_SECONDS
from ....backends.per_process import PerProcess
from ....backends.spelling import SpeltOtherwise
from ....core.errors import MediaError, NotServable
from ....core.keys import STATE_FOLDER, Key
from .ids import is_file_id
from .metadata import Metadata

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # Windows has no such module

FILE: Final = "file"
METADATA: Final = "metadata.json"
STAGED: Final = f"{STATE_FOLDER}/staged"
_TRIES: Final = 100
"""How often a folder is tried to be replaced that others replace and delete at the same time."""
_replacing = PerProcess(Lock)
_IN_PLACE: Final = frozenset((errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR))
_NO_FILE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG))


class DepotDraft:
    """A file without an id. ``draft`` has its bytes and is closed with it."""

    def __init__(self, local: LocalBackend, draft: Draft, metadata: Metadata) -> None:
        self._local, self._draft, self._metadata = local, draft, metadata
        self._name = ""

    def publish(self, key: Key, *, replace: bool = False) -> None:
        """Give it an id. Raises ``NameTaken``; ``NotServable`` for what is no UUID."""
        if not is_file_id(key):
            raise NotServable(
                "files of DEPOT are stored under UUIDs alone, and this is none",
                backend=self._local.name,
                key=key,
                operation="put",
            )
        if not self._name:
            self._stage()
        place = self._local.place
        with place.errors(key), place.folder("") as root, place.folder(STAGED) as staged:
            if place.root.is_taken(key):
                raise SpeltOtherwise(errno.EEXIST, "the disk has this id in another spelling")
            _publish(self._local, staged, self._name, root, key, replace)
            root.sync()
        self._name = ""

    def close(self) -> None:
        """Forget the bytes, unless they have an id by now."""
        if self._name:
            with suppress(OSError, MediaError), self._local.place.folder(STAGED) as staged:
                _discard(staged, self._name)
        self._draft.close()

    def give_back(self, folder: Folder, name: str) -> None:
        """Have the file ``name`` of a folder, from which the bytes were taken, be there again."""
        if self._name:
            with self._local.place.errors(""), self._local.place.folder(f"{STAGED}/{self._name}") as staged:
                _rename(staged, FILE, folder, name)

    def _stage(self) -> None:
        """Make the folder. Raises what the disk says."""
        place, name = self._local.place, os.urandom(12).hex()
        with place.errors(""), place.folder(STAGED) as staged:
            _sweep(staged)
        self._name = name
        self._draft.publish(Key(f"{STAGED}/{name}/{FILE}"))
        with place.errors(""), place.folder(f"{STAGED}/{name}") as folder:
            size = os.stat(folder.at(FILE), dir_fd=folder.fd).st_size
        self._local.put(Key(f"{STAGED}/{name}/{METADATA}"), self._metadata.to_json(size))


def delete(local: LocalBackend, key: Key) -> bool:
    """Remove a file with its folder; False if there is none. Raises as ``Draft.publish`` does."""
    place, name = local.place, os.urandom(12).hex()
    try:
        with place.errors(key, "delete"), place.root.open_folder("") as root:
            if not stat.S_ISLNK(_status(root, key).st_mode):  # a link goes, wherever it leads, and not what is there
                with place.root.open_folder(key) as folder:
                    _status(folder, FILE)
            if not place.root.is_exact(f"{key}/"):
                return False
            with place.folder(STAGED) as staged:
                _rename(root, key, staged, name)
                root.sync()
                _discard(staged, name)
    except MediaError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_FILE:
            return False
        raise
    return True


def _publish(local: LocalBackend, staged: Folder, name: str, root: Folder, key: Key, replace: bool) -> None:
    """Have a staged folder be ``key``. Raises ``OSError``: EEXIST if that is taken."""
    for _ in range(_TRIES):
        try:
            _rename(staged, name, root, key)
            return
        except OSError as error:
            if error.errno not in _IN_PLACE:
                raise
        if not replace:
            break
        with suppress(FileNotFoundError):  # it was deleted meanwhile: its place is free again
            mode = _status(root, key).st_mode
            if not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode):
                break
            if exchange(staged, name, root, key):
                root.sync()
                _discard(staged, name)
                return
            if stat.S_ISDIR(mode):
                _rename_parts(local, staged, name, key)
                return
            os.unlink(root.at(key), dir_fd=root.fd)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), key)


def _rename_parts(local: LocalBackend, staged: Folder, name: str, key: Key) -> None:
    place = local.place
    with (
        place.root.open_folder(key) as folder,
        place.folder(f"{STAGED}/{name}") as parts,
        _replacing.get(),
        _locked(folder),
    ):
        _rename(parts, FILE, folder, FILE)
        with suppress(FileNotFoundError):  # deleted between the two, and with it what has just come there
            _rename(parts, METADATA, folder, METADATA)
            folder.sync()
    _discard(staged, name)


@contextmanager
def _locked(folder: Folder) -> Iterator[None]:
    """Wait for other processes that rename parts into a folder, where the disk has such locks."""
    if fcntl is None or folder.fd is None:
        yield
        return
    fd = os.open(folder.at("."), os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder.fd)  # that of a folder may be a bare path
    try:
        with suppress(OSError):  # some network disks have none: there two must not come within a millisecond
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _status(folder: Folder, name: str) -> os.stat_result:
    return os.stat(folder.at(name), dir_fd=folder.fd, follow_symlinks=False)


def _rename(folder: Folder, name: str, other: Folder, other_name: str) -> None:
    arguments: Any = {"src_dir_fd": folder.fd, "dst_dir_fd": other.fd}
    os.replace(folder.at(name), other.at(other_name), **arguments)


def _discard(staged: Folder, name: str) -> None:
    """Remove what nobody sees any more; what cannot be removed stays."""
    try:
        os.unlink(staged.at(name), dir_fd=staged.fd)  # a link in the place of a folder: not what it leads to
    except OSError:
        shutil.rmtree(staged.at(name), ignore_errors=True, dir_fd=staged.fd)


def _sweep(staged: Folder) -> None:
    old = time.time() - SWEEP_SECONDS
    for name, status in staged.scan():
        if max(status.st_mtime, status.st_ctime) < old:  # which renaming sets on most disks
            _discard(staged, name)
