"""Proxies and certificates: they reach our own requests, listings and STS, and are the machine's, not the account's.

The hosts are AWS's: a proxy on loopback takes the connections to them (``fake_aws.py``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediamw import ConfigError
from mediamw.backends.base import Remote
from mediamw.backends.s3 import S3Backend
from mediamw.core.errors import Unreachable
from mediamw.testing.strict_s3 import StrictS3

from .fake_aws import FakeAWS
from .s3_world import (
    BUCKET,
    DATA,
    ID,
    SECRET,
    TEMPORARY_ID,
    TEMPORARY_SECRET,
    TOKEN,
    Clock,
    backend,
    key,
    s3_server,
    unavailable,
)

PHOTO = key("a/b c.jpg")
NOWHERE = "http://127.0.0.1:9"
KEYS = {"access_key_id": ID, "secret_access_key": SECRET}
HOST = "prod.s3.us-east-1.amazonaws.com:443"


@pytest.fixture
def amazon(clock: Clock) -> Iterator[StrictS3]:
    with s3_server(clock, virtual_host_suffix="s3.us-east-1.amazonaws.com") as server:
        yield server


@pytest.fixture
def aws(amazon: StrictS3, tmp_path: Path) -> Iterator[FakeAWS]:
    made = FakeAWS(tmp_path, amazon.port, (TEMPORARY_ID, TEMPORARY_SECRET, TOKEN))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No proxy and no bundle of the machine's, an AWS configuration of the test's own."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


def works(made: S3Backend) -> bool:
    try:
        return (
            isinstance(made.open(PHOTO), Remote)
            and b"".join(made.read_range(PHOTO, 1, 3, None)) == DATA[1:3]
            and [entry.key for entry in made.list("", recursive=True)] == [PHOTO]
        )
    finally:
        made.close()


def test_two_backends_of_one_process(
    amazon: StrictS3, aws: FakeAWS, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys and profile of the environment are for the chain alone, endpoints for nobody, proxies and CA for both."""
    (files / "config").write_text(f"[default]\nendpoint_url = {NOWHERE}\n[profile acme]\nendpoint_url = {NOWHERE}\n")
    (files / "credentials").write_text(
        f"[default]\naws_access_key_id = AKWRONG\naws_secret_access_key = wrong\n"
        f"[acme]\naws_access_key_id = {TEMPORARY_ID}\naws_secret_access_key = {TEMPORARY_SECRET}\n"
        f"aws_session_token = {TOKEN}\n"
    )
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.setenv(name, NOWHERE)
    monkeypatch.setenv("HTTPS_PROXY", aws.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(aws.ca_file))
    monkeypatch.setenv("AWS_PROFILE", "acme")
    explicit, chain = S3Backend(BUCKET, **KEYS), S3Backend(BUCKET)
    for made, expected in ((explicit, ID), (chain, TEMPORARY_ID)):
        amazon.clear_calls()
        aws.hosts.clear()
        assert works(made)
        assert {call.access_key_id for call in amazon.calls} == {expected}
        assert set(aws.hosts) == {HOST}
    # And by keys in the environment, which win over the profile's.
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    temporary = {"access_key_id": TEMPORARY_ID, "secret_access_key": TEMPORARY_SECRET, "session_token": TOKEN}
    for made, expected in ((S3Backend(BUCKET, **temporary), TEMPORARY_ID), (S3Backend(BUCKET), ID)):
        amazon.clear_calls()
        assert works(made)
        assert {call.access_key_id for call in amazon.calls} == {expected}


