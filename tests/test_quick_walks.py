"""Every order in which a save, a delete or a restore can meet a reader who takes the quick looks.

The upper is a directory that is opened as ever, so that these serve: the one look of ``Asker`` at a name that the upper
does not have, and those of a redirect that is given again. A step is one look, or one write. Below is a bucket that has
the key: what the reader may be told is what some order of the whole operations shows, and so of a deleted file never
the bucket's.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mediamw import LocalBackend, MediaStack
from mediamw.backends import beneath
from mediamw.core.keys import Key
from mediamw.stack.pull_version import record_key, source_of
from mediamw.stack.whiteouts import marker_of

from .fakes import Bucket
from .interleaving import KEY, Outcome, Turns, Walks
from .interleaving import pool as pool
from .test_interleavings import OPERATIONS, SCENES, SteppedDisk, seen
from .test_known_redirects import root as linux_root
from .test_quick_redirects import root as root

__all__ = ["linux_root"]  # a fixture

pytestmark = pytest.mark.usefixtures("roots_believed")

NO_STEPS = (b".mediamw/pulled/", b".mediamw/types/")
"""Nobody makes copies here, nor files whose names do not tell their types."""


class Plain(SteppedDisk):
    """A directory of which each write is a step; each look is one by way of ``places``."""

    open = LocalBackend.open  # the very same, or nothing quick is done
    put = LocalBackend.put


class Places:
    """Sets scenes, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self._stacks: list[MediaStack] = []
        self.turns = Turns()

    def scene(self, name: str, turns: Turns) -> Callable[[], MediaStack]:
        """Return what hands out stacks that have given the redirect before, when there was neither file nor whiteout.

        Each stands for a process of its own, but for the descriptor of the root.
        """
        self.close()
        self.turns, self._made = turns, self._made + 1
        root = self._folder / str(self._made)
        root.mkdir()
        upper, marker = Plain(turns, root), marker_of(Key(KEY))
        self._stacks = [MediaStack([upper, Bucket("prod", {KEY: b"production"})]) for _ in range(4)]
        upper.put(marker, b"")  # the folders of the state are made, and the disk remembers what is not in them
        upper.delete(marker)
        assert upper.open(record_key(source_of(self._stacks[0].backends[1]), Key(KEY))) is None
        for stack in self._stacks:
            # Not always at once: a kernel that is short of memory forgets what is missing.
            assert any(stack.find(KEY) is stack.redirect_again(KEY, "GET") for _ in range(10))
        if name in ("upload", "both"):
            upper.put(Key(KEY), b"old")
        if name in ("hidden", "both"):
            upper.put(marker, KEY.encode())
        return iter(self._stacks).__next__

    def close(self) -> None:
        """End the threads of the last scene."""
        for stack in self._stacks:
            stack.close()


@pytest.fixture
def places(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    made = Places(root)

    def stepped(real: Any) -> Any:
        def look(directory: Any, path: Any, *more: Any, **options: Any) -> Any:
            name = getattr(path, "value", path) if not options else directory  # os.access(path, mode, dir_fd=...)
            if isinstance(name, bytes) and not name.startswith(NO_STEPS):
                made.turns.step()
            return real(directory, path, *more, **options)

        return look

    monkeypatch.setattr(beneath, "_open_cached", stepped(beneath._open_cached))
    monkeypatch.setattr(beneath, "_open_quietly", stepped(beneath._open_quietly))
    monkeypatch.setattr(os, "access", stepped(os.access))  # the second looks of ``are_missing_again``
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # thousands of files are made
    yield made
    made.close()


def again(stack: MediaStack) -> str:
    """Ask as a request does: for what was given before, and if it is not given again, for what is there."""
    return "Redirect" if stack.redirect_again(KEY, "GET") is not None else seen(stack)


def anew(stack: MediaStack) -> None:
    """Upload a file and delete it, by one hand: of a deleted file of the bucket there is a whiteout, or a file."""
    stack.save(KEY, b"new", names="replace")
    stack.delete(KEY)


QUICK = {**OPERATIONS, "again": again, "anew": anew}
READERS = ("find", "again")
WRITERS = ("replace", "delete", "restore", *[pytest.param(name, marks=pytest.mark.slow) for name in ("save", "reset")])


class QuickWalks(Walks):
    """In the middle of ``anew`` a reader may see what was uploaded."""

    def in_some_order(self, name: str, names: tuple[str, ...]) -> set[Outcome]:
        allowed = super().in_some_order(name, names)
        return allowed | {(*outcome[:-1], "local: new") for outcome in allowed if "anew" in names}


def walks(places: Places) -> QuickWalks:
    return QuickWalks(places.scene, QUICK, seen)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_reader_and_another(places: Places, name: str, reader: str, writer: str, pool: ThreadPoolExecutor) -> None:
    assert walks(places).check(name, (writer, reader), pool) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_and_an_upload_that_is_deleted(
    places: Places, name: str, reader: str, pool: ThreadPoolExecutor
) -> None:
    assert walks(places).check(name, ("anew", reader), pool) > 1


@pytest.mark.parametrize("name", ["hidden", "both"])
@pytest.mark.parametrize("reader", READERS)
def test_some_orders_of_a_reader_and_an_upload_that_is_deleted(
    places: Places, name: str, reader: str, pool: ThreadPoolExecutor
) -> None:
    """Those of the slow test above are thousands; by chance, but the same each time."""
    by_chance(walks(places), name, ("anew", reader), pool, 50)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "writers", [("replace", "delete"), ("replace", "replace"), ("delete", "restore")], ids=" ".join
)
def test_a_reader_and_two_others(
    places: Places, name: str, writers: tuple[str, str], reader: str, pool: ThreadPoolExecutor
) -> None:
    """Amid a delete and another it may be the bucket's, before the one has repaired what the other did."""
    by_chance(walks(places), name, (*writers, reader), pool, 250, is_lax="delete" in writers)


def by_chance(
    walks: Walks, name: str, names: tuple[str, ...], pool: ThreadPoolExecutor, number: int, *, is_lax: bool = False
) -> None:
    allowed, chance = walks.in_some_order(name, names), random.Random(1)
    if is_lax:
        allowed |= {(*outcome[:-1], "Redirect") for outcome in allowed}
    for _ in range(number):
        choices, got, _ = walks.take(name, names, pool, [], chance)
        assert got in allowed, f"{names} on {name!r}, in the order {choices}: {got}"


@pytest.mark.parametrize(
    ("lost", "names"),
    [
        ("the second looks of again", ("replace", "again")),
        ("the second look of again at the whiteout", ("anew", "again")),
        ("the looks behind the whiteout", ("replace", "find")),
        ("the second look at the whiteout", ("anew", "find")),
    ],
)
def test_without_a_look_production_comes_back(
    places: Places, lost: str, names: tuple[str, str], pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The walk finds what each look is for."""
    if "again" in lost:
        twice, missing_again = (1 if "whiteout" in lost else 0), beneath.Root.are_missing_again
        monkeypatch.setattr(
            beneath.Root,
            "are_missing_again",
            lambda self, paths, names: missing_again(self, paths, [*names][:twice]),
        )
    else:
        looks, missing = (1 if "behind" in lost else 2), beneath.Root.are_missing
        monkeypatch.setattr(
            beneath.Root, "are_missing", lambda self, paths, *, wait: missing(self, [*paths][:looks], wait=wait)
        )
    with pytest.raises(AssertionError, match="'Redirect'"):
        walks(places).check("hidden", names, pool)
