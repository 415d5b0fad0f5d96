"""What the backend says when it cannot tell: it names the cause as far as the server does, and never says "missing"."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from mediamw.backends.base import Remote
from mediamw.core.errors import BackendUnavailable
from mediamw.core.keys import Key

from ..s3.s3_world import unavailable
from . import swift as swifts
from .deviations import expected
from .sites import Site

PHOTO, MISSING = Key("a/b c.jpg"), Key("nobody.jpg")
NO_RIGHT = "answered 403 (AccessDenied): the key may not read there, or it may not list the bucket"


@pytest.fixture(scope="module")
def bucket(site: Site) -> str:
    return site.new_bucket({PHOTO: b"the picture"})


def said(site: Site, bucket: str, *, willing: tuple[bool, ...] = (False, True), **options: Any) -> str:
    """What is said of a file that is there, of one that is not, and if a 403 may count as missing: always the same."""
    texts = set()
    for name in (PHOTO, MISSING):
        for missing_on_403 in willing:
            with site.backend(bucket, missing_on_403=missing_on_403, **options) as backend:
                text = unavailable(lambda backend=backend, name=name: backend.open(name))
                texts.add(re.sub("[0-9:]{8} GMT", "TIME", text.partition(f"{name!r}: ")[2]))
    (text,) = texts
    return text


def is_found(site: Site, bucket: str, **options: Any) -> bool:
    """Say whether the server takes no offence at all."""
    with site.backend(bucket, **options) as backend:
        try:
            return isinstance(backend.open(PHOTO), Remote) and backend.open(MISSING) is None
        except BackendUnavailable:
            return False


def test_the_server_takes_no_offence_at_what_is_right(site: Site, bucket: str) -> None:
    assert is_found(site, bucket)


def test_a_wrong_secret(site: Site, bucket: str) -> None:
    text = said(site, bucket, secret_access_key="wrong")
    assert text == f"bucket {bucket} answered 403 (SignatureDoesNotMatch): the secret access key is wrong"
    with site.backend(bucket, secret_access_key="wrong") as backend:
        assert "(SignatureDoesNotMatch)" in unavailable(lambda: list(backend.list("", recursive=True)))


def test_an_unknown_key(site: Site, bucket: str) -> None:
    usual = "(InvalidAccessKeyId): the access key id is unknown there"
    text = said(site, bucket, access_key_id="test:unknown")
    assert text.removeprefix(f"bucket {bucket} answered 403 ") == expected(site.name, "an unknown key", usual)


def test_no_bucket(site: Site) -> None:
    usual = f"there is no bucket nowhere at {site.endpoint}: correct the bucket's name"
    assert expected(site.name, "no bucket", usual) in said(site, "nowhere", willing=(False,))
    with site.backend("nowhere", missing_on_403=True) as backend:
        if expected(site.name, "no bucket, to who takes 403 for missing", "unavailable") == "unavailable":
            assert usual in unavailable(lambda: backend.open(PHOTO))
        else:
            assert backend.open(PHOTO) is None
    with site.backend("nowhere") as backend:
        text = unavailable(lambda: list(backend.list("", recursive=True)))
    assert expected(site.name, "no bucket, to a listing", "NoSuchBucket") in text


def test_a_wrong_region(site: Site, bucket: str) -> None:
    usual = f"bucket {bucket} is in us-east-1, not in eu-west-1: set region=us-east-1"
    heeded = expected(site.name, "the region is heeded", True)
    assert is_found(site, bucket, region="eu-west-1") is not heeded
    if heeded:
        text = said(site, bucket, region="eu-west-1")
        assert text.replace(bucket, "B") == expected(site.name, "a wrong region", usual.replace(bucket, "B"))


@pytest.mark.parametrize(("which", "offset"), [("slow", -1200), ("fast", 1200)])
def test_a_wrong_clock(site: Site, bucket: str, which: str, offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + offset)
    heeded = expected(site.name, f"a {which} clock is heeded", True)
    assert is_found(site, bucket) is not heeded
    if heeded:
        assert "this machine's clock is off, there it is " in said(site, bucket)


# -- what only Swift can show: users with other rights, and a bucket that goes away ------------------------------------


def test_a_key_without_rights(swift_as_site: Site) -> None:
    bucket = swift_as_site.new_bucket({PHOTO: b"the picture"})
    key = {"access_key_id": swifts.NOBODY_ID, "secret_access_key": swifts.NOBODY_SECRET}
    text = said(swift_as_site, bucket, willing=(False,), **key)
    assert f"bucket {bucket} {NO_RIGHT}" in text
    assert "missing_on_403=True" in text
    with swift_as_site.backend(bucket, missing_on_403=True, **key) as backend:
        assert backend.open(PHOTO) is None  # who asks for that takes a lack of rights for a lack of files
    with swift_as_site.backend(bucket, **key) as backend:
        assert "(AccessDenied)" in unavailable(lambda: list(backend.list("", recursive=True)))


def test_a_bucket_that_is_deleted_meanwhile(swift_as_site: Site, admin: Any) -> None:
    bucket = swift_as_site.new_bucket()
    with swift_as_site.backend(bucket) as backend:
        assert backend.open(MISSING) is None
        admin.delete_bucket(Bucket=bucket)
        assert NO_RIGHT in unavailable(lambda: backend.open(MISSING))  # its grants went with it


def test_rights_that_are_taken_and_given(swift_as_site: Site, swift: swifts.Swift) -> None:
    bucket = swift_as_site.new_bucket({PHOTO: b"the picture"})
    with swift_as_site.backend(bucket) as backend:
        assert isinstance(backend.open(PHOTO), Remote)
        swift.let_read(bucket, swifts.NOBODY_ID)  # instead of the reader
        assert NO_RIGHT in unavailable(lambda: backend.open(PHOTO))
        swift.let_read(bucket)
        assert isinstance(backend.open(PHOTO), Remote)
        assert backend.open(MISSING) is None
