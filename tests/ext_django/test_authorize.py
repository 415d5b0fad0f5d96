"""``authorize`` with Django's request: users and sessions, sync and async, in MIDDLEWARE and by ``wrap``."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, connections
from django.test import AsyncClient, Client

from mediamw.ext.django import wrap

from ..http_table.callers import acall_asgi, call_wsgi
from .middlewares import ASYNC, OURS, SYNC, lowered

pytestmark = pytest.mark.usefixtures("database")

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
BEHIND = [SESSIONS, AUTH, OURS]


def users_only(request: Any, key: str) -> Any:
    assert (request.path_info, request.GET["size"], key) == ("/media/a.txt", "2", "a.txt")
    return True if request.user.is_authenticated else 403


async def users_only_async(request: Any, key: str) -> Any:
    user = await request.auser()
    return True if user.is_authenticated else 403


def returns_an_awaitable(request: Any, key: str) -> Any:
    return users_only_async(request, key)


class Object:
    async def __call__(self, request: Any, key: str) -> Any:
        return await users_only_async(request, key)


@pytest.fixture
def ann() -> Any:
    user = User.objects.create_user("ann", password="x")
    yield user
    user.delete()
    connections.close_all()


EVERY = [users_only, users_only_async, returns_an_awaitable, Object()]


@pytest.mark.parametrize("authorize", EVERY, ids=["sync", "async", "awaitable", "object"])
@pytest.mark.parametrize("order", [BEHIND, [*BEHIND, SYNC], [SYNC, *BEHIND], [*BEHIND, ASYNC]], ids=str)
def test_request_user_behind_authentication(authorize: Any, order: list[str], project: Any, ann: Any) -> None:
    project(MIDDLEWARE=order, MEDIAMW={"authorize": authorize})
    client = Client()
    assert client.get("/media/a.txt?size=2").status_code == 403
    client.force_login(ann)
    answer = client.get("/media/a.txt?size=2")
    assert (answer.status_code, answer.getvalue()) == (200, b"hello")
    assert answer["Vary"] == "Cookie", "SessionMiddleware knows that the answer hangs on it"
    assert answer["Cache-Control"] == "private, no-cache"

    async def by_asgi() -> tuple[int, int, bytes]:
        nobody, somebody = AsyncClient(), AsyncClient()
        await somebody.aforce_login(ann)
        refused = await nobody.get("/media/a.txt?size=2")
        answer = await somebody.get("/media/a.txt?size=2")
        return refused.status_code, answer.status_code, answer.content

    assert asyncio.run(by_asgi()) == (403, 200, b"hello")


def test_before_authentication_nobody_is_let_in(project: Any, ann: Any, caplog: pytest.LogCaptureFixture) -> None:
    project(MIDDLEWARE=[OURS, SESSIONS, AUTH], MEDIAMW={"authorize": users_only})
    client = Client()
    client.force_login(ann)
    assert client.get("/media/a.txt?size=2").status_code == 503
    assert "has no attribute 'user'" in caplog.text


def cookie(request: Any, key: str) -> Any:
    assert (request.method, request.path, request.path_info) == ("GET", "/shop/media/größe.txt", "/media/größe.txt")
    return True if request.COOKIES.get("pass") == "yes" else 404


async def cookie_async(request: Any, key: str) -> Any:
    return cookie(request, key)


@pytest.mark.parametrize("authorize", [cookie, cookie_async])
@pytest.mark.parametrize("there", [True, False])
def test_by_wrap_there_are_cookies(authorize: Any, there: bool, project: Any, media: Any) -> None:
    if there:
        (media / "größe.txt").write_text("42")
    project(MIDDLEWARE=[], MEDIAMW={"authorize": authorize}, ROOT_URLCONF="tests.ext_django.urls")
    path, mount, allowed = "/media/gr%C3%B6%C3%9Fe.txt", "/shop", (("Cookie", "pass=yes"),)
    expected = [(404, b"404 Not Found\n"), (200, b"42" if there else "path: /media/größe.txt\n".encode())]
    by_wsgi, by_asgi = wrap(WSGIHandler()), wrap(ASGIHandler())
    path = path if there else f"{path}?path"
    got = [call_wsgi(by_wsgi, "GET", path, headers, mount=mount) for headers in ((), allowed)]
    # The path of a missing file reaches the project as it was sent, though authorize was given a request of it.
    assert [(one.status, one.body) for one in got] == expected
    got = [asyncio.run(acall_asgi(lowered(by_asgi), "GET", path, headers, mount=mount)) for headers in ((), allowed)]
    assert [(one.status, one.body) for one in got] == expected


def test_by_wrap_a_broken_query_is_no_mistake_of_the_project(project: Any, caplog: pytest.LogCaptureFixture) -> None:
    project(MIDDLEWARE=[], MEDIAMW={"authorize": lambda request, key: bool(request.GET) or 403})

    async def ask() -> int:
        async def broken(scope: Any, receive: Any, send: Any) -> None:
            await wrap(ASGIHandler())({**scope, "query_string": b"a=\xff"}, receive, send)

        return (await acall_asgi(broken, "GET", "/media/a.txt")).status

    assert asyncio.run(ask()) == 200
    assert caplog.records == []


def queries(request: Any, key: str) -> bool:
    """Ask the database, and leave its connection open as any view does."""
    assert not User.objects.filter(username="nobody").exists()
    opened.append(connection.connection)
    threads.append(threading.get_ident())
    return True


async def queries_async(request: Any, key: str) -> bool:
    await User.objects.filter(username="nobody").aexists()
    from asgiref.sync import sync_to_async

    return await sync_to_async(queries)(request, key)


opened: list[Any] = []
threads: list[int] = []


@pytest.mark.parametrize("authorize", [queries, queries_async])
@pytest.mark.parametrize("how", ["middleware", "wrap"])
def test_connections_of_the_database_are_closed(authorize: Any, how: str, project: Any) -> None:
    import sqlite3

    project(MIDDLEWARE=[OURS] if how == "middleware" else [], MEDIAMW={"authorize": authorize})
    opened.clear()
    connections.close_all()
    wsgi, asgi = WSGIHandler(), ASGIHandler()
    by_wsgi, by_asgi = (wsgi, asgi) if how == "middleware" else (wrap(wsgi), wrap(asgi))
    assert call_wsgi(by_wsgi, "GET", "/media/a.txt").body == b"hello"

    async def both() -> None:
        for got in await asyncio.gather(*(acall_asgi(lowered(by_asgi), "GET", "/media/a.txt") for _ in range(2))):
            assert got.body == b"hello"

    threads.clear()
    asyncio.run(both())
    assert len(opened) == 3
    for made in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            made.execute("select 1")
    # Each request has a thread of its own, or all would queue for one.
    assert threads[0] != threading.get_ident()
    assert opened[1] is not opened[2]


@pytest.mark.parametrize("verdict", [False, None, 200, "yes"])
def test_what_is_no_verdict_lets_nobody_in(verdict: Any, project: Any, caplog: pytest.LogCaptureFixture) -> None:
    project(MEDIAMW={"authorize": lambda request, key: verdict})
    assert Client().get("/media/a.txt").status_code == 503


def test_a_function_by_name(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project(MEDIAMW={"authorize": f"{__name__}:nobody"})
    assert Client().get("/media/a.txt").status_code == 403
    monkeypatch.setenv("MEDIAMW_AUTHORIZE", f"{__name__}:nobody")
    project(MEDIAMW={})
    assert Client().get("/media/a.txt").status_code == 403


async def nobody(request: Any, key: str) -> int:
    assert iscoroutinefunction(nobody)
    return 403
