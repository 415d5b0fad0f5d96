"""``mediamw config``: every setting with its source, no secret; and that the other commands use what it shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mediamw.cli import main
from mediamw.cli.config import _rows
from mediamw.settings import read_settings
from mediamw.settings.options import OPTIONS

SECRET = "the-secret-of-it"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.txt").write_text("hello")
    (tmp_path / "mediamw.toml").write_text("max_age = 60\nadd_headers = 'config_rules:add'")
    (tmp_path / "config_rules.py").write_text("def add(key, status):\n    return {}\n")
    monkeypatch.setenv("MEDIAMW_BACKENDS", "./media prod=s3://acme?region=eu-west-1")
    monkeypatch.setenv("MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID", "AKREADONLY")
    monkeypatch.setenv("MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("MEDIAMW_PREFIX", "/files/")
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which the commands add the project
    monkeypatch.delitem(sys.modules, "config_rules", raising=False)
    return tmp_path


def test_what_it_prints(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.splitlines()]
    assert rows[:7] == [
        [
            "backends.local",
            f"LocalBackend('{project / 'media'}', name='local')",
            "environment variable MEDIAMW_BACKENDS",
        ],
        ["backends.prod", "S3Backend('s3://acme', name='prod')", "environment variable MEDIAMW_BACKENDS"],
        ["backends.prod.region", "eu-west-1", "environment variable MEDIAMW_BACKENDS"],
        ["backends.prod.access_key_id", "****", "environment variable MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID"],
        ["backends.prod.secret_access_key", "****", "environment variable MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY"],
        ["enabled", "True", "default"],
        ["prefix", "/files/", "environment variable MEDIAMW_PREFIX"],
    ]
    assert ["max_age", "60", "mediamw.toml: max_age"] in rows
    assert ["add_headers", "config_rules:add", "mediamw.toml: add_headers"] in rows
    assert ["base_url", "/files/", "default"] in rows
    assert [row[0] for row in rows[5:]] == list(OPTIONS)
    assert SECRET not in out
    assert "AKREADONLY" not in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {row["setting"]: (row["value"], row["source"]) for row in told["settings"]}
    assert told["faults"] == []
    assert rows["max_age"] == (60, "mediamw.toml: max_age")
    assert rows["backends.prod.secret_access_key"][0] == "****"
    assert rows["add_headers"][0] == "config_rules:add"


def test_secrets_of_the_template(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGES_MODE", "do")
    for name in ("MEDIAMW_BACKENDS", "MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID", "MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("STORAGE_BUCKET_NAME", "acme")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKREADONLY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert main(["config"]) == 0
    out = capsys.readouterr().out
    assert "backends.do.secret_access_key" in out
    assert "environment variable AWS_SECRET_ACCESS_KEY" in out
    assert SECRET not in out
    rows = [line.split() for line in out.splitlines()]
    assert ["backends.do.region", "ams3", "default"] in rows
    monkeypatch.setenv("DO_REGION", "fra1")
    assert main(["config"]) == 0
    rows = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert ["backends.do.region", "fra1", "environment variable DO_REGION"] in rows


def test_options_of_backends(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDIAMW_BACKENDS")
    Path("mediamw.toml").write_text(
        """[[backends]]
spec = "./media"
[[backends]]
spec = "prod=s3://acme/up?region=eu-west-1&exclude=a%20b&exclude=*.tmp&delivery_by=proxy:*.svg&check=true"
url_life = 7200
proxies = {https = "http://proxy.example.com:3128"}
"""
    )
    assert main(["config", "--json"]) == 0
    rows = {row["setting"]: (row["value"], row["source"]) for row in json.loads(capsys.readouterr().out)["settings"]}
    assert {name: row for name, row in rows.items() if name.startswith("backends.prod.")} == {
        "backends.prod.region": ("eu-west-1", "mediamw.toml: backends[1]"),
        "backends.prod.exclude": (["a b", "*.tmp"], "mediamw.toml: backends[1]"),
        "backends.prod.delivery_by": ({"*.svg": "proxy"}, "mediamw.toml: backends[1]"),
        "backends.prod.check": (True, "mediamw.toml: backends[1]"),
        "backends.prod.url_life": (7200, "mediamw.toml: backends[1]"),
        "backends.prod.proxies": ({"https": "http://proxy.example.com:3128"}, "mediamw.toml: backends[1]"),
        "backends.prod.access_key_id": ("****", "environment variable MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID"),
        "backends.prod.secret_access_key": ("****", "environment variable MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY"),
    }


def test_what_code_gives_is_masked_too() -> None:
    Path("mediamw.toml").unlink()
    proxies = {"https": f"http://qa:{SECRET}@proxy.example.com"}
    backend = {"spec": "s3://acme", "access_key_id": "AK", "secret_access_key": SECRET, "proxies": proxies}
    rows = {row.setting: row.value for row in _rows(read_settings({"backends": ["memory:", backend]}, environ={}))}
    assert [rows[f"backends.s3.{option}"] for option in ("access_key_id", "secret_access_key", "proxies")] == [
        "****"
    ] * 3
    assert SECRET not in str(rows)


def test_faults(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMW_PREFIX", "files")
    monkeypatch.setenv("MEDIAMW_DEBUG", "x")
    assert main(["config", "--json"]) == 2
    out, err = capsys.readouterr()
    assert [(fault["id"], fault["setting"]) for fault in json.loads(out)["faults"]] == [
        ("mediamw.E006", "prefix"),
        ("mediamw.E002", "debug"),
    ]
    assert [line[:22] for line in err.splitlines()] == ["mediamw: mediamw.E006 ", "mediamw: mediamw.E002 "]


def test_explain_takes_the_settings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["explain", "a.txt"]) == 0
    assert "held by backend 'local': 200" in capsys.readouterr().out
    monkeypatch.setenv("MEDIAMW_BACKENDS", "./media")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"MEDIAMW_BACKEND_PROD_{name}")
    assert main(["explain", "/files/b.txt"]) == 2
    assert "the key is what stands behind /files/: b.txt" in capsys.readouterr().err
    assert main(["explain", "--prefix", "/m/", "/m/b.txt"]) == 2
    assert "the key is what stands behind /m/: b.txt" in capsys.readouterr().err


def test_backends_of_the_command_line_leave_the_settings_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAMW_PREFIX", "wrong")
    assert main(["explain", "--backend", "./media", "a.txt"]) == 0
    assert "200" in capsys.readouterr().out


def test_secrets_of_backends_of_the_command_line_count(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAMW_NONSENSE", "1")
    monkeypatch.delenv("MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY")
    given = ["--backend", "./media", "--backend", "prod=s3://acme", "--backend", "ftp://x", "--prefix", "media"]
    for words in (["explain", *given, "a.txt"], ["serve", "--port", "0", *given]):
        assert main(words) == 2
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(":")[1].strip() for line in lines] == [
            "mediamw.E006 prefix (--prefix)",
            "mediamw.E007 backends.prod (--backend[1], environment variable MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID)",
            "mediamw.E007 backends.ftp (--backend[2])",
        ]


def test_a_reader_who_stops_early_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        command = [sys.executable, "-m", "mediamw", "config"]
        ended = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (1, "")
