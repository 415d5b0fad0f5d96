"""Rows: several conditions at once (RFC 9110, 13.2.2), If-Range (13.1.5), and both with Range."""

from __future__ import annotations

from .row import Row

_RANGE = ("Range", "bytes=10-19")
_BEYOND = ("Range", "bytes=1000-")

# id, what it shows, headers, status
_ORDER = (
    ("match-over-unmodified", "If-Unmodified-Since does not count beside If-Match",
     (("If-Match", "{etag}"), ("If-Unmodified-Since", "{modified-1}")), 200),
    ("match-star-over-unmodified", "nor beside If-Match: *",
     (("If-Match", "*"), ("If-Unmodified-Since", "{modified-1}")), 200),
    ("match-fails-over-unmodified", "nor does it help",
     (("If-Match", '"other"'), ("If-Unmodified-Since", "{modified}")), 412),
    ("match-fails-before-none-match", "step 1 before step 3",
     (("If-Match", '"other"'), ("If-None-Match", "{etag}")), 412),
    ("match-then-none-match", "step 1 holds, step 3 says 304",
     (("If-Match", "{etag}"), ("If-None-Match", "{etag}")), 304),
    ("match-then-modified", "step 1 holds, step 4 says 304",
     (("If-Match", "{etag}"), ("If-Modified-Since", "{modified}")), 304),
    ("unmodified-fails-before-none-match", "step 2 before step 3",
     (("If-Unmodified-Since", "{modified-1}"), ("If-None-Match", "{etag}")), 412),
    ("unmodified-fails-before-modified", "step 2 before step 4",
     (("If-Unmodified-Since", "{modified-1}"), ("If-Modified-Since", "{modified}")), 412),
    ("unmodified-then-modified", "step 2 holds, step 4 says 304",
     (("If-Unmodified-Since", "{modified}"), ("If-Modified-Since", "{modified}")), 304),
    ("none-match-over-modified", "If-Modified-Since does not count beside If-None-Match",
     (("If-None-Match", '"other"'), ("If-Modified-Since", "{modified}")), 200),
    ("none-match-holds-over-modified", "nor does it hinder",
     (("If-None-Match", "{etag}"), ("If-Modified-Since", "{modified-1}")), 304),
    ("none-match-malformed-over-modified", "beside a malformed If-None-Match neither",
     (("If-None-Match", "{opaque}"), ("If-Modified-Since", "{modified}")), 200),
    ("bad-unmodified-then-none-match", "a bad date is no step",
     (("If-Unmodified-Since", "yesterday"), ("If-None-Match", "{etag}")), 304),
    ("match-fails-before-beyond", "a failed condition before a bad range",
     (("If-Match", '"other"'), _BEYOND), 412),
    ("unmodified-fails-before-range", "a failed condition before a range",
     (("If-Unmodified-Since", "{modified-1}"), _RANGE), 412),
    ("none-match-before-range", "304 before a range",
     (("If-None-Match", "{etag}"), _RANGE), 304),
    ("none-match-before-beyond", "304 before a bad range",
     (("If-None-Match", "{etag}"), _BEYOND), 304),
    ("modified-before-range", "304 before a range",
     (("If-Modified-Since", "{modified}"), _RANGE), 304),
    ("if-range-after-match", "step 5 comes last: step 1 fails",
     (("If-Match", '"other"'), ("If-Range", "{etag}"), _RANGE), 412),
    ("if-range-after-none-match", "step 5 comes last: step 3 says 304",
     (("If-None-Match", "{etag}"), ("If-Range", '"other"'), _RANGE), 304),
    ("all-at-once", "every condition that there is, all of them hold",
     (("If-Match", "{etag}"), ("If-Unmodified-Since", "{modified}"), ("If-None-Match", '"other"'),
      ("If-Modified-Since", "{modified-1}"), ("If-Range", "{etag}"), _RANGE), 206),
    ("match-then-range", "a condition that holds, then the range",
     (("If-Match", "{etag}"), _RANGE), 206),
    ("none-match-then-range", "a condition that holds, then the range",
     (("If-None-Match", '"other"'), _RANGE), 206),
    ("modified-then-range", "a condition that holds, then the range",
     (("If-Modified-Since", "{modified-1}"), _RANGE), 206),
    ("match-then-beyond", "a condition that holds, then a bad range",
     (("If-Match", "{etag}"), _BEYOND), 416),
)  # fmt: skip

