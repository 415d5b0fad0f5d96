"""The signer held to botocore's, byte for byte, and to the example that AWS prints."""

from __future__ import annotations

import datetime as datetimes
import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session
import pytest
from botocore.config import Config
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mediamw.backends import sigv4
from mediamw.backends.base import SignedURL
from mediamw.backends.s3_options import Options
from mediamw.backends.sigv4 import MAX_LIFE_SECONDS, Credentials, Signer
from mediamw.core.model import Redirect

ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEBYaD/+=token~with%everything&in it?"
BUCKET = "acme-media"
NOON = 1_780_000_000


@pytest.fixture(autouse=True, scope="module")
def _quiet_oracle() -> Iterator[None]:
    """botocore, the oracle here, logs what it signs; it is no log of ours (``secrets_seen.py``)."""
    logger = logging.getLogger("botocore.auth")
    logger.disabled = True
    yield
    logger.disabled = False


@contextmanager
def botocore_clock(seconds: int) -> Iterator[None]:
    """Set the moment at which botocore signs. Which name it asks depends on its age."""
    moment = datetimes.datetime.fromtimestamp(seconds, datetimes.UTC)
    if hasattr(botocore.auth, "get_current_datetime"):
        with mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment.replace(tzinfo=None)):
            yield
    else:
        with mock.patch.object(botocore.auth, "datetime") as module:
            module.datetime.utcnow.return_value = moment.replace(tzinfo=None)
            yield


@cache  # making one costs botocore some 50 milliseconds
def client(region: str, endpoint: str | None, style: str, token: str | None) -> Any:
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    return session.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=ID,
        aws_secret_access_key=SECRET,
        aws_session_token=token,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"},
            ignore_configured_endpoint_urls=True,
        ),
    )


@pytest.fixture(scope="module", autouse=True)
def close_clients() -> Iterator[None]:
    yield
    client.cache_clear()


def theirs(
    region: str,
    endpoint: str | None,
    style: str,
    token: str | None,
    key: str,
    at: int,
    life: int,
    method: str,
    overrides: dict[str, str],
) -> str:
    with botocore_clock(at):
        operation = "head_object" if method == "HEAD" else "get_object"
        return str(
            client(region, endpoint, style, token).generate_presigned_url(
                operation, Params={"Bucket": BUCKET, "Key": key, **overrides}, ExpiresIn=life
            )
        )


# What botocore calls it, and what S3 does. botocore's URL has them in the order in which its model lists them.
OVERRIDES = {
    "ResponseCacheControl": "response-cache-control",
    "ResponseContentDisposition": "response-content-disposition",
    "ResponseContentEncoding": "response-content-encoding",
    "ResponseContentLanguage": "response-content-language",
    "ResponseContentType": "response-content-type",
    "VersionId": "versionId",
    "PartNumber": "partNumber",
}
ORIGINS: dict[tuple[str | None, str], tuple[str, str]] = {
    (None, "virtual"): (f"https://{BUCKET}.s3.{{region}}.amazonaws.com", "/"),
    (None, "path"): ("https://s3.{region}.amazonaws.com", f"/{BUCKET}/"),
    ("http://localhost:9000", "path"): ("http://localhost:9000", f"/{BUCKET}/"),
    ("http://localhost:9000", "virtual"): (f"http://{BUCKET}.localhost:9000", "/"),
    ("https://media.example.com:8443/s3/v1", "path"): ("https://media.example.com:8443", f"/s3/v1/{BUCKET}/"),
    ("https://media.example.com/s3", "virtual"): (f"https://{BUCKET}.media.example.com", "/s3/"),
    ("http://[::1]:9000", "path"): ("http://[::1]:9000", f"/{BUCKET}/"),
}
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")

awkward = st.sampled_from(" +%~'\"!*()&=?#:;,@$[]{}|^`<>.-_/éü日本🏠\u0301aZ09\u00a0\u2028")
keys = (
    st.text(st.one_of(awkward, st.characters(exclude_categories=("Cs",))), min_size=1, max_size=300)
    | st.text(awkward, min_size=1, max_size=40)
    | st.integers(1, 1024).map("k".__mul__)
).filter(lambda key: len(key.encode()) <= 1024)
texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F), min_size=1, max_size=30)
MIDNIGHTS = (
    datetimes.datetime(2026, 3, 1, tzinfo=datetimes.UTC),
    datetimes.datetime(2028, 2, 29, tzinfo=datetimes.UTC),
    datetimes.datetime(2027, 1, 1, tzinfo=datetimes.UTC),
)
moments = st.integers(1_500_000_000, 4_000_000_000) | st.builds(
    lambda midnight, offset: int(midnight.timestamp()) + offset, st.sampled_from(MIDNIGHTS), st.integers(-2, 2)
)


