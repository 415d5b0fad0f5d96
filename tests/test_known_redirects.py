"""Redirects that are given again: only while the upper, its whiteouts, its copies and the lowers would say the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mediamw import BackendUnavailable, LocalBackend, MediaStack
from mediamw.backends import beneath
from mediamw.backends.base import Later, Remote, SignedURL
from mediamw.backends.local import LocalHandle
from mediamw.core.keys import Key
from mediamw.core.model import Meta, Redirect
from mediamw.stack import known_redirects, lookups
from mediamw.stack.pull_version import record_key, source_of

from .descriptors import descriptors
from .listing_buckets import ListingBucket
from .quick_disks import need_remembered_names
from .test_kept_plans import Ask, decided
from .test_kept_plans import make as middleware
from .test_lookups_limits import forks, in_a_child, may_be_threaded

__all__ = ["decided", "middleware"]  # fixtures

pytestmark = pytest.mark.usefixtures("roots_believed")

A = Key("homes/a.jpg")


class Bucket:
    """Has keys, far away, and notes what it is asked. ``window`` is in its URLs; ``broken``: it cannot tell."""

    def __init__(self, name: str, *keys: str) -> None:
        self.name = name
        self.keys = set(keys)
        self.asked: list[str] = []
        self.window = 1
        self.broken = False

    def open(self, key: Key) -> Remote | None:
        self.asked.append(key)
        if self.broken:
            raise BackendUnavailable("down", backend=self.name)
        return Remote(Meta(7, etag='"far"')) if key in self.keys else None

    def can_sign(self, now: float) -> bool:
        return True

    def prepare(self) -> None:
        pass

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        return SignedURL(f"https://{self.name}.example/{key}?{method}&{self.window}", now + 3600)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    need_remembered_names(tmp_path)
    (tmp_path / "homes").mkdir()
    return tmp_path


@pytest.fixture
def make(middleware: Callable[..., Ask]) -> Callable[..., Ask]:
    """A middleware of either kind around a stack, and how it is asked for A."""
    return lambda stack, **options: partial(middleware(stack, **options), f"/media/{A}")


def test_it_is_given_again(make: Any, root: Path, decided: list[str]) -> None:
    bucket = Bucket("prod", A)
    get = make(MediaStack([LocalBackend(root), bucket]))
    first = get()
    assert first.get("location") == f"https://prod.example/{A}?GET&1"
    decided.clear()
    assert get() == get() == first
    assert decided == []
    head = get(method="HEAD")
    assert head.get("location") == f"https://prod.example/{A}?HEAD&1"
    assert get(method="HEAD") == head
    assert get() == first
    assert decided == [A]
    assert bucket.asked == [A]


def test_uploads_and_deletes_of_others_show_at_once(make: Any, root: Path) -> None:
    other = MediaStack([LocalBackend(root), Bucket("prod", A)], names="shadow")
    get = make(MediaStack([LocalBackend(root), Bucket("prod", A)]))
    for _ in range(20):
        assert get().status == get().status == 302
        other.save(A, b"local")
        assert get().body == b"local"
        other.delete(A)
        assert get().status == 404
        other.restore(A)


@forks
@may_be_threaded
def test_a_lock_that_was_held_at_a_fork(root: Path) -> None:
    stack = MediaStack([LocalBackend(root), Bucket("prod", A)])
    known = stack._finder._known
    assert known is not None
    with known._kept._lock.get():
        assert in_a_child(lambda: isinstance(stack.find(A), Redirect))


class Elsewhere(LocalBackend):
    """A directory that finds files where others do not look, too."""

    found: Path

    def open(self, key: Key) -> LocalHandle | None:
        return super().open(key) or LocalBackend(self.found).open(key)

    def open_now(self, key: Key) -> LocalHandle | Later | None:
        return super().open_now(key) or LocalBackend(self.found).open_now(key)


def test_an_upper_that_opens_in_another_way_is_asked_each_time(make: Any, root: Path, tmp_path: Path) -> None:
    upper = Elsewhere(root)
    upper.found = tmp_path / "nothing"
    get = make(MediaStack([upper, Bucket("prod", A)]))
    assert get().status == get().status == get().status == 302
    upper.found = tmp_path / "found"
    (upper.found / A).parent.mkdir(parents=True)
    (upper.found / A).write_bytes(b"local")
    assert get().body == b"local"


def test_a_copy_shows_at_once(make: Any, root: Path) -> None:
    """What another process pulled is served from there, whatever this one has given before."""
    bucket = Bucket("prod", A)
    local = LocalBackend(root)
    get = make(MediaStack([local, bucket]))
    assert get().status == get().status == 302
    record = record_key(source_of(bucket), A)
    (root / record).parent.mkdir(parents=True)
    (root / record).write_bytes(b"{")
    stack = MediaStack([local, bucket])
    again = stack.redirect_again(A, "GET")
    assert again is None
    assert get().status == 302  # it is no record of a copy
    assert isinstance(stack.find(A), Redirect)
    assert stack.redirect_again(A, "GET") is None  # somebody has to look at it each time


def test_another_window(make: Any, root: Path) -> None:
    bucket = Bucket("prod", A)
    get = make(MediaStack([LocalBackend(root), bucket]))
    assert get().get("location") == get().get("location") == f"https://prod.example/{A}?GET&1"
    bucket.window = 2
    assert get().get("location") == get().get("location") == f"https://prod.example/{A}?GET&2"


@pytest.mark.parametrize("ttl", ["found", "missing"])
def test_what_was_said_is_believed_as_long_as_ever(
    make: Any, root: Path, ttl: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(lookups.Lookups.__init__, "__kwdefaults__", {
        **lookups.Lookups.__init__.__kwdefaults__, "clock": lambda: now,
    })  # fmt: skip
    first, second = Bucket("staging"), Bucket("prod", A)
    get = make(MediaStack([LocalBackend(root), first, second], found_ttl=300, missing_ttl=30))
    assert "prod" in str(get().get("location"))
    first.keys.add(A)
    second.keys.clear()
    now += 29.0
    assert "prod" in str(get().get("location"))
    now += 2.0 if ttl == "missing" else 300.0
    assert "staging" in str(get().get("location"))


def test_forgetting(make: Any, root: Path) -> None:
    bucket = Bucket("prod", A)
    stack = MediaStack([LocalBackend(root), bucket])
    get = make(stack, on_miss="404")
    assert get().status == get().status == 302
    bucket.keys.clear()
    stack.forget(A)
    assert get().status == 404


def test_what_a_head_does_not_find_counts_at_once(root: Path) -> None:
    """Though the listing that told of the file would be believed for longer."""
    bucket = ListingBucket("prod", {f"homes/{number}.jpg": b"x" for number in range(5)})
    with closing(MediaStack([LocalBackend(root), bucket])) as stack:
        found = {key: stack.find(key) for key in bucket.files}
        assert {key: stack.redirect_again(key, "GET") for key in found} == found
        del bucket.files["homes/4.jpg"]
        assert stack.redirect_again("homes/4.jpg", "GET") is found["homes/4.jpg"]
        with pytest.raises(FileNotFoundError):
            stack.stat("homes/4.jpg")  # of which a listing tells too little
        assert stack.redirect_again("homes/4.jpg", "GET") is None
        assert stack.redirect_again("homes/3.jpg", "GET") is found["homes/3.jpg"]


def test_what_a_listing_does_not_have_counts_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = ListingBucket("prod", {f"homes/{number}.jpg": b"x" for number in range(5)})
    with closing(MediaStack([LocalBackend(root), bucket])) as stack:
        found = {key: stack.find(key) for key in bucket.files}
        assert {key: stack.redirect_again(key, "GET") for key in found} == found
        listed = stack._finder._asker.origins.listed
        del bucket.files["homes/4.jpg"]
        (page,) = listed._list(bucket, Key("homes/4.jpg"), True, {"homes/4.jpg"}, ())
        monkeypatch.setattr(listed, "_list", lambda *_: (page,))
        flight = None
        monkeypatch.setattr("mediamw.stack.folder_listing.PAUSE_SECONDS", 0)
        while flight is None:  # at the third key that is not known
            flight = listed.flight(bucket, Key(f"homes/unknown {os.urandom(4).hex()}"))
        flight.future.result(20)
        listed.leave(flight)
        assert stack.redirect_again("homes/3.jpg", "GET") is found["homes/3.jpg"]
        assert stack.redirect_again("homes/4.jpg", "GET") is None


@pytest.mark.parametrize("then", ["an upload", "an upload, and a delete"])
def test_what_comes_between_the_looks(root: Path, then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deleted file of production that is uploaded anew, and deleted again, is never production's in between."""
    stack, other = (MediaStack([LocalBackend(root), Bucket("prod", A)]) for _ in range(2))
    assert stack.find(A) is stack.redirect_again(A, "GET")
    other.delete(A)
    real, acts = beneath._open_cached, [partial(other.save, A, b"new")]
    acts += [partial(other.delete, A)] if then != "an upload" else []

    def open_cached(directory: Any, path: Any) -> int:
        assert real is not None
        found = real(directory, path)
        if acts:  # after the first look, for the file, and after the second, for the whiteout
            act = acts.pop(0)
            monkeypatch.setattr(beneath, "_open_cached", real)
            act()
            monkeypatch.setattr(beneath, "_open_cached", open_cached)
        return found

    monkeypatch.setattr(beneath, "_open_cached", open_cached)
    assert stack.redirect_again(A, "GET") is None
    assert not acts


