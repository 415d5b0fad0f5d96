"""A real PostgreSQL of the tests' own, in a folder of its own, reached by a socket there: no port, no password."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OPTIONS = "-c listen_addresses= -c fsync=off -c max_prepared_transactions=10 -c deadlock_timeout=100ms"


def programs() -> Path | None:
    """Where initdb and pg_ctl are: Debian keeps them out of PATH. None if there are none."""
    found = [str(path.parent) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    initdb = shutil.which("initdb", path=os.pathsep.join([*reversed(found), os.environ.get("PATH", "")]))
    return Path(initdb).parent if initdb else None


@contextmanager
def running_postgresql(bin_: Path) -> Iterator[str]:
    """Yield the URL of an empty database, for SQLAlchemy and psycopg; it is gone afterwards."""
    # Its server refuses to be root, and pytest's folders are their owner's alone; a socket's path is short.
    someone: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))

    def run(*command: str) -> None:
        with (folder / "output").open("ab") as output:
            status = subprocess.run(
                command, **someone, cwd=folder, stdout=output, stderr=output, check=False
            ).returncode
        if status:
            raise RuntimeError(f"{command}: {status}\n" + (folder / "output").read_text())

    data = str(folder / "data")
    try:
        if someone:
            shutil.chown(folder, someone["user"], someone["group"])
        run(f"{bin_}/initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
        run(f"{bin_}/pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", f"{OPTIONS} -k {folder}", "start")
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            run(f"{bin_}/pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
