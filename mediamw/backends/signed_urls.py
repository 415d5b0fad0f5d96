"""Signed URLs that were made in this window already: the same file has the same URL until the window ends.

Bound: 2,048 URLs of one window and one signer; then all are dropped, and made again when they are asked for.
"""

from __future__ import annotations

from typing import Final

from ..core.keys import Key
from .base import SignedURL

MAX_URLS: Final = 2048

_URLs = dict[tuple[Key, str], SignedURL]


class WindowURLs:
    """The URLs of a backend, by key and method. Threads may share it."""

    def __init__(self) -> None:
        self._kept: tuple[int, object, _URLs] = (0, None, {})

    def of(self, start: int, signer: object) -> _URLs:
        """Return those of the window that began at ``start`` (seconds since 1970), signed by ``signer``."""
        kept = self._kept
        if kept[0] != start or kept[1] is not signer or len(kept[2]) >= MAX_URLS:
            kept = self._kept = (start, signer, {})  # one assignment: another thread sees the old three or the new
        return kept[2]
