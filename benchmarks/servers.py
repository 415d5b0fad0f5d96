"""Which server `mediamw serve` should run, and what `http.response.pathsend` would save.

    python benchmarks/servers.py [--rounds 3] [--seconds 3]

Needs the extra `test` and wrk (Debian: apt-get install wrk). Rounds are interleaved, one worker each; the table shows
the median and, in brackets, the lowest and highest round. Compare rows of one run only. The row "pathsend" is a bare
app that looks at the file and hands its path to granian: no look-up, no conditions, no descriptor.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

BIN = Path(sys.executable).parent
APPS = """
import os
from mediamw import asgi, wsgi
asgi_app = asgi.MediaMiddleware(None, [os.environ["MEDIA_DIR"]])
wsgi_app = wsgi.MediaMiddleware(None, [os.environ["MEDIA_DIR"]])

async def pathsend_app(scope, receive, send):
    if scope["type"] == "http":
        path = os.path.join(os.environ["MEDIA_DIR"], scope["path"].rpartition("/")[2])
        length = str(os.stat(path).st_size).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.pathsend", "path": path})
"""
SERVERS = {
    "ASGI uvicorn": "uvicorn bench_apps:asgi_app --port {port} --no-access-log",
    "ASGI granian": "granian --interface asgi bench_apps:asgi_app --port {port} --no-access-log",
    "ASGI granian, pathsend": "granian --interface asgi bench_apps:pathsend_app --port {port} --no-access-log",
    "WSGI granian": "granian --interface wsgi bench_apps:wsgi_app --port {port} --no-access-log",
    "WSGI gunicorn gthread": "gunicorn bench_apps:wsgi_app -k gthread --threads 8 -b 127.0.0.1:{port}",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(port: int) -> None:
    for _ in range(200):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/media/small.jpg")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"no server on port {port} after 10 s")


def measure(command: str, env: dict[str, str], seconds: int) -> tuple[float, float, float]:
    """Return (requests a second for 10 KB, for 1 MB, milliseconds for 100 MB)."""
    port = free_port()
    program, *arguments = command.format(port=port).split()
    server = subprocess.Popen(
        [str(BIN / program), *arguments], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_up(port)
        return wrk(port, "small.jpg", 32, seconds), wrk(port, "large.jpg", 8, seconds), download(port)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)


def wrk(port: int, name: str, clients: int, seconds: int) -> float:
    """Return requests a second."""
    url = f"http://127.0.0.1:{port}/media/{name}"
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}", url]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"Requests/sec:\s+([\d.]+)", report)
    assert match, report
    assert "Non-2xx" not in report, report
    return float(match[1])


def download(port: int) -> float:
    """Return milliseconds for one 100 MB file."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/media/big.bin")
    response = connection.getresponse()
    length = 0
    while piece := response.read(1 << 20):
        length += len(piece)
    assert length == 100_000_000, length
    return (time.perf_counter() - started) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; Debian: apt-get install wrk")
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SERVERS}
    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder, "media")
        media.mkdir()
        (media / "small.jpg").write_bytes(os.urandom(10_240))
        (media / "large.jpg").write_bytes(os.urandom(1_000_000))
        (media / "big.bin").write_bytes(os.urandom(1_000_000) * 100)
        Path(folder, "bench_apps.py").write_text(APPS)
        env = {**os.environ, "PYTHONPATH": folder, "MEDIA_DIR": str(media)}
        for _ in range(args.rounds):
            for name, command in SERVERS.items():
                results[name].append(measure(command, env, args.seconds))
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools", "granian", "gunicorn")
    )
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}; {packages}\n")
    print("| server, one worker | 10 KB to 32 clients, requests/s | 1 MB to 8, requests/s | 100 MB, ms |")
    print("|---|---|---|---|")
    for name, rounds in results.items():
        cells = [[round(value) for value in column] for column in zip(*rounds, strict=True)]
        text = [f"{round(statistics.median(cell))} ({min(cell)} to {max(cell)})" for cell in cells]
        print(f"| {name} | {' | '.join(text)} |")


if __name__ == "__main__":
    main()
