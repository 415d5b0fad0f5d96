"""The URL of every kind of S3, held to botocore's presigned URL for the same moment."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from mediamw import ConfigError
from mediamw.backends.base import Remote
from mediamw.backends.s3 import S3Backend
from mediamw.testing.strict_s3 import StrictS3

from ..test_sigv4 import botocore_clock
from .s3_world import DATA, ID, SECRET, TOKEN, backend, fetch, key, s3_server

PHOTO = key("up/a b+c~'é.jpg")
NOW = 1_780_000_200 + 7
START = 1_780_000_200  # of the window
ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint"
OUTPOST_ALIAS = "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3"
SPACES = "https://fra1.digitaloceanspaces.com"
R2 = "https://0123456789abcdef.r2.cloudflarestorage.com"


def botocores_url(bucket: str, region: str, endpoint: str | None, style: str, dualstack: bool) -> str:
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional", "use_arn_region": True},
        use_dualstack_endpoint=dualstack,
        ignore_configured_endpoint_urls=True,
    )
    made = session.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=ID,
        aws_secret_access_key=SECRET,
        aws_session_token=TOKEN,
        config=config,
    )
    logging.disable()  # what the oracle signs with is the oracle's to log
    try:
        with closing(made), botocore_clock(START):
            return str(
                made.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": PHOTO}, ExpiresIn=3600)
            )
    finally:
        logging.disable(logging.NOTSET)


ROWS: list[tuple[str, str, dict[str, Any], str]] = [
    ("acme", "eu-west-1", {}, "https://acme.s3.eu-west-1.amazonaws.com/up/"),
    ("acme", "eu-west-1", {"addressing_style": "path"}, "https://s3.eu-west-1.amazonaws.com/acme/up/"),
    ("acme", "eu-west-1", {"dualstack": True}, "https://acme.s3.dualstack.eu-west-1.amazonaws.com/up/"),
    ("acme", "us-east-1", {"dualstack": True}, "https://acme.s3.dualstack.us-east-1.amazonaws.com/up/"),
    (
        "acme",
        "us-east-1",
        {"dualstack": True, "addressing_style": "path"},
        "https://s3.dualstack.us-east-1.amazonaws.com/acme/up/",
    ),
    # Opt-in regions.
    ("acme", "ap-east-1", {}, "https://acme.s3.ap-east-1.amazonaws.com/up/"),
    ("acme", "af-south-1", {"dualstack": True}, "https://acme.s3.dualstack.af-south-1.amazonaws.com/up/"),
    ("acme", "me-central-1", {}, "https://acme.s3.me-central-1.amazonaws.com/up/"),
    # Other partitions.
    ("acme", "cn-north-1", {}, "https://acme.s3.cn-north-1.amazonaws.com.cn/up/"),
    ("acme", "cn-northwest-1", {"dualstack": True}, "https://acme.s3.dualstack.cn-northwest-1.amazonaws.com.cn/up/"),
    ("acme", "us-gov-west-1", {}, "https://acme.s3.us-gov-west-1.amazonaws.com/up/"),
    # Dotted names: no wildcard certificate covers them.
    ("acme.media", "eu-west-1", {}, "https://s3.eu-west-1.amazonaws.com/acme.media/up/"),
    ("acme.media", "eu-west-1", {"dualstack": True}, "https://s3.dualstack.eu-west-1.amazonaws.com/acme.media/up/"),
    ("acme.media", "cn-north-1", {}, "https://s3.cn-north-1.amazonaws.com.cn/acme.media/up/"),
    # Access points: by ARN (signed for its region, whatever the backend's), and by alias.
    (f"{ARN}/acme", "us-east-1", {}, "https://acme-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/up/"),
    (f"{ARN}:acme", "eu-west-1", {}, "https://acme-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/up/"),
    (
        f"{ARN}/acme",
        "us-east-1",
        {"dualstack": True},
        "https://acme-123456789012.s3-accesspoint.dualstack.eu-west-1.amazonaws.com/up/",
    ),
    ("acme-abc123-s3alias", "eu-west-1", {}, "https://acme-abc123-s3alias.s3.eu-west-1.amazonaws.com/up/"),
    (
        OUTPOST_ALIAS,
        "us-east-1",
        {},
        f"https://{OUTPOST_ALIAS}.op-0b1d075431d83bebd.s3-outposts.us-east-1.amazonaws.com/up/",
    ),
    (
        "arn:aws:s3-object-lambda:eu-west-1:123456789012:accesspoint/acme",
        "us-east-1",
        {},
        "https://acme-123456789012.s3-object-lambda.eu-west-1.amazonaws.com/up/",
    ),
    # Others' S3.
    ("acme", "fra1", {"endpoint_url": SPACES}, f"{SPACES}/acme/up/"),
    (
        "acme",
        "us-east-1",
        {"endpoint_url": SPACES, "addressing_style": "virtual"},
        "https://acme.fra1.digitaloceanspaces.com/up/",
    ),
    # Nothing can stand before an IP address.
    (
        "acme",
        "us-east-1",
        {"endpoint_url": "http://127.0.0.1:9000", "addressing_style": "virtual"},
        "http://127.0.0.1:9000/acme/up/",
    ),
    (
        "acme",
        "us-east-1",
        {"endpoint_url": "http://[::1]:9000", "addressing_style": "virtual"},
        "http://[::1]:9000/acme/up/",
    ),
    ("acme", "auto", {"endpoint_url": R2}, f"{R2}/acme/up/"),
    ("acme", "auto", {"endpoint_url": R2, "addressing_style": "virtual"}, f"https://acme.{R2[8:]}/up/"),
    ("Old_Bucket", "us-east-1", {"endpoint_url": "http://minio:9000"}, "http://minio:9000/Old_Bucket/up/"),
]


@pytest.mark.parametrize(("bucket", "region", "options", "start"), ROWS, ids=str)
def test_every_url_is_botocores(bucket: str, region: str, options: dict[str, Any], start: str) -> None:
    keys = {"access_key_id": ID, "secret_access_key": SECRET, "session_token": TOKEN}
    made = S3Backend(bucket, region=region, **keys, **options)
    made.prepare()
    signed = made.sign(PHOTO, "GET", NOW)
    endpoint = options.get("endpoint_url")
    style = options.get("addressing_style", "path" if endpoint else "virtual")
    assert signed.url == botocores_url(bucket, region, endpoint, style, options.get("dualstack", False))
    assert signed.url.startswith(start)
    assert signed.expires == START + 3600
    # What we ask ourselves is at the same place: one object, one signature.
    signer, place, http = made._ready()
    assert signed.url.startswith(place.origin + place.path)
    assert http.origin == place.origin
    assert signer is made._signer


class Stopped(Exception):
    """Raised with the request that botocore was about to send."""


def test_a_listing_is_asked_at_the_same_place() -> None:
    def stop(request: Any, **_: Any) -> None:
        raise Stopped(request.url)

    for bucket, region, options, _ in ROWS:
        made = S3Backend(bucket, region=region, access_key_id=ID, secret_access_key=SECRET, **options)
        made.prepare()
        with closing(made._account.read_only_client(made._style)) as client:
            client.meta.events.register("before-send.s3", stop)
            with pytest.raises(Stopped) as caught:
                client.list_objects_v2(Bucket=bucket)
        assert made._place is not None
        assert str(caught.value).startswith(made._place.origin + made._place.path.rstrip("/")), bucket


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({}, "http://127.0.0.1:{port}/prod/"),
        ({"public_endpoint_url": "https://Media.Example.com:443/s3/"}, "https://media.example.com/s3/prod/"),
        (
            {"public_endpoint_url": "https://media.example.com", "addressing_style": "virtual"},
            "https://prod.media.example.com/",
        ),
    ],
)
def test_what_browsers_see_of_an_endpoint(s3: StrictS3, options: dict[str, Any], start: str) -> None:
    """The signature covers that host, and is botocore's at it."""
    made = backend(s3, session_token=TOKEN, **options)
    url = made.sign(PHOTO, "GET", NOW).url
    assert url.startswith(start.format(port=s3.port))
    if options:
        public = "https://media.example.com" + ("/s3" if "/s3" in start else "")
        style = options.get("addressing_style", "path")
        assert url == botocores_url("prod", "us-east-1", public, style, False)
    made.close()


