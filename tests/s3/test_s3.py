"""S3Backend against a server that checks signatures: existence, URLs, ranges, listings."""

from __future__ import annotations

import datetime
import io
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediamw.backends import s3 as s3_module
from mediamw.backends.base import Remote
from mediamw.backends.s3 import LEAST_REST_SECONDS, S3Backend
from mediamw.backends.sigv4 import Credentials
from mediamw.core.errors import ContentChanged
from mediamw.testing.strict_s3 import StrictS3

from .s3_world import (
    BUCKET,
    DATA,
    ID,
    NO_LIST_ID,
    NO_LIST_SECRET,
    SECRET,
    TEMPORARY_ID,
    TEMPORARY_SECRET,
    TOKEN,
    Clock,
    backend,
    fetch,
    key,
    s3_server,
    unavailable,
)

PHOTO = key("a/b c.jpg")
WINDOW_START = 1_780_000_200  # a multiple of 900


# -- is it there? ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["binary/octet-stream", "application/octet-stream", "Binary/Octet-Stream; x=1"])
def test_a_type_that_tells_nothing_is_the_names(s3: StrictS3, prod: S3Backend, said: str) -> None:
    s3.put(BUCKET, "logo.svg", DATA, content_type=said)
    found = prod.open(key("logo.svg"))
    assert isinstance(found, Remote)
    assert found.meta.content_type is None


def test_existence_is_one_signed_head(s3: StrictS3, prod: S3Backend, caplog: pytest.LogCaptureFixture) -> None:
    etag = s3.put(BUCKET, "x.svgz", DATA, content_type="image/svg+xml", headers={"Content-Encoding": "gzip"})
    found = prod.open(key("x.svgz"))
    assert isinstance(found, Remote)
    meta = found.meta
    assert (meta.size, meta.etag) == (len(DATA), etag)
    assert (meta.content_type, meta.content_encoding) == ("image/svg+xml", "gzip")
    assert meta.mtime_ns is not None
    assert abs(meta.mtime_ns / 1e9 - time.time()) < 60
    assert [(call.method, call.key, call.status, call.auth) for call in s3.calls] == [("HEAD", "x.svgz", 200, "query")]
    said = [record.getMessage() for record in caplog.records if record.name.startswith("urllib3")]
    assert any("REDACTED" in text for text in said)  # urllib3 logs the target of each request


def test_missing(s3: StrictS3, prod: S3Backend) -> None:
    for name in ("nobody.jpg", "no b.jpg", "nobody.jpg"):
        assert prod.open(key(name)) is None
    # One GET asks whether it is S3 that says so, and whether it has the bucket: not one for each missing file.
    assert [(call.method, call.status) for call in s3.calls] == [("HEAD", 404), ("GET", 404), *[("HEAD", 404)] * 2]


def test_a_bucket_that_is_not_there_is_no_missing_file(s3: StrictS3, prod: S3Backend) -> None:
    assert prod.open(key("nobody.jpg")) is None
    typo = S3Backend("prdo", endpoint_url=s3.endpoint, access_key_id=ID, secret_access_key=SECRET, missing_on_403=True)
    for _ in range(2):
        said = unavailable(lambda: typo.open(key("nobody.jpg")))
        assert f"there is no bucket prdo at {s3.endpoint}: correct the bucket's name" in said
    s3.create_bucket("prdo")
    assert typo.open(key("nobody.jpg")) is None  # a failure is not remembered
    typo.close()


def test_many_missing_at_once_are_asked_for_their_reason_once(s3: StrictS3, prod: S3Backend) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: prod.open(key(f"nobody-{number}.jpg")), range(64)))
    assert found == [None] * 64
    assert (len(s3.heads), len(s3.gets)) == (64, 1)


