"""Large bodies in process: a file that changes while it is sent, a client that leaves, a file wrapper."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from mediamw import ContentChanged, LocalBackend, MediaStack
from mediamw import asgi as asgi_side
from mediamw import wsgi as wsgi_side
from mediamw.backends import local_handle
from mediamw.backends.base import READ_BYTES
from mediamw.backends.local import LocalHandle
from mediamw.core.model import Meta, Slice
from mediamw.reply import PIECE_BYTES, Stream

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


async def asgi_messages(
    folder: Path, on_send: Callable[[int], None], disconnect: asyncio.Event, **more: Any
) -> list[Any]:
    """Send one request to a middleware of its own: see ``messages_of``."""
    return await messages_of(asgi_side.MediaMiddleware(None, [str(folder)]), on_send, disconnect, **more)


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
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert closed == []
    body.close()
    body.close()
    assert len(closed) >= 1


def test_wsgi_raises_when_the_file_has_become_shorter(path: Path, closed: list[LocalHandle]) -> None:
    body = wsgi_body(path.parent)
    next(body)
    os.truncate(path, PIECE_BYTES + 1)
    assert len(next(body)) == 1
    with pytest.raises(ContentChanged, match=f"ended {SIZE - PIECE_BYTES - 1} bytes early"):
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


@pytest.mark.parametrize(("warm", "piece_bytes"), [(1, PIECE_BYTES), (0, READ_BYTES), (2, READ_BYTES)])
def test_asgi_streams_in_bounded_pieces(
    path: Path, closed: list[LocalHandle], warm: int, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page cache has all of it (1), nothing (0), or each second piece (2): then loop and threads take turns."""
    threads = threads_that_read(monkeypatch, warm)
    sent = asyncio.run(asgi_messages(path.parent, lambda number: None, asyncio.Event()))
    bodies = [message["body"] for message in sent[1:]]
    assert b"".join(bodies) == path.read_bytes()
    assert max(map(len, bodies)) == piece_bytes
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(bodies) - 1) + [False]
    assert closed
    assert bool(threads) == (warm != 1), "what is in the page cache needs no thread"
    assert threading.current_thread() not in threads


def threads_that_read(monkeypatch: pytest.MonkeyPatch, warm: int) -> set[threading.Thread]:
    """Have each ``warm``-th reading find its piece in the page cache (0: none); return the threads of the others."""
    threads: set[threading.Thread] = set()
    chunks, numbers = LocalHandle.chunks, count(1)

    def read_now(self: LocalHandle, start: int, stop: int) -> bytes | None:
        is_warm = warm != 0 and next(numbers) % warm == 0
        return os.pread(self.fileno(), stop - start, start) if is_warm else None

    def noted(self: LocalHandle, start: int, stop: int) -> Iterator[bytes]:
        threads.add(threading.current_thread())
        return chunks(self, start, stop)

    monkeypatch.setattr(LocalHandle, "read_now", read_now)
    monkeypatch.setattr(LocalHandle, "chunks", noted)
    return threads


@pytest.mark.parametrize("warm", [0, 1, 2])
def test_several_ranges_are_the_same_by_either_way(path: Path, warm: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = "bytes=0-9,200000-600000,1000000-1000000,2000000-"
    threads_that_read(monkeypatch, warm)
    sent = asyncio.run(
        asgi_messages(path.parent, lambda number: None, asyncio.Event(), headers=[(b"range", asked.encode())])
    )
    by_asgi = b"".join(message["body"] for message in sent[1:])
    assert by_asgi == b"".join(wsgi_body(path.parent, HTTP_RANGE=asked))
    data = path.read_bytes()
    assert data[200000:600001] in by_asgi
    assert by_asgi.count(b"Content-Range") == 4


def test_a_client_that_takes_all_at_once_leaves_turns_to_others(path: Path) -> None:
    """``send`` of a server whose client keeps up waits for nothing."""
    turns: list[int] = []

    async def run() -> None:
        other = asyncio.ensure_future(others())
        await asgi_messages(path.parent, turns.append, asyncio.Event(), send_waits=False)
        other.cancel()

    async def others() -> None:
        while True:
            turns.append(-1)
            await asyncio.sleep(0)

    asyncio.run(run())
    sent = [index for index, turn in enumerate(turns) if turn >= 0]
    assert len(sent) > SIZE // (PIECE_BYTES if local_handle._RWF_NOWAIT else READ_BYTES)
    between = [after - before for before, after in itertools.pairwise(sent)][1:-1]
    assert min(between) > 1, "nobody had a turn between two pieces"


class Odd:
    """A third party's handle: it reads anywhere, and gives too much or too little."""

    def __init__(self, data: bytes, gives: int, now: int | None) -> None:
        self._data, self._gives, self._now = data, gives, now
        self.meta = Meta(len(data), 0, None)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        yield self._data[start : start + self._gives]

    def read_now(self, start: int, stop: int) -> bytes | None:
        return None if self._now is None else self._data[start : start + self._now]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("gives", [1, 7, 10, 50])
@pytest.mark.parametrize("now", [None, 0, 1, 7, 50])
def test_what_was_promised_of_a_handle_that_gives_otherwise(gives: int, now: int | None) -> None:
    data = bytes(range(100))
    stream = Stream((b"head", Slice(3, 61), b"", Slice(70, 99), b"tail"), Odd(data, gives, now), 10)
    assert stream.now(7) == b"head"
    pieces = list(iter(lambda: stream.now(7) or next(stream, None), None))
    assert b"".join(pieces) == data[3:61] + data[70:99] + b"tail"
    assert max(map(len, pieces)) <= 10
    assert (stream.now(7), next(stream, None)) == (b"", None)


def test_a_stream_that_is_closed_reads_no_more() -> None:
    stream = Stream((Slice(0, 100), b"tail"), Odd(bytes(100), 10, None), 10)
    next(stream)
    stream.close()
    assert (stream.now(10), next(stream, None)) == (b"", None)


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
        patch.setattr(LocalHandle, "read_now", lambda self, start, stop: None)
        asyncio.run(asyncio.wait_for(run(), 20))


def test_closed_by_a_thread_while_the_loop_reads(path: Path, closed: list[LocalHandle]) -> None:
    from mediamw.service import MediaService
    from mediamw.stack.steps import run

    reply = run(MediaService(MediaStack([LocalBackend(path.parent)])).respond("GET", "big.bin", {}, {}))
    pieces = asgi_side.Pieces(reply)
    closing = threading.Thread(target=pieces.close)

    def slow(self: LocalHandle, start: int, stop: int) -> bytes:
        closing.start()
        closing.join(0.2)
        assert closed == [], "not while it is read"
        return os.pread(self.fileno(), stop - start, start)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalHandle, "read_now", slow)
        piece = asyncio.run(anext(pieces))
        assert piece == path.read_bytes()[:PIECE_BYTES]
        closing.join(10)
        assert closed == [reply.handle]
        assert asyncio.run(anext(pieces, b"")) == b"", "nothing is read of a file that is closed"


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
