"""The middleware for MIDDLEWARE: what is sent is decided in ``core/plan.py``; here it is put into Django's responses.

Sync where the rest is sync, async where it is async. How a body is sent depends on the server, not on that: under ASGI
it is read on threads of the stack, piece by piece, under WSGI by the server, with its file wrapper if it has one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.apps import apps
from django.core.exceptions import MiddlewareNotUsed

from ... import asgi, wsgi
from ...reply import Reply
from ...service import MediaService
from ...stack.steps import run
from . import conf
from .responses import response_of

log = logging.getLogger("mediamw")


class MediaMiddleware:
    """Answers GET and HEAD below the prefix, as ``settings.MEDIAMW`` says; the rest is the project's.

    It stands first in MIDDLEWARE, or, if ``authorize`` asks for ``request.user``, behind AuthenticationMiddleware.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if conf.service(can_await=self._is_async) is None:
            raise MiddlewareNotUsed("mediamw is switched off")
        if not apps.is_installed("mediamw.ext.django"):
            log.warning("mediamw.W009: mediamw.ext.django is not in INSTALLED_APPS, so nothing checks the settings")
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        """Answer a request; under ASGI return what gives the answer when it is awaited."""
        if self._is_async:
            return self._answered(request)
        steps = self._steps(request)
        reply = None if steps is None else run(steps)
        return response_of(reply, request) if isinstance(reply, Reply) else self.get_response(request)

    async def _answered(self, request: Any) -> Any:
        steps = self._steps(request)
        reply = None if steps is None else await asgi.drive(steps)
        if isinstance(reply, Reply):
            return response_of(reply, request)
        return await cast("Awaitable[Any]", self.get_response(request))

    def _steps(self, request: Any) -> Any:
        # Asked each time: override_settings may have replaced it since this middleware was made.
        service: MediaService | None = conf.service(can_await=self._is_async)
        if service is None:
            return None
        if hasattr(request, "scope"):
            return asgi.asking(service, request.scope, request, request.path_info, inline=self._is_async)
        environ, path = request.META, request.path_info
        if not path.isascii():  # Django has decoded it in place; wsgi.asking decodes it as PEP 3333 has it
            environ = {**environ, "PATH_INFO": path.encode().decode("latin-1")}
        return wsgi.asking(service, environ, request, inline=self._is_async)
