"""The table of deviations is in use: each of its rows is of a server and of a feature that a test asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import SITES
from .deviations import DEVIATIONS, Deviation, expected

TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))
ASKED = re.findall(r'expected\(\s*[\w.]+,\s*(f?)"([^"]*)"', TESTS)


@pytest.mark.parametrize("row", DEVIATIONS, ids=lambda row: f"{row.server}: {row.feature}")
def test_every_row_is_asked_for(row: Deviation) -> None:
    assert row.server in SITES
    patterns = [".+".join(map(re.escape, re.split(r"{\w+}", text))) if f else re.escape(text) for f, text in ASKED]
    assert any(re.fullmatch(pattern, row.feature) for pattern in patterns)


def test_no_row_stands_twice() -> None:
    names = [(row.server, row.feature) for row in DEVIATIONS]
    assert sorted(set(names)) == sorted(names)


def test_a_row_that_deviates_in_nothing_is_refused() -> None:
    row = DEVIATIONS[0]
    assert expected(row.server, row.feature, "usual") == row.instead
    assert expected(row.server, "anything else", "usual") == "usual"
    with pytest.raises(ValueError, match="that is what S3 does"):
        expected(row.server, row.feature, row.instead)
