"""django-storages' S3 settings as they are: every option, both forms, and the URLs that come of them."""

from __future__ import annotations

import re
from typing import Any

import botocore
import pytest
from botocore.config import Config

from mediamw import S3Backend
from mediamw.core.errors import ConfigErrors
from mediamw.settings.django_storages import LEFT_ASIDE, READ, s3_of_django_storages

ID, SECRET = "AKREADONLY", "the-secret-of-it"
KEYS = {"access_key": ID, "secret_key": SECRET, "region_name": "eu-west-1"}
BASE: dict[str, Any] = {"bucket_name": "acme", **KEYS}
AWS = "https://acme.s3.eu-west-1.amazonaws.com/"
SIGNED = "?X-Amz-Algorithm="
NOW = 1_800_000_000.0


def url(made: S3Backend) -> str:
    if not made.can_sign(NOW):
        made.prepare()
    return made.sign("a b.jpg", "GET", NOW).url  # type: ignore[arg-type]


def is_sent(made: S3Backend, expected: str) -> bool:
    return url(made).startswith(expected) if expected.endswith(SIGNED) else url(made) == expected


def test_the_names_are_django_storages() -> None:
    """As `S3Storage.get_default_settings` of 1.14.6 has them."""
    names = """access_key secret_key security_token session_profile file_overwrite object_parameters bucket_name
    querystring_auth querystring_expire signature_version location custom_domain cloudfront_key_id cloudfront_key
    addressing_style file_name_charset gzip gzip_content_types url_protocol endpoint_url proxies region_name use_ssl
    verify max_memory_size default_acl use_threads transfer_config client_config"""
    assert {*READ, *LEFT_ASIDE} == set(names.split())
    assert not set(READ) & set(LEFT_ASIDE)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, f"{AWS}a%20b.jpg{SIGNED}"),
        ({"location": "media/up/"}, f"{AWS}media/up/a%20b.jpg{SIGNED}"),
        ({"location": ""}, f"{AWS}a%20b.jpg{SIGNED}"),
        (
            {"endpoint_url": "https://fra1.digitaloceanspaces.com"},
            f"https://fra1.digitaloceanspaces.com/acme/a%20b.jpg{SIGNED}",
        ),
        (
            {"endpoint_url": "http://minio:9000", "addressing_style": "virtual"},
            f"http://acme.minio:9000/a%20b.jpg{SIGNED}",
        ),
        ({"addressing_style": "path"}, f"https://s3.eu-west-1.amazonaws.com/acme/a%20b.jpg{SIGNED}"),
        ({"custom_domain": "cdn.example.com"}, "https://cdn.example.com/a%20b.jpg"),
        ({"custom_domain": "cdn.example.com/m/"}, "https://cdn.example.com/m/a%20b.jpg"),
        ({"custom_domain": "cdn.example.com", "url_protocol": "http:"}, "http://cdn.example.com/a%20b.jpg"),
        ({"custom_domain": "cdn.example.com", "querystring_auth": False}, "https://cdn.example.com/a%20b.jpg"),
        ({"querystring_auth": False}, f"{AWS}a%20b.jpg"),
        ({"querystring_auth": 0, "location": "up"}, f"{AWS}up/a%20b.jpg"),
        ({"querystring_auth": False, "bucket_name": "a.b"}, "https://s3.eu-west-1.amazonaws.com/a.b/a%20b.jpg"),
        (
            {"querystring_auth": False, "bucket_name": "a.b", "region_name": "cn-north-1"},
            "https://s3.cn-north-1.amazonaws.com.cn/a.b/a%20b.jpg",
        ),
        # Without a region: the host that leads to whichever it is in.
        ({"querystring_auth": False, "region_name": ""}, "https://acme.s3.amazonaws.com/a%20b.jpg"),
        (
            {"querystring_auth": False, "bucket_name": "arn:aws:s3:eu-west-1:123456789012:accesspoint/acme"},
            "https://acme-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/a%20b.jpg",
        ),
        ({"custom_domain": False, "endpoint_url": None, "url_protocol": ""}, f"{AWS}a%20b.jpg{SIGNED}"),
        (
            {"querystring_auth": False, "endpoint_url": "https://ams3.digitaloceanspaces.com"},
            "https://ams3.digitaloceanspaces.com/acme/a%20b.jpg",
        ),
        ({"signature_version": "s3v4", "use_ssl": False}, f"{AWS}a%20b.jpg{SIGNED}"),
        ({"signature_version": botocore.UNSIGNED, "access_key": None, "secret_key": ""}, f"{AWS}a%20b.jpg"),
        (
            {"client_config": Config(s3={"addressing_style": "path"})},
            f"https://s3.eu-west-1.amazonaws.com/acme/a%20b.jpg{SIGNED}",
        ),
        (
            {
                "client_config": Config(region_name="eu-north-1", s3={"use_dualstack_endpoint": True}),
                "region_name": None,
            },
            f"https://acme.s3.dualstack.eu-north-1.amazonaws.com/a%20b.jpg{SIGNED}",
        ),
    ],
    ids=str,
)
def test_urls(options: dict[str, Any], expected: str) -> None:
    made = s3_of_django_storages(options={**BASE, **options}, environ={})
    assert is_sent(made, expected), url(made)


