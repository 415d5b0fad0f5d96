"""Around our middleware: logs and mails, the middlewares before and behind it, paths that the project is mounted at."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client
from django.utils.log import AdminEmailHandler

from mediamw import MemoryBackend
from mediamw.ext.django import wrap

from ..http_table.callers import acall_asgi, call_wsgi
from ..http_table.sites import Raising
from .middlewares import OURS, lowered

COMMON = "django.middleware.common.CommonMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"


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


@pytest.mark.parametrize("where", ["in front", "behind"])
@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
@pytest.mark.parametrize("length", [1_000, 100_000], ids=["small", "large"])
def test_other_middlewares_do_not_touch_what_is_decided(
    where: str, kind: str, length: int, project: Any, media: Path
) -> None:
    """In front of ours they see our answers: none is compressed, above all no part, and no 304 gets a length."""
    (media / "long.txt").write_text("a" * length)
    others = [GZIP, COMMON, "django.middleware.http.ConditionalGetMiddleware"]
    project(MIDDLEWARE=[*others, OURS] if where == "in front" else [OURS, *others])

    def ask(**headers: str) -> Any:
        pairs = tuple((name.replace("_", "-"), value) for name, value in {"Accept_Encoding": "gzip", **headers}.items())
        if kind == "wsgi":
            return call_wsgi(WSGIHandler(), "GET", "/media/long.txt", pairs)
        return asyncio.run(acall_asgi(lowered(ASGIHandler()), "GET", "/media/long.txt", pairs))

    whole = ask()
    assert (whole.status, whole.body) == (200, b"a" * length)
    assert [whole.get(name) for name in ("content-length", "content-encoding", "vary")] == [str(length), None, None]
    part = ask(Range="bytes=0-799")
    assert (part.status, part.body) == (206, b"a" * 800)
    assert [part.get(name) for name in ("content-range", "content-encoding")] == [f"bytes 0-799/{length}", None]
    same = ask(If_None_Match=whole.get("etag"))
    assert (same.status, same.body) == (304, b"")
    assert same.get("content-length") is None


def test_a_missing_name_gets_no_slash(project: Any) -> None:
    """APPEND_SLASH redirects what is missing, if a page of that name with a slash is there."""
    project(MIDDLEWARE=[OURS, COMMON], ROOT_URLCONF="tests.ext_django.slashes", MEDIAMW={"on_miss": "404"})
    assert Client().get("/media/no.jpg").status_code == 404
    project(MEDIAMW={})
    assert Client().get("/media/no.jpg").status_code == 301, "the project's business"


# -- mount points ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [None, "/shop", "/shop/"])
@pytest.mark.parametrize("how", ["middleware", "wrap"])
@pytest.mark.parametrize("path", ["/media/a.txt", "/media/gr%C3%B6%C3%9Fe.txt", "/media/large.bin"])
def test_mounted_below_a_path(force: str | None, how: str, path: str, project: Any, media: Path) -> None:
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
