"""Middlewares of third parties, which know one way of being called; and what a server does to the names of headers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import markcoroutinefunction

OURS = "mediamw.ext.django.MediaMiddleware"
SYNC = f"{__name__}.SyncOnly"
ASYNC = f"{__name__}.AsyncOnly"


class SyncOnly:
    """Knows nothing of async: what stands before it is sync too, under ASGI as well."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self._get_response(request)


class AsyncOnly:
    """Knows nothing else: what stands before it can be async too, under WSGI as well."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: Any) -> Any:
        return await self._get_response(request)


def lowered(app: Any) -> Any:
    """Send header names in lower case, which Django leaves to the server."""

    async def lowering(scope: Any, receive: Any, send: Any) -> None:
        async def send_lowered(message: Any) -> None:
            if "headers" in message:
                message["headers"] = [(name.lower(), value) for name, value in message["headers"]]
            await send(message)

        await app(scope, receive, send_lowered)

    return lowering
