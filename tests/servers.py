"""Real servers on loopback, one worker each, in processes of their own: for tests that must see what a client sees."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import processes

REPOSITORY = Path(__file__).parents[1]
START_SECONDS = 30
STOP_SECONDS = 8


_GRANIAN = "{python} -m granian --no-access-log --port {port} --interface"
_SERVE = "{python} -m mediamw serve --port 0 --backend {backend}"
COMMANDS = {
    "gunicorn-wsgi": "{python} -m gunicorn {target} -k gthread --threads 8 -b 127.0.0.1:{port}",
    "gunicorn-wsgi-64": "{python} -m gunicorn {target} -k gthread --threads 64 -b 127.0.0.1:{port}",
    "uvicorn-asgi": "{python} -m uvicorn {target} --port {port} --log-level warning",
    "granian-asgi": f"{_GRANIAN} asgi {{target}}",
    "granian-wsgi": f"{_GRANIAN} wsgi {{target}}",
    "granian-wsgi-64": f"{_GRANIAN} wsgi --blocking-threads 64 {{target}}",
    "runserver": "{python} manage.py runserver --noreload 127.0.0.1:{port}",
    "runserver-reload": "{python} manage.py runserver 127.0.0.1:{port}",
    "serve-alone": _SERVE,
    "serve-around-wsgi": f"{_SERVE} {{target}}",
    "serve-around-asgi": f"{_SERVE} {{target}}",
}
SERVERS = ("gunicorn-wsgi", "uvicorn-asgi", "granian-asgi", "granian-wsgi")
"""Those whose app is the middleware itself."""


@dataclass
class Running:
    """A server that answers."""

    port: int
    pid: int
    name: str = ""

    def connect(self, timeout: float = 10) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def http(self, timeout: float = 10) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def pids(self) -> list[int]:
        """Return the server's process and its children's children."""
        return processes(self.pid)

    def open_files(self) -> list[str]:
        """Return what the server's descriptors lead to (Linux)."""
        found = []
        for pid in self.pids():
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):  # closed since the folder was listed
                    found.append(os.readlink(link))
        return found


@contextmanager
def running(
    server: str, module: str, app: str, folder: Path, *, backend: Path | str | None = None, **env: str
) -> Iterator[Running]:
    """Serve ``app`` of the Python source ``module``, written into ``folder``, until the block ends.

    ``backend`` is the directory that ``mediamw serve`` serves, as it is given there.
    """
    (folder / "served_app.py").write_text(module)
    port = _free_port()
    values = {"python": sys.executable, "target": f"served_app:{app}", "port": str(port), "backend": str(backend)}
    log = (folder / f"{server}.log").open("w+b")
    process = subprocess.Popen(
        [word.format_map(values) for word in COMMANDS[server].split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}", **env},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        port = _wait(process, port, log.name, says_port=server.startswith("serve"))
        yield Running(port, process.pid, server)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):  # a download that a test left hanging; the group is killed below
            process.wait(STOP_SECONDS)
        ended = process.poll()
        with suppress(ProcessLookupError):  # its session is its own: this reaches workers that outlived it, no others
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()
        # The other servers are not ours to mend; `mediamw serve` has to end, whatever its clients do.
        said = Path(log.name).read_text()
        assert ended == 0 or not server.startswith("serve"), f"{server} on SIGTERM: {ended}, {said}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: str, *, says_port: bool) -> int:
    """Wait until the server answers a request; return its port."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if says_port:
            match = re.search(r"http://127\.0\.0\.1:(\d+)/", Path(log).read_text())
            if match is None:
                time.sleep(0.05)
                continue
            port = int(match[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/media/")
            connection.getresponse().read()
            return port
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise AssertionError(f"no server: {Path(log).read_text()}")
