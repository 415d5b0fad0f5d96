"""For the tests that kill processes: children, and what they may leave behind."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from .pulls import files

MEMORY = (
    "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
)  # syncing to a disk would take most of the time


def forked(act: Callable[[], object]) -> int:
    """Have a child do something, and end; return its id."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            act()
            status = 0
        except BaseException:  # noqa: BLE001 - the parent is told by the status
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def check_copies(root: Path, sources: Collection[bytes]) -> None:
    """Whatever counts as a copy is whole; what does not is the start of something."""
    if (root / ".mediamw" / "pulled").is_dir():
        for kind in ("bytes", "part"):
            for path in files(root, kind):
                data = path.read_bytes()
                if kind == "bytes":
                    assert data in sources, f"{path} has {len(data)} bytes of nobody"
                else:
                    assert any(source.startswith(data) for source in sources), f"{path}: {len(data)} bytes"


def dying(calls: Collection[str], at: int, *, after: bool) -> None:
    """Have this process be killed before, or ``after``, call number ``at`` of those functions of ``os``."""
    count = itertools.count(1)

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            number = next(count)
            if number == at and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return real(*arguments, **options)
            finally:
                if number == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in calls:
        real = getattr(os, name)
        setattr(os, name, wrap(real))
        for known in (os.supports_fd, os.supports_dir_fd):
            known |= {getattr(os, name)} if real in known else set()
