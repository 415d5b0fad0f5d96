"""Which server `mediamw serve` should run, and what `http.response.pathsend` would save.

The row "pathsend" is a bare app (``bare_pathsend.py``).
"""

from __future__ import annotations

import time

from benchmarks.report import Column, Table
from benchmarks.serving import Server, load, need_wrk
from benchmarks.setting import BIG, Media, Options

SMALL = Column("10 KB to 32 clients", "requests/s", more_is_better=True)
LARGE = Column("1 MB to 8", "requests/s", more_is_better=True)
WHOLE = Column("100 MB", "ms")
ROWS = {
    "ASGI uvicorn": ("uvicorn", "files/asgi/mediamw"),
    "ASGI granian": ("granian, ASGI", "files/asgi/mediamw"),
    "ASGI granian, pathsend": ("granian, ASGI", "pathsend"),
    "WSGI granian": ("granian", "files/wsgi/mediamw"),
    "WSGI gunicorn gthread": ("gunicorn", "files/wsgi/mediamw"),
}


def run(media: Media, options: Options) -> list[Table]:
    """Measure mediamw behind each server."""
    need_wrk(options)
    table = Table("mediamw behind", (SMALL, LARGE, WHOLE), ours="ASGI granian")
    for _ in range(options.rounds):
        for name, (server, app) in ROWS.items():
            with Server(server, media, app) as running:
                table.add(name, SMALL.name, load(running, "/media/small.jpg", {}, 32, options))
                table.add(name, LARGE.name, load(running, "/media/large.jpg", {}, 8, options))
                started = time.perf_counter()
                running.get(f"/media/{BIG}")
                table.add(name, WHOLE.name, (time.perf_counter() - started) * 1000)
    return [table]
