"""The whole middleware in this process: its redirects lead to the bytes, at three implementations of S3."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mediamw import LocalBackend, MediaStack, asgi, wsgi

from ..http_table.callers import Response, acall_asgi, call_wsgi
from .deviations import expected
from .sites import Site, ask

DATA = bytes(range(256)) * 8
NAMES = ("a/b c.jpg", "100%41 & 50% off+#1?.jpg", "é/日本.jpg")
ETAG = '"of-somebody-else"'
LONG_AGO, TO_COME = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


async def asgi_app(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"the app"})


def wsgi_app(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("299 The app", [])
    return [b"the app"]


class Middleware:
    """Both middlewares around apps that answer 299; what is asked is asked of the one that the test names."""

    def __init__(self, kind: str, stack: MediaStack) -> None:
        self._wsgi = wsgi.MediaMiddleware(wsgi_app, stack)
        self._asgi = asgi.MediaMiddleware(asgi_app, stack)
        self._kind = kind

    def __call__(self, method: str, name: str, **headers: str) -> Response:
        target = f"/media/{quote(name)}"
        sent = tuple((header.replace("_", "-"), value) for header, value in headers.items())
        if self._kind == "wsgi":
            return call_wsgi(self._wsgi, method, target, sent)
        return asyncio.run(acall_asgi(self._asgi, method, target, sent))


@pytest.fixture(scope="module")
def bucket(site: Site) -> str:
    return site.new_bucket({**dict.fromkeys(NAMES, DATA), "both.txt": b"of the bucket", "empty.txt": b""})


@pytest.fixture(params=["wsgi", "asgi"])
def media(request: pytest.FixtureRequest, site: Site, bucket: str, tmp_path: Path) -> Iterator[Middleware]:
    (tmp_path / "both.txt").write_bytes(b"local")
    with site.backend(bucket) as backend, closing(MediaStack([LocalBackend(tmp_path), backend])) as stack:
        yield Middleware(request.param, stack)


@pytest.mark.parametrize("name", [*NAMES, "empty.txt"])
def test_a_redirect_leads_to_the_bytes(site: Site, media: Middleware, name: str) -> None:
    data = b"" if name == "empty.txt" else DATA
    for method in ("GET", "HEAD"):
        sent = media(method, name)
        assert (sent.status, sent.body) == (302, b"")
        location = sent.get("location")
        assert location is not None
        assert location.startswith(site.endpoint)
        got = ask(method, location)
        assert (got.status, got.body) == (200, data if method == "GET" else b"")
        assert got.headers["Content-Length"] == str(len(data))


def test_what_is_here_is_not_asked_there_and_what_is_nowhere_is_the_apps(media: Middleware) -> None:
    assert (media("GET", "both.txt").status, media("GET", "both.txt").body) == (200, b"local")
    assert (media("GET", "nobody.jpg").status, media("GET", "nobody.jpg").body) == (299, b"the app")
    for method in ("POST", "PUT", "DELETE"):
        assert media(method, NAMES[0]).status == 299


# What a browser that holds another answer sends along, and what S3 says to it; a browser repeats it behind a redirect.
CONDITIONS = {
    "If-None-Match: another": ({"If-None-Match": ETAG}, 200),
    "If-None-Match: another, and a date": ({"If-None-Match": ETAG, "If-Modified-Since": TO_COME}, 200),
    "If-None-Match: *": ({"If-None-Match": "*"}, 304),
    "If-Modified-Since: long ago": ({"If-Modified-Since": LONG_AGO}, 200),
    "If-Modified-Since: no date": ({"If-Modified-Since": "yesterday"}, 200),
    "If-Range: another": ({"Range": "bytes=2-4", "If-Range": ETAG}, 200),
}


@pytest.mark.parametrize("what", CONDITIONS)
def test_conditions_survive_the_redirect(site: Site, media: Middleware, what: str) -> None:
    headers, usual = CONDITIONS[what]
    sent = media("GET", NAMES[0], **headers)
    if "If-Range" in headers:  # that is why clients who hold another version are not sent there
        assert (sent.status, sent.body) == (200, DATA)
        sent = media("GET", NAMES[0])
    assert sent.status == 302
    location = sent.get("location")
    assert location is not None
    got = ask("GET", location, headers)
    assert got.status == expected(site.name, f"{what}, the status", usual)
    is_part = "Content-Range" in got.headers
    assert is_part == expected(site.name, f"{what}, only a part", False)
    if got.status in (200, 206, 304):
        assert got.body == (DATA[2:5] if is_part else b"" if got.status == 304 else DATA)


def test_the_etag_of_the_bucket_is_a_304_there(site: Site, media: Middleware) -> None:
    location = media("GET", NAMES[0]).get("location")
    assert location is not None
    first = ask("GET", location)
    again = ask("GET", location, {"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    dated = ask("GET", location, {"If-Modified-Since": first.headers["Last-Modified"]})
    assert dated.status == expected(site.name, "If-Modified-Since: its date", 304)


def test_a_range_survives_the_redirect(site: Site, media: Middleware) -> None:
    sent = media("GET", NAMES[0], Range="bytes=5-8")
    assert sent.status == 302
    location = sent.get("location")
    assert location is not None
    got = ask("GET", location, {"Range": "bytes=5-8"})
    assert got.status == expected(site.name, "status of a range", 206)
    assert got.body == DATA[5:9]


def test_a_stack_reads_it_as_files(site: Site, bucket: str, tmp_path: Path) -> None:
    with site.backend(bucket) as backend, closing(MediaStack([LocalBackend(tmp_path), backend])) as stack:
        with stack.open(NAMES[0]) as file:
            assert file.read() == DATA
        meta = stack.stat(NAMES[0])
        assert meta is not None
        assert meta.size == len(DATA)
        assert {entry.key for entry in stack.list("", recursive=True)} >= set(NAMES)
