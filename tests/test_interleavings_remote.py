"""Every order in which writers meet a reader on an upper across a network, asked for file and whiteout at once.

What the steps are, and what has to hold, says ``test_interleavings.py``. Here each request is a step.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from mediamw import MediaStack
from mediamw.core.keys import Key
from mediamw.core.model import Held, Hidden, Missing, Redirect
from mediamw.stack import origins, remote_upper
from mediamw.stack.whiteouts import marker_of

from .fakes import FarMemory, Local
from .interleaving import KEY, Turns, Walks
from .interleaving import pool as pool
from .test_interleavings import OPERATIONS as ON_ANY_UPPER
from .test_interleavings import SCENES


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
        found.handle.close()
        return f"{found.backend}: production"
    assert isinstance(found, (Hidden, Missing))
    return type(found).__name__


OPERATIONS: dict[str, Callable[[MediaStack], Any]] = {**ON_ANY_UPPER, "find": seen}
PAIRS = list(itertools.combinations_with_replacement(OPERATIONS, 2))


def scene(name: str, turns: Turns) -> Callable[[], MediaStack]:
    upper = SteppedFar(turns)
    if name in ("upload", "both"):
        upper.put(Key(KEY), b"old")
    if name in ("hidden", "both"):
        upper.put(marker_of(Key(KEY)), KEY.encode())
    return lambda: MediaStack([upper, Local("prod", {KEY: b"production"})])


WALKS = Walks(scene, OPERATIONS, seen)
READERS = [names for names in PAIRS if "find" in names and names != ("find", "find")]


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "Pool", InTurn)


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
    assert WALKS.check(name, names, pool) > 1


@pytest.mark.usefixtures("in_turn")
@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", [names for names in PAIRS if "find" not in names], ids=" ".join)
def test_two_writers_of_an_upper_across_a_network(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    assert WALKS.check(name, names, pool) > 1


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
            WALKS.check(name, names, pool)

    with pytest.raises(AssertionError, match="in the order"):
        every_scene()
