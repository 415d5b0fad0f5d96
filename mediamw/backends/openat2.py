"""Linux's ``openat2``, which opens beneath a directory and nowhere else. By ctypes: Python has no function for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

FILE_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)
DIRECTORY_FLAGS = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_PATH", 0) | getattr(os, "O_CLOEXEC", 0)

NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH, CACHED = 0x01, 0x02, 0x04, 0x08, 0x20
_OPENAT2 = 437  # the same number on every architecture

Openat2 = Callable[[int, str, int, int], int]
OpenQuietly = Callable[[int, bytes], int]
Prepared = Any
"""A descriptor or a path as a call by ctypes takes it: to make it so each time would be a tenth of the call."""
OpenCached = Callable[[Prepared, Prepared], int]


def load_openat2() -> tuple[Openat2, OpenCached, OpenQuietly] | tuple[None, None, None]:
    """Return openat2(dir_fd, path, flags, resolve) -> descriptor, and the same for files that are opened all the time.

    These return the negative errno instead of raising. The second of the three takes only what the dentry cache knows,
    on the file system of the directory; it keeps the GIL, so it is for those that ``opens_at_once``. None where there
    is no such call.
    """
    if sys.platform != "linux":
        return None, None, None
    import ctypes

    class OpenHow(ctypes.Structure):
        _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))

    argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype, syscall.argtypes = ctypes.c_long, argtypes
    quick = ctypes.PyDLL(None, use_errno=True).syscall
    quick.restype = ctypes.c_int
    size = ctypes.sizeof(OpenHow)
    hows: dict[tuple[int, int], OpenHow] = {}  # a handful, filled once; the kernel only reads them
    cached = OpenHow(FILE_FLAGS, 0, BENEATH | NO_MAGICLINKS | NO_XDEV | CACHED)
    plain = OpenHow(FILE_FLAGS, 0, BENEATH | NO_MAGICLINKS)
    plain_at = ctypes.addressof(plain)  # good for as long as it lives: see below
    number, cached_at, size_of_it = ctypes.c_long(_OPENAT2), ctypes.byref(cached), ctypes.c_size_t(size)

    def openat2(dir_fd: int, path: str, flags: int, resolve: int) -> int:
        how = hows.get((flags, resolve))
        if how is None:
            how = hows[flags, resolve] = OpenHow(flags, 0, resolve)
        fd: int = syscall(_OPENAT2, dir_fd, path.encode(errors="surrogateescape"), ctypes.addressof(how), size)
        if fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return fd

    def open_cached(directory: Prepared, path: Prepared) -> int:
        fd: int = quick(number, directory, path, cached_at, size_of_it)
        return fd if fd >= 0 else -ctypes.get_errno()

    def open_quietly(dir_fd: int, path: bytes, _keep: OpenHow = plain) -> int:
        fd: int = syscall(_OPENAT2, dir_fd, path, plain_at, size)
        return fd if fd >= 0 else -ctypes.get_errno()

    try:
        os.close(openat2(-100, ".", DIRECTORY_FLAGS, BENEATH))  # -100: AT_FDCWD
    except OSError:
        return None, None, None  # ENOSYS: an older kernel; EPERM: a seccomp filter. Settled once.
    return openat2, open_cached, open_quietly


_AT_ONCE = frozenset(
    (
        *(0xEF53, 0x58465342, 0x9123683E, 0xF2F52010),  # ext2 to ext4, XFS, Btrfs, F2FS
        *(0x01021994, 0x858458F6, 0x794C7630),  # tmpfs, ramfs, overlayfs
        *(0x2FC12FC1, 0xCA451A4E, 0x73717368, 0xE0F5E1E2),  # ZFS, bcachefs, SquashFS, EROFS
        *(0x2011BAB0, 0x4D44, 0x7366746E),  # exFAT, FAT, NTFS (the kernel's)
    )
)
"""``f_type`` of statfs(2), from linux/magic.h: where opening what is in the caches waits for nobody.

Others ask a server or another process at each open, whatever is cached: NFS, SMB, 9p, FUSE, such as sshfs and the
folders that Docker Desktop shares.
"""


def opens_at_once(directory_fd: int) -> bool:
    """Say whether a file of which all is in the caches is opened without waiting, on the disk of this directory."""
    if sys.platform != "linux":
        return False
    import ctypes

    status = (ctypes.c_long * 64)()  # struct statfs, whose first field is f_type; larger than any
    if ctypes.CDLL(None).fstatfs(directory_fd, ctypes.byref(status)) != 0:
        return False
    return status[0] & 0xFFFFFFFF in _AT_ONCE


def prepared(value: int | str) -> Prepared:
    """Make what the quick way takes."""
    if sys.platform != "linux":
        return value
    import ctypes

    return ctypes.c_int(value) if isinstance(value, int) else ctypes.c_char_p(value.encode(errors="surrogateescape"))
