"""Why there is parsing of our own: where werkzeug.http differs from RFC 9110, and the proof that it agrees elsewhere.

Each difference is a fact of the version that is installed. If one goes away, its row fails: delete it, and think again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import http

from mediamw.core.conditions import Verdict, evaluate, range_applies
from mediamw.core.http_dates import format_http_date, parse_http_date
from mediamw.core.model import Meta, Slice
from mediamw.core.ranges import IGNORED, UNSATISFIABLE, Ranges, slices_of

NOW = 1_777_890_030
SIZE = 1000


def _werkzeugs(header: str, size: int = SIZE) -> list[tuple[int, int]] | None:
    """What werkzeug makes of a Range header, as slices of a body; None if it ignores it."""
    found = http.parse_range_header(header)
    if found is None or found.units != "bytes":
        return None
    slices = []
    for start, stop in found.ranges:
        first = max(size + start, 0) if start < 0 else start
        slices.append((first, size if stop is None else min(stop, size)))
    return slices


# header, what RFC 9110 has it mean, the clause
RANGES: tuple[tuple[str, Ranges | list[Slice], str], ...] = (
    ("bytes=0-9,", [Slice(0, 10)], "5.6.1.2: empty list elements are ignored"),
    ("bytes=,0-9", [Slice(0, 10)], "5.6.1.2"),
    ("bytes=20-29,0-9", [Slice(20, 30), Slice(0, 10)], "14.1.2: any order"),
    ("bytes=0-19,10-29", [Slice(0, 30)], "14.2: overlapping ones are allowed"),
    ("bytes=-5,0-1", [Slice(995, 1000), Slice(0, 2)], "14.1.2: any order"),
    ("bytes=-0", UNSATISFIABLE, "14.1.2: a suffix of no bytes is 416"),
    ("bytes=0 -9", IGNORED, "14.1.1: no white space in a range"),
    ("bytes=0- 9", IGNORED, "14.1.1"),
    ("bytes =0-9", IGNORED, "14.1.1: nor before the equals sign"),
)


@pytest.mark.parametrize(("header", "meant", "clause"), RANGES)
def test_ranges_that_werkzeug_reads_otherwise(header: str, meant: Any, clause: str) -> None:
    assert slices_of(header, SIZE) == meant, clause
    assert _werkzeugs(header) != (None if meant is IGNORED else meant)


def test_werkzeug_has_no_bound() -> None:
    """And so a header of 8 KiB is two thousand slices (RFC 9110, 17.15)."""
    header = "bytes=" + ",".join(f"{start}-{start}" for start in range(0, SIZE, 2))
    assert len(_werkzeugs(header) or ()) == SIZE // 2
    assert slices_of(header, SIZE) is IGNORED


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=16), st.booleans())
def test_ranges_agree_where_werkzeug_takes_them(pairs: list[tuple[int, int]], suffix: bool) -> None:
    """Ascending ones with a gap between, and a suffix at the end: the ones that it takes."""
    position, specs, slices = 0, [], []
    for gap, length in pairs[:15]:
        start = position + gap + bool(position)
        specs.append(f"{start}-{start + length}")
        slices.append((start, start + length + 1))
        position = start + length + 1
    size = position + 50
    if suffix:
        specs.append("-7")
        slices.append((size - 7, size))
    header = "bytes=" + ",".join(specs)
    assert _werkzeugs(header, size) == slices
    assert slices_of(header, size) == slices


# text, what HTTP has it mean
DATES = (
    ("Fri, 05 Mar 2010 07:08:09 EST", None),
    ("Fri, 05 Mar 2010 07:08:09 UTC", None),
    ("Fri, 05 Mar 2010 07:08:09", None),
    ("05 Mar 2010 07:08:09 GMT", None),
    ("Fri, 5 Mar 2010 07:08:09 GMT", None),
    ("Fri, 05 Mar 10 07:08:09 GMT", None),
    ("fri, 05 mar 2010 07:08:09 gmt", None),
    ("Fri, 05 Mar 2010 +7:08:09 GMT", None),
    ("Fri, 05 Mar 2010 07:08:09 GMT; length=3", None),
    ("Sat, 01 Jan 0000 00:00:00 GMT", None),
    ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
    ("Monday, 04-May-76 10:20:30 GMT", 3_355_813_230),
)


def _werkzeugs_date(text: str) -> int | None:
    found = http.parse_date(text)
    return None if found is None else int(found.timestamp())


@pytest.mark.parametrize(("text", "meant"), DATES)
def test_dates_that_werkzeug_reads_otherwise(text: str, meant: int | None) -> None:
    assert parse_http_date(text, NOW) == meant
    assert _werkzeugs_date(text) != meant


def test_a_date_at_which_werkzeug_raises() -> None:
    """A header of any client, and an OverflowError in the server."""
    text = "Fri, 05 Mar 99999999999 07:08:09 GMT"
    with pytest.raises(OverflowError):
        http.parse_date(text)
    assert parse_http_date(text, NOW) is None


@given(st.integers(0, 253402300799))
def test_dates_agree(second: int) -> None:
    text = http.http_date(datetime.fromtimestamp(second, UTC))
    assert format_http_date(second) == text
    assert parse_http_date(text, NOW) == _werkzeugs_date(text) == second


# header, does If-Match match "a", does If-None-Match
TAGS = (
    ("a", False, False),
    ("'a', a", False, False),
    ('w/"a"', False, False),
    ("W/a", False, False),
    ('"b" x, a', False, False),
)


@pytest.mark.parametrize(("header", "strong", "weak"), TAGS)
def test_tags_that_werkzeug_reads_otherwise(header: str, strong: bool, weak: bool) -> None:
    meta = Meta(1, 0, '"a"')
    assert (evaluate({"if-match": header}, meta, NOW) is Verdict.PASS) is strong
    assert (evaluate({"if-none-match": header}, meta, NOW) is Verdict.NOT_MODIFIED) is weak
    tags = http.parse_etags(header)
    assert (tags.contains("a"), tags.contains_weak("a")) != (strong, weak)


def test_an_empty_tag_is_a_tag() -> None:
    """8.8.3: etagc may be repeated no times at all; werkzeug reads ``None``."""
    assert evaluate({"if-match": '""'}, Meta(1, 0, '""'), NOW) is Verdict.PASS
    assert not http.parse_etags('""').contains("")


# If-Range, does the range count for a file with the tag "a" of 5 March 2010, 12:08:09 GMT
IF_RANGE = (
    ('W/"a"', False, "13.1.5: a weak tag never counts; werkzeug drops that it was weak"),
    ("a", False, "8.8.3: a tag has quotes"),
    ("Fri, 05 Mar 2010 07:08:09 EST", False, "5.6.7: no such zone"),
)


@pytest.mark.parametrize(("header", "counts", "clause"), IF_RANGE)
def test_if_range_that_werkzeug_reads_otherwise(header: str, counts: bool, clause: str) -> None:
    mtime = 1_267_790_889
    assert range_applies(header, Meta(1, mtime * 10**9, '"a"'), NOW) is counts, clause
    found = http.parse_if_range_header(header)
    theirs = found.etag == "a" if found.etag is not None else found.date == datetime.fromtimestamp(mtime, UTC)
    assert theirs is not counts


@given(
    st.text("abc,/:+-", min_size=1, max_size=5),
    st.lists(st.tuples(st.booleans(), st.text("abc,/:+-", min_size=1, max_size=5)), min_size=1, max_size=5),
)
def test_tags_agree_on_what_is_well_formed(own: str, tags: list[tuple[bool, str]]) -> None:
    header = ", ".join(("W/" if weak else "") + f'"{tag}"' for weak, tag in tags)
    theirs, meta = http.parse_etags(header), Meta(1, 0, f'"{own}"')
    assert (evaluate({"if-match": header}, meta, NOW) is Verdict.PASS) is theirs.contains(own)
    assert (evaluate({"if-none-match": header}, meta, NOW) is Verdict.NOT_MODIFIED) is theirs.contains_weak(own)
