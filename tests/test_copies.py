"""Copies of files whose length nobody said: their bounds, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import Client

from mediamw import BackendUnavailable, Meta, Remote
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.core.keys import Key
from mediamw.stack import copies, origins
from mediamw.stack import stack as stacks
from mediamw.stack.copies import CopiedHandle, copy_of
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from .fakes import Bucket, Local, until

BIG = b"x" * 100_000


class Camera(Bucket):
    """Has ``a.mjpg``, whose pieces come as long as ``going``."""

    def __init__(self) -> None:
        super().__init__("s3", {"still.jpg": b"still"})
        self.going = threading.Event()
        self.going.set()
        self.readers = 0
        self.sent = 0
        self.count = threading.Lock()

    def open(self, key: Key) -> Remote | None:
        return Remote(Meta(None, None, None, "image/jpeg")) if key == "a.mjpg" else super().open(key)

    def read_whole(self, key: Key, etag: str | None) -> Iterator[bytes]:
        with self.count:
            self.readers += 1
        try:
            while self.going.is_set():
                self.sent += len(BIG)
                threading.Event().wait(0.001)
                yield BIG
        finally:
            with self.count:
                self.readers -= 1


def stack_of(origin: Any) -> stacks.MediaStack:
    origin.rules = stacks.Rules(delivery="proxy")
    return stacks.MediaStack([Local("local"), origin])


def test_a_copy_is_what_came() -> None:
    with copy_of(iter([b"a", b"", b"b"])) as file:
        assert file.read() == b"ab"


def test_its_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "MAX_COPY_BYTES", 5)
    copy_of(iter([b"12345"])).close()
    ended = []

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield b"12"
        finally:
            ended.append(True)

    with pytest.raises(BackendUnavailable, match="more than 5 bytes"):
        copy_of(pieces())
    assert ended


def test_its_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("mediamw.stack.copies.time.monotonic", lambda: now[0])

    def pieces() -> Iterator[bytes]:
        for _ in range(10):
            now[0] += 1
            yield b"x"

    copy_of(pieces(), seconds=10).close()
    copy_of(pieces()).close()
    with pytest.raises(BackendUnavailable, match="did not come to its end in 9 s"):
        copy_of(pieces(), seconds=9)


def test_a_stream_without_an_end_is_503_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the other files of that origin are served meanwhile."""
    monkeypatch.setattr(origins, "COPY_SECONDS", 0.5)
    camera = Camera()
    stack = stack_of(camera)
    client = Client(WSGIMiddleware(None, stack))  # werkzeug's: speaks HTTP/1.1, and is no gunicorn
    watching = [threading.Thread(target=client.get, args=("/media/a.mjpg",)) for _ in range(origins.NETWORK_THREADS)]
    for thread in watching:
        thread.start()
    until(lambda: camera.readers == origins.COPY_THREADS)
    assert client.get("/media/still.jpg").data == b"still"
    for thread in watching:
        thread.join(10)
        assert not thread.is_alive()
    assert client.get("/media/a.mjpg").status_code == 503
    until(lambda: camera.readers == 0)
    stack.close()


def test_a_task_that_is_cancelled_ends_the_copy() -> None:
    camera = Camera()
    stack = stack_of(camera)
    scope = {"type": "http", "http_version": "1.0", "method": "GET", "path": "/media/a.mjpg", "headers": []}

    async def main() -> None:
        task = asyncio.ensure_future(ASGIMiddleware(None, stack)(scope, _never, _nothing))
        while camera.readers == 0:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    until(lambda: camera.readers == 0)
    stack.close()


def test_a_copy_that_is_done_when_nobody_waits_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(CopiedHandle, "close", lambda self: closed.append(self._file.close()))
    monkeypatch.setattr(origins, "COPY_SECONDS", 0.05)
    stack, ready = stack_of(Camera()), threading.Event()

    def work() -> CopiedHandle:
        ready.wait(5)
        return CopiedHandle(copy_of(iter([b"x"])), Meta(1))

    with pytest.raises(BackendUnavailable, match=r"no whole copy within 0\.05 s"):
        stacks.run(stack.copying("s3", work))
    ready.set()
    until(lambda: closed)
    stack.close()


async def _never() -> Any:
    await asyncio.Event().wait()


async def _nothing(_: Any) -> None:
    pass
