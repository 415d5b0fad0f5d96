"""The sites of the HTTP table for real servers: ``wsgi_app`` and ``asgi_app``. The host says which: ``plain.test``.

``HTTP_TABLE_ROOT`` is the folder that ``http_table.files.write_files`` wrote.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from .http_table.sites import SITES, local_files, make_asgi, make_wsgi, wrapped_asgi, wrapped_wsgi

__all__ = ["asgi_app", "wrapped_asgi", "wrapped_wsgi", "wsgi_app"]


def _files() -> Any:
    return local_files(Path(os.environ["HTTP_TABLE_ROOT"]))


@cache
def _wsgi(site: str) -> Any:
    return make_wsgi(site, _files())


@cache
def _asgi(site: str) -> Any:
    return make_asgi(site, _files())


def _site(host: str) -> str:
    site = host.partition(".")[0]
    return site if site in SITES else "plain"


def wsgi_app(environ: Any, start_response: Any) -> Any:
    """Answer from the site that the host names."""
    return _wsgi(_site(environ.get("HTTP_HOST", "")))(environ, start_response)


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    """Answer from the site that the host names; the lifespan is of no interest here."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": message["type"] + ".complete"})
        return
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    await _asgi(_site(host))(scope, receive, send)
