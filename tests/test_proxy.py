"""Delivery by proxy: the answers are ours, the bytes the origin's; both middlewares agree byte for byte."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mediamw import BackendUnavailable, ContentChanged, MediaStack
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.backends.base import INLINE_BYTES, Remote
from mediamw.backends.rules import Rules
from mediamw.core.errors import RangeIgnored, Unreachable
from mediamw.core.keys import Key
from mediamw.core.model import Meta, Slice
from mediamw.reply import Reply
from mediamw.stack.origins import NETWORK_THREADS
from mediamw.stack.remote_handle import MAX_RESUMES, RemoteHandle
from mediamw.stack.steps import run
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from .fakes import Bucket, Local, dead, down, gate, get, settle, until
from .http_table.callers import Response, acall_asgi, call_wsgi, environ
from .http_table.check import byte_ranges
from .http_table.files import counted

pytestmark = pytest.mark.usefixtures("stacks_closed")

A = Key("homes/1/a.jpg")
PROXY = Rules(delivery="proxy")
SMALL, BIG = counted(1000), counted(500_000)
PATH = f"/media/{A}"


class Origin(Bucket):
    """A bucket that is proxied. ``breaks``: at which positions the connection breaks, each time once."""

    def __init__(self, data: bytes | Exception = BIG, **more: Any) -> None:
        super().__init__("s3", {A: data}, rules=PROXY, **more)
        self.breaks: list[int] = []
        self.hooks: dict[int, Callable[[], object]] = {}
        self.kept: list[Any] = []  # so that what nobody closes is not closed by being collected

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        pieces = super().read_range(key, start, stop, etag, size=size)
        self.kept.append(pieces)
        return pieces

    def before_piece(self, position: int) -> None:
        if position in self.hooks:
            self.hooks.pop(position)()
        if position in self.breaks:
            self.breaks.remove(position)
            raise dead("s3")


class Unknown(Origin):
    """Does not know how long its file is. ``pieces`` are sent; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception, etag: str | None = '"v1"') -> None:
        super().__init__(b"")
        self.pieces, self.etag = pieces, etag
        self.whole_asked = 0

    def open(self, key: Key) -> Remote | None:
        super().open(key)
        return Remote(Meta(None, None, self.etag, "image/jpeg"))

    def read_whole(self, key: Key, etag: str | None) -> Iterator[bytes]:
        assert etag == self.etag
        self.whole_asked += 1
        self.open_ranges += 1
        try:
            for piece in self.pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.open_ranges -= 1


def stack_of(origin: Any, *more: Any, **options: Any) -> MediaStack:
    return MediaStack([Local("local"), origin, *more], **options)


def both(stack: MediaStack, method: str = "GET", headers: Any = (), path: str = PATH) -> Response:
    """Ask both middlewares, which have to say the same."""
    by_wsgi = call_wsgi(WSGIMiddleware(None, stack), method, path, headers)
    settle(stack)
    by_asgi = asyncio.run(acall_asgi(ASGIMiddleware(None, stack), method, path, headers))
    assert by_asgi == by_wsgi
    settle(stack)
    return by_wsgi


