"""How many files and sockets this process has open."""

from __future__ import annotations

import gc
import os


def descriptors() -> int:
    """Return their number, without those that only wait for the garbage collection, such as other tests' loops."""
    gc.collect()
    return len(os.listdir("/dev/fd"))
