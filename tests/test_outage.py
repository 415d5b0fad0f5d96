"""Origins that do not answer: who is asked then, what is believed, and that an outage is never an absence."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediamw import BackendUnavailable, MediaStack
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.backends.base import Remote
from mediamw.backends.rules import Rules
from mediamw.core.errors import NotServable, Unreachable
from mediamw.core.keys import Key
from mediamw.core.model import Look, Missing, Redirect
from mediamw.stack import lookups as lookups_module
from mediamw.stack.origins import NETWORK_THREADS
from mediamw.stack.steps import Wait, run
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from .fakes import Bucket, Clock, Local, ask, dead, down, fifo, gate, get, settle, stack_on, until
from .http_table.callers import Response, acall_asgi, call_wsgi

pytestmark = pytest.mark.usefixtures("stacks_closed")

A, B = Key("homes/1/a.jpg"), Key("b.jpg")
FOUND, MISSING, STALE = 300, 30, 900


@pytest.fixture
def clock() -> Clock:
    return Clock()


def break_it(stack: MediaStack, bucket: Bucket) -> None:
    """Open the breaker of ``bucket``, with names that nobody else asks for; it is dead from then on."""
    for number in range(3):
        bucket.files[f"broken-{number}"] = dead(bucket.name)
        assert isinstance(ask(stack, f"broken-{number}"), BackendUnavailable)
    bucket.asked.clear()


def both(stack: MediaStack, method: str = "GET", path: str = f"/media/{A}") -> Response:
    by_wsgi = call_wsgi(WSGIMiddleware(None, stack), method, path)
    settle(stack)
    by_asgi = asyncio.run(acall_asgi(ASGIMiddleware(None, stack), method, path))
    settle(stack)
    assert by_asgi == by_wsgi
    return by_wsgi


# -- the breaker, in the stack -----------------------------------------------------------------------------------------


def test_after_three_failures_nobody_is_asked_for_ten_seconds(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3)
    break_it(stack, s3)
    assert [record.getMessage() for record in caplog.records if "in a row" in record.getMessage()] == [
        "backend 's3': 3 failures in a row, so it is not asked for 10 s; the last one: it does not answer"
    ]
    for method in ("GET", "HEAD"):
        got = both(stack, method)
        assert (got.status, got.get("retry-after")) == (503, "10")
    clock.now += 6.5
    assert both(stack).get("retry-after") == "4"
    assert s3.asked == []
    for code in (stack.find, stack.open, stack.stat, stack.exists, stack.url):
        with pytest.raises(Unreachable, match="left alone"):
            code(A)
    assert s3.asked == []
    clock.now += 3.5
    assert both(stack).status == 302
    assert s3.asked == [A]
    assert ask(stack, "nobody") == Missing()


def test_a_body_is_refused_before_it_waits_for_a_thread(clock: Clock) -> None:
    """All of them may be busy with what comes slowly."""
    s3 = Bucket("s3", rules=Rules(delivery="proxy"))
    stack = stack_on(clock, Local("local"), s3)
    break_it(stack, s3)

    def never() -> None:
        raise AssertionError("it was fetched")

    with pytest.raises(Unreachable, match="left alone"):
        next(stack.reading("s3", never))


def test_a_refused_credential_opens_nothing(clock: Clock) -> None:
    s3 = Bucket("s3", {str(number): down("s3") for number in range(10)})
    stack = stack_on(clock, Local("local"), s3)
    for number in range(10):
        assert isinstance(ask(stack, str(number)), BackendUnavailable)
    assert len(s3.asked) == 10


def test_three_time_outs_open_it(clock: Clock) -> None:
    """Driven by hand: the time-out is thrown into the wait that has the deadline's seconds."""
    event, wait = gate()
    s3 = Bucket("s3", {}, wait=wait)
    stack = stack_on(clock, Local("local"), s3, deadline=8)
    for number in range(3):
        steps = stack.finding(Key(str(number)), "GET")
        waiting = next(steps)
        assert isinstance(waiting, Wait)
        assert isinstance(waiting.future, Future)
        assert waiting.seconds == 8
        until(lambda number=number: len(s3.asked) == number + 1)
        with pytest.raises(Unreachable, match="no answer within 8 s") as caught:
            steps.throw(TimeoutError())
        assert caught.value.backend == "s3"
    with pytest.raises(Unreachable, match="left alone"):
        next(stack.finding(Key("3"), "GET"))
    assert s3.asked == ["0", "1", "2"]
    event.set()
    settle(stack)
    assert isinstance(ask(stack, "3"), Missing), "the answers came after all: it is back"


