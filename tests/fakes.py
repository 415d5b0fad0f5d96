"""Backends that do as they are told, and what waits for them, for the tests of the stack."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from mediamw.backends.base import Entry, Remote, SignedURL
from mediamw.core.errors import BackendUnavailable, ContentChanged, NotServable
from mediamw.core.keys import Key
from mediamw.core.model import Meta


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
        for key, data in sorted(self.files.items()):
            if isinstance(data, Exception):
                raise data
            if key.startswith(prefix):
                yield Entry(key, Meta(len(data)), self.name)


class Bucket:
    """A remote backend: signs, and reads ranges of one version. ``wait`` is called before each answer."""

    def __init__(
        self,
        name: str,
        files: dict[str, bytes | Exception] | None = None,
        *,
        wait: Callable[[], object] = lambda: None,
        piece_bytes: int = 64 * 1024,
    ) -> None:
        self.name = name
        self.files = files or {}
        self.wait = wait
        self.piece_bytes = piece_bytes
        self.asked: list[str] = []
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
        self.wait()
        found = self.files.get(key)
        if isinstance(found, Exception):
            raise found
        return None if found is None else Remote(Meta(len(found), 1, self._etag(found), "image/jpeg"))

    def can_sign(self, now: float) -> bool:
        return self.ready

    def prepare(self) -> None:
        self.wait()
        self.prepared += 1
        self.ready = True

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        if not self.ready:
            raise AssertionError("sign before prepare")
        return SignedURL(f"https://{self.name}.example/{key}?{method}", now + 60)

    def read_range(self, key: Key, start: int, stop: int, etag: str | None) -> Iterator[bytes]:
        found = self.files.get(key)
        if isinstance(found, Exception):
            raise found
        if found is None or etag != self._etag(found):
            raise ContentChanged("another version", backend=self.name)
        self.ranges.append((start, stop))
        self.open_ranges += 1
        try:
            for position in range(start, stop, self.piece_bytes):
                now = self.files.get(key)
                if isinstance(now, Exception):
                    raise now
                yield found[position : min(position + self.piece_bytes, stop)]
        finally:
            self.open_ranges -= 1

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        return Local.list(self, prefix, recursive=recursive)


def down(name: str) -> BackendUnavailable:
    return BackendUnavailable("it is down", backend=name)


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
