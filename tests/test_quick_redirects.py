"""Redirects and quick looks when others act at that moment: uploads, deletes, another root, another URL, no signer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mediamw import BackendUnavailable, LocalBackend, MediaStack
from mediamw.backends import beneath
from mediamw.core.model import Held, Hidden, Redirect

from .quick_disks import need_remembered_names
from .test_kept_plans import Ask, decided
from .test_kept_plans import make as middleware
from .test_known_redirects import A, Bucket
from .test_known_redirects import make as make
from .test_known_redirects import root as linux_root

__all__ = ["decided", "linux_root", "middleware"]  # fixtures

pytestmark = pytest.mark.usefixtures("roots_believed")


@pytest.fixture
def root(linux_root: Path) -> Path:
    """A folder of a disk of which the kernel remembers what is missing, so that it is known without waiting."""
    need_remembered_names(linux_root)
    return linux_root


def stack_on(folder: Path) -> MediaStack:
    return MediaStack([LocalBackend(folder), Bucket("prod", A)])


@pytest.fixture
def before_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Have one of some acts happen before each quick look from now on; those that are left are returned."""
    real = beneath._open_cached
    assert real is not None

    def before(*acts: Callable[[], Any]) -> list[Any]:
        left = [*acts]

        def open_cached(directory: Any, path: Any) -> int:
            if left:
                act = left.pop(0)
                monkeypatch.setattr(beneath, "_open_cached", real)  # others look as they do
                act()
                monkeypatch.setattr(beneath, "_open_cached", open_cached)
            return real(directory, path)

        monkeypatch.setattr(beneath, "_open_cached", open_cached)
        return left

    return before


# -- uploads and deletes between the looks -----------------------------------------------------------------------------


ASKED: dict[str, Callable[[MediaStack], Any]] = {
    "find": lambda stack: type(found_by(stack)),
    "exists": lambda stack: stack.exists(A),
    "url": lambda stack: "prod" in stack.url(A),
}
TOLD: dict[str, tuple[Any, Any]] = {"find": (Held, Hidden), "exists": (True, False), "url": (False, False)}
"""What is said of an upload, and of a deleted file."""


def found_by(stack: MediaStack) -> Any:
    found = stack.find(A)
    if isinstance(found, Held):
        assert found.backend == "local"
        found.handle.close()
    return found


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("then", ["an upload", "an upload, and a delete"])
def test_what_comes_between_the_first_looks(
    root: Path, before_looks: Callable[..., list[Any]], then: str, asked: str
) -> None:
    """A deleted file of production that is uploaded anew, and deleted again, is never production's in between.

    The upper is asked for the file, then for the whiteout, then both again. The upload comes before the second of these
    looks, the delete before the third: neither has anything to find.
    """
    other = stack_on(root)
    other.delete(A)
    stack = MediaStack([LocalBackend(root), Bucket("prod", A)], base_url="/media/")
    is_deleted = then != "an upload"
    left = before_looks(partial(other.save, A, b"new"), *[partial(other.delete, A)] * is_deleted)
    assert ASKED[asked](stack) == TOLD[asked][is_deleted]
    assert not left


@pytest.mark.parametrize("then", ["an upload", "an upload, and a delete"])
def test_what_comes_between_the_first_looks_of_a_request(
    make: Callable[..., Ask], root: Path, before_looks: Callable[..., list[Any]], then: str
) -> None:
    other = stack_on(root)
    other.delete(A)
    get = make(stack_on(root))
    assert get().status == 404
    left = before_looks(partial(other.save, A, b"new"), *[partial(other.delete, A)] * (then != "an upload"))
    answer = get()
    assert not left
    assert (answer.status, answer.body) == (200, b"new") if then == "an upload" else answer.status == 404


# -- another root ------------------------------------------------------------------------------------------------------


def put_in(folder: Path, what: str) -> None:
    """Have ``folder`` be one in which A is deleted, or is a file."""
    other = stack_on(folder)
    if what == "the file":
        other.save(A, b"another root's", names="replace")
    else:
        other.delete(A)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("what", ["the file", "a whiteout"])
def test_another_root_between_the_looks(
    make: Callable[..., Ask], root: Path, before_looks: Callable[..., list[Any]], what: str, number: int
) -> None:
    """Whatever the old one has not, production has the file only if the directory that is there now has none."""
    media, another = root / "media", root / "another"
    media.mkdir()
    (media / "homes").mkdir()
    put_in(another, what)
    found = stack_on(media).find(A)
    assert isinstance(found, Redirect)  # and all of its names are in the caches

    def swap() -> None:
        media.rename(root / "gone")
        another.rename(media)

    get = make(stack_on(media))
    left = before_looks(*[lambda: None] * (number - 1), swap)
    answer = get()
    assert not left
    assert (answer.status, answer.body[:7]) == ((200, b"another") if what == "the file" else (404, b"404 Not"))


@pytest.mark.parametrize("what", ["the file", "a whiteout"])
def test_another_root(make: Callable[..., Ask], root: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A root is believed for a second, as everywhere, and no longer for a redirect that was given before."""
    media, another = root / "media", root / "another"
    media.mkdir()
    get = make(stack_on(media))
    assert get().status == get().status == 302
    put_in(another, what)
    media.rename(root / "gone")
    another.rename(media)
    monkeypatch.setattr(beneath, "_ROOT_CHECK_SECONDS", -1.0)
    assert get().status == (200 if what == "the file" else 404)


# -- another URL -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "ask"),
    [
        ("GET", lambda stack: stack.url(A)),
        ("GET", lambda stack: stack.find(A)),
        ("HEAD", lambda stack: stack.find(A, "HEAD")),
    ],
    ids=["url", "find", "head"],
)
def test_a_new_url_that_somebody_else_was_given_first(
    make: Callable[..., Ask], root: Path, method: str, ask: Callable[[MediaStack], Any]
) -> None:
    """The stack has the new one then, and the plan that is kept has the old one."""
    bucket = Bucket("prod", A)
    stack = MediaStack([LocalBackend(root), bucket])
    get = make(stack)
    assert get(method=method) == get(method=method)
    for window in range(2, 5):
        bucket.window = window
        ask(stack)
        for _ in range(2):
            assert get(method=method).get("location") == f"https://prod.example/{A}?{method}&{window}"


class Ending(Bucket):
    """A bucket whose credentials end: what it signs with them is worth nothing, and says so."""

    def __init__(self, name: str, *keys: str) -> None:
        super().__init__(name, *keys)
        self.has_ended = self.is_lost = False

    def can_sign(self, now: float) -> bool:
        return not self.has_ended

    def prepare(self) -> None:
        if self.is_lost:
            raise BackendUnavailable("no credentials", backend=self.name)
        self.has_ended = False


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_credentials_that_have_ended(make: Callable[..., Ask], root: Path, method: str) -> None:
    """Though the URL would be the same: the way that renews them is taken, and says it if they cannot be renewed."""
    bucket = Ending("prod", A)
    get = make(MediaStack([LocalBackend(root), bucket]))
    first = get(method=method)
    assert first == get(method=method)
    bucket.has_ended = True
    assert get(method=method) == first
    assert not bucket.has_ended, "they were renewed"
    bucket.has_ended = bucket.is_lost = True
    assert [get(method=method).status for _ in range(2)] == [503, 503]
    bucket.is_lost = False
    assert get(method=method) == first