def test_one_that_hangs_is_one_failure_however_many_wait_for_it(clock: Clock) -> None:
    event, wait = gate()
    s3 = Bucket("s3", {}, wait=wait)
    stack = stack_on(clock, Local("local"), s3)
    waiting = [stack.finding(A, "GET") for _ in range(5)]
    for steps in waiting:
        next(steps)
    until(lambda: s3.asked == [A])
    for steps in waiting:
        with pytest.raises(Unreachable):
            steps.throw(TimeoutError())
    next(steps := stack.finding(B, "GET"))  # not left alone
    until(lambda: len(s3.asked) == 2)
    steps.close()
    event.set()


def test_too_few_threads_of_ours_are_not_its_fault(clock: Clock) -> None:
    event, wait = gate()
    s3 = Bucket("s3", {}, wait=wait)
    stack = stack_on(clock, Local("local"), s3)
    busy = [stack.finding(Key(str(number)), "GET") for number in range(NETWORK_THREADS)]
    for steps in busy:
        next(steps)
    until(lambda: len(s3.asked) == NETWORK_THREADS)
    for number in range(5):
        queued = stack.finding(Key(f"queued {number}"), "GET")
        next(queued)
        with pytest.raises(Unreachable, match="no answer within"):
            queued.throw(TimeoutError())
    stack._asker.origins["s3"].health.admit()
    event.set()
    settle(stack)
    assert len(s3.asked) == NETWORK_THREADS, "and what nobody waits for is not asked"
    for steps in busy:
        steps.close()


def test_what_is_queued_when_it_opens_is_not_asked(clock: Clock) -> None:
    event, wait = gate()
    keys = [str(number) for number in range(NETWORK_THREADS + 40)]
    s3 = Bucket("s3", {key: dead("s3") for key in keys}, wait=wait)
    stack = stack_on(clock, Local("local"), s3)
    app = ASGIMiddleware(None, stack)

    async def main() -> list[int]:
        tasks = [asyncio.ensure_future(get(app, f"/media/{key}")) for key in keys]
        while len(s3.asked) < NETWORK_THREADS or len(stack._asker.origins.lookups._state.get().flights) < len(keys):
            await asyncio.sleep(0.001)
        event.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [503] * len(keys)
    # Those that were under way, and what began before the third of them was told.
    assert len(s3.asked) <= NETWORK_THREADS + 2
    assert len(s3.asked) < len(keys)


def test_a_dead_staging_does_not_touch_production(clock: Clock) -> None:
    staging, production = Bucket("staging"), Bucket("production", {str(number): b"x" for number in range(9)})
    staging.files = {str(number): dead("staging") for number in range(9)}
    stack = stack_on(clock, Local("local"), staging, production)
    for number in range(9):
        found = ask(stack, str(number))
        assert isinstance(found, Redirect)
        assert found.backend == "production"
    assert len(staging.asked) == 3
    assert len(production.asked) == 9
    looks: list[Look] = []
    run(stack.finding(Key("8"), "GET", looks=looks))
    assert [(look.backend, look.answer) for look in looks[1:]] == [("staging", "unavailable"), ("production", "found")]
    assert isinstance(ask(stack, "nobody"), Unreachable), "staging might have it"
    assert both(stack, path="/media/nobody").status == 503


