"""The whole HTTP table over real servers on loopback: what a client gets is what the middleware said in process.

Header lists are compared as sets, names in lower case, less those that are the server's own. Some requests never reach
an app as they were sent: ``BY_SERVER`` says which, and fails if that changes.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .http_table import ROWS, Row
from .http_table.callers import Response, call_socket, call_wsgi
from .http_table.check import Facts, faults
from .http_table.files import write_files
from .http_table.sites import local_files, make_wsgi

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[1]
START_SECONDS = 30
OWN_HEADERS = frozenset(("date", "server", "connection", "keep-alive", "transfer-encoding"))


@dataclass(frozen=True)
class Launcher:
    """A server's command; ``{port}`` and ``{root}`` are filled in. It answers for ``sites``, all of them if None."""

    command: tuple[str, ...]
    sites: tuple[str, ...] | None = None
    says_port: bool = False
    """It picks the port itself and prints a line with its URL."""


_SERVE = (sys.executable, "-m", "mediamw", "serve", "--backend", "{root}", "--host", "127.0.0.1", "--port", "0")
_GRANIAN = (sys.executable, "-m", "granian", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log")

LAUNCHERS = {
    "gunicorn-wsgi": Launcher(
        (sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "4", "-b", "127.0.0.1:{port}",
         "tests.server_apps:wsgi_app"),
    ),
    "uvicorn-asgi": Launcher(
        (sys.executable, "-m", "uvicorn", "--port", "{port}", "--log-level", "warning", "tests.server_apps:asgi_app"),
    ),
    "granian-asgi": Launcher((*_GRANIAN, "--interface", "asgi", "tests.server_apps:asgi_app")),
    "granian-wsgi": Launcher((*_GRANIAN, "--interface", "wsgi", "tests.server_apps:wsgi_app")),
    "serve-alone": Launcher((*_SERVE, "--prefix", "/media/"), ("alone",), says_port=True),
    "serve-around-wsgi": Launcher(
        (*_SERVE, "--prefix", "/media/", "tests.server_apps:wrapped_wsgi"), ("plain",), says_port=True
    ),
    "serve-around-asgi": Launcher(
        (*_SERVE, "--prefix", "/media/", "tests.server_apps:wrapped_asgi"), ("plain",), says_port=True
    ),
}  # fmt: skip

# gunicorn takes header lines of 8,190 bytes (--limit-request-field_size).
_LONG_HEADERS = ("if-match-{}", "if-none-match-{}")
_GUNICORN = {name.format(bound): 431 for name in _LONG_HEADERS for bound in ("at-bound", "past-bound")}
_GUNICORN |= {"range-at-bound": 431, "range-ignored-past-bound": 431}
# granian hands a WSGI app an empty value where a header holds bytes above 0x7f; PEP 3333 has it decode them as Latin-1.
# The safe side: nothing matches, so the body is sent, or 412.
_GRANIAN_WSGI = {"if-match-obs-text": 412, "if-none-match-obs-text": 200}

BY_SERVER: dict[str, dict[str, int]] = {
    "gunicorn-wsgi": _GUNICORN,
    "granian-wsgi": _GRANIAN_WSGI,
    "serve-around-wsgi": _GRANIAN_WSGI,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("servers"))


@contextmanager
def _running(launcher: Launcher, root: Path) -> Iterator[int]:
    """Give the port; end the server and all that it started, whatever happens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [part.replace("{port}", str(port)).replace("{root}", str(root)) for part in launcher.command]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, "HTTP_TABLE_ROOT": str(root)},
            stdout=subprocess.PIPE if launcher.says_port else log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            if launcher.says_port:
                assert process.stdout is not None
                match = re.search(r"http://127\.0\.0\.1:(\d+)/media/", process.stdout.readline())
                assert match, _read(log)
                port = int(match[1])
            _wait_until_it_answers(process, port, log)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            finally:
                # Its session is its own, so this reaches workers that outlived it, and nobody else.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()


def _read(log: object) -> str:
    log.seek(0)  # type: ignore[attr-defined]
    return str(log.read())  # type: ignore[attr-defined]


def _wait_until_it_answers(process: subprocess.Popen[str], port: int, log: object) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            call_socket(port, "plain.test", "HEAD", "/media/photo.jpg")
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)  # nothing to wait for but the port
        else:
            return
    raise AssertionError(f"the server does not answer: {_read(log)}")


def _comparable(got: Response) -> tuple[int, list[tuple[str, str]], bytes]:
    headers = []
    for name, value in got.headers:
        if name in OWN_HEADERS:
            continue
        if name == "server-timing":  # measured
            value = re.sub(r"dur=[0-9.]+", "dur=0", value)
        elif name == "cache-control":  # what is left of a signed URL's life
            value = re.sub(r"max-age=3[0-9]{3}$", "max-age=3000", value)
        headers.append((name, value))
    return got.status, sorted(headers), got.body


@pytest.mark.parametrize("name", LAUNCHERS)
def test_table_over(name: str, root: Path) -> None:
    launcher, by_server = LAUNCHERS[name], BY_SERVER.get(name, {})
    middlewares = cache(lambda site: make_wsgi(site, local_files(root)))
    rows = _rows(launcher)
    wrong: list[str] = []
    with _running(launcher, root) as port:
        for row in rows:
            try:
                found = _ask(port, row, by_server.get(row.id), middlewares(row.site))
            except (AssertionError, OSError, http.client.HTTPException) as error:
                found = [repr(error)]
            wrong += [f"{row.id}: {fault}" for fault in found]
    for site in {row.site for row in rows}:
        service = middlewares(site).service
        if service is not None:
            service.stack.close()
    assert not wrong, "\n".join(wrong)
    assert len(rows) > 300


def _ask(port: int, row: Row, by_server: int | None, middleware: Any) -> list[str]:
    """Say what is wrong with the server's answer, compared with the row and with the middleware in process."""
    host = f"{row.site}.test"
    facts = Facts.of(call_socket(port, host, "GET", row.path)) if row.headers else Facts("", "")
    headers = facts.fill(row.headers)
    got = call_socket(port, host, row.method, row.path, headers)
    if by_server is not None:
        return [] if got.status == by_server else [f"the server says {got.status}, not {by_server}"]
    found = faults(row, got)
    in_process = call_wsgi(middleware, row.method, row.path, headers)
    # A wrapped app may add headers by its server, and a file of the future is as old as the clock says.
    if not row.app and row.file != "future.jpg" and _comparable(got) != _comparable(in_process):
        found.append(f"{_comparable(got)[:2]} over the server, {_comparable(in_process)[:2]} in process")
    return found


def _rows(launcher: Launcher) -> list[Row]:
    """The rows that this server can be asked, each put to the site it has."""
    rows = [row for row in ROWS if not row.frozen_clock]
    if launcher.sites is None:
        return rows
    if launcher.sites == ("alone",):  # files are files, with an app or without
        return [row for row in rows if row.site in ("plain", "alone") and not row.app]
    return [row for row in rows if row.site in launcher.sites]
