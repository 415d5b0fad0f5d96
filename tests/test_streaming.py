"""Large bodies in process: a file that changes while it is sent, a client that leaves, a file wrapper."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from mediamw import ContentChanged, LocalBackend, MediaStack
from mediamw import asgi as asgi_side
from mediamw import wsgi as wsgi_side
from mediamw.backends.local import LocalHandle

from .http_table.callers import messages_of

SIZE = 3 * 1024 * 1024 + 7


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(SIZE))
    return file


def wsgi_body(folder: Path, *, method: str = "GET", **environ: Any) -> Any:
    app = wsgi_side.MediaMiddleware(None, [str(folder)])
    return app({"REQUEST_METHOD": method, "PATH_INFO": "/media/big.bin", **environ}, lambda status, headers: None)


async def asgi_messages(folder: Path, on_send: Callable[[int], None], disconnect: asyncio.Event) -> list[Any]:
    """Send one request to a middleware of its own: see ``messages_of``."""
    return await messages_of(asgi_side.MediaMiddleware(None, [str(folder)]), on_send, disconnect)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[LocalHandle]]:
    """The handles that were closed by somebody, not by the garbage collector."""
    handles: list[LocalHandle] = []
    close = LocalHandle.close

    def noted(self: LocalHandle) -> None:
        handles.append(self)
        close(self)

    monkeypatch.setattr(LocalHandle, "close", noted)
    monkeypatch.setattr(LocalHandle, "__del__", lambda self: None)
    yield handles
    monkeypatch.undo()


def test_wsgi_streams_in_bounded_pieces(path: Path, closed: list[LocalHandle]) -> None:
    body = wsgi_body(path.parent)
    pieces = list(body)
    assert b"".join(pieces) == path.read_bytes()
    assert max(map(len, pieces)) <= 1024 * 1024
    assert closed == []
    body.close()
    body.close()
    assert len(closed) >= 1


def test_wsgi_raises_when_the_file_has_become_shorter(path: Path, closed: list[LocalHandle]) -> None:
    body = wsgi_body(path.parent)
    next(body)
    os.truncate(path, 1024 * 1024 + 1)
    next(body)
    with pytest.raises(ContentChanged, match="ended 2097158 bytes early"):
        next(body)
    body.close()
    assert closed


def test_wsgi_sends_no_more_than_was_promised(path: Path) -> None:
    body = wsgi_body(path.parent)
    with path.open("ab") as file:
        file.write(b"more")
    assert sum(map(len, body)) == SIZE


def test_file_wrapper_gets_a_file_with_a_descriptor(path: Path, closed: list[LocalHandle]) -> None:
    body = wsgi_body(path.parent, **{"wsgi.file_wrapper": FileWrapper})
    assert isinstance(body, FileWrapper)
    assert os.fstat(body.filelike.fileno()).st_ino == path.stat().st_ino
    with path.open("ab") as file:
        file.write(b"more")
    assert b"".join(body) == path.read_bytes()[:SIZE], "read, it ends where the promise ends"
    body.close()
    assert closed


@pytest.mark.parametrize(
    ("asked", "wrapped"),
    [("bytes=5-", True), ("bytes=-200000", True), ("bytes=0-1000000", False), ("bytes=0-99999,200000-", False)],
)
def test_file_wrapper_is_never_given_what_stops_before_the_end(path: Path, asked: str, wrapped: bool) -> None:
    body = wsgi_body(path.parent, HTTP_RANGE=asked, **{"wsgi.file_wrapper": FileWrapper})
    assert isinstance(body, FileWrapper) is wrapped
    if wrapped:
        assert b"".join(body) == (path.read_bytes()[5:] if asked == "bytes=5-" else path.read_bytes()[-200000:])
    body.close()


def test_file_wrapper_whose_file_has_become_shorter(path: Path, closed: list[LocalHandle]) -> None:
    read = wsgi_body(path.parent, **{"wsgi.file_wrapper": FileWrapper})
    sent = wsgi_body(path.parent, **{"wsgi.file_wrapper": FileWrapper})
    os.truncate(path, 10)
    with pytest.raises(ContentChanged):
        b"".join(read)
    # A server that sends the descriptor itself sees only the end of the file; closing tells it.
    with pytest.raises(ContentChanged):
        sent.close()
    assert closed
    sent.filelike.close()


def test_head_opens_no_stream(path: Path, closed: list[LocalHandle]) -> None:
    assert wsgi_body(path.parent, method="HEAD", **{"wsgi.file_wrapper": FileWrapper}) == []
    assert len(closed) == 1


def test_asgi_streams_in_bounded_pieces(path: Path, closed: list[LocalHandle]) -> None:
    sent = asyncio.run(asgi_messages(path.parent, lambda number: None, asyncio.Event()))
    bodies = [message["body"] for message in sent[1:]]
    assert b"".join(bodies) == path.read_bytes()
    assert max(map(len, bodies)) <= 1024 * 1024
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(bodies) - 1) + [False]
    assert closed


def test_asgi_raises_when_the_file_has_become_shorter(path: Path, closed: list[LocalHandle]) -> None:
    def on_send(number: int) -> None:
        if number == 1:
            os.truncate(path, 10)

    with pytest.raises(ContentChanged):
        asyncio.run(asgi_messages(path.parent, on_send, asyncio.Event()))
    assert closed


def test_asgi_stops_when_the_client_has_left(path: Path, closed: list[LocalHandle]) -> None:
    async def run() -> list[Any]:
        disconnect = asyncio.Event()
        return await asgi_messages(path.parent, lambda number: disconnect.set() if number == 1 else None, disconnect)

    assert len(asyncio.run(run())) <= 3, "start, the piece that was being sent, at most one more"
    assert closed


def test_asgi_takes_an_error_of_send_after_the_client_left(path: Path, closed: list[LocalHandle]) -> None:
    """ASGI 2.4: send raises OSError once the client is gone. An OSError for another reason is not swallowed."""

    async def run(leaves: bool) -> None:
        disconnect = asyncio.Event()

        def on_send(number: int) -> None:
            if number == 2:
                raise OSError("gone")
            if number == 1 and leaves:
                disconnect.set()

        await asgi_messages(path.parent, on_send, disconnect)

    asyncio.run(run(True))
    with pytest.raises(OSError, match="gone"):
        asyncio.run(run(False))
    assert len(closed) >= 2


def test_asgi_cancelled_while_a_thread_reads(path: Path, closed: list[LocalHandle]) -> None:
    """The thread must not find its descriptor closed, or another file's: it is closed when the read is done."""
    import threading

    reading, go_on = threading.Event(), threading.Event()
    chunks = LocalHandle.chunks

    def slow(self: LocalHandle, start: int, stop: int) -> Iterator[bytes]:
        reading.set()
        assert go_on.wait(10)
        yield from chunks(self, start, stop)

    async def run() -> None:
        task = asyncio.ensure_future(asgi_messages(path.parent, lambda number: None, asyncio.Event()))
        while not reading.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert closed == [], "not while it is read"
        go_on.set()
        while not closed:
            await asyncio.sleep(0.001)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalHandle, "chunks", slow)
        asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize("inline", [True, False])
def test_a_small_file_that_changes_between_look_up_and_read_is_looked_up_anew(
    path: Path, inline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent yet, so there is no promise to break: the answer is that of the file which is there now."""
    from mediamw.service import MediaService
    from mediamw.stack.steps import run

    path.write_bytes(b"x" * 1000)
    service = MediaService(MediaStack([LocalBackend(path.parent)]))
    decide_and_shrink = _shrinking_once(path)
    monkeypatch.setattr("mediamw.service.decide", decide_and_shrink)
    reply = run(service.respond("GET", "big.bin", {}, {}, inline=inline))
    assert reply.plan.status == 200
    assert reply.data == b"y" * 10
    assert ("Content-Length", "10") in reply.plan.headers


def _shrinking_once(path: Path) -> Callable[..., Any]:
    from mediamw.core.plan import decide

    times = iter(range(2))

    def changed(*args: Any) -> Any:
        plan = decide(*args)
        if next(times) == 0:
            path.write_bytes(b"y" * 10)
        return plan

    return changed
