"""An upper across a network: how often it is asked, how long that may take, and how many rounds."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mediamw import BackendUnavailable, MediaStack, Unreachable
from mediamw.core.keys import Key, is_state
from mediamw.core.model import Hidden, Missing, Redirect
from mediamw.stack.whiteouts import marker_of

from .fakes import FarMemory, Local, gate

KEY = Key("a.jpg")


class Upper(FarMemory):
    """Notes what it is asked; ``before`` is called with each key before it answers."""

    def __init__(self) -> None:
        super().__init__(name="upper")
        self.asked: list[str] = []
        self.before: Any = lambda _: None

    def open(self, key: Key) -> Any:
        self.asked.append(key)
        self.before(key)
        return super().open(key)


@pytest.fixture
def upper() -> Upper:
    return Upper()


def stack_on(upper: Upper, **options: Any) -> MediaStack:
    return MediaStack([upper, Local("prod", {KEY: b"production"})], **options)


def test_file_and_whiteout_are_asked_for_at_once(upper: Upper) -> None:
    """Each question waits for the other: one after the other they would wait for ever."""
    both = threading.Barrier(2, timeout=10)
    upper.before = lambda _: both.wait()
    found = stack_on(upper).find(KEY)
    assert getattr(found, "backend", None) == "prod"
    assert sorted(upper.asked) == sorted([KEY, marker_of(KEY)] * 2)


def test_a_file_takes_one_round_and_without_lowers_one_question(upper: Upper) -> None:
    upper.put(KEY, b"mine")
    assert isinstance(stack_on(upper).find(KEY), Redirect)
    assert upper.asked.count(KEY) == 1
    upper.asked.clear()
    alone = MediaStack([upper])
    assert isinstance(alone.find(KEY), Redirect)
    assert alone.find("nobody") == Missing()
    assert upper.asked == [KEY, "nobody"]


def test_those_who_ask_at_once_share_no_answer(upper: Upper) -> None:
    """The first question was put before the upload: whoever asks after it must not get its answer."""
    upper.put(marker_of(KEY), KEY.encode())
    opened, wait = gate()
    arrived = threading.Event()

    def hold(key: Key) -> None:
        if key == KEY and not arrived.is_set():
            arrived.set()
            wait()

    upper.before = hold
    stack = stack_on(upper)
    first = threading.Thread(target=stack.find, args=(KEY,))
    first.start()
    assert arrived.wait(10)
    stack.save(KEY, b"new", names="replace")
    assert isinstance(stack.find(KEY), Redirect)
    opened.set()
    first.join(10)


def test_the_rounds_share_the_time_of_one_look_up(upper: Upper) -> None:
    opened, wait = gate()
    upper.before = lambda key: wait() if len(upper.asked) > 2 else None
    stack = stack_on(upper, deadline=0.3)
    try:
        with pytest.raises(Unreachable, match=r"no answer within 0\.3 s"):
            stack.find(KEY)
    finally:
        opened.set()


@pytest.mark.parametrize("fails", [KEY, marker_of(KEY)])
def test_if_one_of_both_cannot_be_told_nothing_can(upper: Upper, fails: Key) -> None:
    def fail(key: Key) -> None:
        if key == fails:
            raise BackendUnavailable("it is down", backend="upper")

    upper.before = fail
    stack = stack_on(upper)
    for call in (stack.find, stack.stat, stack.exists, stack.open):
        with pytest.raises(BackendUnavailable, match="it is down"):
            call(KEY)


@pytest.mark.parametrize("seen", ["--", "-w", "ww", "w--", "w-w"])
def test_the_rounds(upper: Upper, seen: str) -> None:
    """``seen`` says in which rounds there was a whiteout, which others set and clear. There are three at most."""
    whiteout, rounds = FarMemory({"x": b"a.jpg"})._files[Key("x")], iter(seen)

    def come_and_go(key: Key) -> None:
        if is_state(key):
            upper._files.pop(key, None)
            if next(rounds) == "w":
                upper._files[key] = whiteout

    upper.before = come_and_go
    found = stack_on(upper).find(KEY)
    assert isinstance(found, Hidden) is seen.endswith("w")
    assert upper.asked.count(KEY) == len(seen)