# -- the answers are ours ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", SMALL, BIG[:INLINE_BYTES], BIG[: INLINE_BYTES + 1], BIG], ids=len)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_whole(data: bytes, method: str) -> None:
    origin = Origin(data)
    got = both(stack_of(origin), method)
    assert (got.status, got.body) == (200, b"" if method == "HEAD" else data)
    assert got.get("content-length") == str(len(data))
    assert got.get("content-type") == "image/jpeg"
    assert got.get("accept-ranges") == "bytes"
    assert got.get("etag") == f'"mw-{origin._etag(data)[1:]}', "the bucket's own would be believed by the bucket"
    assert got.get("last-modified") is not None, "no redirect will ever answer for it"
    assert got.get("cache-control") == "private, no-cache"
    assert got.get("location") is None
    assert origin.ranges == ([] if method == "HEAD" or not data else [(0, len(data))] * 2), "once for each"
    assert origin.open_ranges == 0
    assert origin.asked == [A]
    assert origin.prepared == 0


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
@pytest.mark.parametrize(
    ("asked", "parts"),
    [("bytes=0-0", [(0, 1)]), ("bytes=10-19", [(10, 20)]), ("bytes=-5", [(-5, 0)]), ("bytes=990-", [(990, 0)]),
     ("bytes=0-9,20-29,-3", [(0, 10), (20, 30), (-3, 0)]), ("bytes=5-,0-9", [(0, 0)])],
)  # fmt: skip
def test_ranges(data: bytes, asked: str, parts: list[tuple[int, int]]) -> None:
    origin, size = Origin(data), len(data)
    got = both(stack_of(origin), headers=(("Range", asked),))
    wanted = [(start % size, stop or size) for start, stop in parts]
    assert got.status == 206
    assert [part[:3] for part in byte_ranges(got)] == [(start, stop, size) for start, stop in wanted]
    assert [part[3] for part in byte_ranges(got)] == [data[start:stop] for start, stop in wanted]
    assert origin.ranges == wanted * 2, "nothing else is fetched, and nothing twice"


def test_conditions_ask_the_origin_for_no_byte() -> None:
    origin = Origin(BIG)
    stack = stack_of(origin)
    etag = both(stack, "HEAD").get("etag")
    assert etag is not None
    own = origin._etag(BIG)
    table: list[tuple[tuple[tuple[str, str], ...], int]] = [
        ((("If-None-Match", etag),), 304),
        ((("If-None-Match", "*"),), 304),
        ((("If-None-Match", f"W/{etag}"),), 304),
        ((("If-Modified-Since", "Fri, 31 Dec 9999 23:59:59 GMT"),), 304),
        ((("If-Match", own),), 412),
        ((("If-Unmodified-Since", "Thu, 01 Jan 1960 00:00:00 GMT"),), 412),
        ((("Range", "bytes=500000-"),), 416),
        ((("Range", "bytes=500000-"), ("If-Range", etag)), 416),
    ]
    for headers, status in table:
        got = both(stack, headers=headers)
        assert got.status == status, headers
        assert (got.get("etag") == etag) == (status == 304)
    assert got.get("content-range") == "bytes */500000"
    assert origin.ranges == []
    for headers, status in (
        ((("If-None-Match", own),), 200),
        ((("If-Match", etag),), 200),
        ((("Range", "bytes=1-2"), ("If-Range", etag)), 206),
        ((("Range", "bytes=1-2"), ("If-Range", own)), 200),
    ):
        assert both(stack, headers=headers).status == status, headers
    assert origin.asked == [A]


def test_without_an_etag_there_is_none_of_ours() -> None:
    class Plain(Origin):
        def _etag(self, data: bytes) -> Any:
            return None

    assert both(stack_of(Plain(SMALL))).get("etag") is None


def test_missing_refused_and_head_of_missing() -> None:
    stack = stack_of(Origin())
    assert both(stack, path="/media/nobody.jpg").status == 404
    assert both(stack, "HEAD", path="/media/.env").status == 404


# -- another version ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [SMALL, BIG], ids=["small", "big"])
@pytest.mark.parametrize("new", [b"y" * 777, b"y" * 300_000], ids=["small", "big"])
def test_a_version_that_came_since_the_look_up_is_looked_up_anew(old: bytes, new: bytes) -> None:
    for app in (WSGIMiddleware, ASGIMiddleware):
        origin = Origin(old)
        stack = stack_of(origin)
        assert stack.exists(A)
        settle(stack)
        origin.files[A] = new
        made: Any = app(None, stack)
        got = call_wsgi(made, "GET", PATH) if app is WSGIMiddleware else asyncio.run(acall_asgi(made, "GET", PATH))
        assert (got.status, got.body, got.get("content-length")) == (200, new, str(len(new)))
        assert got.get("etag") == f'"mw-{origin._etag(new)[1:]}'
        assert origin.asked == [A, A]


