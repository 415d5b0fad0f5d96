"""Rows: Range on a file of 1,000 bytes and on others (RFC 9110, 14.1 to 14.6 and 15.3.7)."""

from __future__ import annotations

from .row import Row, by_app

_HUGE = "9" * 20
# Ours ignores what is invalid. A peer may reject it (14.2), or make out what was meant (2.4).
_REJECT = (416, 400, 206)


def _many(count: int) -> str:
    return "bytes=" + ",".join(f"{start}-{start + 1}" for start in range(0, count * 10, 10))


def _long(length: int) -> str:
    """One satisfiable range in a header of ``length`` bytes."""
    head = "bytes=0-0"
    return head + "," * (length - len(head))


_SIXTEEN = tuple((start, start + 2) for start in range(0, 160, 10))

# id, clause, what it shows, value, the slices of a 206
_PARTIAL = (
    ("first-byte", "14.1.2", "one byte, the first", "bytes=0-0", ((0, 1),)),
    ("last-byte", "14.1.2", "one byte, the last", "bytes=999-999", ((999, 1000),)),
    ("middle", "14.1.2", "both ends are included", "bytes=10-19", ((10, 20),)),
    ("whole", "14.1.2", "the whole, asked for as a range, is 206", "bytes=0-999", ((0, 1000),)),
    ("open", "14.1.2", "from a position to the end", "bytes=990-", ((990, 1000),)),
    ("open-whole", "14.1.2", "from the start to the end", "bytes=0-", ((0, 1000),)),
    ("open-last", "14.1.2", "from the last byte to the end", "bytes=999-", ((999, 1000),)),
    ("last-past-end", "14.1.2", "an end beyond the file is the file's end", "bytes=990-1000", ((990, 1000),)),
    ("last-far-past-end", "14.1.2", "however far", f"bytes=990-{_HUGE}", ((990, 1000),)),
    ("suffix", "14.1.2", "the last ten bytes", "bytes=-10", ((990, 1000),)),
    ("suffix-one", "14.1.2", "the last byte", "bytes=-1", ((999, 1000),)),
    ("suffix-whole", "14.1.2", "as many as there are", "bytes=-1000", ((0, 1000),)),
    ("suffix-longer", "14.1.2", "more than there are: the whole", "bytes=-1001", ((0, 1000),)),
    ("suffix-huge", "14.1.2", "20 digits of them", f"bytes=-{_HUGE}", ((0, 1000),)),
    ("leading-zeros", "14.1.1", "leading zeros are digits", "bytes=0010-00000000000000000000019", ((10, 20),)),
    ("unit-case", "14.1", "range units are case-insensitive", "BYTES=10-19", ((10, 20),)),
    ("unit-mixed", "14.1", "range units are case-insensitive", "Bytes=10-19", ((10, 20),)),
    ("trailing-comma", "5.6.1.2", "an empty list element is ignored", "bytes=10-19,", ((10, 20),)),
    ("leading-comma", "5.6.1.2", "an empty list element is ignored", "bytes=,10-19", ((10, 20),)),
    ("empty-elements", "5.6.1.2", "a reasonable number of them", "bytes=, ,10-19,,\t,", ((10, 20),)),
    ("two", "15.3.7.2", "two ranges", "bytes=0-9,20-29", ((0, 10), (20, 30))),
    ("two-spaces", "5.6.1", "white space around the comma", "bytes=0-9 , \t20-29", ((0, 10), (20, 30))),
    ("two-and-suffix", "15.3.7.2", "a range and the end", "bytes=0-9,-10", ((0, 10), (990, 1000))),
    ("descending", "15.3.7.2", "in the order asked for", "bytes=20-29,0-9", ((20, 30), (0, 10))),
    ("overlapping", "15.3.7.2", "overlapping ones are one", "bytes=0-19,10-29", ((0, 30),)),
    ("adjacent", "15.3.7.2", "adjacent ones are one", "bytes=0-9,10-19", ((0, 20),)),
    ("adjacent-descending", "15.3.7.2", "in any order", "bytes=10-19,0-9", ((0, 20),)),
    ("nearly-adjacent", "15.3.7.2", "a byte between them keeps them apart", "bytes=0-9,11-19", ((0, 10), (11, 20))),
    ("same-twice", "15.3.7.2", "the same twice is once", "bytes=10-19,10-19", ((10, 20),)),
    ("inside", "15.3.7.2", "one inside another", "bytes=0-99,10-19", ((0, 100),)),
    ("around", "15.3.7.2", "one around another", "bytes=10-19,0-99", ((0, 100),)),
    ("bridge", "15.3.7.2", "a third one joins two", "bytes=0-9,20-29,10-19", ((0, 30),)),
    ("overlap-and-apart", "15.3.7.2", "two join, one stays", "bytes=0-9,50-59,5-14", ((0, 15), (50, 60))),
    ("open-many-times", "15.3.7.2", "sixteen times the whole costs it once", "bytes=" + ",".join(["0-"] * 16),
     ((0, 1000),)),
    ("sixteen", "14.2", "as many as are taken", _many(16), _SIXTEEN),
    ("one-satisfiable", "14.1.2", "one lies in the file, others beyond", "bytes=1000-,2000-2001,10-19,-0", ((10, 20),)),
    ("two-satisfiable", "14.1.2", "two lie in the file, one beyond", "bytes=0-9,2000-,20-29", ((0, 10), (20, 30))),
    ("at-bound", "14.2", "a header of 8 KiB, the most that is read", _long(8192), ((0, 1),)),
)  # fmt: skip

