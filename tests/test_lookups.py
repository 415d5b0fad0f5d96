"""What is remembered of the lowers, for how long and how much; and one question at a time for each key."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mediamw import BackendUnavailable, MediaStack
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.backends.base import Backend, Remote
from mediamw.core.keys import Key
from mediamw.core.model import Meta, Missing, Redirect
from mediamw.stack.lookups import MAX_ANSWERS, MAX_BYTES, UNKNOWN, Lookups
from mediamw.stack.steps import Pool
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from .fakes import Bucket, Local, down
from .s3_world import BUCKET, Clock, backend, s3_server

A, B = Key("a.jpg"), Key("b.jpg")


class FakeTime:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(16, "test")
    yield made
    made.close()


def lookups_of(pool: Pool, clock: FakeTime, **bounds: int) -> Lookups:
    return Lookups(pool, found_ttl=300, missing_ttl=30, clock=clock, **bounds)


def ask(lookups: Lookups, backend: Backend, key: Key) -> Any:
    """As the stack does: what is remembered, else what the backend says."""
    known = lookups.known(backend, key)
    return lookups.ask(backend, key).result(10) if known is UNKNOWN else known


def settle(lookups: Lookups, backend: Backend, key: Key) -> None:
    """Wait until an answer was taken over: that happens just after its waiters are told."""
    for _ in range(10_000):
        if lookups.known(backend, key) is not UNKNOWN:
            return
        time.sleep(0)
    raise AssertionError("nothing was remembered")


# -- how long ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "ttl"), [(A, 300), (B, 30)])
def test_answers_are_believed_for_their_time(pool: Pool, clock: FakeTime, key: Key, ttl: int) -> None:
    s3 = Bucket("s3", {A: b"x"})
    lookups = lookups_of(pool, clock)
    first = ask(lookups, s3, key)
    settle(lookups, s3, key)
    clock.now += ttl - 0.001
    assert ask(lookups, s3, key) == first
    assert s3.asked == [key]
    clock.now += 0.001
    assert lookups.known(s3, key) is UNKNOWN
    assert ask(lookups, s3, key) == first
    assert s3.asked == [key, key]


def test_a_new_file_shows_when_its_absence_is_too_old(pool: Pool, clock: FakeTime) -> None:
    s3 = Bucket("s3")
    lookups = lookups_of(pool, clock)
    assert ask(lookups, s3, A) is None
    settle(lookups, s3, A)
    s3.files[A] = b"x"
    assert ask(lookups, s3, A) is None
    clock.now += 30
    assert isinstance(ask(lookups, s3, A), Remote)


def test_backends_are_kept_apart(pool: Pool, clock: FakeTime) -> None:
    one, two = Bucket("one", {A: b"x"}), Bucket("two")
    lookups = lookups_of(pool, clock)
    for _ in range(2):
        assert isinstance(ask(lookups, one, A), Remote)
        assert ask(lookups, two, A) is None


@pytest.mark.parametrize("options", [{}, {"found_ttl": 0, "missing_ttl": 0}])
def test_the_ttls_of_a_stack(options: dict[str, float]) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = MediaStack([Local("local"), s3], **options)
    for _ in range(3):
        assert stack.exists(A)
    assert len(s3.asked) == (3 if options else 1)
    stack.close()


# -- how much ----------------------------------------------------------------------------------------------------------


def test_the_number_is_bounded(pool: Pool, clock: FakeTime) -> None:
    s3 = Bucket("s3")
    lookups = lookups_of(pool, clock, max_answers=4, max_bytes=4 * 4096)
    keys = [Key(f"{number}.jpg") for number in range(5)]
    for key in keys[:4]:
        ask(lookups, s3, key)
        settle(lookups, s3, key)
    assert len(lookups) == 4
    lookups.known(s3, keys[0])  # used last
    ask(lookups, s3, keys[4])
    settle(lookups, s3, keys[4])
    assert len(lookups) == 4
    assert lookups.known(s3, keys[1]) is UNKNOWN
    assert all(lookups.known(s3, key) is None for key in (keys[0], *keys[2:]))


def test_the_bytes_are_bounded(pool: Pool, clock: FakeTime) -> None:
    """Hostile names and headers: each answer is as large as it can be, and the number is far from its bound."""

    class Wordy(Bucket):
        def open(self, key: Key) -> Remote:
            return Remote(Meta(1, 1, '"' + "e" * 8000 + '"', "image/" + "x" * 8000))

    s3 = Wordy("s3")
    lookups = lookups_of(pool, clock, max_answers=50_000, max_bytes=100_000)
    for number in range(20):
        ask(lookups, s3, Key(f"{number}.jpg"))
        settle(lookups, s3, Key(f"{number}.jpg"))
    assert len(lookups) == 100_000 // 17_000 == 5


@pytest.mark.parametrize("missing", [False, True])
def test_the_bytes_that_are_counted_are_the_bytes_that_are_used(pool: Pool, clock: FakeTime, missing: bool) -> None:
    """With the real bounds; if this grows, the memory of a process with a full cache is more than was promised."""

    class Many(Bucket):
        def open(self, key: Key) -> Remote | None:
            return (
                None
                if missing
                else Remote(Meta(70_000, 1_780_000_000_000_000_000, f'"{hash(key):032x}"', "image/" + "jpeg"))
            )

    s3, number = Many("s3"), 4000
    lookups = lookups_of(pool, clock, max_bytes=MAX_BYTES // 16, max_answers=MAX_ANSWERS // 16)
    ask(lookups, s3, A)
    gc.collect()
    tracemalloc.start()
    for name in range(number):
        lookups.ask(s3, Key(f"homes/{name}/kitchen-and-living-room.jpg")).result(10)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(lookups) > 1000
    assert used < MAX_BYTES / 16


def test_a_key_asked_again_and_again_takes_the_room_of_one(pool: Pool, clock: FakeTime) -> None:
    s3 = Bucket("s3", {A: b"x"})
    lookups = lookups_of(pool, clock)
    for _ in range(500):
        ask(lookups, s3, A)
        settle(lookups, s3, A)
        lookups.forget(A)
    ask(lookups, s3, A)
    settle(lookups, s3, A)
    assert len(lookups) == 1


# -- one question at a time --------------------------------------------------------------------------------------------


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


def count_askers(stack: MediaStack) -> list[Key]:
    """A list that grows with each question that was put to the look-ups, or joined there."""
    joined: list[Key] = []
    ask = stack._lookups.ask

    def counting(backend: Backend, key: Key) -> Any:
        flight = ask(backend, key)
        joined.append(key)
        return flight

    stack._lookups.ask = counting  # type: ignore[method-assign]
    return joined


def test_threads_that_ask_at_once_ask_once() -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"}, wait=wait)
    stack = MediaStack([Local("local"), s3])
    joined = count_askers(stack)
    with ThreadPoolExecutor(12) as threads:
        asking = [threads.submit(stack.find, A) for _ in range(12)]
        until(lambda: len(joined) == 12)
        event.set()
        answers = [future.result(10) for future in asking]
    assert all(isinstance(answer, Redirect) for answer in answers)
    assert s3.asked == [A]
    stack.close()


def test_an_answer_that_comes_between_the_two_looks_is_taken(pool: Pool, clock: FakeTime) -> None:
    s3 = Bucket("s3", {A: b"x"})
    lookups = lookups_of(pool, clock)
    assert lookups.known(s3, A) is UNKNOWN
    ask(lookups, s3, A)  # another thread's, from beginning to end
    settle(lookups, s3, A)
    assert isinstance(lookups.ask(s3, A).result(10), Remote)
    assert s3.asked == [A]


async def get(app: Any, path: str, method: str = "GET") -> int:
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(3600)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": [], "root_path": ""}
    await app(scope, receive, send)
    return int(sent[0]["status"])


def test_tasks_that_ask_at_once_ask_once() -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"}, wait=wait)
    stack = MediaStack([Local("local"), s3])

    async def main() -> list[int]:
        app = ASGIMiddleware(None, stack)
        asking = [asyncio.create_task(get(app, f"/media/{A}")) for _ in range(50)]
        while len(s3.asked) < 1 or len(stack.upper.asked) < 50:  # type: ignore[attr-defined]
            await asyncio.sleep(0.001)
        event.set()
        return await asyncio.wait_for(asyncio.gather(*asking), 10)

    assert asyncio.run(main()) == [302] * 50
    assert s3.asked == [A]
    stack.close()


def test_a_client_that_leaves_does_not_take_the_answer_along() -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"}, wait=wait)
    stack = MediaStack([Local("local"), s3])

    async def main() -> int:
        app = ASGIMiddleware(None, stack)
        first, second = (asyncio.create_task(get(app, f"/media/{A}")) for _ in range(2))
        while not s3.asked:
            await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.wait([first], timeout=10)
        event.set()
        return await asyncio.wait_for(second, 10)

    assert asyncio.run(main()) == 302
    assert s3.asked == [A]
    stack.close()


def test_what_is_forgotten_while_it_is_asked_is_not_remembered(pool: Pool, clock: FakeTime) -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x", B: b"x"}, wait=wait)
    lookups = lookups_of(pool, clock)
    old, other = lookups.ask(s3, A), lookups.ask(s3, B)
    lookups.forget(A)
    new = lookups.ask(s3, A)  # a question of its own: the answer to the old one may be out of date
    assert new is not old
    assert lookups.ask(s3, A) is new
    lookups.forget(A)
    event.set()
    for flight in (old, other, new):
        assert isinstance(flight.result(10), Remote)
    settle(lookups, s3, B)
    pool.close()
    until(lambda: len(s3.asked) == 3)
    assert lookups.known(s3, A) is UNKNOWN
    assert len(lookups) == 1


def test_forgetting_is_for_one_key_in_all_backends(pool: Pool, clock: FakeTime) -> None:
    one, two = Bucket("one"), Bucket("two")
    lookups = lookups_of(pool, clock)
    for of in (one, two):
        for key in (A, B):
            ask(lookups, of, key)
            settle(lookups, of, key)
    lookups.forget(A)
    assert [lookups.known(of, A) for of in (one, two)] == [UNKNOWN, UNKNOWN]
    assert [lookups.known(of, B) for of in (one, two)] == [None, None]


@pytest.mark.parametrize("error", [down("s3"), RuntimeError("a mistake")], ids=["unavailable", "a mistake"])
def test_an_error_is_told_to_all_and_not_remembered(error: Exception) -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: error}, wait=wait)
    stack = MediaStack([Local("local"), s3])
    joined = count_askers(stack)
    with ThreadPoolExecutor(6) as threads:
        asking = [threads.submit(stack.find, A) for _ in range(6)]
        until(lambda: len(joined) == 6)
        event.set()
        assert [type(future.exception(10)) for future in asking] == [type(error)] * 6
    assert s3.asked == [A]
    s3.files[A] = b"x"
    assert isinstance(stack.find(A), Redirect)
    stack.close()


# -- not for ever ------------------------------------------------------------------------------------------------------


def test_a_lower_that_does_not_answer_cannot_tell() -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"}, wait=wait)
    stack = MediaStack([Local("local"), s3], deadline=0.02)
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match=r"no answer within 0\.02 s"):
            stack.find(A)
    assert s3.asked == [A]  # the second one waits for the same answer
    event.set()
    until(lambda: isinstance(find_now(stack, A), Redirect))  # which is taken when it comes
    assert s3.asked == [A]
    assert isinstance(stack.find("nobody.jpg"), Missing)
    stack.close()


def find_now(stack: MediaStack, key: str) -> Any:
    try:
        return stack.find(key)
    except BackendUnavailable:
        return None


def test_the_next_lower_serves_while_one_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    event, wait = gate()
    stack = MediaStack(
        [Local("local"), Bucket("silent", {}, wait=wait), Bucket("s3", {A: b"x"})], deadline=0.02, found_ttl=0
    )
    found = stack.find(A)
    assert isinstance(found, Redirect)
    assert found.backend == "s3"
    assert "no answer within 0.02 s; served from backend 's3' instead" in caplog.text
    event.set()
    stack.close()


def test_credentials_that_do_not_come_cannot_tell() -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"})
    stack = MediaStack([Local("local"), s3], deadline=0.02)
    stack.find(A)
    s3.ready, s3.wait = False, wait
    with pytest.raises(BackendUnavailable, match="no answer within"):
        stack.find(A)
    event.set()
    until(lambda: s3.ready)
    assert isinstance(stack.find(A), Redirect)
    stack.close()


def test_the_deadline_holds_under_asgi(caplog: pytest.LogCaptureFixture) -> None:
    event, wait = gate()
    stack = MediaStack([Local("local"), Bucket("s3", {A: b"x"}, wait=wait)], deadline=0.02)

    async def main() -> list[int]:
        app = ASGIMiddleware(None, stack)
        return await asyncio.gather(*(get(app, f"/media/{A}") for _ in range(5)))

    assert asyncio.run(main()) == [503] * 5
    assert [record.levelno for record in caplog.records if record.name == "mediamw"] == [logging.WARNING]
    event.set()
    stack.close()


# -- forks -------------------------------------------------------------------------------------------------------------

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
may_be_threaded = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def in_a_child(check: Callable[[], bool]) -> bool:
    """Run ``check`` in a forked child, which is given 10 seconds."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if check() else 2
        finally:
            os._exit(code)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