# id, what it shows, If-Range, does the range count
_IF_RANGE = (
    ("own", "its own strong tag", "{etag}", True),
    ("own-spaces", "spaces around it", "  {etag}  ", True),
    ("weak", "weak tags never make parts of one body (8.8.3.2)", "W/{etag}", False),
    ("other", "another tag", '"other"', False),
    ("unquoted", "its tag without quotes", "{opaque}", False),
    ("list", "a list is no If-Range", '{etag}, "other"', False),
    ("comma", "not even a list of one", "{etag},", False),
    ("star", "* is no If-Range", "*", False),
    ("empty", "an empty value", "", False),
    ("date", "its own time", "{modified}", True),
    ("date-850", "its own time as RFC 850 wrote it", "{modified850}", True),
    ("date-asctime", "its own time as asctime writes it", "{modified-asc}", True),
    ("date-earlier", "a second earlier", "{modified-1}", False),
    ("date-later", "a second later: exact match, no comparison", "{modified+1}", False),
    ("date-bad", "no date", "yesterday", False),
    ("date-utc", "no HTTP date", "{modified-utc}", False),
)

# What is meant can be guessed, and a peer may guess (2.4).
_MALFORMED = ("unquoted", "list", "comma", "star", "empty", "date-bad", "date-utc")

ROWS = (
    *(
        Row(
            id=f"order-{name}",
            clause="RFC 9110 13.2.2",
            shows=shows,
            headers=headers,
            status=status,
            parts=((10, 20),) if status == 206 else None,
            # Ignoring Range is allowed, and so is reading a tag without quotes (2.4).
            peer_status=(200,) if status in (206, 416) else (304, 400) if "malformed" in name else (),
        )
        for name, shows, headers, status in _ORDER
    ),
    *(
        Row(
            id=f"if-range-{name}",
            clause="RFC 9110 13.1.5",
            shows=shows,
            headers=(("If-Range", value), _RANGE),
            status=206 if counts else 200,
            parts=((10, 20),) if counts else None,
            peer_status=(200,) if counts else (206, 400) if name in _MALFORMED else (),
        )
        for name, shows, value, counts in _IF_RANGE
    ),
    Row(
        id="if-range-alone",
        clause="RFC 9110 13.1.5",
        shows="If-Range without Range is ignored, whatever it says",
        headers=(("If-Range", "{etag}"),),
    ),
    Row(
        id="if-range-beyond",
        clause="RFC 9110 13.1.5",
        shows="the range counts, and lies beyond the end",
        headers=(("If-Range", "{etag}"), _BEYOND),
        status=416,
        peer_status=(200,),
    ),
    Row(
        id="if-range-other-beyond",
        clause="RFC 9110 13.1.5",
        shows="the range does not count, so it cannot be wrong",
        headers=(("If-Range", '"other"'), _BEYOND),
    ),
    Row(
        id="if-range-many",
        clause="RFC 9110 13.1.5",
        shows="several ranges count together",
        headers=(("If-Range", "{etag}"), ("Range", "bytes=0-9,20-29")),
        status=206,
        parts=((0, 10), (20, 30)),
        peer_status=(200,),
    ),
    Row(
        id="if-range-other-many",
        clause="RFC 9110 13.1.5",
        shows="and do not count together",
        headers=(("If-Range", '"other"'), ("Range", "bytes=0-9,20-29")),
    ),
    Row(
        id="if-range-head",
        clause="RFC 9110 14.2",
        shows="HEAD has no ranges, with a condition neither",
        method="HEAD",
        headers=(("If-Range", "{etag}"), _RANGE),
    ),
    Row(
        id="if-range-date-this-second",
        clause="RFC 9110 8.8.2.2",
        shows="a file of this very second may change once more in it: its date is weak",
        path="/media/now.jpg",
        file="now.jpg",
        headers=(("If-Range", "{modified}"), ("Range", "bytes=0-3")),
        frozen_clock=True,
    ),
    Row(
        id="if-range-tag-this-second",
        clause="RFC 9110 8.8.2.2",
        shows="its tag is strong",
        path="/media/now.jpg",
        file="now.jpg",
        headers=(("If-Range", "{etag}"), ("Range", "bytes=0-3")),
        status=206,
        parts=((0, 4),),
        frozen_clock=True,
    ),
    Row(
        id="if-range-future-file",
        clause="RFC 9110 8.8.2.2",
        shows="a date that is the clock's, not the file's, is weak",
        path="/media/future.jpg",
        file="future.jpg",
        headers=(("If-Range", "{modified}"), ("Range", "bytes=0-3")),
        # Peers that show the file's own time, which lies in the future, fail elsewhere; the date is exact then.
        peer_status=(206,),
    ),
)
