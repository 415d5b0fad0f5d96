"""The whole HTTP table over real servers on loopback: what a client gets is what the middleware said in process.

Header lists are compared as sets, names in lower case, less those that are the server's own. Some requests never reach
an app as they were sent: ``BY_SERVER`` says which, and fails if that changes.
"""

from __future__ import annotations

import http.client
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .http_table import ROWS, Row
from .http_table.callers import Response, call_socket, call_wsgi
from .http_table.check import Facts, faults
from .http_table.files import write_files
from .http_table.sites import local_files, make_wsgi
from .servers import running

pytestmark = pytest.mark.slow

OWN_HEADERS = frozenset(("date", "server", "connection", "keep-alive", "transfer-encoding"))
APPS = "from tests.server_apps import asgi_app, wrapped_asgi, wrapped_wsgi, wsgi_app"

# The app of each server, and the sites it answers for; None: all of them, by host.
LAUNCHERS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "gunicorn-wsgi": ("wsgi_app", None),
    "uvicorn-asgi": ("asgi_app", None),
    "granian-asgi": ("asgi_app", None),
    "granian-wsgi": ("wsgi_app", None),
    "serve-alone": ("", ("alone",)),
    "serve-around-wsgi": ("wrapped_wsgi", ("plain",)),
    "serve-around-asgi": ("wrapped_asgi", ("plain",)),
}

# gunicorn takes header lines of 8,190 bytes (--limit-request-field_size).
_LONG_HEADERS = ("if-match-{}", "if-none-match-{}")
_GUNICORN = {name.format(bound): 431 for name in _LONG_HEADERS for bound in ("at-bound", "past-bound")}
_GUNICORN |= {"range-at-bound": 431, "range-ignored-past-bound": 431}
# granian hands a WSGI app an empty value where a header holds bytes above 0x7f; PEP 3333 has it decode them as Latin-1.
# The safe side: nothing matches, so the body is sent, or 412.
_GRANIAN_WSGI = {"if-match-obs-text": 412, "if-none-match-obs-text": 200}


def _and_proxied(rows: dict[str, int]) -> dict[str, int]:
    """The same requests for a file that is proxied."""
    return rows | {f"proxy-{row}": status for row, status in rows.items()}


BY_SERVER: dict[str, dict[str, int]] = {
    "gunicorn-wsgi": _and_proxied(_GUNICORN),
    "granian-wsgi": _and_proxied(_GRANIAN_WSGI),
    "serve-around-wsgi": _GRANIAN_WSGI,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("servers"))


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
def test_table_over(name: str, root: Path, tmp_path: Path) -> None:
    (app, sites), by_server = LAUNCHERS[name], BY_SERVER.get(name, {})
    middlewares = cache(lambda site: make_wsgi(site, local_files(root)))
    rows = _rows(sites)
    wrong: list[str] = []
    with running(name, APPS, app, tmp_path, backend=root, HTTP_TABLE_ROOT=str(root)) as server:
        for row in rows:
            try:
                found = _ask(server.port, row, by_server.get(row.id), middlewares(row.site))
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


def _rows(sites: tuple[str, ...] | None) -> list[Row]:
    """The rows that this server can be asked, each put to the site it has."""
    rows = [row for row in ROWS if not row.frozen_clock]
    if sites is None:
        return rows
    if sites == ("alone",):  # files are files, with an app or without
        return [row for row in rows if row.site in ("plain", "alone") and not row.app]
    return [row for row in rows if row.site in sites]
