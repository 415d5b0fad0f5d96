"""What was measured, as Markdown: medians with their least and greatest round, ratios, targets, machine and versions.

A table has a row for each contender and a column for each measure; ``add`` takes one round's figure. Ratios are of
medians of one run, whose rounds are interleaved: figures of two runs are not to be compared.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]
PACKAGES = (
    *("uvicorn", "uvloop", "httptools", "gunicorn", "granian", "starlette", "werkzeug", "flask"),
    *("whitenoise", "servestatic", "filedepot", "boto3", "obstore"),
)


class Column(NamedTuple):
    """A measure: what it is of, its unit, and whether more of it is better."""

    name: str
    unit: str
    more_is_better: bool = False


@dataclass
class Table:
    """The figures of one group, or of one server in it. ``ours`` is the row that ratios in cells are against."""

    title: str
    columns: tuple[Column, ...]
    ours: str = "mediamw"
    notes: list[str] = field(default_factory=list)
    rows: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, row: str, column: str, value: float) -> None:
        self.rows.setdefault(row, {}).setdefault(column, []).append(value)

    def note(self, text: str) -> None:
        """Say something below the table, once."""
        if text not in self.notes:
            self.notes.append(text)

    def rounds(self, row: str, column: str) -> list[float]:
        return self.rows.get(row, {}).get(column, [])

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def better(self, column: str, ours: str, peer: str) -> float | None:
        """Return how many times as good our median is as the peer's; None if one of them is not there."""
        mine, other = self.rounds(ours, column), self.rounds(peer, column)
        if not mine or not other:
            return None
        up, down = statistics.median(mine), statistics.median(other)
        if not self.column(column).more_is_better:
            up, down = down, up
        return up / down if down else None

    def markdown(self) -> str:
        heads = [f"{column.name}, {column.unit}" for column in self.columns]
        lines = [f"| {self.title} | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
        for row in self.rows:
            cells = [self._cell(row, column) for column in self.columns]
            lines.append(f"| {row} | {' | '.join(cells)} |")
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)])

    def _cell(self, row: str, column: Column) -> str:
        values = self.rounds(row, column.name)
        if not values:
            return ""
        text = figure(statistics.median(values))
        if len(values) > 1:
            text += f" ({figure(min(values))} to {figure(max(values))})"
        times = None if row == self.ours else self.better(column.name, self.ours, row)
        return text if times is None or times <= 0 else f"{text}; {times:.2f}x"


class Target(NamedTuple):
    """What a table should show.

    ``ours`` at least ``bound`` times as good as ``peer``; with ``at_most`` no more than ``bound`` times as much as
    ``peer``; without a peer no more than ``bound``.
    """

    group: str
    table: str
    column: str
    ours: str
    peer: str | None
    bound: float
    at_most: bool = False


def judged(target: Target, tables: list[Table]) -> str:
    """Return the target's line of a table: what was asked for, what was measured, reached or not."""
    table = next((table for table in tables if table.title == target.table), None)
    unit = "" if table is None or target.peer else f" {table.column(target.column).unit}"
    sign = "at most" if target.at_most or target.peer is None else "at least"
    wanted = f"{sign} {target.bound:g}{'x' if target.peer else unit}"
    value, verdict = None, "not measured"
    if table is not None and target.peer is None:
        rounds = table.rounds(target.ours, target.column)
        value = statistics.median(rounds) if rounds else None
    elif table is not None and target.peer is not None:
        value = table.better(target.column, target.ours, target.peer)
        if value and target.at_most:
            value = 1 / value
    if value is not None:
        reached = value >= target.bound if sign == "at least" else value <= target.bound
        verdict = "reached" if reached else "**missed**"
    shown = "" if value is None else f"{value:.2f}{'x' if target.peer else unit}"
    against = f"{target.ours} against {target.peer}" if target.peer else target.ours
    return f"| {target.table}: {target.column} | {against} | {wanted} | {shown} | {verdict} |"


def group_markdown(tables: list[Table], targets: list[Target]) -> str:
    """Return the tables of a group and the targets that they are held against."""
    parts = [table.markdown() for table in tables]
    if targets:
        lines = ["| target | | wanted | measured | |", "|---|---|---|---|---|"]
        parts.append("\n".join([*lines, *(judged(target, tables) for target in targets)]))
    return "\n\n".join(parts)


def figure(value: float) -> str:
    """Three digits are more than any of this is exact to."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> str:
    """Return one line about where and with what this ran."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    cores = f"{os.cpu_count()} cores ({_processor()}), load {os.getloadavg()[0]:.1f} before"
    system = f"{platform.system()} {platform.release()}"
    when = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{when}, commit {_commit()}; Python {platform.python_version()}, {system}, {cores}; {', '.join(found)}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _commit() -> str:
    git = ["git", "-C", str(REPOSITORY)]
    try:
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # an unpacked sdist has no history
        return "unknown"
    # The page that is written here is not what is measured.
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "mediamw", "benchmarks"], check=False).returncode
    return f"{name.strip()}{' and changes' if changed else ''}"


def write_group(page: Path, group: str, text: str) -> None:
    """Replace what stands in ``page`` between the markers of ``group``."""
    begin, end = markers(group)
    before, found, rest = page.read_text("utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{page} has no place for the group: {begin} ... {end}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")


def markers(group: str) -> tuple[str, str]:
    return f"<!-- {group}: begin -->", f"<!-- {group}: end -->"
