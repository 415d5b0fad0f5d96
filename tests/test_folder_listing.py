"""Folders that are listed: when, for whom, what is believed of it and how long; and that an outage is no absence."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediamw import LocalBackend, MediaStack
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.backends.pages import Listed, Page
from mediamw.backends.rules import Rules
from mediamw.core.errors import BackendUnavailable, Unreachable
from mediamw.core.keys import Key
from mediamw.core.model import Held, Missing, Redirect
from mediamw.stack import folder_listing
from mediamw.stack.folder_listing import (
    MAX_DROPPED,
    MAX_FLIGHTS,
    MAX_FOLDERS,
    NOT_BELIEVED_SECONDS,
    PAUSE_SECONDS,
    TOGETHER_SECONDS,
    FolderListing,
)
from mediamw.stack.lookups import Lookups
from mediamw.stack.origin_health import OriginHealth
from mediamw.stack.steps import run

from .fakes import Clock, Local, dead, gate, get, until
from .listing_buckets import ListingBucket
from .test_pages import NAMES


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def closing() -> Iterator[Callable[[MediaStack], MediaStack]]:
    made: list[MediaStack] = []

    def keep(stack: MediaStack) -> MediaStack:
        made.append(stack)
        return stack

    yield keep
    for stack in made:
        stack.close()


Keep = Callable[[MediaStack], MediaStack]


def stack_of(clock: Clock, *backends: Any, **options: Any) -> MediaStack:
    with (
        mock.patch("mediamw.stack.origins.OriginHealth", partial(OriginHealth, clock=clock)),
        mock.patch("mediamw.stack.origins.Lookups", partial(Lookups, clock=clock)),
        mock.patch("mediamw.stack.origins.FolderListing", partial(FolderListing, clock=clock)),
    ):
        return MediaStack([Local("local"), *backends], **options)


def files(number: int, folder: str = "f/") -> dict[str, bytes | Exception]:
    return {f"{folder}{index:04}.jpg": b"x" * (index + 1) for index in range(number)}


def settle(stack: MediaStack) -> None:
    """Wait until all answers were taken over."""
    until(
        lambda: (
            not stack._asker.origins.lookups._state.get().flights
            and not stack._asker.origins.listed._state.get().flights
        )
    )


def find(stack: MediaStack, *keys: str) -> list[str]:
    said = []
    for key in keys:
        try:
            said.append(type(stack.find(key)).__name__)
        except BackendUnavailable:
            said.append("unavailable")
        settle(stack)
    return said


def learn(stack: MediaStack, folder: str = "f/") -> None:
    """Have ``folder`` listed, by asking for three keys that nobody has."""
    assert find(stack, *(f"{folder}nobody-{number}" for number in range(3))) == ["Missing"] * 3


def source(stack: MediaStack, key: str) -> str:
    try:
        return stack.explain(key).looks[-1].source
    finally:
        settle(stack)


# -- when --------------------------------------------------------------------------------------------------------------


def test_the_third_unknown_key_has_the_folder_listed(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(50))
    stack = closing(stack_of(clock, s3))
    assert find(stack, *(f"f/{index:04}.jpg" for index in range(60))) == ["Redirect"] * 50 + ["Missing"] * 10
    assert s3.asked == ["f/0000.jpg", "f/0001.jpg"]
    assert s3.pages == [("f/", None)]
    assert [source(stack, f"f/{key}") for key in ("0000.jpg", "0002.jpg", "0059.jpg")] == [
        "remembered",
        "listed",
        "listed",
    ]
    assert {name.rpartition("_")[0] for what, name in s3.threads if what == "list_page"} == {"mediamw-network-s3"}


def test_the_same_key_is_not_a_third_one(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(3))
    stack = closing(stack_of(clock, s3, found_ttl=0, missing_ttl=0))
    find(stack, *["f/0000.jpg", "f/0001.jpg"] * 5)
    assert s3.pages == []


@pytest.mark.parametrize("seconds", [TOGETHER_SECONDS - 0.01, TOGETHER_SECONDS])
def test_within_two_seconds(clock: Clock, closing: Keep, seconds: float) -> None:
    s3 = ListingBucket("s3", files(3))
    stack = closing(stack_of(clock, s3))
    find(stack, "f/0000.jpg", "f/0001.jpg")
    clock.now += seconds
    find(stack, "f/0002.jpg")
    assert len(s3.pages) == (seconds < TOGETHER_SECONDS)


def test_each_folder_counts_for_itself(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", {"a.jpg": b"x", "f/a.jpg": b"x", "f/g/a.jpg": b"x", "f/b.jpg": b"x", "g/a.jpg": b"x"})
    stack = closing(stack_of(clock, s3))
    find(stack, *s3.files)
    assert s3.pages == []
    find(stack, "f/c.jpg")
    assert s3.pages == [("f/", None)]
    find(stack, "b.jpg", "c.jpg")
    assert s3.pages == [("f/", None), ("", None)]
    assert source(stack, "f") == "listed"
    assert source(stack, "f/g/b.jpg") == ""


def test_a_request_that_came_through_another_site_lists_nothing(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3))
    for key in s3.files:
        run(stack.finding(Key(key), "GET", via="1.1 mediamw-0123456789ab"))
    assert (len(s3.asked), s3.pages) == (9, [])


# -- six at a time -----------------------------------------------------------------------------------------------------


def test_those_who_come_meanwhile_wait_for_it(clock: Clock, closing: Keep) -> None:
    opened, wait = gate()
    s3 = ListingBucket("s3", files(100), listing=wait)
    stack = closing(stack_of(clock, s3))
    find(stack, "f/0000.jpg", "f/0001.jpg")
    with ThreadPoolExecutor(20) as browser:
        found = [browser.submit(stack.find, f"f/{index:04}.jpg") for index in range(90, 110)]
        flights = stack._asker.origins.listed._state.get()
        until(lambda: flights.folders["s3", "f/"].flight is not None)
        until(lambda: len(flights.folders["s3", "f/"].flight.waiting) == 20)  # type: ignore[union-attr]
        opened.set()
        said = [future.result() for future in found]
    assert [type(one) for one in said] == [Redirect] * 10 + [Missing] * 10
    assert (len(s3.asked), len(s3.pages)) == (2, 1)


def test_a_key_behind_the_page_is_listed_in_the_same_flight(clock: Clock, closing: Keep) -> None:
    """A hundred images that follow each other in a folder of many are four calls too."""
    s3 = ListingBucket("s3", files(5000))
    stack = closing(stack_of(clock, s3))
    keys = [f"f/{index:04}.jpg" for index in range(3000, 3100)]
    assert find(stack, *keys) == ["Redirect"] * 100
    assert s3.asked == keys[:2]
    assert s3.pages == [("f/", None), ("f/", "f/3002.jpf~")]


def test_of_a_known_folder_the_next_part_is_listed(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(500), page_keys=100)
    stack = closing(stack_of(clock, s3))
    keys = [f"f/{index:04}.jpg" for index in range(250)]
    assert find(stack, *keys) == ["Redirect"] * 250
    assert s3.pages == [("f/", None), ("f/", "f/0102.jpf~"), ("f/", "f/0204.jpf~")]
    assert len(s3.asked) == 6


def test_the_first_that_is_waited_for_is_where_the_second_page_begins(clock: Clock, closing: Keep) -> None:
    opened, wait = gate()
    s3 = ListingBucket("s3", files(500), page_keys=100, listing=wait)
    stack = closing(stack_of(clock, s3))
    find(stack, "f/0300.jpg", "f/0301.jpg")
    with ThreadPoolExecutor(6) as browser:
        found = [browser.submit(stack.find, f"f/0{index}.jpg") for index in (307, 306, 305, 304, 303, 302)]
        flights = stack._asker.origins.listed._state.get()
        until(lambda: bool(flights.folders["s3", "f/"].flight) and len(s3.pages) == 1)
        until(lambda: len(flights.folders["s3", "f/"].flight.waiting) == 6)  # type: ignore[union-attr]
        opened.set()
        assert all(isinstance(future.result(), Redirect) for future in found)
    assert s3.pages == [("f/", None), ("f/", "f/0302.jpf~")]
    assert len(s3.asked) == 2


def test_a_big_folder_whose_files_are_asked_for_here_and_there_is_left_alone(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(5000), page_keys=5)
    stack = closing(stack_of(clock, s3))
    find(stack, *(f"f/{index:04}.jpg" for index in range(0, 5000, 100)))
    assert len(s3.pages) == 2
    clock.now += PAUSE_SECONDS
    find(stack, *(f"f/{index:04}.jpg" for index in range(50, 5000, 500)))
    assert len(s3.pages) > 2


def test_hundred_of_one_key_are_one_call(closing: Keep) -> None:
    opened, wait = gate()
    s3 = ListingBucket("s3", files(3), wait=wait)
    stack = closing(MediaStack([Local("local"), s3]))
    with ThreadPoolExecutor(100) as clients:
        found = [clients.submit(stack.find, "f/0000.jpg") for _ in range(100)]
        until(lambda: sum(stack._asker.origins.lookups._state.get().waiting.values()) == 100)
        opened.set()
        assert all(isinstance(future.result(), Redirect) for future in found)
    assert s3.calls == 1


def test_on_an_event_loop_too() -> None:
    s3 = ListingBucket("s3", files(100), wait=partial(time.sleep, 0.01), listing=partial(time.sleep, 0.01))
    app = ASGIMiddleware(None, MediaStack([Local("local"), s3]), on_miss="404")

    async def browse() -> list[int]:
        slots = asyncio.Semaphore(6)

        async def one(path: str) -> int:
            async with slots:
                return await get(app, f"/media/{path}")

        return await asyncio.gather(*(one(f"f/{index:04}.jpg") for index in range(110)))

    assert asyncio.run(browse()) == [302] * 100 + [404] * 10
    assert (len(s3.asked), len(s3.pages)) == (2, 1)


# -- how long ----------------------------------------------------------------------------------------------------------


def test_absence_is_believed_for_its_time_and_presence_for_its_own(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3))
    learn(stack)
    s3.files["f/new.jpg"] = b"x"
    clock.now += 29.9
    assert find(stack, "f/new.jpg", "f/0001.jpg") == ["Missing", "Redirect"]
    clock.now += 0.1
    assert find(stack, "f/new.jpg", "f/0001.jpg") == ["Redirect", "Redirect"]
    assert source(stack, "f/0001.jpg") == "listed"
    clock.now += 269.9
    assert source(stack, "f/0001.jpg") == "listed"
    clock.now += 0.1
    assert source(stack, "f/0001.jpg") == ""


def test_what_was_there_stands_in_while_the_origin_cannot_tell(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3))
    learn(stack)
    s3.files["f/0001.jpg"] = s3.files["f/0002.jpg"] = dead("s3")
    clock.now += 300
    assert source(stack, "f/0001.jpg") == "stale"
    assert find(stack, "f/nobody-2") == ["Missing"]
    clock.now += 900
    assert find(stack, "f/0001.jpg") == ["unavailable"]


def test_a_newer_listing_counts_however_old_it_is(clock: Clock, closing: Keep) -> None:
    """An older page that has a file which a newer one did not see must not come back when that one is too old."""
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3))
    learn(stack)
    del s3.files["f/0005.jpg"]
    clock.now += PAUSE_SECONDS
    learn(stack)
    assert len(s3.pages) == 2
    assert find(stack, "f/0005.jpg") == ["Missing"]
    clock.now += 31
    assert source(stack, "f/0005.jpg") == ""


def test_what_a_head_does_not_find_is_no_longer_there(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3))
    learn(stack)
    assert stack.exists("f/0005.jpg")
    del s3.files["f/0005.jpg"]
    with pytest.raises(FileNotFoundError):
        stack.stat("f/0005.jpg")
    settle(stack)
    clock.now += 31
    assert find(stack, "f/0005.jpg") == ["Missing"]


def test_without_time_to_live_it_answers_those_who_wait(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3, found_ttl=0, missing_ttl=0))
    assert find(stack, *s3.files) == ["Redirect"] * 9
    assert source(stack, "f/0005.jpg") == ""


# -- what is forgotten -------------------------------------------------------------------------------------------------


def test_a_forgotten_key_is_asked_for(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3))
    learn(stack)
    del s3.files["f/0005.jpg"]
    s3.files["f/new.jpg"] = b"x"
    assert find(stack, "f/0005.jpg", "f/new.jpg") == ["Redirect", "Missing"]
    stack.forget("f/0005.jpg")
    stack.forget("f/new.jpg")
    assert find(stack, "f/0005.jpg", "f/new.jpg", "f/0006.jpg") == ["Missing", "Redirect", "Redirect"]
    assert source(stack, "f/0006.jpg") == "listed"


def test_a_listing_that_began_before_does_not_bring_it_back(clock: Clock, closing: Keep) -> None:
    opened, wait = gate()
    s3 = ListingBucket("s3", files(9), listing=wait)
    stack = closing(stack_of(clock, s3))
    find(stack, "f/0000.jpg", "f/0001.jpg")
    with ThreadPoolExecutor(1) as client:
        before = client.submit(stack.find, "f/0002.jpg")
        until(lambda: len(s3.pages) == 1)
        del s3.files["f/0005.jpg"]
        stack.forget("f/0005.jpg")
        assert isinstance(stack.find("f/0005.jpg"), Missing)  # it does not wait for that listing
        stack.forget("f/0005.jpg")
        opened.set()
        assert isinstance(before.result(), Redirect)
    settle(stack)
    assert find(stack, "f/0005.jpg") == ["Missing"]
    assert source(stack, "f/0006.jpg") == "listed"


@pytest.mark.parametrize("number", [MAX_DROPPED, MAX_DROPPED + 1])
def test_only_so_many_keys_of_a_page_are_forgotten(clock: Clock, closing: Keep, number: int) -> None:
    s3 = ListingBucket("s3", files(200))
    stack = closing(stack_of(clock, s3))
    learn(stack)
    for index in range(number):
        stack.forget(f"f/{index:04}.jpg")
    assert source(stack, "f/0199.jpg") == ("listed" if number == MAX_DROPPED else "")


# -- what it does not tell ---------------------------------------------------------------------------------------------


def test_stat_and_open_need_more(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3))
    learn(stack)
    s3.asked.clear()
    assert stack.exists("f/0004.jpg")
    assert stack.url("f/0004.jpg").startswith("https://s3.example/f/0004.jpg")
    assert s3.asked == []
    assert stack.stat("f/0004.jpg").content_type == "image/jpeg"
    assert stack.open("f/0005.jpg").read() == b"x" * 6
    assert s3.asked == ["f/0004.jpg", "f/0005.jpg"]
    for call in (stack.stat, stack.open):
        with pytest.raises(FileNotFoundError):
            call("f/missing.jpg")
    assert len(s3.asked) == 2


@pytest.mark.parametrize("if_range", ["", '"other"'])
def test_what_is_proxied_is_asked_for_once(clock: Clock, closing: Keep, if_range: str) -> None:
    rules = Rules("s3") if if_range else Rules("s3", delivery="proxy")
    s3 = ListingBucket("s3", files(9), rules=rules)
    stack = closing(stack_of(clock, s3))
    learn(stack)
    s3.asked.clear()
    for _ in range(2):
        found = run(stack.finding(Key("f/0004.jpg"), "GET", if_range=if_range))
        assert isinstance(found, Held)
        assert found.handle.meta.content_type == "image/jpeg"
        assert s3.asked == ["f/0004.jpg"]


def test_a_file_that_was_listed_and_is_gone_is_looked_for_in_the_next(clock: Clock, closing: Keep) -> None:
    first = ListingBucket("first", files(9), rules=Rules("first", delivery="proxy"))
    second = ListingBucket("second", files(9))
    stack = closing(stack_of(clock, first, second))
    learn(stack)
    del first.files["f/0004.jpg"]
    found = stack.find("f/0004.jpg")
    assert isinstance(found, Redirect)
    assert found.backend == "second"


def test_a_copy_is_compared_with_what_a_head_says(clock: Clock, closing: Keep, tmp_path: Any) -> None:
    """Some servers' listings give other ETags than their HEADs: no reason to fetch everything anew."""

    class OtherTags(ListingBucket):
        def list_page(self, folder: str, after: str | None = None) -> Page | None:
            return Page(folder, None, None, [Listed(key[2:], len(data), '"listed"') for key, data in files(9).items()])  # type: ignore[arg-type]

    s3 = OtherTags("s3", files(9), rules=Rules("s3", delivery="pull", pull_ttl=0))
    stack = closing(MediaStack([LocalBackend(tmp_path), s3]))
    assert stack.pull("f/0004.jpg")
    stack.forget("f/0004.jpg")  # what the HEAD said
    learn(stack)
    assert source(stack, "f/0004.jpg") == "pulled"


