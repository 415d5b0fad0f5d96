"""Named storages: what a name stands for, and who may have it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mediamw import ConfigError, InvalidKey, MediaStack, MemoryBackend, storages
from mediamw.storages import Registry, Stored

from .fakes import Local


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.clear()


def stack(name: str = "memory") -> MediaStack:
    return MediaStack([MemoryBackend(name=name)])


def test_the_first_is_the_default(registry: Registry) -> None:
    first, second = registry.configure("local", stack()), registry.configure("s3", stack())
    assert registry.get() is registry.get("local") is first
    assert registry.resolve() == "local"
    registry.set_default("s3")
    assert registry.get() is second
    registry.alias("avatars", "local")
    registry.set_default("avatars")
    assert (registry.get(), registry.resolve()) == (first, "local")
    registry.alias("avatars", "s3")
    assert registry.get() is second, "the default goes where the alias goes"


@pytest.mark.parametrize("storage", ["memory:", ["memory:"], MemoryBackend(), [MemoryBackend(), "two=memory:"]])
def test_what_a_storage_is_made_of(registry: Registry, storage: Any) -> None:
    made = registry.configure("local", storage, names="error")
    assert made.save("a.txt", b"x") == "a.txt"
    with made.open("a.txt") as file:
        assert file.read() == b"x"


def test_files_stay_where_an_alias_was(registry: Registry) -> None:
    registry.configure("local", stack())
    registry.configure("s3", stack())
    registry.alias("avatars", "local")
    old = Stored(registry.resolve("avatars"), registry.get("avatars").save("a.jpg", b"old"))  # type: ignore[arg-type]
    registry.alias("avatars", "s3")
    new = Stored(registry.resolve("avatars"), registry.get("avatars").save("a.jpg", b"new"))  # type: ignore[arg-type]
    assert (str(old), str(new)) == ("local/a.jpg", "s3/a.jpg")
    for stored, data in ((old, b"old"), (new, b"new")):
        with registry.get(stored.storage).open(stored.key) as file:
            assert file.read() == data


def test_where_new_files_go(registry: Registry) -> None:
    first, second = registry.configure("local", stack()), registry.configure("s3", stack())
    registry.alias("avatars", "s3")
    assert registry.target() == ("local", first)
    assert registry.target("avatars") == ("s3", second)
    registry.remap({"s3": "local"})
    assert registry.target("avatars") == registry.target("s3") == ("local", first), "what is remembered is where it is"
    with pytest.raises(ConfigError, match="did you mean avatars"):
        registry.target("avatar")


class Switching(Registry):
    """Has its alias switched whenever somebody has just found out what it stands for."""

    def _resolved(self, names: Any, name: str | None) -> str:
        found = super()._resolved(names, name)
        self.alias("avatars", "s3" if found == "local" else "local")
        return found


def test_where_new_files_go_is_told_at_one_moment() -> None:
    registry = Switching()
    stacks = {name: registry.configure(name, stack()) for name in ("local", "s3")}
    registry.alias("avatars", "local")
    targets = [registry.target("avatars") for _ in range(4)]
    assert [storage for storage, _ in targets] == ["local", "s3"] * 2
    assert all(stacks[storage] is it for storage, it in targets)
    registry.clear()


def test_an_alias_of_an_alias(registry: Registry) -> None:
    registry.configure("local", stack())
    registry.alias("avatars", "local")
    registry.alias("faces", "avatars")
    assert registry.names() == {"local": "local", "avatars": "local", "faces": "local"}
    registry.configure("s3", stack())
    registry.alias("avatars", "s3")
    assert registry.resolve("faces") == "s3"


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda it: it.configure("local", "memory:"), "a storage 'local' is configured already"),
        (lambda it: it.configure("avatars", "memory:"), "'avatars' is an alias of 'local'"),
        (lambda it: it.alias("local", "s3"), "'local' is the name of a storage"),
        (lambda it: it.alias("new", "nowhere"), "unknown storage 'nowhere'; there are avatars, faces, local, s3"),
        (lambda it: it.alias("new", "locla"), "did you mean local"),
        (lambda it: it.alias("new", "new"), "'new' would point at itself"),
        (lambda it: it.alias("avatars", "faces"), "'avatars' would point at itself, by way of 'faces'"),
        (lambda it: it.alias("avatars", "avatars"), "would point at itself"),
        (lambda it: it.get("nowhere"), "unknown storage 'nowhere'"),
        (lambda it: it.resolve("nowhere"), "unknown storage 'nowhere'"),
        (lambda it: it.set_default("nowhere"), "unknown storage 'nowhere'"),
        (lambda it: it.remap({"prod": "local", "other": "nowhere"}), "unknown storage 'nowhere'"),
        (lambda it: it.remap({"prod": "other", "other": "local"}), "unknown storage 'other'"),
        (lambda it: it.remap({"a/b": "local"}), "remap: 'a/b' is no name"),
        (lambda it: it.configure("a/b", "memory:"), "name: 'a/b' is no name"),
        (lambda it: it.configure("", "memory:"), "name: '' is no name: 1 to 128"),
        (lambda it: it.configure("x" * 129, "memory:"), "is no name: 1 to 128"),
        (lambda it: it.configure("a\n", "memory:"), "is no name"),
        (lambda it: it.configure("..", "memory:"), "name: '..' is no name"),
        (lambda it: it.configure(None, "memory:"), "name: None is no name"),
        (lambda it: it.alias("a b", "local"), "alias: 'a b' is no name"),
        (lambda it: it.configure("new", "s3://"), "bucket"),
        (lambda it: it.configure("new", 5), "give a list"),
        (lambda it: it.configure("new", "memory:", fond_ttl=1), "unknown option 'fond_ttl'; did you mean found_ttl?"),
        (lambda it: it.remap("prod"), "remap: 'prod' is no mapping: give {'s3': 'layered'}"),
        (lambda it: it.configure("new", stack(), names="error"), "names: storage 'new' is a stack already"),
    ],
)
def test_what_is_refused(registry: Registry, act: Any, text: str) -> None:
    registry.configure("local", stack())
    registry.configure("s3", stack())
    registry.alias("avatars", "local")
    registry.alias("faces", "avatars")
    before = registry._names
    with pytest.raises(ConfigError) as raised:
        act(registry)
    assert text in str(raised.value)
    assert registry._names == before


def test_the_longest_name(registry: Registry) -> None:
    registry.configure("x" * 128, "memory:")
    assert registry.default == "x" * 128


def test_without_storages(registry: Registry) -> None:
    for act in (registry.get, registry.resolve):
        with pytest.raises(ConfigError, match="there are no storages: configure"):
            act()
    with pytest.raises(ConfigError, match="there is no storage 'local': configure one first"):
        registry.get("local")
    assert registry.names() == {}


def test_names_of_a_production_dump(registry: Registry) -> None:
    """Rows name production's storage. What is done with them is done to the layered one."""
    production = Local("production", {"a.jpg": b"theirs"})
    layered = registry.configure("layered", [MemoryBackend(), production])
    registry.alias("avatars", "layered")
    registry.remap({"s3_avatars": "avatars"})
    row = Stored.of("s3_avatars/a.jpg")
    assert registry.get(row.storage) is layered
    assert registry.is_remapped(row.storage)
    assert not registry.is_remapped("avatars")
    registry.get(row.storage).delete(row.key)
    assert not registry.get(row.storage).exists(row.key)
    assert production.files == {"a.jpg": b"theirs"}
    new = Stored(registry.resolve("s3_avatars"), registry.get("s3_avatars").save("b.jpg", b"ours"))  # type: ignore[arg-type]
    assert str(new) == "layered/b.jpg"
    registry.remap({})
    with pytest.raises(ConfigError, match="unknown storage"):
        registry.get(row.storage)


