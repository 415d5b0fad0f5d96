"""Two containers: two servers of two kinds, in processes of their own, on one volume, then on one bucket.

What is uploaded to one, or deleted there, shows at the next request in the other; production hears of no write.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mediamw.testing import StrictS3

from .servers import Running, running

pytestmark = pytest.mark.slow

A = "homes/1/a.jpg"
READER, WRITER = ("AKREADER", "reader-secret"), ("AKWRITER", "writer-secret")

SITE = '''
from mediamw.asgi import MediaMiddleware as Asgi
from mediamw.settings import read_settings
from mediamw.wsgi import MediaMiddleware as Wsgi

stack = read_settings().stack()


def change(path, body):
    """/save/KEY, /delete/KEY, /restore/KEY, /exists/KEY, /open/KEY, /list"""
    _, what, key = path.split("/", 2)
    if what == "save":
        return stack.save(key, body, names="replace")
    if what == "list":
        return " ".join(entry.key for entry in stack.list(recursive=True))
    if what == "open":
        try:
            with stack.open(key) as file:
                return file.read().decode()
        except FileNotFoundError:
            return "FileNotFoundError"
    return str(getattr(stack, what)(key))


def plain_wsgi(environ, start_response):
    if environ["REQUEST_METHOD"] != "POST":
        start_response("404 Not Found", [])
        return [b""]
    said = change(environ["PATH_INFO"], environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [said.encode()]


async def plain_asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body, said, status = b"", "", 404
    if scope["method"] == "POST":
        more = True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        said, status = change(scope["path"], body), 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": said.encode()})


wsgi_app, asgi_app = Wsgi(plain_wsgi, stack), Asgi(plain_asgi, stack)
'''


@contextmanager
def two_servers(upper: str, site: str, folder: Path, **env: str) -> Iterator[tuple[StrictS3, list[Running]]]:
    """Serve ``site`` by two servers with the same upper, a ``volume`` or a ``bucket``; nothing may reach production."""
    with StrictS3(keys=dict([WRITER]), read_only_keys=dict([READER])) as s3, ExitStack() as servers:
        s3.create_bucket("prod")
        s3.create_bucket("qa-media")
        s3.put("prod", A, b"production")
        uppers = {
            "volume": f"qa={folder / 'volume'}",
            "bucket": f"qa=s3://qa-media/branch-7?writable=true&endpoint_url={s3.endpoint}",
        }
        keys = {
            f"MEDIAMW_BACKEND_{name}_{option}": value
            for name, (identity, secret) in {"PROD": READER, "QA": WRITER}.items()
            for option, value in (("ACCESS_KEY_ID", identity), ("SECRET_ACCESS_KEY", secret))
            if name == "PROD" or upper == "bucket"
        }
        backends = f"{uppers[upper]} prod=s3://prod?endpoint_url={s3.endpoint}"
        made = []
        for kind, app in (("gunicorn-wsgi", "wsgi_app"), ("uvicorn-asgi", "asgi_app")):
            own = folder / kind
            own.mkdir()
            made.append(servers.enter_context(running(kind, site, app, own, MEDIAMW_BACKENDS=backends, **keys, **env)))
        yield s3, made
        assert [call for call in s3.writes if call.bucket == "prod"] == []
        assert s3.objects("prod") == {A: b"production"}


@pytest.fixture(params=["volume", "bucket"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[StrictS3, list[Running]]]:
    with two_servers(request.param, SITE, tmp_path) as made:
        yield made


def ask(port: int, method: str, target: str, body: bytes = b"") -> tuple[int, bytes, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, target, body)
        with connection.getresponse() as answer:
            return answer.status, answer.read(), answer.headers.get("Location", "")


def tell(server: Running, what: str, key: str = "", body: bytes = b"") -> str:
    status, said, _ = ask(server.port, "POST", f"/{what}/{key}", body)
    assert status == 200, said
    return said.decode()


def seen(server: Running, key: str) -> bytes | int:
    """What a browser gets: the bytes, or a status that shows nothing."""
    status, body, location = ask(server.port, "GET", f"/media/{key}")
    if status == 302:
        parts = urlsplit(location)
        status, body, _ = ask(parts.port or 80, "GET", f"{parts.path}?{parts.query}")
    return body if status == 200 else status


def test_what_one_does_the_other_shows(world: tuple[StrictS3, list[Running]]) -> None:
    _, (one, two) = world
    for writer, reader in ((one, two), (two, one)):
        assert seen(reader, A) == b"production"
        for number in range(10):
            data = b"%d of %d" % (number, writer.port)
            assert tell(writer, "save", A, data) == A
            assert seen(reader, A) == data
        assert tell(writer, "delete", A) == "True"
        assert seen(reader, A) == 404
        assert tell(reader, "list") == ""
        for code in (reader, writer):
            assert (tell(code, "exists", A), tell(code, "open", A)) == ("False", "FileNotFoundError")
        assert tell(reader, "delete", A) == "False"
        assert tell(writer, "save", A, b"again") == A
        assert (seen(reader, A), tell(reader, "list")) == (b"again", A)
        assert tell(reader, "delete", A) == "True"
        assert seen(writer, A) == 404
        assert tell(reader, "restore", A) == "True"
        assert seen(writer, A) == b"production"
        for code in (reader, writer):
            assert (tell(code, "exists", A), tell(code, "open", A)) == ("True", "production")
        assert tell(writer, "save", "new.txt", b"new") == "new.txt"
        assert seen(reader, "new.txt") == b"new"
        assert tell(reader, "delete", "new.txt") == "True"
        assert seen(writer, "new.txt") == 404
