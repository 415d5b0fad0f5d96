"""The overlay against a plain model: two stacks on one upper over two lowers that change and fail, in any order.

The model is three dicts and a set. It says of each key what is seen; every read of either stack must say the same.
"""

from __future__ import annotations

import shutil
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mediamw import BackendUnavailable, LocalBackend, MediaStack, MemoryBackend, NameTaken, WritableS3Backend
from mediamw.core.model import Held, Hidden, Missing, Redirect

from .fakes import Bucket, Local, down

KEYS = ("a.jpg", "b", "homes/1/a.jpg", "homes/1/b.txt", "homes/2/ü b.tar.gz")
FOLDERS = ("", "homes/", "homes/1/", "homes/2/")
DATA = st.binary(max_size=6)
ABSENT = "absent"
UNSURE = "cannot tell"
HIDDEN = "hidden"


class Overlay(RuleBasedStateMachine):
    """``make`` makes the upper in a folder of its own."""

    make: Callable[[Path], Any]
    far_has: Mapping[str, bytes] = MappingProxyType({})

    @initialize()
    def start(self) -> None:
        self.folder = TemporaryDirectory()
        upper = self.make(Path(self.folder.name))
        self.near, self.far = Local("near"), Bucket("far")
        # Answers of the bucket are not remembered: what is remembered has tests of its own.
        options: Any = {"found_ttl": 0, "missing_ttl": 0, "stale_if_error": 0, "base_url": "/media/"}
        options["misses_a_minute"] = 1_000_000_000  # a long run asks for thousands of names that nobody has
        self.stacks = [MediaStack([upper, self.near, self.far], **options) for _ in range(2)]
        self.above: dict[str, bytes] = {}
        self.hides: set[str] = set()
        self.below: list[dict[str, bytes]] = [{}, dict(self.far_has)]
        self.dead = [False, False]
        self.tell()

    def teardown(self) -> None:
        for stack in getattr(self, "stacks", ()):
            stack.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()

    # -- the model -----------------------------------------------------------------------------------------------------

    def lower(self, key: str) -> bytes | str:
        """What the lowers say together."""
        unsure = False
        for files, is_dead in zip(self.below, self.dead, strict=True):
            if is_dead:
                unsure = True
            elif key in files:
                return files[key]
        return UNSURE if unsure else ABSENT

    listed = lower
    """What listings show of the lowers."""

    def expected(self, key: str) -> bytes | str:
        if key in self.above:
            return self.above[key]
        return HIDDEN if key in self.hides else self.lower(key)

    # -- what people do ------------------------------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 1),
        key=st.sampled_from(KEYS),
        data=DATA,
        names=st.sampled_from(["suffix", "shadow", "error", "replace", None]),
    )
    def save(self, which: int, key: str, data: bytes, names: Any) -> None:
        seen = self.expected(key)
        policy = names or "suffix"
        try:
            got = self.stacks[which].save(key, iter([data[:2], data[2:]]), names=names)
        except NameTaken:
            assert policy == "error"
            assert isinstance(seen, bytes)
            return
        except BackendUnavailable:
            assert (policy, seen) == ("error", UNSURE)
            return
        keeps = policy == "replace" or (policy == "shadow" and key not in self.above) or seen in (ABSENT, HIDDEN)
        assert (got == key) == keeps
        assert got == key or got.startswith(key.rpartition(".")[0] or key)
        self.above[got] = data
        self.hides.discard(got)

    @rule(which=st.integers(0, 1), key=st.sampled_from(KEYS))
    def delete(self, which: int, key: str) -> None:
        seen = self.expected(key)
        assert self.stacks[which].delete(key) == (seen not in (ABSENT, HIDDEN))
        if self.lower(key) != ABSENT:
            self.hides.add(key)
        self.above.pop(key, None)

    @rule(which=st.integers(0, 1), key=st.sampled_from(KEYS))
    def restore(self, which: int, key: str) -> None:
        assert self.stacks[which].restore(key) == (key in self.hides)
        self.hides.discard(key)

    @rule(which=st.integers(0, 1), key=st.sampled_from(KEYS))
    def reset(self, which: int, key: str) -> None:
        assert self.stacks[which].reset(key) == (key in self.above)
        self.hides.discard(key)
        self.above.pop(key, None)

    @rule(number=st.integers(0, 1), key=st.sampled_from(KEYS), data=st.none() | DATA)
    def a_lower_changes(self, number: int, key: str, data: bytes | None) -> None:
        self.below[number].pop(key, None)
        if data is not None:
            self.below[number][key] = data
        self.tell()

    @rule(number=st.integers(0, 1), is_dead=st.booleans())
    def a_lower_cannot_tell(self, number: int, is_dead: bool) -> None:
        self.dead[number] = is_dead
        self.tell()

    def tell(self) -> None:
        for backend, files, is_dead in zip((self.near, self.far), self.below, self.dead, strict=True):
            error: Any = down(backend.name)
            backend.files = dict.fromkeys(self.names(), error) if is_dead else dict(files)

    def names(self) -> list[str]:
        return sorted({*KEYS, *self.above})

    # -- what everybody sees -------------------------------------------------------------------------------------------

    @invariant()
    def everybody_sees_the_same(self) -> None:
        if not hasattr(self, "stacks"):
            return
        self.tell()  # also of names that uploads got
        for key in self.names():
            expected = self.expected(key)
            for stack in self.stacks:
                assert seen(stack, key) == expected
                assert read(stack, key) == (ABSENT if expected == HIDDEN else expected)

    @invariant()
    def listings_agree(self) -> None:
        if not hasattr(self, "stacks") or any(self.dead):
            return
        visible = [
            key
            for key in self.names()
            if key in self.above or (key not in self.hides and isinstance(self.listed(key), bytes))
        ]
        for stack in self.stacks:
            assert [entry.key for entry in stack.list(recursive=True)] == visible
            for folder in FOLDERS:
                below = [key.removeprefix(folder) for key in visible if key.startswith(folder)]
                level = sorted({folder + name.partition("/")[0] + "/" * ("/" in name) for name in below})
                shown = [entry.key for entry in stack.list(folder)]
                # A directory of the disk stays when its last file goes.
                assert [key for key in shown if not key.endswith("/") or key in level] == level
            assert list(stack.hidden()) == sorted(self.hides - self.above.keys())
            covered = [key for key in self.names() if key in self.above and self.lower(key) != ABSENT]
            assert [entry.key for entry in stack.shadowed()] == covered