@pytest.mark.parametrize("old", [SMALL, BIG], ids=["small", "big"])
def test_a_file_that_is_gone_since_the_look_up(old: bytes) -> None:
    origin = Origin(old)
    stack = stack_of(origin)
    assert stack.exists(A)
    settle(stack)
    del origin.files[A]
    assert both(stack).status == 404


def test_one_that_changes_for_ever_is_503() -> None:
    class Restless(Origin):
        def read_range(self, *args: Any, **options: Any) -> Iterator[bytes]:
            raise ContentChanged("another version", backend="s3")
            yield b""

    for data in (SMALL, BIG):
        origin = Restless(data)
        assert both(stack_of(origin)).status == 503
        assert origin.asked == [A] * 4, "twice for each request, not for ever"


def test_a_version_that_comes_amid_the_body_breaks_it_off() -> None:
    """Never two halves of two files."""
    for app in (WSGIMiddleware, ASGIMiddleware):
        origin = Origin(BIG)
        stack = stack_of(origin)

        def changed(origin: Origin = origin) -> None:
            raise ContentChanged("another version", backend="s3")

        origin.hooks[128 * 1024] = changed
        made: Any = app(None, stack)
        with pytest.raises(ContentChanged):
            call_wsgi(made, "GET", PATH) if app is WSGIMiddleware else asyncio.run(acall_asgi(made, "GET", PATH))
        assert origin.open_ranges == 0
        assert both(stack, "HEAD").status == 200
        assert origin.asked == [A, A], "what was remembered of it is forgotten"


# -- connections that break --------------------------------------------------------------------------------------------


def test_a_broken_connection_is_taken_up_where_it_broke() -> None:
    origin = Origin(BIG)
    stack = stack_of(origin)
    origin.breaks = [64 * 1024, 192 * 1024]
    assert call_wsgi(WSGIMiddleware(None, stack), "GET", PATH).body == BIG
    origin.breaks = [64 * 1024, 192 * 1024]
    assert asyncio.run(acall_asgi(ASGIMiddleware(None, stack), "GET", PATH)).body == BIG
    assert origin.ranges == [(0, 500_000), (65_536, 500_000), (196_608, 500_000)] * 2
    assert origin.open_ranges == 0


def test_each_part_of_a_multipart_answer_is_taken_up_in_its_own_range() -> None:
    origin = Origin(BIG, piece_bytes=50_000)
    origin.breaks = [350_000]
    got = call_wsgi(WSGIMiddleware(None, stack_of(origin)), "GET", PATH, (("Range", "bytes=0-99999,300000-399999"),))
    assert [part[3] for part in byte_ranges(got)] == [BIG[:100_000], BIG[300_000:400_000]]
    assert origin.ranges == [(0, 100_000), (300_000, 400_000), (350_000, 400_000)]


@pytest.mark.parametrize("breaks", [MAX_RESUMES, MAX_RESUMES + 1])
def test_five_times_and_no_more(breaks: int) -> None:
    assert MAX_RESUMES == 5
    for app in (WSGIMiddleware, ASGIMiddleware):
        origin = Origin(BIG)
        where = [65_536 * number for number in range(1, breaks + 1)]
        origin.breaks = list(where)
        made: Any = app(None, stack_of(origin))

        def call(made: Any = made) -> Response:
            if isinstance(made, WSGIMiddleware):
                return call_wsgi(made, "GET", PATH)
            return asyncio.run(acall_asgi(made, "GET", PATH))

        if breaks <= MAX_RESUMES:
            assert call().body == BIG
        else:
            with pytest.raises(Unreachable):
                call()
        assert origin.ranges == [(start, 500_000) for start in (0, *where[:MAX_RESUMES])]
        assert origin.open_ranges == 0


