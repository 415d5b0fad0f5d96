"""Avatars move from a directory to a bucket and back, many times, while users upload and look at them.

Eight threads work all the time, by code and by both middlewares; one alias, or one remapped name, is switched under
them. Nobody meets an error, no file is lost, each is right, and what a row names stays where the row says it is.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediamw import LocalBackend, MediaStack, S3Backend, WritableS3Backend
from mediamw.stack.stack import StackOptions
from mediamw.storages import Registry, Stored
from mediamw.storages import asgi as asgi_side
from mediamw.storages import wsgi as wsgi_side
from mediamw.testing import StrictS3

from .http_table.callers import Response, acall_asgi, call_wsgi
from .s3.s3_world import ID, SECRET, fetch

WRITER_ID = "AKWRITER"
BUCKET, PROD = "avatars", "prod-avatars"
THREADS = 8
PATIENCE_SECONDS = 60
MUCH: StackOptions = {"deadline": 60, "misses_a_minute": 1_000_000}  # here one minute is a busy day
WAYS = ("code", "wsgi", "asgi", "alias")
DUMP = {f"users/{number}.jpg": f"production's {number}".encode() * (number + 1) for number in range(20)}


def lasting(seconds: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("seconds", [3, pytest.param(seconds, marks=pytest.mark.slow)])


@pytest.fixture
def s3() -> Iterator[StrictS3]:
    with StrictS3(keys={WRITER_ID: SECRET}, read_only_keys={ID: SECRET}) as server:
        for bucket in (BUCKET, PROD):
            server.create_bucket(bucket)
        for key, data in DUMP.items():
            server.put(PROD, key, data, content_type="image/jpeg")
        yield server
        assert [call for call in server.writes if call.bucket == PROD] == []


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.clear()


def bucket(s3: StrictS3) -> WritableS3Backend:
    return WritableS3Backend(BUCKET, endpoint_url=s3.endpoint, access_key_id=WRITER_ID, secret_access_key=SECRET)


def production(s3: StrictS3) -> S3Backend:
    return S3Backend(PROD, endpoint_url=s3.endpoint, access_key_id=ID, secret_access_key=SECRET, name="prod")


class Site:
    """What the users of a site do: each file is new, all are remembered as rows have them."""

    def __init__(self, registry: Registry, name: str) -> None:
        self.registry, self.name = registry, name
        self.wsgi = wsgi_side.StoragesMiddleware(None, registry)
        self.asgi = asgi_side.StoragesMiddleware(None, registry)
        self.rows: list[tuple[Stored, bytes]] = []
        self.done: dict[str, int] = {}
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def use(self, over: threading.Event, seed: int) -> None:
        """Upload and look at files until it is over. A mistake is kept and ends it."""
        chance = random.Random(seed)
        number = 0
        try:
            with asyncio.Runner() as runner:
                while not over.is_set():
                    number += 1
                    if chance.random() < 0.3 or not self.rows:
                        self.upload(f"users/{seed}/{number}.jpg", chance.randbytes(chance.choice([10, 3_000, 80_000])))
                    else:
                        self.look(*chance.choice(self.rows), chance, runner)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may meet it
            self.wrong.append(f"{type(error).__name__}: {error}")

    def upload(self, key: str, data: bytes) -> None:
        storage, stack = self.registry.target(self.name)
        stored = Stored(storage, stack.save(key, data))  # type: ignore[arg-type]
        with self._lock:
            self.rows.append((stored, data))
        self.count(f"uploaded to {storage}")

    def look(self, stored: Stored, data: bytes, chance: random.Random, runner: asyncio.Runner) -> None:
        way = chance.choice(WAYS)
        if way == "code":
            with self.registry.get(stored.storage).open(stored.key) as file:
                self.check(file.read() == data, f"{stored} by code")
        elif way == "alias":  # it points where the file is, or where it is not; never at another file
            got = call_wsgi(self.wsgi, "GET", self.wsgi.url_for(Stored(self.name, stored.key)))
            self.check(got.status == 404 or self.body_of(got) == data, f"{stored} by {self.name}: {got.status}")
        else:
            url = self.wsgi.url_for(stored)
            got = call_wsgi(self.wsgi, "GET", url) if way == "wsgi" else runner.run(acall_asgi(self.asgi, "GET", url))
            self.check(self.body_of(got) == data, f"{stored} by {way}: {got.status}")
        self.count(f"looked at {stored.storage} by {way}")

    def body_of(self, got: Response) -> bytes | None:
        if got.status == 302:
            status, body = fetch(got.get("location") or "")
            return body if status == 200 else None
        return got.body if got.status == 200 else None

    def check(self, is_right: bool, text: str) -> None:
        if not is_right:
            self.wrong.append(text)

    def count(self, what: str) -> None:
        with self._lock:
            self.done[what] = self.done.get(what, 0) + 1


def run(site: Site, switch: Callable[[int], None], seconds: float, storages: tuple[str, ...]) -> int:
    """Have all threads use the site for so long while ``switch`` is called; return how often it was.

    On a busy machine it takes longer, until each way was gone for each storage.
    """

    def is_enough(site: Site) -> bool:
        looked = [f"looked at {storage} by {way}" for storage in storages for way in WAYS]
        uploaded = [f"uploaded to {storage}" for storage in storages[:2]]
        return all(site.done.get(what, 0) > 5 for what in (*looked, *uploaded))

    over = threading.Event()
    threads = [threading.Thread(target=site.use, args=(over, seed)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    end, switched = time.monotonic() + seconds, 0
    while not site.wrong and time.monotonic() < end + PATIENCE_SECONDS:
        if time.monotonic() > end and is_enough(site):
            break
        switched += 1
        switch(switched)
        over.wait(random.Random(switched).choice([0, 0.002, 0.05]))
    over.set()
    for thread in threads:
        thread.join()
    assert is_enough(site) or site.wrong, site.done
    return switched


@lasting(60)
def test_avatars_move_to_a_bucket_and_back(
    seconds: int, tmp_path: Path, s3: StrictS3, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.configure("local", MediaStack([LocalBackend(tmp_path)], **MUCH))
    registry.configure("s3", MediaStack([bucket(s3)], **MUCH))
    registry.alias("avatars", "local")
    site = Site(registry, "avatars")
    with caplog.at_level(logging.WARNING):
        both = ("local", "s3")
        switched = run(site, lambda number: registry.alias("avatars", both[number % 2]), seconds, both)
    assert site.wrong == []
    assert caplog.records == []
    assert switched > 30
    for stored, data in site.rows:
        is_local = stored.storage == "local"
        assert (tmp_path / stored.key).is_file() is is_local, f"{stored} lies where its row does not say"
        kept = (tmp_path / stored.key).read_bytes() if is_local else s3.objects(BUCKET)[stored.key]
        assert kept == data
    assert len({stored.key for stored, _ in site.rows}) == len(site.rows)


@lasting(15)
def test_a_production_storage_is_answered_by_another(
    seconds: int, tmp_path: Path, s3: StrictS3, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """The rows of a dump name ``prod_avatars``: they are right whoever answers, and uploads stay where they went."""
    registry.configure("here", MediaStack([LocalBackend(tmp_path), production(s3)], **MUCH))
    registry.configure("qa", MediaStack([bucket(s3), production(s3)], **MUCH))
    registry.remap({"prod_avatars": "here"})
    site = Site(registry, "prod_avatars")
    dumped: list[tuple[Stored, bytes]] = [(Stored.of(f"prod_avatars/{key}"), data) for key, data in DUMP.items()]
    site.rows += dumped
    with caplog.at_level(logging.WARNING):
        every = ("here", "qa", "prod_avatars")
        switched = run(site, lambda number: registry.remap({"prod_avatars": every[number % 2]}), seconds, every)
    assert site.wrong == []
    assert caplog.records == []
    assert {row[0].storage for row in site.rows} == {"prod_avatars", "here", "qa"}
    assert switched > 30
    assert s3.objects(PROD) == DUMP
    for stored, _ in site.rows[len(dumped) :]:
        assert (tmp_path / stored.key).is_file() is (stored.storage == "here")
        assert (stored.key in s3.objects(BUCKET)) is (stored.storage == "qa")