def test_one_that_could_not_tell(make: Any, root: Path, decided: list[str]) -> None:
    first, second = Bucket("staging", A), Bucket("prod", A)
    first.broken = True
    get = make(MediaStack([LocalBackend(root), first, second]))
    assert "prod" in str(get().get("location"))
    first.broken = False
    assert "staging" in str(get().get("location"))


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({"authorize": lambda request, key: True}, ()),
        ({"add_headers": lambda key, status: {"X-Now": "1"}}, ()),
        ({"debug": True}, ()),
        ({"redirect_max_age": 60}, ()),
        ({}, (("Via", "1.1 other"),)),
        ({}, (("Range", "bytes=0-1"), ("If-Range", '"other"'))),
    ],
    ids=["authorize", "add_headers", "debug", "redirect_max_age", "via", "if-range"],
)
def test_what_depends_on_more_is_decided_each_time(
    make: Any, root: Path, decided: list[str], options: Any, headers: Any
) -> None:
    get = make(MediaStack([LocalBackend(root), Bucket("prod", A)]), **options)
    for _ in range(3):
        assert get(*headers).status == 302
    assert decided == [A] * 3


def test_the_bound(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_redirects, "MAX_REDIRECTS", 2)
    stack = MediaStack([LocalBackend(root), Bucket("prod", "a", "b", "c")])
    found = {key: stack.find(key) for key in ("a", "b", "c")}
    again = {key: stack.redirect_again(key, "GET") for key in found}
    assert again["c"] is found["c"]
    assert sorted(again[key] is found[key] for key in found) == [False, True, True]


