"""Linux's ``openat2``, which opens beneath a directory and nowhere else. By ctypes: Python has no function for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

FILE_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOINHERIT", 0)
)
DIRECTORY_FLAGS = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_PATH", 0) | getattr(os, "O_CLOEXEC", 0)

NO_MAGICLINKS, NO_SYMLINKS, BENEATH, CACHED = 0x02, 0x04, 0x08, 0x20
_OPENAT2 = 437  # the same number on every architecture

Openat2 = Callable[[int, str, int, int], int]
OpenQuietly = Callable[[int, bytes], int]


def load_openat2() -> tuple[Openat2, OpenQuietly, OpenQuietly] | tuple[None, None, None]:
    """Return openat2(dir_fd, path, flags, resolve) -> descriptor, and the same for files that are opened all the time.

    These return the negative errno instead of raising. The second of the three takes only what the dentry cache knows;
    it keeps the GIL, as it waits for nothing. None where there is no such call.
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
    quick.restype, quick.argtypes = ctypes.c_int, argtypes
    size = ctypes.sizeof(OpenHow)
    hows: dict[tuple[int, int], OpenHow] = {}  # a handful, filled once; the kernel only reads them
    cached = OpenHow(FILE_FLAGS, 0, BENEATH | NO_MAGICLINKS | CACHED)
    plain = OpenHow(FILE_FLAGS, 0, BENEATH | NO_MAGICLINKS)
    # Good for as long as these two live: see below.
    cached_at, plain_at = ctypes.addressof(cached), ctypes.addressof(plain)

    def openat2(dir_fd: int, path: str, flags: int, resolve: int) -> int:
        how = hows.get((flags, resolve))
        if how is None:
            how = hows[flags, resolve] = OpenHow(flags, 0, resolve)
        fd: int = syscall(_OPENAT2, dir_fd, path.encode(errors="surrogateescape"), ctypes.addressof(how), size)
        if fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return fd

    def open_cached(dir_fd: int, path: bytes, _keep: OpenHow = cached) -> int:
        fd: int = quick(_OPENAT2, dir_fd, path, cached_at, size)
        return fd if fd >= 0 else -ctypes.get_errno()

    def open_quietly(dir_fd: int, path: bytes, _keep: OpenHow = plain) -> int:
        fd: int = syscall(_OPENAT2, dir_fd, path, plain_at, size)
        return fd if fd >= 0 else -ctypes.get_errno()

    try:
        os.close(openat2(-100, ".", DIRECTORY_FLAGS, BENEATH))  # -100: AT_FDCWD
    except OSError:
        return None, None, None  # ENOSYS: an older kernel; EPERM: a seccomp filter. Settled once.
    return openat2, open_cached, open_quietly