# -- what is not believed ----------------------------------------------------------------------------------------------


def test_a_listing_that_is_not_believed_leaves_the_folder_to_heads(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    s3.is_believed = False
    stack = closing(stack_of(clock, s3))
    assert find(stack, *s3.files, "f/no.jpg") == ["Redirect"] * 9 + ["Missing"]
    assert (len(s3.asked), len(s3.pages)) == (10, 1)
    clock.now += NOT_BELIEVED_SECONDS - 0.1
    find(stack, "f/a", "f/b", "f/c")
    assert len(s3.pages) == 1
    find(stack, "g/a", "g/b", "g/c")
    assert len(s3.pages) == 2
    clock.now += 0.1
    find(stack, "f/d")
    assert len(s3.pages) == 3


def test_a_listing_that_lacks_what_a_head_found_is_not_believed(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    s3.unlisted = {"f/0001.jpg", "f/0005.jpg"}  # it lists what it had a while ago
    stack = closing(stack_of(clock, s3))
    assert find(stack, *s3.files) == ["Redirect"] * 9
    assert (len(s3.asked), len(s3.pages)) == (9, 1)


@pytest.mark.parametrize("error", [BackendUnavailable("403", backend="s3"), Unreachable("500", answered=True)])
def test_heads_go_on_where_listing_is_refused(clock: Clock, closing: Keep, error: Exception) -> None:
    def refuse() -> None:
        raise error

    s3 = ListingBucket("s3", files(9), listing=refuse)
    stack = closing(stack_of(clock, s3))
    assert find(stack, *s3.files) == ["Redirect"] * 9
    assert (len(s3.asked), len(s3.pages)) == (9, 1)
    clock.now += PAUSE_SECONDS - 0.1
    find(stack, "g/a", "g/b", "g/c")  # nowhere in that bucket
    assert len(s3.pages) == 1
    clock.now += 0.1
    find(stack, "g/d", "g/e", "g/f")
    assert len(s3.pages) == 2


def test_an_outage_is_not_an_absence(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3))
    find(stack, "f/0000.jpg", "f/0001.jpg")

    def fail() -> None:
        raise dead("s3")

    s3.listing = s3.wait = fail
    assert find(stack, "f/0002.jpg", "f/0003.jpg", "f/0004.jpg") == ["unavailable"] * 3
    assert len(s3.pages) == 1
    assert s3.calls == 5  # the listing and two HEADs were three failures in a row: nobody asks any more


def test_a_listing_that_hangs_leaves_time_for_a_head(clock: Clock, closing: Keep) -> None:
    opened, wait = gate()
    s3 = ListingBucket("s3", files(9), listing=wait)
    stack = closing(stack_of(clock, s3, deadline=0.4))
    assert find_at_once(stack, "f/0000.jpg", "f/0001.jpg") == ["Redirect"] * 2
    started = time.monotonic()
    assert find_at_once(stack, "f/0002.jpg") == ["Redirect"]
    assert 0.2 <= time.monotonic() - started < 0.4
    started = time.monotonic()
    assert find_at_once(stack, "g/0", "g/1", "g/2") == ["Missing"] * 3  # it is not listed for a while
    assert time.monotonic() - started < 0.15
    opened.set()
    settle(stack)


def test_the_deadline_holds_for_both(clock: Clock, closing: Keep) -> None:
    opened, wait = gate()
    s3 = ListingBucket("s3", files(9), listing=wait)
    stack = closing(stack_of(clock, s3, deadline=0.3))
    assert find_at_once(stack, "f/0000.jpg", "f/0001.jpg") == ["Redirect"] * 2
    s3.wait = wait
    started = time.monotonic()
    assert find_at_once(stack, "f/0002.jpg") == ["unavailable"]
    assert 0.29 <= time.monotonic() - started < 0.45
    opened.set()
    settle(stack)


def find_at_once(stack: MediaStack, *keys: str) -> list[str]:
    with mock.patch(f"{__name__}.settle"):
        return find(stack, *keys)


def test_half_open_one_head_tries(clock: Clock, closing: Keep) -> None:
    """Whether the origin is back is not asked by the heaviest question."""
    s3 = ListingBucket("s3", files(9) | {f"{folder}/x": dead("s3") for folder in "abc"})
    stack = closing(stack_of(clock, s3))
    find(stack, "f/0000.jpg", "f/0001.jpg")
    assert find(stack, *(f"{folder}/x" for folder in "abc")) == ["unavailable"] * 3
    clock.now += 10
    stack._asker.origins.listed._state.get().folders["s3", "f/"].asked = {"f/1": clock.now, "f/2": clock.now}
    assert find(stack, "f/0003.jpg") == ["Redirect"]
    assert s3.pages == []
    find(stack, "f/0004.jpg")
    assert len(s3.pages) == 1


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_what_a_listing_finds_missing_costs_one_miss(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3, misses_a_minute=4))
    assert find(stack, *(f"f/nobody-{index}" for index in range(100))) == ["Missing"] * 100
    assert find(stack, "g/nobody-1", "g/nobody-2") == ["Missing", "unavailable"]
    assert find(stack, "f/nobody-7", "f/0003.jpg") == ["Missing", "Redirect"]


