"""Servers in processes of their own: started in a group of their own, waited for by a port or a log, ended for sure.

Rules: no sleep but between two looks with a deadline; whatever happens in the block, nothing of the group outlives it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 5
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Process:
    """A server that runs, and the file that holds all it said."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def wait_for_port(self, port: int) -> None:
        """Return when somebody listens there."""
        for _ in self._looks(f"to listen at {port}"):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return

    def wait_for_words(self, pattern: str) -> re.Match[str]:
        """Return when the log holds ``pattern``."""
        for _ in self._looks(f"to say {pattern}"):
            if match := re.search(pattern, self.log.read_text("utf-8", "replace")):
                return match
        raise AssertionError("nobody gets here")

    def _looks(self, what: str) -> Iterator[None]:
        """One turn for each look; raises, with the log, at the deadline or if the process has ended."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            running = self.popen.poll() is None
            yield
            if not running:
                raise AssertionError(f"{self.name} ended with {self.popen.returncode}: {self._said()}")
            time.sleep(_LOOK_SECONDS)
        raise AssertionError(f"waited {START_SECONDS} s for {self.name} {what}: {self._said()}")

    def _said(self) -> str:
        return self.log.read_text("utf-8", "replace")[-4000:]


@contextmanager
def running(
    name: str, command: Sequence[str | Path], folder: Path, *, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run ``command`` until the block ends. Debian's programs must not see this interpreter's environment.

    ``env`` is the environment in the place of that.
    """
    if env is None:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "AWS_", "RCLONE_"))}
    # If these tests are killed the server ends too (Linux).
    dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        popen = subprocess.Popen(
            [*dies_with_us, *(str(word) for word in command)],
            cwd=folder,
            env={**env, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Process(name, popen, log)
    finally:
        popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            popen.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):  # its session is its own: this reaches its workers and no others
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def free_ports(number: int) -> list[int]:
    """Ports that nobody has now: all are held until all are known, so that they differ."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
