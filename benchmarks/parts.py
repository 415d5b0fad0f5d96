"""What a request is made of: microseconds of CPU time of the calls that it cannot do without.

A local hit opens, looks at, reads and closes a file; a redirect of a known key looks for three names in the upper, and
for two of them once more; an unknown key is asked for on a thread. Each is made as mediamw makes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from benchmarks.in_process import many, timed
from benchmarks.report import Column, Table
from benchmarks.setting import Media, Options

COST = "CPU"


def run(media: Media, options: Options) -> list[Table]:
    """Measure each by itself, in a loop: amid other work they take longer."""
    from mediamw.stack.steps import Pool

    table = Table("parts of a request", (Column(COST, "µs"),), ours="")  # none is another's peer
    pool = Pool(1, "bench")
    folder = os.open(media.root, os.O_RDONLY)
    file = os.open(media.root / "small.jpg", os.O_RDONLY)
    parts: dict[str, Callable[[], Any]] = {
        **_beneath(folder, table),
        "open by name, which follows links, and close": lambda: os.close(os.open("small.jpg", 0, dir_fd=folder)),
        "look at an open file (fstat)": lambda: os.fstat(file),
        "read 10 KB (pread)": lambda: os.pread(file, 10_240, 0),
        "see that a name is missing, by access": lambda: os.access("no/such.jpg", os.F_OK, dir_fd=folder),
        "have a thread do nothing, and wait for it": lambda: pool.submit(int).result(),
    }
    try:
        for _ in range(options.rounds):
            for name, part in parts.items():
                table.add(name, COST, timed(many(part), options.slice)[1])
    finally:
        pool.close()
        os.close(file)
        os.close(folder)
    return [table]


def _beneath(folder: int, table: Table) -> dict[str, Callable[[], Any]]:
    """Return what is done beneath the root alone."""
    from mediamw.backends.openat2 import load_openat2, prepared

    _, open_cached, _ = load_openat2()
    if open_cached is None:
        table.note("There is no openat2 here: mediamw opens a file folder by folder, which is not measured.")
        return {}
    root, name, missing = prepared(folder), prepared("small.jpg"), prepared("no/such.jpg")
    return {
        "open beneath the root (openat2), and close": lambda: os.close(open_cached(root, name)),
        "see that a name is missing, beneath the root": lambda: open_cached(root, missing),
    }