@settings(deadline=None)  # the first of a region waits for botocore to make a client
@given(
    key=keys,
    where=st.sampled_from(sorted(ORIGINS, key=str)),
    region=st.sampled_from(REGIONS),
    token=st.sampled_from((None, TOKEN)),
    at=moments,
    life=st.integers(1, MAX_LIFE_SECONDS),
    method=st.sampled_from(("GET", "HEAD")),
    overrides=st.dictionaries(st.sampled_from(sorted(set(OVERRIDES) - {"PartNumber"})), texts),
)
@example(
    key="//a//b/../c/./ +%2B%~'\"é",
    where=(None, "virtual"),
    region="us-east-1",
    token=TOKEN,
    at=1_798_761_599,
    life=1,
    method="HEAD",
    overrides={"ResponseContentType": "text/plain; charset=utf-8", "ResponseContentDisposition": 'inline; x="é +&="'},
)
def test_every_url_is_botocores(
    key: str,
    where: tuple[str | None, str],
    region: str,
    token: str | None,
    at: int,
    life: int,
    method: str,
    overrides: dict[str, str],
) -> None:
    endpoint, style = where
    if endpoint is not None:
        region = "eu-west-1"  # one is enough where it does not stand in the host, and clients are slow to make
    expected = theirs(region, endpoint, style, token, key, at, life, method, overrides)
    origin, base = ORIGINS[where]
    # The order of the parameters is the caller's; botocore's is taken over, the signature does not depend on it.
    order = [pair.partition("=")[0] for pair in urlsplit(expected).query.split("&")]
    query = sorted(((OVERRIDES[name], value) for name, value in overrides.items()), key=lambda p: order.index(p[0]))
    signer = Signer(Credentials(ID, SECRET, token), region)
    assert signer.presign(method, origin.format(region=region), base + key, at=at, life=life, query=query) == expected


def test_one_signer_across_midnight() -> None:
    signer = Signer(Credentials(ID, SECRET), "eu-west-1")
    midnight = int(MIDNIGHTS[2].timestamp())
    origin = f"https://{BUCKET}.s3.eu-west-1.amazonaws.com"
    for at in (midnight - 1, midnight, midnight - 1, midnight + 86400):
        expected = theirs("eu-west-1", None, "virtual", None, "a.jpg", at, 60, "GET", {})
        assert signer.presign("GET", origin, "/a.jpg", at=at, life=60) == expected


def test_the_example_of_aws() -> None:
    """Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters", "An Example"."""
    signer = Signer(Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), "us-east-1")
    at = int(datetimes.datetime(2013, 5, 24, tzinfo=datetimes.UTC).timestamp())
    assert signer.presign("GET", "https://examplebucket.s3.amazonaws.com", "/test.txt", at=at, life=86400) == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
        "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


