"""Rows: a file as it is, and the headers that describe it and keep it harmless (RFC 9110, 8, 9.3 and 10.2)."""

from __future__ import annotations

from urllib.parse import quote

from .row import Row

_SANDBOXED = {"content-security-policy": lambda value: value.startswith("sandbox;")}
_OPEN = {"content-security-policy": None}

# file, content type, is it active content
_TYPES = (
    ("photo.jpg", "image/jpeg", False),
    ("PHOTO2.JPG", "image/jpeg", False),
    ("note.txt", "text/plain; charset=utf-8", False),
    ("style.css", "text/css; charset=utf-8", False),
    ("page.html", "text/html; charset=utf-8", True),
    ("page.htm", "text/html; charset=utf-8", True),
    ("page.xhtml", "application/xhtml+xml", True),
    ("logo.svg", "image/svg+xml", True),
    ("feed.xml", "text/xml; charset=utf-8", True),
    ("script.js", "text/javascript; charset=utf-8", True),
    ("module.mjs", "text/javascript; charset=utf-8", True),
    ("data.json", "application/json", False),
    ("brochure.pdf", "application/pdf", False),
    ("tour.mp4", "video/mp4", False),
    ("archive.gz", "application/gzip", False),
    ("archive.tar.gz", "application/gzip", False),
    ("thing.unknown", "application/octet-stream", False),
    ("noextension", "application/octet-stream", False),
    ("dot.at.end.", "application/octet-stream", False),
)

_METHODS = ("GET", "HEAD")

ROWS = (
    *(
        Row(
            id=f"get-{file}",
            clause="RFC 9110 8.3",
            shows="the type by the table of ours, active types in a sandbox",
            path=f"/media/{file}",
            file=file,
            expect={"content-encoding": None} if file.endswith("gz") else {},
            ours={"content-type": content_type, **(_SANDBOXED if active else _OPEN)},
        )
        for file, content_type, active in _TYPES
    ),
    Row(
        id="get-logo.svgz",
        clause="RFC 9110 8.4",
        shows="compressed SVG is SVG with a content coding",
        path="/media/logo.svgz",
        file="logo.svgz",
        ours={"content-type": "image/svg+xml", "content-encoding": "gzip", **_SANDBOXED},
    ),
    *(
        Row(
            id=f"{method.lower()}-length-{file}",
            clause="RFC 9110 8.6, 9.3.2",
            shows="the length of an empty file, one byte, the largest inline body, one more, and large ones",
            method=method,
            path=f"/media/{file}",
            file=file,
            expect={"content-length": str(size)},
        )
        for method in _METHODS
        for file, size in (
            ("empty.jpg", 0),
            ("one.jpg", 1),
            ("inline.jpg", 65_536),
            ("streamed.jpg", 65_537),
            ("large.bin", 300_000),
            ("tour.mp4", 3_145_745),
        )
    ),
    *(
        Row(
            id=f"{method.lower()}-validators",
            clause="RFC 9110 8.8",
            shows="a strong tag and the time of the file, cut to seconds",
            method=method,
            expect={
                "last-modified": "Thu, 05 Mar 2020 07:08:09 GMT",
                "etag": lambda value: value.startswith('"') and value.endswith('"') and len(value) > 2,
            },
            ours={"accept-ranges": "bytes", "cache-control": "private, no-cache"},
        )
        for method in _METHODS
    ),
    Row(
        id="get-future",
        clause="RFC 9110 8.8.2.1",
        shows="Last-Modified is never later than Date",
        path="/media/future.jpg",
        file="future.jpg",
    ),
    Row(
        id="head-future",
        clause="RFC 9110 8.8.2.1",
        shows="Last-Modified is never later than Date",
        method="HEAD",
        path="/media/future.jpg",
        file="future.jpg",
    ),
    Row(
        id="get-query",
        clause="RFC 3986 3.4",
        shows="a query selects nothing",
        path="/media/photo.jpg?width=100&backend=prod",
    ),
    Row(
        id="get-query-traversal",
        clause="RFC 3986 3.4",
        shows="a query is no path",
        path="/media/photo.jpg?/../../secret.txt",
    ),
    Row(
        id="get-accept",
        clause="RFC 9110 12.5.1",
        shows="there is one representation: Accept is not negotiated",
        headers=(("Accept", "text/html"), ("Accept-Encoding", "gzip, br")),
        expect={"content-encoding": None},
    ),
    Row(
        id="get-no-cache",
        clause="RFC 9111 5.2.1.4",
        shows="a reload is an ordinary request",
        headers=(("Cache-Control", "no-cache"), ("Pragma", "no-cache")),
    ),
    Row(
        id="get-long-name",
        clause="RFC 9110 4.1",
        shows="a segment of 255 bytes, the longest there is",
        path=f"/media/{'x' * 251}.jpg",
        file="x" * 251 + ".jpg",
    ),
    Row(
        id="get-encoded-letter",
        clause="RFC 3986 6.2.2.2",
        shows="a letter that need not be encoded is the same letter",
        path="/media/%70hoto.jp%67",
    ),
    Row(
        id="get-lower-case-hex",
        clause="RFC 3986 6.2.2.1",
        shows="%c3 is %C3",
        path="/media/" + quote("ünï çødé.jpg").lower(),
        file="ünï çødé.jpg",
    ),
)
