"""MediaStack: an ordered list of backends that reads as one place. The first is the upper, the others are lowers.

Read: the upper, then the lowers in order; the first that has the key is served. A lower that cannot tell is passed
over; if nobody else has the key the answer is that one cannot tell, never that it is missing. An upper that cannot
tell always is: serving production's file in place of a local one would be a lie.
"""

from __future__ import annotations

import errno
import heapq
import io
import logging
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from ..backends.base import LATER, Backend, Closes, Entry, Lists, OpensNow, ReadsRanges, Remote, Signs
from ..core.errors import BackendUnavailable, ConfigError, InvalidKey, NoURL
from ..core.keys import Key, parse_key, refusal
from ..core.model import Found, Handle, Held, Meta, Missing, Redirect, Timing
from .lookups import UNKNOWN, Lookups
from .reader import BUFFER_BYTES, HandleReader, RemoteReader
from .steps import Pool, Steps, Wait, run

log = logging.getLogger("mediamw")

FOUND_TTL_SECONDS = 300.0
MISSING_TTL_SECONDS = 30.0
DEADLINE_SECONDS = 8.0
NETWORK_THREADS = 16
DISK_THREADS = 8

Answer = Handle | Remote | None
Located = tuple[Backend, Handle | Remote] | None
Timings = list[Timing]


