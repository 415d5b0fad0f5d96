"""The project template's variables as they are: each environment, and the URLs that come of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mediamw import LocalBackend, S3Backend
from mediamw.settings import Settings, read_settings

ID, SECRET = "AKREADONLY", "the-secret-of-it"
KEYS = {"AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": SECRET}
PUBLIC = {"STORAGE_MAKE_FILES_PUBLIC": "True", "AWS_S3_CUSTOM_DOMAIN": "cdn.example.com"}
AWS = {"STORAGE_BUCKET_NAME": "acme", "AWS_DEFAULT_REGION": "eu-west-1", **KEYS}
SPACES = {"STORAGES_MODE": "do", "STORAGE_BUCKET_NAME": "acme", **KEYS}
SIGNED = f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ID}%2F"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """In the real environment: in mode s3 it is botocore that finds the keys there."""
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    return read_settings()


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        (AWS, f"https://acme.s3.eu-west-1.amazonaws.com/homes/1%202.jpg{SIGNED}"),
        ({**AWS, "STORAGES_MODE": "s3"}, f"https://acme.s3.eu-west-1.amazonaws.com/homes/1%202.jpg{SIGNED}"),
        ({**AWS, "STORAGES_MODE": ""}, f"https://acme.s3.eu-west-1.amazonaws.com/homes/1%202.jpg{SIGNED}"),
        (
            {**AWS, "AWS_S3_REGION_NAME": "eu-north-1"},
            f"https://acme.s3.eu-north-1.amazonaws.com/homes/1%202.jpg{SIGNED}",
        ),
        (
            {"AWS_STORAGE_BUCKET_NAME": "acme", "AWS_REGION": "us-east-1", **KEYS},
            f"https://acme.s3.us-east-1.amazonaws.com/homes/1%202.jpg{SIGNED}",
        ),
        # Files that are not public are signed, whatever domain there is.
        (
            {**AWS, **PUBLIC, "STORAGE_MAKE_FILES_PUBLIC": "False"},
            f"https://acme.s3.eu-west-1.amazonaws.com/homes/1%202.jpg{SIGNED}",
        ),
        ({**AWS, **PUBLIC}, "https://cdn.example.com/homes/1%202.jpg"),
        ({"STORAGE_BUCKET_NAME": "acme", **PUBLIC}, "https://cdn.example.com/homes/1%202.jpg"),
        (SPACES, f"https://ams3.digitaloceanspaces.com/acme/homes/1%202.jpg{SIGNED}"),
        ({**SPACES, "DO_REGION": "fra1"}, f"https://fra1.digitaloceanspaces.com/acme/homes/1%202.jpg{SIGNED}"),
        (
            {**SPACES, "AWS_DEFAULT_REGION": "eu-west-1"},
            f"https://ams3.digitaloceanspaces.com/acme/homes/1%202.jpg{SIGNED}",
        ),
        (
            {**SPACES, **PUBLIC, "AWS_S3_CUSTOM_DOMAIN": "acme.ams3.cdn.digitaloceanspaces.com"},
            "https://acme.ams3.cdn.digitaloceanspaces.com/homes/1%202.jpg",
        ),
        (
            {**SPACES, **PUBLIC, "AWS_S3_CUSTOM_DOMAIN": "https://media.example.com/files/", "DO_REGION": "nyc3"},
            "https://media.example.com/files/homes/1%202.jpg",
        ),
        # Both names of the bucket, if they agree, and the second in mode do.
        (
            {**AWS, "AWS_STORAGE_BUCKET_NAME": "acme"},
            f"https://acme.s3.eu-west-1.amazonaws.com/homes/1%202.jpg{SIGNED}",
        ),
        (
            {"STORAGES_MODE": "do", "AWS_STORAGE_BUCKET_NAME": "acme", **KEYS},
            f"https://ams3.digitaloceanspaces.com/acme/homes/1%202.jpg{SIGNED}",
        ),
        # What is higher than the template.
        (
            {
                "STORAGES_MODE": "do",
                "STORAGE_BUCKET_NAME": "acme",
                "MEDIAMW_BACKEND_DO_ACCESS_KEY_ID": ID,
                "MEDIAMW_BACKEND_DO_SECRET_ACCESS_KEY": SECRET,
            },
            f"https://ams3.digitaloceanspaces.com/acme/homes/1%202.jpg{SIGNED}",
        ),
        (
            {
                **AWS,
                "AWS_ACCESS_KEY_ID": "AKOTHER",
                "MEDIAMW_BACKEND_S3_ACCESS_KEY_ID": ID,
                "MEDIAMW_BACKEND_S3_SECRET_ACCESS_KEY": SECRET,
            },
            f"https://acme.s3.eu-west-1.amazonaws.com/homes/1%202.jpg{SIGNED}",
        ),
    ],
)
def test_urls(environ: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = read(environ, monkeypatch)
    assert settings.faults == ()
    local, bucket = settings.stack().backends
    assert isinstance(local, LocalBackend)
    assert isinstance(bucket, S3Backend)
    assert (local.root, bucket.name) == (str(tmp_path / "media"), environ.get("STORAGES_MODE") or "s3")
    if not bucket.can_sign(0.0):
        bucket.prepare()
    signed = bucket.sign("homes/1 2.jpg", "GET", 1_800_000_000.0)  # type: ignore[arg-type]
    assert signed.url.partition("%2F")[0] + signed.url.partition("%2F")[1] == url or signed.url == url
    assert (signed.expires is None) == ("?" not in url)
    region = (
        environ.get("DO_REGION", "ams3") if "STORAGES_MODE" in environ and environ["STORAGES_MODE"] == "do" else None
    )
    if region is not None and "?" in url:  # Spaces signs for its own region
        assert f"%2F{region}%2Fs3%2Faws4_request" in signed.url


def test_the_role_is_botocore_s_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read({"STORAGE_BUCKET_NAME": "acme", "AWS_REGION": "eu-west-1"}, monkeypatch)
    bucket = settings.stack().backends[1]
    assert isinstance(bucket, S3Backend)
    assert (bucket._renewal is not None, bucket.can_sign(0.0)) == (True, False)


@pytest.mark.parametrize(("text", "root"), [("uploads", "uploads"), ("a=b", "a=b"), ("my media", "my media")])
def test_the_local_directory(text: str, root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = read({**AWS, "MEDIAMW_LOCAL_DIR": text}, monkeypatch)
    local = settings.stack().backends[0]
    assert isinstance(local, LocalBackend)
    assert (local.name, local.root) == ("local", str(tmp_path / root))
    assert settings.backends[0].source == "environment variable MEDIAMW_LOCAL_DIR"


@pytest.mark.parametrize(
    ("environ", "faults"),
    [
        (
            {"STORAGES_MODE": "s3"},
            [("E012", "STORAGE_BUCKET_NAME", "not set", "no bucket is named: set STORAGE_BUCKET_NAME")],
        ),
        ({"STORAGE_MAKE_FILES_PUBLIC": "no"}, [("E012", "STORAGE_BUCKET_NAME", "not set", "no bucket is named")]),
        (
            {**AWS, "STORAGES_MODE": "spaces"},
            [
                (
                    "E013",
                    "STORAGES_MODE",
                    "environment variable STORAGES_MODE",
                    "unknown mode 'spaces'; there are s3, do",
                )
            ],
        ),
        ({**AWS, "STORAGES_MODE": "S3"}, [("E013", "STORAGES_MODE", "environment variable STORAGES_MODE", "mean s3?")]),
        (
            {"STORAGES_MODE": "do", "STORAGE_BUCKET_NAME": "acme"},
            [
                ("E012", "AWS_ACCESS_KEY_ID", "not set", "Spaces has no roles: set it"),
                ("E012", "AWS_SECRET_ACCESS_KEY", "not set", "Spaces has no roles: set it"),
            ],
        ),
        (
            {"STORAGE_BUCKET_NAME": "acme", "AWS_ACCESS_KEY_ID": ID},
            [("E012", "AWS_SECRET_ACCESS_KEY", "not set", "the other half is set: set it")],
        ),
        (
            {**AWS, "STORAGE_MAKE_FILES_PUBLIC": "true"},
            [("E012", "AWS_S3_CUSTOM_DOMAIN", "not set", "no domain shows them: set it, or unset STORAGE_MAKE")],
        ),
        (
            {**AWS, "STORAGE_MAKE_FILES_PUBLIC": "maybe"},
            [("E013", "STORAGE_MAKE_FILES_PUBLIC", "environment variable STORAGE_MAKE_FILES_PUBLIC", "write 1 or 0")],
        ),
        (
            {**SPACES, "DO_REGION": "eu-west-1"},
            [("E013", "DO_REGION", "environment variable DO_REGION", "write it as ams3, fra1")],
        ),
        (
            {**AWS, "STORAGE_BUCKET_NAME": "s3://acme"},
            [("E013", "STORAGE_BUCKET_NAME", "environment variable STORAGE_BUCKET_NAME", "the bucket's name alone")],
        ),
        (
            {**AWS, "AWS_STORAGE_BUCKET_NAME": "other"},
            [("E013", "STORAGE_BUCKET_NAME", "environment variable STORAGE_BUCKET_NAME", "unset one of them")],
        ),
        (
            {"STORAGES_MODE": "do", "STORAGE_MAKE_FILES_PUBLIC": "1"},
            [("E012", name, "not set", "") for name in ("STORAGE_BUCKET_NAME", *KEYS, "AWS_S3_CUSTOM_DOMAIN")],
        ),
        (
            {**AWS, **PUBLIC, "AWS_S3_CUSTOM_DOMAIN": "cdn"},
            [
                (
                    "E007",
                    "backends.s3",
                    "environment variable AWS_S3_CUSTOM_DOMAIN",
                    "custom_domain: give cdn.example.com",
                )
            ],
        ),
        (
            {**AWS, "AWS_DEFAULT_REGION": "eu-west1"},
            [("E007", "backends.s3", "environment variable AWS_DEFAULT_REGION", "write it as eu-west-1 is written")],
        ),
        (
            {**AWS, "MEDIAMW_LOCAL_DIR": f"./media s3://AK:{SECRET}@acme"},
            [("E013", "MEDIAMW_LOCAL_DIR", "environment variable MEDIAMW_LOCAL_DIR", "stand in MEDIAMW_BACKENDS")],
        ),
        (
            {**SPACES, "MEDIAMW_BACKEND_DO_ACCESS_KEY_ID": ID},
            [
                (
                    "E007",
                    "backends.do",
                    "environment variable STORAGE_BUCKET_NAME, environment variable MEDIAMW_BACKEND_DO_ACCESS_KEY_ID",
                    "belong together: one is missing, secret_access_key",
                )
            ],
        ),
    ],
)
def test_faults(
    environ: dict[str, str], faults: list[tuple[str, str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read(environ, monkeypatch).faults
    assert [(fault.id.partition(".")[2], fault.setting, fault.source) for fault in found] == [row[:3] for row in faults]
    for fault, row in zip(found, faults, strict=True):
        assert row[3] in fault.reason
        assert not re.search(SECRET, str(fault))
