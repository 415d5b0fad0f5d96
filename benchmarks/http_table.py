"""Peers on the HTTP table: how many of its rows each middleware that serves files answers as RFC 9110 has it.

    python benchmarks/http_table.py [contender ...]

Only rows that a plain file server meets: no redirect, no option of ours, no name that is refused by taste. Of headers
only what a clause demands is looked at. What RFC 9110 leaves open counts as right: Range ignored (14.2), ranges merged
or in another order (15.3.7.2), invalid ones rejected (14.2) or made out (2.4), dates as in mail (5.6.7). An exception
is a failure and is named.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.http_table import ROWS, Row
from tests.http_table.callers import Response, acall_asgi, call_wsgi
from tests.http_table.check import Facts, byte_ranges, sound
from tests.http_table.files import FILES, SECRET, write_files
from tests.http_table.sites import local_files, make_asgi, make_wsgi, wrapped_asgi, wrapped_wsgi

PEER_ROWS = [row for row in ROWS if row.peers and not row.frozen_clock]
Ask = Callable[[str, str, Any], Response]


def _wsgi(app: Any) -> Ask:
    def ask(method: str, path: str, headers: Any) -> Response:
        got = call_wsgi(app, method, path, headers)
        # WSGI servers drop the body of an answer to HEAD, so a peer may leave that to them.
        return Response(got.status, got.headers, b"") if method == "HEAD" else got

    return ask


def _asgi(app: Any) -> Ask:
    return lambda method, path, headers: asyncio.run(acall_asgi(app, method, path, headers))


def _whitenoise(root: Path) -> Ask:
    from whitenoise import WhiteNoise

    return _wsgi(WhiteNoise(wrapped_wsgi, root=str(root), prefix="media/", autorefresh=True))


def _werkzeug(root: Path) -> Ask:
    from werkzeug.middleware.shared_data import SharedDataMiddleware

    return _wsgi(SharedDataMiddleware(wrapped_wsgi, {"/media": str(root)}))


def _starlette(root: Path) -> Ask:
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    return _asgi(Starlette(routes=[Mount("/media", StaticFiles(directory=root)), Mount("/", wrapped_asgi)]))


CONTENDERS: dict[str, tuple[str, Callable[[Path], Ask]]] = {
    "mediamw, WSGI": ("mediamw", lambda root: _wsgi(make_wsgi("plain", local_files(root)))),
    "mediamw, ASGI": ("mediamw", lambda root: _asgi(make_asgi("plain", local_files(root)))),
    "WhiteNoise (autorefresh), WSGI": ("whitenoise", _whitenoise),
    "Starlette StaticFiles, ASGI": ("starlette", _starlette),
    "Werkzeug SharedDataMiddleware, WSGI": ("werkzeug", _werkzeug),
}


def judge(row: Row, got: Response) -> str | None:
    """Say what RFC 9110 has against an answer; None if nothing."""
    if row.file is None:
        # A name that nobody should serve: what is answered instead is the peer's choice, but it must be no 5xx.
        return "outside of the root" if SECRET.strip() in got.body else f"{got.status}" if got.status >= 500 else None
    if got.status != row.status and got.status not in row.peer_status:
        return f"{got.status}, not {row.status}"
    # A body of no declared length is a server's to frame; one of another length is wrong.
    framing = [fault for fault in sound(row.method, got) if not fault.startswith("Content-Length None")]
    if framing:
        return framing[0]
    for name, want in row.expect.items():
        # Which tag and which time a peer makes of a file is its own affair, and so is saying a length for HEAD.
        value = got.get(name)
        if name in ("content-range", "content-encoding", "content-length") and value is not None and value != want:
            return f"{name}: {value}"
    return _representation(row, got)


def _representation(row: Row, got: Response) -> str | None:
    data = FILES[row.file or ""]
    if got.status == 200 and row.method == "GET" and got.body != data:
        return "another body than the file's"
    if got.status == 206:
        try:
            parts = byte_ranges(got)
        except (AssertionError, ValueError) as error:
            return f"206 that cannot be read: {error}"
        if any(body != data[first:stop] or size != len(data) for first, stop, size, body in parts):
            return "206 with other bytes than it says"
        positions = {position for first, stop, _, _ in parts for position in range(first, stop)}
        if row.parts is not None and positions != {p for first, stop in row.parts for p in range(first, stop)}:
            return "206 with other ranges than asked for"
    if got.status == 416 and got.get("content-range") not in (None, f"bytes */{len(data)}"):
        return f"416 with Content-Range {got.get('content-range')}"
    return None


def score(ask: Ask) -> tuple[int, dict[tuple[str, str], list[str]]]:
    """Return the number of rows that are right, and the ids of the others by clause and reason."""
    passed, failed = 0, defaultdict(list)
    for row in PEER_ROWS:
        try:
            facts = Facts("", "")
            if row.headers:
                facts = Facts.of(ask("GET", row.path, ()))
            reason = judge(row, ask(row.method, row.path, facts.fill(row.headers)))
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is its answer
            reason = f"raises {type(error).__name__}: {str(error)[:60]}"
        if reason is None:
            passed += 1
        else:
            failed[row.clause, reason].append(row.id)
    return passed, failed


def main(names: list[str]) -> None:
    """Print the scores as Markdown, then what failed."""
    chosen = {name: made for name, made in CONTENDERS.items() if not names or any(n in name.lower() for n in names)}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        root = write_files(Path(folder))
        (root / "fifo.jpg").unlink()  # no row asks peers for it, and one that lists the folder might open it
        for name, (package, make) in chosen.items():
            results[name] = (version(package), *score(make(root)))
    print("| contender | version | rows passed |")
    print("|---|---|---|")
    for name, (number, passed, _) in results.items():
        print(f"| {name} | {number} | {passed} / {len(PEER_ROWS)} |")
    for name, (_, _, failed) in results.items():
        if failed:
            print(f"\n### {name}\n")
            print("| clause | answer | rows |")
            print("|---|---|---|")
            for (clause, reason), ids in sorted(failed.items()):
                print(f"| {clause} | {reason.replace('|', ' ')} | {', '.join(ids)} |")


if __name__ == "__main__":
    main([name.lower() for name in sys.argv[1:]])
