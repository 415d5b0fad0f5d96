"""The middleware for MIDDLEWARE: what is sent is decided in ``core/plan.py``; here it is put into Django's responses.

Sync where the rest is sync, async where it is async. How a body is sent depends on the server, not on that: under ASGI
it is read on threads of the stack, piece by piece, under WSGI by the server, with its file wrapper if it has one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.apps import apps
from django.core.exceptions import MiddlewareNotUsed
from django.core.signals import request_started

from ... import asgi, wsgi_answers
from ...reply import Reply
from ...stack.steps import run
from . import conf
from .responses import response_of

log = logging.getLogger("mediamw")

_AS_SENT: Final = "mediamw.path_as_sent"


class MediaMiddleware:
    """Answers GET and HEAD below the prefix, as ``settings.MEDIAMW`` says; the rest is the project's.

    It stands first in MIDDLEWARE, or, if ``authorize`` asks for ``request.user``, behind AuthenticationMiddleware.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        self._entrance = conf.Entrance(can_await=self._is_async)
        if conf.service(self._entrance) is None:
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
        service = conf.service(self._entrance)
        if service is None or not service.takes(request.method, request.path_info):
            return None
        if hasattr(request, "scope"):
            return asgi.asking(service, request.scope, request, request.path_info, inline=self._is_async)
        path = request.META.get(_AS_SENT) or request.path_info.encode("utf-8", "surrogatepass").decode("latin-1")
        return wsgi_answers.asking(service, {**request.META, "PATH_INFO": path}, request, inline=self._is_async)


def _keep_path(*, environ: Any = None, **_: Any) -> None:
    """Keep a path that is not UTF-8: Django decodes the environ's in place, and then no one can tell what was sent."""
    path = "" if environ is None else environ.get("PATH_INFO", "")
    if not path.isascii():
        try:
            path.encode("latin-1").decode()
        except UnicodeError:
            environ[_AS_SENT] = path


request_started.connect(_keep_path, dispatch_uid="mediamw.ext.django")