def test_a_local_hit_never_hears_of_it(clock: Clock) -> None:
    s3 = Bucket("s3")
    stack = stack_on(clock, Local("local", {"up.jpg": b"here"}), s3)
    break_it(stack, s3)
    assert both(stack, path="/media/up.jpg").body == b"here"


def test_credentials_that_do_not_come_open_it_too(clock: Clock) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3)
    assert isinstance(ask(stack, A), Redirect)

    def fail() -> None:
        raise dead("s3")

    s3.ready, s3.wait = False, fail
    for _ in range(4):
        assert isinstance(ask(stack, A), Unreachable)
    assert [what for what, _ in s3.threads].count("prepare") == 3


def test_a_misses_flood_does_not_turn_known_files_away(clock: Clock) -> None:
    """Neither their redirects and credentials, nor their bodies."""
    s3 = Bucket("s3", {A: b"data", B: b"x"}, rules=Rules(delivery_by={"homes/": "proxy"}))
    stack = stack_on(clock, Local("local"), s3, misses_a_minute=5)
    assert both(stack).status == 200
    assert both(stack, path=f"/media/{B}").status == 302
    for number in range(9):
        ask(stack, str(number))
    assert both(stack, path="/media/new.jpg").status == 503
    s3.ready = False
    assert both(stack).body == b"data"
    assert both(stack, path=f"/media/{B}").status == 302
    assert s3.prepared == 1


# -- a flood of names --------------------------------------------------------------------------------------------------

NAMES, CAP = 10_000, 600


def memory_used(flood: Callable[[], object]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        flood()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("answer", ["missing", "cannot tell"])
def test_ten_thousand_names_for_code(clock: Clock, answer: str) -> None:
    """Names that nobody has, or that the bucket cannot tell of (403 without ListBucket), for two and a half minutes."""
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3)
    stack.exists(A)
    answers: Counter[str] = Counter()
    began, asked = clock.now, []

    def asks() -> None:
        asked.append(clock.now)
        if answer == "cannot tell":
            raise down("s3")

    s3.wait = asks

    def one(number: int) -> None:
        clock.now += 150 / NAMES
        try:
            found = stack.find(f"folder/{number}.jpg")
        except BackendUnavailable as error:
            answers["cannot tell" if "it is down" in str(error) else "turned away"] += 1
        else:
            assert found == Missing()
            answers["missing"] += 1

    def flood() -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(one, range(NAMES)))

    used = memory_used(flood)
    assert clock.now - began > 125, "more than two minutes, whatever steps of the clock four threads have lost"
    asked.sort()
    for first, when in enumerate(asked):
        # What was under way when the last was spent: one for each thread.
        assert bisect_left(asked, when + 60) - first <= CAP + 4
    assert len(asked) >= CAP * ((clock.now - began) // 60)
    assert sum(answers.values()) == NAMES
    assert answers[answer] == len(asked)
    assert used < 5_000_000
    assert isinstance(ask(stack, A), Redirect)


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [50, 2_000])
def test_ten_thousand_missing_names_over_asgi(clock: Clock, at_once: int) -> None:
    """The clock stands still: the cap, and no more than what was under way when it was reached."""
    s3 = Bucket("s3", {A: b"x"})
    upper = Local("local")
    stack = stack_on(clock, upper, s3)
    app = ASGIMiddleware(None, stack)
    statuses: list[int] = []

    async def main() -> None:
        await get(app, f"/media/{A}")
        for start in range(0, NAMES, at_once):
            paths = [f"/media/folder/{number}.jpg" for number in range(start, start + at_once)]
            statuses.extend(await asyncio.gather(*(get(app, path) for path in paths)))
            upper.asked.clear()
        statuses.append(await get(app, f"/media/{A}"))

    used = memory_used(lambda: asyncio.run(main()))
    assert CAP + 1 <= len(s3.asked) <= CAP + 1 + NETWORK_THREADS
    assert statuses.pop() == 302
    assert set(statuses) == {404, 503}
    assert statuses.count(404) == len(s3.asked) - 1
    assert used < 5_000_000


