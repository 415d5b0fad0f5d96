"""What the outcome tests share: two origins with the same files, a stack before them, clients that read to the end.

    client -> middleware -> FaultProxy -> Scripted (only if it has to spoil what is said) -> StrictS3, or a plain server

Rules: a ``Rig`` takes its own threads and descriptors back, and fails whoever leaves one; every client gives up after
``HANG_SECONDS``, which no answer may take; the app behind the middleware answers 299, so that it is never mistaken.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from mediamw import HTTPOriginBackend, MediaStack, MemoryBackend, S3Backend, asgi, wsgi
from mediamw.backends import origin_http
from mediamw.backends.rules import Rules
from mediamw.stack.origin_health import OPEN_SECONDS
from mediamw.testing.strict_s3 import StrictS3

from ..big_origin import File, big_origin, content
from ..fakes import until
from ..http_table.callers import environ
from .fault import HEALTHY, Fault
from .proxy import FaultProxy
from .scripted import Behaviour, Scripted

Kind = Literal["s3", "http"]
Delivery = Literal["redirect", "proxy"]
Gateway = Literal["wsgi", "asgi"]

ID, SECRET = "AKREADONLY", "read-only-secret"
SIZES = {"photo.jpg": 300_000, "small.jpg": 1000, "big.bin": 16 * 1024 * 1024}
"""Streamed in pieces; read before the answer starts; more than the buffers of all sockets on the way."""
MANY = [f"many/{number}.jpg" for number in range(16)]
SIZES |= dict.fromkeys(MANY, 100)

APP_STATUS = 299
HANG_SECONDS = 20.0
SLACK_SECONDS = 2.5
"""For a machine that is busy with something else."""


class Limits(NamedTuple):
    """In seconds, in the place of mediamw's own."""

    connect: float = 2.0
    read: float = 5.0
    head: float = 8.0
    deadline: float = 8.0


PATIENT = Limits()
assert PATIENT[:3] == (origin_http.CONNECT_SECONDS, origin_http.READ_SECONDS, origin_http.HEAD_SECONDS)
IMPATIENT = Limits(connect=0.2, read=0.2, head=0.3, deadline=0.8)
"""For faults that hang: what ends at once meets the real ones."""


@functools.cache
def data_of(key: str) -> bytes:
    size = SIZES[key]
    return b"".join(content(at, min(at + 65536, size)) for at in range(0, size, 65536))


@dataclass(frozen=True)
class Origins:
    """The ports of the sound servers."""

    s3: StrictS3
    ports: dict[Kind, int]


@contextmanager
def origins() -> Iterator[Origins]:
    plain_files = {key: File(size) for key, size in SIZES.items()}
    plain_files["no-etag.bin"] = File(SIZES["photo.jpg"], etag=None)
    with StrictS3(keys={}, read_only_keys={ID: SECRET}) as s3, big_origin(plain_files) as plain:
        s3.create_bucket("prod")
        for key in SIZES:
            s3.put("prod", key, data_of(key), content_type="image/jpeg")
        yield Origins(s3, {"s3": s3.port, "http": int(plain.url.split(":")[2].split("/")[0])})
        assert s3.writes == []


# -- clients -----------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """``error``: what the middleware raised amid the body, for the server to break the connection off."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: BaseException | None = None
    seconds: float = 0.0

    @property
    def outcome(self) -> str:
        """``broken``, or the status; a body that ends early without an error is ``SHORT``."""
        if self.error is not None:
            return "broken"
        length = self.headers.get("content-length")
        if length is not None and int(length) != len(self.body):
            return "SHORT"
        return str(self.status)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


OnBytes = Callable[[int], None]


def wsgi_app(_: Any, start_response: Any) -> Iterable[bytes]:
    start_response(f"{APP_STATUS} The App", [("Content-Type", "text/plain")])
    return [b"the app"]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": APP_STATUS, "headers": []})
    await send({"type": "http.response.body", "body": b"the app"})


def _by_wsgi(stack: MediaStack, target: str, headers: Any, on_bytes: OnBytes) -> Answer:
    got = Answer()

    def start_response(status: str, sent: Any, exc_info: Any = None) -> None:
        got.status, got.headers = int(status[:3]), {name.lower(): value for name, value in sent}

    result: Any = wsgi.MediaMiddleware(wsgi_app, stack)(environ("GET", target, headers), start_response)
    pieces: list[bytes] = []
    try:
        for piece in result:
            pieces.append(piece)
            on_bytes(sum(map(len, pieces)))
    except Exception as error:  # noqa: BLE001 - the server would break off whatever it is
        got.error = error
    finally:
        if hasattr(result, "close"):
            result.close()
    got.body = b"".join(pieces)
    return got


def _by_asgi(stack: MediaStack, target: str, headers: Any, on_bytes: OnBytes) -> Answer:
    got, pieces, ended = Answer(), [], False

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        nonlocal ended
        if message["type"] == "http.response.start":
            got.status = message["status"]
            got.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
            return
        pieces.append(message.get("body", b""))
        ended = not message.get("more_body", False)
        on_bytes(sum(map(len, pieces)))

    path, scope = target, {"type": "http", "http_version": "1.1", "method": "GET", "root_path": ""}
    scope |= {"path": path, "raw_path": path.encode()}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers]
    try:
        asyncio.run(asgi.MediaMiddleware(asgi_app, stack)(scope, receive, send))
    except Exception as error:
        if not got.status:  # before the answer started: that would be a 500 of the server
            raise
        got.error = error
    assert ended or got.error is not None, "neither an end nor an error: the server would wait for ever"
    got.body = b"".join(pieces)
    return got


