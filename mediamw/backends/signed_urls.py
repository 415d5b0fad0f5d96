"""Signed URLs that were made in this window already: the same file has the same URL until the window ends.

Bound: 4,096 URLs of one window and one signer; where there is no room any one goes.
"""

from __future__ import annotations

from typing import Final

from ..core.keys import Key
from .base import SignedURL
from .bounded import Bounded

MAX_URLS: Final = 4096

_URLs = Bounded[tuple[Key, str], SignedURL]


class WindowURLs:
    """The URLs of a backend, by key and method. Threads may share it."""

    def __init__(self) -> None:
        self._kept: tuple[int, int, object, _URLs] = (0, 0, None, _URLs(MAX_URLS))

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
        if kept[:2] != window or kept[2] is not signer:
            kept = self._kept = (*window, signer, _URLs(MAX_URLS))  # at once: another thread sees the old or the new
        kept[3].put((key, method), url)
