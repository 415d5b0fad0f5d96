"""Where the benchmarks run: their options, the files that are asked for, and the cores.

With two cores or more what is measured over HTTP runs on the first (``serving.py``), and all else, the load too, on the
others: a load generator that shares a core with the server measures itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

SIZES = {"small.jpg": 10_240, "large.jpg": 1_000_000}
BIG, BIG_BYTES, BIG_SMOKE_BYTES = "big.bin", 100_000_000, 3_000_000
MADE = 1_700_000_000  # when the files were made, in seconds since 1970
KEYS = {"access_key_id": "AKREADONLY", "secret_access_key": "read-only-secret"}
BUCKET = "prod"


@dataclass(frozen=True)
class Options:
    """How long to measure. ``smoke``: just enough to see that all of it runs; the figures mean nothing."""

    rounds: int = 5
    seconds: float = 2.0
    smoke: bool = False

    @property
    def slice(self) -> float:
        """Seconds of one figure in process, where a hundred thousand requests are a second."""
        return self.seconds / 8

    @property
    def load_seconds(self) -> int:
        """Seconds of one figure over HTTP: wrk wants whole ones."""
        return max(1, round(self.seconds))

    def few(self, number: int, smoke: int) -> int:
        return smoke if self.smoke else number


class Media(NamedTuple):
    """A folder with ``media/``, which servers have at ``/media/``, and DEPOT's own copy of the same in ``depot/``."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "media"

    @property
    def depot(self) -> Path:
        return self.folder / "depot"

    def depot_ids(self) -> dict[str, str]:
        """DEPOT chooses the names of its files itself."""
        ids: dict[str, str] = json.loads((self.folder / "depot.json").read_text())
        return ids


def make_media(folder: Path, *, smoke: bool) -> Media:
    """Write the files that are asked for."""
    media = Media(folder)
    media.root.mkdir()
    for name, size in SIZES.items():
        (media.root / name).write_bytes(os.urandom(size))
    with (media.root / BIG).open("wb") as file:
        piece = os.urandom(1_000_000)
        for _ in range((BIG_SMOKE_BYTES if smoke else BIG_BYTES) // len(piece)):
            file.write(piece)
    for path in media.root.iterdir():
        os.utime(path, (MADE, MADE))  # what was written in this second may change in it, and is not what is measured
    if find_spec("depot") is not None:
        from depot.io.local import LocalFileStorage

        depot = LocalFileStorage(str(media.depot))
        made = {name: depot.create((media.root / name).read_bytes(), name, "image/jpeg") for name in SIZES}
        (folder / "depot.json").write_text(json.dumps(made))
    return media


_core_of_servers: list[int] = []


@contextmanager
def apart() -> Iterator[None]:
    """Leave the first core to the servers while the block runs; where there is only one, nobody can be apart."""
    before = cores()
    if len(before) < 2:
        yield
        return
    os.sched_setaffinity(0, set(before[1:]))
    _core_of_servers[:] = before[:1]
    try:
        yield
    finally:
        _core_of_servers.clear()
        os.sched_setaffinity(0, set(before))


def move_to_servers_core() -> None:
    """Move this process there; for ``preexec_fn``."""
    if _core_of_servers:
        os.sched_setaffinity(0, set(_core_of_servers))


def cores() -> list[int]:
    """Return the cores that this process may use; none where that cannot be told."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def without_settings(environ: dict[str, str]) -> dict[str, str]:
    """Return ``environ`` without what boto3 and mediamw would read there: the machine's account is no part of this."""
    kept = {name: text for name, text in environ.items() if not name.startswith(("AWS_", "MEDIAMW_"))}
    nowhere = {"AWS_CONFIG_FILE": "/missing/by/intent", "AWS_SHARED_CREDENTIALS_FILE": "/missing/by/intent"}
    return {**kept, **nowhere, "AWS_EC2_METADATA_DISABLED": "true"}
