"""The HTTP table through Django: every row as the plain middlewares answer it, header by header, WSGI and ASGI."""

from __future__ import annotations

import asyncio
import wsgiref.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

from mediamw.ext.django import MediaMiddleware, wrap

from ..http_table import ROWS, Row
from ..http_table.callers import Response, Sendfile, acall_asgi, call_wsgi
from ..http_table.check import Facts, faults
from ..http_table.files import NOW, write_files
from ..http_table.sites import SITES, local_files

# Django's middleware always has a project behind it. The debug site has a backend of its own name: see test_middleware.
CASES = [row for row in ROWS if SITES[row.site]().app]


class SyncOnly:
    """A third party's middleware that knows nothing of async: what stands before it is sync too, under ASGI as well."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self._get_response(request)


OURS = "mediamw.ext.django.MediaMiddleware"
ORDERS = {"async": [OURS], "sync": [OURS, f"{__name__}.SyncOnly"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with mock.patch("time.time", return_value=NOW + 0.5):
        yield


def without_timings(got: Response) -> Response:
    headers = tuple((name, "..." if name == "server-timing" else value) for name, value in got.headers)
    return Response(got.status, headers, got.body)


@pytest.mark.parametrize("row", CASES, ids=lambda row: row.id)
def test_row(root: Path, runner: asyncio.Runner, row: Row) -> None:
    site = SITES[row.site]()
    with override_settings(MEDIAMW={**site.options, "backends": site.backends(local_files(root))}):
        wsgi = WSGIHandler()
        headers = Facts.of(call_wsgi(wsgi, "GET", row.path)).fill(row.headers)
        got = call_wsgi(wsgi, row.method, row.path, headers)
        assert faults(row, got) == []
        for wrapper in (wsgiref.util.FileWrapper, Sendfile):
            by_wrapper = call_wsgi(wsgi, row.method, row.path, headers, file_wrapper=wrapper)
            assert without_timings(by_wrapper) == without_timings(got)
        for order in ORDERS.values():
            with override_settings(MIDDLEWARE=order):
                by_asgi = runner.run(lowered(ASGIHandler(), row, headers))
                assert without_timings(by_asgi) == without_timings(got)
        with override_settings(MIDDLEWARE=[]):
            by_wrap = call_wsgi(wrap(WSGIHandler()), row.method, row.path, headers)
            assert without_timings(by_wrap) == without_timings(got)
            by_wrap = runner.run(lowered(wrap(ASGIHandler()), row, headers))
            assert without_timings(by_wrap) == without_timings(got)


async def lowered(app: Any, row: Row, headers: Any) -> Response:
    """Call with header names in lower case, which is the server's task and not Django's."""

    async def lowering(scope: Any, receive: Any, send: Any) -> None:
        async def send_lowered(message: Any) -> None:
            if "headers" in message:
                message["headers"] = [(name.lower(), value) for name, value in message["headers"]]
            await send(message)

        await app(scope, receive, send_lowered)

    return await acall_asgi(lowering, row.method, row.path, headers)


def test_the_middleware_is_the_packages() -> None:
    assert f"{MediaMiddleware.__module__}.{MediaMiddleware.__name__}" == "mediamw.ext.django.middleware.MediaMiddleware"