def test_settings_and_what_comes_first() -> None:
    settings = {
        "AWS_STORAGE_BUCKET_NAME": "acme",
        "AWS_ACCESS_KEY_ID": "AKOTHER",
        "AWS_S3_ACCESS_KEY_ID": ID,
        "AWS_S3_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": "session/token+of",
        "AWS_S3_REGION_NAME": "eu-west-1",
        "AWS_LOCATION": "static",
        "AWS_DEFAULT_ACL": "public-read",
        "AWS_SES_REGION_NAME": "eu-west-1",  # another package's
        "GZIP_CONTENT_TYPES": (),
        "DEBUG": True,
    }
    made = s3_of_django_storages(settings, {"location": "media"}, name="prod", environ={}, exclude=["invoices/"])
    assert url(made).startswith(f"{AWS}media/a%20b.jpg{SIGNED}AWS4-HMAC-SHA256&X-Amz-Credential={ID}%2F")
    assert "X-Amz-Security-Token=" in url(made)
    assert made.name == "prod"
    assert not made.rules.lets("invoices/1")  # type: ignore[arg-type]


def test_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"AWS_S3_ACCESS_KEY_ID": ID, "AWS_S3_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "eu-west-1"}
    assert is_sent(s3_of_django_storages(options={"bucket_name": "acme"}, environ=environ), f"{AWS}a%20b.jpg{SIGNED}")
    environ |= {"AWS_SESSION_TOKEN": "session/token+of", "AWS_ACCESS_KEY_ID": "AKOTHER"}
    assert "X-Amz-Security-Token=" in url(s3_of_django_storages(options={"bucket_name": "acme"}, environ=environ))
    assert "X-Amz-Security-Token=" not in url(
        s3_of_django_storages(options={**BASE, "access_key": "AK"}, environ=environ)
    )
    made = s3_of_django_storages(options={"bucket_name": "acme"}, environ={})
    assert made._renewal is not None  # botocore is asked
    made = s3_of_django_storages(options={"bucket_name": "acme"}, environ={"AWS_S3_SESSION_PROFILE": "acme-ro"})
    assert made._account._profile == "acme-ro"
    made = s3_of_django_storages(options={"bucket_name": "acme", "session_profile": "acme-rw"}, environ=environ)
    assert made._account._profile == "acme-rw"


@pytest.mark.parametrize(
    ("expire", "life", "window"),
    [
        (3600, 3600, 900),
        (1200, 1200, 900),
        (1000, 1000, 700),
        (600, 600, 300),
        (60, 600, 300),
        ("1200", 1200, 900),
        (604800, 604800, 900),
        (700_000, 604800, 900),
    ],
)
def test_lives(expire: int | str, life: int, window: int) -> None:
    made = s3_of_django_storages(options={**BASE, "querystring_expire": expire}, environ={})
    assert (made._life, made._window) == (life, window)


