"""Every row of the HTTP table in process: ``decide`` alone, the WSGI and the ASGI middleware, on disk and in memory.

The two middlewares must agree to the letter: status, header list and body.
"""

from __future__ import annotations

import asyncio
import logging
import wsgiref.util
import wsgiref.validate
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from mediamw.core.keys import Key
from mediamw.core.model import (
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
from mediamw.core.plan import Policy, decide

from .http_table import ROWS, Row
from .http_table.callers import Response, Sendfile, acall_asgi, call_wsgi
from .http_table.check import Facts, faults
from .http_table.files import FILES, NOW, mtime_ns, write_files
from .http_table.sites import local_files, make_asgi, make_wsgi, memory_files

BACKENDS = ("local", "memory")
CASES = [(row, backend) for row in ROWS for backend in BACKENDS if backend == "local" or not row.disk_only]


@dataclass
class House:
    """The sites, each made once, and a loop to run the ASGI ones in."""

    root: Path
    runner: asyncio.Runner

    def __post_init__(self) -> None:
        self.wsgi = cache(lambda site, backend: make_wsgi(site, self._files(backend)))
        self.asgi = cache(lambda site, backend: make_asgi(site, self._files(backend)))

    def _files(self, backend: str) -> Any:
        return local_files(self.root) if backend == "local" else memory_files

    def call_asgi(self, app: Any, method: str, target: str, headers: Any = (), **more: Any) -> Response:
        return self.runner.run(acall_asgi(app, method, target, headers, **more))

    def facts(self, row: Row, backend: str) -> Facts:
        """Ask for the row's file plainly."""
        return Facts.of(call_wsgi(self.wsgi(row.site, backend), "GET", row.path))

    def close(self) -> None:
        for made in (self.wsgi, self.asgi):
            for site in {row.site for row in ROWS}:
                for backend in BACKENDS:
                    service = made(site, backend).service
                    if service is not None:
                        service.stack.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with asyncio.Runner() as runner:
        made = House(write_files(tmp_path_factory.mktemp("table")), runner)
        yield made
        made.close()


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with mock.patch("time.time", return_value=NOW + 0.5):
        yield


def _without_timings(got: Response) -> Response:
    """Timings are measured, so no two are alike."""
    headers = tuple((name, "..." if name == "server-timing" else value) for name, value in got.headers)
    return Response(got.status, headers, got.body)


@pytest.mark.parametrize(("row", "backend"), CASES, ids=[f"{row.id}-{backend}" for row, backend in CASES])
def test_row(house: House, row: Row, backend: str) -> None:
    headers = house.facts(row, backend).fill(row.headers)
    wsgi, asgi = house.wsgi(row.site, backend), house.asgi(row.site, backend)
    by_wsgi = call_wsgi(wsgi, row.method, row.path, headers)
    by_asgi = house.call_asgi(asgi, row.method, row.path, headers)
    assert faults(row, by_wsgi) == []
    assert _without_timings(by_asgi) == _without_timings(by_wsgi)
    assert faults(row, by_asgi) == []
    again = house.call_asgi(asgi, row.method, row.path, headers)  # the plan may be kept, and the answer is the same
    assert _without_timings(again) == _without_timings(by_asgi)
    for wrapper in (wsgiref.util.FileWrapper, Sendfile):
        by_wrapper = call_wsgi(wsgi, row.method, row.path, headers, file_wrapper=wrapper)
        assert _without_timings(by_wrapper) == _without_timings(by_wsgi)


# The validator warns of methods that it does not know.
@pytest.mark.parametrize("row", [row for row in ROWS if row.method != "PROPFIND"], ids=lambda row: row.id)
def test_row_keeps_pep_3333(house: House, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    if row.status == 302:
        # The validator wants a Content-Type on every answer but 204 and 304; neither PEP 3333 nor HTTP does, and a
        # redirect has no content that could have a type.
        monkeypatch.setattr(wsgiref.validate, "check_content_type", lambda status, headers: None)
    headers = house.facts(row, "local").fill(row.headers)
    app = wsgiref.validate.validator(house.wsgi(row.site, "local"))
    assert faults(row, call_wsgi(app, row.method, row.path, headers)) == []


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.method == "GET" and not row.app and row.status != 302], ids=lambda row: row.id
)
def test_head_is_get_less_the_body(house: House, row: Row) -> None:
    """RFC 9110, 9.3.2; only Range is GET's alone (14.2)."""
    headers = tuple((name, value) for name, value in house.facts(row, "local").fill(row.headers) if name != "Range")
    app = house.wsgi(row.site, "local")
    get = _without_timings(call_wsgi(app, "GET", row.path, headers))
    head = _without_timings(call_wsgi(app, "HEAD", row.path, headers))
    assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.site == "plain" and row.file and not row.disk_only], ids=lambda row: row.id
)
def test_decide_alone(row: Row) -> None:
    """No disk, no middleware: the plan's own parts, joined."""
    assert row.file is not None
    data = FILES[row.file]
    meta = Meta(len(data), mtime_ns(row.file), '"3f-2a"')
    plain = _decided(Request("GET", Key(row.file)), meta, data)
    headers: dict[str, str] = {}
    for name, value in Facts.of(plain).fill(row.headers):
        if name.lower() in REQUEST_HEADERS:
            headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    assert faults(row, _decided(Request(row.method, Key(row.file), headers), meta, data)) == []


