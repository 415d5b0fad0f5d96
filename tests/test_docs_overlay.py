"""docs/overlay.md is true: its block runs, its tables are the code's."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from mediamw import MediaStack, MemoryBackend
from mediamw.core.names import NamePolicy

PAGE = (Path(__file__).parents[1] / "docs" / "overlay.md").read_text("utf-8")
KEY = "homes/42/kitchen.jpg"


def test_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    spec = '"prod=s3://acme-prod-media?profile=acme-ro"'
    assert spec in code
    names: dict[str, Any] = {"prod": MemoryBackend({KEY: b"production", "b.jpg": b"x"}, name="prod")}
    lines = code.replace(spec, "prod").splitlines()
    seen = []
    for number, line in enumerate(lines):
        exec(line, names)
        if number > 2 and line:
            stack: MediaStack = names["stack"]
            seen.append((list(stack.hidden()), [entry.key for entry in stack.list(recursive=True)]))
    key = names["key"]
    assert re.fullmatch(r"homes/42/kitchen_\w{7}\.jpg", key)  # production has the name
    assert [hidden for hidden, _ in seen] == [[], [], []]
    assert [sorted(set(keys) - {KEY, "b.jpg"}) for _, keys in seen] == [[key], [], []]


def test_the_methods() -> None:
    for name, signature in re.findall(r"^\| `(\w+)\((.*?)\)(?: -> \w+)?` \|", PAGE, re.MULTILINE):
        told = [part.split("=")[0].strip() for part in signature.split(",") if part.strip() not in ("", "*")]
        assert told == list(inspect.signature(getattr(MediaStack, name)).parameters)[1:]


def test_the_policies() -> None:
    assert tuple(re.findall(r'^\| `"(\w+)"`', PAGE, re.MULTILINE)) == get_args(NamePolicy)