def test_parameters_are_signed_by_name() -> None:
    """'=' sorts after "-": sorting "name=value" would put a-b before a, and AWS puts a first."""
    signer = Signer(Credentials(ID, SECRET), "us-east-1")

    def signature(*query: tuple[str, str]) -> str:
        url = signer.presign("GET", "http://h", "/k", at=NOON, life=60, query=query)
        return url.rpartition("=")[2]

    request = botocore.awsrequest.AWSRequest("GET", "http://h/k", params={"a": "1", "a-b": "2"})
    credentials = botocore.credentials.Credentials(ID, SECRET)
    with botocore_clock(NOON):
        botocore.auth.S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires=60).add_auth(request)
    assert signature(("a", "1"), ("a-b", "2")) == request.url.rpartition("=")[2]
    assert signature(("a-b", "2"), ("a", "1")) == request.url.rpartition("=")[2]


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_threads_that_cross_midnight_share_a_signer() -> None:
    midnight = int(MIDNIGHTS[0].timestamp())
    moments = [midnight - 1, midnight]
    expected = {
        at: Signer(Credentials(ID, SECRET), "us-east-1").presign("GET", "https://h", "/k", at=at, life=60)
        for at in moments
    }
    shared = Signer(Credentials(ID, SECRET), "us-east-1")
    wrong: list[str] = []
    start = threading.Barrier(4)

    def sign(at: int) -> None:
        start.wait(10)
        for _ in range(500):
            url = shared.presign("GET", "https://h", "/k", at=at, life=60)
            if url != expected[at]:
                wrong.append(url)

    threads = [threading.Thread(target=sign, args=(moments[number % 2],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert wrong == []


class PausedDigest:
    """hmac.digest that lets another thread in while a day's key is derived."""

    def __init__(self, meanwhile: Any) -> None:
        self._digest = botocore.auth.hmac.digest
        self._meanwhile = meanwhile
        self._inside = False

    def digest(self, key: bytes, message: bytes, name: str) -> bytes:
        if not self._inside:
            self._inside = True
            self._meanwhile()
        return bytes(self._digest(key, message, name))


def test_another_url_is_signed_while_a_key_is_derived(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Signer(Credentials(ID, SECRET), "us-east-1")
    midnight = int(MIDNIGHTS[0].timestamp())

    def url(of: Signer, at: int) -> str:
        return of.presign("GET", "https://h", "/k", at=at, life=60)

    expected = url(fresh, midnight - 1), url(fresh, midnight)
    for other in (midnight - 1, midnight):  # the other thread's moment
        signer = Signer(Credentials(ID, SECRET), "us-east-1")
        between: list[str] = []
        paused = PausedDigest(lambda between=between, signer=signer, at=other: between.append(url(signer, at)))
        monkeypatch.setattr("mediamw.backends.sigv4.hmac", paused)
        assert (url(signer, midnight - 1), between[0]) == (expected[0], expected[other - midnight + 1])
    assert (url(signer, midnight - 1), url(signer, midnight)) == expected


def test_nothing_secret_is_shown() -> None:
    credentials = Credentials(ID, SECRET, "the-token", 1.0)
    signer = Signer(credentials, "us-east-1")
    url = signer.presign("GET", "https://h", "/k", at=NOON, life=60)
    for thing in (credentials, signer, SignedURL(url, 1.0), Redirect("prod", url, 1.0)):
        for text in (repr(thing), str(thing), f"{thing}", f"{[thing]}"):
            assert "(" in text
            for secret in (SECRET, "the-token", "X-Amz-", url.rpartition("=")[2]):
                assert secret not in text
    assert ID in repr(signer)
    # What shows a value item by item, as Sentry does of a tuple, does not ask for its repr.
    for thing in (credentials, Redirect("prod", url, 1.0), signer, *signer._frames.values()):
        assert not isinstance(thing, Iterable)
    assert not issubclass(Options, Iterable)
    assert credentials == Credentials(ID, SECRET, "the-token", 1.0) != Credentials(ID, SECRET, "the-token")
    assert len({credentials, Credentials(ID, SECRET, "the-token", 1.0), Credentials(ID, SECRET)}) == 2


def test_what_is_the_same_for_many_keys_is_written_once() -> None:
    """And never for another origin, moment, life, query or method."""
    signer = Signer(Credentials(ID, SECRET, TOKEN), "eu-west-1")
    for number in range(3 * sigv4.MAX_FRAMES):
        for method in ("GET", "HEAD"):
            for query in ((), [("response-content-type", "image/webp")]):
                origin, at = f"https://{number % 5}.example", NOON + number % 7 * 86_400
                for key in ("/a.jpg", "/a b.jpg", "/ü~.jpg", "/100%"):
                    arguments = (method, origin, key)
                    fresh = Signer(Credentials(ID, SECRET, TOKEN), "eu-west-1")
                    life = 60 + number % 3
                    url = signer.presign(*arguments, at=at, life=life, query=query)
                    assert url == fresh.presign(*arguments, at=at, life=life, query=query)
        assert len(signer._frames) <= sigv4.MAX_FRAMES
    assert SECRET not in repr(signer._frames)
    assert "X-Amz" not in repr(signer._frames)
