"""openat2, a call of Linux since 5.6 that Python does not have, and the flags with which files are opened.

Source: openat2(2). RESOLVE_CACHED is of 5.12: older kernels say EINVAL to it, and then whoever asks has to do without.
"""

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
NO_MAGICLINKS, NO_SYMLINKS, BENEATH, CACHED = 0x02, 0x04, 0x08, 0x20  # RESOLVE_...
_NUMBER = 437  # the same on every architecture
_HOW_BYTES = 24

Openat2 = Callable[[int, str, int, int], int]
Prepared = Any
"""A descriptor or a path as the call takes it: to make it so each time would be a tenth of the call."""


def load_openat2() -> Openat2 | None:
    """Return openat2(dir_fd, path, flags, resolve) -> descriptor, or None where there is no such call."""
    if sys.platform != "linux":
        return None
    import ctypes

    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
    hows: dict[tuple[int, int], Any] = {}  # a handful, filled once; the kernel only reads them

    def openat2(dir_fd: int, path: str, flags: int, resolve: int) -> int:
        how = hows.get((flags, resolve))
        if how is None:
            how = hows[flags, resolve] = _how(flags, resolve)
        fd: int = syscall(_NUMBER, dir_fd, path.encode(errors="surrogateescape"), ctypes.addressof(how), _HOW_BYTES)
        if fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return fd

    try:
        os.close(openat2(-100, ".", DIRECTORY_FLAGS, BENEATH))  # -100: AT_FDCWD
    except OSError:
        return None  # ENOSYS: an older kernel; EPERM: a seccomp filter. Settled once.
    return openat2


def load_cached() -> tuple[Callable[[Prepared, Prepared], int] | None, Callable[[int | str], Prepared]]:
    """Return the quick way for what is opened all the time, and what prepares its directories and paths.

    It opens beneath the directory what the dentry cache knows, and returns the descriptor, or the negative errno. It
    keeps the GIL, as it waits for nothing.
    """
    if sys.platform != "linux":
        return None, lambda value: value
    import ctypes

    quick = ctypes.PyDLL(None, use_errno=True).syscall
    quick.restype = ctypes.c_int
    how = _how(FILE_FLAGS, BENEATH | NO_MAGICLINKS | CACHED)
    number, at, size = ctypes.c_long(_NUMBER), ctypes.byref(how), ctypes.c_size_t(_HOW_BYTES)

    def open_cached(directory: Prepared, path: Prepared) -> int:
        fd: int = quick(number, directory, path, at, size)
        return fd if fd >= 0 else -ctypes.get_errno()

    def prepared(value: int | str) -> Prepared:
        return ctypes.c_int(value) if isinstance(value, int) else ctypes.c_char_p(os.fsencode(value))

    return open_cached, prepared


def _how(flags: int, resolve: int) -> Any:
    """struct open_how: flags, mode, resolve."""
    import ctypes

    return (ctypes.c_uint64 * 3)(flags, 0, resolve)
