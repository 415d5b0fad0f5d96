"""docs/migrate.md is true: its block runs, its table is the code's."""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from mediamw import storages
from mediamw.cli import migrate as command
from mediamw.storages.migration import migrate
from mediamw.storages.migration.run import BATCH_FILES, FAILURES_IN_A_ROW, JOBS, MAX_LISTINGS
from mediamw.testing import StrictS3

from .migrations import fill

PAGE = (Path(__file__).parents[1] / "docs" / "migrate.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE[PAGE.index("| option |") :].splitlines()[2:]
    if line.startswith("|")
]


def test_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "media", {"a.jpg": b"a", "b/c.jpg": b"c"})
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    spec = "s3://acme-media?writable=true"
    assert spec in code
    storages.clear()
    with StrictS3(keys={"AKID": "secret"}) as s3:
        s3.create_bucket("acme-media")
        monkeypatch.setenv("MEDIAMW_BACKEND_S3_ACCESS_KEY_ID", "AKID")
        monkeypatch.setenv("MEDIAMW_BACKEND_S3_SECRET_ACCESS_KEY", "secret")
        names: dict[str, Any] = {}
        try:
            exec(code.replace(spec, f"{spec}&endpoint_url={s3.endpoint}"), names)
            assert names["report"].is_complete
            assert storages.resolve("local") == storages.resolve("avatars") == "s3"
            assert s3.objects("acme-media") == {"a.jpg": b"a", "b/c.jpg": b"c"}
        finally:
            storages.clear()


def test_the_options() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    there = {option for action in parser._actions for option in action.option_strings} - {"-h", "--help"}
    told = [re.findall(r"`(--[\w-]+)`", row[0]) for row in ROWS]
    assert sorted(option for row in told for option in row) == sorted(there)
    parameters = inspect.signature(migrate).parameters
    named = [name for row in ROWS for name in re.findall(r"`(\w+)`", row[1])]
    assert sorted(named) == sorted(parameters)


def test_the_defaults() -> None:
    defaults = {re.findall(r"\w+", row[1])[0]: row[2] for row in ROWS if row[1] and row[2]}
    parameters = inspect.signature(migrate).parameters
    assert defaults["jobs"] == str(parameters["jobs"].default) == str(JOBS)
    assert defaults["give_up_after"] == str(parameters["give_up_after"].default) == str(FAILURES_IN_A_ROW)
    assert defaults["patience"] == f"{parameters['patience'].default:.0f}"
    assert (defaults["batch"], defaults["verify"]) == (f"1, of processes {BATCH_FILES}", parameters["verify"].default)
    assert (MAX_LISTINGS, FAILURES_IN_A_ROW) == (3, 20), "three times in all, Twenty failures"
