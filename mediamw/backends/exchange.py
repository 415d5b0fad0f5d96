"""Two names of a disk that trade what they stand for, in one step: Linux's ``renameat2`` with RENAME_EXCHANGE.

It is how a folder replaces another so that whoever looks finds one of the two, whole. By ctypes: Python has no function
for it.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, Final

from .folder import Folder

_RENAME_EXCHANGE: Final = 2
_NO_SUCH_CALL: Final = frozenset((errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP))


def _load() -> Any:
    if sys.platform != "linux":
        return None
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc has it from 2.28 on
    if call is not None:
        call.restype = ctypes.c_int
        call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call


_renameat2 = _load()


def exchange(folder: Folder, name: str, other_folder: Folder, other: str) -> bool:
    """Have two names trade places. False, and nothing is done, if the system or the disk has no such call.

    Raises ``OSError``: ENOENT if one of them is missing.
    """
    if _renameat2 is None or folder.fd is None or other_folder.fd is None:
        return False
    import ctypes

    texts = (os.fsencode(name), os.fsencode(other))
    if _renameat2(folder.fd, texts[0], other_folder.fd, texts[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_SUCH_CALL:
        return False
    raise OSError(number, os.strerror(number), other)
