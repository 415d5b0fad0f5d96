"""What another process writes or deletes shows, whole, at the very next request: over real servers of both kinds."""

from __future__ import annotations

import http.client
import os
from contextlib import closing
from pathlib import Path

import pytest

from mediamw import LocalBackend, MediaStack, MemoryBackend
from mediamw.core.keys import Key

from .servers import SERVERS, running

pytestmark = pytest.mark.slow

A = Key("homes/1/a.jpg")
OLD = 1_000_000_000
APP = """
from mediamw import LocalBackend, MediaStack, MemoryBackend, asgi, wsgi

stack = MediaStack([LocalBackend("media"), MemoryBackend({"homes/1/a.jpg": b"production"}, name="prod")])
wsgi_app, asgi_app = wsgi.MediaMiddleware(None, stack), asgi.MediaMiddleware(None, stack)
"""


@pytest.mark.parametrize("server", SERVERS)
def test_the_very_next_request(server: str, tmp_path: Path) -> None:
    """Files of one length and one time among them, which only the inode tells apart; hot ones, asked for before."""
    media = tmp_path / "media"
    here = MediaStack([LocalBackend(media), MemoryBackend({A: b"production"}, name="prod")])
    app = "wsgi_app" if server.endswith("wsgi") else "asgi_app"
    with running(server, APP, app, tmp_path) as site, closing(site.http()) as connection:
        for number in range(150):
            data = b"%04d" % number * (1 + number // 3 * 997 % 30_000)
            here.save(A, data, names="replace")
            if number % 2:
                os.utime(media / A, (OLD, OLD))
            for _ in range(1 + number % 3):
                assert get(connection) == (200, str(len(data)), data)
            if number % 5 == 0:
                here.delete(A)
                assert get(connection)[0] == 404
                here.restore(A)
                assert get(connection) == (200, "10", b"production")


def get(connection: http.client.HTTPConnection) -> tuple[int, str | None, bytes]:
    connection.request("GET", f"/media/{A}")
    response = connection.getresponse()
    return response.status, response.getheader("content-length"), response.read()
