"""Backends that do as they are told, and what waits for them, for the tests of the stack."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

from mediamw import MediaStack, MemoryBackend
from mediamw.backends.base import Entry, Remote, SignedURL, keys_below
from mediamw.backends.rules import EVERY_KEY, Rules
from mediamw.core.errors import BackendUnavailable, ContentChanged, NotServable, Unreachable
from mediamw.core.keys import Key
from mediamw.core.model import Found, Meta
from mediamw.stack.lookups import Lookups
from mediamw.stack.origin_health import OriginHealth


class Handle:
    """An open file that knows whether it was closed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.meta = Meta(len(data))
        self.closed = 0

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        yield self.data[start:stop]

    def close(self) -> None:
        self.closed += 1


class Local:
    """Has ``files``; an exception in the place of bytes is raised."""

    def __init__(self, name: str, files: dict[str, bytes | Exception] | None = None) -> None:
        self.name = name
        self.files = files or {}
        self.asked: list[str] = []
        self.handles: list[Handle] = []

    def open(self, key: Key) -> Handle | None:
        self.asked.append(key)
        found = self.files.get(key)
        if isinstance(found, Exception):
            raise found
        if found is None:
            return None
        self.handles.append(Handle(found))
        return self.handles[-1]

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        for data in self.files.values():
            if isinstance(data, Exception):
                raise data
        for key in keys_below(sorted(self.files), prefix, recursive=recursive):
            found = self.files.get(key)
            yield Entry(key, Meta(len(found)) if isinstance(found, bytes) else None, self.name)


class Bucket:
    """A remote backend: signs, and reads ranges of one version. ``wait`` is called before each answer."""

    def __init__(
        self,
        name: str,
        files: dict[str, bytes | Exception] | None = None,
        *,
        wait: Callable[[], object] = lambda: None,
        piece_bytes: int = 64 * 1024,
        rules: Rules = EVERY_KEY,
    ) -> None:
        self.name = name
        self.files = files or {}
        self.wait = wait
        self.piece_bytes = piece_bytes
        self.rules = rules
        self.asked: list[str] = []
        self.threads: list[tuple[str, str]] = []  # what was called, on which thread
        self.ranges: list[tuple[int, int]] = []
        self.prepared = 0
        self.ready = True
        self.open_ranges = 0
        self.lock = threading.Lock()

    def _etag(self, data: bytes) -> str:
        return f'"{len(data)}-{data[:8].hex()}"'

    def open(self, key: Key) -> Remote | None:
        with self.lock:
            self.asked.append(key)
        self._note("open")
        self.wait()
        found = self.files.get(key)
        if isinstance(found, Exception):
            raise found
        return None if found is None else Remote(Meta(len(found), 1, self._etag(found), "image/jpeg"))

    def _note(self, what: str) -> None:
        self.threads.append((what, threading.current_thread().name))

    def can_sign(self, now: float) -> bool:
        return self.ready

    def prepare(self) -> None:
        self._note("prepare")
        self.wait()
        self.prepared += 1
        self.ready = True

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        if not self.ready:
            raise AssertionError("sign before prepare")
        return SignedURL(f"https://{self.name}.example/{key}?{method}", now + 60)

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        found = self.files.get(key)
        if isinstance(found, Exception):
            raise found
        if found is None or etag != self._etag(found):
            raise ContentChanged("another version", backend=self.name)
        self.ranges.append((start, stop))
        self.open_ranges += 1
        try:
            for position in range(start, stop, self.piece_bytes):
                self._note("read")
                self.before_piece(position)
                now = self.files.get(key)
                if isinstance(now, Exception):
                    raise now
                yield found[position : min(position + self.piece_bytes, stop)]
        finally:
            self.open_ranges -= 1

    def before_piece(self, position: int) -> None:
        """For a test to break off, or to wait, before the piece that starts at ``position``."""

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        return Local.list(self, prefix, recursive=recursive)


class FarMemory(MemoryBackend):
    """An upper across a network, as a bucket is: what it answers is no open file."""

    @property
    def files(self) -> dict[str, bytes]:
        return {key: body for key, (body, _) in self._files.items()}

    def open(self, key: Key) -> Any:
        found = super().open(key)
        return None if found is None else Remote(found.meta)

    def can_sign(self, now: float) -> bool:
        return True

    def prepare(self) -> None:
        """Nothing is needed."""

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        return SignedURL(f"https://{self.name}.example/{key}?{method}", now + 60)

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        found = super().open(key)
        if found is None or found.meta.etag != etag:
            raise ContentChanged("another version", backend=self.name)
        return found.chunks(start, stop)


def down(name: str) -> BackendUnavailable:
    return BackendUnavailable("it is down", backend=name)


def dead(name: str) -> Unreachable:
    return Unreachable("it does not answer", backend=name)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def stack_on(clock: Clock, *backends: Any, **options: Any) -> MediaStack:
    """Make a stack whose breakers, budgets and memory go by ``clock``."""
    with (
        mock.patch("mediamw.stack.origins.OriginHealth", partial(OriginHealth, clock=clock)),
        mock.patch("mediamw.stack.origins.Lookups", partial(Lookups, clock=clock)),
    ):
        return MediaStack(list(backends), **options)


def settle(stack: MediaStack) -> None:
    """Wait until every answer was taken over: that happens just after its waiters are told."""
    until(lambda: not stack._asker.origins.lookups._state.get().flights)


def ask(stack: MediaStack, key: str) -> Found | BackendUnavailable:
    """Return what the stack has, or why it cannot tell, once that is taken over."""
    try:
        return stack.find(key)
    except BackendUnavailable as error:
        return error
    finally:
        settle(stack)


def fifo(name: str) -> NotServable:
    return NotServable("it is a FIFO", backend=name)


def gate(timeout_s: float = 10) -> tuple[threading.Event, Callable[[], None]]:
    """An event, and a wait for it that ends with an error rather than never."""
    event = threading.Event()

    def wait() -> None:
        if not event.wait(timeout_s):
            raise AssertionError("nobody opened the gate")

    return event, wait


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.001)


async def get(app: Any, path: str, method: str = "GET") -> int:
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(3600)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": [], "root_path": ""}
    await app(scope, receive, send)
    return int(sent[0]["status"])
