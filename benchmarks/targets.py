"""What the figures should be, as data: `docs/performance.md` shows them beside what was measured.

They are for an idle machine. Nothing fails by missing one.
"""

from __future__ import annotations

from benchmarks.in_process import OVERHEAD
from benchmarks.large import CPU, DOWNLOAD, SLOWER, STALLED
from benchmarks.lookups import BOTO3, CALLS, ONE, TIME
from benchmarks.lookups import CPU as LOOKUP_CPU
from benchmarks.redirects import COLUMN as REDIRECT
from benchmarks.report import Target
from benchmarks.signing import AGAIN, NEW

OURS, BARE = "mediamw", "bare app"
INDEXED, AUTOREFRESH = "WhiteNoise, indexed", "WhiteNoise, autorefresh"
STARLETTE, SERVESTATIC = "Starlette StaticFiles", "ServeStatic, indexed"
WERKZEUG, DEPOT = "Werkzeug SharedDataMiddleware", "DEPOT"


def _better(group: str, table: str, column: str, *pairs: tuple[str, float]) -> list[Target]:
    return [Target(group, table, column, OURS, peer, bound) for peer, bound in pairs]


def _no_more(group: str, table: str, column: str, bound: float, peer: str | None = None) -> Target:
    return Target(group, table, column, OURS, peer, bound, at_most=True)


TARGETS = [
    *_better("in-process", "in process, WSGI", "10 KB", (INDEXED, 1.5), (AUTOREFRESH, 10)),
    *_better("in-process", "in process, WSGI", OVERHEAD, (DEPOT, 1.3), (INDEXED, 1.7)),
    *_better("in-process", "in process, ASGI", "10 KB", (STARLETTE, 45), (SERVESTATIC, 60)),
    *_better("in-process", "in process, ASGI", OVERHEAD, (SERVESTATIC, 1.6)),
    *_better("http", "uvicorn", "10 KB", (BARE, 0.7), (STARLETTE, 12), (SERVESTATIC, 20), ("Caddy", 1.1)),
    *_better("http", "uvicorn", "range", (STARLETTE, 10)),
    *_better("http", "uvicorn", "304", (STARLETTE, 5.5)),
    *_better("http", "gunicorn", "10 KB", (BARE, 0.82), (INDEXED, 1.1), (WERKZEUG, 1.3), (DEPOT, 1.3)),
    *_better("http", "gunicorn", "range", (INDEXED, 1.05)),
    *_better("http", "gunicorn", "304", (AUTOREFRESH, 1.4)),
    *_better("http", "granian", "10 KB", (INDEXED, 1.15), ("granian's static mount", 1.15)),
    *_better("signing", "signing", NEW, ("boto3", 40), ("obstore", 2)),
    *_better("signing", "signing", AGAIN, ("boto3", 300)),
    *_better("redirect", "redirects, uvicorn", REDIRECT.name, ("bare 302", 0.65), ("Starlette and boto3", 7.5)),
    *_better("redirect", "redirects, gunicorn", REDIRECT.name, ("bare 302", 0.87), ("Flask and boto3", 3.2)),
    *(target for name in ("10 KB", "304") for target in _better("depot", "a DEPOT directory", name, (DEPOT, 2))),
    _no_more("large", "100 MB, uvicorn", CPU, 0.45, STARLETTE),
    _no_more("large", "100 MB, uvicorn", DOWNLOAD, 1),
    _no_more("large", "100 MB, uvicorn", STALLED, 1.5),
    _no_more("large", "100 MB, uvicorn", SLOWER, 1.2),
    _no_more("large", "100 MB, granian, ASGI", DOWNLOAD, 1),
    _no_more("large", "100 MB, granian, ASGI", STALLED, 1.5),
    _no_more("large", "100 MB, granian, ASGI", SLOWER, 1.2),
    _no_more("large", "100 MB, gunicorn", CPU, 0.9, INDEXED),
    _no_more("large", "100 MB, gunicorn", DOWNLOAD, 1),
    _no_more("large", "100 MB, gunicorn", STALLED, 1.5),
    _no_more("large", "100 MB, granian, many threads", DOWNLOAD, 1),
    _no_more("large", "100 MB, granian, many threads", STALLED, 2.5),
    *_better("lookups", "look-ups", LOOKUP_CPU, (BOTO3, 6)),
    _no_more("lookups", "look-ups", CALLS, 4),
    *_better("lookups", "look-ups", TIME, (BOTO3, 3)),
    _no_more("lookups", "look-ups", ONE, 1),
    *_better("start", "import", "time", ("whitenoise", 1)),
    Target("start", "import", "time", "mediamw.wsgi", "whitenoise", 1),
    *_better("start", "local and S3, first URL", "time", ("boto3", 5)),
    *_better("start", "local and S3, first URL", "memory", ("boto3", 4)),
]
