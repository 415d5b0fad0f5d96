"""Every fault, by redirect and by proxy, through both middlewares, before S3 and before a plain site.

``outcome_table.py`` has the rows. Whatever the fault: an end in time; no whole answer that is not whole; never 404 or
the wrapped app; nothing remembered as missing; and, by the rig, no thread and no descriptor left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from .outcome_clients import APP_STATUS, Answer
from .outcome_table import ROWS, Phase, Row
from .outcome_world import (
    IMPATIENT,
    PATIENT,
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

PHASES: tuple[Phase, ...] = ("redirect", "proxy", "body")
GATEWAYS: tuple[Gateway, ...] = ("wsgi", "asgi")


@pytest.fixture(scope="module")
def found() -> Iterator[Origins]:
    with origins() as made:
        for kind in ("s3", "http"):  # what is loaded when first used keeps its descriptors
            for delivery in ("redirect", "proxy"):
                for gateway in GATEWAYS:
                    with rig(made, kind, delivery, gateway) as warm:
                        warm.get("photo.jpg")
        yield made


CELLS = [
    pytest.param(
        row,
        kind,
        phase,
        gateway,
        id=f"{row.name}-{kind}-{phase}-{gateway}",
        marks=waits(kind, gateway),
    )
    for row in ROWS
    for kind in row.kinds
    for phase in PHASES
    for gateway in GATEWAYS
    if row.expected(kind, phase, gateway) is not None
]


@pytest.mark.parametrize(("row", "kind", "phase", "gateway"), CELLS)
def test_outcome(found: Origins, row: Row, kind: Kind, phase: Phase, gateway: Gateway) -> None:
    limits = IMPATIENT if row.hangs else PATIENT
    delivery: Delivery = "redirect" if phase == "redirect" else "proxy"
    expected = row.expected(kind, phase, gateway)
    assert expected is not None
    outcome, _, asked = expected.partition("/")
    headers = [] if row.wanted is None else [("Range", row.wanted)]
    with rig(found, kind, delivery, gateway, limits, scripted=callable(row.what)) as world:
        if phase == "body":
            world.stack.stat(row.key)  # which is remembered
        before = world.proxy.requests
        world.spoil(row.what, once=row.once)
        got = world.get(row.key, headers)
        assert (got.outcome, world.proxy.requests - before) == (outcome, int(asked)), got.error or got.body[:200]
        sound(got, row.key, row.wanted, world)
        assert got.seconds < seconds_for(outcome, limits)
        world.heal()
        if row.hangs:
            world.limit(PATIENT)  # a busy machine may take longer than what the fault was allowed to
        afterwards(world, row.key, delivery)


def seconds_for(outcome: str, limits: Limits) -> float:
    """A look-up and the first bytes have a deadline each; amid a body it is one for each time that it is taken up."""
    return limits.deadline + SLACK_SECONDS + (6 * limits.head if outcome == "broken" else 0)


def sound(got: Answer, key: str, wanted: str | None, world: Rig) -> None:
    """What holds of every answer."""
    data = data_of(key)
    if got.outcome == "200":
        assert got.digest == hashlib.sha256(data).hexdigest()
        assert got.headers.get("content-length", str(len(data))) == str(len(data))
    elif got.outcome == "206":
        assert wanted is not None
        for part in parts_of(wanted, len(data)):
            assert data[part] in got.body
    elif got.outcome == "302":
        assert got.headers["location"].startswith(world.proxy.url)
    elif got.outcome == "503":
        assert 1 <= int(got.headers["retry-after"]) <= 60
        assert "etag" not in got.headers
    else:
        assert got.outcome == "broken"
        length = got.headers.get("content-length")
        assert length is None or len(got.body) < int(length)
        if wanted is None:  # and what came is right as far as it goes
            assert data.startswith(got.body)


def parts_of(wanted: str, size: int) -> list[slice]:
    parts = []
    for text in wanted.removeprefix("bytes=").split(","):
        first, last = text.split("-")
        parts.append(slice(int(first), int(last) + 1) if first else slice(size - int(last), size))
    return parts


def afterwards(world: Rig, key: str, delivery: Delivery) -> None:
    """The origin is sound again: the file is there, and what is not there is the app's."""
    again = world.get(key)
    assert again.outcome == ("302" if delivery == "redirect" else "200"), again.body[:200]
    sound(again, key, None, world)
    assert world.stack.exists(key)
    assert world.get("missing.jpg").status == APP_STATUS
    assert not world.breaker_is_open