CLIENTS = {"wsgi": _by_wsgi, "asgi": _by_asgi}


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what ``call`` returns, in a thread that may be left behind if it hangs."""
    done: list[Any] = []

    def run() -> None:
        try:
            done.append((call(), None))
        except BaseException as error:  # noqa: BLE001 - raised below
            done.append((None, error))

    thread = threading.Thread(target=run, daemon=True, name="a client of a test")
    thread.start()
    thread.join(seconds)
    assert done, f"it hangs: no end within {seconds:g} s"
    value, error = done[0]
    if error is not None:
        raise error
    return value


# -- the rig -----------------------------------------------------------------------------------------------------------


@dataclass
class Rig:
    """One stack before one origin, and what spoils the way there."""

    stack: MediaStack
    proxy: FaultProxy
    scripted: Scripted | None
    gateway: Gateway

    def get(self, key: str, headers: Any = (), on_bytes: OnBytes = lambda _: None) -> Answer:
        started = time.monotonic()
        client = CLIENTS[self.gateway]
        got: Answer = within(HANG_SECONDS, lambda: client(self.stack, f"/media/{key}", headers, on_bytes))
        got.seconds = time.monotonic() - started
        return got

    def spoil(self, what: Fault | Behaviour, *, once: bool = False) -> None:
        if isinstance(what, Fault):
            if once:
                self.proxy.once(what)
            else:
                self.proxy.fault = what
            return
        assert self.scripted is not None
        if once:
            self.scripted.script.append(what)
        else:
            self.scripted.always = what

    def heal(self, *, later: bool = False) -> None:
        """The origin is sound again, and the breaker's time is over; ``later`` is another time."""
        self.proxy._once.clear()
        self.proxy.fault = HEALTHY
        if self.scripted is not None:
            self.scripted.script.clear()
            self.scripted.always = None
        self.wait_for_the_breaker(4 if later else 2)

    def wait_for_the_breaker(self, times: int = 2) -> None:
        for origin in self.stack._asker._origins.values():
            origin.health._clock = lambda: time.monotonic() + times * OPEN_SECONDS

    def lift_limits(self) -> None:
        """Have mediamw's own limits from now on."""
        _limit(PATIENT)
        asker: Any = self.stack._asker
        asker._times = asker._times._replace(deadline=PATIENT.deadline)
        cast("Any", self.stack.backends[1]).close()  # connections keep theirs

    @property
    def breaker_is_open(self) -> bool:
        return any(origin.health._state.get().open_until is not None for origin in self.stack._asker._origins.values())


def make_backend(kind: Kind, url: str, delivery: Delivery, **options: Any) -> S3Backend | HTTPOriginBackend:
    if kind == "http":
        return HTTPOriginBackend(f"{url}/media/", name="prod", delivery=delivery, **options)
    given = {"access_key_id": ID, "secret_access_key": SECRET, "endpoint_url": url, "name": "prod"} | options
    made: Any = S3Backend("prod", **given)
    made.rules = Rules("prod", default="redirect", delivery=delivery)
    return made  # type: ignore[no-any-return]


@contextmanager
def rig(
    found: Origins,
    kind: Kind,
    delivery: Delivery,
    gateway: Gateway,
    limits: Limits = PATIENT,
    *,
    scripted: bool = False,
    **options: float,
) -> Iterator[Rig]:
    """A ``Rig`` with nothing spoilt, and ``options`` of the stack. At the end no thread or descriptor is left of it."""
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    with ExitStack() as closes:
        closes.enter_context(limited(limits))
        between = closes.enter_context(Scripted(found.ports[kind])) if scripted else None
        proxy = closes.enter_context(FaultProxy(found.ports[kind] if between is None else between.port))
        backend = make_backend(kind, proxy.url, delivery)
        stack = MediaStack([MemoryBackend(name="local"), backend], deadline=limits.deadline, **options)
        closes.callback(stack.close)
        yield Rig(stack, proxy, between, gateway)
        stack.close()
        ours = _ours(threads)
        until(lambda: not [thread for thread in ours if thread.is_alive()])
    until(lambda: not _left(threads))
    until(lambda: _fewer(descriptors))


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Have ``limits`` in the place of mediamw's own."""
    _limit(limits)
    try:
        yield
    finally:
        _limit(PATIENT)


def _limit(limits: Limits) -> None:
    module: Any = origin_http
    module.CONNECT_SECONDS, module.READ_SECONDS, module.HEAD_SECONDS = limits.connect, limits.read, limits.head


def _ours(before: set[threading.Thread]) -> list[threading.Thread]:
    """The threads that the stack started, but the watchdog, which stays."""
    started = set(threading.enumerate()) - before
    return [one for one in started if one.name.startswith("mediamw-") and one.name != "mediamw-watchdog"]


def _left(before: set[threading.Thread]) -> list[str]:
    return [one.name for one in set(threading.enumerate()) - before if one.name != "mediamw-watchdog"]


def _fewer(descriptors: int) -> bool:
    if open_descriptors() > descriptors:
        gc.collect()  # only then: it takes longer than most rigs
    return open_descriptors() <= descriptors


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))