class Closed:
    """A handle of which nothing but its meta may be used."""

    def __init__(self, meta: Meta) -> None:
        self.meta = meta


def _decided(request: Request, meta: Meta, data: bytes, policy: Policy | None = None) -> Response:
    plan = decide(request, Held("x", Closed(meta)), policy or Policy(), NOW + 0.5)
    assert isinstance(plan, Plan)
    body = b"".join(data[part.start : part.stop] if isinstance(part, Slice) else part for part in plan.body)
    return Response(plan.status, tuple((name.lower(), value) for name, value in plan.headers), body)


def test_decide_last_modified_is_never_later_than_now() -> None:
    """8.8.2.1; servers make Date from the same clock."""
    for mtime, written in ((NOW - 1, NOW - 1), (NOW, NOW), (NOW + 1, NOW), (4 * NOW, NOW), (-1, 0)):
        got = _decided(Request("GET", Key("a")), Meta(1, mtime * 10**9), b"x")
        assert got.get("last-modified") == formatdate(written, usegmt=True)


@pytest.mark.parametrize(
    ("meta", "content_type", "encoding"),
    [
        (Meta(1), "image/svg+xml", "gzip"),
        (Meta(1, content_type="image/png"), "image/png", None),  # the name's coding is of the name's type only
        (Meta(1, content_type="image/png", content_encoding="br"), "image/png", "br"),
        (Meta(1, content_encoding="gzip, br"), "image/svg+xml", "gzip, br"),
        (Meta(1, content_type="text/css"), "text/css; charset=utf-8", None),
        (Meta(1, content_type="text/css; charset=latin-1"), "text/css; charset=latin-1", None),
        (Meta(1, content_type="nonsense"), "image/svg+xml", "gzip"),
        (Meta(1, content_type="text/css;\r\nX: y"), "image/svg+xml", "gzip"),
        (Meta(1, content_encoding="br\r\nX: y"), "image/svg+xml", "gzip"),
    ],
)
def test_decide_what_a_backend_says_of_the_type(meta: Meta, content_type: str, encoding: str | None) -> None:
    got = _decided(Request("GET", Key("a.svgz")), meta, b"x")
    assert (got.get("content-type"), got.get("content-encoding")) == (content_type, encoding)


def test_decide_hidden_is_404_whatever_is_chosen_for_misses() -> None:
    for on_miss in ("app", "404", "placeholder"):
        plan = decide(Request("GET", Key("a.jpg")), Hidden("local"), Policy(on_miss=on_miss), NOW)
        assert isinstance(plan, Plan)
        assert (plan.status, plan.body) == (404, (b"404 Not Found\n",))


