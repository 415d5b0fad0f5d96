"""The wrap for wsgi.py and asgi.py: mediamw in front of all of Django, so that a media request costs nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest

from ... import asgi, wsgi
from ...config import Options, is_async
from . import conf


def wrap(application: Any) -> Any:
    """Wrap what ``get_wsgi_application()`` or ``get_asgi_application()`` returned, as ``settings.MEDIAMW`` says.

    ``authorize`` is given an ``HttpRequest`` that no middleware has seen: it has cookies, and no user and no session.
    Switched off it returns ``application``. Raises ``ConfigErrors``.
    """
    configuration = conf.configuration()
    if not configuration.enabled:
        return application
    options = configuration.options()
    if is_async(application):
        return asgi.MediaMiddleware(application, configuration.stack, **_with_request(options, _asgi_request))
    return wsgi.MediaMiddleware(application, configuration.stack, **_with_request(options, WSGIRequest))


def _asgi_request(scope: Any) -> Any:
    return ASGIRequest(scope, BytesIO())


def _with_request(options: Options, made: Callable[[Any], Any]) -> Options:
    authorize = options.get("authorize")
    if authorize is None:
        return options
    if is_async(authorize):

        async def asked(client: Any, key: str) -> Any:
            verdict: Any = authorize(made(client), key)
            return await verdict

        return {**options, "authorize": asked}
    if made is _asgi_request:
        # Where Django runs what asks its database.
        return {**options, "authorize": sync_to_async(lambda client, key: authorize(made(client), key))}
    return {**options, "authorize": lambda client, key: authorize(made(client), key)}
