"""The bucket in the host's name: addressing_style="virtual" at two servers that know it."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

from mediamw.backends.base import Remote
from mediamw.core.keys import Key
from mediamw.testing import SAMPLE_FILES, check_backend

from ..test_sigv4 import botocore_clock
from .sites import Site, ask, client, fetch
from .swift import STORAGE_DOMAIN

PHOTO = Key("a/b c.jpg")


@pytest.fixture
def virtual(site: Site) -> tuple[Site, str]:
    """A server, and its endpoint for virtual style: BUCKET.s3.localhost (see conftest.py: localhost_is_here)."""
    return site, f"http://{STORAGE_DOMAIN}:{urlsplit(site.endpoint).port}"


# Not rclone: it serves one style at a time, and the one that runs serves path style.
pytestmark = pytest.mark.parametrize("site", ["strict", "swift"], indirect=True)


def test_the_conformance_suite(virtual: tuple[Site, str]) -> None:
    site, endpoint = virtual
    bucket = site.new_bucket(SAMPLE_FILES)
    with site.backend(bucket, endpoint_url=endpoint, addressing_style="virtual") as backend:
        check_backend(backend, SAMPLE_FILES, writable=False, fetch=fetch)
        assert backend.sign(PHOTO, "GET", time.time()).url.startswith(f"http://{bucket}.{STORAGE_DOMAIN}:")


def test_urls_are_botocores(virtual: tuple[Site, str]) -> None:
    site, endpoint = virtual
    start = int(time.time()) // 900 * 900
    with (
        site.backend("media", endpoint_url=endpoint, addressing_style="virtual") as backend,
        client(endpoint, site.reader, "virtual") as theirs,
        botocore_clock(start),
    ):
        url = theirs.generate_presigned_url("get_object", {"Bucket": "media", "Key": PHOTO}, ExpiresIn=3600)
        assert backend.sign(PHOTO, "GET", start + 5).url == url


def test_the_host_is_part_of_what_is_signed(virtual: tuple[Site, str]) -> None:
    """By a raw connection, which says in Host what it likes."""
    site, endpoint = virtual
    bucket, other = (site.new_bucket({PHOTO: data}) for data in (b"one", b"other"))
    with site.backend(bucket, endpoint_url=endpoint, addressing_style="virtual") as backend:
        url = backend.sign(PHOTO, "GET", time.time()).url
    parts = urlsplit(url)
    direct = site.endpoint + url.removeprefix(f"{parts.scheme}://{parts.netloc}")
    answer = ask("GET", direct, {"Host": parts.netloc})
    assert (answer.status, answer.body) == (200, b"one")
    answer = ask("GET", direct, {"Host": parts.netloc.replace(bucket, other)})
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


def test_no_such_file(virtual: tuple[Site, str]) -> None:
    site, endpoint = virtual
    bucket = site.new_bucket({PHOTO: b"one"})
    with site.backend(bucket, endpoint_url=endpoint, addressing_style="virtual") as backend:
        assert isinstance(backend.open(PHOTO), Remote)
        assert backend.open(Key("nobody.jpg")) is None