def test_no_more_than_so_many_are_under_way(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lookups_module.MAX_FLIGHTS == 1024
    monkeypatch.setattr(lookups_module, "MAX_FLIGHTS", 30)
    event, wait = gate()
    s3, other = Bucket("s3", {A: b"x"}, wait=wait), Bucket("other", {"31": b"x"})
    stack = stack_on(clock, Local("local"), s3, other)
    waiting = [stack.finding(Key(str(number)), "GET") for number in range(30)]
    for steps in waiting:
        next(steps)
    joined = stack.finding(Key("0"), "GET")
    next(joined)  # who asks for the same waits for the same
    turned_away = stack.finding(Key("30"), "GET")
    other_waits = next(turned_away)  # the next lower is asked: each has a number of its own
    with pytest.raises(BackendUnavailable, match="30 look-ups are waiting") as caught:
        turned_away.send(other_waits.future.result(10))  # type: ignore[union-attr]
    assert not isinstance(caught.value, Unreachable), "that does not open its breaker"
    waiting[29].close()  # one leaves, and its place is free
    late = stack.finding(Key("32"), "GET")
    assert next(late).seconds == 8
    event.set()
    settle(stack)
    assert isinstance(ask(stack, "33"), Missing), "and all places are free again"
    assert stack._asker.origins.lookups._state.get().under_way["s3"] == 0


# -- what is believed while it is away ---------------------------------------------------------------------------------


def source_of(stack: MediaStack, key: str) -> str:
    looks = stack.explain(key).looks
    settle(stack)
    return looks[1].source


def test_what_was_found_is_believed_for_its_time(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3)
    assert isinstance(ask(stack, A), Redirect)
    s3.files[A] = down("s3")
    clock.now += FOUND - 0.01
    assert source_of(stack, A) == "remembered"
    clock.now += 0.01
    assert source_of(stack, A) == "stale"
    assert s3.asked == [A, A], "it was asked first"
    assert "it is down; what it said before is believed" in caplog.text
    clock.now += STALE - 0.01
    assert both(stack).status == 302
    clock.now += 0.01
    assert isinstance(ask(stack, A), BackendUnavailable)
    assert both(stack).status == 503
    s3.files[A] = b"x"
    assert isinstance(ask(stack, A), Redirect)
    s3.files[A] = down("s3")
    clock.now += FOUND + STALE - 0.01
    assert isinstance(ask(stack, A), Redirect), "counted from when it was said, not from when it was believed"


def test_a_stale_answer_while_the_breaker_is_open(clock: Clock) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3)
    ask(stack, A)
    clock.now += FOUND
    break_it(stack, s3)
    assert source_of(stack, A) == "stale"
    assert both(stack).status == 302
    assert stack.exists(A)
    assert stack.stat(A).size == 1
    assert s3.asked == []


def test_a_stale_answer_while_the_budget_is_empty(clock: Clock) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3, misses_a_minute=1)
    ask(stack, A)
    clock.now += FOUND
    assert ask(stack, "nobody") == Missing()
    assert source_of(stack, A) == "stale"
    assert isinstance(ask(stack, "somebody"), BackendUnavailable)


def test_a_stale_answer_after_the_deadline(clock: Clock) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3)
    ask(stack, A)
    clock.now += FOUND
    event, s3.wait = gate()
    steps = stack.finding(A, "GET")
    assert next(steps).seconds == 8
    until(lambda: len(s3.asked) == 2)
    with pytest.raises(StopIteration) as stopped:
        steps.throw(TimeoutError())
    assert isinstance(stopped.value.value, Redirect)
    event.set()


