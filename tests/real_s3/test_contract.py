"""What S3Backend promises, against three implementations of S3: ours, OpenStack Swift and rclone."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mediamw.backends import s3 as s3_module
from mediamw.backends.base import Remote
from mediamw.core.errors import ContentChanged
from mediamw.core.keys import Key, refusal
from mediamw.testing import SAMPLE_FILES, check_backend

from ..test_sigv4 import botocore_clock
from .deviations import expected
from .sites import Site, ask, client, fetch

PHOTO = Key("a/b c.jpg")
DATA = bytes(range(256)) * 4
AWKWARD = (
    "a b.jpg",
    "a+b &c=d?e#f;g.jpg",
    "100%41.jpg",
    "100%25 off.jpg",
    "~tilde~.jpg",
    "'quo\"ted'!*(),.jpg",
    "é/e\u0301/日本.jpg",
    "a\u00a0b.jpg",
    "<&>:@$.jpg",
    "🏠.jpg",
    "a..b/c...jpg",
    " a ",
    "k" * 200,
)
# Names that S3 keeps and that are no keys of ours.
NO_KEYS = ("k//d", "k/../e", "/lead", "k/./d")


# Without a location test_read_only.py asks Swift, and tests/test_conformance.py StrictS3.
@pytest.mark.parametrize(
    ("site", "location"),
    [("strict", "up loads/ü"), ("swift", "up loads/ü"), ("rclone", ""), ("rclone", "up loads/ü")],
    indirect=["site"],
)
def test_the_conformance_suite(site: Site, location: str) -> None:
    start = f"{location}/" if location else ""
    bucket = site.new_bucket({start + name: data for name, data in SAMPLE_FILES.items()})
    if location:
        site.put(bucket, "elsewhere.txt", b"not below the location")
    with site.backend(bucket, location=location) as backend:
        check_backend(backend, SAMPLE_FILES, writable=False, fetch=fetch)


def test_what_a_look_up_tells(site: Site) -> None:
    bucket = site.new_bucket()
    site.put(bucket, PHOTO, DATA, "image/jpeg")
    with site.backend(bucket) as backend:
        found = backend.open(PHOTO)
        assert isinstance(found, Remote)
        assert found.meta.size == len(DATA)
        assert found.meta.content_type == "image/jpeg"
        assert found.meta.content_encoding is None
        assert found.meta.etag == '"b2ea9f7fcea831a4a63b213f41a8855b"'  # S3's is the MD5 of what was put in one piece
        assert found.meta.mtime_ns is not None
        assert abs(found.meta.mtime_ns / 1e9 - time.time()) < 60
        assert found.meta.mtime_ns % 1_000_000_000 == 0
        for name in ("a", "a/b", "a/b c.jp", "a/b c.jpg/x", "nobody.jpg"):
            assert backend.open(Key(name)) is None, name


def test_what_a_listing_tells(site: Site) -> None:
    bucket = site.new_bucket({PHOTO: DATA})
    with site.backend(bucket) as backend:
        found = backend.open(PHOTO)
        assert found is not None
        (entry,) = backend.list("", recursive=True)
        assert entry.meta is not None
        assert (entry.key, entry.meta.size) == (PHOTO, len(DATA))
        assert entry.meta.etag == expected(site.name, "etag in a listing", found.meta.etag)
        assert entry.meta.mtime_ns == expected(site.name, "date in a listing", found.meta.mtime_ns)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names(site: Site, name: str) -> None:
    bucket = site.new_bucket({name: b"awkward"})
    key = Key(name)
    with site.backend(bucket) as backend:
        assert isinstance(backend.open(key), Remote)
        assert ask("GET", backend.sign(key, "GET", time.time()).url).body == b"awkward"
        assert ask("HEAD", backend.sign(key, "HEAD", time.time()).url).status == 200
        assert b"".join(backend.read_range(key, 2, 5, None)) == b"kwa"
        assert [entry.key for entry in backend.list("", recursive=True)] == [name]


@pytest.mark.parametrize("name", NO_KEYS)
def test_names_that_are_no_keys_are_kept_apart(site: Site, name: str) -> None:
    """The signer signs them as they are, unlike what most HTTP clients would make of them; listings leave them out."""
    assert refusal(name) is not None
    bucket = site.new_bucket({"k.txt": b"a key"})
    usual = expected(site.name, "names no file system has", 200)
    if usual == 200:
        site.put(bucket, name, b"no key")
    url = site.signer().presign("GET", site.endpoint, f"/{bucket}/{name}", at=int(time.time()), life=60)
    answer = ask("GET", url)
    assert answer.status == usual
    assert usual != 200 or answer.body == b"no key"
    with site.backend(bucket) as backend:
        assert [entry.key for entry in backend.list("", recursive=True)] == ["k.txt"]


def test_urls_are_botocores(site: Site) -> None:
    bucket = site.new_bucket()
    start = int(time.time()) // 900 * 900
    with site.backend(bucket) as backend, client(site.endpoint, site.reader) as theirs, botocore_clock(start):
        for name in AWKWARD:
            for method, operation in (("GET", "get_object"), ("HEAD", "head_object")):
                url = theirs.generate_presigned_url(operation, {"Bucket": bucket, "Key": name}, ExpiresIn=3600)
                assert backend.sign(Key(name), method, start + 5).url == url


# -- ranges ------------------------------------------------------------------------------------------------------------


def test_ranges(site: Site) -> None:
    bucket = site.new_bucket({PHOTO: DATA})
    with site.backend(bucket) as backend:
        found = backend.open(PHOTO)
        assert found is not None
        for start, stop in ((0, 1), (0, len(DATA)), (5, 9), (255, 257), (len(DATA) - 1, len(DATA))):
            for etag in (None, found.meta.etag):
                assert b"".join(backend.read_range(PHOTO, start, stop, etag)) == DATA[start:stop]
        url = backend.sign(PHOTO, "GET", time.time()).url
    answer = ask("GET", url, {"Range": "bytes=5-8"})
    assert answer.status == expected(site.name, "status of a range", 206)
    assert (answer.headers["Content-Range"], answer.body) == (f"bytes 5-8/{len(DATA)}", DATA[5:9])
    assert ask("GET", url, {"Range": "bytes=5000-"}).status == 416
    many = ask("GET", url, {"Range": "bytes=0-1,5-8"})
    assert many.status == expected(site.name, "status of many ranges", 200)


def test_a_range_is_of_one_version(site: Site) -> None:
    bucket = site.new_bucket({PHOTO: DATA})
    with site.backend(bucket) as backend:
        found = backend.open(PHOTO)
        assert found is not None
        etag = found.meta.etag
        assert etag is not None
        assert b"".join(backend.read_range(PHOTO, 0, 10, etag)) == DATA[:10]
        site.put(bucket, PHOTO, DATA[::-1])  # as long as before: nothing but the ETag tells
        with pytest.raises(ContentChanged):
            list(backend.read_range(PHOTO, 0, 10, etag))
        answer = ask("GET", backend.sign(PHOTO, "GET", time.time()).url, {"If-Match": etag})
        assert answer.status == expected(site.name, "If-Match", 412)
        with pytest.raises(ContentChanged):
            list(backend.read_range(PHOTO, 0, len(DATA) + 1, None))
        site.delete(bucket, PHOTO)
        with pytest.raises(ContentChanged):
            list(backend.read_range(PHOTO, 0, 10, None))
        assert backend.open(PHOTO) is None


# -- listings ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of 7 keys: what S3 does after 1,000."""
    original = s3_module.AWSAccount.read_only_client

    def client(self: Any, *arguments: Any) -> Any:
        made = original(self, *arguments)
        made.meta.events.register(
            "before-parameter-build.s3.ListObjectsV2", lambda params, **_: params.update(MaxKeys=7)
        )
        return made

    monkeypatch.setattr(s3_module.AWSAccount, "read_only_client", client)


@pytest.mark.usefixtures("small_pages")
def test_listing_by_pages(site: Site) -> None:
    odd = ["a b.jpg", "a+b.jpg", "a%2Fb.jpg", "a&b<c>.jpg", "é.jpg", "日本/🏠.jpg", "z/" + "k" * 200]
    names = sorted([*(f"homes/{home}/{photo}.jpg" for home in range(12) for photo in range(3)), *odd])
    bucket = site.new_bucket(dict.fromkeys(names, b"12345"))
    with site.backend(bucket) as backend:
        listed = list(backend.list("", recursive=True))
        assert [entry.key for entry in listed] == names
        assert {entry.meta and entry.meta.size for entry in listed} == {5}
        folders = sorted({f"homes/{home}/" for home in range(12)})
        assert [entry.key for entry in backend.list("homes/", recursive=False)] == expected(
            site.name, "folders over several pages", folders
        )
        assert [entry.key for entry in backend.list("homes/1", recursive=False)] == [
            "homes/1/",
            "homes/10/",
            "homes/11/",
        ]
        assert [entry.key for entry in backend.list("homes/1", recursive=True)] == [
            name for name in names if name.startswith("homes/1")
        ]
        assert list(backend.list("nothing/", recursive=True)) == []
