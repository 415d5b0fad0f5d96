"""Rows: If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since, each alone (RFC 9110, 13.1)."""

from __future__ import annotations

from .row import Row

# A list of 8 KiB, the most that is read, that ends in the file's own tag, and one that is a byte longer.
_AT_BOUND = "{padding8192}"
_PAST_BOUND = "{padding8193}"

# Any answer but a crash: the value breaks the grammar, and no clause says what follows.
_ANY = (200, 206, 304, 400, 412)

# id, what it shows, value, does the file's own tag match strongly, does it match weakly, what peers may answer
_TAG_LISTS = (
    ("own", "the file's own tag", "{etag}", True, True, ()),
    ("other", "another tag", '"other"', False, False, ()),
    ("star", "any version", "*", True, True, ()),
    ("weak", "its own tag, weak", "W/{etag}", False, True, ()),
    ("weak-other", "another weak tag", 'W/"other"', False, False, ()),
    ("list", "a list with it in the middle", '"a", {etag}, "b"', True, True, ()),
    ("list-without", "a list without it", '"a", "b"', False, False, ()),
    ("list-tight", "a list without spaces", '"a",{etag},"b"', True, True, ()),
    ("list-tabs", "tabs around the commas", '"a"\t,\t{etag}', True, True, ()),
    ("list-empty-elements", "empty list elements are ignored (5.6.1.2)", ', ,"a",,{etag}, ,', True, True, ()),
    ("list-both", "weak and strong in one list", "W/{etag}, {etag}", True, True, ()),
    ("comma-in-tag", "a comma inside a tag divides nothing", '"a,b", {etag}', True, True, ()),
    ("own-inside-tag", "its own tag's letters inside another tag", '"a,{opaque},b"', False, False, ()),
    ("obs-text", "bytes above 0x7f in a tag", '"\xe9\xff", {etag}', True, True, ()),
    ("empty-tag", "a tag may be empty", '""', False, False, ()),
    ("backslash", "a backslash in a tag escapes nothing (8.8.3)", '"\\", {etag}', True, True, ()),
    ("prefix", "a tag that only starts like its own", '{etag-open}-gzip"', False, False, ()),
    ("unquoted", "its own tag without quotes", "{opaque}", False, False, _ANY),
    ("unclosed", "no closing quote", '"{opaque}', False, False, _ANY),
    ("single-quotes", "single quotes", "'{opaque}'", False, False, _ANY),
    ("no-comma", "no comma between two tags", '"a" {etag}', False, False, _ANY),
    ("lower-w", "w/ in lower case (8.8.3: W is case-sensitive)", "w/{etag}", False, False, _ANY),
    ("space-in-tag", "a space in a tag", '"a b", {etag}', False, False, _ANY),
    ("star-in-list", "* is no list element", "*, {etag}", False, False, _ANY),
    ("word-in-list", "one malformed element spoils the list", "abc, {etag}", False, False, _ANY),
    ("empty", "an empty value", "", False, False, _ANY),
    ("at-bound", "a list of 8 KiB, the most that is read", _AT_BOUND, True, True, (400, 413, 414, 431)),
    ("past-bound", "a list of 8 KiB and one byte", _PAST_BOUND, False, False, (200, 304, 400, 412, 413, 431)),
)

# Dates as mail has them: 5.6.7 encourages recipients to be robust, so a peer may read them; not to is the safe side.
_MAIL = (304, 412)

