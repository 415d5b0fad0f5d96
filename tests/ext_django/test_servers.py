"""A project behind real servers, and by ``manage.py``: what a client sees, and how much memory a gigabyte takes."""

from __future__ import annotations

import http.client
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mediamw.testing import StrictS3

from ..big_origin import BigOrigin, File, big_origin, content
from ..servers import Running, running
from ..test_proxy_servers import at_most_64_mib_more
from .middlewares import OURS, SYNC
from .site import SERVED, environment, write_site

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
ID, SECRET = "AKREADONLY", "the-secret-of-it"
FRONTS = {"first": [OURS], "sync in front": [SYNC, OURS], "sync behind": [OURS, SYNC], "wrap": []}
BOOTED = [
    *(("uvicorn-asgi", front) for front in FRONTS),
    *(("gunicorn-wsgi", front) for front in ("first", "wrap")),
    *(("runserver", front) for front in ("first", "wrap")),
    ("runserver-reload", "first"),
    ("granian-asgi", "first"),
    ("granian-wsgi", "first"),
]


@pytest.fixture(scope="module")
def origin() -> Iterator[BigOrigin]:
    with big_origin({"far.bin": File(5 * MIB), "1g-far.bin": File(1024 * MIB), "cut.bin": File(5 * MIB)}) as made:
        yield made


@pytest.fixture(scope="module")
def bucket() -> Iterator[StrictS3]:
    with StrictS3(keys={}, read_only_keys={ID: SECRET}) as made:
        made.create_bucket("acme")
        made.put("acme", "homes/1.jpg", b"a picture")
        yield made
        assert made.writes == []


@pytest.fixture(params=BOOTED, ids=lambda case: f"{case[0]}-{case[1].replace(' ', '-')}")
def booted(
    request: pytest.FixtureRequest, origin: BigOrigin, bucket: StrictS3, tmp_path: Path
) -> Iterator[tuple[Running, Path]]:
    name, front = request.param
    media = write_site(tmp_path)
    (media / "a.txt").write_text("hello")
    (media / "big.bin").write_bytes(os.urandom(3 * MIB))
    (media / "größe.txt").write_text("42")
    with (media / "1g.bin").open("wb") as file:
        file.truncate(1024 * MIB)
    s3 = {"spec": f"s3://acme?endpoint_url={bucket.endpoint}", "name": "prod"}
    keys = {"MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID": ID, "MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY": SECRET}
    site = {"spec": origin.url, "name": "site", "delivery": "proxy"}
    app = "asgi_app" if "asgi" in name else "wsgi_app"
    env = {**environment(FRONTS[front], [s3, site]), **keys, "DJANGO_SETTINGS_MODULE": "shop.settings"}
    with running(name, SERVED, app, tmp_path, **env) as server:
        yield server, media