def _run_asgi(app: Any, method: str, path: str) -> Response:
    return asyncio.run(acall_asgi(app, method, path))


def test_a_body_that_goes_on_nowhere_opens_the_breaker_too() -> None:
    """Three failures in a row are three failures, whoever has them; no request goes out after that."""
    for app in (WSGIMiddleware, ASGIMiddleware):
        origin = Origin(BIG)
        origin.breaks = [131_072] * 100
        made: Any = app(None, stack_of(origin))
        call = call_wsgi if app is WSGIMiddleware else _run_asgi
        with pytest.raises(Unreachable, match="left alone"):
            call(made, "GET", PATH)
        assert origin.ranges == [(0, 500_000)] + [(131_072, 500_000)] * 2
        assert origin.open_ranges == 0
        assert origin.asked == [A]


def test_an_end_that_comes_too_early_is_a_broken_connection() -> None:
    """A third party's backend may just stop: that is never passed off as whole."""

    class Short(Origin):
        def read_range(
            self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
        ) -> Iterator[bytes]:
            self.ranges.append((start, stop))
            yield BIG[start : min(start + 90_000, stop)]

    origin = Short(BIG)
    assert call_wsgi(WSGIMiddleware(None, stack_of(origin)), "GET", PATH).body == BIG
    assert origin.ranges == [(start, 500_000) for start in range(0, 500_000, 90_000)]

    class Shorter(Short):
        def read_range(
            self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
        ) -> Iterator[bytes]:
            self.ranges.append((start, stop))
            yield BIG[start : min(start + 70_000, stop)]

    origin = Shorter(BIG)
    with pytest.raises(Unreachable, match="bytes less than it was asked for"):
        call_wsgi(WSGIMiddleware(None, stack_of(origin)), "GET", PATH)
    assert len(origin.ranges) == 6


def test_without_an_etag_nothing_is_taken_up() -> None:
    """What comes after the break might be of another version."""
    origin = Origin(BIG)
    handle = RemoteHandle(A, origin, Meta(len(BIG)), lambda: None)
    origin._etag = lambda data: None  # type: ignore[method-assign, assignment, return-value]
    origin.breaks = [64 * 1024]
    pieces = handle.chunks(0, len(BIG))
    assert next(pieces) == BIG[: 64 * 1024]
    with pytest.raises(Unreachable):
        next(pieces)
    assert origin.ranges == [(0, 500_000)]


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
@pytest.mark.parametrize("error", [dead("s3"), down("s3")], ids=["dead", "down"])
def test_a_first_read_that_fails_is_503_and_asks_once(data: bytes, error: Exception) -> None:
    """Nothing came that could be taken up: a dead origin is not asked six times for it."""

    class Failing(Origin):
        reads = 0

        def read_range(self, *args: Any, **options: Any) -> Iterator[bytes]:
            self.reads += 1
            raise error
            yield b""

    origin = Failing(data)
    got = both(stack_of(origin))
    assert (got.status, got.get("retry-after"), got.get("cache-control")) == (503, "10", "no-store")
    assert origin.reads == 2


def test_a_credential_that_is_refused_amid_a_body_is_not_tried_again() -> None:
    origin = Origin(BIG)

    def refuse() -> None:
        raise down("s3")

    origin.hooks[64 * 1024] = refuse
    with pytest.raises(BackendUnavailable):
        call_wsgi(WSGIMiddleware(None, stack_of(origin)), "GET", PATH)
    assert origin.ranges == [(0, 500_000)]


def test_three_bodies_that_do_not_come_open_the_breaker() -> None:
    class Failing(Origin):
        reads = 0

        def read_range(self, *args: Any, **options: Any) -> Iterator[bytes]:
            self.reads += 1
            raise dead("s3")
            yield b""

    origin = Failing(BIG)
    stack = stack_of(origin)
    for _ in range(3):
        assert both(stack).status == 503
    assert origin.reads == 3
    assert origin.asked == [A]


