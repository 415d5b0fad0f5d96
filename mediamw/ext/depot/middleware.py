"""``DepotMiddleware``: ``<mountpoint>/<storage>/<id>`` of a web app, answered by ``mediamw.storages``' middlewares.

What differs from DEPOT's: ranges; conditions after RFC 9110, so that a date that is none is ignored (13.1.3) and no
400; 302 with a signature that is alive and ``no-store``, where DEPOT has a 301 that browsers keep longer than any
signature; ``Cache-Control: private, max-age=...`` without ``Expires``, which says the same; the whole path counts,
where DEPOT takes its last two parts. Names that ``remap`` has are answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ...asgi import path_below
from ...config import Options, build_policy, check_app, check_prefix
from ...core.errors import ConfigError, unknown_option
from ...storages import Registry
from ...storages.asgi import StoragesMiddleware as ASGIStorages
from ...storages.wsgi import StoragesMiddleware as WSGIStorages
from .errors import DepotError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from ...asgi import ASGIApp, Receive, Scope, Send

_OURS: Final = {"prefix": "mountpoint", "max_age": "cache_max_age"}
"""What the middlewares' options are called here."""

MAX_AGE_SECONDS: Final = 7 * 24 * 3600
"""As long as DEPOT has browsers keep a file: ids are never used again, but ``replace`` is seen that much later."""


_OWN: Final = ("mountpoint", "cache_max_age", "replace_wsgi_filewrapper")


class _Mounted:
    """What both have: where files are, and the storages."""

    _is_on = True

    def __init__(self, mountpoint: str, cache_max_age: int | None, options: Mapping[str, Any]) -> None:
        known = [*_OWN, *Options.__annotations__]
        wrong = [unknown_option(option, known) for option in options if option not in known]
        if wrong:
            raise DepotError("; ".join(wrong))
        if not isinstance(mountpoint, str) or not mountpoint.startswith("/"):
            raise DepotError(f"mountpoint must be an absolute path, such as /depot, not {mountpoint!r}")
        for option, ours in _OURS.items():
            if option in options:
                raise DepotError(f"{option}: it is called {ours} here: give {ours}=...")
        try:
            build_policy(max_age=cache_max_age)
        except ConfigError as error:
            raise DepotError(f"cache_{error.reason}") from error
        self.cache_max_age = cache_max_age
        self.mountpoint = mountpoint.rstrip("/")
        if not self.mountpoint:
            raise DepotError("mountpoint: '/' leaves nothing to the app: give another, such as /depot")
        try:
            check_prefix(f"{self.mountpoint}/")
        except ConfigError as error:
            raise DepotError(error.reason.replace("prefix", "mountpoint", 1)) from error

    def url_for(self, path: str) -> str:
        """Return the URL of ``storage/id``."""
        return f"{self.mountpoint}/{quote(path, safe='/~')}"

    def _takes(self, method: str, path: str) -> bool:
        is_ours = self._is_on and (path == self.mountpoint or path.startswith(f"{self.mountpoint}/"))
        return is_ours and method in ("GET", "HEAD")


class DepotMiddleware(_Mounted):
    """Wraps a WSGI app: GET and HEAD below ``mountpoint`` are answered from the storages of ``registry``.

    ``registry``: by default the process's own. ``cache_max_age``: for how many seconds browsers keep a file.
    ``replace_wsgi_filewrapper``: have no server's ``wsgi.file_wrapper`` send files. ``options``: others of
    ``mediamw.wsgi.MediaMiddleware``, such as ``authorize``. Raises ``ConfigError``; ``DepotError`` for the mountpoint.
    """

    def __init__(
        self,
        app: WSGIApplication | None,
        mountpoint: str = "/depot",
        cache_max_age: int | None = MAX_AGE_SECONDS,
        replace_wsgi_filewrapper: bool = False,
        *,
        registry: Registry | None = None,
        **options: Any,
    ) -> None:
        super().__init__(mountpoint, cache_max_age, options)
        check_app(app, asgi=False)
        self.app = app
        self.replace_wsgi_filewrapper = replace_wsgi_filewrapper
        # Alone: as in DEPOT, what is not there is a 404, and never asked of the app.
        self._storages = WSGIStorages(
            None, registry, **{"prefix": f"{self.mountpoint}/", "max_age": cache_max_age, **options}
        )
        self._is_on = self._storages.service is not None  # else all is the app\'s

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if self.app is not None and not self._takes(environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")):
            return self.app(environ, start_response)
        if self.replace_wsgi_filewrapper:
            environ.pop("wsgi.file_wrapper", None)
        return self._storages(environ, start_response)


class DepotASGIMiddleware(_Mounted):
    """Wraps an ASGI app as ``DepotMiddleware`` does one of WSGI; ``authorize`` may be async."""

    def __init__(
        self,
        app: ASGIApp | None,
        mountpoint: str = "/depot",
        cache_max_age: int | None = MAX_AGE_SECONDS,
        *,
        registry: Registry | None = None,
        **options: Any,
    ) -> None:
        super().__init__(mountpoint, cache_max_age, options)
        check_app(app, asgi=True)
        self.app = app
        self._storages = ASGIStorages(
            None, registry, **{"prefix": f"{self.mountpoint}/", "max_age": cache_max_age, **options}
        )
        self._is_on = self._storages.service is not None  # else all is the app\'s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on whatever else the server has: lifespan, websockets."""
        is_http = scope["type"] == "http"
        if self.app is not None and not (is_http and self._takes(scope["method"], path_below(scope))):
            await self.app(scope, receive, send)
        else:
            await self._storages(scope, receive, send)
