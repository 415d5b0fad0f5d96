"""What must hold of the core for any input, not only for the rows of the table."""

from __future__ import annotations

import calendar
import re
import time
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mediamw.core import ranges
from mediamw.core.conditions import Verdict, evaluate, is_entity_tag, range_applies
from mediamw.core.errors import InvalidKey
from mediamw.core.http_dates import format_http_date, parse_http_date
from mediamw.core.keys import MAX_KEY_BYTES, DotfileRule, parse_http_key, parse_key
from mediamw.core.media_types import guess, is_active, is_content_coding, is_media_type, with_charset
from mediamw.core.model import (
    PASS,
    REQUEST_HEADERS,
    Held,
    Hidden,
    Look,
    Meta,
    Missing,
    Plan,
    Redirect,
    Refused,
    Request,
    Slice,
    Unavailable,
)
from mediamw.core.plan import Placeholder, Policy, decide, without_app
from mediamw.core.ranges import IGNORED, MAX_RANGES, UNSATISFIABLE, slices_of

NOW = 1_777_890_030
ANY_HEADER = st.text(st.characters(max_codepoint=0xFF), max_size=80)
LAST_SECOND = 253402300799

# Ranges


def _specs() -> st.SearchStrategy[str]:
    number = st.integers(0, 30).map(str)
    return st.one_of(
        st.tuples(number, number).map("-".join),
        number.map("{}-".format),
        number.map("-{}".format),
        st.sampled_from(["", " ", "a", "-", "+1-2", "1_0-", "0x1-", "１-", "2-1", "1--2", "-0", "00-01"]),
    )


def _wanted(header: str, size: int) -> set[int] | None:
    """The positions that ``header`` asks for, by brute force; None if it breaks the grammar."""
    wanted: set[int] = set()
    specs = [spec.strip(" \t") for spec in header.removeprefix("bytes=").split(",")]
    specs = [spec for spec in specs if spec]
    if not specs or len(specs) > MAX_RANGES:
        return None
    for spec in specs:
        match = re.fullmatch(r"([0-9]*)-([0-9]*)", spec)
        if match is None or match[0] == "-" or (match[1] and match[2] and int(match[1]) > int(match[2])):
            return None
        for position in range(size):
            if match[1]:
                if int(match[1]) <= position and (not match[2] or position <= int(match[2])):
                    wanted.add(position)
            elif position >= size - int(match[2]):
                wanted.add(position)
    return wanted


@settings(max_examples=500)
@given(st.lists(_specs(), max_size=MAX_RANGES + 2), st.sampled_from([",", " ,", ", ", ",,"]), st.integers(0, 25))
@example(["0-0", "2-2", "1-1"], ",", 3)
def test_ranges_equal_brute_force(specs: list[str], comma: str, size: int) -> None:
    header = "bytes=" + comma.join(specs)
    wanted, found = _wanted(header, size), slices_of(header, size)
    if wanted is None:
        assert found is IGNORED
    elif not wanted:
        # An empty file has no range that a Content-Range could name, but a suffix of it is no error (14.1.2).
        assert found in (UNSATISFIABLE, IGNORED)
        assert found is UNSATISFIABLE or (size == 0 and re.search(r"[=,\s]-0*[1-9]", header))
    else:
        assert isinstance(found, list)
        assert {position for part in found for position in range(*part)} == wanted


@given(st.lists(_specs(), max_size=MAX_RANGES), st.integers(0, 25))
def test_slices_lie_inside_apart_and_in_the_order_asked_for(specs: list[str], size: int) -> None:
    found = slices_of("bytes=" + ",".join(specs), size)
    if not isinstance(found, list):
        return
    assert 1 <= len(found) <= MAX_RANGES
    assert all(0 <= part.start < part.stop <= size for part in found)
    ordered = sorted(found)
    assert all(one.stop < other.start for one, other in pairwise(ordered)), "touching is merged"
    asked = [slices_of("bytes=" + spec, size) for spec in specs]
    firsts = [
        min(
            index for index, one in enumerate(asked) if isinstance(one, list) and part.start <= one[0].start < part.stop
        )
        for part in found
    ]
    assert firsts == sorted(firsts)