# id, clause, what it shows, value, what peers may answer besides
_IGNORED = (
    ("seventeen", "14.2", "one more than are taken", _many(17), _REJECT),
    ("past-bound", "14.2", "a header of 8 KiB and one byte", _long(8193), (431, *_REJECT)),
    ("a-thousand", "17.15", "many small ranges", _many(100), (431, *_REJECT)),
    ("first-after-last", "14.1.1", "last before first is invalid", "bytes=20-10", _REJECT),
    ("one-invalid", "14.2", "one invalid range spoils the set", "bytes=0-9,20-10", _REJECT),
    ("unknown-unit", "14.2", "another unit", "seconds=0-9", ()),
    ("unit-prefix", "14.2", "another unit that starts alike", "bytesx=0-9", ()),
    ("unit-empty", "14.2", "no unit", "=0-9", _REJECT),
    ("no-equals", "14.2", "no equals sign", "bytes 0-9", _REJECT),
    ("no-set", "14.1.1", "no ranges", "bytes=", _REJECT),
    ("only-commas", "5.6.1.2", "nothing but empty list elements", "bytes=,,,", _REJECT),
    ("empty", "14.2", "an empty value", "", _REJECT),
    ("word", "14.1.1", "no number", "bytes=abc", _REJECT),
    ("dash", "14.1.1", "neither first nor last", "bytes=-", _REJECT),
    ("two-dashes", "14.1.1", "two dashes", "bytes=0--9", _REJECT),
    ("negative", "14.1.1", "a negative suffix", "bytes=--10", _REJECT),
    ("three-numbers", "14.1.1", "three numbers", "bytes=0-9-19", _REJECT),
    ("no-dash", "14.1.1", "one number", "bytes=10", _REJECT),
    ("plus", "14.1.1", "int() takes a sign, HTTP does not", "bytes=+0-9", _REJECT),
    ("plus-last", "14.1.1", "int() takes a sign, HTTP does not", "bytes=0-+9", _REJECT),
    ("plus-suffix", "14.1.1", "int() takes a sign, HTTP does not", "bytes=-+9", _REJECT),
    ("underscore", "14.1.1", "int() takes underscores, HTTP does not", "bytes=1_0-1_9", _REJECT),
    ("superscript", "14.1.1", "str.isdigit() takes superscripts, HTTP does not", "bytes=0-\xb2", _REJECT),
    ("hex", "14.1.1", "no other base", "bytes=0x0-0x9", _REJECT),
    ("float", "14.1.1", "no fractions", "bytes=0.0-9.0", _REJECT),
    ("space-in-range", "14.1.1", "a space before the dash", "bytes=0 -9", _REJECT),
    ("space-after-dash", "14.1.1", "a space behind the dash", "bytes=0- 9", _REJECT),
    ("space-in-number", "14.1.1", "a space in a number", "bytes=0-1 9", _REJECT),
    ("space-before-equals", "14.1.1", "a space before the equals sign", "bytes =0-9", _REJECT),
    ("no-break-space", "14.1.1", "str.strip() takes it, HTTP does not", "bytes=0-9\xa0", _REJECT),
    ("semicolon", "14.1.1", "a semicolon", "bytes=0-9;20-29", _REJECT),
    ("quoted", "14.1.1", "quotes", 'bytes="0-9"', _REJECT),
    ("content-range", "14.1.1", "a Content-Range where a Range belongs", "bytes 0-9/1000", _REJECT),
    ("two-units", "14.1.1", "two units in one header", "bytes=0-9, bytes=20-29", _REJECT),
)