def test_look_ups_and_reads_stay_at_the_endpoint(s3: StrictS3) -> None:
    made = backend(s3, public_endpoint_url=f"http://localhost:{s3.port}")
    photo = key("a/b c.jpg")
    assert isinstance(made.open(photo), Remote)
    assert b"".join(made.read_range(photo, 0, 4, None)) == DATA[:4]
    assert [entry.key for entry in made.list("", recursive=True)] == [photo]
    assert {call.headers["host"] for call in s3.calls} == {f"127.0.0.1:{s3.port}"}
    url = made.sign(photo, "GET", time.time()).url
    assert url.startswith(f"http://localhost:{s3.port}/prod/")
    assert fetch(url) == (200, DATA)
    assert fetch(url.replace("localhost", "127.0.0.1"))[0] == 403  # the host is signed
    made.close()


def test_a_public_endpoint_before_aws() -> None:
    """Nothing says that what is private is no AWS: a VPC's endpoint, and the bucket's own host for browsers."""
    made = S3Backend(
        "acme",
        region="eu-west-1",
        access_key_id=ID,
        secret_access_key=SECRET,
        session_token=TOKEN,
        public_endpoint_url="https://s3.eu-west-1.amazonaws.com",
    )
    expected = botocores_url("acme", "eu-west-1", "https://s3.eu-west-1.amazonaws.com", "path", False)
    assert made.sign(PHOTO, "GET", NOW).url == expected
    assert made._place == ("https://acme.s3.eu-west-1.amazonaws.com", "/", "eu-west-1", "s3")