def ask(server: Running, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    with closing(server.http(30)) as connection:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def of(start: int, stop: int) -> bytes:
    return b"".join(content(at, min(at + 65536, stop)) for at in range(start, stop, 65536))


def test_a_project(booted: tuple[Running, Path]) -> None:
    server, media = booted
    data = (media / "big.bin").read_bytes()
    assert ask(server, "/")[2] == b"the app: /"
    assert ask(server, "/media/nobody.jpg")[2] == b"the app: /media/nobody.jpg"
    assert ask(server, "/media/.env")[0] == 404
    assert ask(server, "/media/gr%C3%B6%C3%9Fe.txt")[2] == b"42"
    assert ask(server, "/media/gr%F6%DFe.txt")[0] == 404, "no UTF-8: refused, not the app's"
    status, headers, body = ask(server, "/media/a.txt")
    assert (status, headers["content-length"], body) == (200, "5", b"hello")
    assert ask(server, "/media/a.txt", **{"If-None-Match": headers["etag"]})[::2] == (304, b"")
    # A large local file: whole, a part, its head
    assert ask(server, "/media/big.bin")[::2] == (200, data)
    assert ask(server, "/media/big.bin", Range="bytes=100000-2999999")[::2] == (206, data[100_000:3_000_000])
    assert ask(server, "/media/big.bin", Range="bytes=-70000")[::2] == (206, data[-70_000:])
    status, headers, body = ask(server, "/media/big.bin", "HEAD")
    assert (status, headers["content-length"], body) == (200, str(3 * MIB), b"")
    # What only production has: by redirect, and proxied
    status, headers, _ = ask(server, "/media/homes/1.jpg")
    assert status == 302
    assert re.search(r"/acme/homes/1\.jpg\?X-Amz-", headers["location"])
    assert ask(server, "/media/homes/1.jpg", "HEAD")[0] == 302
    assert ask(server, "/media/far.bin")[::2] == (200, of(0, 5 * MIB))
    assert ask(server, "/media/far.bin", Range=f"bytes={MIB}-{4 * MIB - 1}")[::2] == (206, of(MIB, 4 * MIB))
    status, headers, body = ask(server, "/media/far.bin", "HEAD")
    assert (status, headers["content-length"], body) == (200, str(5 * MIB), b"")
    check_what_breaks_off(server)
    check_who_leaves(server)
    if server.name.startswith(("uvicorn", "gunicorn")):
        for path in ("/media/1g.bin", "/media/1g-far.bin"):
            check_memory(server, path)


def check_what_breaks_off(server: Running) -> None:
    """A length is a promise: what cannot be sent to its end is never passed off as whole."""
    with closing(server.http(5)) as connection:
        connection.request("GET", "/media/1g.bin")
        response = connection.getresponse()
        assert len(response.read(MIB)) == MIB
        # While the server is held up by a client that does not read, the file becomes shorter.
        path = next(path for path in server.open_files() if path.endswith("/media/1g.bin"))
        os.truncate(path, 600 * MIB)
        try:
            while response.read(MIB):
                pass
        except (http.client.HTTPException, OSError):  # runserver leaves the connection open: a time-out
            pass
        finally:
            os.truncate(path, 1024 * MIB)
        assert response.length != 0, "it looks whole"


def check_who_leaves(server: Running) -> None:
    """A client that leaves amid a body: the file is closed, and the server answers others."""
    with closing(server.http(30)) as connection:
        connection.request("GET", "/media/1g.bin")
        assert len(connection.getresponse().read(100)) == 100
    assert ask(server, "/media/a.txt")[2] == b"hello"
    until(lambda: not [path for path in server.open_files() if path.endswith("1g.bin")], "the file is closed")


def check_memory(server: Running, path: str) -> None:
    """A gigabyte, read to its end: at most 64 MiB above what the idle server has."""
    length, buffer = 0, bytearray(MIB)
    with at_most_64_mib_more(server), closing(server.http(60)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        while count := response.readinto(buffer):
            length += count
    assert length == 1024 * MIB


def until(holds: object, what: str) -> None:
    end = time.monotonic() + 30
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.02)


def test_runserver_reloads(tmp_path: Path) -> None:
    """A changed setting counts after the reload, which has to end the threads of the process before."""
    media = write_site(tmp_path)
    (media / "big.bin").write_bytes(b"x" * MIB)
    with running("runserver-reload", "", "", tmp_path, **environment()) as server:
        assert ask(server, "/media/big.bin")[1]["cache-control"] == "private, max-age=1"
        before = server.pids()
        settings = tmp_path / "shop" / "settings.py"
        settings.write_text(settings.read_text().replace('"max_age": 1', '"max_age": 2'))
        touched = time.monotonic()

        def is_new() -> bool:
            nonlocal touched
            if time.monotonic() - touched > 5:  # what changed before Django first looked, it does not see
                os.utime(settings)
                touched = time.monotonic()
            try:
                return ask(server, "/media/big.bin")[1].get("cache-control") == "private, max-age=2"
            except (OSError, http.client.HTTPException):  # the old process ended amid its answer, or amid its head
                return False

        until(is_new, "the new setting counts")
        assert set(before) - set(server.pids()), "the process before has ended"
