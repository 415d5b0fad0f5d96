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
from mediamw.stack import asking, remote_upper, writing
from mediamw.stack.whiteouts import marker_of

from .fakes import FarMemory, Local

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


class SteppedFar(FarMemory):
    """An upper across a network: each request is a step. It asks before it deletes, as a bucket has to."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        super().__init__(name="local")

    last = threading.local()  # what the thread has found: it may be gone before the client comes

    def open(self, key: Key) -> Any:
        self.turns.step()
        if key == KEY in self.files:
            self.last.found = self.files[key]
        return super().open(key)

    def keep(self, *arguments: Any) -> None:
        self.turns.step()
        super().keep(*arguments)

    def delete(self, key: Key) -> bool:
        if self.open(key) is None:
            return False
        self.turns.step()
        super().delete(key)
        return True


class Late(Future[Any]):
    """Asks when somebody waits for it."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        super().__init__()
        self._ask = ask

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            self.set_result(self._ask())
        return super().result(timeout)


class InTurn:
    """A pool that asks in the thread of whoever submits. ``orders`` says for each round of an upper across a network
    which of its two questions, put at once, arrives first: ``f`` the file's, ``w`` the whiteout's."""

    orders = "f"
    rounds = threading.local()

    def __init__(self, _threads: int, name: str) -> None:
        self.is_for_files = name.startswith("mediamw-network")

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Late(partial(function, *args, **kwargs))
        number = getattr(self.rounds, "number", 0)
        if self.is_for_files:
            self.rounds.number = number + 1
        if not self.is_for_files or self.orders[number % len(self.orders)] == "f":
            future.result()
        return future

    def close(self) -> None:
        """There is nothing to end."""


def seen(stack: MediaStack) -> str:
    InTurn.rounds.number = 0
    found = stack.find(KEY)
    if isinstance(found, Redirect):
        return f"{found.backend}: {SteppedFar.last.found.decode()}"
    if isinstance(found, Held):
        with closing(found.handle) as handle:
            return f"{found.backend}: {b''.join(handle.chunks(0, handle.meta.size or 0)).decode()}"
    assert isinstance(found, (Hidden, Missing))
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


def scene(name: str, turns: Turns, kind: type[Any] = Stepped) -> tuple[Any, Callable[[], MediaStack]]:
    upper = kind(turns)
    if name in ("upload", "both"):
        upper.put(Key(KEY), b"old")
    if name in ("hidden", "both"):
        upper.put(marker_of(Key(KEY)), KEY.encode())
    return upper, lambda: MediaStack([upper, Local("prod", {KEY: b"production"})])


def outcome(upper: Any, stack: MediaStack, results: list[Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    """What the key is in the end, and what the readers saw. The suffix of a name is by chance."""
    saved = [
        "elsewhere" if name == "save" and result != KEY else result for name, result in zip(names, results, strict=True)
    ]
    return seen(stack), *saved


def in_some_order(name: str, names: tuple[str, ...], kind: type[Any]) -> set[tuple[Any, ...]]:
    """Return the outcomes of the operations one after the other, in every order."""
    outcomes = set()
    for order in itertools.permutations(range(len(names))):
        upper, make = scene(name, Turns(), kind)
        results: list[Any] = [None] * len(names)
        for number in order:
            results[number] = OPERATIONS[names[number]](make())
        outcomes.add(outcome(upper, make(), results, names))
    return outcomes


def walk(
    name: str, names: tuple[str, ...], pool: ThreadPoolExecutor, kind: type[Any]
) -> Iterator[tuple[list[int], tuple[Any, ...]]]:
    """Yield every order of steps, and its outcome."""
    choices: list[int] = []
    while True:
        turns = Turns()
        upper, make = scene(name, turns, kind)
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


def check(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor, kind: type[Any] = Stepped) -> int:
    allowed = in_some_order(name, names, kind)
    if (
        "reset" in names
    ):  # to a save that looks again it looks like a delete: hidden is the safe side, and can be restored
        allowed |= {("Hidden", *seen) for _, *seen in allowed if names[0] in ("replace", "save")}
    walked = 0
    for choices, got in walk(name, names, pool, kind):
        assert got in allowed, f"{names} on {name!r}, in the order {choices}"
        walked += 1
    return walked


PAIRS = list(itertools.combinations_with_replacement(OPERATIONS, 2))


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", PAIRS, ids=" ".join)
def test_two_at_once(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    assert check(name, names, pool) > 1


READERS = [names for names in PAIRS if "find" in names and names != ("find", "find")]


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "Pool", InTurn)


@pytest.mark.usefixtures("in_turn")
@pytest.mark.parametrize(
    "orders", ["ff", "ww", *(pytest.param(mixed, marks=pytest.mark.slow) for mixed in ("fw", "wf"))]
)
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", READERS, ids=" ".join)
def test_an_upper_across_a_network_is_read_at_once(
    name: str, names: tuple[str, ...], orders: str, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File and whiteout are asked for at once, and may be answered in any order."""
    monkeypatch.setattr(InTurn, "orders", orders)
    assert check(name, names, pool, SteppedFar) > 1


@pytest.mark.usefixtures("in_turn")
@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", [names for names in PAIRS if "find" not in names], ids=" ".join)
def test_two_writers_of_an_upper_across_a_network(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    assert check(name, names, pool, SteppedFar) > 1


@pytest.mark.usefixtures("in_turn")
@pytest.mark.parametrize("lost", ["absence", "whiteout"])
def test_a_single_round_deceives(lost: str, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk finds what the second round is for."""
    real = remote_upper.RemoteUpper.ask

    def ask(self: Any, key: Key) -> Any:
        file, is_hidden = yield from self._round(key, float("inf"))
        if file is None and is_hidden == (lost == "whiteout"):
            return Hidden(self.upper.name) if is_hidden else None
        return file or (yield from real(self, key))

    monkeypatch.setattr(remote_upper.RemoteUpper, "ask", ask)
    monkeypatch.setattr(InTurn, "orders", "w")

    def every_scene() -> None:
        for name, names in itertools.product(SCENES, READERS):
            check(name, names, pool, SteppedFar)

    with pytest.raises(AssertionError, match="in the order"):
        every_scene()


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