@forks
@may_be_threaded
def test_a_forked_child_looks_up_by_itself() -> None:
    """With the parent in the middle of a look-up, and every lock of it held: none of that is the child's."""
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x", B: b"x"}, wait=wait)
    stack = MediaStack([Local("local"), s3])
    lookups = stack._lookups
    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(stack.find, key) for key in (A, B)]
        until(lambda: len(s3.asked) == 2)

        def check() -> bool:
            s3.wait = lambda: None
            stack.forget(B)
            return (
                isinstance(stack.find(A), Redirect)
                and isinstance(stack.find(B), Redirect)
                and isinstance(stack.find("nobody"), Missing)
                and len(lookups) == 3
            )

        with lookups._state().lock:
            assert in_a_child(check)
        event.set()
        assert all(isinstance(future.result(10), Redirect) for future in asking)
    stack.close()


@forks
@may_be_threaded
def test_the_child_of_a_child() -> None:
    stack = MediaStack([Local("local"), Bucket("s3", {A: b"x"})])
    stack.find(A)
    assert in_a_child(lambda: stack.exists(A) and in_a_child(lambda: stack.exists(A) and not stack.exists(B)))
    stack.close()


# -- a page of images --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_page_of_a_hundred_images_asks_for_each_once(kind: str) -> None:
    names = [f"homes/{number}/photo {number}.jpg" for number in range(100)]
    with s3_server(Clock()) as server:
        for name in names[:-10]:  # ten are missing
            server.put(BUCKET, name, b"x")
        stack = MediaStack([Local("local"), backend(server)])
        expected = [302] * 90 + [404] * 10
        for _ in range(2):
            assert (over_wsgi if kind == "wsgi" else over_asgi)(stack, names) == expected
        assert sorted(call.key for call in server.calls) == sorted(names)
        assert {call.method for call in server.calls} == {"HEAD"}
        stack.close()


def over_wsgi(stack: MediaStack, names: list[str]) -> list[int]:
    app = WSGIMiddleware(None, stack)

    def request(name: str) -> int:
        statuses: list[int] = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/media/{name}", "SCRIPT_NAME": ""}
        app(environ, lambda status, headers, exc_info=None: statuses.append(int(status[:3])))  # type: ignore[arg-type, return-value]
        return statuses[0]

    with ThreadPoolExecutor(6) as threads:
        return list(threads.map(request, names))


def over_asgi(stack: MediaStack, names: list[str]) -> list[int]:
    async def main() -> list[int]:
        app = ASGIMiddleware(None, stack)
        six = asyncio.Semaphore(6)

        async def request(name: str) -> int:
            async with six:
                return await get(app, f"/media/{name}")

        return await asyncio.gather(*map(request, names))

    return asyncio.run(main())
