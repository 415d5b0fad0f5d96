"""benchmarks/run.py: every group runs, with every contender; what it prints is counted right; the page is whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.contenders import FILES, REDIRECTS, Contender, installed
from benchmarks.report import Column, Table, Target, group_markdown, judged, markers, write_group
from benchmarks.run import GROUPS
from benchmarks.serving import Server, wrk
from benchmarks.setting import make_media
from benchmarks.targets import TARGETS

ROOT = Path(__file__).parents[1]
NOT_OF_PIP = {"Caddy", "nginx"}


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_every_group_runs(group: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n" + "\n".join(markers(group)) + "\nafter\n")
    command = [sys.executable, "benchmarks/run.py", group, "--smoke", "--write", str(page)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    if "is not installed and left out" in done.stdout:
        pytest.skip("needs the extra bench")
    text = page.read_text()
    for target in (target for target in TARGETS if target.group == group):
        assert f"| {target.table} |" in text, "a target for a table that nobody makes"
        rows = {target.ours, target.peer} - {None} - NOT_OF_PIP
        assert {row for row in rows if f"\n| {row} |" not in text} == set()
    contenders = {"http": FILES, "in-process": FILES, "redirect": REDIRECTS}.get(group, {})
    names = {name for some in contenders.values() for name in some}
    assert {name for name in names if f"\n| {name} |" not in text} == set()


@pytest.mark.slow
def test_wrk_counts_what_a_server_answers(tmp_path: Path) -> None:
    if shutil.which("wrk") is None:
        pytest.skip("needs wrk")
    media = make_media(tmp_path, smoke=True)
    with Server("uvicorn", media, "files/asgi/bare app") as server:
        assert wrk(server.port, "/media/small.jpg", {"Accept": "*/*"}, 2, 1) > 10
        assert server.cpu_seconds() > 0
        assert server.memory_bytes() > 1 << 20


def test_targets_are_of_groups() -> None:
    assert {target.group for target in TARGETS} <= set(GROUPS)
    assert len({target[:5] for target in TARGETS}) == len(TARGETS)


def test_the_page_has_a_place_for_every_group_and_what_made_it() -> None:
    text = (ROOT / "docs" / "performance.md").read_text("utf-8")
    for group in GROUPS:
        begin, end = markers(group)
        made = text.partition(begin)[2].partition(end)[0]
        assert f"`python benchmarks/run.py {group} --rounds" in made
        for target in (target for target in TARGETS if target.group == group):
            assert f"| {target.table}: {target.column} |" in made, "another target than when the page was made"


def test_a_peer_that_is_missing_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    missing = Contender(lambda media: None, "no_such_module", "no-such-package")
    assert installed({"missing": missing, "here": Contender(lambda media: None)}).keys() == {"here"}
    assert "no-such-package is not installed" in capsys.readouterr().out


def table() -> Table:
    made = Table("files", (Column("speed", "requests/s", more_is_better=True), Column("time", "ms")))
    for row, speeds, times in (("mediamw", (90, 100, 4000), (2, 2, 1)), ("peer", (40, 50, 60), (4, 4, 4))):
        for speed, took in zip(speeds, times, strict=True):
            made.add(row, "speed", speed)
            made.add(row, "time", took)
    return made


def test_a_table() -> None:
    made = table()
    made.note("Said once.")
    made.note("Said once.")
    assert made.markdown() == (
        "| files | speed, requests/s | time, ms |\n"
        "|---|---|---|\n"
        "| mediamw | 100 (90 to 4,000) | 2 (1 to 2) |\n"
        "| peer | 50 (40 to 60); 2.00x | 4 (4 to 4); 2.00x |\n"
        "\n"
        "Said once."
    )


@pytest.mark.parametrize(
    ("column", "peer", "bound", "at_most", "end"),
    [
        ("speed", "peer", 2, False, "at least 2x | 2.00x | reached |"),
        ("speed", "peer", 2.1, False, "at least 2.1x | 2.00x | **missed** |"),
        ("time", "peer", 2, False, "at least 2x | 2.00x | reached |"),
        ("time", "peer", 0.5, True, "at most 0.5x | 0.50x | reached |"),
        ("time", "peer", 0.45, True, "at most 0.45x | 0.50x | **missed** |"),
        ("time", None, 2, False, "at most 2 ms | 2.00 ms | reached |"),
        ("time", None, 1.9, False, "at most 1.9 ms | 2.00 ms | **missed** |"),
        ("time", "nobody", 2, False, "at least 2x |  | not measured |"),
    ],
)
def test_a_target(column: str, peer: str | None, bound: float, at_most: bool, end: str) -> None:
    target = Target("http", "files", column, "mediamw", peer, bound, at_most)
    assert judged(target, [table()]).endswith(end)
    assert judged(target, [table()]) in group_markdown([table()], [target])
    assert judged(target, []).endswith("| not measured |")


def test_writing_a_group_leaves_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = markers("http")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    for text in ("new", "newer"):
        write_group(page, "http", text)
        assert page.read_text() == f"before\n{begin}\n\n{text}\n\n{end}\nafter\n"
    with pytest.raises(SystemExit):
        write_group(page, "signing", "new")