def test_cloudfront() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signed = {"custom_domain": "cdn.example.com", "cloudfront_key_id": "K2JCJMDEHXQW5F", "cloudfront_key": pem}
    made = s3_of_django_storages(options={**BASE, **signed}, environ={})
    assert url(made).startswith("https://cdn.example.com/a%20b.jpg?Expires=")
    for unsigned in ({"querystring_auth": False}, {"cloudfront_signer": None}):
        made = s3_of_django_storages(options={**BASE, **signed, **unsigned}, environ={})
        assert url(made) == "https://cdn.example.com/a%20b.jpg"


@pytest.mark.parametrize("option", LEFT_ASIDE)
def test_what_is_left_aside(option: str) -> None:
    made = s3_of_django_storages(options={**BASE, option: object()}, environ={})
    assert is_sent(made, f"{AWS}a%20b.jpg{SIGNED}")


@pytest.mark.parametrize(
    ("settings", "options", "fault"),
    [
        ({}, {**BASE, "bucket": "x"}, ("E014", "bucket", "OPTIONS['bucket']", "did you mean bucket_name?")),
        ({}, {**BASE, "zzz": 1}, ("E014", "zzz", "OPTIONS['zzz']", "there are bucket_name, access_key")),
        (
            {"AWS_S3_REGION_NAM": "x"},
            {**BASE},
            ("E014", "AWS_S3_REGION_NAM", "setting AWS_S3_REGION_NAM", "did you mean AWS_S3_REGION_NAME?"),
        ),
        ({}, KEYS, ("E015", "bucket_name", "setting AWS_STORAGE_BUCKET_NAME", "it is missing or empty")),
        ({}, {**BASE, "bucket_name": 5}, ("E015", "bucket_name", "OPTIONS['bucket_name']", "int is no text")),
        ({"AWS_LOCATION": "/m"}, BASE, ("E015", "location", "setting AWS_LOCATION", "write 'm'")),
        ({}, {**BASE, "secret_key": None}, ("E015", "secret_key", "OPTIONS['secret_key']", "it is missing: the other")),
        (
            {},
            {**BASE, "session_profile": "x"},
            ("E015", "session_profile", "OPTIONS['session_profile']", "give one of the two"),
        ),
        (
            {},
            {**BASE, "querystring_expire": "1h"},
            ("E015", "querystring_expire", "OPTIONS['querystring_expire']", "'1h' is not a whole number"),
        ),
        (
            {},
            {**BASE, "client_config": {"s3": {}}},
            ("E015", "client_config", "OPTIONS['client_config']", "dict is no botocore"),
        ),
        (
            {},
            {**BASE, "region_name": "EU (Ireland)"},
            ("E015", "backends.s3", "OPTIONS['region_name']", "give a region's name"),
        ),
        ({}, {**BASE, "url_protocol": "https"}, ("E015", "url_protocol", "OPTIONS['url_protocol']", "write https: or")),
        ({}, {**BASE, "proxies": "x"}, ("E015", "proxies", "OPTIONS['proxies']", "give a mapping")),
        ({}, {**BASE, "cloudfront_key_id": "K"}, ("E015", "cloudfront_key", "setting AWS_CLOUDFRONT_KEY", "missing")),
        (
            {},
            {**BASE, "cloudfront_signer": 1},
            ("E015", "cloudfront_signer", "OPTIONS['cloudfront_signer']", "give cloudfront_key_id"),
        ),
        ({}, {**BASE, "endpoint_url": "h"}, ("E015", "backends.s3", "OPTIONS['endpoint_url']", "endpoint_url: give")),
    ],
    ids=str,
)
def test_faults(settings: dict[str, Any], options: dict[str, Any], fault: tuple[str, str, str, str]) -> None:
    with pytest.raises(ConfigErrors) as caught:
        s3_of_django_storages(settings, options, environ={})
    (found,) = caught.value.faults
    assert (found.id.partition(".")[2], found.setting, found.source) == fault[:3]
    assert fault[3] in found.reason
    assert not re.search(SECRET, str(caught.value))


def test_all_faults_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        s3_of_django_storages(options={"bucket": "x", "url_protocol": "ftp:", "location": "/a"}, environ={})
    assert [fault.setting for fault in caught.value.faults] == ["bucket", "location", "url_protocol"]
