"""Listing a folder of a bucket by one signed GET: what is asked, what is believed, and what a page of images costs."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediamw import LocalBackend, MediaStack
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.backends import s3_pages
from mediamw.backends.pages import Page, just_before
from mediamw.backends.s3 import S3Backend
from mediamw.backends.s3_pages import MAX_PAGE_BYTES, page_query, read_page
from mediamw.core.errors import BackendUnavailable, Unreachable
from mediamw.core.model import Meta
from mediamw.testing.strict_s3 import StrictS3
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from ..faults.scripted import Asked, Origin, Said, Scripted, error, says, slow_down, status
from ..http_table.callers import acall_asgi, call_wsgi
from ..test_pages import NAMES
from .s3_world import BUCKET, ID, NO_LIST_ID, NO_LIST_SECRET, SECRET, backend, key, unavailable

Columns = Mapping[str, str]
NO_COLUMNS: Columns = {}
FILES = NAMES.filter(lambda name: "/" not in name)
ORDERS = ["utf-8", "utf-16-be"]
NAME_SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def listing(
    *keys: str, truncated: bool = False, encoded: bool = True, inner: str = "", columns: Columns = NO_COLUMNS
) -> bytes:
    """An answer of ListObjectsV2. ``columns`` are elements of each object, ``inner`` of the whole."""
    said = {"Size": "1", "ETag": "&quot;e&quot;", "StorageClass": "STANDARD"} | dict(columns)
    rest = "".join(f"<{name}>{text}</{name}>" for name, text in said.items())
    items = "".join(
        f"<Contents><Key>{quote_plus(k, '/') if encoded else escape(k)}</Key>{rest}</Contents>" for k in keys
    )
    coding = "<EncodingType>url</EncodingType>" if encoded else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{NAME_SPACE}">{coding}{inner}'
        f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{items}</ListBucketResult>"
    ).encode()


def read(body: bytes, after: str | None = None) -> Page | None:
    return read_page(body, "loc/f/", "f/", after)


# -- what is believed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoded", [True, False])
def test_a_listing_is_read(encoded: bool) -> None:
    page = read(listing("loc/f/", "loc/f/a b+c%41.jpg", "loc/f/é&.jpg", encoded=encoded))
    assert page is not None
    assert len(page) == 2
    assert page.is_whole
    assert page.get("f/a b+c%41.jpg") == page.get("f/é&.jpg") == Meta(1, etag='"e"')
    assert page.get("f/a b c%41.jpg") is None


def test_what_xml_cannot_hold_comes_encoded() -> None:
    page = read(listing("loc/f/\x01", "loc/f/a", "loc/f/\ufffe"))
    assert page is not None
    assert page.get("f/a") is not None
    assert read(listing("loc/f/\x01", encoded=False)) is None


def test_a_name_that_is_no_text_is_passed_over() -> None:
    page = read(listing("loc/f/a", "loc/f/b").replace(b"/b<", b"/%FF<"))
    assert page is not None
    assert len(page) == 1


def test_a_part_ends_with_its_last_key() -> None:
    part = read(listing("loc/f/b", "loc/f/d", truncated=True), "f/a~")
    assert part is not None
    assert (part.after, part.last) == ("f/a~", "f/d")
    nothing = read(listing(truncated=True, inner="<CommonPrefixes><Prefix>loc/f/a/</Prefix></CommonPrefixes>"))
    assert nothing is not None
    assert not nothing.tells("f/a")


def test_a_server_that_knows_no_delimiter() -> None:
    page = read(listing("loc/f/a", "loc/f/b/c", "loc/f/d/e", truncated=True))
    assert page is not None
    assert (len(page), page.last) == (1, "f/d/e")


@pytest.mark.parametrize(
    ("columns", "is_told"),
    [
        ({}, True),
        ({"StorageClass": "STANDARD_IA"}, True),
        ({"StorageClass": "GLACIER"}, False),
        ({"StorageClass": "DEEP_ARCHIVE"}, False),
        ({"StorageClass": "INTELLIGENT_TIERING"}, False),
        ({"Size": "many"}, False),
        ({"Size": ""}, False),
        ({"Size": "9" * 19}, False),
        ({"ETag": "W/&quot;weak&quot;"}, True),
        ({"ETag": ""}, True),
    ],
)
def test_what_only_a_head_tells(columns: dict[str, str], is_told: bool) -> None:
    page = read(listing("loc/f/a", columns=columns))
    assert page is not None
    assert page.tells("f/a") is is_told
    assert page.tells("f/b")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"<html></html>",
        b'<?xml version="1.0"?>\n<Error><Code>InternalError</Code></Error>',
        b"<ListBucketResult></ListBucketResult>",
        listing().replace(b"false", b"maybe"),
        listing("loc/f/b", "loc/f/a"),
        listing("loc/f/a", "loc/f/a"),
        listing("loc/f/d/b", "loc/f/d/a"),
        listing("loc/f/\U0001f600", "loc/f/\ufb01"),
        listing("f/a"),
        listing("loc/g/a"),
        listing("loc/f/a")[:-5],
        listing("loc/f/a").replace(b"?>\n", b"?>\n<!DOCTYPE x [<!ENTITY y 'z'>]>"),
        listing("loc/f/a").decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        listing("loc/f/a").replace(b"UTF-8", b"no-such-coding"),
        listing("loc/f/a", inner="x" * MAX_PAGE_BYTES),
    ],
    ids=lambda body: body[:30],
)
def test_what_is_strange_is_not_believed(body: bytes) -> None:
    assert read(body) is None


def test_keys_before_the_start_are_not_believed() -> None:
    """So answers a server that does not know start-after."""
    assert read(listing("loc/f/a", "loc/f/c"), "f/b") is None
    assert read(listing("loc/f/c"), "f/b") is not None


@pytest.mark.parametrize("more", [-1, 0])
def test_its_bytes_are_bounded(more: int) -> None:
    body = listing("loc/f/a")
    assert (read(body + b" " * (MAX_PAGE_BYTES - len(body) + more)) is None) is (more == 0)


@given(st.sets(FILES, max_size=12), st.lists(FILES, max_size=4), st.integers(1, 9), st.sampled_from(ORDERS))
@example({"\ufb01", "\U0001f600"}, ["\ufb01"], 1, "utf-16-be")
def test_every_answer_is_the_buckets(names: set[str], others: list[str], size: int, order: str) -> None:
    """A model of S3, with deeper folders and neighbours, and pages as short as it likes."""
    bucket = {f"loc/f/{name}" for name in names} | {"loc/f/", "loc/f", "loc/f/m/a", "loc/f/m/b", "loc/f0", "loc/a"}
    for after in (None, *(just_before(f"f/{name}") for name in (*names, *others))):
        query = dict(page_query("loc/f/", f"loc/{after}" if after else None))
        behind = [
            name
            for name in sorted(bucket, key=lambda name: name.encode(order))
            if name.startswith(query["prefix"]) and name.encode(order) > query.get("start-after", "").encode(order)
        ]
        rolled = list(dict.fromkeys(name if "/" not in name[6:] else "loc/f/m/" for name in behind))
        given_ = [name for name in rolled[:size] if name != "loc/f/m/"]
        page = read(listing(*given_, truncated=len(rolled) > size), after)
        assert page is not None or order != "utf-8"
        for name in (*names, *others):
            if page is not None and page.tells(f"f/{name}"):
                assert (page.get(f"f/{name}") is not None) is (name in names), name


# -- what is asked -----------------------------------------------------------------------------------------------------


def test_one_signed_get(s3: StrictS3, prod: S3Backend) -> None:
    etag = s3.put(BUCKET, "a/c.jpg", b"xyz")
    prod.open(key("a/c.jpg"))
    s3.clear_calls()
    page = prod.list_page("a/")
    assert page is not None
    assert page.get("a/c.jpg") == Meta(3, etag=etag)
    assert page.tells("a/d.jpg")
    assert page.get("a/d.jpg") is None
    (call,) = s3.calls
    asked = {name: text for name, text in call.query.items() if not name.startswith("X-Amz-")}
    assert asked == {
        "delimiter": "/",
        "encoding-type": "url",
        "list-type": "2",
        "max-keys": "1000",
        "prefix": "a/",
    }
    assert (call.method, call.status, call.auth) == ("GET", 200, "query")


@pytest.mark.parametrize("location", ["", "up loads/ü"])
def test_all_pages_of_a_folder(s3: StrictS3, monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    monkeypatch.setattr(s3_pages, "PAGE_KEYS", 3)
    start = f"{location}/" if location else ""
    names = ["a b.jpg", "a+b.jpg", "a/deep.jpg", "a\x01.jpg", "z/deep.jpg", "é.jpg", "\ufb01.jpg", "\U0001f600.jpg"]
    for name in names:
        s3.put(BUCKET, f"{start}f/{name}", b"x")
    prod = backend(s3, location=location)
    page, told = prod.list_page("f/"), set()
    while page is not None:
        told |= {name for name in names if page.tells(f"f/{name}") and page.get(f"f/{name}") is not None}
        if page.last is None:
            break
        page = prod.list_page("f/", page.last)
    prod.close()
    assert {"a b.jpg", "a+b.jpg", "é.jpg"} <= told <= {name for name in names if "/" not in name}


@pytest.mark.parametrize("bucket", ["acme--use1-az4--x-s3", "acme--use1-az4--xa-s3"])
def test_directory_buckets_are_not_listed(s3: StrictS3, bucket: str) -> None:
    """Their listings are in no order."""
    prod = backend(s3)
    prod.bucket = bucket
    s3.clear_calls()
    assert prod.list_page("") is None
    assert s3.calls == []
    prod.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(403, "AccessDenied"), BackendUnavailable),
        (error(404, "NoSuchBucket"), BackendUnavailable),
        (status(301, "Location: /elsewhere"), BackendUnavailable),
        (status(429), Unreachable),
        (error(503, "SlowDown"), Unreachable),
        (status(200, "Content-Length: 100", body=b"<ListBucketResult>"), Unreachable),
    ],
)
def test_what_is_no_listing(origin: Callable[..., Origin], answer: bytes, kind: type[Exception]) -> None:
    server = origin(answer, None)
    prod = S3Backend(BUCKET, endpoint_url=server.url, access_key_id=ID, secret_access_key=SECRET)
    with pytest.raises(kind) as caught:
        prod.list_page("f/")
    assert type(caught.value) is kind
    unavailable(lambda: prod.list_page("f/"))
    prod.close()


# -- what a page of images costs ---------------------------------------------------------------------------------------


@pytest.fixture
def media() -> Iterator[Callable[[S3Backend], MediaStack]]:
    with tempfile.TemporaryDirectory() as folder:
        made: list[MediaStack] = []

        def make(prod: S3Backend) -> MediaStack:
            made.append(MediaStack([LocalBackend(folder), prod]))
            return made[-1]

        yield make
        for stack in made:
            stack.close()


Media = Callable[[S3Backend], MediaStack]
PATHS = [f"/media/homes/42/{index:03} ü.jpg" for index in range(100)]


def browse_wsgi(stack: MediaStack, paths: list[str]) -> list[int]:
    app = WSGIMiddleware(None, stack, on_miss="404")
    with ThreadPoolExecutor(6) as browser:
        return list(browser.map(lambda path: call_wsgi(app, "GET", quote(path)).status, paths))


def browse_asgi(stack: MediaStack, paths: list[str]) -> list[int]:
    app = ASGIMiddleware(None, stack, on_miss="404")

    async def browse() -> list[int]:
        slots = asyncio.Semaphore(6)

        async def one(path: str) -> int:
            async with slots:
                return (await acall_asgi(app, "GET", quote(path))).status

        return await asyncio.gather(*map(one, paths))

    return asyncio.run(browse())


def quote(path: str) -> str:
    return quote_plus(path, "/").replace("+", "%20")


Browse = Callable[[MediaStack, list[str]], list[int]]
BROWSERS = pytest.mark.parametrize("browse", [browse_wsgi, browse_asgi])


def fill(s3: StrictS3, number: int = 100) -> None:
    for path in PATHS[:number]:
        s3.put(BUCKET, path.removeprefix("/media/"), b"x")
    s3.clear_calls()


def slow(seconds: float) -> Callable[[Asked, Any], Said]:
    def behave(asked: Asked, ask: Any) -> Said:
        time.sleep(seconds)
        said: Said = ask(asked)
        return said

    return behave


@BROWSERS
@pytest.mark.parametrize("there", [100, 60])
def test_a_cold_page_of_a_hundred_images_is_four_calls(s3: StrictS3, media: Media, browse: Browse, there: int) -> None:
    """Six at a time, as browsers ask; the origin answers after 30 ms."""
    fill(s3, there)
    proxy = Scripted(s3.port, always=slow(0.03))
    prod = backend(s3, endpoint_url=proxy.url)
    assert browse(media(prod), PATHS) == [302] * there + [404] * (100 - there)
    assert len(s3.calls) <= 4, s3.calls
    assert len([call for call in s3.calls if "list-type" in call.query]) == 1
    proxy.close()


@BROWSERS
def test_who_may_not_list_asks_for_each(s3: StrictS3, media: Media, browse: Browse) -> None:
    fill(s3, 20)
    prod = backend(s3, access_key_id=NO_LIST_ID, secret_access_key=NO_LIST_SECRET)
    assert browse(media(prod), PATHS[:20]) == [302] * 20
    assert (len(s3.heads), [call.status for call in s3.gets]) == (20, [403])


@BROWSERS
def test_a_server_that_lists_in_another_order(s3: StrictS3, media: Media, browse: Browse) -> None:
    fill(s3, 10)
    names = [path.removeprefix("/media/") for path in PATHS[:10]]

    def forge(asked: Asked, ask: Any) -> Said:
        if "list-type" in asked.target:
            return Said(200, {"content-type": "application/xml"}, listing(*reversed(names[:5])))
        said: Said = ask(asked)
        return said

    proxy = Scripted(s3.port, always=forge)
    prod = backend(s3, endpoint_url=proxy.url)
    assert browse(media(prod), PATHS[:10]) == [302] * 10
    assert sum("list-type" in asked.target for asked in proxy.requests) == 1
    proxy.close()


@BROWSERS
@pytest.mark.parametrize("refusal", [slow_down(), says(500, "InternalError"), says(200, "InternalError")])
def test_a_listing_that_fails_is_no_absence(s3: StrictS3, media: Media, browse: Browse, refusal: Any) -> None:
    fill(s3, 10)
    proxy = Scripted(s3.port, always=lambda a, ask: refusal(a, ask) if "list-type" in a.target else ask(a))
    prod = backend(s3, endpoint_url=proxy.url)
    assert browse(media(prod), PATHS[:12]) == [302] * 10 + [404] * 2
    proxy.close()


def test_it_is_asked_at_the_buckets_root(s3: StrictS3, prod: S3Backend) -> None:
    s3.put(BUCKET, "top.jpg", b"x")
    page = prod.list_page("")
    assert page is not None
    assert page.get("top.jpg") is not None
    assert "prefix" not in s3.calls[-1].query
