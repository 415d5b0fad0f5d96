"""A bucket that is pulled, and what lies in the folder of the copies, for the tests of pulling."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mediamw import LocalBackend, MediaStack
from mediamw.backends.rules import Rules
from mediamw.core.keys import Key

from .fakes import Bucket, dead, until
from .http_table.files import counted

A = Key("homes/1/a.jpg")
B, C = Key("b.jpg"), Key("c.jpg")
SMALL, BIG = counted(1000), counted(500_000)
PATH = f"/media/{A}"
PULL = Rules(delivery="pull")


class Origin(Bucket):
    """A bucket that is pulled. ``breaks``: at which positions the connection breaks, each time once; ``hooks`` are
    called before the piece that starts there."""

    def __init__(self, data: Any = BIG, rules: Rules = PULL, name: str = "prod", **more: Any) -> None:
        super().__init__(name, {A: data} if isinstance(data, bytes) else data, rules=rules, **more)
        self.breaks: list[int] = []
        self.hooks: dict[int, Callable[[], object]] = {}

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        return super().read_range(key, start, stop, etag, size=size)

    def before_piece(self, position: int) -> None:
        if position in self.hooks:
            self.hooks.pop(position)()
        if position in self.breaks:
            self.breaks.remove(position)
            raise dead(self.name)


def stack_on(folder: Path, *lowers: Any, **options: Any) -> MediaStack:
    return MediaStack([LocalBackend(folder), *lowers], **options)


def names(folder: Path) -> list[str]:
    """What lies in the folder of the copies, by kind."""
    kinds = {
        r"[0-9a-f]{32}": "record",
        r"[0-9a-f]{32}-[0-9a-f]{16}": "bytes",
        r".*\.part": "part",
        r"(keep\.)?lock|room|oldest": "",
    }
    pulled = folder / ".mediamw" / "pulled"
    found = sorted(os.listdir(pulled)) if pulled.is_dir() else []
    said = [next((kind for pattern, kind in kinds.items() if re.fullmatch(pattern, name)), name) for name in found]
    return sorted(filter(None, said))


def files(folder: Path, kind: str) -> list[Path]:
    pulled = folder / ".mediamw" / "pulled"
    patterns = {"record": r"[0-9a-f]{32}", "bytes": r"[0-9a-f]{32}-[0-9a-f]{16}", "part": r".*\.part"}
    return [path for path in sorted(pulled.iterdir()) if re.fullmatch(patterns[kind], path.name)]


def settled(stack: MediaStack) -> None:
    """Wait until nothing is being fetched."""
    puller = stack._puller
    assert puller is not None
    until(lambda: not puller._state.get().downloads)


def age(folder: Path, kind: str, seconds: float) -> None:
    """Have all files of a kind be older."""
    for path in files(folder, kind):
        found = path.stat()
        os.utime(path, (found.st_atime - seconds, found.st_mtime - seconds))
