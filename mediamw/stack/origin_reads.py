"""Reading the files of one remote backend in somebody's name, so that its health hears of every request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from ..backends.base import Backend, ReadsRanges, ReadsWhole
from ..backends.via import VIA
from ..core.errors import BackendUnavailable
from ..core.keys import Key
from .origin_health import OriginHealth


class OriginReads:
    """Reads files of one remote backend, whose health hears of it. ``via`` is the header of the client's request."""

    def __init__(self, backend: Backend, health: OriginHealth, via: str = "") -> None:
        self._backend = backend
        self._health = health
        self._via = via

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        """Yield a part of the version ``etag``, of a file of ``size`` bytes. Asks, and raises, at the first piece."""
        backend = self._backend
        if not isinstance(backend, ReadsRanges):
            raise BackendUnavailable("the backend cannot be read from here", backend=backend.name, key=key)
        return self._watched(partial(backend.read_range, key, start, stop, etag, size=size), key)

    def read_whole(self, key: Key, etag: str | None) -> Iterator[bytes]:
        """Yield the whole version ``etag``. Asks, and raises, at the first piece."""
        backend = self._backend
        if not isinstance(backend, ReadsWhole):
            reason = "the length of the file is not known, and the backend reads ranges only"
            raise BackendUnavailable(reason, backend=backend.name, key=key)
        return self._watched(partial(backend.read_whole, key, etag), key)

    def _watched(self, read: Callable[[], Iterator[bytes]], key: Key) -> Iterator[bytes]:
        def make() -> Iterator[bytes]:
            token = VIA.set(self._via)
            try:
                return read()
            finally:
                VIA.reset(token)

        return self._health.watch(make, key)
