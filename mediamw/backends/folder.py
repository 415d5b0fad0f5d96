"""An open directory: names in it are made, listed and synced by its descriptor, or by path where there are none."""

from __future__ import annotations

import contextlib
import errno
import os


class Folder:
    """An open directory in which names are made and listed: by descriptor, or by path where there are none."""

    def __init__(self, fd: int | None, path: str) -> None:
        self.fd = fd
        self._path = path

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the directory. May be called twice."""
        fd, self.fd = self.fd, None
        if fd is not None:
            os.close(fd)

    def at(self, name: str) -> str:
        """Return what to give to the calls of ``os``, together with ``dir_fd=folder.fd``."""
        return os.path.join(self._path, name)

    def scan(self) -> list[tuple[str, os.stat_result]]:
        """Return the names in the directory with what they are, links not followed."""
        fd = None if self.fd is None else os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        found = []
        try:
            with os.scandir(self._path if fd is None else fd) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        found.append((entry.name, entry.stat(follow_symlinks=False)))
        finally:
            if fd is not None:
                os.close(fd)
        return found

    def names(self) -> list[str]:
        """Return the names in the directory, as they are spelt on the disk."""
        if self.fd is None:
            return os.listdir(self._path)
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def sync(self) -> None:
        """Have the disk keep the names that were made here. Windows has no such call."""
        if self.fd is not None:
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
            try:
                os.fsync(fd)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # some network and FUSE disks have no such call
                    raise
            finally:
                os.close(fd)


def make_directory(path: str, dir_fd: int | None, mode: int | None) -> bool:
    """Make a directory; False if there is something already."""
    try:
        os.mkdir(path, dir_fd=dir_fd)
    except FileExistsError:  # opening tells what it is
        return False
    if mode is not None:  # mkdir would take the umask from it
        os.chmod(path, mode, dir_fd=dir_fd)
    return True


def make_directories(path: str, mode: int | None) -> None:
    """Make a directory and those around it that are missing. Raises ``OSError`` if something else has the name."""
    if os.path.isdir(path):
        return
    around = os.path.dirname(path)
    if around != path:
        make_directories(around, mode)
    if not make_directory(path, None, mode) and not os.path.isdir(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