@pytest.mark.parametrize(
    ("bucket", "options", "said"),
    [
        ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", {}, "SigV4A"),
        (f"{ARN}/acme", {"endpoint_url": "http://h"}, "leave endpoint_url out"),
        (f"{ARN}/acme", {"public_endpoint_url": "http://h"}, "leave public_endpoint_url out"),
        ("acme", {"dualstack": True, "endpoint_url": "http://h"}, "dualstack is AWS's"),
        ("acme", {"dualstack": "true"}, "dualstack: 'true' is neither"),
        ("acme", {"public_endpoint_url": f"http://{ID}:{SECRET}@h"}, "public_endpoint_url: give scheme, host, port"),
        ("acme", {"public_endpoint_url": "http://h", "custom_domain": "h.example"}, "give one of them"),
    ],
)
def test_what_cannot_be(bucket: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        S3Backend(bucket, name="prod", **options)
    assert SECRET not in str(caught.value)
    assert caught.value.backend == "prod"


# -- buckets that anybody may read -------------------------------------------------------------------------------------


def test_anonymous(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is signed: not the look-up, not the redirect, not the range, and no key of the machine is looked at."""
    for name, value in (("AWS_PROFILE", "nobody-has-this"), ("AWS_ACCESS_KEY_ID", ID), ("AWS_SECRET_ACCESS_KEY", "x")):
        monkeypatch.setenv(name, value)
    photo = key("a/b c.jpg")
    with s3_server(clock, public_buckets=["prod"]) as server:
        made = S3Backend("prod", endpoint_url=server.endpoint, anonymous=True, missing_on_403=True)
        assert made.can_sign(9e9)
        assert isinstance(made.open(photo), Remote)
        assert b"".join(made.read_range(photo, 0, 4, None)) == DATA[:4]
        signed = made.sign(photo, "GET", NOW)
        assert signed == (f"{server.endpoint}/prod/a/b%20c.jpg", None)
        assert fetch(signed.url) == (200, DATA)
        assert made.open(key("nobody.jpg")) is None
        assert {call.auth for call in server.calls} == {"none"}
        made.close()


def test_a_listing_of_anybody_is_unsigned(origin: Any) -> None:
    page = (
        b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a.jpg</Key><ETag>&quot;1&quot;</ETag>"
        b"<LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>3</Size></Contents></ListBucketResult>"
    )
    server = origin(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))
    made = S3Backend("prod", endpoint_url=server.url, anonymous=True)
    assert [entry.key for entry in made.list("", recursive=True)] == ["a.jpg"]
    assert b"authorization" not in server.requests[0].lower()
    assert b"X-Amz-Signature" not in server.requests[0]


@pytest.mark.parametrize(
    ("bucket", "options", "url"),
    [
        ("acme", {"region": "eu-west-1"}, "https://acme.s3.eu-west-1.amazonaws.com/a%20b/c.jpg"),
        ("acme", {"dualstack": True}, "https://acme.s3.dualstack.us-east-1.amazonaws.com/a%20b/c.jpg"),
        ("acme.media", {"region": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn/acme.media/a%20b/c.jpg"),
        ("acme", {"location": "up é"}, "https://acme.s3.us-east-1.amazonaws.com/up%20%C3%A9/a%20b/c.jpg"),
        ("acme", {"public_endpoint_url": "http://cdn.example"}, "http://cdn.example/acme/a%20b/c.jpg"),
    ],
)
def test_plain_urls_of_anonymous_buckets(bucket: str, options: dict[str, Any], url: str) -> None:
    made = S3Backend(bucket, anonymous=True, **options)
    made.prepare()
    assert made.sign(key("a b/c.jpg"), "GET", NOW) == (url, None)


@pytest.mark.parametrize(
    "options", [{"profile": "acme-ro"}, {"access_key_id": ID, "secret_access_key": SECRET}, {"session_token": TOKEN}]
)
def test_anonymous_and_keys_contradict_each_other(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"anonymous and \w+ contradict"):
        S3Backend("acme", anonymous=True, **options)
