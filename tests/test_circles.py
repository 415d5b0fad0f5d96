"""Sites with mediamw that stand behind each other: nobody waits for whoever waits for him."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from werkzeug.test import Client

from mediamw import HTTPOriginBackend, MediaStack, MemoryBackend
from mediamw.backends.via import sites_of
from mediamw.core.keys import Key
from mediamw.stack.origins import NETWORK_THREADS
from mediamw.wsgi import MediaMiddleware

from .fakes import Bucket

OTHER = "mediamw-0123456789ab"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 256


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class World:
    """Sites in a ring: each asks the next one for what it does not have."""

    def __init__(self, number: int) -> None:
        self.servers = [_Server(("127.0.0.1", 0), _Handler) for _ in range(number)]
        self.ports = [server.server_address[1] for server in self.servers]
        self.local = [MemoryBackend(name="local") for _ in self.servers]
        self.stacks = []
        for place, server in enumerate(self.servers):
            url = f"http://127.0.0.1:{self.ports[(place + 1) % number]}/media/"
            stack = MediaStack([self.local[place], HTTPOriginBackend(url, delivery="proxy")])
            self.stacks.append(stack)
            server.set_app(MediaMiddleware(None, stack))
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        for server, stack in zip(self.servers, self.stacks, strict=True):
            server.shutdown()
            server.server_close()
            stack.close()

    def get(self, place: int, key: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[place], timeout=30)
        try:
            connection.request("GET", f"/media/{key}")
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture
def number() -> int:
    return 2


@pytest.fixture
def world(number: int) -> Iterator[World]:
    made = World(number)
    yield made
    made.close()


@pytest.mark.parametrize("number", [2, 3])
def test_one_missing_file_asked_of_all_at_once(world: World, number: int) -> None:
    for attempt in range(4):
        with ThreadPoolExecutor(number) as clients:
            began = time.monotonic()
            answers = list(clients.map(lambda place, key=f"{attempt}.jpg": world.get(place, key)[0], range(number)))
        assert answers == [404] * number
        assert time.monotonic() - began < 4  # a look-up would end after 8


def test_more_missing_files_than_threads(world: World, number: int) -> None:
    wanted = [(place, f"{name}.jpg") for name in range(NETWORK_THREADS + 8) for place in range(number)]
    with ThreadPoolExecutor(len(wanted)) as clients:
        answers = list(clients.map(lambda each: world.get(*each)[0], wanted))
    assert answers == [404] * len(wanted)


@pytest.mark.parametrize("number", [2, 3])
def test_what_one_of_them_has_all_show(world: World, number: int) -> None:
    world.local[-1].put(Key("a.jpg"), b"data")
    assert [world.get(place, "a.jpg") for place in range(number)] == [(200, b"data")] * number


def test_absence_that_was_told_to_another_site_is_not_remembered() -> None:
    bucket = Bucket("s3")
    client = Client(MediaMiddleware(None, MediaStack([MemoryBackend(name="local"), bucket])))
    for _ in range(2):
        assert client.get("/media/a.jpg", headers={"Via": f"1.1 {OTHER}"}).status_code == 404
    assert len(bucket.asked) == 2
    for _ in range(2):
        assert client.get("/media/a.jpg", headers={"Via": "1.1 some.cdn.example"}).status_code == 404
    assert len(bucket.asked) == 3


@pytest.mark.parametrize(
    ("via", "sites"),
    [
        ("", ""),
        ("1.1 some.cdn.example", ""),
        (f"1.1 {OTHER}, 2 cdn, 1.1 mediamw-ffffffffffff (x), 1.1 {OTHER}", f"{OTHER}, mediamw-ffffffffffff"),
    ],
)
def test_sites_of(via: str, sites: str) -> None:
    assert sites_of(via) == sites