def seen(stack: MediaStack, key: str) -> bytes | str:
    """What a browser gets."""
    try:
        found = stack.find(key)
    except BackendUnavailable:
        return UNSURE
    if isinstance(found, Held):
        data = b"".join(found.handle.chunks(0, found.handle.meta.size or 0))
        found.handle.close()
        return data
    if isinstance(found, Redirect):
        backend: Any = next(backend for backend in stack.backends if backend.name == found.backend)
        if isinstance(backend, WritableS3Backend):
            with urllib.request.urlopen(found.url) as answer:
                return bytes(answer.read())
        return bytes(backend.files[key])
    assert isinstance(found, (Hidden, Missing))
    return HIDDEN if isinstance(found, Hidden) else ABSENT


def read(stack: MediaStack, key: str) -> bytes | str:
    """What code gets."""
    try:
        with stack.open(key) as file:
            data = file.read()
        assert (stack.exists(key), stack.stat(key).size) == (True, len(data))
        return data
    except FileNotFoundError:
        assert not stack.exists(key)
        return ABSENT
    except BackendUnavailable:
        return UNSURE


class OverLocal(Overlay):
    make = staticmethod(LocalBackend)


class Pulling(OverLocal):
    """The same, with copies of what the bucket has: they stand in its place, whatever becomes of it."""

    far_has = MappingProxyType({key: key.encode() for key in KEYS})

    @initialize()
    def start_copies(self) -> None:
        self.copies: dict[str, bytes] = {}

    def lower(self, key: str) -> bytes | str:
        return self.with_copies(key, self.copies)

    def listed(self, key: str) -> bytes | str:
        return self.with_copies(key, {})

    def with_copies(self, key: str, copies: dict[str, bytes]) -> bytes | str:
        if not self.dead[0] and key in self.below[0]:
            return self.below[0][key]
        if key in copies:
            return copies[key]
        return Overlay.lower(self, key)

    @rule(which=st.integers(0, 1), key=st.sampled_from(KEYS), keep=st.booleans())
    def pull(self, which: int, key: str, keep: bool) -> None:
        seen, stack = self.expected(key), self.stacks[which]
        if isinstance(seen, str):
            with pytest.raises(BackendUnavailable if seen == UNSURE else FileNotFoundError):
                stack.pull(key, keep=keep)
            return
        is_near = not self.dead[0] and key in self.below[0]
        there = key in self.above or ((is_near or key in self.copies) and not keep)
        assert stack.pull(key, keep=keep) == (not there)
        if keep:
            self.above.setdefault(key, seen)
            if not there and not is_near:
                self.copies.pop(key, None)
        elif not there:
            self.copies[key] = seen

    @rule()
    def the_copies_are_removed(self) -> None:
        shutil.rmtree(Path(self.folder.name) / ".mediamw" / "pulled", ignore_errors=True)
        self.copies.clear()


class OverMemory(Overlay):
    make = staticmethod(lambda _folder: MemoryBackend(name="local"))


QUICK = settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("machine", [OverLocal, OverMemory, Pulling])
def test_the_overlay_is_the_model(machine: Any) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(machine, settings=QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("machine", [OverLocal, OverMemory, Pulling])
def test_the_overlay_is_the_model_for_long(machine: Any) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=40, stateful_step_count=40))
