"""A part of a folder as one listing told it: what is there, what is not, and of what it says nothing.

1. It speaks of the files directly in its folder that sort behind ``after`` and not behind ``last``, by UTF-8's bytes,
   as code points sort and so Python's strings. What lies deeper is in another folder.
2. A whole folder tells of every name, a part of one of none with a character from U+E000 on: a server that sorts by
   UTF-16's units, where U+1F600 stands before U+FB01, would have such names on the other side of its ends.
3. Of a file that has to be asked for all the same (``Listed.is_told`` is False) it says nothing either.

A thousand files take some 200 KB, so it is kept as columns and not as a thousand objects.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple

from ..core.model import Meta

_FIRST_UNSURE: Final = "\ue000"
_NOT_TOLD: Final = -1


class Listed(NamedTuple):
    """One file: its name in the folder, and what a listing tells of it."""

    name: str
    size: int
    etag: str | None
    is_told: bool = True


class Page:
    """The files of ``folder`` ("" for the top, else with ``/`` at its end), in the order of their names.

    ``after`` is the key behind which it starts, None at the folder's start; ``last`` the last key of which it speaks,
    None if it goes to the folder's end. Raises ``ValueError`` if the files are in another order, or out of bounds.
    """

    __slots__ = ("_etags", "_names", "_sizes", "after", "bytes", "folder", "last")

    def __init__(self, folder: str, after: str | None, last: str | None, files: Iterable[Listed]) -> None:
        listed = list(files)
        self.folder, self.after, self.last = folder, after, last
        self._names = tuple(file.name for file in listed)
        self._sizes = array("q", (file.size if file.is_told else _NOT_TOLD for file in listed))
        self._etags = tuple(file.etag for file in listed)
        if any(one >= other for one, other in zip(self._names, self._names[1:], strict=False)):
            raise ValueError("the files are not in the order of their bytes, or one stands there twice")
        if self._names and not (self._is_behind(self._names[0]) and self._is_before(self._names[-1])):
            raise ValueError("it holds files out of its bounds")
        texts = (text for column in (self._names, self._etags) for text in column if text is not None)
        self.bytes: Final = sum(map(sys.getsizeof, texts)) + sum(
            map(sys.getsizeof, (self._names, self._sizes, self._etags))
        )

    def __repr__(self) -> str:
        return f"Page({self.folder!r}, after={self.after!r}, last={self.last!r}, {len(self._names)} files)"

    def __len__(self) -> int:
        return len(self._names)

    @property
    def is_whole(self) -> bool:
        """True if it has all of the folder."""
        return self.after is None and self.last is None

    def tells(self, key: str) -> bool:
        """Say whether it is known of ``key``, a file directly in the folder, if it is there."""
        name = key[len(self.folder) :]
        if not self.is_whole and (
            not self._is_behind(name) or not self._is_before(name) or max(name, default="") >= _FIRST_UNSURE
        ):
            return False
        index = self._index(name)
        return index is None or self._sizes[index] != _NOT_TOLD

    def get(self, key: str) -> Meta | None:
        """Return size and ETag of a ``key`` of which it ``tells``; None if that is not there."""
        index = self._index(key[len(self.folder) :])
        return None if index is None else Meta(self._sizes[index], etag=self._etags[index])

    def _index(self, name: str) -> int | None:
        index = bisect_left(self._names, name)
        return index if index < len(self._names) and self._names[index] == name else None

    def _is_behind(self, name: str) -> bool:
        return self.after is None or self.folder + name > self.after

    def _is_before(self, name: str) -> bool:
        return self.last is None or self.folder + name <= self.last


def folder_of(key: str) -> str:
    """Return the folder in which ``key`` lies, with ``/`` at its end; "" for the top."""
    return key[: key.rfind("/") + 1]


def just_before(key: str) -> str:
    """Return a text that sorts before ``key``, with few names in between, for listings that start behind a key.

    ``g`` at the end becomes ``f~``. Never a control character, which servers refuse, and no half of a pair.
    """
    start, last = key[:-1], ord(key[-1])
    before = 0xD7FF if last == 0xE000 else last - 1
    if before < 0x20 or 0x7F <= before < 0xA0:
        return start
    return f"{start}{chr(before)}~"
