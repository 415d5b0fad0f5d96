"""Reading a small file of a directory again: one open beneath the root, one fstat, one read, and nothing else.

Whoever was told of a file keeps a ``Seen``, and what he made of it. If the name still leads to that very file, with its
length and its time, what he made is still true; the bytes are read anew each time. Where a second file says what the
first one is (``LocalHandle.lies``) it has to be the same too. Else, and whenever anything is unusual, the answer is
None: the way of the backend's ``open`` knows what to say of it.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple, Protocol, runtime_checkable

from .beneath import Root
from .openat2 import Prepared

ALWAYS_INLINE_BYTES = 16 * 1024
"""Up to here the disk reads a file as a whole, and asking whether it has is dearer than to read."""

_RWF_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


@runtime_checkable
class LiesBeneath(Protocol):
    """Has its files beneath a root, each under its key: the file, or a folder with all that belongs to it."""

    def plain_root(self) -> Root | None:
        """Return the root; None if a subclass opens its files otherwise, which is then to be asked."""


def root_of(backend: object) -> Root | None:
    """Return the root under which what is missing is missing to the backend too; None if it has to be asked."""
    return backend.plain_root() if isinstance(backend, LiesBeneath) else None


class Beside(NamedTuple):
    """A file that says what another one is, as it was when it was read (``mtime_ns`` in nanoseconds since 1970)."""

    path: str
    mtime_ns: int
    size: int
    inode: int


class Seen(NamedTuple):
    """A file as it was opened (``mtime_ns`` in nanoseconds since 1970), and which of its bytes are wanted."""

    path: Prepared
    mtime_ns: int
    size: int
    inode: int
    start: int
    length: int
    beside: tuple[Prepared, Beside] | None = None


def read_again(root: Root, seen: Seen, *, waits: bool) -> bytes | None:
    """Return the bytes that are wanted of the file if it is the one that was seen, else None.

    ``waits`` False: None too if the disk would have to be waited for.
    """
    path, mtime_ns, size, inode, start, length, beside = seen
    fd = root.open_again(path)
    if fd < 0:
        return None
    try:
        found = os.fstat(fd)
        if found.st_mtime_ns != mtime_ns or found.st_size != size or found.st_ino != inode:
            return None
        if beside is not None and not _is_same(root, *beside):
            return None
        if length == 0:
            return b""
        if length > ALWAYS_INLINE_BYTES and not waits and not _is_cached(fd, start + length - 1):
            return None
        data = os.pread(fd, length, start)
        return data if len(data) == length else None
    except OSError:
        return None
    finally:
        os.close(fd)


def _is_same(root: Root, path: Prepared, beside: Beside) -> bool:
    fd = root.open_again(path)
    if fd < 0:
        return False
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    return (found.st_mtime_ns, found.st_size, found.st_ino) == beside[1:]


def _is_cached(fd: int, offset: int) -> bool:
    """Say whether a byte is in the page cache. overlayfs and tmpfs cannot tell; they are warm as a rule."""
    try:
        return os.preadv(fd, (bytearray(1),), offset, _RWF_NOWAIT) == 1
    except OSError as error:
        return error.errno == errno.EOPNOTSUPP
