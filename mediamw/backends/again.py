"""Reading a small file of a directory again: one open beneath the root, one fstat, one read, and nothing else.

Whoever was told of a file keeps a ``Seen``, and what he made of it. If the name still leads to that very file, with its
length and its time, what he made is still true; the bytes are read anew each time. Else, and whenever anything is
unusual, the answer is None: the way of ``LocalBackend.open`` knows what to say of it.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from .beneath import Root
from .openat2 import Prepared

AT_ONCE_BYTES = 16 * 1024
"""Up to here reading what may be in the page cache is cheaper than to ask first; beyond, copying it is dearer."""

_RWF_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_MAX_DISKS = 64
_untold: set[int] = set()  # disks that cannot tell what is in the page cache: overlayfs, tmpfs


class Seen(NamedTuple):
    """A file as it was opened (``mtime_ns`` in nanoseconds since 1970), and which of its bytes are wanted."""

    path: Prepared
    mtime_ns: int
    size: int
    inode: int
    start: int
    length: int


def read_again(root: Root, seen: Seen, *, waits: bool) -> bytes | None:
    """Return the bytes that are wanted of the file if it is the one that was seen, else None.

    ``waits`` False: None too if the disk would have to be waited for.
    """
    path, mtime_ns, size, inode, start, length = seen
    fd = root.open_again(path)
    if fd < 0:
        return None
    try:
        found = os.fstat(fd)
        if found.st_mtime_ns != mtime_ns or found.st_size != size or found.st_ino != inode:
            return None
        if length == 0:
            return b""
        if not waits and found.st_dev not in _untold:
            if length <= AT_ONCE_BYTES:
                return _read_cached(fd, length, start, found.st_dev)
            if not _is_cached(fd, start + length - 1):
                return None
        data = os.pread(fd, length, start)
        return data if len(data) == length else None
    except OSError:
        return None
    finally:
        os.close(fd)


def _read_cached(fd: int, length: int, start: int, disk: int) -> bytes | None:
    """Return bytes that are in the page cache, None if not all are. Where one cannot know they are warm as a rule."""
    data: bytes | bytearray = bytearray(length)
    try:
        count = os.preadv(fd, (data,), start, _RWF_NOWAIT)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            return None
        if len(_untold) < _MAX_DISKS:  # the exception costs more than all the rest
            _untold.add(disk)
        data = os.pread(fd, length, start)
        count = len(data)
    return bytes(data) if count == length else None


def _is_cached(fd: int, offset: int) -> bool:
    """Say whether a byte is in the page cache. overlayfs and tmpfs cannot tell; they are warm as a rule."""
    try:
        return os.preadv(fd, (bytearray(1),), offset, _RWF_NOWAIT) == 1
    except OSError as error:
        return error.errno == errno.EOPNOTSUPP
