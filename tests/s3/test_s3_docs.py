"""docs/s3.md is true: its specs and its Python make backends, and its bounds are the code's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mediamw import build_stack
from mediamw.backends import cloudfront, renewal
from mediamw.backends.s3 import S3Reader
from mediamw.core.keys import Key
from mediamw.specs import S3_OPTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "s3.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


SPECS = [line for block in blocks("spec") for line in block.splitlines()]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the page's lines run: with the profiles and files that they name."""
    monkeypatch.chdir(tmp_path)
    names = ("acme-ro", "acme-qa", "acme-cn", "spaces", "r2", "minio")
    keys = "region = eu-west-1\naws_access_key_id = AK\naws_secret_access_key = SK\n"
    (tmp_path / "aws").write_text("".join(f"[profile {name}]\n{keys}" for name in names))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")
    (tmp_path / "corporate-ca.pem").write_text("")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "cloudfront.pem").write_bytes(pem)


def url(made: Any) -> str:
    assert isinstance(made, S3Reader)
    if not made.can_sign(0):
        made.prepare()
    return made.sign(Key("a.jpg"), "GET", 1_800_000_000.0).url


@pytest.mark.parametrize("spec", SPECS)
def test_specs(spec: str, tmp_path: Path) -> None:
    # Copies need a directory in front; what takes writes stands there itself.
    *_, made = build_stack([spec] if "writable=true" in spec else [tmp_path, spec]).backends
    assert "a.jpg" in url(made)


def test_python() -> None:
    names: dict[str, Any] = {}
    for block in blocks("python"):
        exec(compile(block, "docs/s3.md", "exec"), names)
    assert url(names["aws"]).startswith("https://acme-media.s3.eu-west-1.amazonaws.com/uploads/a.jpg?X-Amz-")
    assert url(names["point"]).startswith("https://acme-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/a.jpg?")
    assert re.match(r"https://cdn\.example\.com/a\.jpg\?Expires=\d+&Signature=", url(names["cdn"]))
    assert url(names["behind"]).startswith("https://acme-media.s3.eu-west-1.amazonaws.com/a.jpg?")


def test_every_option_of_a_spec_is_in_the_page() -> None:
    assert {option for option in S3_OPTIONS if not re.search(rf"[?&`]{option}\b", PAGE)} == {"location"}


def test_the_bounds_in_the_design_are_the_code_s() -> None:
    assert (renewal.AHEAD_SECONDS, renewal.RETRY_SECONDS) == (14 * 60, 30)
    assert cloudfront.MAX_SIGNATURES == 4096
