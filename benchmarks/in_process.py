"""Microseconds a request without a server: the app is called, its body read and closed.

Wall time (``perf_counter``), and for the small file the CPU time of all threads too (``process_time``): a peer that
hops to a thread waits for it. An ASGI app is awaited within one event loop, uvloop if it is there. What requests that
are none of media's cost is CPU time, less what the wrapped app costs by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults

from benchmarks.contenders import ANEW, FILES, Contender, app_asgi, app_wsgi, installed
from benchmarks.report import Column, Table
from benchmarks.setting import SIZES, Media, Options

OVERHEAD = "not media, overhead, CPU"
COLUMNS = (
    Column("10 KB", "µs"),
    Column("10 KB, CPU", "µs"),
    Column("range", "µs"),
    Column("304", "µs"),
    Column("miss", "µs"),
    Column(OVERHEAD, "µs"),
)
Answer = tuple[int, dict[str, str], int]


class Ask(NamedTuple):
    """A request: its column, its file (None: no media), and the status and the body's bytes that answer it."""

    column: str
    file: str | None
    status: int
    size: int
    headers: dict[str, str]


def asks(validators: dict[str, str]) -> list[Ask]:
    """Return the requests, one for each column. ``validators`` are sent for the 304, both as a browser has them."""
    return [
        Ask("10 KB", "small.jpg", 200, SIZES["small.jpg"], {}),
        Ask("range", "large.jpg", 206, 1024, {"Range": "bytes=500000-501023"}),
        Ask("304", "small.jpg", 304, 0, validators),
        Ask("miss", "missing.jpg", 404, -1, {}),
        Ask(OVERHEAD, None, 200, 5, {}),
    ]


def validators_of(headers: dict[str, str]) -> dict[str, str]:
    """Return what a browser sends back of an answer's headers."""
    pairs = (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since"))
    return {sent: headers[name] for name, sent in pairs if name in headers}


# -- calling -----------------------------------------------------------------------------------------------------------


def wsgi_caller(app: Any, path: str, headers: dict[str, str]) -> Callable[[int], Answer]:
    """Return what asks ``n`` times and returns the last answer."""
    browser = {"Accept": "image/avif,image/webp,*/*;q=0.8", "User-Agent": "benchmark", **headers}
    environ: dict[str, Any] = {
        "PATH_INFO": path,
        "SERVER_PROTOCOL": "HTTP/1.1",
        **{f"HTTP_{name.upper().replace('-', '_')}": text for name, text in browser.items()},
    }
    setup_testing_defaults(environ)  # what else PEP 3333 wants
    started: list[Any] = [None, None]

    def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
        started[:] = status, headers

    def call(number: int) -> Answer:
        size = 0
        for _ in range(number):
            size = 0
            body = app(environ.copy(), start_response)
            for piece in body:
                size += len(piece)
            if hasattr(body, "close"):
                body.close()
        return int(started[0][:3]), {name.lower(): text for name, text in started[1]}, size

    return call


def asgi_caller(app: Any, path: str, headers: dict[str, str], runner: asyncio.Runner) -> Callable[[int], Answer]:
    """Return what asks ``n`` times and returns the last answer."""
    sent = {"host": "127.0.0.1", "accept": "image/avif,image/webp,*/*;q=0.8", "user-agent": "benchmark", **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), text.encode("latin-1")) for name, text in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    got: dict[str, Any] = {}

    async def receive() -> Any:
        await asyncio.Event().wait()  # a client that neither sends more nor leaves

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            got.update(start=message, size=0)
        else:
            got["size"] += len(message.get("body", b""))

    async def ask(number: int) -> None:
        for _ in range(number):
            await app(scope.copy(), receive, send)

    def call(number: int) -> Answer:
        runner.run(ask(number))
        start = got["start"]
        pairs = {name.decode().lower(): text.decode("latin-1") for name, text in start["headers"]}
        return start["status"], pairs, got["size"]

    return call


def timed(call: Callable[[int], Any], seconds: float) -> tuple[float, float]:
    """Return microseconds a call, of wall time and of CPU time, from about so many seconds of calls."""
    number, took = 1, 0.0
    while True:
        cpu, wall = time.process_time(), time.perf_counter()
        call(number)
        took, spent = time.perf_counter() - wall, time.process_time() - cpu
        if took >= seconds / 2:
            return took / number * 1e6, spent / number * 1e6
        number = max(number * 2, min(number * 50, int(number * seconds / max(took, 1e-7))))


def many(work: Callable[[], Any]) -> Callable[[int], None]:
    """Return what does ``work`` so many times."""

    def call(number: int) -> None:
        for _ in range(number):
            work()

    return call


# -- the group ---------------------------------------------------------------------------------------------------------


def run(media: Media, options: Options) -> list[Table]:
    """Measure both interfaces."""
    factory = None
    if find_spec("uvloop") is not None:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return [_table(interface, media, options, runner) for interface in ("wsgi", "asgi")]


def _table(interface: str, media: Media, options: Options, runner: asyncio.Runner) -> Table:
    table = Table(f"in process, {interface.upper()}", COLUMNS)
    contenders = installed({**FILES[interface], **ANEW[interface]})

    def caller(app: Any, path: str, headers: dict[str, str]) -> Callable[[int], Answer]:
        if interface == "wsgi":
            return wsgi_caller(app, path, headers)
        return asgi_caller(app, path, headers, runner)

    calls: dict[tuple[str, str], Callable[[int], Answer]] = {}
    for name, contender in contenders.items():
        app = contender.make(media)
        table.rows[name] = {}
        for column, call in _callers(app, contender, media, caller):
            calls[column, name] = call
    plain = caller(app_wsgi if interface == "wsgi" else app_asgi, "/hello", {})
    for _ in range(options.rounds):
        for column in (column.name for column in COLUMNS):
            overhead = column == OVERHEAD
            for name in contenders:
                if (column, name) not in calls or (overhead and contenders[name].is_bare):
                    continue
                base = timed(plain, options.slice)[1] if overhead else 0.0  # beside each: it is most of what is timed
                wall, cpu = timed(calls[column, name], options.slice)
                table.add(name, column, cpu - base if overhead else wall)
                if column == "10 KB":
                    table.add(name, "10 KB, CPU", cpu)
    return table


def _callers(app: Any, contender: Contender, media: Media, caller: Any) -> list[tuple[str, Callable[[int], Answer]]]:
    """Return what asks an app, for each column that it answers as it should."""
    found = []
    _, headers, _ = caller(app, contender.url(media, "small.jpg"), {})(1)
    for ask in asks(validators_of(headers)):
        if contender.is_bare and ask.column not in ("10 KB", OVERHEAD):
            continue
        call = caller(app, "/hello" if ask.file is None else contender.url(media, ask.file), ask.headers)
        status, _, size = call(1)
        if status == ask.status and (ask.size < 0 or size == ask.size):
            found.append((ask.column, call))
    return found
