"""What is remembered of the lowers, for how long and how much; and one question at a time for each key."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mediamw import MediaStack
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.backends.base import Backend, Remote
from mediamw.core.keys import Key
from mediamw.core.model import Meta, Redirect
from mediamw.stack.lookups import MAX_ANSWERS, MAX_BYTES, UNKNOWN, Lookups
from mediamw.stack.origins import NETWORK_THREADS
from mediamw.stack.steps import Pool

from .fakes import Bucket, Local, down, gate, get, until

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
    def look(backend: Backend, key: Key, _via: str) -> Any:
        return backend.open(key)

    return Lookups(lambda name, via: pool, look=look, found_ttl=300, missing_ttl=30, clock=clock, **bounds)


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

    s3, number = Many("s3"), 3000
    lookups = lookups_of(pool, clock, max_bytes=MAX_BYTES // 16, max_answers=MAX_ANSWERS // 16)
    ask(lookups, s3, A)
    gc.collect()
    tracemalloc.start()
    for name in range(number):
        lookups.ask(s3, Key(f"homes/{name}/kitchen-and-living-room.jpg")).result(10)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(lookups) > 950
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


def count_askers(stack: MediaStack) -> list[Key]:
    """A list that grows with each question that was put to the look-ups, or joined there."""
    joined: list[Key] = []
    ask = stack._asker.origins.lookups.ask

    def counting(backend: Backend, key: Key, via: str) -> Any:
        flight = ask(backend, key, via)
        joined.append(key)
        return flight

    stack._asker.origins.lookups.ask = counting
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


def test_tasks_that_ask_at_once_ask_once() -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"}, wait=wait)
    stack = MediaStack([Local("local"), s3])

    async def main() -> list[int]:
        app = ASGIMiddleware(None, stack)
        asking = [asyncio.create_task(get(app, f"/media/{A}")) for _ in range(50)]
        while len(s3.asked) < 1 or len(stack.upper.asked) < 50:
            await asyncio.sleep(0.001)
        event.set()
        return await asyncio.wait_for(asyncio.gather(*asking), 10)

    assert asyncio.run(main()) == [302] * 50
    assert s3.asked == [A]
    stack.close()


def test_a_client_that_leaves_does_not_take_the_answer_along() -> None:
    """Neither while a thread asks, nor while the question waits for a thread, when it could be cancelled."""
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x", "0": b"x"}, wait=wait)
    stack = MediaStack([Local("local"), s3])

    async def main() -> list[int]:
        app = ASGIMiddleware(None, stack)
        busy = [asyncio.create_task(get(app, f"/media/{number}")) for number in range(NETWORK_THREADS)]
        while len(s3.asked) < NETWORK_THREADS:
            await asyncio.sleep(0.001)
        leaving = [asyncio.create_task(get(app, f"/media/{key}")) for key in (A, "0")]
        staying = [asyncio.create_task(get(app, f"/media/{key}")) for key in (A, "0")]
        while len(stack.upper.asked) < NETWORK_THREADS + 4:
            await asyncio.sleep(0.001)
        for task in leaving:
            task.cancel()
        await asyncio.wait(leaving, timeout=10)
        event.set()
        await asyncio.wait_for(asyncio.gather(*busy), 10)
        return await asyncio.wait_for(asyncio.gather(*staying), 10)

    assert asyncio.run(main()) == [302, 302]
    assert s3.asked.count(A) == s3.asked.count("0") == 1
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
