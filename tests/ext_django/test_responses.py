"""What Django does with our answers: its clients, closing them, breaking them off."""

from __future__ import annotations

import asyncio
import gc
import os
import wsgiref.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.test import AsyncClient, Client

from mediamw import ContentChanged, MediaStack, MemoryBackend
from mediamw.backends.local import LocalHandle
from mediamw.ext.django import media_stack

from ..fakes import Bucket
from ..http_table.callers import Sendfile, call_wsgi, environ, messages_of
from .middlewares import ASYNC, OURS, SYNC

ORDERS = {"alone": [OURS], "sync behind": [OURS, SYNC], "sync in front": [SYNC, OURS], "async behind": [OURS, ASYNC]}
SIZE = 3 * 1024 * 1024


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest, project: Any) -> None:
    project(MIDDLEWARE=ORDERS[request.param])


@pytest.fixture
def big(media: Path) -> Path:
    path = media / "big.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[LocalHandle]]:
    """The handles that were closed by somebody, not by the garbage collector."""
    gc.collect()  # those of tests before
    handles: list[LocalHandle] = []
    close = LocalHandle.close

    def noted(self: LocalHandle) -> None:
        handles.append(self)
        close(self)

    monkeypatch.setattr(LocalHandle, "close", noted)
    monkeypatch.setattr(LocalHandle, "__del__", lambda self: None)
    yield handles
    monkeypatch.undo()


# -- Django's test clients ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("order")
def test_client(big: Path) -> None:
    client, data = Client(), big.read_bytes()
    assert client.get("/media/a.txt").content == b"hello"
    answer = client.get("/media/big.bin")
    assert answer.streaming
    assert answer["Content-Length"] == str(SIZE)
    assert answer.getvalue() == data
    part = client.get("/media/big.bin", headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.getvalue()) == (206, data[5:10])
    head = client.head("/media/big.bin")
    assert (head.status_code, head.getvalue(), head["Content-Length"]) == (200, b"", str(SIZE))
    again = client.get("/media/big.bin", headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.getvalue()) == (304, b"")
    assert client.post("/media/big.bin").content == b"app: POST\n"
    assert client.get("/other").content == b"app: GET\n"


@pytest.mark.usefixtures("order")
def test_async_client(big: Path) -> None:
    """A loop for each request, as ``async_to_sync`` has it: what is shared by all of them must not know the first."""
    data = big.read_bytes()

    async def ask(path: str, method: str = "get", **headers: str) -> Any:
        answer = await getattr(AsyncClient(), method)(path, headers=headers)
        if not answer.streaming:
            return answer.status_code, answer.content
        return answer.status_code, b"".join([piece async for piece in answer.streaming_content])

    for _ in range(2):
        assert asyncio.run(ask("/media/a.txt")) == (200, b"hello")
        assert asyncio.run(ask("/media/big.bin")) == (200, data)
        assert asyncio.run(ask("/media/big.bin", Range="bytes=-70000")) == (206, data[-70000:])
        assert asyncio.run(ask("/media/big.bin", "head")) == (200, b"")
        assert asyncio.run(ask("/media/no.txt")) == (200, b"app: GET\n")


@pytest.mark.parametrize(
    ("on_miss", "status", "start"),
    [("app", 200, b"app: GET"), ("404", 404, b"404 Not Found"), ("placeholder", 404, b"<svg")],
)
@pytest.mark.usefixtures("order")
def test_on_miss(on_miss: str, status: int, start: bytes, project: Any) -> None:
    project(MEDIAMW={"on_miss": on_miss})
    answer = Client().get("/media/no.jpg")
    assert answer.status_code == status
    assert answer.content.startswith(start)


