"""Two containers of one Django project, one under WSGI and one under ASGI, on one volume, then on one bucket.

What ``MediaStorage`` stores or deletes in one shows at the next request in the other, to browsers and to code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediamw.testing import StrictS3

from ..servers import Running
from ..test_two_containers import A, ask, seen, two_servers

pytestmark = pytest.mark.slow

SITE = '''
import json

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

OURS = "mediamw.ext.django.MediaStorage"
settings.configure(
    SECRET_KEY="for tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["mediamw.ext.django"],
    MIDDLEWARE=["mediamw.ext.django.MediaMiddleware"],
    MEDIA_URL="/media/",
    STORAGES={"default": {"BACKEND": OURS}, "direct": {"BACKEND": OURS, "OPTIONS": {"direct_urls": True}}},
)


def look(name):
    """All that code can ask about a file."""
    try:
        with default_storage.open(name) as file:
            data = file.read().decode()
    except FileNotFoundError:
        data = None
    folder, _, base = name.rpartition("/")
    urls = default_storage.url(name), storages["direct"].url(name)
    return data, default_storage.exists(name), base in default_storage.listdir(folder)[1], *urls


def do(request, what, name):
    """/code/look/NAME, /code/save/NAME, and delete and restore likewise."""
    if what == "save":
        said = default_storage.save(name, ContentFile(request.body))
    elif what == "restore":
        said = default_storage.stack.restore(name)
    else:
        said = {"look": look, "delete": default_storage.delete}[what](name)
    return JsonResponse(said, safe=False)


urlpatterns = [path("code/<str:what>/<path:name>", do)]
wsgi_app, asgi_app = get_wsgi_application(), get_asgi_application()
'''


@pytest.fixture(params=["volume", "bucket"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[StrictS3, list[Running]]]:
    with two_servers(request.param, SITE, tmp_path) as made:
        yield made


def tell(server: Running, what: str, name: str, body: bytes = b"") -> Any:
    status, said, _ = ask(server.port, "POST", f"/code/{what}/{name}", body)
    assert status == 200, said
    return json.loads(said)


def check_all(servers: list[Running], name: str, data: bytes | None, *, is_signed: bool = False) -> None:
    """Look at a file in both: what the browser gets, and what code is told."""
    for server in servers:
        assert seen(server, name) == (404 if data is None else data)
        said, exists, is_listed, url, direct = tell(server, "look", name)
        assert (said, exists, is_listed) == (data and data.decode(), data is not None, data is not None)
        assert url == f"/media/{name}", "it asks nobody"
        assert ("X-Amz-Signature" in direct) == is_signed, direct
        assert is_signed or direct == url


def test_what_one_does_the_other_shows(world: tuple[StrictS3, list[Running]], request: pytest.FixtureRequest) -> None:
    _, servers = world
    in_bucket = "bucket" in request.node.callspec.id
    for writer, reader in (servers, servers[::-1]):
        check_all(servers, A, b"production", is_signed=True)

        # A deleted file of production: gone, in both, until it is restored.
        tell(writer, "delete", A)
        check_all([reader, writer], A, None)
        tell(reader, "delete", A)  # of a file that is gone: no error
        assert tell(reader, "restore", A) is True
        check_all([writer, reader], A, b"production", is_signed=True)

        # An upload, under a name that production has, and under one that nobody has.
        for name in (A, "homes/1/new.txt"):
            data = b"uploaded to %d" % writer.port
            saved = tell(writer, "save", name, data)
            assert (saved == name) == (name != A)
            check_all([reader, writer], saved, data, is_signed=in_bucket)
            again = tell(reader, "save", saved, b"another")
            assert again not in (saved, A)
            check_all([writer, reader], again, b"another", is_signed=in_bucket)
            check_all([writer, reader], saved, data, is_signed=in_bucket)
            for left in (saved, again):
                tell(reader, "delete", left)
                check_all([writer, reader], left, None)

        # The name of a deleted file is free; what covers production's goes without bringing it back.
        tell(writer, "delete", A)
        assert tell(reader, "save", A, b"mine") == A
        check_all([writer, reader], A, b"mine", is_signed=in_bucket)
        tell(writer, "delete", A)
        check_all([reader, writer], A, None)
        assert tell(writer, "restore", A) is True