def test_a_storage_that_is_configured_may_be_remapped(registry: Registry) -> None:
    """The settings are production's, down to the storage; on a laptop another one answers."""
    registry.configure("s3_avatars", stack())
    local = registry.configure("local", stack())
    registry.remap({"s3_avatars": "local"})
    assert registry.get("s3_avatars") is local
    registry.alias("avatars", "s3_avatars")
    assert registry.get("avatars") is local, "or new files would go to production"


@pytest.mark.parametrize(
    "names", [{"s3": "local", "local": "s3"}, {"dump": "s3", "s3": "local"}, {"dump": "avatars", "s3": "local"}]
)
def test_rows_are_answered_where_new_files_went(registry: Registry, names: dict[str, str]) -> None:
    registry.configure("local", stack())
    registry.configure("s3", stack())
    registry.alias("avatars", "s3")
    before = registry.names()
    with pytest.raises(
        ConfigError, match=r"remap: new files of '\w+' would go to '(s3|local)', and their rows be answered"
    ):
        registry.remap(names)
    assert registry.names() == before
    registry.alias("avatars", "local")
    registry.remap({"dump": "avatars", "s3": "local"})
    with pytest.raises(ConfigError, match="alias: new files of 'dump' would go to 's3', and their rows be answered"):
        registry.alias("avatars", "s3")
    assert registry.resolve("dump") == "local"