@pytest.mark.parametrize(
    "name", ["a+b &c=d?e#f;g.jpg", "100%41.jpg", "'quo\"ted'~.jpg", "é/e\u0301/日本.jpg", "a\u00a0b.jpg"]
)
def test_awkward_names(s3: StrictS3, prod: S3Backend, name: str) -> None:
    s3.put(BUCKET, name, b"awkward")
    assert isinstance(prod.open(key(name)), Remote)
    assert fetch(prod.sign(key(name), "GET", time.time()).url) == (200, b"awkward")
    assert b"".join(prod.read_range(key(name), 2, 5, None)) == b"kwa"
    assert s3.calls[0].key == name


def test_location(s3: StrictS3) -> None:
    s3.put(BUCKET, "up loads/x/a.jpg", b"below")
    prod = backend(s3, location="/up loads/x/")
    assert isinstance(prod.open(key("a.jpg")), Remote)
    assert prod.open(key("up loads/x/a.jpg")) is None
    assert fetch(prod.sign(key("a.jpg"), "GET", time.time()).url) == (200, b"below")
    assert b"".join(prod.read_range(key("a.jpg"), 0, 5, None)) == b"below"
    assert [entry.key for entry in prod.list("", recursive=True)] == ["a.jpg"]
    prod.close()


def test_a_key_that_is_too_long_with_its_location_is_missing(s3: StrictS3) -> None:
    prod = backend(s3, location="uploads")
    longest = "/".join(["k" * 203] * 5)[: 1024 - len("uploads/")]
    assert prod.open(key(longest)) is None
    assert len(s3.heads) == 1
    assert prod.open(key(longest + "k")) is None
    assert len(s3.heads) == 1  # S3 has no such names: nobody was asked
    prod.close()


def test_a_key_that_may_not_list_gets_403_for_what_is_missing(s3: StrictS3) -> None:
    may_not_list = {"access_key_id": NO_LIST_ID, "secret_access_key": NO_LIST_SECRET}
    careful, willing = backend(s3, **may_not_list), backend(s3, **may_not_list, missing_on_403=True)
    said = unavailable(lambda: careful.open(key("nobody.jpg")))
    assert "answered 403 (AccessDenied): the key may not read there, or it may not list the bucket" in said
    assert "S3Backend(..., missing_on_403=True)" in said
    assert willing.open(key("no b.jpg")) is None
    assert willing.open(key("nobody.jpg")) is None
    assert isinstance(willing.open(PHOTO), Remote)
    careful.close()
    willing.close()


@pytest.mark.parametrize("offset_s", [-1000, 1000])
def test_a_wrong_clock_is_named_and_never_a_miss(s3: StrictS3, clock: Clock, offset_s: int) -> None:
    prod = backend(s3, missing_on_403=True)
    clock.offset_s = offset_s
    assert "clock is off, there it is" in unavailable(lambda: prod.open(PHOTO))
    prod.close()


def test_a_clock_that_is_a_little_off_works(s3: StrictS3, clock: Clock, prod: S3Backend) -> None:
    for clock.offset_s in (-880, 880):
        assert isinstance(prod.open(PHOTO), Remote)


def test_wrong_keys(s3: StrictS3) -> None:
    for options, cause in (
        ({"secret_access_key": "wrong"}, "(SignatureDoesNotMatch): the secret access key is wrong"),
        ({"access_key_id": "AKNOBODY"}, "(InvalidAccessKeyId): the access key id is unknown there"),
    ):
        s3.clear_calls()
        prod = backend(s3, **options, missing_on_403=True)
        for name in ("a/b c.jpg", "nobody.jpg"):  # never a miss
            assert f"answered 403 {cause}" in unavailable(lambda prod=prod, name=name: prod.open(key(name)))
        assert [call.method for call in s3.calls] == ["HEAD", "GET", "HEAD"]
        prod.close()


def test_a_token_that_expired_is_named(s3: StrictS3) -> None:
    prod = backend(s3, access_key_id=TEMPORARY_ID, secret_access_key=TEMPORARY_SECRET, session_token="of-yesterday")
    assert "session token has expired" in unavailable(lambda: prod.open(PHOTO))
    prod.close()