# -- origins that have no ranges, or no length -------------------------------------------------------------------------


class NoRanges(Origin):
    """Sends whole files only, and skips to where a range starts if that is not far."""

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        self.ranges.append((start, stop))
        if (start, stop) != (0, len(BIG)):
            raise RangeIgnored("it sends whole files only", backend="s3")
        yield BIG


@pytest.mark.parametrize("asked", ["bytes=400000-400009", "bytes=100000-399999", "bytes=400000-400009,450000-459999"])
def test_a_range_that_the_origin_ignores_is_answered_with_the_whole(asked: str) -> None:
    origin = NoRanges(BIG)
    stack = stack_of(origin)
    etag = both(stack, "HEAD").get("etag") or ""
    got = both(stack, headers=(("Range", asked), ("If-Range", etag)))
    assert (got.status, got.body, got.get("content-length")) == (200, BIG, "500000")
    assert got.get("content-range") is None
    assert len(origin.ranges) == 4, "the range once, the whole once, for each of the two"


def test_an_origin_that_ignores_everything_is_503() -> None:
    class Deaf(Origin):
        def read_range(self, *args: Any, **options: Any) -> Iterator[bytes]:
            raise RangeIgnored("no", backend="s3")
            yield b""

    assert both(stack_of(Deaf()), headers=(("Range", "bytes=0-1"),)).status == 503


@pytest.mark.parametrize(
    "pieces", [(), (b"",), (SMALL,), (b"", SMALL, b"", SMALL), (BIG, b"", BIG)], ids=lambda pieces: f"{len(pieces)}"
)
def test_a_file_of_unknown_length_is_sent_to_its_end(pieces: tuple[bytes, ...]) -> None:
    origin = Unknown(*pieces)
    stack = stack_of(origin)
    for headers in ((), (("Range", "bytes=0-1"),), (("Range", "bytes=99999999-"),)):
        got = both(stack, headers=headers)
        assert (got.status, got.body) == (200, b"".join(pieces))
        for name in ("content-length", "accept-ranges", "content-range"):
            assert got.get(name) is None
        assert got.get("etag") == '"mw-v1"'
    head = both(stack, "HEAD")
    assert (head.status, head.headers, head.body) == (200, got.headers, b"")
    assert both(stack, headers=(("If-None-Match", '"mw-v1"'),)).status == 304
    assert (origin.whole_asked, origin.open_ranges) == (6, 0)
    with stack.open(A) as file:
        assert file.read() == b"".join(pieces)
        assert file.seek(0) == 0


def test_a_file_of_unknown_length_that_breaks_off_is_never_whole() -> None:
    for error in (dead("s3"), ContentChanged("other", backend="s3")):
        origin = Unknown(SMALL, SMALL, error)
        stack = stack_of(origin)
        with pytest.raises(BackendUnavailable):
            call_wsgi(WSGIMiddleware(None, stack), "GET", PATH)
        with pytest.raises(BackendUnavailable):
            asyncio.run(acall_asgi(ASGIMiddleware(None, stack), "GET", PATH))
        with pytest.raises(BackendUnavailable):
            stack.open(A)
        assert (origin.open_ranges, origin.whole_asked) == (0, 3), "it cannot be taken up"


@pytest.mark.parametrize("error", [dead("s3"), down("s3")], ids=["dead", "down"])
def test_a_file_of_unknown_length_whose_first_piece_fails_is_503(error: Exception) -> None:
    assert both(stack_of(Unknown(error))).status == 503


