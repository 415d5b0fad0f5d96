"""The breaker and the budget of one origin, alone: against a plain model, from many threads, and in a forked child."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mediamw import BackendUnavailable
from mediamw.core.errors import NotServable, Unreachable
from mediamw.stack.origin_health import FAILURES, MISSES_A_MINUTE, OPEN_SECONDS, OriginHealth, Probe

from .fakes import Clock, dead, down, gate, until
from .test_lookups_limits import forks, in_a_child, may_be_threaded


def raising(error: BaseException) -> Callable[[], Any]:
    def ask() -> Any:
        raise error

    return ask


def fail(health: OriginHealth, times: int = FAILURES) -> None:
    for _ in range(times):
        with pytest.raises(Unreachable, match="does not answer"):
            health.call(raising(dead("s3")))


def never() -> Any:
    raise AssertionError("it was asked")


def refused(health: OriginHealth) -> BackendUnavailable | None:
    """What whoever wants to ask is told; the same before the queue and after it, and nobody is asked."""
    told: list[BackendUnavailable | None] = []
    for want in (health.admit, lambda: health.call(never)):
        try:
            want()
        except BackendUnavailable as error:
            told.append(error)
        except AssertionError:
            raise AssertionError("admit refuses what call lets through") from None
    assert [type(error) for error in told] == [type(told[0])] * 2
    return told[0]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def health(clock: Clock, lines: list[str]) -> OriginHealth:
    return OriginHealth("s3", clock=clock, told=lines.append)


# -- the breaker -------------------------------------------------------------------------------------------------------


def test_the_numbers_that_are_documented() -> None:
    assert (FAILURES, OPEN_SECONDS, MISSES_A_MINUTE) == (3, 10, 600)


def test_two_failures_are_no_outage(health: OriginHealth, lines: list[str]) -> None:
    fail(health, 2)
    health.admit()
    assert health.call(lambda: 1) == 1
    fail(health, 2)  # not four in a row
    health.admit()
    assert lines == []


def test_three_failures_open_it_for_ten_seconds(
    health: OriginHealth, clock: Clock, lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mediamw")
    fail(health)
    error = refused(health)
    assert isinstance(error, Unreachable)
    assert (error.backend, error.retry_after) == ("s3", 10)
    assert "did not answer 3 times in a row" in str(error)
    assert "it does not answer" in str(error), "what the last failure said"
    [line] = lines
    assert line.startswith("backend 's3': 3 failures in a row, so it is not asked for 10 s")
    clock.now += 9.99
    assert refused(health).retry_after == 1
    clock.now += 0.01
    health.admit()
    assert caplog.messages == []
    assert health.call(lambda: "back") == "back"
    assert caplog.messages == ["backend 's3': it answers again"]
    assert health.call(lambda: "back") == "back"
    assert len(caplog.messages) == 1
    fail(health, 2)  # it counts from the start again
    health.admit()


@pytest.mark.parametrize(
    "error", [down("s3"), NotServable("x"), KeyError("x"), KeyboardInterrupt()], ids=lambda error: type(error).__name__
)
def test_every_other_error_is_an_answer(health: OriginHealth, clock: Clock, error: BaseException) -> None:
    for _ in range(FAILURES):
        with pytest.raises(type(error)):
            health.call(raising(error))
    health.admit()
    fail(health, 2)
    with pytest.raises(type(error)):
        health.call(raising(error))
    fail(health, 2)
    health.admit()
    fail(health, 1)
    clock.now += 10
    with pytest.raises(type(error)):  # the one that tries it
        health.call(raising(error))
    health.admit()


def test_a_failure_of_the_one_that_tries_opens_it_for_ten_more(
    health: OriginHealth, clock: Clock, lines: list[str]
) -> None:
    fail(health)
    for _ in range(3):
        clock.now += 10
        fail(health, 1)
        assert refused(health).retry_after == 10
    assert len(lines) == 1, "said once for each outage"
    clock.now += 10
    health.call(lambda: 1)
    fail(health)
    assert len(lines) == 2


def test_what_was_asked_before_it_opened_and_answers_closes_it(health: OriginHealth) -> None:
    event, wait = gate()
    begun = threading.Event()

    def slow() -> str:
        begun.set()
        wait()
        return "late"

    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(health.call, slow)
        assert begun.wait(10)
        fail(health)
        assert refused(health)
        event.set()
        assert late.result(10) == "late"
    health.admit()


@pytest.mark.parametrize("back", [True, False])
def test_of_twenty_at_once_one_is_let_through(health: OriginHealth, clock: Clock, back: bool) -> None:
    fail(health)
    clock.now += 10
    event, wait = gate()
    asked: list[int] = []
    start = threading.Barrier(20)

    def probe() -> str:
        asked.append(1)
        wait()
        if not back:
            raise dead("s3")
        return "back"

    def one() -> str:
        start.wait(10)
        try:
            return health.call(probe)
        except Unreachable as error:
            return f"{error.retry_after}"

    with ThreadPoolExecutor(20) as threads:
        answers = [threads.submit(one) for _ in range(20)]
        until(lambda: sum(answer.done() for answer in answers) == 19)
        assert asked == [1]
        assert refused(health), "before the queue too"
        event.set()
        results = sorted(answer.result(10) for answer in answers)
    assert results == sorted(["10"] * 19 + ["back" if back else "10"])
    if back:
        health.admit()
        assert health.call(lambda: 2) == 2
    else:
        assert refused(health)


def test_one_that_tries_and_never_comes_back_does_not_block_for_ever(health: OriginHealth, clock: Clock) -> None:
    fail(health)
    clock.now += 10
    event, wait = gate()
    with ThreadPoolExecutor(1) as threads:
        begun = threading.Event()
        lost = threads.submit(health.call, lambda: (begun.set(), wait()))
        assert begun.wait(10)
        clock.now += 9.9
        assert refused(health).retry_after == 1
        clock.now += 0.1
        assert health.call(lambda: "back") == "back"
        event.set()
        lost.result(10)
    health.admit()


def test_the_first_who_is_admitted_has_the_place_before_he_begins(health: OriginHealth, clock: Clock) -> None:
    fail(health)
    clock.now += 10
    probe = health.admit()
    assert probe is not None
    for _ in range(3):
        with pytest.raises(Unreachable, match="left alone") as caught:
            health.admit()
        assert caught.value.retry_after == 10
    assert health.call(lambda: "back") == "back"
    assert health.admit() is None, "and nobody needs a place any more"
    health.leave(probe)
    assert health.admit() is None


def test_a_place_that_is_given_back_is_the_next_one_s(health: OriginHealth, clock: Clock) -> None:
    fail(health)
    clock.now += 10
    for _ in range(3):
        health.leave(health.admit())
    probe = health.admit()
    with suppress(Unreachable):
        health.call(raising(dead("s3")))
    health.leave(probe)
    health.got_no_thread(probe)
    error = refused(health)
    assert error is not None
    assert error.retry_after == 10, "what was given back late changes nothing"


def test_who_has_begun_gives_no_place_back(health: OriginHealth, clock: Clock) -> None:
    fail(health)
    clock.now += 10
    probe = health.admit()

    def leaves() -> int:
        health.leave(probe)  # the client went; the thread asks all the same
        assert refused(health)
        return 1

    assert health.call(leaves) == 1
    health.admit()


def test_a_place_that_is_never_given_back_is_free_after_ten_seconds(health: OriginHealth, clock: Clock) -> None:
    fail(health)
    clock.now += 10
    health.admit()
    clock.now += 9.99
    with pytest.raises(Unreachable):
        health.admit()
    clock.now += 0.01
    assert health.admit() is not None


def test_who_tries_and_gets_no_thread_opens_it_for_ten_more(health: OriginHealth, clock: Clock) -> None:
    fail(health)
    clock.now += 10
    probe = health.admit()
    clock.now += 8
    health.got_no_thread(probe)
    error = refused(health)
    assert error is not None
    assert error.retry_after == 10
    clock.now += 10
    assert health.call(lambda: 1) == 1
    health.got_no_thread(probe)
    health.admit()


def not_asked() -> BackendUnavailable:
    return BackendUnavailable("that cannot be sent", backend="s3", answered=False)


def test_what_was_found_out_without_asking_is_no_answer(clock: Clock) -> None:
    health = OriginHealth("s3", misses_a_minute=1, clock=clock)
    for _ in range(5):  # and costs nothing
        with pytest.raises(BackendUnavailable, match="cannot be sent"):
            health.call(raising(not_asked()))
    fail(health, 2)
    with pytest.raises(BackendUnavailable):
        health.call(raising(not_asked()))
    fail(health, 1)
    assert isinstance(refused(health), Unreachable)
    clock.now += 10
    with pytest.raises(BackendUnavailable, match="cannot be sent"):
        health.call(raising(not_asked()))
    assert isinstance(health.admit(), Probe), "it is open still, and the next one tries it"
    assert health.call(lambda: "back") == "back"


def failing(health: OriginHealth, key: str, *, answered: bool = True, watch: bool = False) -> None:
    ask = raising(Unreachable("it answered 500", backend="s3", answered=answered))
    with pytest.raises(Unreachable, match="answered 500"):
        list(health.watch(ask, key)) if watch else health.call(ask, key=key)


@pytest.mark.parametrize("watch", [False, True])
def test_one_broken_file_is_one_failure(health: OriginHealth, clock: Clock, watch: bool) -> None:
    for _ in range(20):
        failing(health, "a", watch=watch)
        failing(health, "b", watch=watch)
    health.admit()
    failing(health, "c", watch=watch)
    assert refused(health)
    clock.now += 10
    failing(health, "a", watch=watch)  # who tries it: nothing says that it is back
    assert refused(health)
    clock.now += 10
    health.call(lambda: 1)
    failing(health, "a")
    failing(health, "b")
    failing(health, "a")
    health.admit()
    assert health._state.get().broken == {"a", "b"}


def test_no_answer_counts_each_time_and_so_does_what_is_about_no_file(health: OriginHealth, clock: Clock) -> None:
    for key, answered in (("a", False), ("", True)):
        for _ in range(FAILURES):
            health.admit()
            failing(health, key, answered=answered)
        assert refused(health)
        clock.now += 10
        health.call(lambda: 1)


def test_broken_files_of_a_long_outage_take_no_room(health: OriginHealth, clock: Clock) -> None:
    for number in range(50):
        clock.now += 10
        failing(health, str(number))
    assert len(health._state.get().broken) == FAILURES


def test_a_time_out_counts_as_a_failure(health: OriginHealth) -> None:
    for _ in range(FAILURES):
        health.timed_out("no answer within 8 s")
    assert "no answer within 8 s" in str(refused(health))


# -- the budget --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("misses", [1, 2, 600])
def test_as_many_misses_as_are_allowed(clock: Clock, misses: int) -> None:
    health = OriginHealth("s3", misses_a_minute=misses, clock=clock)
    for _ in range(misses):
        assert health.call(lambda: None) is None
    error = refused(health)
    assert type(error) is BackendUnavailable, "that one is not Unreachable: the origin did nothing wrong"
    assert error.retry_after == 60
    assert "misses_a_minute" in str(error)
    assert f"{misses} names" in str(error)
    clock.now += 59.999
    assert refused(health)
    clock.now += 0.001
    for _ in range(misses):
        assert health.call(lambda: None) is None
    assert refused(health)


def test_it_is_as_full_after_a_day(clock: Clock) -> None:
    health = OriginHealth("s3", misses_a_minute=3, clock=clock)
    clock.now += 86_400
    for _ in range(3):
        health.call(lambda: None)
    assert refused(health)


@pytest.mark.parametrize("per_second", [0.5, 7, 20, 1000])
def test_never_more_in_any_minute(clock: Clock, per_second: float) -> None:
    """Not only in those that begin when the flood does."""
    health = OriginHealth("s3", misses_a_minute=60, clock=clock)
    asked: list[float] = []
    for _ in range(int(min(per_second * 200, 60_000))):
        clock.now += 1 / per_second
        with suppress(BackendUnavailable):
            health.call(lambda: asked.append(clock.now))
    for number, first in enumerate(asked):
        assert len([when for when in asked[number : number + 61] if when < first + 60]) <= 60
    assert len(asked) >= min(per_second, 1) * 60 * int(clock.now - 1000) // 60 - 60, "and not much less"
    assert len(health._state.get().misses._seconds) <= 62


@pytest.mark.parametrize(("second", "free_at"), [(0.9, [60.9, 60.9]), (30, [60, 90])])
def test_each_comes_back_a_minute_later(clock: Clock, second: float, free_at: list[float]) -> None:
    """Those of one second come back together, with the last of them."""
    health = OriginHealth("s3", misses_a_minute=2, clock=clock)
    for when in (0, second):
        clock.now = when
        health.call(lambda: None)
    for when in free_at:
        clock.now = max(clock.now, when - 0.001)
        if clock.now < when:
            assert refused(health)
        clock.now = when
        health.call(lambda: None)
    assert refused(health)


def test_what_is_under_way_at_the_end_counts_for_the_next_minute(clock: Clock) -> None:
    """Five ask at once for the last one: that is all that there may be too many, and they are paid for."""
    health = OriginHealth("s3", misses_a_minute=2, clock=clock)
    start = threading.Barrier(5)
    with ThreadPoolExecutor(5) as threads:
        for done in [threads.submit(health.call, lambda: start.wait(10) and None) for _ in range(5)]:
            done.result(10)
    clock.now += 30
    error = refused(health)
    assert error is not None
    assert error.retry_after == 30


def test_what_comes_back_while_it_is_asked_does_not_pay_for_it(clock: Clock) -> None:
    health = OriginHealth("s3", misses_a_minute=1, clock=clock)

    def slow() -> None:
        clock.now += 60

    health.call(slow)
    assert refused(health)


def test_what_exists_costs_nothing(clock: Clock) -> None:
    health = OriginHealth("s3", misses_a_minute=1, clock=clock)
    for _ in range(10):
        health.call(lambda: 1)
    fail(health, 2)
    health.call(lambda: None)
    assert refused(health)


def test_what_the_origin_cannot_tell_of_costs_as_much_as_what_it_has_not(clock: Clock) -> None:
    health = OriginHealth("s3", misses_a_minute=2, clock=clock)
    for _ in range(5):
        with pytest.raises(BackendUnavailable):
            health.call(raising(down("s3")), is_lookup=False)
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="it is down"):
            health.call(raising(down("s3")))
    error = refused(health)
    assert "cannot tell of" in str(error)
    assert type(error) is BackendUnavailable


def test_what_is_no_look_up_costs_nothing_and_is_not_turned_away(clock: Clock) -> None:
    """A file that is known is served while somebody invents names."""
    health = OriginHealth("s3", misses_a_minute=1, clock=clock)
    for _ in range(3):
        assert health.call(lambda: None, is_lookup=False) is None
    health.call(lambda: None)
    assert refused(health)
    health.admit(is_lookup=False)
    assert health.call(lambda: 1, is_lookup=False) == 1
    for _ in range(FAILURES):
        health.timed_out("no answer")
    with pytest.raises(Unreachable):
        health.admit(is_lookup=False)
    with pytest.raises(Unreachable):
        health.call(never, is_lookup=False)


def test_an_outage_is_told_before_an_empty_budget(clock: Clock) -> None:
    health = OriginHealth("s3", misses_a_minute=1, clock=clock)
    fail(health, 2)
    health.call(lambda: None)
    health.timed_out("a")
    health.timed_out("b")
    health.timed_out("c")
    assert isinstance(refused(health), Unreachable)


# -- against a model ---------------------------------------------------------------------------------------------------

MISSES = 15


class Model(RuleBasedStateMachine):
    """The rules once more, in plain numbers. Seconds are whole, so that nothing is rounded."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.health = OriginHealth("s3", misses_a_minute=MISSES, clock=self.clock)
        self.in_a_row = 0
        self.closed_from: float | None = None  # the breaker is open until then; None if it is shut
        self.misses: list[float] = []  # when

    def expected(self) -> type[Exception] | None:
        if self.closed_from is not None and self.clock.now < self.closed_from:
            return Unreachable
        return (
            BackendUnavailable if len([when for when in self.misses if when > self.clock.now - 60]) >= MISSES else None
        )

    def ask(self, outcome: str) -> None:
        def origin() -> Any:
            if outcome == "dead":
                raise dead("s3")
            if outcome == "down":
                raise down("s3")
            return None if outcome == "missing" else 1

        expected = self.expected()
        if expected is not None:
            with pytest.raises(expected) as caught:
                self.health.call(never)
            assert caught.type is expected
            return
        with suppress(BackendUnavailable):
            self.health.call(origin)
        if outcome == "dead":
            self.in_a_row += 1
            if self.in_a_row >= 3:
                self.closed_from = self.clock.now + 10
            return
        self.in_a_row, self.closed_from = 0, None
        if outcome in ("missing", "down"):
            self.misses.append(self.clock.now)

    @rule(outcome=st.sampled_from(["found", "missing", "missing", "down", "dead", "dead", "dead"]))
    def call(self, outcome: str) -> None:
        self.ask(outcome)

    @rule(times=st.integers(1, 20))
    def flood(self, times: int) -> None:
        for _ in range(times):
            self.ask("missing")

    @rule(seconds=st.sampled_from([1, 4, 5, 9, 10, 15, 40, 60]))
    def pass_time(self, seconds: int) -> None:
        self.clock.now += seconds

    @invariant()
    def check_agrees(self) -> None:
        try:
            self.health.leave(self.health.admit())
        except BackendUnavailable as error:
            assert type(error) is self.expected()  # noqa: PT017
            assert 1 <= error.retry_after <= 60  # noqa: PT017
        else:
            assert self.expected() is None


Model.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestModel = Model.TestCase


# -- forks -------------------------------------------------------------------------------------------------------------


@forks
@may_be_threaded
def test_a_forked_child_finds_out_by_itself(clock: Clock) -> None:
    health = OriginHealth("s3", misses_a_minute=1, clock=clock)
    fail(health)
    parent = os.getpid()

    def check() -> bool:
        assert os.getpid() != parent
        health.admit()
        fail(health)
        return isinstance(refused(health), Unreachable)

    with health._state.get().lock:  # held by another thread of the parent, for good as far as the child can see
        assert in_a_child(check)
    assert refused(health)