# -- closing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", [None, wsgiref.util.FileWrapper, Sendfile])
@pytest.mark.parametrize("header", [(), (("Range", "bytes=0-100000"),), (("Range", "bytes=-100000"),)])
def test_wsgi_closes_and_says_so(wrapper: Any, header: Any, big: Path, closed: list[LocalHandle]) -> None:
    finished: list[object] = []

    def note(sender: object, **_: Any) -> None:
        finished.append(sender)

    request_finished.connect(note)
    try:
        got = call_wsgi(WSGIHandler(), "GET", "/media/big.bin", header, file_wrapper=wrapper)
    finally:
        request_finished.disconnect(note)
    assert got.status in (200, 206)
    assert closed
    assert finished == [WSGIHandler]


def test_wsgi_client_leaves(big: Path, closed: list[LocalHandle]) -> None:
    body = WSGIHandler()(dict(environ("GET", "/media/big.bin")), lambda status, headers: None)
    next(iter(body))
    assert closed == []
    body.close()
    assert closed


@pytest.mark.usefixtures("order")
def test_asgi_sends_pieces_closes_and_says_so(big: Path, closed: list[LocalHandle]) -> None:
    finished: list[object] = []

    def note(sender: object, **_: Any) -> None:
        finished.append(sender)

    request_finished.connect(note)
    try:
        sent = asyncio.run(messages_of(ASGIHandler(), lambda number: None, asyncio.Event()))
    finally:
        request_finished.disconnect(note)
    assert finished == [ASGIHandler]
    assert b"".join(message.get("body", b"") for message in sent[1:]) == big.read_bytes()
    assert max(len(message.get("body", b"")) for message in sent[1:]) <= 1024 * 1024
    assert closed


@pytest.mark.usefixtures("order")
def test_asgi_client_leaves(big: Path, closed: list[LocalHandle]) -> None:
    async def run() -> list[Any]:
        left = asyncio.Event()
        sent = await messages_of(ASGIHandler(), lambda number: left.set() if number == 1 else None, left)
        while not closed:  # by a thread of the pool, if it was reading
            await asyncio.sleep(0.001)
        return sent

    sent = asyncio.run(asyncio.wait_for(run(), 20))
    assert len(sent) < 2 + SIZE // 65536, "it did not go on to the end"


def test_asgi_client_leaves_while_an_origin_is_asked(project: Any) -> None:
    """Django cancels: the look-up goes on for others who wait for it, and nobody hears of it in this request."""
    import threading

    asked, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        assert go_on.wait(10)

    project(MEDIAMW={"backends": MediaStack([MemoryBackend(), Bucket("prod", {"far.jpg": b"far"}, wait=wait)])})

    async def run() -> list[Any]:
        left = asyncio.Event()
        task = asyncio.ensure_future(messages_of(ASGIHandler(), lambda number: None, left, "/media/far.jpg"))
        while not asked.is_set():
            await asyncio.sleep(0.001)
        left.set()
        try:
            return await task
        finally:
            go_on.set()

    assert asyncio.run(run()) == []
    assert media_stack().exists("far.jpg")
    media_stack().close()


# -- what breaks off half-way is not completed -------------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", [None, wsgiref.util.FileWrapper, Sendfile])
def test_wsgi_breaks_off(wrapper: Any, big: Path, closed: list[LocalHandle]) -> None:
    handler = WSGIHandler()

    def shrinking(environ: Any, start_response: Any) -> Any:
        result = handler(environ, start_response)
        os.truncate(big, 10)
        return result

    with pytest.raises(ContentChanged):
        call_wsgi(shrinking, "GET", "/media/big.bin", file_wrapper=wrapper)
    assert closed


# Django leaves the request's body to the garbage collector then.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("order")
def test_asgi_breaks_off(big: Path, closed: list[LocalHandle]) -> None:
    """Django closes no response that raised while it was sent: so the body closes itself."""
    sent: list[int] = []

    def on_send(number: int) -> None:
        sent.append(number)
        if number == 1:
            os.truncate(big, 10)

    with pytest.raises(ContentChanged):
        asyncio.run(messages_of(ASGIHandler(), on_send, asyncio.Event()))
    assert sent
    assert closed
    gc.collect()
