"""Delivery by pull: what clients see while a copy is made, and afterwards; both middlewares agree byte for byte."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mediamw import BackendUnavailable, ContentChanged, LocalBackend, MediaStack, MemoryBackend
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.backends.base import Remote
from mediamw.backends.rules import Rules
from mediamw.core.errors import ConfigError
from mediamw.core.model import Held, Meta
from mediamw.stack import download, pulling
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from .fakes import Bucket, dead, gate, until
from .http_table.callers import Response, acall_asgi, call_wsgi, environ
from .pulls import BIG, PATH, PULL, SMALL, A, Origin, files, names, settled, stack_on

pytestmark = pytest.mark.usefixtures("stacks_closed")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RETRY_SECONDS", 0.01)


def wsgi(stack: MediaStack, headers: Any = (), method: str = "GET", path: str = PATH) -> Response:
    return call_wsgi(WSGIMiddleware(None, stack), method, path, headers)


def asgi(stack: MediaStack, headers: Any = (), method: str = "GET", path: str = PATH) -> Response:
    return asyncio.run(acall_asgi(ASGIMiddleware(None, stack), method, path, headers))


BOTH = pytest.mark.parametrize("call", [wsgi, asgi])


# -- the first read, and the others ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("data", [b"x", SMALL, BIG], ids=len)
def test_the_first_read_makes_the_copy(tmp_path: Path, call: Any, data: bytes) -> None:
    origin = Origin(data)
    first = call(stack_on(tmp_path, origin))
    assert (first.status, first.body) == (200, data)
    until(lambda: names(tmp_path) == ["bytes", "record"])
    assert files(tmp_path, "bytes")[0].read_bytes() == data
    other = Origin(data)
    again = stack_on(tmp_path, other)
    for one in (wsgi, asgi):
        assert one(again) == first
    assert (origin.ranges, other.asked) == ([(0, len(data))], [])


@BOTH
def test_an_empty_file_is_not_pulled(tmp_path: Path, call: Any) -> None:
    origin = Origin(b"")
    assert (call(stack_on(tmp_path, origin)).body, origin.ranges, names(tmp_path)) == (b"", [], [])


@BOTH
def test_a_range_is_proxied_and_starts_nothing(tmp_path: Path, call: Any) -> None:
    origin = Origin()
    stack = stack_on(tmp_path, origin)
    for wanted, start, stop in (("bytes=5-99", 5, 100), ("bytes=-7", 499_993, 500_000), ("bytes=1-", 1, 500_000)):
        answer = call(stack, [("Range", wanted)])
        assert (answer.status, answer.body) == (206, BIG[start:stop])
    assert call(stack, [("Range", "bytes=0-9,20-29")]).status == 206
    assert call(stack, method="HEAD").status == 200
    etag = call(stack, method="HEAD").get("etag")
    assert call(stack, [("If-None-Match", etag)]).status == 304
    assert call(stack, [("If-Match", '"x"')]).status == 412
    assert names(tmp_path) == []


@BOTH
def test_bytes_from_0_is_a_whole_read(tmp_path: Path, call: Any) -> None:
    origin = Origin()
    stack = stack_on(tmp_path, origin)
    answer = call(stack, [("Range", "bytes=0-")])
    assert (answer.status, answer.body) == (206, BIG)
    until(lambda: names(tmp_path) == ["bytes", "record"])
    answer = call(stack, [("Range", "bytes=5-99")])
    assert (answer.status, answer.body, origin.ranges) == (206, BIG[5:100], [(0, 500_000)])


def test_the_etag_is_the_same_proxied_and_pulled_and_never_the_bucket_s(tmp_path: Path) -> None:
    proxied = wsgi(MediaStack([MemoryBackend(), Origin(rules=Rules(delivery="proxy"))]))
    stack = stack_on(tmp_path, Origin())
    first = wsgi(stack)
    settled(stack)
    copy = wsgi(stack)
    assert proxied.headers == first.headers == copy.headers
    assert str(copy.get("etag")).startswith('"mw-')
    # Code sees the source's.
    assert stack.stat(A).etag == Origin()._etag(BIG)
    assert wsgi(stack, [("If-None-Match", str(copy.get("etag")))]).status == 304
    assert wsgi(stack, [("If-None-Match", str(stack.stat(A).etag))]).status == 200


def test_delivery_by_pattern(tmp_path: Path) -> None:
    rules = Rules(delivery="redirect", delivery_by={"homes/": "pull"})
    stack = stack_on(tmp_path, Origin({A: BIG, "b.jpg": SMALL}, rules))
    assert (wsgi(stack).status, wsgi(stack, path="/media/b.jpg").status) == (200, 302)
    settled(stack)
    assert names(tmp_path) == ["bytes", "record"]


# -- following ---------------------------------------------------------------------------------------------------------


class Reader:
    """A WSGI client that reads piece by piece."""

    def __init__(self, stack: MediaStack, path: str = PATH) -> None:
        self.started: list[Any] = []
        self.result = WSGIMiddleware(None, stack)(environ("GET", path), lambda *told: self.started.append(told))
        self.pieces = iter(self.result)

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += next(self.pieces)
        return data

    def rest(self) -> bytes:
        return b"".join(self.pieces)

    def close(self) -> None:
        self.result.close()  # type: ignore[attr-defined]


def test_readers_follow_at_their_own_pace(tmp_path: Path) -> None:
    opened, wait = gate()
    origin = Origin()
    origin.hooks[196_608] = wait
    stack = stack_on(tmp_path, origin)
    fast, slow = Reader(stack), Reader(stack)
    head = fast.read(196_608)
    assert head == BIG[:196_608]  # before the rest has come
    other = stack_on(tmp_path, Origin(b"not asked"))  # as another process has it
    other.lowers = None  # type: ignore[attr-defined]
    opened.set()
    assert head + fast.rest() == BIG
    settled(stack)
    assert slow.rest() == BIG
    assert origin.ranges == [(0, 500_000)]


def test_many_readers_and_one_download(tmp_path: Path) -> None:
    opened, wait = gate()
    origin = Origin()
    origin.hooks[65_536] = wait
    stacks = [stack_on(tmp_path, origin), stack_on(tmp_path, origin)]  # two, as two processes are
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit((wsgi, asgi)[number % 2], stacks[number // 2 % 2]) for number in range(40)]
        until(lambda: origin.open_ranges == 1)
        opened.set()
        assert {answer.result(20).body for answer in answers} == {BIG}
    for stack in stacks:
        settled(stack)
    assert (origin.ranges, names(tmp_path)) == ([(0, 500_000)], ["bytes", "record"])


def test_the_download_outlives_its_client(tmp_path: Path) -> None:
    opened, wait = gate()
    origin = Origin()
    origin.hooks[65_536] = wait
    stack = stack_on(tmp_path, origin)
    client = Reader(stack)
    client.read(1)
    client.close()
    opened.set()
    settled(stack)
    assert files(tmp_path, "bytes")[0].read_bytes() == BIG


@pytest.mark.parametrize("at", [0, 65_536])
def test_an_event_loop_waits_on_no_thread(tmp_path: Path, at: int) -> None:
    """While nothing comes no thread is held: a hundred clients of a slow origin leave its threads to others."""
    opened, wait = gate()
    origin = Origin({A: BIG, "b.jpg": SMALL})
    origin.hooks[at] = wait
    stack = stack_on(tmp_path, origin)
    app = ASGIMiddleware(None, stack)
    assert stack._puller is not None
    downloads = stack._puller._state.get().downloads

    async def play() -> tuple[list[Response], Response]:
        clients = [asyncio.ensure_future(acall_asgi(app, "GET", PATH)) for _ in range(100)]
        async with asyncio.timeout(10):
            while not any(len(each._arrivals) == 100 for each in downloads.values()):
                await asyncio.sleep(0.001)
        other = await asyncio.wait_for(acall_asgi(app, "GET", "/media/b.jpg", [("Range", "bytes=1-9")]), 5)
        opened.set()
        return await asyncio.gather(*clients), other

    answers, other = asyncio.run(play())
    assert ({answer.body for answer in answers}, other.body) == ({BIG}, SMALL[1:10])
    assert len(origin.ranges) == 2


def test_an_answer_ends_with_its_last_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits until the copy is synced and has its name."""
    opened, wait = gate()
    stack = stack_on(tmp_path, Origin())
    assert stack._puller is not None
    finish = stack._puller._pulled.finish
    monkeypatch.setattr(stack._puller._pulled, "finish", lambda *given: (wait(), finish(*given)))

    async def play() -> Response:
        async with asyncio.timeout(5):
            return await acall_asgi(ASGIMiddleware(None, stack), "GET", PATH)

    try:
        assert asyncio.run(play()).body == BIG
    finally:
        opened.set()