def test_unknown_length_and_no_read_whole() -> None:
    class NoWhole(Origin):
        def open(self, key: Key) -> Remote | None:
            return Remote(Meta(None, None, '"v1"'))

    stack = stack_of(NoWhole())
    assert both(stack).status == 503
    assert both(stack, "HEAD").status == 200
    with pytest.raises(BackendUnavailable, match="length is not known"):
        stack.open(A)


# -- who leaves, and who waits -----------------------------------------------------------------------------------------


def test_a_wsgi_client_that_leaves_gives_the_connection_back() -> None:
    for read in (0, 1, 3):
        origin = Origin(BIG)
        body: Any = WSGIMiddleware(None, stack_of(origin))(environ("GET", PATH), lambda status, headers: None)
        for _ in range(read):
            next(body)
        assert origin.open_ranges == 1
        body.close()
        assert origin.open_ranges == 0, "at once, and not when somebody collects what is left of it"
        body.close()


async def _leave(app: Any, pieces: int, gone: asyncio.Event) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == pieces:
            gone.set()
        await asyncio.sleep(0)

    scope = {"type": "http", "method": "GET", "path": PATH, "headers": [], "root_path": ""}
    await app(scope, receive, send)
    return sent


def test_an_asgi_client_that_leaves_gives_the_connection_back() -> None:
    origin = Origin(BIG)

    async def main() -> None:
        sent = await _leave(ASGIMiddleware(None, stack_of(origin)), 2, asyncio.Event())
        assert len(sent) <= 3
        assert origin.open_ranges == 0

    asyncio.run(main())


def test_an_asgi_client_that_leaves_while_a_thread_reads() -> None:
    origin = Origin(BIG)
    event, wait = gate()
    reading = threading.Event()
    origin.hooks[64 * 1024] = lambda: (reading.set(), wait())
    failures: list[BaseException] = []  # what keeps its frames alive keeps the iterator alive too

    async def main() -> None:
        task = asyncio.ensure_future(_leave(ASGIMiddleware(None, stack_of(origin)), 99, asyncio.Event()))
        while not reading.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            failures.append(error)
        assert origin.open_ranges == 1
        event.set()
        while origin.open_ranges:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), 10))
    assert failures


def test_what_begins_after_the_deadline_is_closed() -> None:
    origin = Origin(BIG)
    event, wait = gate()
    begun = threading.Event()
    origin.hooks[0] = lambda: (begun.set(), wait())
    app = ASGIMiddleware(None, stack_of(origin, deadline=0.05))
    assert asyncio.run(get(app, PATH)) == 503
    assert begun.is_set()
    assert origin.open_ranges == 1
    event.set()
    until(lambda: origin.open_ranges == 0)


def test_a_read_has_the_deadline_s_seconds() -> None:
    """By hand: the time-out is thrown into the wait, as both drivers do it."""
    from mediamw.service import MediaService

    event, wait = gate()
    origin = Origin(BIG)
    origin.hooks[0] = wait
    service = MediaService(stack_of(origin, deadline=3))
    steps = service.respond("GET", A, {}, {})
    looking = next(steps)
    assert looking.seconds == 3
    reading = steps.send(looking.future.result(10))  # type: ignore[union-attr]
    assert reading.seconds == 3
    until(lambda: origin.open_ranges == 1)
    with pytest.raises(StopIteration) as stopped:
        steps.throw(TimeoutError())
    reply = stopped.value.value
    assert isinstance(reply, Reply)
    assert reply.plan.status == 503
    event.set()
    until(lambda: origin.open_ranges == 0)


