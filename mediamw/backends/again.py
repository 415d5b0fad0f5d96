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

ALWAYS_INLINE_BYTES = 16 * 1024
"""Up to here the disk reads a file as a whole, and asking whether it has is dearer than to read."""

_RWF_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


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
        if length > ALWAYS_INLINE_BYTES and not waits and not _is_cached(fd, start + length - 1):
            return None
        data = os.pread(fd, length, start)
        return data if len(data) == length else None
    except OSError:
        return None
    finally:
        os.close(fd)


def _is_cached(fd: int, offset: int) -> bool:
    """Say whether a byte is in the page cache. overlayfs and tmpfs cannot tell; they are warm as a rule."""
    try:
        return os.preadv(fd, (bytearray(1),), offset, _RWF_NOWAIT) == 1
    except OSError as error:
        return error.errno == errno.EOPNOTSUPP
