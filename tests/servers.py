"""Real servers on loopback, one worker each, in processes of their own: for tests that must see what a client sees."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
START_SECONDS = 30


def _command(server: str, target: str, port: int) -> list[str]:
    """``target`` is MODULE:APP; which interface it has to speak stands in the server's name."""
    return {
        "gunicorn-wsgi": ["gunicorn", target, "-k", "gthread", "--threads", "8", "-b", f"127.0.0.1:{port}"],
        "uvicorn-asgi": ["uvicorn", target, "--port", str(port), "--log-level", "warning"],
        "granian-asgi": ["granian", "--interface", "asgi", target, "--port", str(port), "--no-access-log"],
        "granian-wsgi": ["granian", "--interface", "wsgi", target, "--port", str(port), "--no-access-log"],
    }[server]


SERVERS = ("gunicorn-wsgi", "uvicorn-asgi", "granian-asgi", "granian-wsgi")


@dataclass
class Running:
    """A server that answers."""

    port: int
    pid: int

    def connect(self, timeout: float = 10) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def http(self, timeout: float = 10) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def pids(self) -> list[int]:
        """Return the server's process and its children's children."""
        found, index = [self.pid], 0
        while index < len(found):
            for task in Path(f"/proc/{found[index]}/task").glob("*/children"):
                found += [int(child) for child in task.read_text().split()]
            index += 1
        return found

    def open_files(self) -> list[str]:
        """Return what the server's descriptors lead to (Linux)."""
        return [
            os.readlink(link) for pid in self.pids() for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()
        ]


@contextmanager
def running(server: str, module: str, app: str, folder: Path, **env: str) -> Iterator[Running]:
    """Serve ``app`` of the Python source ``module``, written into ``folder``, until the block ends."""
    (folder / "served_app.py").write_text(module)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = _command(server, f"served_app:{app}", port)
    log = (folder / f"{server}.log").open("w+b")
    process = subprocess.Popen(
        [str(BIN / command[0]), *command[1:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **env},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        _wait(process, port, log.name)
        yield Running(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):  # a download that a test left hanging; the group is killed below
            process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def _wait(process: subprocess.Popen[bytes], port: int, log: str) -> None:
    """Wait until the server answers a request."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/media/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise AssertionError(f"no server: {Path(log).read_text()}")
