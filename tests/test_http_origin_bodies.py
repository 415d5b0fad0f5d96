"""Sites whose GET has another file than their HEAD spoke of: through the middleware, and for ``stack.open``."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from mediamw import HTTPOriginBackend, MediaStack, MemoryBackend
from mediamw.backends.http_origin import CONFIRM_SECONDS
from mediamw.core.errors import BackendUnavailable, ContentChanged
from mediamw.core.keys import Key
from mediamw.wsgi import MediaMiddleware

from .http_table.files import counted

Said = tuple[int, dict[str, str], bytes]
Answer = Callable[[str, Mapping[str, str]], Said]
"""``answer(method, headers)`` returns status, headers and body."""

SMALL, BIG = counted(1000), counted(100_000)


class Site(ThreadingHTTPServer):
    """Answers as it is told, with a Content-Length unless one is given."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[str] = []

    def server_bind(self) -> None:
        super(ThreadingHTTPServer.__mro__[2], self).server_bind()  # HTTPServer's asks DNS for the host's name
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.server.asked.append(self.command)
        number, headers, body = self.server.answer(self.command, self.headers)
        self.send_response(number)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


class World:
    """One site, and a stack that proxies it."""

    def __init__(self, answer: Answer) -> None:
        self.site = Site(answer)
        threading.Thread(target=self.site.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{self.site.server_address[1]}/media/"
        self.backend = HTTPOriginBackend(url, delivery="proxy")
        self.stack = MediaStack([MemoryBackend(name="upper"), self.backend])

    def get(self, headers: Mapping[str, str] | None = None, key: str = "a.jpg") -> TestResponse:
        return Client(MediaMiddleware(None, self.stack)).get(f"/media/{key}", headers=headers, buffered=True)

    def close(self) -> None:
        self.stack.close()
        self.site.shutdown()
        self.site.server_close()


@pytest.fixture
def world() -> Iterator[Callable[[Answer], World]]:
    with contextlib.ExitStack() as closes:

        def make(answer: Answer) -> World:
            made = World(answer)
            closes.callback(made.close)
            return made

        yield make


Make = Callable[[Answer], World]


def serve(data: bytes, asked: Mapping[str, str], headers: dict[str, str]) -> Said:
    """What a sound server says of ``data``."""
    part = re.fullmatch(r"bytes=(\d+)-(\d+)", asked.get("Range", ""))
    if part is None:
        return 200, headers, data
    start, stop = int(part[1]), min(int(part[2]) + 1, len(data))
    if start >= stop:
        return 416, {"Content-Range": f"bytes */{len(data)}"}, b""
    return 206, {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}, data[start:stop]


def files(*versions: bytes, **headers: str) -> tuple[Answer, list[bytes]]:
    """A site without ETags, and what it has: the first of the list."""
    there = list(versions)
    said = {"Content-Type": "image/jpeg", **headers}
    return lambda method, asked: serve(there[0], asked if method == "GET" else {}, said), there


# -- another size ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [SMALL, BIG], ids=["small", "big"])
@pytest.mark.parametrize("times", [3, 0.5])
def test_a_file_without_etag_that_has_another_size_is_looked_up_anew(world: Make, old: bytes, times: float) -> None:
    new = counted(int(len(old) * times))
    answer, there = files(old)
    made = world(answer)
    assert made.get().data == old
    there[0] = new
    got = made.get()
    assert (got.status_code, got.data, got.headers["Content-Length"]) == (200, new, str(len(new)))
    there[0] = old
    part = made.get({"Range": "bytes=0-99"})
    assert (part.status_code, part.data) == (206, old[:100])
    assert part.headers["Content-Range"] == f"bytes 0-99/{len(old)}"


def test_code_is_told_that_a_file_without_etag_has_another_size(world: Make) -> None:
    answer, there = files(BIG)
    made = world(answer)
    with made.stack.open("a.jpg") as file:
        assert file.read(10) == BIG[:10]
        there[0] = BIG * 3
        with pytest.raises(ContentChanged, match="it had 100000 bytes, and has 300000"):
            file.read()
    with made.stack.open("a.jpg") as file:
        assert file.read() == BIG * 3


# -- what is not the file ----------------------------------------------------------------------------------------------


def then_gets(headers: dict[str, str], said: Said) -> Answer:
    """HEAD finds a file of 1000 bytes with ``headers``, and GET is answered by ``said``, which is longer."""
    return lambda method, asked: (200, {"Content-Type": "image/jpeg", **headers}, SMALL) if method == "HEAD" else said


PAGE = b"<html>We will be back soon</html>" + b" " * 2000


@pytest.mark.parametrize("length", [{}, {"Content-Length": "none said"}], ids=["", "of unknown length"])
@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/xhtml+xml"])
def test_a_page_to_a_get_is_no_file(world: Make, content_type: str, length: dict[str, str]) -> None:
    """Neither with an ETag nor with a size: nothing else tells."""
    size = {"Content-Length": str(len(PAGE)), **length}
    made = world(then_gets(size, (200, {"Content-Type": content_type}, PAGE)))
    assert made.get().status_code == 503
    assert made.site.asked == ["HEAD", "GET"]
    assert made.get(key="a.html").data == PAGE


def test_an_answer_without_the_etag_is_not_the_version(world: Make) -> None:
    error = (200, {"Content-Type": "application/xml"}, SMALL)  # as long as the file
    made = world(then_gets({"ETag": '"abc"'}, error))
    assert made.get().status_code == 503
    assert made.site.asked == ["HEAD", "GET"] * 2
    with made.stack.open("a.jpg") as file, pytest.raises(ContentChanged, match="no ETag"):
        file.read()


def test_an_answer_without_an_etag_that_nobody_pinned_is_the_file(world: Make) -> None:
    weak = world(then_gets({"ETag": 'W/"abc"'}, (200, {"Content-Type": "image/jpeg"}, SMALL)))
    assert weak.get().data == SMALL
    only_get = world(then_gets({}, (200, {"ETag": '"abc"'}, SMALL)))
    assert only_get.get().data == SMALL


def test_another_length_is_not_the_file(world: Make) -> None:
    made = world(then_gets({}, (200, {"Content-Type": "application/xml"}, SMALL * 2)))
    assert made.get().status_code == 503
    with pytest.raises(BackendUnavailable, match="it had 1000 bytes, and has 2000"):
        made.stack.open("a.jpg").read()


# -- what HEAD says wrongly --------------------------------------------------------------------------------------------


def says_wrongly(head: Said, data: bytes | None) -> Answer:
    """HEAD is answered by ``head``, and GET soundly."""
    gone: Said = (404, {}, b"not here")
    return lambda method, asked: (
        head if method == "HEAD" else gone if data is None else serve(data, asked, {"Content-Type": "image/jpeg"})
    )


NOTHING: Said = (200, {"Content-Type": "image/jpeg"}, b"")
MISSING: Said = (404, {}, b"")


@pytest.mark.parametrize("head", [NOTHING, MISSING], ids=["empty", "missing"])
def test_what_head_denies_is_asked_by_get(world: Make, head: Said) -> None:
    made = world(says_wrongly(head, BIG))
    got = made.get()
    assert (got.status_code, got.data, got.headers["Content-Length"]) == (200, BIG, str(len(BIG)))
    assert made.get(key="b.jpg").data == BIG
    assert made.site.asked == ["HEAD", "GET", "GET", "GET", "GET"], "HEAD is not believed any more"


def test_an_empty_file_of_a_length_that_get_does_not_say(world: Make) -> None:
    whole = (200, {"Content-Length": "none said", "Connection": "close"}, BIG)
    made = world(lambda method, asked: NOTHING if method == "HEAD" else whole)
    remote: Any = made.backend.open(Key("a.jpg"))
    assert remote.meta.size is None


@pytest.mark.parametrize(
    "said",
    [
        (416, {"Content-Range": "bytes */0", "Content-Type": "text/html"}, b"<h1>416</h1>"),
        (416, {"Content-Range": "*/0"}, b""),
        (200, {}, b""),
    ],
)
def test_an_empty_file_is_empty(world: Make, said: Said) -> None:
    etag = {"ETag": '"abc"', "Content-Type": "image/jpeg"}
    made = world(lambda method, asked: (200, etag, b"") if method == "HEAD" else said)
    got = made.get()
    assert (got.status_code, got.data, got.headers["ETag"]) == (200, b"", '"mw-abc"')
    made.get(key="b.jpg")
    assert made.site.asked == ["HEAD", "GET"] * 2, "HEAD was right"


def test_a_head_that_finds_nothing_everywhere(world: Make) -> None:
    made = world(says_wrongly(NOTHING, None))
    assert made.get().status_code == 404


@pytest.mark.parametrize("said", [MISSING, (200, {"Content-Type": "text/html"}, PAGE), (503, {}, b"")])
def test_misses_are_confirmed_once_a_minute(world: Make, monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    made = world(lambda method, asked: MISSING if method == "HEAD" else said)
    for number in range(3):
        assert made.get(key=f"{number}.jpg").status_code == 404
    assert made.site.asked == ["HEAD", "GET", "HEAD", "HEAD"]
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + CONFIRM_SECONDS)
    assert made.backend.open(Key("3.jpg")) is None
    assert made.site.asked[4:] == ["HEAD", "GET"]
