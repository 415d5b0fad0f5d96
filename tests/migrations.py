"""For the tests of ``mediamw migrate``: storages of which every write is on record, and the command as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from mediamw import LocalBackend
from mediamw.backends.base import Content
from mediamw.backends.local_put import LocalDraft
from mediamw.core.keys import Key

ROOT = Path(__file__).parents[1]


class Counted(LocalBackend):
    """A directory that notes in a file what is about to get its name, and what has got it: one line each."""

    def __init__(self, root: str | Path, log: str | Path, **options: Any) -> None:
        super().__init__(root, **options)
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, what: str, key: str) -> None:
        os.write(self._log, f"{what} {key}\n".encode())

    def draft(self, data: Content, *, content_type: str | None = None) -> Any:
        return _Noted(super().draft(data, content_type=content_type), self)


class _Noted:
    def __init__(self, draft: LocalDraft, backend: Counted) -> None:
        self._draft, self._backend = draft, backend
        self.close = draft.close

    def publish(self, key: Key, *, replace: bool = False) -> None:
        self._backend.note("begins", key)
        self._draft.publish(key, replace=replace)
        self._backend.note("stored", key)


def noted(log: Path) -> tuple[Counter[str], Counter[str]]:
    """What was begun and what was stored, by key."""
    counts: dict[str, Counter[str]] = {"begins": Counter(), "stored": Counter()}
    for line in log.read_text().splitlines() if log.exists() else ():
        what, _, key = line.partition(" ")
        counts[what][key] += 1
    return counts["begins"], counts["stored"]


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "mediamw", "migrate", *map(str, words)]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **more}


def ran(folder: Path, *words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command in ``folder`` to its end."""
    return subprocess.run(
        command(*words), cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=120
    )


def files_of(root: Path) -> dict[str, bytes]:
    """All files of a directory but those of its state."""
    found = (path for path in root.rglob("*") if path.is_file())
    named = ((path.relative_to(root).as_posix(), path) for path in found)
    return {key: path.read_bytes() for key, path in named if not key.startswith(".mediamw/")}


def fill(root: Path, files: dict[str, bytes]) -> None:
    for key, data in files.items():
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