def test_what_a_listing_finds_costs_nothing(clock: Clock, closing: Keep) -> None:
    s3 = ListingBucket("s3", files(9))
    stack = closing(stack_of(clock, s3, misses_a_minute=1))
    assert find(stack, *s3.files) == ["Redirect"] * 9
    assert find(stack, "g/nobody-1") == ["Missing"]


def test_the_number_of_folders_is_bounded(clock: Clock, closing: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_FOLDERS == 1024
    monkeypatch.setattr(folder_listing, "MAX_FOLDERS", 3)
    s3 = ListingBucket("s3", {key: b"x" for folder in "abcd" for key in files(5, f"{folder}/")})
    stack = closing(stack_of(clock, s3))
    for folder in "abc":
        learn(stack, f"{folder}/")
    assert source(stack, "a/0001.jpg") == "listed"
    find(stack, "d/1")
    assert [source(stack, f"{folder}/0001.jpg") for folder in "acb"] == ["listed", "listed", ""]
    assert len(stack._asker.origins.listed._state.get().folders) == 3


def test_the_bytes_are_bounded(clock: Clock, closing: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = ListingBucket("s3", {key: b"x" for folder in "abcd" for key in files(100, f"{folder}/")})
    one = s3.list_page("a/")
    assert one is not None
    monkeypatch.setattr(folder_listing, "MAX_BYTES", 3 * one.bytes)
    stack = closing(stack_of(clock, s3))
    state = stack._asker.origins.listed._state.get()
    for folder in "abcd":
        learn(stack, f"{folder}/")
        assert state.bytes == sum(folder.bytes for folder in state.folders.values()) <= 3 * one.bytes
    assert [source(stack, f"{folder}/0001.jpg") for folder in "dcba"] == ["listed"] * 3 + [""]
    monkeypatch.setattr(folder_listing, "MAX_BYTES", one.bytes - 1)
    learn(stack, "e/")
    assert state.bytes <= one.bytes - 1


def test_the_pages_of_a_folder_are_bounded(clock: Clock, closing: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_listing, "MAX_PAGES", 2)
    s3 = ListingBucket("s3", files(100), page_keys=10)
    stack = closing(stack_of(clock, s3))
    find(stack, *s3.files)
    assert len(stack._asker.origins.listed._state.get().folders["s3", "f/"].told) == 2


def test_the_listings_under_way_are_bounded(clock: Clock, closing: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_FLIGHTS == 64
    monkeypatch.setattr(folder_listing, "MAX_FLIGHTS", 1)
    opened, wait = gate()
    s3 = ListingBucket("s3", files(9), listing=wait)
    stack = closing(stack_of(clock, s3))
    find(stack, "f/0000.jpg", "f/0001.jpg")
    with ThreadPoolExecutor(1) as client:
        waits = client.submit(stack.find, "f/0002.jpg")
        until(lambda: len(s3.pages) == 1)
        assert find_at_once(stack, *(f"g/{index}" for index in range(5))) == ["Missing"] * 5
        opened.set()
        waits.result()
    assert len(s3.pages) == 1


def test_a_listing_that_nobody_waits_for_is_dropped(clock: Clock, closing: Keep) -> None:
    opened, wait = gate()
    s3 = ListingBucket("s3", files(9), wait=wait)
    stack = closing(stack_of(clock, s3))
    listed = stack._asker.origins.listed
    pool = stack._asker.origins["s3"].lookups
    busy = [pool.submit(wait) for _ in range(16)]
    assert [listed.flight(s3, Key(f"f/{index}")) for index in range(2)] == [None, None]
    flights = [listed.flight(s3, Key(f"f/{index}")) for index in (2, 3)]
    assert flights[0] is not None
    assert flights[0] is flights[1]
    listed.leave(flights[0])
    assert not flights[0].future.cancelled()
    listed.leave(flights[0])
    assert flights[0].future.cancelled()
    opened.set()
    for future in busy:
        future.result()
    assert s3.pages == []
    assert listed._state.get().flights == 0
    learn(stack)  # and the folder can be listed


# -- all in all --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.sets(NAMES, max_size=20), st.lists(NAMES, max_size=10), st.integers(1, 9), st.randoms(use_true_random=False))
def test_every_answer_is_the_buckets(names: set[str], others: list[str], page_keys: int, random: Any) -> None:
    clock = Clock()
    s3 = ListingBucket("s3", {f"f/{name}": b"x" for name in names}, page_keys=page_keys)
    stack = stack_of(clock, s3)
    try:
        for _ in range(3):
            keys = [f"f/{name}" for name in (*names, *others)]
            random.shuffle(keys)
            for key in keys:
                assert find(stack, key) == ["Redirect" if key in s3.files else "Missing"], key
            clock.now += random.choice([0, 1, 31, 61, 301])
    finally:
        stack.close()


def test_threads_of_all_kinds_agree(closing: Keep) -> None:
    """Many clients, keys that come and go with a forget, and an answer that is never older than that."""
    s3 = ListingBucket("s3", files(40), page_keys=15)
    stack = closing(MediaStack([Local("local"), s3]))
    faults: list[str] = []

    def ask(start: int) -> None:
        for round_ in range(3):
            for index in range(start, start + 40):
                key = f"f/{index % 60:04}.jpg"
                if isinstance(stack.find(key), Redirect) is not (key in s3.files):
                    faults.append(key)
            stack.forget(f"f/{(start + round_) % 60:04}.jpg")

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(0, 60, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
