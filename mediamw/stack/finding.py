"""From a backend's answer to what is served: an open file, a handle across the network, or a redirect.

How a lower's file is delivered stands in its rules: ``redirect`` signs a URL, ``proxy`` reads ranges, ``pull`` reads
and keeps a copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, cast

from ..backends.again import root_of
from ..backends.base import Backend, ReadsRanges, Remote, Signs
from ..backends.local import LocalHandle
from ..backends.rules import Delivery
from ..backends.via import sites_of
from ..core.keys import Key
from ..core.model import Found, Handle, Held, Hidden, Look, Missing, Redirect
from .asking import UNCHECKED, Asker
from .checks import delivery_of
from .known_redirects import KnownRedirects
from .pulling import Puller
from .remote_handle import RemoteHandle, for_clients
from .steps import Pool, Steps


class Finder:
    """Finds files in the backends of one stack. ``puller`` fetches copies, if the upper can have any."""

    def __init__(self, backends: Sequence[Backend], asker: Asker, puller: Puller | None) -> None:
        self._asker = asker
        self._puller = puller
        # isinstance with a protocol is slow, so it is asked once.
        self._deliveries = {backend.name: delivery_of(backend) for backend in backends}
        self._reads_ranges = frozenset(backend.name for backend in backends if isinstance(backend, ReadsRanges))
        self._known: KnownRedirects | None = None
        root = root_of(backends[0])
        if root is not None and self.redirects:
            self._known = KnownRedirects(root, asker.origins, asker.asked_until, has_copies=puller is not None)

    @property
    def redirects(self) -> bool:
        """True if some backend's files are answered by sending the client there."""
        return any("redirect" in ways for _, ways in self._deliveries.values())

    def pool_for(self, held: Held) -> Pool:
        """Return the threads that read what is held: copies of an origin's files are on the disk."""
        return self._asker.disk if isinstance(held.handle, LocalHandle) else self._asker.bodies_of(held.backend)

    def finding(
        self, key: Key, method: str, *, inline: bool, via: str, if_range: str, looks: list[Look] | None
    ) -> Steps[Found]:
        """See ``MediaStack.finding``."""
        via = sites_of(via)

        def whole(backend: Backend) -> bool:
            """A redirect needs no more than that there is a file, unless its version decides on it."""
            return bool(if_range) or self._delivery(backend, key) != "redirect"

        located = yield from self._asker.locate(key, inline=inline, serving=True, via=via, whole=whole, looks=looks)
        if located is None:
            return Missing()
        if isinstance(located, Hidden):
            return located
        backend, answer = located
        if not isinstance(answer, Remote):
            return self._held(backend, key, method, answer)
        # A client that goes on with a download of another version must have the whole one (RFC 9110, 13.1.5). S3s that
        # were tried ignore If-Range and would send it the rest of theirs.
        is_other = (
            if_range not in ("", answer.meta.etag) and backend.name in self._reads_ranges and answer is not UNCHECKED
        )
        delivery = self._delivery(backend, key)
        if delivery == "pull" and self._puller is not None:
            return Held(backend.name, self._puller.handle(backend, key, answer.meta, via, partial(self._forget, key)))
        if is_other or delivery != "redirect":
            handle = RemoteHandle(key, self._asker.reads(backend, via), answer.meta, partial(self._forget, key))
            return Held(backend.name, handle)
        signing = cast("Signs", backend)
        if not signing.can_sign(time.time()):
            yield from self._asker.origins[backend.name].prepare(signing.prepare)
        signed = signing.sign(key, method, time.time())
        redirect = Redirect(backend.name, signed.url, signed.expires)
        if self._known is not None and not via:
            return self._known.keep(key, method, redirect, backend)
        return redirect

    def redirect_again(self, key: str, method: str) -> Redirect | None:
        """See ``MediaStack.redirect_again``."""
        return None if self._known is None else self._known.again(key, method, time.time())

    def reading(self, backend: str, work: Callable[[], Any]) -> Steps[Any]:
        """Have a thread read from ``backend``, within the bounds of a look-up, as steps."""
        return self._asker.origins[backend].call(work, "read")

    def arriving(self, backend: str, arrival: Future[None]) -> Steps[None]:
        """Wait for bytes that another thread fetches from ``backend``, as long as a look-up may take, as steps."""
        yield from self._asker.origins[backend].within_deadline(arrival, "read")

    def copying(self, backend: str, work: Callable[[], Handle]) -> Steps[Any]:
        """Have a thread copy a file of ``backend``, for as long as that may take, as steps."""
        return self._asker.origins[backend].copy(work)

    def _held(self, backend: Backend, key: Key, method: str, answer: Handle) -> Held:
        if self._asker.is_remote(backend):  # a copy
            if self._puller is not None and method == "GET":
                self._puller.keep_later(backend, key, answer.meta)
            cast("LocalHandle", answer).meta = for_clients(answer.meta)
        return Held(backend.name, answer)

    def _delivery(self, backend: Backend, key: Key) -> Delivery | None:
        return self._asker.rules[backend.name].delivery_of(key, self._deliveries[backend.name][0])

    def _forget(self, key: Key) -> None:
        self._asker.origins.forget(key)