def test_the_wrong_region_is_named_with_the_way_out(clock: Clock) -> None:
    with s3_server(clock, regions={BUCKET: "eu-west-1"}) as server:
        wrong, right = backend(server), backend(server, region="eu-west-1")
        assert "prod is in eu-west-1, not in us-east-1: set region=eu-west-1" in unavailable(lambda: wrong.open(PHOTO))
        other = backend(server, region="ap-south-1")  # not the endpoint's either: 400 instead of 301
        assert "not in ap-south-1: set region=eu-west-1" in unavailable(lambda: other.open(PHOTO))
        assert isinstance(right.open(PHOTO), Remote)
        for made in (wrong, right, other):
            made.close()


# -- the URL that a browser gets ---------------------------------------------------------------------------------------


def test_a_redirect_is_for_one_method(s3: StrictS3, prod: S3Backend) -> None:
    get, head = (prod.sign(PHOTO, method, time.time()) for method in ("GET", "HEAD"))
    assert fetch(get.url) == (200, DATA)
    assert fetch(head.url, "HEAD") == (200, b"")
    assert fetch(get.url, "HEAD")[0] == 403
    assert fetch(head.url, "GET")[0] == 403
    assert fetch(get.url, "PUT")[0] == fetch(get.url, "DELETE")[0] == 403
    assert [call.method for call in s3.writes] == ["PUT", "DELETE"]
    s3.clear_calls()
    assert s3.objects(BUCKET) == {"a/b c.jpg": DATA}


def test_a_url_ends_when_it_says(s3: StrictS3, clock: Clock, prod: S3Backend) -> None:
    signed = prod.sign(PHOTO, "GET", time.time())
    assert signed.expires is not None
    clock.offset_s = signed.expires - time.time() - 30
    assert fetch(signed.url)[0] == 200
    clock.offset_s += 60
    assert fetch(signed.url)[0] == 403


def test_any_other_character_in_the_query_is_refused(s3: StrictS3, prod: S3Backend) -> None:
    url = prod.sign(PHOTO, "GET", time.time()).url
    path, _, query = url.partition("?")
    served = []
    for position, char in enumerate(query):
        other = "1" if char == "0" else "0"
        if fetch(f"{path}?{query[:position]}{other}{query[position + 1 :]}")[0] == 200:
            served.append(query[:position] + "[" + char + "]")
    assert served == []
    assert fetch(url)[0] == 200


def test_one_url_for_a_window(s3: StrictS3, prod: S3Backend) -> None:
    def url(at: float) -> str:
        return prod.sign(PHOTO, "GET", at).url

    first = url(WINDOW_START)
    assert url(WINDOW_START + 450.5) == url(WINDOW_START + 899.99) == first
    assert url(WINDOW_START - 0.01) != first
    assert url(WINDOW_START + 900) != first
    twin = backend(s3)
    assert twin.sign(PHOTO, "GET", WINDOW_START + 1).url == first
    assert prod.sign(PHOTO, "GET", WINDOW_START).expires == WINDOW_START + 3600


