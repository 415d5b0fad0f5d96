"""Under which host a bucket is asked: as botocore has it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from mediamw.backends.aws import AWSAccount
from mediamw.backends.s3 import S3Backend
from mediamw.backends.s3_hosts import endpoint_host, plain_host
from mediamw.backends.sigv4 import Credentials
from mediamw.core.errors import ConfigError
from mediamw.testing.strict_s3 import StrictS3

from .s3_world import (
    DATA,
    ID,
    SECRET,
    backend,
    fetch,
    key,
    unavailable,
)

PHOTO = key("a/b c.jpg")


@cache
def aws_client(region: str, style: str) -> Any:
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"},
        ignore_configured_endpoint_urls=True,
    )
    return session.create_client(
        "s3", region_name=region, aws_access_key_id="a", aws_secret_access_key="b", config=config
    )


@pytest.fixture(scope="module", autouse=True)
def close_clients() -> Iterator[None]:
    yield
    aws_client.cache_clear()


def botocores_host(bucket: str, region: str, style: str) -> tuple[str, str]:
    url = aws_client(region, style).generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path.removesuffix("k")


# One of each family: all of them are in test_every_region.
SOME_REGIONS = (
    "us-east-1",
    "eu-west-1",
    "il-central-1",
    "cn-north-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "mx-central-1",
)
BUCKETS = (
    "acme-media",
    "abc",
    "a" * 63,
    "9to5",
    "acme.media",
    "www.acme.co.uk",
    "acme-media-s3alias",
    "my-object-lambda-acc-1a4n8yjrb3kda96f67zwrwiiuse1a--ol-s3",
    "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3",
    "xn--acme",
    "sthree-acme",
    "acme--table-s3",
)


@pytest.mark.parametrize("region", SOME_REGIONS)
def test_hosts_are_botocores(region: str) -> None:
    account = AWSAccount("prod", profile=None, static=Credentials(ID, SECRET), region=region, endpoint=None)
    for bucket in BUCKETS:
        for style in ("virtual", "path"):
            ours = plain_host(bucket, region, style)
            try:
                expected = botocores_host(bucket, region, style)
            except botocore.exceptions.BotoCoreError:
                assert ours is None, (bucket, style)
                unavailable(lambda bucket=bucket, style=style: account.place(bucket, style))
                continue
            assert ours in (None, expected), (bucket, style)
            if bucket in ("acme.media", "acme-media"):
                assert (ours or account.place(bucket, style)[:2]) == expected, (bucket, style)


def test_every_region() -> None:
    """The plain form is the whole truth for the partition "aws", and is claimed for no other."""
    loader = botocore.session.Session().get_component("data_loader")
    partitions = loader.load_data("partitions")["partitions"]
    for partition in partitions:
        for region in partition["regions"]:
            S3Backend("acme", region=region, access_key_id=ID, secret_access_key=SECRET)  # none is taken for a slip
            if region == partition["id"] + "-global":
                assert plain_host("acme-media", region, "virtual") is None
            elif partition["id"] == "aws":
                suffix = partition["outputs"]["dnsSuffix"]
                assert plain_host("acme-media", region, "virtual") == (f"https://acme-media.s3.{region}.{suffix}", "/")
                assert plain_host("acme-media", region, "path") == (f"https://s3.{region}.{suffix}", "/acme-media/")
            else:
                assert plain_host("acme-media", region, "virtual") is None, region


@pytest.mark.parametrize(
    ("region", "options", "said"),
    [
        ("eu-west1", {}, "AWS has none of this form"),
        ("euwest-1", {}, "AWS has none of this form"),
        ("eu-wst-1", {}, "AWS has none of this form"),
        ("EU-WEST-1", {}, "AWS has none of this form"),
        ("eu-west-1a", {}, "AWS has none of this form"),  # a zone
        ("auto", {}, "or give the endpoint_url of the S3 that has it"),
        ("us-east-1", {"endpoint_url": "https://s3.eu-west-1.amazonaws.com"}, "which is in eu-west-1"),
        ("us-east-1", {"endpoint_url": "https://s3.dualstack.eu-west-1.amazonaws.com/"}, "which is in eu-west-1"),
        ("us-east-1", {"endpoint_url": "https://acme.s3-eu-west-1.amazonaws.com"}, "which is in eu-west-1"),
        ("cn-north-1", {"endpoint_url": "https://s3.cn-northwest-1.amazonaws.com.cn"}, "which is in cn-northwest-1"),
        ("fra1", {"endpoint_url": "https://acme.nyc3.digitaloceanspaces.com"}, "which is in nyc3"),
    ],
)
def test_wrong_regions(region: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        S3Backend("acme", region=region, **options)
    assert said in caught.value.reason
    assert repr(region) in caught.value.reason


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [
        ("eu-west-1", "https://s3.eu-west-1.amazonaws.com"),
        ("us-east-1", "https://s3.amazonaws.com"),
        ("us-east-1", "https://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com"),
        ("us-east-1", "https://fra1.digitaloceanspaces.com"),
        ("fra1", "https://fra1.cdn.digitaloceanspaces.com"),
        ("garage", "http://localhost:3900"),
    ],
)
def test_regions_of_endpoints(region: str, endpoint: str) -> None:
    S3Backend("acme", region=region, endpoint_url=endpoint)


@settings(deadline=None, max_examples=150)
@given(
    bucket=st.from_regex(r"[a-z0-9][a-z0-9.-]{1,40}[a-z0-9](--ol-s3|-s3alias|--op-s3|)", fullmatch=True),
    region=st.sampled_from(("us-east-1", "ap-southeast-2")),
    style=st.sampled_from(("virtual", "path")),
)
def test_a_plain_host_is_botocores(bucket: str, region: str, style: str) -> None:
    ours = plain_host(bucket, region, style)
    if ours is not None:
        assert ours == botocores_host(bucket, region, style)


def test_china_and_dotted_names_end_to_end() -> None:
    made = S3Backend("acme.media", region="cn-north-1", access_key_id=ID, secret_access_key=SECRET)
    assert not made.can_sign(0)  # nobody guesses: botocore has to be asked first
    made.prepare()
    assert made.sign(PHOTO, "GET", 0).url.startswith("https://s3.cn-north-1.amazonaws.com.cn/acme.media/a/b%20c.jpg?")


@pytest.mark.parametrize(
    ("endpoint", "style", "expected"),
    [
        ("http://localhost:9000", "auto", ("http://localhost:9000", "/prod/")),
        ("http://localhost:9000/", "path", ("http://localhost:9000", "/prod/")),
        ("http://localhost:9000", "virtual", ("http://prod.localhost:9000", "/")),
        ("HTTPS://S3.Example.COM:443/", "auto", ("https://s3.example.com", "/prod/")),
        ("http://s3.example.com:80", "auto", ("http://s3.example.com", "/prod/")),
        ("http://s3.example.com:443", "auto", ("http://s3.example.com:443", "/prod/")),
        ("https://s3.example.com/a/b~c/", "auto", ("https://s3.example.com", "/a/b~c/prod/")),
        ("https://s3.example.com/a", "virtual", ("https://prod.s3.example.com", "/a/")),
        ("http://my_minio:9000", "auto", ("http://my_minio:9000", "/prod/")),
        ("http://[::1]:9000", "auto", ("http://[::1]:9000", "/prod/")),
    ],
)
def test_endpoints(endpoint: str, style: str, expected: tuple[str, str]) -> None:
    assert endpoint_host("prod", endpoint, style) == expected


def test_virtual_style_at_an_endpoint(s3: StrictS3) -> None:
    """Host: prod.s3.localhost is what StrictS3 takes for virtual style; *.localhost is this machine (RFC 6761)."""
    made = backend(s3, endpoint_url=f"http://S3.localhost:{s3.port}", addressing_style="virtual")
    url = made.sign(PHOTO, "GET", time.time()).url
    assert url.startswith(f"http://prod.s3.localhost:{s3.port}/a/b%20c.jpg?")
    path = url.removeprefix(f"http://prod.s3.localhost:{s3.port}")
    assert fetch(s3.endpoint + path, headers={"Host": f"prod.s3.localhost:{s3.port}"}) == (200, DATA)
    made.close()