# id, what it shows, value
_BEYOND = (
    ("at-end", "the first position that is not there", "bytes=1000-"),
    ("at-end-closed", "with an end", "bytes=1000-1001"),
    ("far", "far beyond", "bytes=5000-6000"),
    ("far-20-digits", "as far as 20 digits go", f"bytes={_HUGE}-"),
    ("suffix-zero", "the last no bytes", "bytes=-0"),
    ("suffix-zeros", "the last no bytes", "bytes=-000"),
    ("all-beyond", "several, none in the file", "bytes=1000-,2000-2001,-0"),
)

ROWS = (
    *(
        Row(
            id=f"range-{name}",
            clause=f"RFC 9110 {clause}",
            shows=shows,
            headers=(("Range", value),),
            status=206,
            parts=parts,
            peer_status=(200, 416, 431) if "bound" in name else (200,),
        )
        for name, clause, shows, value, parts in _PARTIAL
    ),
    *(
        Row(
            id=f"range-ignored-{name}",
            clause=f"RFC 9110 {clause}",
            shows=shows,
            headers=(("Range", value),),
            peer_status=peer_status,
        )
        for name, clause, shows, value, peer_status in _IGNORED
    ),
    *(
        Row(
            id=f"range-beyond-{name}",
            clause="RFC 9110 15.5.17",
            shows=shows,
            headers=(("Range", value),),
            status=416,
            peer_status=(200,),
        )
        for name, shows, value in _BEYOND
    ),
    Row(
        id="range-head",
        clause="RFC 9110 14.2",
        shows="HEAD ignores Range",
        method="HEAD",
        headers=(("Range", "bytes=10-19"),),
        expect={"content-range": None, "content-length": "1000"},
    ),
    Row(
        id="range-head-beyond",
        clause="RFC 9110 14.2",
        shows="HEAD ignores Range, a bad one too",
        method="HEAD",
        headers=(("Range", "bytes=1000-"),),
        expect={"content-range": None, "content-length": "1000"},
    ),
    Row(
        id="range-head-many",
        clause="RFC 9110 14.2",
        shows="HEAD ignores Range, several too",
        method="HEAD",
        headers=(("Range", "bytes=0-9,20-29"),),
        expect={"content-range": None, "content-length": "1000"},
    ),
    Row(
        id="range-two-lines",
        clause="RFC 9110 14.2",
        shows="two lines of Range are no range set",
        headers=(("Range", "bytes=0-9"), ("Range", "bytes=20-29")),
        peer_status=_REJECT,  # a server may take one of the lines
    ),
    Row(
        id="range-empty-file",
        clause="RFC 9110 15.5.17",
        shows="an empty file has no first byte",
        path="/media/empty.jpg",
        file="empty.jpg",
        headers=(("Range", "bytes=0-"),),
        status=416,
        peer_status=(200,),
    ),
    Row(
        id="range-empty-file-closed",
        clause="RFC 9110 15.5.17",
        shows="an empty file has no first byte",
        path="/media/empty.jpg",
        file="empty.jpg",
        headers=(("Range", "bytes=0-0"),),
        status=416,
        peer_status=(200,),
    ),
    Row(
        id="range-empty-file-suffix",
        clause="RFC 9110 14.1.2",
        shows="a suffix of an empty file is satisfiable, and no Content-Range can say so",
        path="/media/empty.jpg",
        file="empty.jpg",
        headers=(("Range", "bytes=-5"),),
        peer_status=(416,),  # read closely it is wrong; nobody is hurt
    ),
    Row(
        id="range-empty-file-suffix-zero",
        clause="RFC 9110 15.5.17",
        shows="the last no bytes of nothing",
        path="/media/empty.jpg",
        file="empty.jpg",
        headers=(("Range", "bytes=-0"),),
        status=416,
        peer_status=(200,),
    ),
    Row(
        id="range-one-byte-file",
        clause="RFC 9110 14.1.2",
        shows="a file of one byte",
        path="/media/one.jpg",
        file="one.jpg",
        headers=(("Range", "bytes=0-0"),),
        status=206,
        parts=((0, 1),),
        peer_status=(200,),
    ),
    Row(
        id="range-large-single",
        clause="RFC 9110 14.1.2",
        shows="a large slice, streamed",
        path="/media/tour.mp4",
        file="tour.mp4",
        headers=(("Range", "bytes=1000001-2500000"),),
        status=206,
        parts=((1_000_001, 2_500_001),),
        peer_status=(200,),
    ),
    Row(
        id="range-large-open",
        clause="RFC 9110 14.1.2",
        shows="the end of a large file, which a server may send itself",
        path="/media/tour.mp4",
        file="tour.mp4",
        headers=(("Range", "bytes=100000-"),),
        status=206,
        parts=((100_000, 3 * 1024 * 1024 + 17),),
        peer_status=(200,),
    ),
    Row(
        id="range-large-small",
        clause="RFC 9110 14.1.2",
        shows="a small slice of a large file",
        path="/media/tour.mp4",
        file="tour.mp4",
        headers=(("Range", "bytes=3145728-3145729"),),
        status=206,
        parts=((3_145_728, 3_145_730),),
        peer_status=(200,),
    ),
    Row(
        id="range-large-many",
        clause="RFC 9110 15.3.7.2",
        shows="large slices, streamed as parts",
        path="/media/large.bin",
        file="large.bin",
        headers=(("Range", "bytes=0-99999,150000-249999,-10"),),
        status=206,
        parts=((0, 100_000), (150_000, 250_000), (299_990, 300_000)),
        peer_status=(200,),
    ),
    Row(
        id="range-html",
        clause="CSP3 3.1",
        shows="a part of an active type is sandboxed too",
        path="/media/page.html",
        file="page.html",
        headers=(("Range", "bytes=0-9"),),
        status=206,
        parts=((0, 10),),
        peer_status=(200,),
        ours={"content-security-policy": lambda value: value.startswith("sandbox;")},
    ),
    Row(
        id="range-html-many",
        clause="CSP3 3.1",
        shows="and so are several",
        path="/media/page.html",
        file="page.html",
        headers=(("Range", "bytes=0-4,10-14"),),
        status=206,
        parts=((0, 5), (10, 15)),
        peer_status=(200,),
        ours={"content-security-policy": lambda value: value.startswith("sandbox;")},
    ),
    Row(
        id="range-svgz",
        clause="RFC 9110 8.4",
        shows="a range counts encoded bytes, and says so",
        path="/media/logo.svgz",
        file="logo.svgz",
        headers=(("Range", "bytes=0-1"),),
        status=206,
        parts=((0, 2),),
        peer_status=(200,),
        ours={"content-encoding": "gzip"},
    ),
    by_app(
        "range-missing-file",
        "RFC 9110 13.2.1",
        "a range of nothing is the app's",
        "/media/none.jpg",
        headers=(("Range", "bytes=0-9"),),
    ),
)