def test_slow_bodies_do_not_keep_look_ups_waiting() -> None:
    event, wait = gate()
    origin = Origin(BIG)
    origin.files["other.jpg"] = SMALL
    origin.before_piece = lambda position: wait()  # type: ignore[method-assign]
    stack = stack_of(origin)
    app = ASGIMiddleware(None, stack)

    async def main() -> None:
        bodies = [asyncio.ensure_future(get(app, PATH)) for _ in range(NETWORK_THREADS)]
        while origin.open_ranges < NETWORK_THREADS:
            await asyncio.sleep(0.001)
        assert await asyncio.wait_for(get(app, "/media/other.jpg", "HEAD"), 5) == 200
        assert await asyncio.wait_for(get(app, "/media/nobody.jpg"), 5) == 404
        event.set()
        assert await asyncio.gather(*bodies) == [200] * NETWORK_THREADS

    asyncio.run(asyncio.wait_for(main(), 20))
    assert origin.open_ranges == 0


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
def test_a_body_that_nobody_waits_for_any_more_is_not_fetched(data: bytes) -> None:
    event, wait = gate()
    origin = Origin(data)
    origin.before_piece = lambda position: wait()  # type: ignore[method-assign]
    stack = stack_of(origin)
    app = ASGIMiddleware(None, stack)

    async def main() -> None:
        tasks = [asyncio.ensure_future(get(app, PATH)) for _ in range(NETWORK_THREADS + 30)]
        while origin.open_ranges < NETWORK_THREADS:
            await asyncio.sleep(0.001)
        for _ in range(20):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 20))
    event.set()
    pool = stack.pool_of("s3")
    assert pool.submit(lambda: 1).result(10) == 1  # behind all that was queued
    until(lambda: origin.open_ranges == 0)
    assert len(origin.ranges) == NETWORK_THREADS


def test_a_piece_that_nobody_waits_for_any_more_is_not_fetched() -> None:
    """A client that leaves while its next piece waits for a thread: the connection is given back at once."""
    event, wait = gate()
    origin = Origin(BIG)
    stack = stack_of(origin)
    pool = stack.pool_of("s3")

    async def main() -> None:
        blocked = asyncio.Event()

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and not blocked.is_set():
                for _ in range(NETWORK_THREADS):
                    pool.submit(wait)
                blocked.set()

        scope = {"type": "http", "method": "GET", "path": PATH, "headers": [], "root_path": ""}
        task = asyncio.ensure_future(ASGIMiddleware(None, stack)(scope, receive, send))
        await blocked.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert origin.open_ranges == 0
        event.set()

    asyncio.run(asyncio.wait_for(main(), 10))
    assert pool.submit(lambda: 1).result(10) == 1
    assert [what for what, _ in origin.threads].count("read") == 1


def test_fifty_stalled_clients_hold_little_memory_and_no_thread() -> None:
    piece = 64 * 1024
    data = counted(8 * 1024 * 1024)
    origin = Origin(data)
    stack = stack_of(origin)
    app = ASGIMiddleware(None, stack)
    clients = 50

    async def main() -> None:
        go_on = asyncio.Event()
        stalled = 0

        async def client() -> int:
            size = 0

            async def receive() -> Any:
                await asyncio.Event().wait()

            async def send(message: Any) -> None:
                nonlocal stalled, size
                size += len(message.get("body", b""))
                if size == piece:
                    stalled += 1
                    await go_on.wait()

            scope = {"type": "http", "method": "GET", "path": PATH, "headers": [], "root_path": ""}
            await app(scope, receive, send)
            return size

        before = tracemalloc.get_traced_memory()[0]
        tasks = [asyncio.ensure_future(client()) for _ in range(clients)]
        while stalled < clients:
            await asyncio.sleep(0.001)
        gc.collect()
        used = tracemalloc.get_traced_memory()[0] - before
        assert used < clients * (2 * piece + 64 * 1024)
        assert origin.open_ranges == clients
        # All sixteen threads are free: each takes part in a meeting of sixteen.
        meeting = threading.Barrier(NETWORK_THREADS + 1)
        pool = stack.pool_of("s3")
        guests = [pool.submit(meeting.wait, 10) for _ in range(NETWORK_THREADS)]
        await asyncio.get_running_loop().run_in_executor(None, meeting.wait, 10)
        assert len([guest.result(10) for guest in guests]) == NETWORK_THREADS
        go_on.set()
        assert await asyncio.gather(*tasks) == [len(data)] * clients

    tracemalloc.start()
    try:
        asyncio.run(asyncio.wait_for(main(), 60))
    finally:
        tracemalloc.stop()
    assert origin.open_ranges == 0


