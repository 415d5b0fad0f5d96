"""The stack over named backends: who is asked, who is believed, what is given back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from mediamw import (
    BackendUnavailable,
    ConfigError,
    InvalidKey,
    LocalBackend,
    MediaStack,
    MemoryBackend,
    NotServable,
    NoURL,
)
from mediamw.core.keys import Key
from mediamw.core.model import Held, Look, Missing, Redirect
from mediamw.stack.steps import run

from .descriptors import descriptors
from .fakes import Bucket, Local, down, fifo

A = "homes/1/a.jpg"


def stack_of(*backends: Any, **options: Any) -> MediaStack:
    return MediaStack(list(backends), **options)


# -- who has it --------------------------------------------------------------------------------------------------------


def test_the_first_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"disk")
    memory = MemoryBackend({"a": b"memory", "b": b"memory"})
    s3, later = Bucket("s3", {"a": b"s3", "b": b"s3", "c": b"s3"}), Bucket("later", {"c": b"later", "d": b"later"})
    stack = stack_of(LocalBackend(tmp_path), memory, s3, later)
    found = {key: stack.find(key) for key in "abcde"}
    assert isinstance(found["a"], Held)
    assert isinstance(found["b"], Held)
    assert (found["a"].backend, found["b"].backend) == ("local", "memory")
    assert found["c"] == Redirect("s3", "https://s3.example/c?GET", found["c"].expires)
    assert found["d"].backend == "later"
    assert found["e"] == Missing()
    assert (s3.asked, later.asked) == (["c", "d", "e"], ["d", "e"])  # nobody is asked who need not be
    for held in (found["a"], found["b"]):
        held.handle.close()
    stack.close()


def test_head_is_signed_as_head() -> None:
    found = stack_of(Local("local"), Bucket("s3", {A: b"x"})).find(A, "HEAD")
    assert isinstance(found, Redirect)
    assert found.url.endswith("?HEAD")


HAS, HAS_NOT, CANNOT_TELL, NOT_SERVABLE = "has", "has not", "cannot tell", "not servable"


def fake(kind: type[Local] | type[Bucket], name: str, says: str) -> Local | Bucket:
    return kind(
        name, {HAS: {A: b"data"}, HAS_NOT: {}, CANNOT_TELL: {A: down(name)}, NOT_SERVABLE: {A: fifo(name)}}[says]
    )


@pytest.mark.parametrize("says", list(product((HAS, HAS_NOT, CANNOT_TELL, NOT_SERVABLE), repeat=3)), ids=", ".join)
@pytest.mark.parametrize("kinds", [(Local, Bucket, Bucket), (Local, Local, Bucket), (Bucket, Local, Local)])
def test_every_combination_of_answers(
    kinds: tuple[Any, ...], says: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """The rule in words, once more and simply: DESIGN's read rule without whiteouts."""
    backends = [fake(kind, f"b{number}", answer) for number, (kind, answer) in enumerate(zip(kinds, says, strict=True))]
    stack = stack_of(*backends)
    decided = next((n for n, answer in enumerate(says) if answer in (HAS, NOT_SERVABLE)), None)
    if says[0] == CANNOT_TELL:
        decided, expected = 0, BackendUnavailable
    elif decided is not None and says[decided] == NOT_SERVABLE:
        expected = NotServable
    elif decided is None and CANNOT_TELL in says:
        expected = BackendUnavailable
    else:
        expected = None
    for _ in range(2):  # the second time with what is remembered
        for ask in (stack.find, stack.stat, stack.exists, stack.open, stack.url):
            if expected is not None:
                with pytest.raises(expected) as caught:
                    ask(A)
                unsure = says.index(CANNOT_TELL) if expected is BackendUnavailable else decided
                assert caught.value.backend == f"b{unsure}"
            elif decided is None:
                assert missing(ask)
            else:
                assert backend_of(stack) == f"b{decided}"
    unasked = backends[decided + 1 :] if decided is not None else []
    assert [backend.asked for backend in unasked] == [[] for _ in unasked]
    for backend, answer in zip(backends, says, strict=True):
        if isinstance(backend, Bucket) and backend not in unasked:
            # What is an error is never remembered; what is an answer always is.
            assert (len(backend.asked) > 1) == (answer in (CANNOT_TELL, NOT_SERVABLE))
        for handle in getattr(backend, "handles", ()):
            assert handle.closed
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    passed_over = expected is None and decided is not None and CANNOT_TELL in says[:decided]
    assert bool(warned) == passed_over
    if passed_over:
        assert "it is down; served from backend" in warned[0].getMessage()
    stack.close()


