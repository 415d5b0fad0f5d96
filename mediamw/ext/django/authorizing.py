"""``authorize`` as Django runs what asks its database: sync or async, whichever the project wrote, under WSGI and ASGI.

In MIDDLEWARE it is given the request, and the handler closes the database's connections. In front of Django, by
``wrap``, neither is there: the request is made here, and the connections are closed here.
"""

from __future__ import annotations

from inspect import isawaitable
from io import BytesIO
from typing import Any

from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections

from ...config import Authorize, is_async


def adapted(authorize: Authorize, *, can_await: bool, wrapped: bool) -> Any:
    """Return the function for a service: a coroutine function where it ``can_await``, else a plain one."""
    if can_await:
        return _async_wrapped(authorize) if wrapped else _async(authorize)
    return _sync_wrapped(authorize) if wrapped else _sync(authorize)


def _async(authorize: Authorize) -> Any:
    async def asked(request: Any, key: str) -> object:
        # A plain function runs on the request's own thread, whose connections Django closes.
        verdict = authorize(request, key) if is_async(authorize) else await sync_to_async(authorize)(request, key)
        return await verdict if isawaitable(verdict) else verdict

    return asked


def _async_wrapped(authorize: Authorize) -> Any:
    inner = _async(authorize)

    async def asked(scope: Any, key: str) -> object:
        async with ThreadSensitiveContext():  # else all requests of the process would queue for one thread
            try:
                return await inner(_request_of(scope), key)
            finally:
                await sync_to_async(close_old_connections)()

    return asked


def _sync(authorize: Authorize) -> Any:
    def asked(request: Any, key: str) -> object:
        verdict = authorize(request, key)
        if not isawaitable(verdict):
            return verdict

        async def awaited() -> object:
            return await verdict

        return async_to_sync(awaited)()

    return asked


def _sync_wrapped(authorize: Authorize) -> Any:
    inner = _sync(authorize)

    def asked(environ: Any, key: str) -> object:
        try:
            return inner(WSGIRequest({**environ}), key)  # a copy: it decodes the path in place, for good
        finally:
            close_old_connections()

    return asked


def _request_of(scope: Any) -> Any:
    # A query that is not UTF-8, which Django answers with 400, is no mistake of the project's function.
    query = (scope.get("query_string") or b"").decode("utf-8", "replace")
    return ASGIRequest({**scope, "query_string": query}, BytesIO())
