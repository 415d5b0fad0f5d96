"""Every order in which the steps of save, delete, restore and a reader can meet on one upper, whoever takes them.

A step is one call of the upper. After all of them are done the key must be what some order of the whole operations
leaves, and a reader must have seen what some order shows. So a deleted file of production never comes back by itself.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from mediamw import LocalBackend, MediaStack, MemoryBackend
from mediamw.backends.rules import Rules
from mediamw.core.keys import Key
from mediamw.core.model import Held, Hidden, Missing, Redirect
from mediamw.stack import pulled as pulled_module
from mediamw.stack import pulling, writing
from mediamw.stack.whiteouts import marker_of

from .fakes import Bucket, Local
from .interleaving import KEY, Turns, Walks, advance, told_by
from .interleaving import pool as pool


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


class SteppedDisk(LocalBackend):
    """The same on a disk, for copies. Making and finding these is no step, but making them files of the upper is."""

    def __init__(self, turns: Turns, folder: Path) -> None:
        self.turns = turns
        super().__init__(folder)

    def open(self, key: Key) -> Any:
        if not key.startswith(".mediamw/pulled/"):
            self.turns.step()
        return super().open(key)

    def draft(self, data: Any, *, content_type: str | None = None) -> Any:
        draft, turns = super().draft(data, content_type=content_type), self.turns
        publish = draft.publish

        def stepped(key: Key, *, replace: bool = False) -> None:
            turns.step()
            publish(key, replace=replace)

        draft.publish = stepped  # type: ignore[method-assign]
        return draft

    def put(self, key: Key, data: Any, *, replace: bool = False, content_type: str | None = None) -> None:
        self.turns.step()
        super().put(key, data, replace=replace, content_type=content_type)

    def publish_copy(self, name: str, key: Key, *, content_type: str | None = None) -> None:
        self.turns.step()
        super().publish_copy(name, key, content_type=content_type)

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


def scene(name: str, turns: Turns) -> Callable[[], MediaStack]:
    upper = Stepped(turns)
    if name in ("upload", "both"):
        upper.put(Key(KEY), b"old")
    if name in ("hidden", "both"):
        upper.put(marker_of(Key(KEY)), KEY.encode())
    return lambda: MediaStack([upper, Local("prod", {KEY: b"production"})])


WALKS = Walks(scene, OPERATIONS, seen)


# -- a copy that becomes a file of the upper ---------------------------------------------------------------------------


def pulled(stack: MediaStack, *, keep: bool) -> str:
    try:
        stack.pull(KEY, keep=keep)
    except FileNotFoundError:
        return "not there"
    return "done"


PULLS: dict[str, Callable[[MediaStack], Any]] = {
    **OPERATIONS,
    "keep": lambda stack: pulled(stack, keep=True),
    "pull": lambda stack: pulled(stack, keep=False),
}
WITH_PULLS = [("keep", name) for name in PULLS] + [("pull", name) for name in ("delete", "save", "restore", "reset")]


class DiskScene:
    """Makes stacks on a directory over a lower that has the key: at hand, or in a bucket of which there is a copy."""

    turns: Turns

    def __init__(self, name: str, turns: Turns, folder: Path, *, is_bucket: bool) -> None:
        DiskScene.turns = turns
        self.upper = SteppedDisk(turns, folder)
        self.is_bucket = is_bucket
        self.stacks: list[MediaStack] = []
        self.make().pull(KEY)
        if name in ("upload", "both"):
            self.upper.put(Key(KEY), b"old")
        if name in ("hidden", "both"):
            self.upper.put(marker_of(Key(KEY)), KEY.encode())

    def make(self) -> MediaStack:
        files: Any = {KEY: b"production"}
        lower = Bucket("prod", files, rules=Rules(delivery="proxy")) if self.is_bucket else Local("prod", files)
        self.stacks.append(MediaStack([self.upper, lower]))
        return self.stacks[-1]

    def outcome(self, results: list[Any], names: tuple[str, ...]) -> tuple[Any, ...]:
        try:
            shown = seen(self.make())
        finally:
            for stack in self.stacks:
                stack.close()
        # A kept file and a copy have the same bytes: whose they are makes no difference to anybody.
        told = [
            "" if name in ("keep", "pull") else one for name, one in zip(names, told_by(names, results), strict=True)
        ]
        same = {"local: production": "prod: production"}
        return tuple(same.get(str(one), one) for one in (shown, *told))


def folders() -> Iterator[Path]:
    """Folders in memory: thousands are made."""
    where = "/dev/shm" if os.path.isdir("/dev/shm") else None
    while True:
        with TemporaryDirectory(dir=where) as folder:
            yield Path(folder)


MANY: Final = 1500


def walk_pulls(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor, *, is_bucket: bool = False) -> int:
    places = folders()
    allowed = set()
    for order in itertools.permutations(range(len(names))):
        scene = DiskScene(name, Turns(), next(places), is_bucket=is_bucket)
        results: list[Any] = [None] * len(names)
        for number in order:
            results[number] = PULLS[names[number]](scene.make())
        allowed.add(scene.outcome(results, names))
    choices: list[int] = []
    walked = 0
    while True:
        # Where there are too many orders, as many again are taken by chance: the first ones are all alike in the end.
        is_by_chance = walked >= MANY
        turns = Turns(random.Random(walked)) if is_by_chance else Turns()
        choices = [] if is_by_chance else choices
        scene = DiskScene(name, turns, next(places), is_bucket=is_bucket)
        results = turns.run([partial(PULLS[one], scene.make()) for one in names], choices, pool)
        got = scene.outcome(results, names)
        assert got in allowed, f"{names} on {name!r}, in the order {choices}: {got}, not of {allowed}"
        walked += 1
        has_more = is_by_chance or advance(choices, turns.widths)
        if not has_more or walked == 2 * MANY:
            places.close()  # type: ignore[attr-defined]
            return walked


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the lock of keeping waits for his turn."""
    real = pulled_module.flock

    def flock(folder: Any, name: str) -> Any:
        return DiskScene.turns.lock(name) if name == "keep.lock" else real(folder, name)

    monkeypatch.setattr(pulled_module, "flock", flock)


