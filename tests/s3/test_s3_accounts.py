"""Where credentials and region come from, and what has no say: the environment, unless it was asked."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.credentials import RefreshableCredentials

from mediamw.backends.base import Remote
from mediamw.backends.s3 import LEAST_REST_SECONDS, S3Backend
from mediamw.testing.strict_s3 import StrictS3

from .s3_world import (
    BUCKET,
    DATA,
    ID,
    SECRET,
    TEMPORARY_ID,
    TEMPORARY_SECRET,
    TOKEN,
    backend,
    fetch,
    key,
    unavailable,
)

PHOTO = key("a/b c.jpg")
NOWHERE = "http://127.0.0.1:9"  # discard: whoever is led here fails at once


@pytest.fixture(autouse=True)
def aws_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An AWS configuration of the test's own; no metadata service is asked."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


def write_profile(folder: Path, name: str, key_id: str, secret: str, config: str = "") -> None:
    with (folder / "credentials").open("a") as file:
        file.write(f"[{name}]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")
    with (folder / "config").open("a") as file:
        file.write(f"[profile {name}]\n{config}\n" if name != "default" else f"[default]\n{config}\n")


def works(made: S3Backend) -> bool:
    """Look up, redirect, read, list: each of them at the right server with the right key."""
    try:
        return (
            isinstance(made.open(PHOTO), Remote)
            and fetch(made.sign(PHOTO, "GET", time.time()).url) == (200, DATA)
            and b"".join(made.read_range(PHOTO, 1, 3, None)) == DATA[1:3]
            and [entry.key for entry in made.list("", recursive=True)] == [PHOTO]
        )
    finally:
        made.close()


# -- what has no say ---------------------------------------------------------------------------------------------------

FOREIGN_ENVIRONMENT = {
    "AWS_PROFILE": "nobody-has-this",
    "AWS_DEFAULT_PROFILE": "nobody-has-this",
    "AWS_ACCESS_KEY_ID": "AKWRONG",
    "AWS_SECRET_ACCESS_KEY": "wrong",
    "AWS_SESSION_TOKEN": "wrong",
    "AWS_DEFAULT_REGION": "ap-south-1",
    "AWS_REGION": "ap-south-1",
    "AWS_ENDPOINT_URL": NOWHERE,
    "AWS_ENDPOINT_URL_S3": NOWHERE,
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
}


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "all"])
@pytest.mark.parametrize("source", ["keys", "profile"])
def test_the_environment_has_no_say(
    s3: StrictS3, aws_files: Path, monkeypatch: pytest.MonkeyPatch, variable: str, source: str
) -> None:
    write_profile(aws_files, "default", "AKWRONG", "wrong", f"endpoint_url = {NOWHERE}\nregion = ap-south-1")
    write_profile(aws_files, "acme-ro", ID, SECRET, f"endpoint_url = {NOWHERE}\nregion = us-east-1")
    for name, value in FOREIGN_ENVIRONMENT.items():
        if variable in (name, "all"):
            monkeypatch.setenv(name, value)
    if source == "keys":
        assert works(backend(s3))
    else:
        assert works(S3Backend(BUCKET, endpoint_url=s3.endpoint, profile="acme-ro"))


@pytest.mark.parametrize("options", [{"access_key_id": ID, "secret_access_key": SECRET}, {"profile": "acme-ro"}, {}])
def test_no_configured_endpoint_replaces_aws(
    aws_files: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    services = (
        f"services = local\n[services local]\ns3 =\n  endpoint_url = {NOWHERE}\nsts =\n  endpoint_url = {NOWHERE}"
    )
    write_profile(aws_files, "acme-ro", ID, SECRET, f"endpoint_url = {NOWHERE}\n{services}")
    monkeypatch.setenv("AWS_PROFILE", "acme-ro")
    for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.setenv(variable, NOWHERE)
    made = S3Backend("acme.dotted", **options)  # a name for which botocore is asked
    made.prepare()
    assert made.sign(PHOTO, "GET", 0).url.startswith("https://s3.us-east-1.amazonaws.com/acme.dotted/a/b%20c.jpg?")
    client = made._account.read_only_client("auto")
    assert client.meta.endpoint_url == "https://s3.us-east-1.amazonaws.com"
    client.close()
    # A role is assumed at STS: not at the one of the environment either.
    sts = made._account._open_session().create_client("sts", region_name="us-east-1")
    assert urlsplit(sts.meta.endpoint_url).hostname.endswith("amazonaws.com")
    sts.close()


def test_dualstack_and_its_like_have_no_say(aws_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = "use_dualstack_endpoint = true\nuse_fips_endpoint = true\ns3 =\n  use_accelerate_endpoint = true\n"
    write_profile(aws_files, "acme-ro", ID, SECRET, extra)
    for variable in ("AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT"):
        monkeypatch.setenv(variable, "true")
    made = S3Backend("acme.dotted", profile="acme-ro")
    made.prepare()
    assert made.sign(PHOTO, "GET", 0).url.startswith("https://s3.us-east-1.amazonaws.com/acme.dotted/")


# -- what has ----------------------------------------------------------------------------------------------------------


def test_the_chain_uses_the_environment(s3: StrictS3, aws_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_profile(aws_files, "default", "AKWRONG", "wrong")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", TEMPORARY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", TEMPORARY_SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    assert works(S3Backend(BUCKET, endpoint_url=s3.endpoint))
    assert {call.access_key_id for call in s3.calls} == {TEMPORARY_ID}


def test_the_chain_uses_the_profile_of_the_environment(
    s3: StrictS3, aws_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profile(aws_files, "acme-ro", ID, SECRET, "region = eu-west-1")
    monkeypatch.setenv("AWS_PROFILE", "acme-ro")
    assert works(S3Backend(BUCKET, endpoint_url=s3.endpoint, region="us-east-1"))
    made = S3Backend(BUCKET)
    made.prepare()
    assert made.sign(PHOTO, "GET", 0).url.startswith("https://prod.s3.eu-west-1.amazonaws.com/")


@pytest.mark.parametrize(
    ("profile_region", "environment", "given_region", "expected"),
    [
        ("eu-west-1", None, None, "eu-west-1"),
        ("eu-west-1", "ap-south-1", None, "eu-west-1"),
        (None, "ap-south-1", None, "us-east-1"),
        (None, None, None, "us-east-1"),
        ("eu-west-1", "ap-south-1", "sa-east-1", "sa-east-1"),
    ],
)
def test_the_region_of_a_profile(
    aws_files: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile_region: str | None,
    environment: str | None,
    given_region: str | None,
    expected: str,
) -> None:
    write_profile(aws_files, "acme-ro", ID, SECRET, f"region = {profile_region}" if profile_region else "")
    if environment:
        monkeypatch.setenv("AWS_DEFAULT_REGION", environment)
    made = S3Backend(BUCKET, profile="acme-ro", region=given_region)
    made.prepare()
    url = made.sign(PHOTO, "GET", 0).url
    assert url.startswith(f"https://prod.s3.{expected}.amazonaws.com/")
    assert f"%2F{expected}%2Fs3%2F" in url


def test_the_region_of_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "cn-north-1")
    made = S3Backend(BUCKET)
    made.prepare()
    assert made.sign(PHOTO, "GET", 0).url.startswith("https://prod.s3.cn-north-1.amazonaws.com.cn/")


def test_what_is_wrong_with_an_account_is_unavailable(aws_files: Path) -> None:
    """Whatever botocore raises, a look-up says that one cannot tell, and the stack goes on to the next backend."""
    assert "AWS configuration (profile=nobody-has-this): " in unavailable(
        lambda: S3Backend(BUCKET, profile="nobody-has-this").open(PHOTO)
    )
    assert "no AWS credentials found" in unavailable(lambda: S3Backend(BUCKET).open(PHOTO))
    assert "no AWS credentials found" in unavailable(lambda: list(S3Backend(BUCKET).list("", recursive=True)))
    write_profile(aws_files, "acme-ro", ID, SECRET)
    arn = S3Backend("arn:aws:s3:nowhere", profile="acme-ro")
    assert "no host for bucket 'arn:aws:s3:nowhere'" in unavailable(lambda: arn.open(PHOTO))
    (aws_files / "config").write_text("[broken\n")
    assert "AWS configuration" in unavailable(lambda: S3Backend(BUCKET).open(PHOTO))


# -- credentials that end ----------------------------------------------------------------------------------------------


class Renewing:
    """A source of temporary credentials as botocore has them; each renewal has a new key id and a life of an hour."""

    def __init__(self, first_life_s: float) -> None:
        self.renewals = 0
        self.life_s: list[float] = [first_life_s]
        self.error: Exception | None = None
        self.source = RefreshableCredentials.create_from_metadata(self.fetch(), self.fetch, "test")

    def fetch(self) -> dict[str, str]:
        if self.error is not None:
            raise self.error
        life_s = self.life_s.pop(0) if self.life_s else 3600.0
        self.renewals += 1
        return {
            "access_key": f"AK{self.renewals}",
            "secret_key": SECRET,
            "token": f"{TOKEN}{self.renewals}",
            "expiry_time": (datetime.now(UTC) + timedelta(seconds=life_s)).isoformat(),
        }


def temporary(renewing: Renewing) -> S3Backend:
    made = S3Backend(BUCKET, region="us-east-1")
    made._account._mine.get().source = renewing.source
    made.prepare()
    return made


def test_credentials_near_their_end_are_renewed() -> None:
    renewing = Renewing(3600)
    made = temporary(renewing)
    now = time.time()
    assert made.can_sign(now)
    assert "AK1%2F" in made.sign(PHOTO, "GET", now).url
    made.prepare()
    assert renewing.renewals == 1  # nothing to renew yet
    assert made.can_sign(now + 3600 - LEAST_REST_SECONDS - 2)
    assert not made.can_sign(now + 3600 - LEAST_REST_SECONDS + 2)
    renewing.source._expiry_time = datetime.now(UTC) + timedelta(seconds=LEAST_REST_SECONDS - 1)
    made.prepare()
    assert renewing.renewals == 2
    assert "AK2%2F" in made.sign(PHOTO, "GET", now).url
    assert made.can_sign(now + 3000)


def test_keys_and_expiry_are_of_one_credential() -> None:
    """The first question renews: the expiry that goes with the old key would be too long for it, or None."""
    renewing = Renewing(60)
    renewing.life_s = [1800]
    credentials = temporary(renewing)._account.credentials()
    assert credentials.access_key_id == "AK2"
    assert credentials.expires is not None
    assert abs(credentials.expires - time.time() - 1800) < 30


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.CredentialRetrievalError(provider="p", error_msg="the role is gone"),
        botocore.exceptions.ClientError(
            {"Error": {"Code": "AccessDenied", "Message": "the role is gone"}}, "AssumeRole"
        ),
        RuntimeError("the role is gone"),
    ],
)
def test_credentials_that_cannot_be_renewed(error: Exception) -> None:
    renewing = Renewing(3600)
    made = temporary(renewing)
    renewing.error = error
    renewing.source._expiry_time = datetime.now(UTC) + timedelta(seconds=10)
    made._signer = None
    assert "the role is gone" in unavailable(made.prepare)


def test_permanent_credentials_are_prepared_once(aws_files: Path) -> None:
    write_profile(aws_files, "acme-ro", ID, SECRET)
    made = S3Backend(BUCKET, profile="acme-ro")
    assert not made.can_sign(time.time())
    assert "before prepare" in unavailable(lambda: made.sign(PHOTO, "GET", time.time()))
    made.prepare()
    signer = made._signer
    made.prepare()
    assert made._signer is signer
    assert made.can_sign(9e9)
