"""Spelling: on a disk that folds names ``A.JPG`` opens ``a.jpg``. Here only a name's very spelling is a hit.

1. Whether a disk folds is found out once for each root, from the first file that is found: by what opens under its name
   with upper and lower case swapped, and for names that Unicode can write in two ways (NFC, NFD) under the other one.
   On a disk that does not, asking costs nothing from then on.
2. On one that does, each folder on the way is listed: the kernel does not tell how a name is spelt (Linux keeps the
   spelling that was asked for), and a memory of it could be wrong.
3. What is compared is the name, code point by code point: two spellings are two keys, as in a bucket.

A disk that folds in some of its folders only (``chattr +F``, or another disk mounted below the root) is taken for what
the first file tells.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from string import ascii_lowercase, ascii_uppercase

from ..core.keys import is_state
from .folder import Folder

_SWAP = str.maketrans(ascii_lowercase + ascii_uppercase, ascii_uppercase + ascii_lowercase)
_MISSING = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ))


# A folder that one may pass through and not list, or that lies behind a link out of the root and back: what is opened
# there is taken as it was spelt.
_UNLISTED = frozenset((errno.EACCES, errno.EPERM, errno.EXDEV, errno.ELOOP))

OpenFolder = Callable[[str], Folder]


class SpeltOtherwise(OSError):
    """The disk has this name (EEXIST), or one of its folders (ENOTDIR), in another spelling: there cannot be both."""


class Spelling:
    """The names of one root, whose folders ``open_folder`` opens. Keys of folders end in ``/``."""

    def __init__(self) -> None:
        self._folds_case: bool | None = None  # None: not known yet
        self._folds_forms: bool | None = None

    def may_differ(self, key: str) -> bool:
        """Say whether what opens as ``key`` may have another name. Asks no disk."""
        if self._folds_case is False and (self._folds_forms is False or key.isascii()):
            return False
        if is_state(key):  # ours, of lower-case letters and digits; and its folders are long
            return False
        by_case = key.lower() != key.upper() if self._folds_case is None else self._folds_case
        by_form = _other_form(key) != key if self._folds_forms is None else self._folds_forms
        return by_case or by_form

    def is_exact(self, key: str, open_folder: OpenFolder) -> bool:
        """Say whether what the disk has as ``key``, a file or a folder, has that very name. Raises ``OSError``."""
        key = key.rstrip("/") if self.may_differ(key) else ""
        if not key:
            return True
        if self._folds_case is None:
            self._folds_case = _folds(key, key.translate(_SWAP), open_folder)
        if self._folds_forms is None:
            self._folds_forms = _folds(key, _other_form(key), open_folder)
        return not self.may_differ(key) or _is_listed(key, open_folder)

    def is_taken(self, key: str, open_folder: OpenFolder) -> bool:
        """Say whether the disk has ``key`` in another spelling. Raises ``OSError``."""
        return self.may_differ(key) and _is_there(key, open_folder) and not self.is_exact(key, open_folder)


def _folds(key: str, other: str, open_folder: OpenFolder) -> bool | None:
    """Say whether ``key``, which is there, and ``other`` are one name; None if they cannot tell."""
    if key == other:
        return None
    with contextlib.suppress(OSError):  # such as a link that leads out: the next file may tell
        if _is_there(other, open_folder):
            return not (_is_listed(key, open_folder) and _is_listed(other, open_folder))
        return False if _is_there(key, open_folder) else None
    return None


def _is_there(key: str, open_folder: OpenFolder) -> bool:
    around, _, name = key.rpartition("/")
    try:
        with open_folder(around) as folder:
            os.stat(folder.at(name), dir_fd=folder.fd, follow_symlinks=False)
    except OSError as error:
        if error.errno in _MISSING:
            return False
        raise
    return True


def _is_listed(key: str, open_folder: OpenFolder) -> bool:
    names = key.split("/")
    for depth, name in enumerate(names):
        try:
            with open_folder("/".join(names[:depth])) as folder:
                if name not in folder.names():
                    return False
        except OSError as error:
            if error.errno not in _UNLISTED:
                raise
    return True


def _other_form(key: str) -> str:
    """Return another way to write the same text; ``key`` itself if there is none."""
    if key.isascii():
        return key
    import unicodedata  # few need its tables

    decomposed = unicodedata.normalize("NFD", key)
    return decomposed if decomposed != key else unicodedata.normalize("NFC", key)