@BOTH
@pytest.mark.parametrize("data", [SMALL, BIG], ids=len)
def test_what_does_not_come_in_time_is_a_503(tmp_path: Path, call: Any, data: bytes) -> None:
    opened, wait = gate()
    origin = Origin(data, piece_bytes=500)
    origin.hooks[0 if data is BIG else 500] = wait
    stack = stack_on(tmp_path, origin, deadline=0.1)
    assert call(stack).status == 503
    opened.set()
    settled(stack)  # it goes on: whoever asks next has it
    assert call(stack).body == data
    assert len(origin.ranges) == 1


# -- what goes wrong at the origin -------------------------------------------------------------------------------------


@BOTH
def test_what_breaks_off_is_resumed(tmp_path: Path, call: Any) -> None:
    origin = Origin()
    origin.breaks = [131_072, 196_608, 196_608]
    assert call(stack_on(tmp_path, origin)).body == BIG
    assert origin.ranges == [(0, 500_000), (131_072, 500_000), (196_608, 500_000), (196_608, 500_000)]
    until(lambda: names(tmp_path) == ["bytes", "record"])


@BOTH
def test_an_origin_that_stays_away_breaks_its_readers_off(
    tmp_path: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PATIENCE_SECONDS", 0.1)
    origin = Origin()
    origin.breaks = [131_072, *[131_072] * 100]
    with pytest.raises(BackendUnavailable):
        call(stack_on(tmp_path, origin))
    until(lambda: names(tmp_path) == ["part"])
    # What there is of it serves whoever comes next.
    again = Origin()
    assert call(stack_on(tmp_path, again)).body == BIG
    assert again.ranges == [(131_072, 500_000)]


@BOTH
def test_an_origin_that_fails_at_once_is_a_503(tmp_path: Path, call: Any) -> None:
    origin = Origin()
    origin.breaks = [0]
    stack = stack_on(tmp_path, origin)
    assert call(stack).status == 503
    settled(stack)
    origin.breaks = [0]
    assert call(stack_on(tmp_path, origin)).status == 503  # a part of no bytes is no better


@BOTH
def test_another_version_is_noticed_before_the_first_byte(tmp_path: Path, call: Any) -> None:
    origin = Origin()
    stack = stack_on(tmp_path, origin)
    call(stack, method="HEAD")
    origin.files[A] = BIG[::-1]
    assert call(stack).body == BIG[::-1]
    settled(stack)
    assert names(tmp_path) == ["bytes", "record"]


@BOTH
def test_another_version_amid_the_download_is_never_mixed(tmp_path: Path, call: Any) -> None:
    origin = Origin()

    def change() -> None:
        origin.files[A] = BIG[::-1]

    origin.hooks[131_072] = change
    origin.breaks = [131_072]
    stack = stack_on(tmp_path, origin)
    with pytest.raises(ContentChanged):
        call(stack)
    settled(stack)
    assert names(tmp_path) == []
    assert call(stack).body == BIG[::-1]


@BOTH
def test_what_has_no_length_or_no_etag_is_not_pulled(tmp_path: Path, call: Any, caplog: Any) -> None:
    class Without(Origin):
        def open(self, key: Any) -> Any:
            return Remote(Meta(len(BIG), None, None))

        def _etag(self, data: bytes) -> Any:
            return None

    assert call(stack_on(tmp_path, Without())).body == BIG
    assert names(tmp_path) == []
    assert "no ETag" in caplog.text

    class Endless(Without):
        def open(self, key: Any) -> Any:
            return Remote(Meta(None, None, '"v1"'))

        def read_whole(self, key: Any, etag: Any) -> Any:
            yield BIG

    stack = stack_on(tmp_path, Endless())
    assert call(stack).body == BIG
    assert names(tmp_path) == []
    with pytest.raises(BackendUnavailable, match="how long"):
        stack.pull(A)


# -- what goes wrong here ----------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("at", [0, 131_072])
def test_a_full_disk(tmp_path: Path, call: Any, at: int, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    written = os.pwrite

    def full(fd: int, data: Any, offset: int) -> int:
        if offset >= at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    origin = Origin()
    stack = stack_on(tmp_path, origin)
    assert call(stack).body == BIG
    settled(stack)
    assert names(tmp_path) == []
    assert "No space left" in caplog.text
    assert origin.ranges == [(0, 500_000), (at, 500_000)]


@BOTH
def test_a_folder_that_cannot_be_made(tmp_path: Path, call: Any, caplog: Any) -> None:
    (tmp_path / ".mediamw").write_text("a file in its place")
    assert call(stack_on(tmp_path, Origin())).body == BIG
    assert "without a copy" in caplog.text


def test_no_more_threads_than_there_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "PULL_THREADS", 1)
    opened, wait = gate()
    origin = Origin({A: BIG, "b.jpg": SMALL})
    origin.hooks[65_536] = wait
    stack = stack_on(tmp_path, origin)
    first = Reader(stack)
    first.read(1)
    assert wsgi(stack, path="/media/b.jpg").body == SMALL
    opened.set()
    settled(stack)
    assert names(tmp_path) == ["bytes", "record"]
    assert wsgi(stack, path="/media/b.jpg").body == SMALL
    settled(stack)
    assert names(tmp_path) == ["bytes", "bytes", "record", "record"]


def test_a_closed_stack_stops_its_downloads(tmp_path: Path) -> None:
    opened, wait = gate()
    origin = Origin()
    origin.hooks[65_536] = wait
    stack = stack_on(tmp_path, origin)
    client = Reader(stack)
    client.read(1)
    stack.close()
    opened.set()
    settled(stack)
    assert names(tmp_path) == ["part"]
    assert client.rest()  # by proxy: the client is served to the end
    client.close()


def test_a_mistake_of_ours_reaches_the_readers(tmp_path: Path, caplog: Any) -> None:
    origin = Origin()

    def mistake() -> None:
        raise KeyError("a mistake")

    origin.hooks[0] = mistake
    assert wsgi(stack_on(tmp_path, origin)).status == 503
    assert "a mistake" in caplog.text


# -- which stacks can --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upper", [MemoryBackend(name="m"), Bucket("up")])
def test_copies_need_a_directory(upper: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"put \./media, LocalBackend\('media'\), before it, or take delivery 'proxy'"
    ):
        MediaStack([upper, Origin()])
    with pytest.raises(ConfigError, match="delivery 'pull'"):
        MediaStack([Origin()])
    monkeypatch.setattr("mediamw.stack.checks.HAS_LOCKS", False)
    with pytest.raises(ConfigError, match="locks"):
        MediaStack([LocalBackend(tmp_path), Origin()])


def test_a_backend_that_cannot_be_read(tmp_path: Path) -> None:
    class Signer(Bucket):
        read_range = None  # type: ignore[assignment]

    with pytest.raises(ConfigError, match="delivery 'pull': the backend cannot be read from here"):
        MediaStack([LocalBackend(tmp_path), Signer("prod", rules=PULL)])


def test_held_by_the_backend_it_came_from(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin())
    stack.pull(A)
    found = stack.find(A)
    assert isinstance(found, Held)
    assert found.backend == "prod"
    assert stack.pool_for(found) is stack._asker.disk
    found.handle.close()
    assert "pulled" in str(stack.explain(A))


def test_dead_is_no_version(tmp_path: Path) -> None:
    origin = Origin(dead("prod"))  # type: ignore[arg-type]
    origin.files = {A: dead("prod")}
    assert wsgi(stack_on(tmp_path, origin)).status == 503


@BOTH
def test_the_state_may_be_removed_amid_a_download(tmp_path: Path, call: Any, caplog: Any) -> None:
    origin = Origin()
    origin.hooks[131_072] = lambda: shutil.rmtree(tmp_path / ".mediamw")
    stack = stack_on(tmp_path, origin)
    assert call(stack).body == BIG
    settled(stack)
    assert names(tmp_path) == []
    assert (call(stack).body, settled(stack), names(tmp_path)) == (BIG, None, ["bytes", "record"])
