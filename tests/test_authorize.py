"""``authorize``: asked before anything is looked up; True, 403 or 404, and whatever else is 503, never an allow."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from mediamw import ConfigError, ContentChanged, InvalidKey, MediaStack, NotServable
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.core.errors import BackendUnavailable
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from .fakes import Bucket, Local
from .http_table.callers import Response, acall_asgi, call_wsgi
from .http_table.sites import wrapped_asgi, wrapped_wsgi

HELD, FAR = "held.jpg", "far.jpg"


def stack_of() -> tuple[MediaStack, Local, Bucket]:
    local, bucket = Local("local", {HELD: b"data"}), Bucket("s3", {FAR: b"x"})
    return MediaStack([local, bucket]), local, bucket


class Both:
    """The two middlewares over one stack, with an app behind each."""

    def __init__(self, authorize: Any, **options: Any) -> None:
        self.stack, self.local, self.bucket = stack_of()
        self.wsgi = WSGIMiddleware(wrapped_wsgi, self.stack, authorize=authorize, **options)
        self.asgi = ASGIMiddleware(wrapped_asgi, self.stack, authorize=authorize, **options)

    def __call__(self, path: str = f"/media/{HELD}", method: str = "GET", headers: Any = ()) -> Response:
        by_wsgi = call_wsgi(self.wsgi, method, path, headers)
        by_asgi = asyncio.run(acall_asgi(self.asgi, method, path, headers))
        assert by_asgi == by_wsgi
        return by_wsgi

    @property
    def nobody_was_asked(self) -> bool:
        return self.local.asked == self.bucket.asked == [] and self.bucket.prepared == 0


def saying(verdict: Any) -> Callable[[Any, str], Any]:
    return lambda request, key: verdict


def raising(error: BaseException) -> Callable[[Any, str], Any]:
    def authorize(request: Any, key: str) -> Any:
        raise error

    return authorize


# -- what it says ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "status"), [(HELD, 200), (FAR, 302), ("nobody.jpg", 200)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_true_lets_the_client_in(path: str, status: int, method: str) -> None:
    both = Both(saying(True))
    got = both(f"/media/{path}", method)
    assert got.status == status
    assert got.get("x-app") == ("yes" if path == "nobody.jpg" else None)


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("name", [HELD, FAR, "nobody.jpg"])
@pytest.mark.parametrize("on_miss", ["app", "404", "placeholder"])
def test_403_and_404_are_answered_by_us(status: int, name: str, on_miss: Any) -> None:
    both = Both(saying(status), on_miss=on_miss)
    reason = {403: b"403 Forbidden\n", 404: b"404 Not Found\n"}[status]
    for method in ("GET", "HEAD"):
        got = both(f"/media/{name}", method)
        assert (got.status, got.body) == (status, b"" if method == "HEAD" else reason)
        assert got.get("content-type") == "text/plain; charset=utf-8"
        assert got.get("cache-control") == "no-store"
        for header in ("location", "etag", "last-modified", "accept-ranges", "x-app", "retry-after"):
            assert got.get(header) is None, "whether there is such a file is nobody's business"
    assert both.nobody_was_asked


@pytest.mark.parametrize("status", [403, 404])
def test_the_same_answer_whether_or_not_there_is_such_a_file(status: int) -> None:
    both = Both(saying(status))
    assert len({both(f"/media/{name}") for name in (HELD, FAR, "nobody.jpg")}) == 1


@pytest.mark.parametrize(
    "headers",
    [(("If-None-Match", "*"),), (("Range", "bytes=0-0"),), (("If-Match", '"x"'),),
     (("If-Modified-Since", "Fri, 31 Dec 9999 23:59:59 GMT"),)],
)  # fmt: skip
def test_conditions_get_nobody_past_it(headers: Any) -> None:
    for name in (HELD, FAR):
        assert Both(saying(403))(f"/media/{name}", headers=headers).status == 403


class Truthy:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


NO_VERDICT = [1, 0, None, False, "yes", "403", b"", 200, 302, 401, 405, 404.0, 403.0, -403, [], (), [True], object,
              Truthy()]  # fmt: skip


@pytest.mark.parametrize("verdict", NO_VERDICT, ids=lambda verdict: f"{verdict!r}"[:12])
@pytest.mark.parametrize("name", [HELD, FAR])
def test_anything_else_is_503_and_a_line_in_the_log(verdict: Any, name: str, caplog: pytest.LogCaptureFixture) -> None:
    both = Both(saying(verdict))
    got = both(f"/media/{name}")
    assert (got.status, got.body) == (503, b"503 Service Unavailable\n")
    assert (got.get("retry-after") or "").isdigit()
    assert both.nobody_was_asked
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert "True, 403 or 404" in caplog.text


ERRORS = [
    ValueError("x"), PermissionError("x"), FileNotFoundError("x"), TimeoutError("x"), StopIteration(True),
    AssertionError(), InvalidKey("x"), NotServable("x"), BackendUnavailable("x", retry_after=3), ContentChanged("x"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", [HELD, FAR, "nobody.jpg"])
def test_an_exception_is_503(error: Exception, name: str) -> None:
    """Those of mediamw too: one that asks a stack of its own must not say 404 by accident."""
    both = Both(raising(error))
    for method in ("GET", "HEAD"):
        assert both(f"/media/{name}", method).status == 503
    assert both.nobody_was_asked

    async def later(request: Any, key: str) -> Any:
        raise error

    stack, local, bucket = stack_of()
    app = ASGIMiddleware(wrapped_asgi, stack, authorize=later)
    assert asyncio.run(acall_asgi(app, "GET", f"/media/{name}")).status == 503
    assert local.asked == bucket.asked == []


# -- when it is asked --------------------------------------------------------------------------------------------------


def test_it_is_asked_once_for_each_request_and_told_the_key() -> None:
    asked: list[tuple[Any, str]] = []
    both = Both(lambda request, key: asked.append((request, key)) or True)
    both("/media/a%20b/%C3%BC.jpg?x=1", headers=(("Cookie", "session=1"),))
    (environ, key), (scope, same) = asked
    assert key == same == "a b/ü.jpg"
    assert environ["HTTP_COOKIE"] == "session=1"
    assert (b"cookie", b"session=1") in scope["headers"]
    assert scope["type"] == "http"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"/media/{HELD}"), ("PUT", f"/media/{HELD}"), ("OPTIONS", f"/media/{HELD}"), ("GET", "/media"),
     ("GET", "/"), ("GET", "/mediax/a.jpg"),
     ("GET", "/media/"), ("GET", "/media/.env"), ("GET", "/media/%2e%2e/x"), ("GET", "/media/a%00b"),
     ("GET", "/media/%FF"), ("HEAD", "/media/a//b"), ("GET", "/media/.mediamw/x")],
)  # fmt: skip
def test_it_is_not_asked_for_what_is_not_ours_or_refused(method: str, path: str) -> None:
    asked: list[Any] = []
    both = Both(lambda request, key: asked.append(key) or 403)
    got = both(path, method)
    assert asked == []
    ours = path.startswith("/media/") and method in ("GET", "HEAD")
    assert got.status == (404 if ours else 200)
    assert got.get("x-app") == (None if ours else "yes")


def test_it_comes_before_any_look_up() -> None:
    order: list[str] = []
    stack, local, bucket = stack_of()
    for backend in (local, bucket):
        found = backend.open

        def noted(key: Any, found: Any = found, name: str = backend.name) -> Any:
            order.append(name)
            return found(key)

        backend.open = noted  # type: ignore[method-assign]

    async def later(request: Any, key: str) -> bool:
        order.append("asked")
        await asyncio.sleep(0)
        order.append("said")
        return True

    app = ASGIMiddleware(None, stack, authorize=later)
    assert asyncio.run(acall_asgi(app, "GET", f"/media/{FAR}")).status == 302
    assert order == ["asked", "said", "local", "s3"]


@pytest.mark.parametrize(("verdict", "status"), [(True, 200), (403, 403), (404, 404)])
def test_add_headers_has_its_say(verdict: Any, status: int) -> None:
    both = Both(saying(verdict), add_headers=lambda key, status: {"X-Key": key, "X-Status": str(status)})
    got = both()
    assert (got.get("x-key"), got.get("x-status")) == (HELD, str(status))


def test_debug_shows_no_backend_to_who_is_turned_away() -> None:
    got = Both(saying(403), debug=True)()
    assert (got.get("x-media-backend"), got.get("server-timing")) == ("none", None)


def test_without_one_everybody_is_let_in() -> None:
    assert Both(None)().status == 200


def test_a_pass_through_does_not_ask_it() -> None:
    assert Both(raising(AssertionError("asked")), enabled=False)().get("x-app") == "yes"


# -- how it may be written ---------------------------------------------------------------------------------------------


async def by_function(request: Any, key: str) -> Any:
    await asyncio.sleep(0)
    return True


async def with_more(more: Any, request: Any, key: str) -> Any:
    await asyncio.sleep(0)
    return more


class AsyncCall:
    def __init__(self, verdict: Any = True) -> None:
        self.verdict = verdict

    async def __call__(self, request: Any, key: str) -> Any:
        await asyncio.sleep(0)
        return self.verdict

    async def method(self, request: Any, key: str) -> Any:
        return self.verdict


ASYNC: dict[str, Any] = {
    "function": by_function,
    "partial": functools.partial(with_more, True),
    "partial of partial": functools.partial(functools.partial(with_more), True),
    "object": AsyncCall(),
    "method": AsyncCall().method,
}


@pytest.mark.parametrize("how", ASYNC)
def test_async_is_accepted_under_asgi(how: str) -> None:
    stack, _, _ = stack_of()
    app = ASGIMiddleware(None, stack, authorize=ASYNC[how])
    assert asyncio.run(acall_asgi(app, "GET", f"/media/{HELD}")).status == 200


@pytest.mark.parametrize("how", ASYNC)
@pytest.mark.parametrize("options", [{}, {"enabled": False}], ids=["enabled", "disabled"])
def test_async_is_refused_at_construction_under_wsgi(how: str, options: Any) -> None:
    with pytest.raises(ConfigError, match=r"^authorize: WSGI cannot await it"):
        WSGIMiddleware(None, [Local("local")], authorize=ASYNC[how], **options)


@pytest.mark.parametrize("verdict", [403, 404])
def test_what_async_ones_say_counts(verdict: int) -> None:
    for authorize in (AsyncCall(verdict), AsyncCall(verdict).method, functools.partial(with_more, verdict)):
        stack, local, _ = stack_of()
        got = asyncio.run(acall_asgi(ASGIMiddleware(None, stack, authorize=authorize), "GET", f"/media/{HELD}"))
        assert got.status == verdict
        assert local.asked == []


@pytest.mark.parametrize("verdict", [1, None, "yes", False])
def test_what_async_ones_may_not_say(verdict: Any) -> None:
    stack, local, _ = stack_of()
    app = ASGIMiddleware(None, stack, authorize=AsyncCall(verdict))
    assert asyncio.run(acall_asgi(app, "GET", f"/media/{HELD}")).status == 503
    assert local.asked == []


class Ready(Awaitable[Any]):
    """Something to await that is no coroutine."""

    def __init__(self, verdict: Any) -> None:
        self.verdict = verdict

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        return self.verdict


@pytest.mark.parametrize(("verdict", "status"), [(True, 200), (403, 403), (404, 404), (None, 503), (1, 503)])
def test_a_plain_function_that_returns_something_to_await(verdict: Any, status: int) -> None:
    """Under ASGI it is awaited; under WSGI nobody can, and an awaitable is no allow."""
    both = Both(lambda request, key: Ready(verdict))
    assert asyncio.run(acall_asgi(both.asgi, "GET", f"/media/{HELD}")).status == status
    both.local.asked.clear()
    assert call_wsgi(both.wsgi, "GET", f"/media/{HELD}").status == 503
    assert both.nobody_was_asked


def test_an_awaitable_of_an_awaitable_is_no_verdict() -> None:
    both = Both(lambda request, key: Ready(Ready(True)))
    assert asyncio.run(acall_asgi(both.asgi, "GET", f"/media/{HELD}")).status == 503
    assert both.nobody_was_asked


USER: contextvars.ContextVar[str] = contextvars.ContextVar("USER", default="nobody")


def test_a_plain_function_runs_in_a_thread_with_its_context_under_asgi() -> None:
    """It may ask a database: not on the loop. What the framework keeps in context variables is there."""
    seen: list[tuple[str, str]] = []

    def authorize(request: Any, key: str) -> Any:
        seen.append((USER.get(), threading.current_thread().name))
        USER.set("changed")
        return True if USER.get() == "changed" else 403

    stack, _, _ = stack_of()
    app = ASGIMiddleware(None, stack, authorize=authorize)

    async def main() -> None:
        for user in ("ann", "bob"):
            USER.set(user)
            assert (await acall_asgi(app, "GET", f"/media/{HELD}")).status == 200
        assert USER.get() == "bob", "a copy of the context, so that nothing of the thread's comes back"

    asyncio.run(main())
    assert [user for user, _ in seen] == ["ann", "bob"]
    assert all(thread.startswith("mediamw-authorize") for _, thread in seen)


def test_an_async_one_runs_on_the_loop_with_its_context() -> None:
    seen: list[Any] = []

    async def authorize(request: Any, key: str) -> Any:
        seen.append((USER.get(), threading.current_thread(), asyncio.get_running_loop()))
        return True

    stack, _, _ = stack_of()

    async def main() -> None:
        USER.set("ann")
        app = ASGIMiddleware(None, stack, authorize=authorize)
        assert (await acall_asgi(app, "GET", f"/media/{HELD}")).status == 200
        assert seen == [("ann", threading.current_thread(), asyncio.get_running_loop())]

    asyncio.run(main())


def test_under_wsgi_it_runs_where_the_request_is() -> None:
    seen: list[Any] = []
    stack, _, _ = stack_of()
    app = WSGIMiddleware(None, stack, authorize=lambda request, key: seen.append(threading.current_thread()) or True)
    call_wsgi(app, "GET", f"/media/{HELD}")
    assert seen == [threading.current_thread()]


def test_a_client_that_leaves_while_it_is_asked() -> None:
    stack, local, _ = stack_of()
    asked = threading.Event()

    async def authorize(request: Any, key: str) -> Any:
        asked.set()
        await asyncio.Event().wait()

    async def main() -> None:
        app = ASGIMiddleware(None, stack, authorize=authorize)
        task = asyncio.ensure_future(acall_asgi(app, "GET", f"/media/{HELD}"))
        while not asked.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert local.asked == []


@pytest.mark.parametrize("authorize", [True, 403, "admin", b"", [], object()], ids=repr)
@pytest.mark.parametrize("middleware", [WSGIMiddleware, ASGIMiddleware])
def test_what_cannot_be_called_is_refused(middleware: Any, authorize: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"authorize \(keyword authorize\): .*(a function of request and key|give module:name)"
    ):
        middleware(None, [Local("local")], authorize=authorize)


def test_these_tests_know_what_is_async() -> None:
    assert [inspect.iscoroutinefunction(authorize) for authorize in ASYNC.values()] == [True, True, True, False, True]
