"""Servers in processes of their own, one worker each on the first core, and the load that is put on them.

The load is ``wrk``'s (Debian: apt-get install wrk). CPU time and memory are those of the server and its children, from
/proc: Linux only.
"""

from __future__ import annotations

import getpass
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.contenders import Contender
from benchmarks.report import REPOSITORY
from benchmarks.setting import Media, Options, move_to_servers_core, without_settings

START_SECONDS, STOP_SECONDS = 30, 2
TICKS = os.sysconf("SC_CLK_TCK")
SERVERS = {"uvicorn": "asgi", "gunicorn": "wsgi", "granian": "wsgi", "granian, ASGI": "asgi"}
"""Those of Python, and what an app is to them."""
_GRANIAN = "{python} -m granian {app} --port {port} --no-access-log --interface"
COMMANDS = {
    "uvicorn": "{python} -m uvicorn {app} --port {port} --no-access-log --log-level critical",
    "gunicorn": "{python} -m gunicorn {app} -k gthread --threads {threads} -b 127.0.0.1:{port} --keep-alive 60 "
    "--log-level critical",
    "granian": f"{_GRANIAN} wsgi",
    "granian, many threads": f"{_GRANIAN} wsgi --blocking-threads {{threads}}",
    "granian, ASGI": f"{_GRANIAN} asgi",
    "granian's static mount": f"{_GRANIAN} wsgi --static-path-route /media --static-path-mount {{folder}}/media",
    "Caddy": "caddy run --adapter caddyfile --config {folder}/caddy-{port}",
    "nginx": "nginx -e stderr -p {folder} -c {folder}/nginx-{port}",
}
CONFIGURATIONS = {
    "Caddy": """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    root * {folder}
    file_server
}}
""",
    "nginx": """
user {user};
daemon off;
worker_processes 1;
pid {folder}/nginx-{port}.pid;
error_log stderr crit;
events {{ }}
http {{
    access_log off;
    keepalive_requests 1000000;
    sendfile on;
    types {{ image/jpeg jpg; }}
    client_body_temp_path {folder}/nginx-temporary;
    proxy_temp_path {folder}/nginx-temporary;
    fastcgi_temp_path {folder}/nginx-temporary;
    uwsgi_temp_path {folder}/nginx-temporary;
    scgi_temp_path {folder}/nginx-temporary;
    server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
""",
}


class Server:
    """A server that answers, until the block ends. ``app`` is ``files/wsgi/mediamw``: see ``served.py``."""

    def __init__(self, server: str, media: Media, app: str = "", *, threads: int = 8, **env: str) -> None:
        self.port = free_port()
        values = {"python": sys.executable, "port": self.port, "threads": threads, "folder": media.folder}
        values["user"] = getpass.getuser()
        if server in CONFIGURATIONS:
            Path(media.folder, f"{server.lower()}-{self.port}").write_text(CONFIGURATIONS[server].format_map(values))
        module = "benchmarks.bare_pathsend:app" if app == "pathsend" else "benchmarks.served:app"
        own = {"GOMAXPROCS": "1", "XDG_CONFIG_HOME": str(media.folder), "XDG_DATA_HOME": str(media.folder)}  # Caddy's
        environ = {**environment(), **own, "BENCH_CONTENDER": app, "BENCH_FOLDER": str(media.folder), **env}
        command = [word.format_map({**values, "app": module}) for word in COMMANDS[server].split()]
        self.process = subprocess.Popen(
            command,
            preexec_fn=move_to_servers_core,  # taskset would be a package more
            env=environ,
            cwd=media.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait(self) -> None:
        """Wait until it accepts connections."""
        wait_until_up(self.port, self.process)

    def __enter__(self) -> Self:
        try:
            self.wait()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def stop(self) -> None:
        """Say that it should end."""
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End it, whatever it does."""
        self.stop()
        with suppress(subprocess.TimeoutExpired):  # some wait for clients that stall
            self.process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):  # its session is its own: this reaches no others
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        """Ask once; return status, headers by their lower-case names, body."""
        connection = self.connect()
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            response = connection.getresponse()
            return response.status, {name.lower(): text for name, text in response.getheaders()}, response.read()
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        """CPU time of the server's processes so far."""
        total = 0
        for pid in processes(self.process.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def memory_bytes(self) -> int:
        """Memory of the server's processes; what they share is divided among them (PSS)."""
        texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in processes(self.process.pid)]
        return sum(int(match[1]) << 10 for text in texts if (match := re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)))


def processes(pid: int) -> list[int]:
    """Return a process, its children and theirs (Linux)."""
    found, index = [pid], 0
    while index < len(found):
        for task in Path(f"/proc/{found[index]}/task").glob("*/children"):
            with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
                found += [int(child) for child in task.read_text().split()]
        index += 1
    return found


@contextmanager
def all_up(servers: Mapping[str, Server]) -> Iterator[None]:
    """Have all answer while the block runs: they start, and end, at the same time."""
    try:
        for server in servers.values():
            server.wait()
        yield
    finally:
        for server in servers.values():
            server.stop()
        for server in servers.values():
            server.close()


def environment() -> dict[str, str]:
    """Return the environment of processes that import ``benchmarks`` and mediamw of this repository."""
    path = os.environ.get("PYTHONPATH", "")
    return {**without_settings(dict(os.environ)), "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{path}"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody accepts connections. SystemExit if the process has ended, or after half a minute."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 2).close()
            return
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"no server: {process.args!r}")


def load(server: Server, path: str, headers: Mapping[str, str], clients: int, options: Options) -> float:
    """Return requests a second of ``clients`` that ask for one path over kept-alive connections."""
    if options.smoke:
        started = time.perf_counter()
        server.get(path, headers)
        return 1 / (time.perf_counter() - started)
    return wrk(server.port, path, headers, clients, options.load_seconds)


def wrk(port: int, path: str, headers: Mapping[str, str], clients: int, seconds: int) -> float:
    sent = [word for name, text in headers.items() for word in ("-H", f"{name}: {text}")]
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}", *sent, f"http://127.0.0.1:{port}{path}"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"Requests/sec:\s+([\d.]+)", report)
    if match is None or "Socket errors" in report:
        raise SystemExit(f"{' '.join(command)}\n{report}")
    return float(match[1])


def need_wrk(options: Options) -> None:
    if not options.smoke and shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; Debian: apt-get install wrk")


def url_of(contender: Contender | None, media: Media, name: str) -> str:
    return f"/media/{name}" if contender is None else contender.url(media, name)
