"""Domains before a bucket: plain URLs, and CloudFront's signed ones held to botocore's CloudFrontSigner."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.signers
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mediamw import ConfigError
from mediamw.backends import cloudfront
from mediamw.backends.base import Remote
from mediamw.backends.cloudfront import CloudFrontSigner
from mediamw.backends.s3 import S3Backend
from mediamw.testing.strict_s3 import StrictS3

from .s3_world import ID, SECRET, backend, key

PHOTO = key("up/a b+c~'é.jpg")
QUOTED = "up/a%20b%2Bc~%27%C3%A9.jpg"
KEY_ID = "K2JCJMDEHXQW5F"
START = 1_780_000_200  # of a window
KEYS = {"access_key_id": ID, "secret_access_key": SECRET}


@cache
def private(kind: str) -> Any:
    return {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }[kind]()


def pem(kind: str, password: bytes | None = None) -> str:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return str(private(kind).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode())


def cdn(**options: Any) -> S3Backend:
    return S3Backend("acme", **{"custom_domain": "cdn.example.com", **KEYS, **options})


# -- plain -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "location", "url"),
    [
        ("cdn.example.com", "", f"https://cdn.example.com/{QUOTED}"),
        ("CDN.example.com", "", f"https://cdn.example.com/{QUOTED}"),
        ("cdn.example.com/media", "", f"https://cdn.example.com/media/{QUOTED}"),
        ("cdn.example.com:8443/", "", f"https://cdn.example.com:8443/{QUOTED}"),
        ("https://cdn.example.com/path", "", f"https://cdn.example.com/path/{QUOTED}"),
        ("https://cdn.example.com:443/path/", "a b", f"https://cdn.example.com/path/a%20b/{QUOTED}"),
        ("http://localhost:8000", "", f"http://localhost:8000/{QUOTED}"),
    ],
)
def test_plain_urls(domain: str, location: str, url: str) -> None:
    made = cdn(custom_domain=domain, location=location)
    for method in ("GET", "HEAD"):
        assert made.sign(PHOTO, method, START + 7) == (url, None)


def test_it_needs_no_credentials_and_existence_is_asked_at_the_bucket(s3: StrictS3) -> None:
    made = S3Backend("prod", custom_domain="cdn.example.com")
    assert made.can_sign(0)
    assert made.sign(PHOTO, "GET", 0).url == f"https://cdn.example.com/{QUOTED}"
    made = backend(s3, custom_domain="cdn.example.com")
    assert isinstance(made.open(key("a/b c.jpg")), Remote)
    assert made.open(key("nobody.jpg")) is None
    assert {call.auth for call in s3.calls} == {"query"}
    assert made.sign(key("nobody.jpg"), "GET", 0).url == "https://cdn.example.com/nobody.jpg"
    made.close()


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "cdn",
        "cdn.example.com?x=y",
        "cdn.example.com/#a",
        "ftp://cdn.example.com",
        f"https://{ID}:{SECRET}@cdn.example.com",
        f"{ID}:{SECRET}@cdn.example.com",
        "https://cdn.example.com/a//b",
        "https://cdn.example.com/../a",
        "cdn.example.com/%20",
        "cdn.example.com\n",
        "cdn.example.com:99999",
        "é.example.com",
    ],
)
def test_what_is_no_domain(domain: str) -> None:
    with pytest.raises(ConfigError, match="custom_domain: give") as caught:
        cdn(custom_domain=domain, name="prod")
    assert SECRET not in str(caught.value)


# -- CloudFront --------------------------------------------------------------------------------------------------------


def botocores(url: str, expires: int) -> str:
    signer = botocore.signers.CloudFrontSigner(
        KEY_ID, lambda message: private("rsa").sign(message, padding.PKCS1v15(), hashes.SHA1())
    )
    return str(signer.generate_presigned_url(url, date_less_than=datetime.fromtimestamp(expires, UTC)))


@settings(deadline=None, max_examples=40)
@given(
    name=st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\\/."), min_size=1, max_size=50),
    now=st.integers(0, 4_000_000_000),
)
def test_signed_urls_are_botocores(name: str, now: int) -> None:
    made, plain = SIGNING, cdn(custom_domain="https://cdn.example.com/m")
    start = now - now % 900
    signed = made.sign(key(f"a/{name}"), "GET", now)
    assert signed.expires == start + 3600
    assert signed.url == botocores(plain.sign(key(f"a/{name}"), "GET", now).url, start + 3600)


@pytest.fixture(autouse=True, scope="module")
def signing() -> Iterator[None]:
    global SIGNING
    SIGNING = cdn(custom_domain="https://cdn.example.com/m", cloudfront_key_id=KEY_ID, cloudfront_key=pem("rsa"))
    yield
    private.cache_clear()


SIGNING: S3Backend


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_the_public_key_accepts_it(kind: str) -> None:
    made = cdn(cloudfront_key_id=KEY_ID, cloudfront_key=pem(kind).encode())
    url = made.sign(PHOTO, "GET", START).url
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert list(query) == ["Expires", "Signature", "Key-Pair-Id"]
    assert (query["Key-Pair-Id"], query["Expires"]) == (KEY_ID, str(START + 3600))
    signature = base64.b64decode(query["Signature"].translate(str.maketrans("-_~", "+=/")))
    policy = (
        f'{{"Statement":[{{"Resource":"https://cdn.example.com/{QUOTED}",'
        f'"Condition":{{"DateLessThan":{{"AWS:EpochTime":{START + 3600}}}}}}}]}}'
    ).encode()
    public = private(kind).public_key()
    if kind == "rsa":
        public.verify(signature, policy, padding.PKCS1v15(), hashes.SHA1())
    else:
        public.verify(signature, policy, ec.ECDSA(hashes.SHA1()))


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_one_url_for_a_window_in_every_worker(kind: str) -> None:
    def made() -> S3Backend:
        return cdn(cloudfront_key_id=KEY_ID, cloudfront_key=pem(kind), url_life=2000, url_window=1000)

    one, other = made(), made()
    first = one.sign(PHOTO, "GET", 5000)
    assert first.expires == 7000
    assert first == other.sign(PHOTO, "GET", 5999.9) == one.sign(PHOTO, "HEAD", 5500)
    assert one.sign(PHOTO, "GET", 6000).url != first.url != one.sign(PHOTO, "GET", 4999).url


def test_signatures_are_kept_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudfront, "MAX_SIGNATURES", 3)
    signer = CloudFrontSigner(KEY_ID, pem("rsa"), "prod")
    made: list[bytes] = []
    sign = signer._sign
    signer._sign = lambda policy: made.append(policy) or sign(policy)  # type: ignore[func-returns-value,method-assign]
    for number in (1, 2, 3, 3, 2, 1):
        signer.sign(f"https://cdn.example.com/{number}", 5)
    assert len(made) == 3
    signer.sign("https://cdn.example.com/4", 5)  # 3 is what nobody asked for the longest time
    signer.sign("https://cdn.example.com/1", 5)
    assert len(made) == 4
    signer.sign("https://cdn.example.com/3", 5)
    signer.sign("https://cdn.example.com/3", 6)
    assert len(made) == 6
    assert len(signer._kept) == 3


def test_nothing_of_the_key_is_shown() -> None:
    text = pem("rsa").splitlines()[1]
    for thing in (SIGNING, SIGNING._domain, SIGNING._domain._signer, SIGNING.sign(PHOTO, "GET", 0)):  # type: ignore[union-attr]
        assert text not in repr(thing)
        assert "Signature" not in repr(thing)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cloudfront_key_id": KEY_ID}, "belong together"),
        ({"cloudfront_key": "rsa"}, "belong together"),
        ({"cloudfront_key_id": KEY_ID, "cloudfront_key": "rsa", "custom_domain": None}, "without custom_domain"),
        ({"cloudfront_key_id": "", "cloudfront_key": "rsa"}, "cloudfront_key_id: give"),
        ({"cloudfront_key_id": "K&x=y", "cloudfront_key": "rsa"}, "cloudfront_key_id: give"),
        ({"cloudfront_key_id": KEY_ID, "cloudfront_key": "p384"}, "P-256"),
        ({"cloudfront_key_id": KEY_ID, "cloudfront_key": "ed25519"}, "P-256"),
    ],
)
def test_faults(options: dict[str, Any], said: str) -> None:
    kind = options.get("cloudfront_key")
    given = {**options, **({"cloudfront_key": pem(kind)} if kind else {})}
    with pytest.raises(ConfigError, match=said):
        cdn(**given)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        SECRET,
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n",
        b"\xff\xfe",
        "locked",
        "/etc/cloudfront.pem",
        17,
    ],
)
def test_a_bad_key_is_not_repeated(bad: Any) -> None:
    bad = pem("rsa", b"password") if bad == "locked" else bad
    with pytest.raises(ConfigError, match="no private key in PEM without a password") as caught:
        cdn(cloudfront_key_id=KEY_ID, cloudfront_key=bad, name="prod")
    assert caught.value.__suppress_context__
    assert SECRET not in str(caught.value)


def test_an_openssl_that_is_too_old_for_ec(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise UnsupportedAlgorithm("no")

    monkeypatch.setattr(ec, "ECDSA", refuse)
    with pytest.raises(ConfigError, match=r"OpenSSL 3\.2"):
        cdn(cloudfront_key_id=KEY_ID, cloudfront_key=pem("ec"))


def test_without_cryptography() -> None:
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from mediamw import ConfigError, S3Backend\n"
        "S3Backend('a', custom_domain='cdn.example.com')\n"
        "try: S3Backend('a', custom_domain='cdn.example.com', cloudfront_key_id='K', cloudfront_key='x')\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert "pip install 'mediamw[cloudfront]'" in done.stdout