def test_one_url_in_two_processes(s3: StrictS3, prod: S3Backend) -> None:
    code = (
        "from mediamw import S3Backend;"
        f"b = S3Backend({BUCKET!r}, endpoint_url={s3.endpoint!r}, access_key_id={ID!r}, secret_access_key={SECRET!r});"
        f"print(b.sign({PHOTO!r}, 'GET', {WINDOW_START + 7}).url)"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert other.stdout.strip() == prod.sign(PHOTO, "GET", WINDOW_START + 800).url


@given(now=st.integers(0, 4_000_000_000), rest=st.integers(1, 100_000), window=st.integers(1, 3300))
def test_a_url_ends_with_its_credential(now: int, rest: int, window: int) -> None:
    """X-Amz-Expires is min(life, credential expiry - window start)."""
    prod = S3Backend(BUCKET, access_key_id=ID, secret_access_key=SECRET, url_window=window)
    prod._signer = type(prod._signer)(Credentials(ID, SECRET, "t", now + rest), "us-east-1")
    signed = prod.sign(PHOTO, "GET", now)
    query = dict(parse_qsl(urlsplit(signed.url).query))
    start = datetime.datetime.strptime(query["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp()
    assert start == now - now % window
    assert int(query["X-Amz-Expires"]) == min(3600, now + rest - start)
    assert signed.expires == start + min(3600, now + rest - start)
    assert prod.can_sign(now) == (rest >= LEAST_REST_SECONDS)
    assert rest < 3600 or signed.expires - now >= LEAST_REST_SECONDS


def test_an_expired_credential_signs_nothing() -> None:
    prod = S3Backend(BUCKET, access_key_id=ID, secret_access_key=SECRET)
    prod._signer = type(prod._signer)(Credentials(ID, SECRET, "t", 5000.0), "us-east-1")
    assert prod.sign(PHOTO, "GET", 4999).expires == 5000
    assert "credentials have expired" in unavailable(lambda: prod.sign(PHOTO, "GET", 5000))


def test_the_session_token_travels_along(s3: StrictS3) -> None:
    prod = backend(s3, access_key_id=TEMPORARY_ID, secret_access_key=TEMPORARY_SECRET, session_token=TOKEN)
    assert isinstance(prod.open(PHOTO), Remote)
    assert fetch(prod.sign(PHOTO, "GET", time.time()).url) == (200, DATA)
    prod.close()


def test_url_life_and_window_are_options(s3: StrictS3, clock: Clock) -> None:
    prod = backend(s3, url_life=400, url_window=100)
    assert prod.sign(PHOTO, "GET", 1099).expires == 1400
    assert fetch(prod.sign(PHOTO, "GET", time.time()).url)[0] == 200


# -- reading -----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_ranges(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(DATA) - 1))
    stop = data.draw(st.integers(start + 1, len(DATA)))
    server, prod = WORLD
    assert b"".join(prod.read_range(PHOTO, start, stop, None)) == DATA[start:stop]
    assert server.calls[-1].status == 206


@pytest.fixture(autouse=True, scope="module")
def world() -> Iterator[None]:
    """One server for all examples of a property."""
    global WORLD
    with s3_server(Clock()) as server:
        WORLD = (server, backend(server))
        yield
        WORLD[1].close()


WORLD: tuple[StrictS3, S3Backend]


def test_a_range_is_of_one_version(s3: StrictS3, prod: S3Backend) -> None:
    found = prod.open(PHOTO)
    assert found is not None
    etag = found.meta.etag
    assert b"".join(prod.read_range(PHOTO, 0, 10, etag)) == DATA[:10]
    s3.put(BUCKET, PHOTO, b"another version")
    with pytest.raises(ContentChanged):
        list(prod.read_range(PHOTO, 0, 10, etag))
    s3.delete(BUCKET, PHOTO)
    with pytest.raises(ContentChanged):
        list(prod.read_range(PHOTO, 0, 10, None))


# -- listing -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 7 keys: what S3 does after 1,000."""
    original = s3_module.AWSAccount.read_only_client

    def client(self: Any, *arguments: Any) -> Any:
        made = original(self, *arguments)

        def limit(params: dict[str, Any], **_: Any) -> None:
            params["MaxKeys"] = 7

        made.meta.events.register("before-parameter-build.s3.ListObjectsV2", limit)
        return made

    monkeypatch.setattr(s3_module.AWSAccount, "read_only_client", client)


ODD = ["a b.jpg", "a+b.jpg", "a%2Fb.jpg", "a&b<c>.jpg", "é.jpg", "日本/🏠.jpg", "z/" + "k" * 200]


@pytest.mark.usefixtures("small_pages")
def test_listing_by_pages(s3: StrictS3, prod: S3Backend) -> None:
    names = sorted([*(f"homes/{home}/{photo}.jpg" for home in range(12) for photo in range(3)), *ODD, "a/b c.jpg"])
    for name in {*names} - {"a/b c.jpg"}:
        s3.put(BUCKET, name, b"12345")
    listed = list(prod.list("", recursive=True))
    assert [entry.key for entry in listed] == names
    assert {entry.backend for entry in listed} == {"prod"}
    assert all(entry.meta is not None and entry.meta.size in (5, len(DATA)) for entry in listed)
    assert len(s3.calls) == len(names) // 7 + 1
    folders = sorted({*(f"homes/{home}/" for home in range(12))})
    assert [entry.key for entry in prod.list("homes/", recursive=False)] == folders
    assert all(entry.is_folder for entry in prod.list("homes/", recursive=False))
    assert [entry.key for entry in prod.list("homes/1", recursive=False)] == ["homes/1/", "homes/10/", "homes/11/"]
    top = sorted(["a/", "homes/", "日本/", "z/", *(name for name in ODD if "/" not in name)])
    assert [entry.key for entry in prod.list("", recursive=False)] == top
    assert list(prod.list("nothing/", recursive=True)) == []


def test_listing_tells_what_a_look_up_tells(s3: StrictS3, prod: S3Backend) -> None:
    (entry,) = prod.list("a/", recursive=True)
    found = prod.open(PHOTO)
    assert found is not None
    assert entry.meta is not None
    assert (entry.meta.size, entry.meta.etag) == (found.meta.size, found.meta.etag)
    assert entry.meta.mtime_ns == found.meta.mtime_ns


def test_objects_whose_names_are_no_keys_are_left_out(s3: StrictS3, prod: S3Backend) -> None:
    for name in ("a/", "a//b", "a/../b", "/lead", "c/./d", ".mediamw/x", "back\\slash"):
        s3.put(BUCKET, name, b"")
    assert [entry.key for entry in prod.list("", recursive=True)] == ["a/b c.jpg"]
    assert [entry.key for entry in prod.list("", recursive=False)] == ["a/", "c/"]
    assert [entry.key for entry in prod.list("a/", recursive=False)] == ["a/b c.jpg"]


def test_a_listing_with_a_token_shows_no_secret_in_logs(s3: StrictS3, caplog: pytest.LogCaptureFixture) -> None:
    prod = backend(s3, access_key_id=TEMPORARY_ID, secret_access_key=TEMPORARY_SECRET, session_token=TOKEN)
    assert [entry.key for entry in prod.list("", recursive=True)] == [PHOTO]
    said = {record.name: record.getMessage() for record in caplog.records if "REDACTED" in record.getMessage()}
    assert {"botocore.auth", "botocore.endpoint"} <= set(said)  # and the fixture looks for the token in all of them


def test_more_than_a_thousand(s3: StrictS3, prod: S3Backend) -> None:
    names = [f"many/{number:04}.jpg" for number in range(1001)]
    for name in names:
        s3.put(BUCKET, name, b"")
    assert [entry.key for entry in prod.list("many/", recursive=True)] == names
    assert len(s3.calls) == 2


def test_every_listing_closes_its_client(s3: StrictS3, prod: S3Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.put(BUCKET, "z.jpg", b"")
    closed = []
    original = s3_module.AWSAccount.read_only_client

    def client(self: Any, *arguments: Any) -> Any:
        made = original(self, *arguments)
        close = made.close
        made.close = lambda: (closed.append(1), close())
        return made

    monkeypatch.setattr(s3_module.AWSAccount, "read_only_client", client)
    list(prod.list("", recursive=True))
    assert closed == [1]
    left = prod.list("", recursive=True)
    next(left)
    left.close()
    assert closed == [1, 1]


def test_listing_refused(s3: StrictS3) -> None:
    prod = backend(s3, access_key_id=NO_LIST_ID, secret_access_key=NO_LIST_SECRET)
    assert "AccessDenied" in unavailable(lambda: list(prod.list("", recursive=True)))
    nobody = S3Backend("nobody", endpoint_url=s3.endpoint, access_key_id=ID, secret_access_key=SECRET)
    assert "NoSuchBucket" in unavailable(lambda: list(nobody.list("", recursive=True)))


def test_a_stack_reads_it_as_a_file(s3: StrictS3, prod: S3Backend) -> None:
    from mediamw import MediaStack

    with MediaStack([prod]).open(PHOTO) as file:
        assert io.BytesIO(file.read()).getvalue() == DATA
