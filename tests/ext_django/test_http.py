"""The HTTP table through Django: every row as the plain middlewares answer it, header by header, WSGI and ASGI."""

from __future__ import annotations

import asyncio
import wsgiref.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

from mediamw import MediaStack
from mediamw.ext.django import MediaMiddleware, wrap

from ..http_table import ROWS, Row
from ..http_table.callers import Response, Sendfile, acall_asgi, call_wsgi
from ..http_table.check import Facts, faults
from ..http_table.files import NOW, write_files
from ..http_table.sites import SITES, local_files, make_wsgi
from .middlewares import ASYNC, OURS, SYNC, lowered

# Sites whose rows Django makes impossible; docs/django.md has the same table.
EXCEPTIONS = {
    "alone": "there is always a project behind the middleware",
    "disabled-alone": "there is always a project behind the middleware",
}
CASES = [row for row in ROWS if row.site not in EXCEPTIONS]
BY_WRAP = ()
# What most projects have, for each test run; the others take as long again.
USUAL = ((OURS,), BY_WRAP), ((OURS,), BY_WRAP)
MIXED = ((OURS, ASYNC), (SYNC, OURS)), ((SYNC, OURS), (OURS, SYNC))


class House:
    """The sites, each made once: the plain middleware, and the stack that Django is given."""

    def __init__(self, root: Path) -> None:
        files = local_files(root)
        self.plain = cache(lambda site: make_wsgi(site, files))
        self.stack = cache(lambda site: MediaStack(SITES[site]().backends(files)))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(write_files(tmp_path_factory.mktemp("table")))
    yield made
    for site in {row.site for row in CASES}:
        made.stack(site).close()
        if (service := made.plain(site).service) is not None:
            service.stack.close()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with mock.patch("time.time", return_value=NOW + 0.5):
        yield


def new_handler(kind: Any, order: tuple[str, ...]) -> Any:
    with override_settings(MIDDLEWARE=order):
        made = kind()
    return made if order else wrap(made)


handler = cache(new_handler)
"""Made once for all sites, as they would be in a process whose settings change; only what is off cannot come on."""


def without_timings(got: Response) -> Response:
    headers = tuple((name, "..." if name == "server-timing" else value) for name, value in got.headers)
    return Response(got.status, headers, got.body)


@pytest.mark.parametrize("row", CASES, ids=lambda row: row.id)
def test_row(house: House, runner: asyncio.Runner, row: Row) -> None:
    check(house, runner, row, USUAL)


@pytest.mark.slow
@pytest.mark.parametrize("row", CASES, ids=lambda row: row.id)
def test_row_among_other_middlewares(house: House, runner: asyncio.Runner, row: Row) -> None:
    """Those that can only be called one way decide which way ours is called."""
    check(house, runner, row, MIXED, wrappers=(wsgiref.util.FileWrapper, Sendfile))


def check(house: House, runner: asyncio.Runner, row: Row, orders: Any, wrappers: Any = ()) -> None:
    options, plain = SITES[row.site]().options, house.plain(row.site)
    made = handler if options.get("enabled", True) else new_handler
    headers = Facts.of(call_wsgi(plain, "GET", row.path)).fill(row.headers)
    expected = without_timings(call_wsgi(plain, row.method, row.path, headers))
    of_wsgi, of_asgi = orders
    with override_settings(MEDIAMW={**options, "backends": house.stack(row.site)}):
        for order in of_wsgi:
            for wrapper in (None, *wrappers):
                got = call_wsgi(made(WSGIHandler, order), row.method, row.path, headers, file_wrapper=wrapper)
                assert faults(row, got) == [], order
                assert without_timings(got) == expected, order
        for order in of_asgi:
            app = lowered(made(ASGIHandler, order))
            got = runner.run(acall_asgi(app, row.method, row.path, headers))
            assert without_timings(got) == expected, order


def test_the_exceptions_are_few_and_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "django.md").read_text("utf-8")
    assert all(SITES[site]().app is False for site in EXCEPTIONS)
    assert all(reason in page for reason in EXCEPTIONS.values())
    assert len(CASES) > 0.95 * len(ROWS)


def test_the_middleware_is_the_packages() -> None:
    assert f"{MediaMiddleware.__module__}.{MediaMiddleware.__name__}" == "mediamw.ext.django.middleware.MediaMiddleware"