def test_nothing_of_an_origin_is_called_on_the_event_loop() -> None:
    """Neither its look-ups, nor its reads, nor what fetches credentials."""
    origin = Origin(BIG)
    origin.files["b.jpg"] = SMALL
    signed = Bucket("signed", {"c.jpg": b"x"})
    signed.ready = False
    app = ASGIMiddleware(None, stack_of(origin, signed))

    async def main() -> list[int]:
        return [await get(app, path) for path in (PATH, "/media/b.jpg", "/media/c.jpg")]

    assert asyncio.run(main()) == [200, 200, 302]
    assert {what for what, _ in (*origin.threads, *signed.threads)} == {"open", "read", "prepare"}
    here = threading.current_thread().name
    for what, thread in (*origin.threads, *signed.threads):
        assert thread != here
        assert thread.startswith("mediamw-network-" if what == "open" else "mediamw-bodies-"), (what, thread)


# -- the handle itself -------------------------------------------------------------------------------------------------


def test_a_handle_closes_what_it_began_and_never_read() -> None:
    origin = Origin(BIG)
    meta = Meta(len(BIG), None, origin._etag(BIG))
    handle = RemoteHandle(A, origin, meta, lambda: None)
    handle.begin(Slice(0, len(BIG)))
    assert origin.open_ranges == 1
    handle.close()
    handle.close()
    assert origin.open_ranges == 0
    late = RemoteHandle(A, origin, meta, lambda: None)
    late.close()
    late.begin(Slice(0, len(BIG)))  # a thread that was under way
    assert origin.open_ranges == 0


def test_what_broke_is_closed_before_it_is_taken_up() -> None:
    """What is no generator does not end with its error."""

    class Pieces:
        def __init__(self, pieces: list[Any]) -> None:
            self.pieces, self.closed = pieces, 0

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            piece = self.pieces.pop(0)
            if isinstance(piece, Exception):
                raise piece
            return piece

        def close(self) -> None:
            self.closed += 1

    answers = [Pieces([b"01234", dead("s3")]), Pieces([b"56789"])]
    given = iter(answers)
    origin = Origin(b"0123456789")
    origin.read_range = lambda *args, **options: next(given)  # type: ignore[method-assign]
    handle = RemoteHandle(A, origin, Meta(10, None, '"a"'), lambda: None)
    assert b"".join(handle.chunks(0, 10)) == b"0123456789"
    assert [answer.closed for answer in answers] == [1, 1]


def test_what_was_begun_is_used_for_that_part_alone() -> None:
    origin = Origin(BIG)
    handle = RemoteHandle(A, origin, Meta(len(BIG), None, origin._etag(BIG)), lambda: None)
    handle.begin(Slice(10, 20))
    assert b"".join(handle.chunks(30, 40)) == BIG[30:40]
    assert b"".join(handle.chunks(10, 20)) == BIG[10:20]
    assert b"".join(handle.chunks(10, 20)) == BIG[10:20]
    assert origin.ranges == [(10, 20), (30, 40), (10, 20)]
    handle.close()
    assert origin.open_ranges == 0


def test_code_reads_a_proxied_file_as_any_other() -> None:
    stack = stack_of(Origin(BIG), base_url="/media/")
    with stack.open(A) as file:
        file.seek(123_456)
        assert file.read(10) == BIG[123_456:123_466]
    assert stack.stat(A).etag == Origin()._etag(BIG), "for code it is the origin's own"
    assert stack.url(A) == PATH, "the site's, and not the bucket's"
    found = run(stack.finding(A, "GET"))
    assert type(found).__name__ == "Held"