def missing(ask: Callable[[str], Any]) -> bool:
    try:
        answer = ask(A)
    except FileNotFoundError as error:
        return error.filename == A and error.errno == 2
    except NoURL:
        return True
    return answer is False or answer == Missing()


def backend_of(stack: MediaStack) -> str:
    found = stack.find(A)
    if isinstance(found, Held):
        found.handle.close()
    assert not isinstance(found, Missing)
    assert stack.exists(A)
    assert stack.stat(A).size == 4
    with stack.open(A) as file:
        assert file.read() == b"data"
    return found.backend


def test_a_lower_that_cannot_tell_is_asked_again() -> None:
    s3 = Bucket("s3", {A: down("s3")})
    stack = stack_of(Local("local"), s3)
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            stack.find(A)
    s3.files[A] = b"back"
    assert isinstance(stack.find(A), Redirect)
    assert len(s3.asked) == 3


def test_local_backends_are_never_remembered(tmp_path: Path) -> None:
    lower = tmp_path / "lower"
    lower.mkdir()
    stack = stack_of(LocalBackend(tmp_path / "upper"), LocalBackend(lower, name="lower"), MemoryBackend())
    assert not stack.exists("a")
    (lower / "a").write_bytes(b"now")
    assert stack.exists("a")
    (lower / "a").write_bytes(b"longer by now")
    assert stack.stat("a").size == 13
    (lower / "a").unlink()
    assert not stack.exists("a")
    stack.close()


def test_an_upper_that_is_remote_and_cannot_tell() -> None:
    stack = stack_of(Bucket("staging", {A: down("staging")}), Bucket("prod", {A: b"x"}))
    with pytest.raises(BackendUnavailable, match="staging"):
        stack.find(A)


def test_looks_say_who_was_asked() -> None:
    stack = stack_of(Local("local"), Bucket("down", {A: down("down")}), Bucket("s3", {A: b"x"}))
    for remembered in (False, True):
        looks: list[Look] = []
        run(stack.finding(Key(A), "GET", looks=looks))
        assert [(look.backend, look.answer, look.source) for look in looks] == [
            ("local", "missing", ""),
            ("down", "unavailable", ""),
            ("s3", "found", "remembered" if remembered else ""),
        ]
        assert all(look.seconds >= 0 for look in looks)


# -- what is prepared and given back -----------------------------------------------------------------------------------


def test_prepare_comes_before_the_first_url() -> None:
    s3 = Bucket("s3", {A: b"x"})
    s3.ready = False
    stack = stack_of(Local("local"), s3)
    stack.find(A)
    stack.find(A)
    assert s3.prepared == 1


def test_every_handle_is_closed() -> None:
    local = Local("local", {A: b"data"})
    stack = stack_of(local, base_url="/media/")
    stack.exists(A)
    stack.stat(A)
    stack.url(A)
    with stack.open(A) as file:
        assert not local.handles[-1].closed
        assert file.read() == b"data"
    assert len(local.handles) == 4
    assert all(handle.closed for handle in local.handles)


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"disk")
    stack = stack_of(LocalBackend(tmp_path), base_url="/")
    stack.exists("a")
    before = descriptors()
    for _ in range(20):
        stack.exists("a")
        stack.stat("a")
        stack.url("a")
        stack.open("a").close()
    assert descriptors() == before
    stack.close()


def test_close_and_use_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"disk")
    stack = stack_of(LocalBackend(tmp_path), Bucket("s3", {A: b"x"}))
    for _ in range(2):
        assert stack.exists("a")
        assert stack.exists(A)
        stack.forget(A)
        stack.close()


# -- names -------------------------------------------------------------------------------------------------------------