def test_an_alias_that_comes_back_by_a_remapped_name(registry: Registry) -> None:
    registry.configure("local", stack())
    registry.alias("avatars", "local")
    registry.remap({"s3_avatars": "avatars"})
    with pytest.raises(ConfigError, match="alias: 'avatars' would have no storage"):
        registry.alias("avatars", "s3_avatars")
    assert registry.names() == {"local": "local", "avatars": "local", "s3_avatars": "local"}


def test_an_alias_of_a_name_that_only_production_has(registry: Registry) -> None:
    local = registry.configure("local", stack())
    registry.remap({"s3_avatars": "local"})
    registry.alias("avatars", "s3_avatars")
    assert registry.get("avatars") is local
    with pytest.raises(ConfigError, match="remap: 'avatars' would have no storage"):
        registry.remap({"s3_pictures": "local"})
    assert registry.get("avatars") is local
    registry.alias("avatars", "local")
    registry.remap({})


def test_registries_know_nothing_of_each_other() -> None:
    one, two = Registry(), Registry()
    one.configure("local", stack())
    with pytest.raises(ConfigError):
        two.get("local")
    two.configure("local", stack())
    assert one.get("local") is not two.get("local")
    one.clear()
    assert one.names() == {}
    assert two.names() == {"local": "local"}
    two.clear()


def test_the_module_has_one_of_its_own() -> None:
    storages.clear()
    made = storages.configure("local", "memory:")
    storages.alias("avatars", "local")
    storages.remap({"s3": "avatars"})
    storages.set_default("avatars")
    assert storages.get() is storages.get("s3") is storages.registry.get("local") is made
    assert storages.names() == {"local": "local", "avatars": "local", "s3": "local"}
    assert storages.resolve("s3") == "local"
    storages.clear()


