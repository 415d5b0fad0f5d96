"""``mediamw migrate`` killed at random: each object is there, right, and stored once.

A target's log says what was begun and what was stored. What was stored is never stored again, journaled or not; what
was under way at a kill may be begun again: at most as many as there are threads.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediamw.testing import StrictS3

from .killing import MEMORY
from .migrations import command, environment, files_of, fill, noted

JOBS = 8
WORDS = ("--app", "shop", "--from", "local", "--to", "new", "--jobs", str(JOBS))
LOCAL = """
from mediamw import storages
from tests.migrations import Counted
storages.configure("local", "./local")
storages.configure("new", Counted("new", "log"))
"""
BUCKET = """
import os
from mediamw import WritableS3Backend, storages
storages.configure("local", "./local")
storages.configure("new", WritableS3Backend("media", location="up", endpoint_url=os.environ["ENDPOINT"],
    access_key_id="AKID", secret_access_key="secret"))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as made:
        yield Path(made)


def contents(count: int) -> dict[str, bytes]:
    """Small files, no two alike, in a few folders."""
    return {f"{at % 7}/{at:05}.bin": f"{at} ".encode() * (at % 50 + 1) for at in range(count)}


def kill_again_and_again(
    folder: Path, kills: int, count: int, stored: Callable[[], int], **more: str
) -> subprocess.CompletedProcess[bytes]:
    """Start the command, kill it once so many are stored, ``kills`` times; then let it end."""
    chance = random.Random(kills * count)
    for moment in sorted(chance.sample(range(1, count * 9 // 10), kills)):
        child = subprocess.Popen(
            command(*WORDS), cwd=folder, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        while stored() < moment and child.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.02))
        child.kill()
        said, _ = child.communicate()
        assert child.returncode == -signal.SIGKILL, said.decode()
    return subprocess.run(command(*WORDS), cwd=folder, env=environment(**more), capture_output=True, timeout=170)


def check_journal(folder: Path, count: int) -> None:
    journal = sqlite3.connect(folder / "migrate-local-new.sqlite3")
    try:
        assert journal.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert journal.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall() == [("done", count)]
        assert journal.execute("SELECT count(*) FROM files WHERE length(checksum) != 64").fetchone() == (0,)
    finally:
        journal.close()


def check_local(folder: Path, count: int, kills: int) -> None:
    files, log = contents(count), folder / "log"
    fill(folder / "local", files)
    (folder / "shop.py").write_text(LOCAL)
    lines = _Lines(log)
    ended = kill_again_and_again(folder, kills, count, lines.stored)
    assert ended.returncode == 0, ended.stderr.decode()
    assert f"all {count:,} files of 'local'" in ended.stdout.decode()
    assert files_of(folder / "new") == files
    begun, stored = noted(log)
    assert set(begun) == set(files)
    assert not [key for key, times in stored.items() if times > 1], "stored, and then stored again"
    assert begun.total() <= count + JOBS * kills
    check_journal(folder, count)
    again = subprocess.run(command(*WORDS), cwd=folder, env=environment(), capture_output=True, timeout=100)
    assert (again.returncode, noted(log)[0]) == (0, begun), "a run with nothing to do stores nothing"


class _Lines:
    """How many files the log says are stored, read as it grows."""

    def __init__(self, log: Path) -> None:
        self._log, self._at, self._count = log, 0, 0

    def stored(self) -> int:
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._at)
                new = file.read()
            self._at += len(new)
            self._count += new.count(b"stored")
        return self._count


def test_a_few_kills(folder: Path) -> None:
    check_local(folder, 300, 3)


@pytest.mark.slow
def test_twenty_thousand_objects_and_ten_kills(folder: Path) -> None:
    check_local(folder, 20_000, 10)


@pytest.mark.slow
def test_into_a_bucket(folder: Path) -> None:
    count, kills = 500, 5
    files = contents(count)
    fill(folder / "local", files)
    (folder / "shop.py").write_text(BUCKET)
    with StrictS3(keys={"AKID": "secret"}) as s3:
        s3.create_bucket("media")

        def puts() -> list[str]:
            ours = [call for call in s3.writes if call.method == "PUT" and "/.mediamw/" not in call.key]
            return [call.key.removeprefix("up/") for call in ours if call.status == 200]

        ended = kill_again_and_again(folder, kills, count, lambda: len(puts()), ENDPOINT=s3.endpoint)
        assert ended.returncode == 0, ended.stdout.decode() + ended.stderr.decode()
        assert {key.removeprefix("up/"): data for key, data in s3.objects("media").items()} == files
        assert [key for key, times in Counter(puts()).items() if times > 1] == []
        assert set(puts()) == set(files)
        assert not [call for call in s3.writes if call.method == "DELETE" and "/.mediamw/" not in call.key]
        check_journal(folder, count)
