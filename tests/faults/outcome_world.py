"""What the outcome tests share: two origins with the same files, a stack before them, clients that read to the end.

    client -> middleware -> FaultProxy -> Scripted (only if it has to spoil what is said) -> StrictS3, or a plain server

A ``Rig`` takes its own threads and descriptors back, and fails whoever leaves one.
"""

from __future__ import annotations

import functools
import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import pytest

from mediamw import HTTPOriginBackend, MediaStack, MemoryBackend, S3Backend
from mediamw.backends import origin_http
from mediamw.stack.origin_health import OPEN_SECONDS
from mediamw.testing.strict_s3 import StrictS3

from ..big_origin import File, big_origin, content
from ..fakes import until
from .fault import HEALTHY, Fault
from .outcome_clients import CLIENTS, HANG_SECONDS, Answer, OnBytes, within
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

SLACK_SECONDS = 2.5
"""For a machine that is busy with something else."""


def waits(kind: Kind, gateway: Gateway) -> list[pytest.MarkDecorator]:
    """The marks of a test of many: one pair of origin and gateway is fast, the others run with -m slow."""
    return [] if (kind, gateway) == ("s3", "asgi") else [pytest.mark.slow]


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
        for origin in self.stack._asker.origins:
            origin.health._clock = lambda: time.monotonic() + times * OPEN_SECONDS

    def limit(self, limits: Limits) -> None:
        """Have these limits from now on."""
        _limit(limits)
        origins = self.stack._asker.origins
        origins.times = origins.times._replace(deadline=limits.deadline)
        cast("Any", self.stack.backends[1]).close()  # connections keep theirs

    @property
    def breaker_is_open(self) -> bool:
        return any(origin.health._state.get().open_until is not None for origin in self.stack._asker.origins)


def make_backend(kind: Kind, url: str, delivery: Delivery, **options: Any) -> S3Backend | HTTPOriginBackend:
    if kind == "http":
        return HTTPOriginBackend(f"{url}/media/", name="prod", delivery=delivery, **options)
    given: Any = {"access_key_id": ID, "secret_access_key": SECRET, "endpoint_url": url, "name": "prod"} | options
    return S3Backend("prod", delivery=delivery, **given)


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
