"""docs/pull.md is true: its blocks run, its tables are the code's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mediamw.backends.rules import PULL_TTL_SECONDS, Rules
from mediamw.stack.pulled import PULL_BUDGET_BYTES

from .pulls import Origin, names, stack_on

PAGE = (Path(__file__).parents[1] / "docs" / "pull.md").read_text("utf-8")
FILES = {"homes/42/kitchen.jpg": b"kitchen", "homes/42/garden.jpg": b"garden", "b.jpg": b"b", "a": b"a"}
BESIDE = {"a/c.jpg": b"a bucket has it beside a"}


def test_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    made: list[Any] = []

    def build_stack(specs: list[str]) -> Any:
        rules = {"delivery": "pull", "pull": "keep"} if specs[1].endswith("pull=keep") else {"delivery": "pull"}
        origin = Origin({**FILES, **BESIDE}, Rules(**rules))  # type: ignore[arg-type]
        made.append(stack_on(tmp_path, origin))
        return made[-1]

    monkeypatch.setattr("mediamw.build_stack", build_stack)
    space: dict[str, Any] = {}
    exec(first, space)
    assert names(tmp_path) == ["bytes", "record"]
    assert (tmp_path / "homes/42/garden.jpg").read_bytes() == b"garden"
    exec(second, space)
    assert {key: (tmp_path / key).read_bytes() for key in FILES} == FILES
    assert re.fullmatch(r".*'a/c\.jpg': one of its folders is a file\n", capsys.readouterr().out)
    assert names(tmp_path) == ["bytes", "record"], "what cannot be kept stays a copy"
    for stack in made:
        stack.close()


def test_the_options() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| (.*?) \|", PAGE, re.MULTILINE))
    assert (rows["pull_ttl"], rows["pull_budget"]) == (f"{PULL_TTL_SECONDS:.0f}", f"{PULL_BUDGET_BYTES >> 30} GiB")