class MediaStack:
    """The backends, first to last. Keys are names as strings; every method checks them and raises ``InvalidKey``.

    ``base_url`` is what ``url`` puts before a key that no backend signs, such as ``/media/``. ``found_ttl`` and
    ``missing_ttl`` say for how many seconds a remote backend's answer is believed, ``deadline`` how many seconds one
    backend may take for one look-up, waiting for a thread included. Raises ``ConfigError``.
    """

    def __init__(
        self,
        backends: Sequence[Backend],
        *,
        base_url: str | None = None,
        found_ttl: float = FOUND_TTL_SECONDS,
        missing_ttl: float = MISSING_TTL_SECONDS,
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        self.backends = _checked(backends)
        self.base_url = _checked_base_url(base_url)
        for option, seconds in (("found_ttl", found_ttl), ("missing_ttl", missing_ttl), ("deadline", deadline)):
            if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 <= seconds < float("inf"):
                raise ConfigError(f"{option}: {seconds!r} is not a number of seconds, 0 or more")
        self._deadline = deadline
        self._said: dict[str, float] = {}
        self._disk = Pool(DISK_THREADS, "mediamw-disk")
        # Asked over a network, and so remembered: isinstance with a protocol is slow, so it is asked once.
        self._remote = frozenset(b.name for b in self.backends if isinstance(b, (Signs, ReadsRanges)))
        self._network = {name: Pool(NETWORK_THREADS, f"mediamw-network-{name}") for name in self._remote}
        self._lookups = Lookups(self._network.__getitem__, found_ttl=found_ttl, missing_ttl=missing_ttl)
        self._now = frozenset(b.name for b in self.backends if isinstance(b, OpensNow))

    def __repr__(self) -> str:
        return f"MediaStack({list(self.backends)!r})"

    @property
    def upper(self) -> Backend:
        """The first backend, which takes all writes."""
        return self.backends[0]

    @property
    def redirects(self) -> bool:
        """True if some backend's files are answered by sending the client there."""
        return any(isinstance(backend, Signs) for backend in self.backends)

    @property
    def disk(self) -> Pool:
        """The threads for what may wait for a disk."""
        return self._disk

    def say(self, subject: str, text: str) -> None:
        """Log a warning, at most once a minute for each ``subject``."""
        now = time.monotonic()
        if now - self._said.get(subject, -60.0) >= 60.0:
            self._said[subject] = now
            log.warning("%s", text)

    def find(self, key: str, method: str = "GET") -> Found:
        """Say what the stack has: ``Held`` (the caller closes its handle), ``Redirect`` for ``method``, ``Missing``.

        Raises ``BackendUnavailable`` if nobody has it and somebody cannot tell, ``NotServable`` if what has the name
        may not be read.
        """
        return run(self.finding(parse_key(key), method))

    def finding(self, key: Key, method: str, *, inline: bool = False, timings: Timings | None = None) -> Steps[Found]:
        """``find`` as steps. ``inline``: on an event loop, where not even a disk may be waited for."""
        located = yield from self._locate(key, inline, timings)
        if located is None:
            return Missing()
        backend, answer = located
        if not isinstance(answer, Remote):
            return Held(backend.name, answer)
        if not isinstance(backend, Signs):
            raise NoURL("the backend makes no URLs, so nobody can be sent there", backend=backend.name, key=key)
        if not backend.can_sign(time.time()):
            yield from self._within_deadline(backend, self._network[backend.name].submit(backend.prepare))
        signed = backend.sign(key, method, time.time())
        return Redirect(backend.name, signed.url, signed.expires)

    def open(self, key: str) -> BinaryIO:
        """Open for reading: seekable, buffered; a remote file by ranged reads, all of the version it has now.

        Raises ``FileNotFoundError`` if nobody has it; reading raises ``ContentChanged`` if the version is gone.
        """
        checked = parse_key(key)
        located = run(self._locate(checked))
        if located is None:
            raise _not_found(key)
        backend, answer = located
        raw: io.RawIOBase
        if not isinstance(answer, Remote):
            raw = HandleReader(checked, answer)
        elif isinstance(backend, ReadsRanges):
            raw = RemoteReader(checked, backend, answer.meta, partial(self.forget, key))
        else:
            raise BackendUnavailable("the backend cannot be read from here", backend=backend.name, key=key)
        return cast("BinaryIO", io.BufferedReader(raw, BUFFER_BYTES))

    def stat(self, key: str) -> Meta:
        """Return what is known of the file without reading it. Raises ``FileNotFoundError``."""
        located = run(self._locate(parse_key(key)))
        if located is None:
            raise _not_found(key)
        answer = located[1]
        if not isinstance(answer, Remote):
            answer.close()
        return answer.meta

    def exists(self, key: str) -> bool:
        """Say whether somebody has the file. Raises ``BackendUnavailable`` if nobody has and one cannot tell."""
        try:
            self.stat(key)
        except FileNotFoundError:
            return False
        return True

    def list(self, prefix: str = "", *, recursive: bool = False) -> Iterator[Entry]:
        """Yield what lies below ``prefix`` in any backend, sorted by key; of one key the topmost backend's entry.

        Without ``recursive`` a folder is one entry whose key ends in ``/``. Raises ``BackendUnavailable`` as it goes.
        """
        if prefix and (reason := refusal(prefix.removesuffix("/"))) is not None:
            raise InvalidKey(f"not a usable prefix: {reason}", key=prefix, operation="list")
        return self._merged(prefix, recursive)

    def _merged(self, prefix: str, recursive: bool) -> Iterator[Entry]:
        listings = []
        for order, backend in enumerate(self.backends):
            if not isinstance(backend, Lists):
                raise BackendUnavailable("the backend cannot list", backend=backend.name, operation="list")
            listings.append(_ordered(backend.list(prefix, recursive=recursive), order))
        last = None
        for key, _, entry in heapq.merge(*listings):
            if key != last:
                last = key
                yield entry

    def url(self, key: str) -> str:
        """Return a URL for clients: signed where a lower has the file, else ``base_url`` and the quoted key.

        Raises ``NoURL`` without ``base_url``. A missing file has a URL too, as in every storage API.
        """
        found = self.find(key)
        if isinstance(found, Redirect):
            return found.url
        if isinstance(found, Held):
            found.handle.close()
        if self.base_url is None:
            raise NoURL("no backend signs it and the stack has no base_url", key=key, operation="url")
        return self.base_url + quote(key, safe="/~")

    def forget(self, key: str) -> None:
        """Drop what is remembered of ``key``, so that the next look-up asks."""
        self._lookups.forget(parse_key(key))

    def close(self) -> None:
        """Close connections, descriptors and threads. The stack may be used again and then opens what it needs."""
        self._disk.close()
        for pool in self._network.values():
            pool.close()
        for backend in self.backends:
            if isinstance(backend, Closes):
                backend.close()

    def _locate(self, key: Key, inline: bool = False, timings: Timings | None = None) -> Steps[Located]:
        """Ask the backends in order; return the first that has the key with its answer."""
        unsure: BackendUnavailable | None = None
        for backend in self.backends:
            started = time.perf_counter() if timings is not None else 0.0
            try:
                answer, cached = yield from self._ask(backend, key, inline)
            except BackendUnavailable as error:
                if timings is not None:
                    timings.append(Timing(backend.name, "unavailable", time.perf_counter() - started))
                if backend is self.upper:
                    raise
                unsure = unsure or error
                continue
            if timings is not None:
                said = "missing" if answer is None else "found"
                timings.append(Timing(backend.name, said, time.perf_counter() - started, cached))
            if answer is not None:
                if unsure is not None:
                    self.say(f"instead of {unsure.backend}", f"{unsure}; served from backend {backend.name!r} instead")
                return backend, answer
        if unsure is not None:
            raise unsure
        return None

    def _ask(self, backend: Backend, key: Key, inline: bool) -> Steps[tuple[Answer, bool]]:
        """Return what one backend says, and whether it was remembered."""
        if backend.name in self._remote:
            known = self._lookups.known(backend, key)
            if known is not UNKNOWN:
                return known, True
            flight = self._lookups.ask(backend, key)
            try:
                return (yield from self._within_deadline(backend, flight)), False
            except BaseException:
                self._lookups.leave(backend, key, flight)
                raise
        if not inline:
            return backend.open(key), False
        if backend.name in self._now:
            now = cast("OpensNow", backend).open_now(key)
            if now is not LATER:
                return cast("Answer", now), False
        future = self._disk.submit(backend.open, key)
        try:
            answer = yield Wait(future)
        except BaseException:  # the client left: nobody will close what is being opened
            future.add_done_callback(_close_abandoned)
            raise
        return answer, False

    def _within_deadline(self, backend: Backend, future: Any) -> Steps[Any]:
        try:
            return (yield Wait(future, self._deadline))
        except TimeoutError:
            raise BackendUnavailable(f"no answer within {self._deadline:g} s", backend=backend.name) from None


def _ordered(entries: Iterator[Entry], order: int) -> Iterator[tuple[str, int, Entry]]:
    for entry in entries:
        yield entry.key, order, entry


def _close_abandoned(future: Any) -> None:
    if not future.cancelled() and future.exception() is None and future.result() is not None:
        future.result().close()


def _not_found(key: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), key)


def _checked_base_url(base_url: Any) -> str | None:
    if base_url is not None and not (isinstance(base_url, str) and base_url.endswith("/")):
        raise ConfigError(f"base_url: {base_url!r} must end with '/', such as /media/")
    return base_url


def _checked(backends: Any) -> tuple[Backend, ...]:
    if not isinstance(backends, (list, tuple)) or not backends:
        raise ConfigError(f"backends: give a list with at least one backend, not {backends!r}")
    for number, backend in enumerate(backends, 1):
        if not callable(getattr(backend, "open", None)) or not isinstance(getattr(backend, "name", None), str):
            raise ConfigError(
                f"backends: item {number} is {backend!r}, which is no backend (it has no open or no name)"
            )
    names = [backend.name for backend in backends]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"backends: {names.count(name)} of them are named {name!r}; give each a name of its own")
    return tuple(backends)