# id, what it shows, value, the answer: is the file newer than the date (None: no date, ignored), what peers may answer
_DATES = (
    ("equal", "the file's own time", "{modified}", False, ()),
    ("later", "a second later", "{modified+1}", False, ()),
    ("earlier", "a second earlier", "{modified-1}", True, ()),
    ("rfc850", "its own time as RFC 850 wrote it", "{modified850}", False, ()),
    ("rfc850-earlier", "a second earlier, as RFC 850 wrote it", "{modified850-1}", True, ()),
    ("rfc850-1994", "two digits: 94 is 1994", "Sunday, 06-Nov-94 08:49:37 GMT", True, ()),
    ("asctime", "its own time as asctime writes it", "{modified-asc}", False, ()),
    ("asctime-earlier", "a second earlier, as asctime writes it", "{modified-asc-1}", True, ()),
    ("asctime-two-digits", "asctime, a day of two digits", "Wed Nov 16 08:49:37 1994", True, ()),
    ("year-9999", "the last year there is", "Fri, 31 Dec 9999 23:59:59 GMT", False, ()),
    ("epoch", "the first second there is", "Thu, 01 Jan 1970 00:00:00 GMT", True, ()),
    ("before-epoch", "before 1970", "Wed, 31 Dec 1969 23:59:59 GMT", True, ()),
    ("leap-second", "a leap second (5.6.7)", "Sat, 31 Dec 2016 23:59:60 GMT", True, ()),
    ("leap-day", "29 February of a leap year", "Sat, 29 Feb 2020 00:00:00 GMT", True, ()),
    ("empty", "an empty value", "", None, ()),
    ("word", "no date at all", "yesterday", None, ()),
    ("iso", "ISO 8601", "2010-03-05T07:08:09Z", None, ()),
    ("number", "seconds since 1970", "1267772889", None, ()),
    ("31-feb", "31 February", "Fri, 31 Feb 2010 07:08:09 GMT", None, ()),
    ("30-feb-850", "30 February of RFC 850", "Friday, 30-Feb-10 07:08:09 GMT", None, ()),
    ("29-feb-2010", "29 February of no leap year", "Mon, 29 Feb 2010 07:08:09 GMT", None, ()),
    ("hour-24", "24 o'clock", "Fri, 05 Mar 2010 24:00:00 GMT", None, ()),
    ("second-61", "second 61", "Fri, 05 Mar 2010 07:08:61 GMT", None, ()),
    ("utc", "UTC is not GMT's name in HTTP", "Fri, 05 Mar 2010 07:08:09 UTC", None, _MAIL),
    ("zone", "a zone as in mail", "Fri, 05 Mar 2010 07:08:09 +0000", None, _MAIL),
    ("est", "a zone's name as in mail", "Fri, 05 Mar 2010 07:08:09 EST", None, _MAIL),
    ("no-zone", "no zone", "Fri, 05 Mar 2010 07:08:09", None, _MAIL),
    ("no-weekday", "no day of the week", "05 Mar 2010 07:08:09 GMT", None, _MAIL),
    ("lower-case", "dates are case-sensitive (5.6.7)", "fri, 05 mar 2010 07:08:09 gmt", None, _MAIL),
    ("one-digit-day", "a day of one digit", "Fri, 5 Mar 2010 07:08:09 GMT", None, _MAIL),
    ("superscript", "a digit that is not ASCII", "Fri, 0\xb2 Mar 2010 07:08:09 GMT", None, (400,)),
    ("two-digit-year", "two digits in the form that has four", "Fri, 05 Mar 10 07:08:09 GMT", None, _MAIL),
    ("five-digit-year", "a year of five digits", "Fri, 05 Mar 02010 07:08:09 GMT", None, ()),
    ("huge-year", "a year that no library holds", "Fri, 05 Mar 99999999999 07:08:09 GMT", None, ()),
    ("year-0000", "the year 0, which no library holds", "Sat, 01 Jan 0000 00:00:00 GMT", None, ()),
    ("two-spaces", "two spaces", "Fri, 05  Mar 2010 07:08:09 GMT", None, _MAIL),
    ("signed", "a sign", "Fri, 05 Mar 2010 +7:08:09 GMT", None, ()),
    ("comment", "a comment, as mail has", "Fri, 05 Mar 2010 07:08:09 GMT (old)", None, _MAIL),
    ("length", "Netscape's length parameter", "Fri, 05 Mar 2010 07:08:09 GMT; length=1000", None, (200, 304, 412)),
    ("two-dates", "more than one member", "{modified-1}, {modified-1}", None, ()),
)


def _tag_rows() -> list[Row]:
    rows = []
    for name, shows, value, strong, weak, peer_status in _TAG_LISTS:
        common = {"peer_status": peer_status, "file": "photo.jpg"}
        rows.append(
            Row(
                id=f"if-match-{name}",
                clause="RFC 9110 13.1.1",
                shows=f"If-Match, strong comparison: {shows}",
                headers=(("If-Match", value),),
                status=200 if strong else 412,
                **common,
            )
        )
        rows.append(
            Row(
                id=f"if-none-match-{name}",
                clause="RFC 9110 13.1.2",
                shows=f"If-None-Match, weak comparison: {shows}",
                headers=(("If-None-Match", value),),
                status=304 if weak else 200,
                **common,
            )
        )
    return rows


def _later(value: str) -> str:
    """Turn a bad date before the file's into one behind it, so that reading it anyway would show."""
    for before, behind in (("2010", "2030"), ("-10 ", "-30 "), ("Mar 10 ", "Mar 30 "), ("1267772889", "1898924889")):
        value = value.replace(before, behind)
    return value.replace("{modified-1}", "{modified}")


