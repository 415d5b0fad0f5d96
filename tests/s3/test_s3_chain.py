"""Every link of botocore's chain, with something real behind it: files, a program, HTTP services on loopback.

The environment, profiles and explicit keys are in test_s3_accounts.py, an assumed role in test_s3_network.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mediamw.backends.base import Remote
from mediamw.backends.s3 import S3Backend
from mediamw.testing.strict_s3 import StrictS3

from .s3_world import BUCKET, ID, SECRET, TEMPORARY_ID, TEMPORARY_SECRET, TOKEN, key, unavailable

PHOTO = key("a/b c.jpg")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Service:
    """HTTP that answers paths with JSON or text, and keeps who asked."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.asked: list[tuple[str, str, str | None]] = []  # method, path, Authorization or the token of IMDS
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = self.headers.get("Authorization") or self.headers.get("x-aws-ec2-metadata-token")
                service.asked.append((self.command, self.path, token))
                body = service.answers.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or "")))
                self.end_headers()
                self.wfile.write((body or "").encode())

            do_PUT = do_GET

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


def temporary_json(**more: str) -> str:
    return json.dumps(
        {
            "AccessKeyId": TEMPORARY_ID,
            "SecretAccessKey": TEMPORARY_SECRET,
            "Token": TOKEN,
            "Expiration": in_an_hour(),
            **more,
        }
    )


@pytest.fixture
def check(s3: StrictS3) -> Iterator[Callable[..., None]]:
    """Look a file up, and see with which key it was asked for."""
    made: list[S3Backend] = []

    def run(expected: str, *, is_temporary: bool, **options: str) -> None:
        prod = S3Backend(BUCKET, endpoint_url=s3.endpoint, **options)  # type: ignore[arg-type]
        made.append(prod)
        assert isinstance(prod.open(PHOTO), Remote)
        assert {call.access_key_id for call in s3.calls} == {expected}
        assert prod._signer is not None
        assert (prod._signer.credentials.expires is not None) == is_temporary
        assert len(prod._renewal._runs) == is_temporary  # type: ignore[union-attr]

    yield run
    for prod in made:
        prod.close()


def test_the_shared_credentials_file(home: Path, check: Callable[..., None]) -> None:
    (home / "credentials").write_text(f"[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n")
    check(ID, is_temporary=False)


@pytest.mark.parametrize("expires", [True, False])
def test_a_credential_process(home: Path, check: Callable[..., None], expires: bool) -> None:
    said = {
        "Version": 1,
        "AccessKeyId": TEMPORARY_ID,
        "SecretAccessKey": TEMPORARY_SECRET,
        "SessionToken": TOKEN,
        **({"Expiration": in_an_hour()} if expires else {}),
    }
    (home / "answer.py").write_text(f"print({json.dumps(said)!r})")
    (home / "config").write_text(f"[profile tool]\ncredential_process = {sys.executable} {home / 'answer.py'}\n")
    check(TEMPORARY_ID, is_temporary=expires, profile="tool")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("/missing/program", "/missing/program"),
        (f"{sys.executable} -c 'raise SystemExit(\"log in first\")'", "log in first"),
        (f"{sys.executable} -c 'print(1, 2)'", "AWS credentials (profile=tool)"),
        (f"{sys.executable} -c 'print(\"{{}}\")'", "AWS credentials (profile=tool)"),
        (f'{sys.executable} -c \'print("{{\\"Version\\": 1}}")\'', "AccessKeyId"),
    ],
)
def test_a_credential_process_that_fails(home: Path, program: str, said: str) -> None:
    (home / "config").write_text(f"[profile tool]\ncredential_process = {program}\n")
    assert said in unavailable(lambda: S3Backend(BUCKET, profile="tool").open(PHOTO))


def test_a_container_s_credentials(
    service: Service, check: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answers["/role"] = temporary_json()
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/role")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-token")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # it stands beside the program: no proxy is asked
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    check(TEMPORARY_ID, is_temporary=True)
    assert service.asked == [("GET", "/role", "pod-token")]


def test_the_metadata_service(service: Service, check: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    role = "/latest/meta-data/iam/security-credentials/"
    service.answers = {
        "/latest/api/token": "imds-token",
        role: "reader",
        f"{role}reader": temporary_json(Code="Success", Type="AWS-HMAC", LastUpdated=in_an_hour()),
    }
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
    check(TEMPORARY_ID, is_temporary=True, region="us-east-1")
    assert ("GET", f"{role}reader", "imds-token") in service.asked


def test_nobody_has_any(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    said = unavailable(lambda: S3Backend(BUCKET).open(PHOTO))
    assert "no AWS credentials found: give profile=NAME, or keys, or set AWS_ACCESS_KEY_ID" in said
    of_a_spec = unavailable(lambda: S3Backend(BUCKET, name="prod-2").open(PHOTO))
    assert "MEDIAMW_BACKEND_PROD_2_ACCESS_KEY_ID and MEDIAMW_BACKEND_PROD_2_SECRET_ACCESS_KEY for a spec" in of_a_spec
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)  # before it asks again
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/nothing")
    assert "AWS credentials: " in unavailable(lambda: S3Backend(BUCKET).open(PHOTO))


SESSION = "sso_session = acme\nsso_account_id = 1\nsso_role_name = r\n[sso-session acme]\n"
PLACE = "sso_region = us-east-1\nsso_start_url = https://acme.awsapps.com/start\n"


@pytest.mark.parametrize("has_token", [True, False], ids=["expired", "never logged in"])
@pytest.mark.parametrize("is_session", [True, False])
def test_sso_that_expired(home: Path, has_token: bool, is_session: bool) -> None:
    legacy = f"{PLACE}sso_account_id = 1\nsso_role_name = r\n"
    (home / "config").write_text("[profile acme-ro]\n" + (SESSION + PLACE if is_session else legacy))
    if has_token and is_session:
        cache = home / ".aws" / "sso" / "cache"
        cache.mkdir(parents=True)
        token = {
            "startUrl": "https://acme.awsapps.com/start",
            "accessToken": TOKEN,
            "expiresAt": "2020-01-01T00:00:00Z",
        }
        (cache / f"{sha1(b'acme').hexdigest()}.json").write_text(json.dumps(token))
    said = unavailable(lambda: S3Backend(BUCKET, profile="acme-ro").open(PHOTO))
    assert "(profile=acme-ro): the SSO session has expired, or nobody has logged in" in said
    assert said.endswith("run aws sso login --profile acme-ro")


def test_a_profile_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "config").write_text("[profile acme]\n")
    said = unavailable(lambda: S3Backend(BUCKET, profile="acme-or").open(PHOTO))
    assert "AWS configuration (profile=acme-or): " in said
    assert "correct profile= or AWS_PROFILE, or add it to ~/.aws/config" in said
    monkeypatch.setenv("AWS_PROFILE", "acme-or")
    assert "acme-or" in unavailable(lambda: S3Backend(BUCKET).open(PHOTO))