@pytest.mark.parametrize("stale", [0, 900])
def test_what_was_missing_is_never_believed_longer(clock: Clock, stale: int) -> None:
    s3 = Bucket("s3")
    stack = stack_on(clock, Local("local"), s3, stale_if_error=stale)
    assert ask(stack, A) == Missing()
    s3.files[A] = dead("s3")
    clock.now += MISSING - 0.01
    assert ask(stack, A) == Missing()
    clock.now += 0.01
    assert isinstance(ask(stack, A), Unreachable)
    assert both(stack).status == 503


def test_what_was_missing_takes_no_room_for_longer(clock: Clock) -> None:
    stack = stack_on(clock, Local("local"), Bucket("s3"))
    ask(stack, A)
    answers = stack._asker.origins.lookups._state.get().answers
    assert len(answers) == 1
    clock.now += MISSING
    answers.expire()
    assert len(answers) == 0


def test_a_file_that_was_deleted_is_not_brought_back_by_an_outage(clock: Clock) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3)
    ask(stack, A)
    clock.now += FOUND
    del s3.files[A]
    assert ask(stack, A) == Missing()
    clock.now += MISSING
    s3.files[A] = dead("s3")
    assert isinstance(ask(stack, A), Unreachable)


def test_without_stale_if_error_nothing_old_is_believed(clock: Clock) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3, stale_if_error=0)
    ask(stack, A)
    clock.now += FOUND
    s3.files[A] = down("s3")
    assert isinstance(ask(stack, A), BackendUnavailable)


def test_what_is_forgotten_is_not_believed_either(clock: Clock) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3)
    ask(stack, A)
    stack.forget(A)
    s3.files[A] = down("s3")
    assert isinstance(ask(stack, A), BackendUnavailable)


def test_a_name_that_may_not_be_served_is_no_outage(clock: Clock) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3)
    ask(stack, A)
    clock.now += FOUND
    s3.files[A] = fifo("s3")
    with pytest.raises(NotServable):
        stack.find(A)


def test_a_proxied_file_that_is_believed_and_cannot_be_fetched_is_503(clock: Clock) -> None:
    s3 = Bucket("s3", {A: b"x" * 100_000}, rules=Rules(delivery="proxy"))
    stack = stack_on(clock, Local("local"), s3)
    etag = both(stack).get("etag") or ""
    clock.now += FOUND
    break_it(stack, s3)
    s3.ranges.clear()
    assert both(stack).status == 503
    assert both(stack, "HEAD").status == 200
    kept = call_wsgi(WSGIMiddleware(None, stack), "GET", f"/media/{A}", (("If-None-Match", etag),))
    assert kept.status == 304, "what the browser has is still shown"
    assert (s3.asked, s3.ranges) == ([], [])


# -- sequences ---------------------------------------------------------------------------------------------------------


class Fickle(Bucket):
    """Says what it is told to, for every key."""

    says = "found"

    def open(self, key: Key) -> Remote | None:
        self.files = {key: {"found": b"x", "dead": dead(self.name), "down": down(self.name)}.get(self.says)}  # type: ignore[dict-item]
        return super().open(key)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["found", "missing", "dead", "down"]),  # what it says
            st.sampled_from([0, 1, 10, 29, 31, 200, 301, 901]),  # after how many seconds
            st.sampled_from(["a", "b", "c", "d"]),  # who is asked for
        ),
        max_size=40,
    )
)
def test_missing_is_only_ever_what_was_said(story: list[tuple[str, int, str]]) -> None:
    """Whatever happens: absence is what it said at most 30 s ago, presence at most 1,200 s; nothing is made up."""
    clock = Clock()
    bucket = Fickle("s3")
    stack = stack_on(clock, Local("local"), bucket)
    said: dict[str, tuple[str, float]] = {}
    dead_in_a_row, opened = 0, -100.0
    for says, seconds, key in story:
        clock.now += seconds
        bucket.says, before = says, len(bucket.asked)
        found = ask(stack, key)
        asked = len(bucket.asked) > before
        assert len(bucket.asked) - before <= 1
        if asked:
            assert clock.now - opened >= 10, "the breaker is open"
            dead_in_a_row = dead_in_a_row + 1 if says == "dead" else 0
            if dead_in_a_row >= 3:
                opened = clock.now
            if says in ("found", "missing"):
                said[key] = (says, clock.now)
        last, at = said.get(key, ("", 0.0))
        age = clock.now - at
        if isinstance(found, Missing):
            assert last == "missing"
            assert age < MISSING
        elif isinstance(found, Redirect):
            assert last == "found"
            assert age < FOUND + STALE
        else:
            assert isinstance(found, BackendUnavailable)
            assert not (last == "found" and age < FOUND + STALE), "it could have been believed"
            assert not (last == "missing" and age < MISSING)
            assert asked or clock.now - opened < 10
        assert asked or says in ("dead", "down") or clock.now - opened < 10 or age < FOUND
    stack.close()


