"""The table of the outcome tests: what goes wrong, and what a client gets then.

``look_up`` rows begin before anything was asked: outcome by redirect, outcome by proxy. ``body`` is by proxy when the
look-up is remembered and the reads meet the fault. Each outcome stands with the number of requests that the origin
then gets, which bounds what is sent again and what is taken up again: ``302/1``, ``200/2``, ``503/6``, ``broken/7``.
None: does not apply.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import Literal

from .fault import BLACK_HOLE, CONNECT_HANGS, REFUSE, Fault, bandwidth, drip, latency, reset, sliced, slow_first_byte
from .fault import truncated as cut
from .outcome_world import Gateway, Kind
from .scripted import (
    Ask,
    Asked,
    Behaviour,
    Said,
    changed_etag,
    endless_chunks,
    error_in_200,
    range_ignored,
    says,
    slow_down,
    to_get,
    wrong_content_range,
    wrong_length,
)

Phase = Literal["redirect", "proxy", "body"]


@dataclass(frozen=True)
class Row:
    """``hangs``: under impatient limits, as nothing else ends it. ``once``: the next request alone meets it.

    ``wanted`` is the client's Range. ``but`` has what is otherwise for one kind of origin, or for it and one gateway.
    """

    name: str
    what: Fault | Behaviour
    redirect: str | None
    proxy: str | None
    body: str | None
    key: str = "photo.jpg"
    hangs: bool = False
    once: bool = False
    wanted: str | None = None
    kinds: tuple[Kind, ...] = ("s3", "http")
    but: dict[str, str | None] = field(default_factory=dict)

    def expected(self, kind: Kind, phase: Phase, gateway: Gateway) -> str | None:
        in_all: str | None = getattr(self, phase)
        return self.but.get(f"{kind} {phase} {gateway}", self.but.get(f"{kind} {phase}", in_all))


def elsewhere(asked: Asked, ask: Ask) -> Said:
    """A redirect to some login page."""
    return Said(302, {"location": "http://login.invalid/"})


def page(asked: Asked, ask: Ask) -> Said:
    """What a login page, or an app that answers everything, says: it is longer than small.jpg."""
    return Said(200, {"content-type": "text/html"}, b"<html>Sign in</html>" + b" " * 2000)


long_error = says(200, "InternalError", message="Please try again. " * 100)
"""Longer than small.jpg too."""


def no_end(then: Literal["close", "hang"]) -> Behaviour:
    """Chunks, and then not the end of a body; a HEAD's connection is kept."""

    def behave(asked: Asked, ask: Ask) -> Said:
        said = endless_chunks(then)(asked, ask)
        return replace(said, then="keep") if asked.method == "HEAD" else said

    return behave