def test_a_folder_that_may_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what is in it: to send clients to production then would be a lie."""
    stack = MediaStack([LocalBackend(root), Bucket("prod", A)])
    assert stack.find(A) is stack.redirect_again(A, "GET")
    monkeypatch.setattr(beneath, "_open_cached", lambda fd, path: -13)
    assert stack.redirect_again(A, "GET") is None


def test_no_descriptor_is_left(root: Path) -> None:
    """A name that is taken meanwhile is opened, and let go of."""

    stack = MediaStack([LocalBackend(root), Bucket("prod", A)])
    stack.find(A)
    (root / A).write_bytes(b"x")
    before = descriptors()
    for _ in range(10):
        assert stack.redirect_again(A, "GET") is None
    assert descriptors() == before


def test_what_a_listing_told_is_known_as_well(root: Path) -> None:
    bucket = ListingBucket("prod", {f"homes/{number}.jpg": b"x" for number in range(5)})
    with closing(MediaStack([LocalBackend(root), bucket])) as stack:
        found = {key: stack.find(key) for key in bucket.files}
        asked = bucket.calls
        assert asked < len(found), "the third of them had the folder listed"
        assert {key: stack.redirect_again(key, "GET") for key in found} == found
        assert bucket.calls == asked
        (root / "homes/4.jpg").write_bytes(b"local")
        assert stack.redirect_again("homes/4.jpg", "GET") is None


def test_whoever_asks_for_a_url_takes_nothing_away(make: Any, root: Path, decided: list[str]) -> None:
    stack = MediaStack([LocalBackend(root), Bucket("prod", A)])
    get, other = make(stack), make(stack)
    for _ in range(3):
        assert stack.url(A) == get().get("location") == other().get("location")
    assert decided == [A] * 2  # once for each of the middlewares