METHODS: list[Callable[[MediaStack, str], Any]] = [
    MediaStack.find,
    MediaStack.open,
    MediaStack.stat,
    MediaStack.exists,
    MediaStack.url,
    MediaStack.forget,
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a\0b", "a\\b", "\ud800", ".mediamw/x", "k" * 256])
def test_names_are_checked_before_anybody_is_asked(method: Callable[[MediaStack, str], Any], name: str) -> None:
    local, s3 = Local("local"), Bucket("s3")
    with pytest.raises(InvalidKey):
        method(stack_of(local, s3, base_url="/"), name)
    assert local.asked == s3.asked == []


@pytest.mark.parametrize(
    ("backends", "said"),
    [
        ([], "at least one"),
        ("./media", "list"),
        ([Local("a"), Bucket("a")], "named 'a'"),
        ([Local("a"), "s3://b"], "item 2"),
        ([None], "item 1"),
        ([Local], "item 1"),
        ([object()], "item 1"),
    ],
)
def test_what_is_no_list_of_backends(backends: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MediaStack(backends)


# -- URLs --------------------------------------------------------------------------------------------------------------


def test_urls() -> None:
    name = "a b/ü+%?#&'\"~(1).jpg"
    stack = stack_of(Local("local", {name: b"x"}), Bucket("s3", {A: b"x"}), base_url="/media/")
    assert stack.url(A) == f"https://s3.example/{A}?GET"
    assert stack.url(name) == "/media/a%20b/%C3%BC%2B%25%3F%23%26%27%22~%281%29.jpg"
    assert stack.url("nobody.jpg") == "/media/nobody.jpg"
    bare = stack_of(Local("local", {name: b"x"}), Bucket("s3", {A: b"x"}))
    assert bare.url(A) == f"https://s3.example/{A}?GET"
    for key in (name, "nobody.jpg"):
        with pytest.raises(NoURL, match="base_url"):
            bare.url(key)


# -- listing -----------------------------------------------------------------------------------------------------------


def test_listings_merge(tmp_path: Path) -> None:
    for name in ("homes/2/b.jpg", "z.jpg", "homes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"disk")
    lower = MemoryBackend(
        {"homes/1/a.jpg": b"m", "homes/2/b.jpg": b"m", "homes/2/c.jpg": b"m", "a.jpg": b"m", "é": b""}
    )
    lowest = MemoryBackend({"homes/2/b.jpg": b"l", "b.jpg": b"l", "homes/10/x": b"l"}, name="lowest")
    stack = stack_of(LocalBackend(tmp_path), lower, lowest)
    assert [(entry.key, entry.backend) for entry in stack.list(recursive=True)] == [
        ("a.jpg", "memory"),
        ("b.jpg", "lowest"),
        ("homes.txt", "local"),
        ("homes/1/a.jpg", "memory"),
        ("homes/10/x", "lowest"),
        ("homes/2/b.jpg", "local"),
        ("homes/2/c.jpg", "memory"),
        ("z.jpg", "local"),
        ("é", "memory"),
    ]
    assert [(entry.key, entry.is_folder) for entry in stack.list()] == [
        ("a.jpg", False),
        ("b.jpg", False),
        ("homes.txt", False),
        ("homes/", True),
        ("z.jpg", False),
        ("é", False),
    ]
    assert [entry.key for entry in stack.list("homes/")] == ["homes/1/", "homes/10/", "homes/2/"]
    assert [entry.key for entry in stack.list("homes/2")] == ["homes/2/"]
    assert [entry.key for entry in stack.list("homes/2/", recursive=True)] == ["homes/2/b.jpg", "homes/2/c.jpg"]
    assert list(stack.list("nothing/")) == []
    for entry in stack.list(recursive=True):
        assert entry.meta is not None
        assert entry.meta.size == stack.stat(entry.key).size
    stack.close()


def test_a_listing_is_whole_or_an_error() -> None:
    with pytest.raises(BackendUnavailable, match="it is down"):
        list(stack_of(Local("local", {"a": b""}), Bucket("s3", {"b": down("s3")})).list())

    class Mute:
        name = "mute"

        def open(self, key: Key) -> None:
            return None

    with pytest.raises(BackendUnavailable, match=r"mute.*cannot list"):
        list(stack_of(Local("local"), Mute()).list())


@pytest.mark.parametrize("prefix", ["/", "a//", "../", "a/../b", ".mediamw/", "a\\"])
def test_prefixes_are_checked_at_once(prefix: str) -> None:
    with pytest.raises(InvalidKey, match="prefix"):
        stack_of(Local("local")).list(prefix)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []
