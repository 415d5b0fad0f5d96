"""What Django does with our answers: its clients, closing, breaking off, mails, other middlewares, mount points."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import wsgiref.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.test import AsyncClient, Client
from django.utils.log import AdminEmailHandler

from mediamw import ContentChanged, MediaStack, MemoryBackend
from mediamw.backends.local import LocalHandle
from mediamw.ext.django import media_stack, wrap

from ..fakes import Bucket
from ..http_table.callers import Sendfile, acall_asgi, call_wsgi
from ..http_table.sites import Raising
from .middlewares import ASYNC, OURS, SYNC, lowered

GZIP = "django.middleware.gzip.GZipMiddleware"
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
    environ: dict[str, Any] = {**_environ("/media/big.bin")}
    body = WSGIHandler()(environ, lambda status, headers: None)
    next(iter(body))
    assert closed == []
    body.close()
    assert closed


def _environ(path: str) -> dict[str, Any]:
    from ..http_table.callers import environ

    return environ("GET", path)


async def messages(
    app: Any, on_send: Callable[[int], Any], left: asyncio.Event, target: str = "/media/big.bin"
) -> list[Any]:
    """Send one request as a server does; ``on_send`` is called with the number of each message."""
    sent: list[Any] = []
    first = True

    async def receive() -> Any:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        on_send(len(sent))
        sent.append(message)
        await asyncio.sleep(0)  # others get their turn, as they do at a server

    scope = {"type": "http", "method": "GET", "path": target, "headers": [], "query_string": b""}
    await asyncio.wait_for(app(scope, receive, send), 20)
    return sent


@pytest.mark.usefixtures("order")
def test_asgi_sends_pieces_and_closes(big: Path, closed: list[LocalHandle]) -> None:
    sent = asyncio.run(messages(ASGIHandler(), lambda number: None, asyncio.Event()))
    assert b"".join(message.get("body", b"") for message in sent[1:]) == big.read_bytes()
    assert max(len(message.get("body", b"")) for message in sent[1:]) <= 1024 * 1024
    assert closed


@pytest.mark.usefixtures("order")
def test_asgi_client_leaves(big: Path, closed: list[LocalHandle]) -> None:
    async def run() -> list[Any]:
        left = asyncio.Event()
        sent = await messages(ASGIHandler(), lambda number: left.set() if number == 1 else None, left)
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
        task = asyncio.ensure_future(messages(ASGIHandler(), lambda number: None, left, "/media/far.jpg"))
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
        asyncio.run(messages(ASGIHandler(), on_send, asyncio.Event()))
    assert sent
    assert closed
    gc.collect()


# -- logs and mails ----------------------------------------------------------------------------------------------------


class Mails(AdminEmailHandler):
    """What would be mailed."""

    def __init__(self) -> None:
        super().__init__()
        self.setLevel(logging.ERROR)
        self.sent: list[str] = []

    def send_mail(self, subject: str, *args: Any, **kwargs: Any) -> None:
        self.sent.append(subject)


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_no_503_is_mailed_to_admins(kind: str, project: Any, caplog: pytest.LogCaptureFixture) -> None:
    project(
        MEDIAMW={"backends": [MemoryBackend(), Raising(RuntimeError("broken"))], "on_miss": "404"},
        ROOT_URLCONF="tests.ext_django.slashes",
        DEBUG=False,
    )

    def ask(path: str) -> int:
        if kind == "wsgi":
            return call_wsgi(WSGIHandler(), "GET", path).status
        return asyncio.run(acall_asgi(lowered(ASGIHandler()), "GET", path)).status

    mails = Mails()
    logging.getLogger("django").addHandler(mails)
    try:
        assert [ask(path) for path in ("/media/a.jpg", "/media/.env")] == [503, 404]
        assert mails.sent == []
        assert {record.name for record in caplog.records} == {"mediamw"}
        assert ask("/raises/") == 500
        assert len(mails.sent) == 1, "the project's own mistakes are"
    finally:
        logging.getLogger("django").removeHandler(mails)


# -- in front of us and behind -----------------------------------------------------------------------------------------


def test_what_stands_behind_does_not_touch_a_part(project: Any, media: Path) -> None:
    (media / "long.txt").write_text("a" * 100_000)
    project(MIDDLEWARE=[OURS, GZIP, "django.middleware.http.ConditionalGetMiddleware"])
    gzip = {"Accept-Encoding": "gzip"}
    whole = Client().get("/media/long.txt", headers=gzip)
    assert whole["Content-Length"] == "100000"
    assert not whole.has_header("Content-Encoding")
    part = Client().get("/media/long.txt", headers={**gzip, "Range": "bytes=0-999"})
    assert (part["Content-Range"], part.getvalue()) == ("bytes 0-999/100000", b"a" * 1000)


def test_a_missing_name_gets_no_slash(project: Any) -> None:
    """APPEND_SLASH redirects what is missing, if a page of that name with a slash is there."""
    common = "django.middleware.common.CommonMiddleware"
    project(MIDDLEWARE=[OURS, common], ROOT_URLCONF="tests.ext_django.slashes", MEDIAMW={"on_miss": "404"})
    assert Client().get("/media/no.jpg").status_code == 404
    project(MEDIAMW={})
    assert Client().get("/media/no.jpg").status_code == 301, "the project's business"


# -- mount points ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [None, "/shop", "/shop/"])
@pytest.mark.parametrize("how", ["middleware", "wrap"])
@pytest.mark.parametrize("path", ["/media/a.txt", "/media/gr%C3%B6%C3%9Fe.txt", "/media/big.bin"])
def test_mounted_below_a_path(force: str | None, how: str, path: str, project: Any, media: Path, big: Path) -> None:
    (media / "größe.txt").write_text("42")
    project(MIDDLEWARE=[OURS] if how == "middleware" else [], FORCE_SCRIPT_NAME=force, MEDIA_URL="media/")
    wsgi, asgi = WSGIHandler(), lowered(ASGIHandler())
    if how == "wrap":
        wsgi, asgi = wrap(WSGIHandler()), lowered(wrap(ASGIHandler()))
    expected = call_wsgi(wsgi, "GET", path)
    assert expected.get("x-app") is None
    assert call_wsgi(wsgi, "GET", path, mount="/shop") == expected
    if force != "/shop/":  # of which Django makes the path media/a.txt under ASGI, which no URL of a project matches
        assert asyncio.run(acall_asgi(asgi, "GET", path, mount="/shop")) == expected
    if force is not None and force != "/shop/":  # the server knows of no mount

        async def unknown(scope: Any, receive: Any, send: Any) -> None:
            await asgi({**scope, "root_path": ""}, receive, send)

        assert asyncio.run(acall_asgi(unknown, "GET", path, mount="/shop")) == expected
