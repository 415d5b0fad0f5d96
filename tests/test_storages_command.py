"""``mediamw storages``: what the names of a project stand for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediamw import storages
from mediamw.cli import main

ENVIRON = {
    "MEDIAMW_STORAGES": "local s3",
    "MEDIAMW_STORAGE_LOCAL_BACKENDS": "depot:./media",
    "MEDIAMW_STORAGE_S3_BACKENDS": "s3://acme-media?region=eu-west-1",
    "MEDIAMW_BACKEND_S3_ACCESS_KEY_ID": "AK",
    "MEDIAMW_BACKEND_S3_SECRET_ACCESS_KEY": "hush",
    "MEDIAMW_STORAGE_ALIASES": "avatars=docs docs=local",
    "MEDIAMW_STORAGE_REMAP": "prod=avatars",
    "MEDIAMW_STORAGE_DEFAULT": "avatars",
}


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MEDIAMW_")]:
        monkeypatch.delenv(name)
    for name, text in ENVIRON.items():
        monkeypatch.setenv(name, text)
    yield
    storages.clear()


def test_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["storages", "list"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines() == [
        f"local    storage         DepotDirectory({str(tmp_path / 'media')!r}, name='depot')",
        "s3       storage         S3Backend('s3://acme-media', name='s3')",
        "docs     alias           -> local",
        "avatars  alias, default  -> local, by way of docs",
        "prod     remapped        -> local, by way of avatars",
    ]
    assert "hush" not in printed


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["storages", "list", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["default"] == "avatars"
    assert told["names"][-1] == {
        "name": "prod",
        "kind": "remapped",
        "target": "avatars",
        "storage": "local",
        "backends": told["names"][0]["backends"],
    }


def test_faults(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MEDIAMW_STORAGE_ALIASES", "avatars=lokal")
    monkeypatch.setenv("MEDIAMW_STORAGE_S3_NAMES", "errr")
    assert main(["storages", "list"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("mediamw: mediamw.E0") for line in lines)
    assert len(lines) == 4, lines
    monkeypatch.delenv("MEDIAMW_STORAGES")
    assert main(["storages", "list"]) == 2
    assert "give --app MODULE, or set MEDIAMW_STORAGES" in capsys.readouterr().err


def test_a_module_that_finds_no_storages_is_told_so_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop_without.py").write_text("from mediamw import storages\nstorages.load_environment()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("MEDIAMW_STORAGES", raising=False)
    assert main(["storages", "list", "--app", "shop_without"]) == 2
    said = "mediamw: mediamw.E017 storages (not set): no storages are named: set MEDIAMW_STORAGES='local'"
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert len(err.splitlines()) == 1  # nothing of `stack.explain`, which is of other commands