def _date_rows() -> list[Row]:
    rows = []
    for name, shows, value, newer, peer_status in _DATES:
        rows.append(
            Row(
                id=f"if-modified-since-{name}",
                clause="RFC 9110 13.1.3" if newer is not None else "RFC 9110 13.1.3, 5.6.7",
                shows=f"If-Modified-Since: {shows}",
                headers=(("If-Modified-Since", value if newer is not None else _later(value)),),
                status=304 if newer is False else 200,
                peer_status=peer_status,
            )
        )
        rows.append(
            Row(
                id=f"if-unmodified-since-{name}",
                clause="RFC 9110 13.1.4" if newer is not None else "RFC 9110 13.1.4, 5.6.7",
                shows=f"If-Unmodified-Since: {shows}",
                headers=(("If-Unmodified-Since", value),),
                status=412 if newer else 200,
                peer_status=peer_status,
            )
        )
    return rows


ROWS = (
    *_tag_rows(),
    *_date_rows(),
    Row(
        id="if-none-match-two-lines",
        clause="RFC 9110 5.3",
        shows="two lines of a list are one list",
        headers=(("If-None-Match", '"a"'), ("If-None-Match", "{etag}")),
        status=304,
    ),
    Row(
        id="if-match-two-lines",
        clause="RFC 9110 5.3",
        shows="two lines of a list are one list",
        headers=(("If-Match", '"a"'), ("If-Match", "{etag}")),
    ),
    Row(
        id="if-modified-since-two-lines",
        clause="RFC 9110 13.1.3",
        shows="two lines of what is no list: more than one member, ignored",
        headers=(("If-Modified-Since", "{modified}"), ("If-Modified-Since", "{modified}")),
        peer_status=(304, 400),  # a server may take one of the lines as it joins or parses them
    ),
    Row(
        id="if-modified-since-50-years",
        clause="RFC 9110 5.6.7",
        shows="two digits, less than 50 years ahead: that year",
        headers=(("If-Modified-Since", "Monday, 04-May-76 10:20:29 GMT"),),
        status=304,
        frozen_clock=True,
    ),
    Row(
        id="if-modified-since-past-50-years",
        clause="RFC 9110 5.6.7",
        shows="two digits, more than 50 years ahead by a second: the year in the past",
        headers=(("If-Modified-Since", "Monday, 04-May-76 10:20:31 GMT"),),
        frozen_clock=True,
    ),
    Row(
        id="if-modified-since-51-years",
        clause="RFC 9110 5.6.7",
        shows="two digits, 51 years ahead: the year in the past",
        headers=(("If-Modified-Since", "Monday, 04-May-77 10:20:30 GMT"),),
        frozen_clock=True,
    ),
    Row(
        id="if-none-match-head",
        clause="RFC 9110 13.1.2",
        shows="a condition holds for HEAD too",
        method="HEAD",
        headers=(("If-None-Match", "{etag}"),),
        status=304,
    ),
    Row(
        id="if-modified-since-head",
        clause="RFC 9110 13.1.3",
        shows="a condition holds for HEAD too",
        method="HEAD",
        headers=(("If-Modified-Since", "{modified}"),),
        status=304,
    ),
    Row(
        id="if-match-head",
        clause="RFC 9110 13.1.1",
        shows="a condition holds for HEAD too",
        method="HEAD",
        headers=(("If-Match", '"other"'),),
        status=412,
    ),
    Row(
        id="if-none-match-empty-file",
        clause="RFC 9110 15.4.5",
        shows="an empty file has a tag like any other",
        path="/media/empty.jpg",
        file="empty.jpg",
        headers=(("If-None-Match", "{etag}"),),
        status=304,
    ),
    Row(
        id="if-none-match-large",
        clause="RFC 9110 15.4.5",
        shows="a 304 of a file that is streamed",
        path="/media/tour.mp4",
        file="tour.mp4",
        headers=(("If-None-Match", "{etag}"),),
        status=304,
    ),
    Row(
        id="if-none-match-html",
        clause="CSP3 3.1",
        shows="a 304 keeps the sandbox of an active type",
        path="/media/page.html",
        file="page.html",
        headers=(("If-None-Match", "{etag}"),),
        status=304,
        ours={"content-security-policy": lambda value: value.startswith("sandbox;")},
    ),
    Row(
        id="if-modified-since-future-file",
        clause="RFC 9110 8.8.2.1",
        shows="a file of the year 2100 counts as changed now",
        path="/media/future.jpg",
        file="future.jpg",
        headers=(("If-Modified-Since", "{modified-1}"),),
    ),
    Row(
        id="if-unmodified-since-future-file",
        clause="RFC 9110 8.8.2.1",
        shows="a file of the year 2100 counts as changed now",
        path="/media/future.jpg",
        file="future.jpg",
        headers=(("If-Unmodified-Since", "{modified-1}"),),
        status=412,
    ),
)