TCP = [
    Row("refuse", REFUSE, "503/0", "503/0", "503/0"),
    Row("connect hangs", CONNECT_HANGS, "503/0", "503/0", "503/1", hangs=True),
    Row("black hole", BLACK_HOLE, "503/1", "503/1", "503/1", hangs=True),
    Row("reset at accept", reset("accept"), "503/0", "503/0", "503/0"),
    Row("reset at the request", reset("request"), "503/2", "503/2", "503/2"),
    Row("reset at the request once", reset("request"), "302/2", "200/3", "200/2", once=True),
    Row("reset amid the head", reset("head"), "503/2", "503/2", "503/2"),
    Row("reset amid the head once", reset("head"), "302/2", "200/3", "200/2", once=True),
    Row("slow first byte", slow_first_byte(0.05), "302/1", "200/2", "200/1"),
    Row("first byte too slow", slow_first_byte(30), "503/1", "503/1", "503/1", hangs=True),
    Row("latency", latency(0.01), "302/1", "200/2", "200/1"),
    Row("latency beyond a read", latency(30), "503/1", "503/1", "503/1", hangs=True),
    Row("low bandwidth", bandwidth(1_000_000), "302/1", "200/2", "200/1"),
    Row("very low bandwidth", bandwidth(8000), "302/1", "200/2", "200/1", key="small.jpg"),
    Row("slices", sliced(211), "302/1", "200/2", "200/1"),
    Row("slices of one byte", sliced(1), "302/1", "200/2", "200/1", key="small.jpg"),
    Row("a dripping head", drip(0.05), "503/1", "503/1", "503/1", hangs=True),
    Row("a head that drips too slowly", drip(30), "503/1", "503/1", "503/1", hangs=True),
]
CUT = [
    # A HEAD has no body to be cut. What fails before the first bytes is not taken up again: it is a 503.
    Row("FIN behind the head", cut(0), "302/1", "503/2", "503/1"),
    Row("RST behind the head", cut(0, "rst"), "302/1", "503/2", "503/1"),
    Row("FIN behind the head once", cut(0), "302/1", "200/2", "503/1", once=True),
    Row("FIN amid", cut(1000), "302/1", "broken/7", "broken/6"),
    Row("RST amid", cut(1000, "rst"), "302/1", "broken/7", "broken/6"),
    Row("FIN amid once", cut(1000), "302/1", "200/2", "200/2", once=True),
    Row("RST amid once", cut(1000, "rst"), "302/1", "200/2", "200/2", once=True),
    Row("FIN, few times enough", cut(60_000), "302/1", "200/6", "200/5"),
    Row("RST, few times enough", cut(60_000, "rst"), "302/1", "200/6", "200/5"),
    Row("small, FIN amid", cut(100), "302/1", "503/7", "503/6", key="small.jpg"),
    Row("small, RST amid", cut(100, "rst"), "302/1", "503/7", "503/6", key="small.jpg"),
    Row("small, RST amid once", cut(100, "rst"), "302/1", "200/2", "200/2", key="small.jpg", once=True),
    Row("a range, FIN amid", cut(1000), "302/1", "broken/7", "broken/6", wanted="bytes=50000-249999"),
    Row("a range, RST amid once", cut(1000, "rst"), "302/1", "206/2", "206/2", wanted="bytes=50000-249999", once=True),
    Row("a small range, RST amid", cut(1000, "rst"), "302/1", "503/7", "503/6", wanted="bytes=-20000"),
    Row("ranges, FIN amid once", cut(1000), "302/1", "206/3", "206/3", wanted="bytes=0-99999,200000-299999", once=True),
    Row("ranges, FIN amid", cut(1000), "302/1", "broken/7", "broken/6", wanted="bytes=0-99999,200000-299999"),
]
# S3 always says how long a file is.
NO_LENGTH = {"s3 redirect": "503/1", "s3 proxy": "503/1"}
SAID = [
    Row("SlowDown once", slow_down(), "503/1", "503/1", "503/1", once=True),
    Row("SlowDown", slow_down(), "503/1", "503/1", "503/1"),
    Row("SlowDown for 7 s", slow_down("7"), "503/1", "503/1", "503/1"),
    Row("500", says(500, "InternalError"), "503/1", "503/1", "503/1"),
    Row("429", says(429, "TooManyRequests"), "503/1", "503/1", "503/1"),
    Row(
        "403",
        says(403, "AccessDenied"),
        "503/2",  # and a GET asks S3 for the reason
        "503/2",
        "503/1",
        but={"http redirect": "503/1", "http proxy": "503/1"},
    ),
    Row("wrong secret", says(403, "SignatureDoesNotMatch"), "503/2", "503/2", "503/1", kinds=("s3",)),
    Row("no such bucket", says(404, "NoSuchBucket"), "503/2", "503/2", "503/3", kinds=("s3",)),
    Row("redirect", elsewhere, "503/1", "503/1", "503/1"),
    # 200 with an error's document as body: to a HEAD it has no ETag and no date.
    Row(
        "error in 200",
        error_in_200(),
        "503/1",
        "503/1",
        "503/2",
        kinds=("s3",),
    ),
    Row("error in 200 once", error_in_200(), None, None, "200/3", once=True),
    # What is wanted of the file would be there.
    Row("long error in 200", to_get(long_error), "302/1", "503/4", "503/3", key="small.jpg"),
    Row("long error in 200 once", long_error, None, None, "200/3", key="small.jpg", once=True),
    Row("HTML in 200", page, "503/1", "503/1", "503/1", kinds=("http",)),
    Row("HTML in 200 to GET", to_get(page), "302/1", "503/2", "503/1", key="small.jpg", kinds=("http",)),
    Row("another range", wrong_content_range("bytes 1-10/200"), "302/1", "503/2", "503/1", wanted="bytes=50000-249999"),
    Row("Range ignored", range_ignored, "302/1", "206/2", "206/1", wanted="bytes=50000-249999"),
    Row("another version", changed_etag(), "302/1", "200/2", "200/3"),
    Row("another version, unheeded", changed_etag(heeds_if_match=False), "302/1", "200/2", "200/3"),
    # HEAD and GET agree on it, and what is taken up then is not there: to what was looked up before it is another file.
    Row("a length too long", wrong_length(10), "302/1", "broken/3", "broken/4"),
    # A 206 says how long the file is; what a range needs is there, though its own length is too long.
    Row("a range, a length too long", wrong_length(10), "302/1", "503/4", "206/1", wanted="bytes=50000-249999"),
    Row("a length too short once", wrong_length(-10), None, None, "200/3", once=True),
    Row("chunks that do not end", no_end("close"), "302/1", "broken/2", "200/1", but=NO_LENGTH),
    Row("chunks that hang", no_end("hang"), "302/1", "broken/2", "200/1", hangs=True, but=NO_LENGTH),
]
ROWS = [row for row in (*TCP, *CUT, *SAID) if sys.platform == "linux" or row.what is not CONNECT_HANGS]
