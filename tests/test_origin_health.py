"""The breaker and the budget of one origin, alone: against a plain model, from many threads, and in a forked child."""

from __future__ import annotations

import math
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
from mediamw.stack.origin_health import FAILURES, MISSES_A_MINUTE, OPEN_SECONDS, OriginHealth

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
    for want in (health.check, lambda: health.call(never)):
        try:
            want()
        except BackendUnavailable as error:
            told.append(error)
        except AssertionError:
            raise AssertionError("check refuses what call lets through") from None
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
    health.check()
    assert health.call(lambda: 1) == 1
    fail(health, 2)  # not four in a row
    health.check()
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
    health.check()
    assert caplog.messages == []
    assert health.call(lambda: "back") == "back"
    assert caplog.messages == ["backend 's3': it answers again"]
    assert health.call(lambda: "back") == "back"
    assert len(caplog.messages) == 1
    fail(health, 2)  # it counts from the start again
    health.check()


@pytest.mark.parametrize(
    "error", [down("s3"), NotServable("x"), KeyError("x"), KeyboardInterrupt()], ids=lambda error: type(error).__name__
)
def test_every_other_error_is_an_answer(health: OriginHealth, clock: Clock, error: BaseException) -> None:
    for _ in range(FAILURES):
        with pytest.raises(type(error)):
            health.call(raising(error))
    health.check()
    fail(health, 2)
    with pytest.raises(type(error)):
        health.call(raising(error))
    fail(health, 2)
    health.check()
    fail(health, 1)
    clock.now += 10
    with pytest.raises(type(error)):  # the one that tries it
        health.call(raising(error))
    health.check()


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
    health.check()


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
        health.check()
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
    health.check()


def test_who_only_looks_whether_he_may_ask_takes_nobody_s_place(health: OriginHealth, clock: Clock) -> None:
    fail(health)
    clock.now += 10
    for _ in range(5):
        health.check()
    assert health.call(lambda: "back") == "back"


def test_a_time_out_counts_as_a_failure(health: OriginHealth) -> None:
    for _ in range(FAILURES):
        health.failed("no answer within 8 s")
    assert "no answer within 8 s" in str(refused(health))


# -- the budget --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("misses", [1, 2, 600])
def test_as_many_misses_as_are_allowed(clock: Clock, misses: int) -> None:
    health = OriginHealth("s3", misses_a_minute=misses, clock=clock)
    for _ in range(misses):
        assert health.call(lambda: None) is None
    error = refused(health)
    assert type(error) is BackendUnavailable, "that one is not Unreachable: the origin did nothing wrong"
    assert error.retry_after == math.ceil(60 / misses)
    assert "misses_a_minute" in str(error)
    assert f"{misses} names" in str(error)
    clock.now += 60 / misses - 0.001
    assert refused(health)
    clock.now += 0.002
    assert health.call(lambda: None) is None
    assert refused(health)


def test_it_fills_to_the_brim_and_not_over(clock: Clock) -> None:
    health = OriginHealth("s3", misses_a_minute=3, clock=clock)
    clock.now += 86_400
    for _ in range(3):
        health.call(lambda: None)
    assert refused(health)


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
        with pytest.raises(BackendUnavailable):
            health.call(raising(down("s3")))
    fail(health, 2)
    health.call(lambda: None)
    assert refused(health)


def test_what_is_no_look_up_costs_nothing_and_is_not_turned_away(clock: Clock) -> None:
    """A file that is known is served while somebody invents names."""
    health = OriginHealth("s3", misses_a_minute=1, clock=clock)
    for _ in range(3):
        assert health.call(lambda: None, is_lookup=False) is None
    health.call(lambda: None)
    assert refused(health)
    health.check(is_lookup=False)
    assert health.call(lambda: 1, is_lookup=False) == 1
    for _ in range(FAILURES):
        health.failed("no answer")
    with pytest.raises(Unreachable):
        health.check(is_lookup=False)
    with pytest.raises(Unreachable):
        health.call(never, is_lookup=False)


def test_an_outage_is_told_before_an_empty_budget(clock: Clock) -> None:
    health = OriginHealth("s3", misses_a_minute=1, clock=clock)
    fail(health, 2)
    health.call(lambda: None)
    health.failed("a")
    health.failed("b")
    health.failed("c")
    assert isinstance(refused(health), Unreachable)


# -- against a model ---------------------------------------------------------------------------------------------------

MISSES = 15
COST = 4  # seconds for one miss to come back; a quarter each second is exact in a float


class Model(RuleBasedStateMachine):
    """The rules once more, in plain numbers. Seconds are whole, so that nothing is rounded."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.health = OriginHealth("s3", misses_a_minute=MISSES, clock=self.clock)
        self.in_a_row = 0
        self.closed_from: float | None = None  # the breaker is open until then; None if it is shut
        self.quarters = MISSES * COST

    def expected(self) -> type[Exception] | None:
        if self.closed_from is not None and self.clock.now < self.closed_from:
            return Unreachable
        return BackendUnavailable if self.quarters < COST else None

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
        if outcome == "missing":
            self.quarters -= COST

    @rule(outcome=st.sampled_from(["found", "missing", "missing", "down", "dead", "dead", "dead"]))
    def call(self, outcome: str) -> None:
        self.ask(outcome)

    @rule(times=st.integers(1, 20))
    def flood(self, times: int) -> None:
        for _ in range(times):
            self.ask("missing")

    @rule(seconds=st.sampled_from([1, 4, 5, 9, 10, 15, 40]))
    def pass_time(self, seconds: int) -> None:
        self.clock.now += seconds
        self.quarters = min(MISSES * COST, self.quarters + seconds)

    @invariant()
    def check_agrees(self) -> None:
        try:
            self.health.check()
        except BackendUnavailable as error:
            assert type(error) is self.expected()  # noqa: PT017
            assert 1 <= error.retry_after <= 10  # noqa: PT017
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
        health.check()
        fail(health)
        return isinstance(refused(health), Unreachable)

    with health._state.get().lock:  # held by another thread of the parent, for good as far as the child can see
        assert in_a_child(check)
    assert refused(health)