def test_decide_without_validators() -> None:
    """A backend may know neither tag nor time: If-Match fails (13.1.1), dates are ignored (13.1.3, 13.1.4)."""
    meta = Meta(10)
    for headers, status in (
        ({}, 200),
        ({"if-match": '"a"'}, 412),
        ({"if-match": "*"}, 200),
        ({"if-none-match": '"a"'}, 200),
        ({"if-none-match": "*"}, 304),
        ({"if-modified-since": "Fri, 31 Dec 9999 23:59:59 GMT"}, 200),
        ({"if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        ({"if-range": '"a"', "range": "bytes=0-1"}, 200),
        ({"if-range": "Thu, 01 Jan 1970 00:00:00 GMT", "range": "bytes=0-1"}, 200),
        ({"range": "bytes=0-1"}, 206),
    ):
        got = _decided(Request("GET", Key("a"), headers), meta, b"0123456789")
        assert got.status == status, headers
        assert got.get("etag") is None
        assert got.get("last-modified") is None


def test_decide_weak_tag_of_the_backend() -> None:
    """A weak tag is never enough for If-Match and If-Range (8.8.3.2)."""
    meta = Meta(10, 0, 'W/"a"')
    for headers, status in (
        ({"if-match": 'W/"a"'}, 412),
        ({"if-match": '"a"'}, 412),
        ({"if-none-match": '"a"'}, 304),
        ({"if-none-match": 'W/"a"'}, 304),
        ({"if-range": 'W/"a"', "range": "bytes=0-1"}, 200),
        ({"if-range": '"a"', "range": "bytes=0-1"}, 200),
    ):
        assert _decided(Request("GET", Key("a"), headers), meta, b"0123456789").status == status, headers


def test_decide_304_has_last_modified_only_without_a_tag() -> None:
    """15.4.5: it guides a cache where there is no ETag, and is a waste where there is one."""
    headers = {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}
    assert _decided(Request("GET", Key("a"), headers), Meta(1, 0), b"x").get("last-modified") is not None
    assert _decided(Request("GET", Key("a"), headers), Meta(1, 0, '"a"'), b"x").get("last-modified") is None


def test_decide_names_backends_by_a_token() -> None:
    """A name that is no token must not break ``Server-Timing`` or add a header."""
    timings = [Look('my "prod"\r\nx: y', "missing", 0.0123456, "remembered")]
    policy = Policy(debug=True)
    for outcome in (Missing(), Redirect('a b"\n', "https://x/"), Unavailable("no"), Refused("no")):
        plan = decide(Request("GET", Key("a.txt")), outcome, replaced(policy), NOW, timings)
        assert isinstance(plan, Plan)
        values = dict(plan.headers)
        assert values["Server-Timing"] == 'my__prod___x__y;dur=12.346;desc="missing, remembered"'
        assert values["X-Media-Backend"] == ("a_b__" if isinstance(outcome, Redirect) else "none")


def replaced(policy: Policy) -> Policy:
    """Return the policy with misses of ours."""
    return Policy(on_miss="404", debug=policy.debug)


@pytest.mark.parametrize("site", ["add-content-length", "add-newline", "add-raises", "broken"])
def test_a_mistake_is_one_line_in_the_log(house: House, site: str, caplog: pytest.LogCaptureFixture) -> None:
    app = house.wsgi(site, "local")
    with caplog.at_level(logging.WARNING, "mediamw"):
        assert call_wsgi(app, "GET", "/media/photo.jpg").status == 503
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "photo.jpg" in caplog.records[0].getMessage()


@pytest.mark.parametrize("target", ["/media/photo.jpg", "/media/tour.mp4", "/media/%2e%2e/x", "/none"])
def test_mounted_below_a_path(house: House, target: str) -> None:
    """SCRIPT_NAME and root_path are the server's; the prefix starts below them."""
    expected = call_wsgi(house.wsgi("plain", "local"), "GET", target)
    assert call_wsgi(house.wsgi("plain", "local"), "GET", target, mount="/site") == expected
    assert house.call_asgi(house.asgi("plain", "local"), "GET", target, mount="/site") == expected


def test_other_scopes_are_the_apps(house: House) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    from mediamw.asgi import MediaMiddleware

    middleware = MediaMiddleware(app, [local_files(house.root)("files")])
    for kind in ("lifespan", "websocket"):
        house.runner.run(middleware({"type": kind, "path": "/media/photo.jpg"}, None, None))
    assert seen == ["lifespan", "websocket"]


def test_a_file_that_shrinks_breaks_off(tmp_path: Path, house: House) -> None:
    """The length is a promise: a body that ends early must not look complete, and is never filled up."""
    from mediamw.core.errors import ContentChanged

    (tmp_path / "a.bin").write_bytes(b"x" * 3_000_000)
    wsgi, asgi = make_wsgi("plain", local_files(tmp_path)), make_asgi("plain", local_files(tmp_path))

    async def shrink_when_started(app: Any) -> None:
        async def cutting(scope: Any, receive: Any, send: Any) -> None:
            async def send_and_cut(message: Any) -> None:
                if message["type"] == "http.response.start":
                    (tmp_path / "a.bin").write_bytes(b"x" * 10)
                await send(message)

            await app(scope, receive, send_and_cut)

        await acall_asgi(cutting, "GET", "/media/a.bin")

    with pytest.raises(ContentChanged):
        house.runner.run(shrink_when_started(asgi))

    for wrapper in (None, wsgiref.util.FileWrapper):
        (tmp_path / "a.bin").write_bytes(b"x" * 3_000_000)

        def cutting(environ: Any, start_response: Any) -> Any:
            result = wsgi(environ, start_response)
            (tmp_path / "a.bin").write_bytes(b"x" * 10)
            return result

        with pytest.raises(ContentChanged):
            call_wsgi(cutting, "GET", "/media/a.bin", file_wrapper=wrapper)
    for made in (wsgi, asgi):
        assert made.service is not None
        made.service.stack.close()


@pytest.mark.parametrize("wrapper", [None, wsgiref.util.FileWrapper])
def test_a_file_that_grows_is_cut(tmp_path: Path, wrapper: Any) -> None:
    (tmp_path / "a.bin").write_bytes(b"x" * 100_000)
    app = make_wsgi("plain", local_files(tmp_path))

    def growing(environ: Any, start_response: Any) -> Any:
        result = app(environ, start_response)
        with (tmp_path / "a.bin").open("ab") as file:
            file.write(b"y" * 100_000)
        return result

    got = call_wsgi(growing, "GET", "/media/a.bin", file_wrapper=wrapper)
    assert got.body == b"x" * 100_000
    assert got.get("content-length") == "100000"
