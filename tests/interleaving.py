"""Operations on one upper, taken step by step in every order in which these can meet.

A step is one call of the upper; whoever makes an upper says where ``Turns.step`` is called.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from mediamw import MediaStack

KEY = "a.jpg"

Outcome = tuple[Any, ...]


class Turns:
    """Lets threads take steps one at a time, in the order that is asked for."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance
        self._mine: dict[int, threading.Semaphore] = {}
        self._arrived = threading.Semaphore(0)
        self._finished: set[int] = set()
        self.local = threading.local()
        self.widths: list[int] = []
        self._owners: dict[str, int] = {}
        self._blocked: dict[int, str] = {}

    def step(self) -> None:
        """Called by the upper: wait for the turn of this thread; nothing waits while the scene is set."""
        number = getattr(self.local, "number", None)
        if number is not None:
            self._arrived.release()
            assert self._mine[number].acquire(timeout=20)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """A lock in the place of a file's: whoever waits for it is not among those who may take a step."""
        number = getattr(self.local, "number", None)
        if number is None:
            yield
            return
        self.step()
        while name in self._owners:
            self._blocked[number] = name
            self.step()
        self._blocked.pop(number, None)
        self._owners[name] = number
        try:
            yield
        finally:
            del self._owners[name]

    def run(self, operations: list[Callable[[], Any]], choices: list[int], pool: ThreadPoolExecutor) -> list[Any]:
        """Run the operations; ``choices`` says who of those that are not done goes on, and is made longer as needed.

        Return their results; ``widths`` has how many there were to choose from each time.
        """
        self._mine = {number: threading.Semaphore(0) for number in range(len(operations))}
        futures: list[Future[Any]] = []
        for number, operation in enumerate(operations):
            futures.append(pool.submit(self._one, number, operation))
            assert self._arrived.acquire(timeout=20)  # it stands before its first step, or has none
        widths = []
        waiting = [number for number in range(len(operations)) if number not in self._finished]
        while waiting:
            ready = [number for number in waiting if self._blocked.get(number) not in self._owners]
            if len(widths) == len(choices):
                choices.append(0 if self._chance is None else self._chance.randrange(len(ready)))
            chosen = ready[choices[len(widths)]]
            widths.append(len(ready))
            self._mine[chosen].release()
            assert self._arrived.acquire(timeout=20)
            if chosen in self._finished:
                waiting.remove(chosen)
        self.widths = widths
        return [future.result(20) for future in futures]

    def _one(self, number: int, operation: Callable[[], Any]) -> Any:
        self.local.number = number
        try:
            return operation()
        finally:
            self.local.number = None
            self._finished.add(number)
            self._arrived.release()


def advance(choices: list[int], widths: list[int]) -> bool:
    """Make the order that was taken the next one; False if it was the last."""
    del choices[len(widths) :]
    while choices and choices[-1] + 1 == widths[len(choices) - 1]:
        choices.pop()
    if choices:
        choices[-1] += 1
    return bool(choices)


def told_by(names: tuple[str, ...], results: list[Any]) -> list[Any]:
    """Return the results; the suffix of a saved name is by chance."""
    return [
        "elsewhere" if name == "save" and result != KEY else result for name, result in zip(names, results, strict=True)
    ]


class Walks:
    """All orders of ``operations``. ``scene`` sets one of some scenes and returns what makes stacks on its upper;
    ``seen`` says what a stack shows of the key."""

    def __init__(
        self,
        scene: Callable[[str, Turns], Callable[[], MediaStack]],
        operations: Mapping[str, Callable[[MediaStack], Any]],
        seen: Callable[[MediaStack], str],
    ) -> None:
        self._scene, self._operations, self._seen = scene, operations, seen

    def check(self, name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> int:
        """Take the steps of ``names`` on the scene ``name`` in every order; return how many there are."""
        allowed = self.in_some_order(name, names)
        if "reset" in names:
            # To a save that looks again it looks like a delete: hidden is the safe side, and can be restored.
            allowed |= {("Hidden", *others) for _, *others in allowed if names[0] in ("replace", "save")}
        choices: list[int] = []
        for walked in itertools.count(1):
            _, got, widths = self.take(name, names, pool, choices)
            assert got in allowed, f"{names} on {name!r}, in the order {choices}: {got}"
            if not advance(choices, widths):
                return walked
        raise AssertionError("an endless count ended")

    def in_some_order(self, name: str, names: tuple[str, ...]) -> set[Outcome]:
        """Return the outcomes of the operations one after the other, in every order."""
        outcomes = set()
        for order in itertools.permutations(range(len(names))):
            make = self._scene(name, Turns())
            results: list[Any] = [None] * len(names)
            for number in order:
                results[number] = self._operations[names[number]](make())
            outcomes.add(self._outcome(make(), results, names))
        return outcomes

    def take(
        self,
        name: str,
        names: tuple[str, ...],
        pool: ThreadPoolExecutor,
        choices: list[int],
        chance: random.Random | None = None,
    ) -> tuple[list[int], Outcome, list[int]]:
        """Take one order: ``choices``, then the first that can go on, or any. Return it, outcome, ``widths``."""
        turns = Turns(chance)
        make = self._scene(name, turns)
        results = turns.run([partial(self._operations[one], make()) for one in names], choices, pool)
        return choices, self._outcome(make(), results, names), turns.widths

    def _outcome(self, stack: MediaStack, results: list[Any], names: tuple[str, ...]) -> Outcome:
        """What the key is in the end, and what the readers saw."""
        return self._seen(stack), *told_by(names, results)


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made
