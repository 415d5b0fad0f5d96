"""``mediamw explain``: what it prints, and with which status it ends. What is explained: tests/test_explain.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mediamw.cli import main
from mediamw.testing import StrictS3

ID, SECRET = "AKREADONLY", "the-secret-of-it"


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    os.mkfifo(folder / "fifo")
    return folder


def explain(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    status = main(["explain", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize(
    ("key", "status", "last"),
    [
        ("a.txt", 0, "  -> held by backend 'local': 200"),
        ("none.txt", 4, "  -> missing (the wrapped app answers)"),
        ("fifo", 4, "  -> not servable by backend 'local': 404"),
        ("../a.txt", 2, "  -> refused: 404 (not a usable name: it holds the segment '..')"),
        (".git/config", 2, "  -> refused: 404 (dot files are not served over HTTP (see allow_dotfiles))"),
        ("", 2, "  -> refused: 404 (not a usable name: it is empty)"),
    ],
)
def test_what_it_ends_with(media: Path, capsys: pytest.CaptureFixture[str], key: str, status: int, last: str) -> None:
    got, out, _ = explain(capsys, "--backend", media, "--backend", "memory:", key)
    assert (got, out.splitlines()[-1][: len(last)]) == (status, last)


def test_a_bucket_that_has_it_and_one_that_is_down(
    media: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with StrictS3(keys={}, read_only_keys={ID: SECRET}) as s3:
        s3.create_bucket("prod")
        s3.put("prod", "far.jpg", b"far")
        spec = f"prod=s3://prod?endpoint_url={s3.endpoint}"
        got, out, err = explain(capsys, "--backend", media, "--backend", spec, "far.jpg")
        lines = out.splitlines()
        assert (got, lines[0], err) == (0, "'far.jpg'", "")
        assert lines[1].split()[:2] == ["local", "missing"]
        assert lines[2].split()[:2] == ["prod", "found"]
        assert lines[3] == f"  -> redirect by backend 'prod': 302 {s3.endpoint}/prod/far.jpg?..."
        got, out, _ = explain(capsys, "--backend", media, "--backend", spec, "--json", "far.jpg")
        told = json.loads(out)
        assert (got, told["said"], told["backend"], told["status"]) == (0, "redirect", "prod", 302)
        assert told["location"] == f"{s3.endpoint}/prod/far.jpg?..."
        assert [(one["name"], one["answer"], one["size"]) for one in told["backends"]] == [
            ("local", "missing", None),
            ("prod", "found", 3),
        ]
        assert SECRET not in out
    got, out, err = explain(capsys, "--backend", media, "--backend", spec, "far.jpg")
    assert got == 5
    assert "could not be reached" in out
    assert out.splitlines()[-1] == "  -> unavailable by backend 'prod': 503"
    assert err == ""  # the log's line would say the same again


@pytest.mark.parametrize(
    ("key", "status", "said"),
    [
        ("/files/a b.txt", 2, "the key is what stands behind /files/: a b.txt"),
        ("files/a b.txt", 4, "the key is what stands behind /files/: a b.txt"),
        ("a%20b.txt", 4, "the key is not quoted: a b.txt"),
        ("http://localhost:8000/files/a%20b.txt?v=1", 2, "the key is what stands behind /files/: a b.txt"),
        ("my/files/a.txt", 4, ""),
        ("100%.txt", 4, ""),
        ("a.txt", 0, ""),
    ],
)
def test_hints(media: Path, capsys: pytest.CaptureFixture[str], key: str, status: int, said: str) -> None:
    got, _, err = explain(capsys, "--backend", media, "--prefix", "/files/", key)
    assert (got, err) == (status, f"mediamw: {said}\n" if said else "")


def test_a_directory_that_is_not_there_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    got, _, err = explain(capsys, "--backend", tmp_path / "media", "a.txt")
    assert (got, err) == (4, f"mediamw: backend 'local': there is no directory {tmp_path / 'media'} yet\n")


@pytest.mark.parametrize(
    "words",
    [["a.txt"], ["--backend", "gopher://x", "a.txt"], ["--backend", "memory:", "--prefix", "x", "a.txt"]],
    ids=["no backend", "no kind", "no prefix"],
)
def test_bad_usage_is_2(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mediamw", "explain", *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(("mediamw: ", "usage: "))
    assert "Traceback" not in done.stderr