@pytest.mark.parametrize("source", ["keys", "chain"])
def test_given_proxies_win_over_the_environment(aws: FakeAWS, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", NOWHERE)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    keys = KEYS if source == "keys" else {}
    assert works(S3Backend(BUCKET, proxies={"https": aws.url}, verify=str(aws.ca_file), **keys))
    assert set(aws.hosts) == {HOST}


def test_the_environment_s_proxy_and_its_exceptions(s3: StrictS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    made = backend(s3)
    unavailable(lambda: made.open(PHOTO))
    made.close()
    made = backend(s3, proxies={})  # none at all
    assert works(made)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert works(backend(s3))


@pytest.mark.parametrize("how", ["option", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "profile", "not at all", "False"])
def test_whose_certificates_are_believed(aws: FakeAWS, files: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    options: dict[str, Any] = {"proxies": {"https": aws.url}}
    if how == "profile":
        (files / "config").write_text(
            f"[profile acme]\nca_bundle = {aws.ca_file}\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n"
        )
        options["profile"] = "acme"
    else:
        options |= KEYS
    if how in ("option", "False"):
        options["verify"] = str(aws.ca_file) if how == "option" else False
    elif how.endswith("BUNDLE"):
        monkeypatch.setenv(how, str(aws.ca_file))
    with pytest.warns() if how == "False" else _nothing():
        if how == "not at all":
            said = unavailable(lambda: S3Backend(BUCKET, **options).open(PHOTO))
            assert "https://prod.s3.us-east-1.amazonaws.com could not be reached" in said
            assert said.endswith("(check region=us-east-1)")
            with pytest.raises(Unreachable, match="could not be reached: SSLError"):
                list(S3Backend(BUCKET, **options).list("", recursive=True))
        else:
            assert works(S3Backend(BUCKET, **options))


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


def test_the_bundle_of_a_profile_is_not_for_explicit_keys(aws: FakeAWS, files: Path) -> None:
    (files / "config").write_text(f"[default]\nca_bundle = {aws.ca_file}\n")
    made = S3Backend(BUCKET, proxies={"https": aws.url}, **KEYS)
    assert made._account.verify() is True


@pytest.mark.parametrize("how", ["options", "environment"])
def test_a_role_is_assumed_over_the_same_network(
    amazon: StrictS3, aws: FakeAWS, files: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (files / "config").write_text(
        "[profile reader]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = base\n"
        "region = us-east-1\n"
    )
    (files / "credentials").write_text("[base]\naws_access_key_id = AKBASE\naws_secret_access_key = base\n")
    options: dict[str, Any] = {"proxies": {"https": aws.url}, "verify": str(aws.ca_file)} if how == "options" else {}
    if how == "environment":
        monkeypatch.setenv("HTTPS_PROXY", aws.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(aws.ca_file))
    made = S3Backend(BUCKET, profile="reader", **options)
    assert works(made)
    assert {call.access_key_id for call in amazon.calls} == {TEMPORARY_ID}
    assert {host.partition(".")[0] for host in aws.hosts} == {"sts", "prod"}
    signed = made.sign(PHOTO, "GET", time.time())
    assert signed.expires is not None
    assert signed.expires <= time.time() + 3600
    made.close()


def test_sts_out_of_reach(files: Path) -> None:
    (files / "config").write_text(
        "[profile reader]\nrole_arn = arn:aws:iam::123456789012:role/reader\nsource_profile = base\n"
    )
    (files / "credentials").write_text("[base]\naws_access_key_id = AKBASE\naws_secret_access_key = base\n")
    proxy = f"http://user:{SECRET}@127.0.0.1:9"
    made = S3Backend(BUCKET, profile="reader", proxies={"https": proxy})
    said = unavailable(lambda: made.open(PHOTO))
    assert "AWS credentials (profile=reader): " in said
    assert "127.0.0.1:9" not in said  # nor anything else of the proxy's URL
    assert "could not be reached: ProxyConnectionError (check the network, HTTPS_PROXY, proxies= and verify=)" in said
    with pytest.raises(Unreachable):
        made.prepare()


def test_a_proxy_s_password_is_never_shown(files: Path) -> None:
    proxy = f"http://user:{SECRET}@127.0.0.1:9"
    made = S3Backend(BUCKET, proxies={"https": proxy}, access_key_id=ID, secret_access_key="other")
    unavailable(lambda: made.open(PHOTO))
    unavailable(lambda: list(made.list("", recursive=True)))
    for thing in (made, made._account, made._http):
        assert SECRET not in repr(thing)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"proxies": f"http://u:{SECRET}@h"}, "proxies: str is no mapping; give a mapping, such as {'https': "),
        ({"proxies": {"https": f"socks5://u:{SECRET}@h"}}, "proxies: the value of 'https' is no URL of an HTTP proxy"),
        ({"proxies": {"http": "", "https": f"http://u:{SECRET}@"}}, "proxies: the value of 'https' is no URL"),
        ({"proxies": {"socks": f"http://u:{SECRET}@h"}}, "proxies: 'socks' is no scheme of origins, which are http"),
        ({"proxies": {"https": 8080}}, "proxies: the value of 'https' is no URL of an HTTP proxy"),
        ({"verify": "/missing/ca.pem"}, "verify: there is no CA bundle '/missing/ca.pem'"),
        ({"verify": 1}, "verify: it is False, or the path"),
    ],
)
def test_faults(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        S3Backend(BUCKET, **options)
    assert said in str(caught.value)
    assert SECRET not in repr(caught.value)
