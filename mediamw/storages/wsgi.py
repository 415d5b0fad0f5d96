"""The WSGI entrance to all storages of a registry. What it does is in ``serving.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ..config import Options, check_app
from ..wsgi import Entrance
from .registry import Registry, Stored
from .serving import storages_service, url_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class StoragesMiddleware(Entrance):
    """Wraps a WSGI app: GET and HEAD of ``<prefix><storage>/<key>`` are that storage's.

    Its name, an alias or a remapped name will do; one that no storage has is 404. The rest is the app's.
    ``app`` None stands alone. Without ``registry`` it is the process's own. The options are ``MediaMiddleware``'s;
    ``authorize`` is given ``<storage>/<key>``, never with an alias. Raises ``ConfigError``.
    """

    def __init__(
        self, app: WSGIApplication | None, registry: Registry | None = None, **options: Unpack[Options]
    ) -> None:
        check_app(app, asgi=False)
        super().__init__(app, storages_service(app, registry, options, can_await=False))
        self._below = options.get("prefix", "/media/")

    def url_for(self, stored: Stored | str) -> str:
        """Return the path of a file that rows have as ``name/key``, percent-encoded, below where this is mounted.

        Raises ``ConfigError`` for the name, ``InvalidKey`` for the key; whether there is such a file is not looked at.
        """
        return url_of(self._below, stored)
