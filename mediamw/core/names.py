"""Names for files whose own is taken: ``kitchen.jpg`` becomes ``kitchen_x7Gq2bT.jpg``, as in Django's storages."""

from __future__ import annotations

import posixpath
from typing import Final, Literal

from .keys import MAX_KEY_BYTES, MAX_SEGMENT_BYTES, Key

NamePolicy = Literal["suffix", "shadow", "error", "replace"]
"""What ``save`` does with a name that is taken:

- ``suffix``: whoever has it, the file gets another;
- ``shadow``: as ``suffix`` if the upper has it; a lower's file is covered;
- ``error``: ``NameTaken``;
- ``replace``: the upper's file is replaced, a lower's covered.
"""

SUFFIX_LETTERS: Final = 7
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def alternative(key: Key, letters: str) -> Key:
    """Return ``key`` with ``_`` and ``letters`` before its extension; what would be too long for a name is cut."""
    folder, slash, name = key.rpartition("/")
    stem, extension = posixpath.splitext(name)
    room = min(MAX_SEGMENT_BYTES, MAX_KEY_BYTES - len((folder + slash).encode()))
    tail = f"_{letters}{extension}"
    if len(tail.encode()) > room:  # an extension that fills the name is none
        stem, tail = name, f"_{letters}"
    cut = stem.encode()[: max(room - len(tail.encode()), 0)].decode(errors="ignore")
    return Key(f"{folder}{slash}{cut}{tail}")