@pytest.mark.parametrize("error", [dead("s3"), down("s3")], ids=["dead", "down"])
@pytest.mark.parametrize("on_miss", ["app", "404", "placeholder"])
def test_an_outage_is_nobody_s_miss(error: Exception, on_miss: Any, clock: Clock) -> None:
    """503 whatever is chosen for missing files; and the app, which might say 404, is not asked."""
    s3 = Bucket("s3", {A: error})
    stack = stack_on(clock, Local("local"), s3)

    def app(environ: Any, start_response: Any) -> Any:
        raise AssertionError("the app was asked")

    for _ in range(5):
        got = call_wsgi(WSGIMiddleware(app, stack, on_miss=on_miss), "GET", f"/media/{A}")
        assert got.status == 503
        assert (got.get("retry-after") or "").isdigit()
        settle(stack)
    assert len(stack._asker.origins.lookups) == 0


def test_waiting_holds_no_thread_under_asgi(clock: Clock) -> None:
    """Two hundred wait for sixteen threads, and none of the loop's own is used."""
    event, wait = gate()
    s3 = Bucket("s3", {str(number): b"x" for number in range(200)}, wait=wait)
    stack = stack_on(clock, Local("local"), s3)
    app = ASGIMiddleware(None, stack)

    async def main() -> list[int]:
        before = set(threading.enumerate())  # one of another test may just be ending, and has the same name
        tasks = [asyncio.ensure_future(get(app, f"/media/{number}")) for number in range(200)]
        while len(stack._asker.origins.lookups._state.get().flights) < 200 or len(s3.asked) < NETWORK_THREADS:
            await asyncio.sleep(0.001)
        new = {thread.name for thread in set(threading.enumerate()) - before}
        assert len([name for name in new if name.startswith("mediamw-network-s3")]) == NETWORK_THREADS
        assert not [name for name in new if not name.startswith(("mediamw-network-s3", "mediamw-disk"))]
        event.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [302] * 200
    assert {name.rpartition("_")[0] for _, name in s3.threads} == {"mediamw-network-s3"}


def test_each_cause_is_a_line_a_minute(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no more than a few: what a server says may differ each time."""
    now = [1000.0]
    monkeypatch.setattr("mediamw.stack.saying.time.monotonic", lambda: now[0])
    stack = MediaStack([Local("local")])

    def said(*causes: str) -> list[str]:
        caplog.clear()
        for cause in causes:
            stack.say("unavailable s3", f"s3: {cause}", cause)
        return caplog.messages

    assert said("answered 500", "answered 500", "no bucket after 3 s", "no bucket after 4 s") == [
        "s3: answered 500",
        "s3: no bucket after 3 s",
    ]
    now[0] += 59
    letters = [letter * 3 for letter in "abcdefgh"]
    assert said("answered 500", *letters) == ["s3: aaa", "s3: bbb", "s3: ccc"]
    now[0] += 1
    assert said(*letters, "answered 500") == ["s3: ddd", "s3: eee"]
    assert len(stack._sayings._said["unavailable s3"]) == 5
