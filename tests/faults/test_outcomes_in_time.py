"""Faults that begin amid a body, and what faults do to later requests: the breaker, stale answers, threads."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..fakes import until
from .fault import BLACK_HOLE, CONNECT_HANGS, HEALTHY, REFUSE, Fault, drip, latency, reset, truncated
from .outcome_clients import APP_STATUS, OnBytes
from .outcome_world import (
    MANY,
    PATIENT,
    SIZES,
    SLACK_SECONDS,
    Delivery,
    Gateway,
    Kind,
    Limits,
    Origins,
    Rig,
    data_of,
    origins,
    rig,
    waits,
)
from .scripted import Behaviour, changed_etag, says, slow_down

KINDS: tuple[Kind, ...] = ("s3", "http")
GATEWAYS: tuple[Gateway, ...] = ("wsgi", "asgi")
BOTH = [
    pytest.param(kind, gateway, id=f"{kind}-{gateway}", marks=waits(kind, gateway))
    for kind in KINDS
    for gateway in GATEWAYS
]
BIG = "big.bin"
QUICK = Limits(connect=0.3, read=0.3, head=0.4, deadline=1.2)


@pytest.fixture(scope="module")
def found() -> Iterator[Origins]:
    with origins() as made:
        for kind, gateway in ((kind, gateway) for kind in KINDS for gateway in GATEWAYS):
            with rig(made, kind, "proxy", gateway) as warm:
                warm.get("photo.jpg")
        yield made


def digest(key: str) -> str:
    return hashlib.sha256(data_of(key)).hexdigest()


def switching(world: Rig, fault: Fault, after_bytes: int = 200_000) -> OnBytes:
    """What has the fault begin when the client has so many bytes; the rest of the file is not on the way yet."""

    def on_bytes(got: int) -> None:
        if got >= after_bytes and world.proxy.fault is HEALTHY:
            world.proxy.fault = fault

    return on_bytes


AMID = {  # the outcome, and how often a request of the five that go on reaches the origin
    "refuse": (REFUSE, "broken", 0),
    "connect hangs": (CONNECT_HANGS, "broken", 0),
    "black hole": (BLACK_HOLE, "broken", 2),
    "reset": (reset("accept"), "broken", 0),
    "RST": (truncated(0, "rst"), "broken", 2),
    "FIN": (truncated(0), "broken", 2),
    "silence": (latency(30), "broken", 2),
    "a dripping head": (drip(0.02), "200", 0),  # which only a new answer has
}


@pytest.mark.parametrize(("kind", "gateway"), BOTH)
@pytest.mark.parametrize("name", AMID)
def test_a_fault_that_begins_amid_a_body(found: Origins, name: str, kind: Kind, gateway: Gateway) -> None:
    fault, outcome, resumes = AMID[name]
    if fault is CONNECT_HANGS and sys.platform != "linux":
        pytest.skip("other systems answer when the queue is full")
    with rig(found, kind, "proxy", gateway, QUICK) as world:
        got = world.get(BIG, on_bytes=switching(world, fault))
        assert got.outcome == outcome, got.error
        assert data_of(BIG).startswith(got.body)
        assert (len(got.body) == SIZES[BIG]) == (outcome == "200")
        assert world.proxy.requests == 2 + resumes
        assert got.seconds < 6 * (QUICK.read + QUICK.head) + SLACK_SECONDS
        world.heal()
        again = world.get(BIG)
        assert (again.outcome, again.digest) == ("200", digest(BIG))
        assert world.get("missing.jpg").status == APP_STATUS


@pytest.mark.parametrize(("kind", "gateway"), BOTH)
def test_a_black_hole_that_ends_while_the_body_is_taken_up_again(found: Origins, kind: Kind, gateway: Gateway) -> None:
    with rig(found, kind, "proxy", gateway, Limits(read=0.3)) as world:

        def mend() -> None:
            until(lambda: world.proxy.requests == 3)
            world.proxy.fault = Fault()

        mending = threading.Thread(target=mend)
        mending.start()
        got = world.get(BIG, on_bytes=switching(world, BLACK_HOLE))
        mending.join()
        assert (got.outcome, got.digest) == ("200", digest(BIG))


@pytest.mark.parametrize("heeds", [True, False], ids=["412", "If-Match unheeded"])
@pytest.mark.parametrize(("kind", "gateway"), BOTH)
def test_another_version_while_the_body_is_taken_up_again(
    found: Origins, kind: Kind, gateway: Gateway, heeds: bool
) -> None:
    """Its bytes are never put behind those of the first."""
    with rig(found, kind, "proxy", gateway, scripted=True) as world:
        world.stack.stat("photo.jpg")
        world.spoil(truncated(1000, "rst"), once=True)
        assert world.scripted is not None
        world.scripted.script += [None, changed_etag(heeds_if_match=heeds)]
        got = world.get("photo.jpg")
        assert (got.outcome, got.body) == ("broken", data_of("photo.jpg")[:1000])
        assert world.proxy.requests == 3
        assert world.get("photo.jpg").outcome == "200"
        assert world.proxy.requests == 5  # the version that is gone was forgotten


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_without_an_etag_nothing_is_taken_up_again(found: Origins, gateway: Gateway) -> None:
    """Nobody could tell whether it is the same file."""
    with rig(found, "http", "proxy", gateway) as world:
        world.stack.stat("no-etag.bin")
        world.spoil(truncated(1000, "rst"), once=True)
        got = world.get("no-etag.bin")
        assert (got.outcome, len(got.body), world.proxy.requests) == ("broken", 1000, 2)
        assert world.get("no-etag.bin").outcome == "200"


# -- the breaker -------------------------------------------------------------------------------------------------------

OPENING: dict[str, Fault | Behaviour] = {
    "SlowDown": slow_down(),
    "500": says(500, "InternalError"),
    "refuse": REFUSE,
    "reset": reset("request"),
    "black hole": BLACK_HOLE,
    "a dripping head": drip(0.02),
}


OPENING_CELLS = [
    pytest.param(
        name,
        kind,
        gateway,
        delivery,
        id=f"{name}-{kind}-{gateway}-{delivery}",
        marks=waits(kind, gateway),
    )
    for name, what in OPENING.items()
    for kind in KINDS
    for gateway in GATEWAYS
    for delivery in ("redirect", "proxy")
]


@pytest.mark.parametrize(("name", "kind", "gateway", "delivery"), OPENING_CELLS)
def test_three_failures_open_the_breaker(
    found: Origins, name: str, kind: Kind, gateway: Gateway, delivery: Delivery
) -> None:
    what, found_by = OPENING[name], {"redirect": "302", "proxy": "200"}[delivery]
    with rig(found, kind, delivery, gateway, QUICK, scripted=callable(what)) as world:
        world.spoil(what)
        for number in range(3):
            assert not world.breaker_is_open
            assert world.get(f"{number}.jpg").outcome == "503"
        assert world.breaker_is_open
        asked, connected = world.proxy.requests, world.proxy.connections
        for key in ("0.jpg", "photo.jpg", "photo.jpg"):
            got = world.get(key)
            assert (got.outcome, 1 <= int(got.headers["retry-after"]) <= 10) == ("503", True)
            assert got.seconds < SLACK_SECONDS
        assert (world.proxy.requests, world.proxy.connections) == (asked, connected)
        world.wait_for_the_breaker()
        for _ in range(2):  # one tries, and the next is turned away again
            assert world.get("photo.jpg").outcome == "503"
        assert world.breaker_is_open
        world.limit(PATIENT)  # what is sound may be slow, on a machine that has much to do
        world.heal(later=True)
        assert world.get("photo.jpg").outcome == found_by
        assert not world.breaker_is_open
        assert world.get("0.jpg").status == APP_STATUS


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("kind", ["s3", "http"])
def test_one_slow_down_does_not_open_the_breaker(found: Origins, kind: Kind, gateway: Gateway) -> None:
    with rig(found, kind, "redirect", gateway, scripted=True) as world:
        for number in range(5):  # in folders of their own, or the third would have its folder listed
            world.spoil(slow_down("3"), once=True)
            got = world.get(f"{number}/a.jpg")
            assert (got.outcome, got.headers["retry-after"]) == ("503", "3")
            assert not world.breaker_is_open
            assert world.get(f"{number}/a.jpg").status == APP_STATUS


@pytest.mark.parametrize(("kind", "gateway"), BOTH)
def test_while_one_tries_the_others_are_turned_away(found: Origins, kind: Kind, gateway: Gateway) -> None:
    with rig(found, kind, "redirect", gateway) as world:
        world.spoil(REFUSE)
        for _ in range(3):
            assert world.get("photo.jpg").outcome == "503"
        world.spoil(BLACK_HOLE)
        world.wait_for_the_breaker()
        with ThreadPoolExecutor(1) as other:
            trying = other.submit(world.get, "photo.jpg")
            until(lambda: world.proxy.requests == 1)
            for key in ("small.jpg", "missing.jpg"):
                assert world.get(key).outcome == "503"
            assert world.proxy.requests == 1
            world.spoil(Fault())
            assert trying.result().outcome == "302"
        assert world.get("small.jpg").outcome == "302"


@pytest.mark.parametrize(("kind", "gateway"), BOTH)
def test_a_refusal_does_not_open_the_breaker(found: Origins, kind: Kind, gateway: Gateway) -> None:
    with rig(found, kind, "redirect", gateway, scripted=True) as world:
        world.spoil(says(403, "AccessDenied"))
        for _ in range(5):
            assert world.get("photo.jpg").outcome == "503"
        assert not world.breaker_is_open


@pytest.mark.parametrize("name", ["SlowDown", "black hole", "refuse"])
@pytest.mark.parametrize("gateway", GATEWAYS)
def test_what_was_found_before_stands_in_and_what_was_missing_does_not(
    found: Origins, name: str, gateway: Gateway
) -> None:
    what = OPENING[name]
    with rig(found, "s3", "redirect", gateway, scripted=callable(what), found_ttl=0, missing_ttl=0) as world:
        assert world.get("photo.jpg").outcome == "302"
        assert world.get("missing.jpg").status == APP_STATUS
        world.limit(QUICK)
        world.spoil(what)
        assert world.get("photo.jpg").outcome == "302"
        assert world.get("missing.jpg").outcome == "503"


# -- threads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [drip(0.02), BLACK_HOLE], ids=["drip", "black hole"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phase", ["look-up", "body"])
def test_all_sixteen_threads_are_free_again(found: Origins, what: Fault, kind: Kind, phase: str) -> None:
    """Forty clients meet the fault at once; then sixteen are answered by as many threads at once."""
    patient = Limits(read=5, head=0.3, deadline=1.0) if what.drip_s else QUICK
    with rig(found, kind, "proxy", "wsgi") as world:
        if phase == "body":
            for key in MANY:
                world.stack.stat(key)
        world.limit(patient)  # a sound origin on a busy machine must not meet them
        world.spoil(what)
        with ThreadPoolExecutor(40) as clients:
            keys = MANY if phase == "body" else [f"{number}.jpg" for number in range(16)]
            started = time.monotonic()
            answers = list(clients.map(lambda number: world.get(keys[number % 16]), range(40)))
            assert {got.outcome for got in answers} == {"503"}
            assert time.monotonic() - started < patient.deadline + SLACK_SECONDS
            world.heal()
            assert world.get("small.jpg").outcome == "200"  # which closes the breaker
            world.limit(PATIENT)
            world.proxy.fault = BLACK_HOLE  # holds what is asked
            asked = world.proxy.requests
            later = [clients.submit(world.get, key) for key in MANY]
            until(lambda: world.proxy.requests == asked + 16)
            world.proxy.fault = Fault()
            assert {future.result().digest for future in later} == {digest(MANY[0])}
