"""URLs for a table of django-storages' settings, made by django-storages itself and by us: they lead to the same files.

Scheme, host, path, the names in the query, and the region that is signed for. AWS's global host (``acme.s3.amazonaws``)
and the bucket's regional one are the same place, and we take the latter. Not in the table is what is decided otherwise
here, as docs/configuration.md says: signatures of version 2, ``use_ssl``, accelerated and FIPS hosts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mediamw.settings.django_storages import LEFT_ASIDE, READ, s3_of_django_storages

from .storages_urls import NAME, meant

pytestmark = pytest.mark.slow

NOW = 1_800_000_000.0
KEYS = {"access_key": "AKREADONLY", "secret_key": "the-secret-of-it"}
NO_REGION: dict[str, Any] = {"bucket_name": "acme", "signature_version": "s3v4", **KEYS}
BASE: dict[str, Any] = {**NO_REGION, "region_name": "eu-west-1"}
PUBLIC = {**BASE, "querystring_auth": False}
SPACES = "https://fra1.digitaloceanspaces.com"
ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint/acme"
PEM = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
CDN = {"custom_domain": "cdn.example.com"}
CLOUDFRONT = {**CDN, "cloudfront_key_id": "K2JCJMDEHXQW5F", "cloudfront_key": PEM}
UNSIGNED = {"unsigned": True}
SETTINGS = {
    "AWS_STORAGE_BUCKET_NAME": "acme",
    "AWS_ACCESS_KEY_ID": "AKREADONLY",
    "AWS_SECRET_ACCESS_KEY": "the-secret-of-it",
    "AWS_S3_SIGNATURE_VERSION": "s3v4",
}


def config(**options: Any) -> dict[str, Any]:
    return {"client_config": {"config": {"signature_version": "s3v4", **options}}}


Row = tuple[dict[str, str], dict[str, Any], dict[str, Any]]

ROWS: dict[str, Row] = {
    **{
        f"options {number}": ({}, {}, options)
        for number, options in enumerate(
            [
                BASE,
                NO_REGION,
                PUBLIC,
                {**NO_REGION, "querystring_auth": False},
                *({**BASE, "region_name": region} for region in ("us-east-1", "cn-north-1", "us-gov-west-1")),
                *({**PUBLIC, "region_name": region} for region in ("us-east-1", "cn-north-1", "us-gov-west-1")),
                {**PUBLIC, "region_name": "mx-central-1"},
                *({**BASE, "bucket_name": bucket} for bucket in ("a.b", "Acme_X", "acme-1-s3alias", ARN)),
                *({**PUBLIC, "bucket_name": bucket} for bucket in ("a.b", "Acme_X", "acme-1-s3alias", ARN)),
                *({**BASE, "addressing_style": style} for style in ("path", "virtual", "auto", None)),
                *({**PUBLIC, "addressing_style": style} for style in ("path", "virtual")),
                {**BASE, "endpoint_url": SPACES},
                {**BASE, "endpoint_url": f"{SPACES}/"},
                {**BASE, "endpoint_url": SPACES, "addressing_style": "virtual"},
                {**BASE, "endpoint_url": "https://acme.fra1.digitaloceanspaces.com"},
                {**PUBLIC, "endpoint_url": "https://acme.fra1.digitaloceanspaces.com", "location": "up"},
                {**BASE, "endpoint_url": "https://0123.r2.cloudflarestorage.com/acme/", "location": "up"},
                {**PUBLIC, "endpoint_url": SPACES, "location": "up"},
                {**BASE, "endpoint_url": "http://minio:9000/s3", "location": "x/y/"},
                {**PUBLIC, "endpoint_url": "http://localhost:9000"},
                {**BASE, "endpoint_url": "http://127.0.0.1:9000", "addressing_style": "virtual"},
                {**BASE, "location": "media/up/"},
                {**BASE, "location": "m ü"},
                {**BASE, **CDN},
                {**BASE, **CDN, "location": "m", "url_protocol": "http:"},
                {**BASE, "custom_domain": "localhost:9000/acme", "url_protocol": "http:"},
                {**BASE, **CLOUDFRONT},
                {**PUBLIC, **CLOUDFRONT},
                {**BASE, **CLOUDFRONT, "cloudfront_signer": None},
                {**BASE, **CLOUDFRONT, "custom_domain": None},
                {**BASE, "security_token": "session/token+of"},
                {**BASE, "querystring_expire": "3600"},
                {**BASE, "querystring_expire": 604800},
                {**BASE, "signature_version": UNSIGNED},
                {**BASE, **config(s3={"addressing_style": "path"})},
                {**BASE, **config(s3={"use_dualstack_endpoint": True})},
                {**BASE, **config(use_dualstack_endpoint=True)},
                {**PUBLIC, **config(s3={"use_dualstack_endpoint": True})},
                {**NO_REGION, **config(region_name="eu-north-1")},
                {**NO_REGION, **config(region_name="eu-north-1", signature_version=UNSIGNED)},
                {**BASE, **config(), "signature_version": UNSIGNED, "addressing_style": "path"},
                {**BASE, "gzip": True, "default_acl": "public-read", "object_parameters": {"CacheControl": "no-cache"}},
            ]
        )
    },
    "settings": ({}, {**SETTINGS, "AWS_LOCATION": "l", "AWS_S3_REGION_NAME": "eu-west-1"}, {}),
    "options come first": ({}, {**SETTINGS, "AWS_LOCATION": "l", "AWS_S3_ENDPOINT_URL": SPACES}, {"location": "m"}),
    "a domain that is taken back": (
        {},
        {**SETTINGS, "AWS_S3_CUSTOM_DOMAIN": "cdn.example.com"},
        {"custom_domain": False},
    ),
    "a profile that is none": ({}, {**SETTINGS, "AWS_S3_SESSION_PROFILE": ""}, {}),
    "lives": ({}, {**SETTINGS, "AWS_QUERYSTRING_EXPIRE": 1200}, {}),
    "the environment's keys": (
        {"AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "the-secret-of-it", "AWS_DEFAULT_REGION": "eu-west-1"},
        {},
        {"bucket_name": "acme", "signature_version": "s3v4"},
    ),
    "its other keys": (
        {
            "AWS_S3_ACCESS_KEY_ID": "AKENV",
            "AWS_S3_SECRET_ACCESS_KEY": "the-secret-of-it",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_SESSION_TOKEN": "session/token+of",
        },
        {},
        {"bucket_name": "acme", "signature_version": "s3v4"},
    ),
    "keys that settings have from there, and their token": (
        {"AWS_ACCESS_KEY_ID": "AKREADONLY", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "session/token+of"},
        SETTINGS,
        {"region_name": "eu-west-1"},
    ),
    "a half of them": (
        {"AWS_SECRET_ACCESS_KEY": "the-secret-of-it"},
        {name: value for name, value in SETTINGS.items() if name != "AWS_SECRET_ACCESS_KEY"},
        {},
    ),
    "public, with the environment's region": (
        {"AWS_DEFAULT_REGION": "eu-west-1"},
        SETTINGS,
        {"querystring_auth": False},
    ),
}


class Shown(NamedTuple):
    """What has to be the same."""

    where: tuple[str, str, str]
    names: frozenset[str]
    signed_for: str
    life: str
    token: str


def shown(url: str) -> Shown:
    parts = urlsplit(url)
    host = re.sub(r"(\.s3)\.[a-z]+-[a-z]+-[0-9](\.amazonaws\.com)$", r"\1\2", parts.netloc)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    access_key_id, _, rest = query.get("X-Amz-Credential", "").partition("/")
    return Shown(
        (parts.scheme, host, parts.path),
        frozenset(query),
        f"{access_key_id} {rest.partition('/')[2]}",
        query.get("X-Amz-Expires", ""),
        query.get("X-Amz-Security-Token", ""),
    )


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    pytest.importorskip("storages", reason="django-storages is not installed")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.storages_urls"],
        input=json.dumps(list(ROWS.values())),
        capture_output=True,
        text=True,
        env=environ,
        cwd=Path(__file__).parents[1],
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    return {"names": told["names"], "urls": dict(zip(ROWS, told["urls"], strict=True))}


@pytest.mark.parametrize("row", ROWS)
def test_urls(row: str, theirs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    variables, settings, options = ROWS[row]
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    made = s3_of_django_storages(
        {name: meant(value) for name, value in settings.items()},
        {name: meant(value) for name, value in options.items()},
    )
    if not made.can_sign(NOW):
        made.prepare()
    assert shown(made.sign(NAME, "GET", NOW).url) == shown(theirs["urls"][row])  # type: ignore[arg-type]


def test_the_names_are_theirs(theirs: dict[str, Any]) -> None:
    assert sorted({*READ, *LEFT_ASIDE}) == theirs["names"]
