"""The quickstarts, as README.md has them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROFILE = "acme-ro"
BUCKET, LOCATION = "acme-prod-media", "uploads"


def blocks(language: str) -> list[str]:
    """Return README's blocks of ``language``."""
    return [match[2] for match in BLOCK.finditer(README.read_text("utf-8")) if match[1] == language]


def quickstart(title: str) -> str:
    """Return the one block of Python that opens with the comment ``title``."""
    (found,) = [block for block in blocks("python") if block.startswith(f"# {title}")]
    return found


def spelled_out() -> str:
    """Return the one block of Python that is for no framework."""
    (found,) = [block for block in blocks("python") if not block.startswith("# ")]
    return found


def from_outside() -> tuple[dict[str, str], list[str]]:
    """Return the variables and the command of the quickstart from outside."""
    (found,) = [block for block in blocks("console") if block.startswith("$ export ")]
    *exports, command = [shlex.split(line.removeprefix("$ ")) for line in found.splitlines()]
    variables: dict[str, str] = {}
    for export, assignment in exports:
        assert export == "export"
        name, _, value = assignment.partition("=")
        variables[name] = value
    return variables, command


def at(endpoint: str, text: str) -> str:
    """Return a quickstart whose bucket is at ``endpoint``, which is all that is changed in it."""
    assert text.count(f"?profile={PROFILE}") == 1
    return text.replace(f"?profile={PROFILE}", f"?profile={PROFILE}&endpoint_url={endpoint}")
