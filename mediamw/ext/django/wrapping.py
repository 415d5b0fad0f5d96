"""The wrap for wsgi.py and asgi.py: mediamw in front of all of Django, so that a media request costs nothing of it."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from ... import asgi, wsgi
from ...config import is_async
from ...service import MediaService, prefix_of
from ...wsgi_answers import answered
from . import conf

_ASGI, _WSGI = (conf.Entrance(can_await, wrapped=True) for can_await in (True, False))


def wrap(application: Any) -> Any:
    """Wrap what ``get_wsgi_application()`` or ``get_asgi_application()`` returned, as ``settings.MEDIAMW`` says.

    ``authorize`` is given an ``HttpRequest`` that no middleware has seen: it has cookies, and no user and no session.
    Switched off it returns ``application``. Raises ``ConfigErrors``.
    """
    can_await = is_async(application)
    if conf.service(_ASGI if can_await else _WSGI) is None:
        return application
    return _ASGIWrap(application) if can_await else _WSGIWrap(application)


class _WSGIWrap(wsgi.MediaMiddleware):
    def __init__(self, application: Any) -> None:
        self.app = application
        self._answered = answered

    @property
    def service(self) -> MediaService | None:  # type: ignore[override]  # asked each time: see override_settings
        return conf.service(_WSGI)

    @property
    def _prefix(self) -> str:  # type: ignore[override]  # as the service is
        return prefix_of(self.service)


class _ASGIWrap(asgi.MediaMiddleware):
    def __init__(self, application: Any) -> None:
        self.app = application

    @property
    def service(self) -> MediaService | None:  # type: ignore[override]  # asked each time: see override_settings
        return conf.service(_ASGI)

    @property
    def _prefix(self) -> str:  # type: ignore[override]  # as the service is
        return prefix_of(self.service)

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        mount = settings.FORCE_SCRIPT_NAME  # which Django prefers to the server's, too
        if mount and scope["type"] == "http":
            scope = {**scope, "root_path": mount.rstrip("/")}
        await super().__call__(scope, receive, send)
