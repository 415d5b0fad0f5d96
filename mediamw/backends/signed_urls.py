"""Signed URLs that were made in this window already: the same file has the same URL until the window ends.

Bound: 2,048 URLs of one window and one signer; then all are dropped, and made again when they are asked for: to choose
one would cost a part of what it costs to sign.
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
        self._kept: tuple[int, int, object, _URLs] = (0, 0, None, {})

    def get(self, key: Key, method: str, signer: object, now: float) -> SignedURL | None:
        """Return the URL that ``signer`` made in the window of ``now`` (seconds since 1970) and that is good still."""
        start, end, made_by, urls = self._kept
        if made_by is not signer or not start <= now < end:
            return None
        known = urls.get((key, method))
        return None if known is None or (known.expires is not None and known.expires <= now) else known

    def put(self, key: Key, method: str, signer: object, window: tuple[int, int], url: SignedURL) -> None:
        """Keep a URL of the window from ``window[0]`` to ``window[1]``."""
        kept = self._kept
        if kept[:2] != window or kept[2] is not signer or len(kept[3]) >= MAX_URLS:
            kept = self._kept = (*window, signer, {})  # one assignment: another thread sees the old or the new
        kept[3][key, method] = url
