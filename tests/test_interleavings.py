"""Every order in which the steps of save, delete, restore and a reader can meet on one upper, whoever takes them.

A step is one call of the upper. After all of them are done the key must be what some order of the whole operations
leaves, and a reader must have seen what some order shows. So a deleted file of production never comes back by itself.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from mediamw import MediaStack, MemoryBackend
from mediamw.core.keys import Key
from mediamw.core.model import Held, Hidden, Missing, Redirect
from mediamw.stack import writing
from mediamw.stack.whiteouts import marker_of

from .fakes import Local

KEY = "a.jpg"


class Turns:
    """Lets threads take steps one at a time, in the order that is asked for."""

    def __init__(self) -> None:
        self._mine: dict[int, threading.Semaphore] = {}
        self._arrived = threading.Semaphore(0)
        self._finished: set[int] = set()
        self.local = threading.local()
        self.widths: list[int] = []

    def step(self) -> None:
        """Called by the upper: wait for the turn of this thread; nothing waits while the scene is set."""
        number = getattr(self.local, "number", None)
        if number is not None:
            self._arrived.release()
            assert self._mine[number].acquire(timeout=20)

    def run(self, operations: list[Callable[[], Any]], choices: list[int], pool: ThreadPoolExecutor) -> list[Any]:
        """Run the operations; ``choices`` says who of those that are not done goes on, and is made longer as needed.

        Return their results; ``widths`` has how many there were to choose from each time.
        """
        self._mine = {number: threading.Semaphore(0) for number in range(len(operations))}
        futures: list[Future[Any]] = []
        for number, operation in enumerate(operations):
            futures.append(pool.submit(self._one, number, operation))
            assert self._arrived.acquire(timeout=20)  # it stands before its first step
        widths = []
        waiting = list(range(len(operations)))
        while waiting:
            if len(widths) == len(choices):
                choices.append(0)
            chosen = waiting[choices[len(widths)]]
            widths.append(len(waiting))
            self._mine[chosen].release()
            assert self._arrived.acquire(timeout=20)
            if chosen in self._finished:
                waiting.remove(chosen)
        self.widths = widths
        return [future.result(20) for future in futures]

    def _one(self, number: int, operation: Callable[[], Any]) -> Any:
        self.local.number = number
        try:
            self.step()
            return operation()
        finally:
            self.local.number = None
            self._finished.add(number)
            self._arrived.release()


class Stepped(MemoryBackend):
    """An upper of which each call is a step."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        super().__init__(name="local")

    def open(self, key: Key) -> Any:
        self.turns.step()
        return super().open(key)

    def keep(self, *arguments: Any) -> None:
        self.turns.step()
        super().keep(*arguments)

    def delete(self, key: Key) -> bool:
        self.turns.step()
        return super().delete(key)


def seen(stack: MediaStack) -> str:
    found = stack.find(KEY)
    if isinstance(found, Held):
        with closing(found.handle) as handle:
            return f"{found.backend}: {b''.join(handle.chunks(0, handle.meta.size or 0)).decode()}"
    assert isinstance(found, (Hidden, Missing, Redirect))
    return type(found).__name__


OPERATIONS: dict[str, Callable[[MediaStack], Any]] = {
    "replace": lambda stack: stack.save(KEY, b"new", names="replace"),
    "save": lambda stack: stack.save(KEY, b"other", names="shadow"),
    "delete": lambda stack: (stack.delete(KEY), None)[1],
    "restore": lambda stack: (stack.restore(KEY), None)[1],
    "reset": lambda stack: (stack.reset(KEY), None)[1],
    "find": seen,
}

SCENES = ("nothing", "upload", "hidden", "both")


def scene(name: str, turns: Turns) -> tuple[Stepped, Callable[[], MediaStack]]:
    upper = Stepped(turns)
    if name in ("upload", "both"):
        upper.put(Key(KEY), b"old")
    if name in ("hidden", "both"):
        upper.put(marker_of(Key(KEY)), KEY.encode())
    return upper, lambda: MediaStack([upper, Local("prod", {KEY: b"production"})])


def outcome(upper: Stepped, stack: MediaStack, results: list[Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    """What the key is in the end, and what the readers saw. The suffix of a name is by chance."""
    saved = [
        "elsewhere" if name == "save" and result != KEY else result for name, result in zip(names, results, strict=True)
    ]
    return seen(stack), *saved


def in_some_order(name: str, names: tuple[str, ...]) -> set[tuple[Any, ...]]:
    """Return the outcomes of the operations one after the other, in every order."""
    outcomes = set()
    for order in itertools.permutations(range(len(names))):
        upper, make = scene(name, Turns())
        results: list[Any] = [None] * len(names)
        for number in order:
            results[number] = OPERATIONS[names[number]](make())
        outcomes.add(outcome(upper, make(), results, names))
    return outcomes


def walk(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> Iterator[tuple[list[int], tuple[Any, ...]]]:
    """Yield every order of steps, and its outcome."""
    choices: list[int] = []
    while True:
        turns = Turns()
        upper, make = scene(name, turns)
        stacks = [make() for _ in names]
        operations = [partial(OPERATIONS[one], stack) for one, stack in zip(names, stacks, strict=True)]
        results = turns.run(operations, choices, pool)
        yield choices, outcome(upper, make(), results, names)
        del choices[len(turns.widths) :]
        while choices and choices[-1] + 1 == turns.widths[len(choices) - 1]:
            choices.pop()
        if not choices:
            return
        choices[-1] += 1


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def check(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> int:
    allowed = in_some_order(name, names)
    if (
        "reset" in names
    ):  # to a save that looks again it looks like a delete: hidden is the safe side, and can be restored
        allowed |= {("Hidden", *seen) for _, *seen in allowed if names[0] in ("replace", "save")}
    walked = 0
    for choices, got in walk(name, names, pool):
        assert got in allowed, f"{names} on {name!r}, in the order {choices}"
        walked += 1
    return walked


PAIRS = list(itertools.combinations_with_replacement(OPERATIONS, 2))


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", PAIRS, ids=" ".join)
def test_two_at_once(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    assert check(name, names, pool) > 1


TRIPLES = [("replace", "delete", "delete"), ("replace", "delete", "find"), ("replace", "replace", "delete")]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", TRIPLES, ids=" ".join)
def test_three_at_once(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    assert check(name, names, pool) > 100


@pytest.mark.parametrize("lost", ["save", "delete"])
def test_without_the_second_look_production_comes_back(
    lost: str, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The walk finds what the second look is for: without either's an order brings production's file back."""
    if lost == "save":
        monkeypatch.setattr(writing, "has", lambda *_: True)
    else:
        real = writing.Whiteouts.is_set
        asked = threading.local()

        def is_set(self: Any, key: Key) -> bool:
            asked.number = getattr(asked, "number", 0) + 1
            return real(self, key) if asked.number % 2 else True

        monkeypatch.setattr(writing.Whiteouts, "is_set", is_set)
    assert any(breaks(name, pool) for name in SCENES)


def breaks(name: str, pool: ThreadPoolExecutor) -> bool:
    try:
        check(name, ("replace", "delete"), pool)
    except AssertionError as error:
        return "prod: production" in str(error)
    return False
