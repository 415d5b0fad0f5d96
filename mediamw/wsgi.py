"""The WSGI entrance. What it does is in ``wsgi_answers.py``.

That is loaded with the first middleware, and the rest of mediamw with it: who imports this module and makes no
middleware pays next to nothing, not even for ``typing``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Unpack

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .config import Options
    from .service import MediaService, Serves
    from .specs import Spec
    from .stack.stack import MediaStack


class Entrance:
    """A WSGI app around another: what is the service's it answers, the rest is the app's."""

    def __init__(self, app: WSGIApplication | None, service: Serves | None) -> None:
        from . import wsgi_answers

        self.app = app
        self.service = service
        self._prefix = wsgi_answers.prefix_of(service)
        self._answered = wsgi_answers.answered

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        app = self.app
        if app is not None and self._prefix not in environ.get("PATH_INFO", ""):
            return app(environ, start_response)
        answer = self._answered(app, self.service, environ, start_response)
        if answer is None:
            assert app is not None  # without one there always is an answer
            return app(environ, start_response)
        return answer


class MediaMiddleware(Entrance):
    """Wraps a WSGI app: GET and HEAD below ``prefix`` are answered from ``backends``, the rest is the app's.

    ``app`` None stands alone. ``backends`` is a ``MediaStack`` or a list of specs and backends; without
    it they and all options are those of the settings (``docs/configuration.md``). Options: ``prefix``,
    ``enabled``, ``on_miss``, ``placeholder``, ``max_age``, ``redirect_max_age``, ``allow_dotfiles``, ``media_types``,
    ``add_headers``, ``authorize``, ``debug``; ``docs/semantics.md`` has each of them. Raises ``ConfigError``.
    """

    service: MediaService | None

    def __init__(
        self,
        app: WSGIApplication | None,
        backends: MediaStack | Sequence[Spec] | None = None,
        **options: Unpack[Options],
    ) -> None:
        from . import wsgi_answers

        super().__init__(app, wsgi_answers.service_for(app, backends, options))


class MediaApp(MediaMiddleware):
    """The media alone, to be mounted in an app: ``DispatcherMiddleware(app, {"/media": MediaApp(["./media", "s3://..."])})``.

    ``backends`` and options are those of ``MediaMiddleware``. The path of the mount is not known here: where code asks
    ``stack.url`` for files of the disk, give a stack with a ``base_url``.
    """

    def __init__(self, backends: MediaStack | Sequence[Spec] | None = None, **options: Unpack[Options]) -> None:
        options.setdefault("prefix", "/")
        super().__init__(None, backends, **options)