@given(st.one_of(ANY_HEADER, st.text(max_size=60), ANY_HEADER.map("bytes={}".format)), st.integers(0, 2**63))
def test_ranges_never_raise(header: str, size: int) -> None:
    found = slices_of(header, size)
    assert found in (IGNORED, UNSATISFIABLE) or all(0 <= part.start < part.stop <= size for part in found)


@pytest.mark.parametrize("body", ["0-0,", ",", "9", "-", "0-", " ,", "1-1 ,"])
def test_ranges_are_linear(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest header costs at most 17 specs read and 16 merged, whatever stands in it."""
    calls = {"_one": 0, "_number": 0}
    for name in calls:
        original = getattr(ranges, name)

        def counted(*args: Any, name: str = name, original: Any = original) -> Any:
            calls[name] += 1
            return original(*args)

        monkeypatch.setattr(ranges, name, counted)
    header = "bytes=" + body * (ranges.MAX_HEADER_BYTES // len(body))
    slices_of(header[: ranges.MAX_HEADER_BYTES], 1000)
    assert calls["_one"] <= MAX_RANGES
    assert calls["_number"] <= 2 * MAX_RANGES


def test_a_long_number_is_not_converted() -> None:
    """``int`` of thousands of digits costs their square, and from 4,301 on it raises."""
    assert slices_of("bytes=0-" + "9" * 8000, 10) == [Slice(0, 10)]
    assert slices_of("bytes=" + "9" * 8000 + "-", 10) is UNSATISFIABLE
    assert slices_of("bytes=-" + "9" * 8000, 10) == [Slice(0, 10)]
    assert slices_of("bytes=" + "0" * 8000 + "5-", 10) == [Slice(5, 10)]


# Conditions

_ETAGC = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f'), max_size=6)
TAGS = st.tuples(st.sampled_from(["", "W/"]), _ETAGC.filter(lambda t: not any("\x7f" <= c < "\x80" for c in t))).map(
    lambda pair: f'{pair[0]}"{pair[1]}"'
)
_COMMAS = st.sampled_from([",", ", ", " , ", ",,", ",\t,"])


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")


@given(TAGS, st.lists(TAGS, max_size=5), _COMMAS, st.booleans())
def test_tag_lists_equal_membership(etag: str, tags: list[str], comma: str, own: bool) -> None:
    tags = [*tags, etag] if own else tags
    meta = Meta(1, 0, etag)
    listed = comma.join(tags)
    strong = not etag.startswith("W/") and etag in tags
    weak = _opaque(etag) in [_opaque(tag) for tag in tags]
    assert evaluate({"if-match": listed}, meta, NOW) is (Verdict.PASS if strong else Verdict.FAILED)
    assert evaluate({"if-none-match": listed}, meta, NOW) is (Verdict.NOT_MODIFIED if weak else Verdict.PASS)
    assert range_applies(listed, meta, NOW) is (tags == [etag] and strong)


@given(st.lists(TAGS, max_size=3), ANY_HEADER.filter(lambda t: t.strip(" \t,") and '"' not in t and t.strip() != "*"))
def test_a_malformed_element_matches_nothing(tags: list[str], junk: str) -> None:
    meta = Meta(1, 0, '"own"')
    listed = ", ".join([*tags, '"own"', junk])
    assert evaluate({"if-match": listed}, meta, NOW) is Verdict.FAILED
    assert evaluate({"if-none-match": listed}, meta, NOW) is Verdict.PASS


@given(
    st.dictionaries(st.sampled_from(REQUEST_HEADERS), st.one_of(ANY_HEADER, st.just("*"), TAGS)),
    st.sampled_from([None, '"a"', 'W/"a"']),
    st.sampled_from([None, 0, NOW * 10**9, 2 * NOW * 10**9, -(10**18)]),
)
def test_conditions_never_raise(headers: dict[str, str], etag: str | None, mtime_ns: int | None) -> None:
    meta = Meta(1, mtime_ns, etag)
    assert evaluate(headers, meta, NOW) in Verdict
    assert range_applies(headers.get("if-range", ""), meta, NOW) in (True, False)


@given(st.integers(0, 2 * NOW), st.integers(0, 2 * NOW))
def test_the_two_date_conditions_are_opposites(mtime: int, since: int) -> None:
    meta, date = Meta(1, mtime * 10**9 + 999_999_999), format_http_date(since)
    newer = min(mtime, NOW) > since
    assert evaluate({"if-modified-since": date}, meta, NOW) is (Verdict.PASS if newer else Verdict.NOT_MODIFIED)
    assert evaluate({"if-unmodified-since": date}, meta, NOW) is (Verdict.FAILED if newer else Verdict.PASS)
    assert range_applies(date, meta, NOW) is (since == mtime and mtime < NOW)


# Dates


@given(st.integers(0, LAST_SECOND))
@example(0)
@example(LAST_SECOND)
def test_dates_are_written_as_the_standard_library_does(second: int) -> None:
    written = format_http_date(second)
    assert written == formatdate(second, usegmt=True)
    assert parse_http_date(written, NOW) == second


@given(st.integers(0, LAST_SECOND), st.sampled_from(["%A, %d-%b-%y %H:%M:%S GMT", "asctime"]))
def test_the_old_forms_are_read(second: int, form: str) -> None:
    moment = time.gmtime(second)
    if form == "asctime":
        assert parse_http_date(time.asctime(moment).replace(str(moment.tm_year), f"{moment.tm_year:04}"), NOW) == second
        return
    found = parse_http_date(time.strftime(form, moment), NOW)
    if found is None:  # 29 February of a century that has none
        assert (moment.tm_mon, moment.tm_mday) == (2, 29)
        return
    year = time.gmtime(found).tm_year
    assert year % 100 == moment.tm_year % 100
    assert found <= calendar.timegm((2076, 5, 4, 10, 20, 30)), "never more than 50 years ahead of NOW"
    assert calendar.timegm((year + 100, *moment[1:6])) > calendar.timegm((2076, 5, 4, 10, 20, 30)), "the most recent"


@given(st.one_of(ANY_HEADER, st.text(max_size=40)), st.integers(0, LAST_SECOND - 60 * 31_557_600))
def test_dates_never_raise(text: str, now: int) -> None:
    assert parse_http_date(text, now) is None or any(char.isdigit() for char in text)


@given(st.integers(0, LAST_SECOND), st.integers(0, 28), st.characters(max_codepoint=0xFF))
def test_a_spoilt_date_is_no_date_or_another(second: int, position: int, char: str) -> None:
    text = format_http_date(second)
    spoilt = text[:position] + char + text[position + 1 :]
    found = parse_http_date(spoilt, NOW)
    # The day of the week is not looked at, and what lies before 1970 cannot be written.
    if found is not None and found >= 0 and position >= 5:
        assert format_http_date(found)[5:] == spoilt.strip(" \t")[5:] or ":60" in spoilt


@given(st.integers(-(2**80), 2**80))
def test_dates_that_do_not_fit_are_clamped(second: int) -> None:
    assert format_http_date(second) == formatdate(min(max(second, 0), LAST_SECOND), usegmt=True)


# Keys


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=40),
        st.text("ab./\\\0.é", max_size=12),
        st.lists(st.sampled_from(["a", "..", ".", "", ".x", "é" * 128, "x" * 255]), max_size=7).map("/".join),
        st.text(st.characters(categories=["Cs", "L", "Cc"]), max_size=8),
    )
)
def test_keys_obey_the_rules_or_are_refused(name: str) -> None:
    try:
        key = parse_key(name)
    except InvalidKey as error:
        assert error.reason  # noqa: PT017 - a name may be refused or not
        return
    assert key == name
    assert parse_key(key) == key, "what is accepted once is accepted again"
    assert 0 < len(key.encode()) <= MAX_KEY_BYTES
    for segment in key.split("/"):
        assert segment not in ("", ".", "..")
        assert len(segment.encode()) <= 255
    assert not any(char < " " or "\x7f" <= char <= "\x9f" or char == "\\" for char in key)
    assert not key.casefold().startswith(".mediamw/")
    hidden = any(segment.startswith(".") for segment in key.split("/"))
    try:
        parse_http_key(name, DotfileRule())
    except InvalidKey:
        assert hidden
    else:
        assert not hidden


@pytest.mark.parametrize(("length", "fits"), [(1024, True), (1025, False)])
def test_the_longest_key(length: int, fits: bool) -> None:
    name = ("x" * 200 + "/") * 5 + "y" * (length - 1005)
    if fits:
        assert parse_key(name) == name
    else:
        with pytest.raises(InvalidKey, match="1025 bytes"):
            parse_key(name)


@given(st.lists(st.sampled_from([".thumbs", ".git", "a", "..x"]), min_size=1, max_size=5))
def test_a_pattern_opens_its_own_segment_only(segments: list[str]) -> None:
    refuses = DotfileRule([".thumbs/"]).refuses("/".join(segments))
    allowed = [segment == ".thumbs" and index < len(segments) - 1 for index, segment in enumerate(segments)]
    dotted = [segment.startswith(".") for segment in segments]
    assert refuses is any(dot and not may for dot, may in zip(dotted, allowed, strict=True))


# Media types


@given(st.one_of(st.text(max_size=30), st.text('ab./;= \r\n\t"é', max_size=20)))
@example("a/b;\r\nX: y")
@example("a/b; c=\x7f")
def test_what_passes_as_a_type_is_safe_in_a_header(text: str) -> None:
    if is_media_type(text):
        header = with_charset(text)
        assert header.isascii()
        assert header.isprintable()
        assert is_active(header) in (True, False)
    if is_content_coding(text):
        assert text.isascii()
        assert not set(text) & set("\r\n\0;")
    assert is_media_type(guess(text)[0])


@pytest.mark.parametrize(
    "content_type",
    ["TEXT/HTML", "text/html ; charset=x", "image/svg+xml;a=b", "application/XHTML+xml", "application/xslt+xml",
     "text/xml", "application/xml", "text/ecmascript", "application/x-javascript", "multipart/related",
     "multipart/x-mixed-replace", "message/rfc822", "application/rdf+xml", "text/xsl"],
)  # fmt: skip
def test_active_types_however_they_are_written(content_type: str) -> None:
    meta = Meta(1, 0, '"a"', content_type)
    plan = _decide(Request("GET", parse_key("a.bin")), Held("x", _Handle(meta)), Policy())
    assert dict(plan.headers)["Content-Security-Policy"].startswith("sandbox;")


# The plan


class _Handle:
    def __init__(self, meta: Meta) -> None:
        self.meta = meta


def _decide(request: Request, outcome: Any, policy: Policy) -> Plan:
    plan = decide(request, outcome, policy, NOW + 0.5, [Look("a\r\nb", "found", 0.1)])
    assert isinstance(plan, Plan)
    return plan


WILD = st.one_of(
    st.none(), st.text(max_size=20), st.sampled_from(['"a"', 'W/"a"', "text/html", "gzip\r\nX: y", '"\r\n"'])
)
METAS = st.builds(Meta, st.integers(0, 3000), st.one_of(st.none(), st.integers(-(2**70), 2**70)), WILD, WILD, WILD)
HEADERS = st.dictionaries(
    st.sampled_from(REQUEST_HEADERS),
    st.one_of(
        ANY_HEADER,
        TAGS,
        st.just("*"),
        st.lists(_specs(), max_size=5).map(lambda specs: "bytes=" + ",".join(specs)),
        st.integers(0, LAST_SECOND).map(format_http_date),
    ),
)
OUTCOMES = st.one_of(
    METAS.map(lambda meta: Held("x\r\n", _Handle(meta))),
    st.just(Redirect("x", "https://x/?a", NOW + 60.0)),
    st.just(Hidden("x")),
    st.just(Missing()),
    st.just(Refused("no\r\n")),
    st.integers(0, 100).map(lambda seconds: Unavailable("no\r\n", seconds)),
)
POLICIES = st.builds(
    lambda **given: Policy(**given),  # of a named tuple it would make up what is not given here, defaults or not
    on_miss=st.sampled_from(["404", "placeholder"]),
    max_age=st.one_of(st.none(), st.integers(0, 10**9)),
    redirect_max_age=st.one_of(st.none(), st.integers(0, 10**9)),
    debug=st.booleans(),
    placeholder=st.just(Placeholder()),
)


@settings(max_examples=400)
@given(
    st.sampled_from(["GET", "HEAD"]), st.sampled_from(["a.jpg", "b.html", "c.svgz", "d"]), HEADERS, OUTCOMES, POLICIES
)
def test_every_plan_is_sound(method: str, key: str, headers: dict[str, str], outcome: Any, policy: Policy) -> None:
    plan = _decide(Request(method, parse_key(key), headers), outcome, policy)
    names = [name.lower() for name, _ in plan.headers]
    assert len(set(names)) == len(names)
    for name, value in plan.headers:
        assert re.fullmatch(r"[A-Za-z-]+", name)
        assert not any((char < " " and char != "\t") or char == "\x7f" for char in value), (name, value)
        value.encode("latin-1")
    values = dict(zip(names, (value for _, value in plan.headers), strict=True))
    length = sum(len(part) if isinstance(part, bytes) else part.stop - part.start for part in plan.body)
    assert values["x-content-type-options"] == "nosniff"
    assert "cache-control" in values
    assert ("content-length" not in values) is (plan.status == 304)
    if method == "GET" and plan.status != 304:
        assert values["content-length"] == str(length)
    else:
        assert length == 0
    if isinstance(outcome, Held):
        size = outcome.handle.meta.size
        for part in plan.body:
            assert isinstance(part, bytes) or 0 <= part.start < part.stop <= size
        tag = values.get("etag")
        assert tag is None or (is_entity_tag(tag) and tag == outcome.handle.meta.etag)
    else:
        assert plan.status in (302, 404, 503)
        assert all(isinstance(part, bytes) for part in plan.body)


@given(st.sampled_from(["a.jpg", "b.html"]), HEADERS, OUTCOMES, POLICIES)
def test_head_is_get_without_range_and_body(key: str, headers: dict[str, str], outcome: Any, policy: Policy) -> None:
    head = _decide(Request("HEAD", parse_key(key), headers), outcome, policy)
    without = {name: value for name, value in headers.items() if name != "range"}
    get = _decide(Request("GET", parse_key(key), without), outcome, policy)
    assert (head.status, head.headers, head.body) == (get.status, get.headers, ())


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.text(max_size=8), st.just("\r\n")), max_size=3))
def test_add_headers_cannot_break_an_answer(extra: dict[str, str]) -> None:
    policy = Policy(add_headers=lambda key, status: extra)
    try:
        plan = _decide(Request("GET", parse_key("a.jpg")), Held("x", _Handle(Meta(5, 0, '"a"'))), policy)
    except ValueError as error:
        assert "add_headers" in str(error)  # noqa: PT017 - it may be refused or not
        return
    for name, value in plan.headers:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", name)
        assert "\r" not in value
        assert "\n" not in value
        value.encode("latin-1")
    assert dict(plan.headers)["Content-Length"] == "5"


def test_missing_passes_to_the_app() -> None:
    assert decide(Request("GET", parse_key("a.jpg")), Missing(), Policy(), NOW) is PASS


@given(st.sampled_from(["GET", "HEAD", "POST", "", "get", "X" * 100]), st.booleans())
def test_without_an_app(method: str, inside: bool) -> None:
    plan = without_app(method, inside=inside)
    assert plan.status == (405 if inside and method not in ("GET", "HEAD") else 404)
    assert (dict(plan.headers).get("Allow") == "GET, HEAD") is (plan.status == 405)
    assert (plan.body == ()) is (method == "HEAD")