@pytest.mark.usefixtures("locks")
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", [("keep", "delete"), ("keep", "replace"), ("keep", "save")], ids=" ".join)
def test_keeping_and_another(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    assert walk_pulls(name, names, pool) > 1


@pytest.mark.slow
@pytest.mark.usefixtures("locks")
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", WITH_PULLS, ids=" ".join)
def test_a_pull_and_another(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    assert walk_pulls(name, names, pool, is_bucket=True) > 1


@pytest.mark.slow
@pytest.mark.usefixtures("locks")
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", [("keep", "delete", "restore"), ("keep", "keep", "delete")], ids=" ".join)
def test_a_pull_and_two_others(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    assert walk_pulls(name, names, pool) > 50  # an upload that is there leaves "keep" few steps


@pytest.mark.usefixtures("locks")
@pytest.mark.parametrize("lost", ["the look", "the lock"])
def test_without_the_lock_of_keeping_production_comes_back(
    lost: str, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lost == "the look":
        monkeypatch.setattr(pulling.Whiteouts, "is_set", lambda *_: False)
    else:
        monkeypatch.setattr(Turns, "lock", lambda *_: nullcontext())
    with pytest.raises(AssertionError, match="prod: production"):
        walk_pulls("nothing", ("keep", "delete"), pool)


PAIRS = list(itertools.combinations_with_replacement(OPERATIONS, 2))


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", PAIRS, ids=" ".join)
def test_two_at_once(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    assert WALKS.check(name, names, pool) > 1


TRIPLES = [("replace", "delete", "delete"), ("replace", "delete", "find"), ("replace", "replace", "delete")]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("names", TRIPLES, ids=" ".join)
def test_three_at_once(name: str, names: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    """There are some hundred thousand orders of three: a thousand of them, by chance but the same each time."""
    allowed, chance = WALKS.in_some_order(name, names), random.Random(1)
    if names[-1] == "find":  # amid a save and a delete of one key, before the one has repaired what the other did
        allowed |= {(*outcome[:-1], "prod: production") for outcome in allowed}
    for _ in range(1000):
        choices, got, _ = WALKS.take(name, names, pool, [], chance)
        assert got in allowed, f"{names} on {name!r}, in the order {choices}"


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
        WALKS.check(name, ("replace", "delete"), pool)
    except AssertionError as error:
        return "prod: production" in str(error)
    return False