def test_clear_closes(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[MediaStack] = []
    monkeypatch.setattr(MediaStack, "close", lambda self: closed.append(self))
    made = [registry.configure("local", stack()), registry.configure("s3", stack())]
    registry.clear()
    registry.clear()
    assert closed == made


@pytest.mark.parametrize("text", ["local/a/b.jpg", "Avatars 1/a.jpg", "local/", "local", "/a.jpg", "local/../a"])
def test_the_text_of_what_is_stored(text: str) -> None:
    if text == "local/a/b.jpg":
        assert Stored.of(text) == ("local", "a/b.jpg")
        assert str(Stored.of(text)) == text
    else:
        with pytest.raises((ConfigError, InvalidKey)):
            Stored.of(text)


def test_a_text_that_names_no_file_is_told() -> None:
    with pytest.raises(InvalidKey, match="'rubbish' names no file: give storage/key"):
        Stored.of("rubbish")


def test_an_alias_that_is_switched_while_others_read(registry: Registry) -> None:
    registry.configure("local", stack())
    registry.configure("s3", stack())
    registry.alias("avatars", "local")
    registry.alias("faces", "avatars")
    done = threading.Event()

    def read() -> set[str]:
        seen = set()
        while not done.is_set():
            seen.add(registry.resolve("faces"))
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for number in range(2000):
            registry.alias("avatars", ("s3", "local")[number % 2])
        done.set()
        assert all(reader.result(20) <= {"local", "s3"} for reader in readers)


def test_of_two_who_configure_one_name_one_does() -> None:
    registry = Registry()
    barrier = threading.Barrier(8)

    def configure() -> bool:
        barrier.wait()
        try:
            registry.configure("local", stack())
        except ConfigError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(future.result(20) for future in [pool.submit(configure) for _ in range(8)]) == 1
    registry.clear()


NAMES = st.sampled_from("abcde")


Points = dict[str, str | None]


def end(points: Points, remapped: dict[str, str], name: str) -> str | None:
    """Return the storage at the end of the way from ``name``, by way of at most one remapped name."""
    if name in remapped:
        return end(points, {}, remapped[name])
    further = points.get(name)
    return (name if name in points else None) if further is None else end(points, remapped, further)


def is_sound(points: Points, remapped: dict[str, str]) -> bool:
    """Say whether every name has a storage, which answers for its own name too: rows have that."""
    ends = {end(points, remapped, name) for name in (*points, *remapped)}
    return all(name is not None and end(points, remapped, name) == name for name in ends)


def circles(points: Points) -> bool:
    """Say whether some alias leads back to itself."""
    for start in points:
        name, steps = points[start], 0
        while name is not None and steps <= len(points):
            name, steps = points.get(name), steps + 1
        if steps > len(points):
            return True
    return False


class Model(RuleBasedStateMachine):
    """A plain dict of what points where, and the rules of the module's head."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = Registry()
        self.points: dict[str, str | None] = {}  # a storage points at nothing
        self.remapped: dict[str, str] = {}

    def tried(self, act: Any) -> bool:
        try:
            act()
        except ConfigError:
            return False
        return True

    @rule(name=NAMES)
    def configure(self, name: str) -> None:
        done = self.tried(lambda: self.registry.configure(name, MediaStack([MemoryBackend(name=name)])))
        assert done == (name not in self.points)
        if done:
            self.points[name] = None

    @rule(name=NAMES, to=NAMES)
    def alias(self, name: str, to: str) -> None:
        model = {**self.points, name: to}
        is_free = self.points.get(name, "") is not None
        is_right = is_free and not circles(model) and end(self.points, self.remapped, to) is not None
        is_right = is_right and is_sound(model, self.remapped)
        assert self.tried(lambda: self.registry.alias(name, to)) == is_right
        if is_right:
            self.points = model

    @rule(remapped=st.dictionaries(NAMES, NAMES, max_size=2))
    def remap(self, remapped: dict[str, str]) -> None:
        is_right = all(end(self.points, {}, new) is not None for new in remapped.values())
        is_right = is_right and is_sound(self.points, remapped)
        assert self.tried(lambda: self.registry.remap(remapped)) == is_right
        if is_right:
            self.remapped = remapped

    @invariant()
    def names_lead_where_they_should(self) -> None:
        every = {*self.points, *self.remapped}
        expected = {name: end(self.points, self.remapped, name) for name in every}
        assert self.registry.names() == expected
        for name, storage in expected.items():
            assert self.registry.get(name).backends[0].name == storage
            assert self.registry.resolve(self.registry.resolve(name)) == storage, "or new rows have no files"

    def teardown(self) -> None:
        self.registry.clear()


Model.TestCase.settings = settings(max_examples=100, deadline=None)
TestModel = Model.TestCase


def test_a_name_that_is_an_alias_and_remapped_is_what_rows_have() -> None:
    """``authorize`` is told so: with the alias' target it would judge a file of another storage."""
    registry = Registry()
    for name in ("other", "layered"):
        registry.configure(name, MediaStack([MemoryBackend()]))
    registry.alias("s3", "other")
    registry.alias("avatars", "s3")
    registry.remap({"s3": "layered"})
    assert {name: (named.storage, named.stack) for name, named in registry.snapshot().items()} == {
        "other": ("other", registry.get("other")),
        "layered": ("layered", registry.get("layered")),
        "s3": ("s3", registry.get("layered")),
        "avatars": ("s3", registry.get("layered")),
    }


def test_a_name_that_is_taken_while_its_stack_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quicker one keeps it, and the other's stack is closed."""
    registry, quicker, closed = Registry(), MediaStack([MemoryBackend()]), list[MediaStack]()
    registries = sys.modules[Registry.__module__]  # the package has a registry of that name
    make = registries._stack_of

    def slow(storage: Any, options: Any, name: str) -> MediaStack:
        if storage is not quicker:
            registry.configure(name, quicker)
        return make(storage, options, name)

    monkeypatch.setattr(registries, "_stack_of", slow)
    monkeypatch.setattr(MediaStack, "close", lambda stack: closed.append(stack))
    with pytest.raises(ConfigError, match="configured already"):
        registry.configure("files", MemoryBackend())
    assert registry.get("files") is quicker
    assert len(closed) == 1
    assert closed[0] is not quicker
