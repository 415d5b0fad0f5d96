"""Flask: ``MediaMW(app, ["./media", "s3://acme-prod-media?profile=acme-ro"])``.

1. ``app.wsgi_app`` is wrapped, so that a media request costs no routing, and ``app`` stays the app.
2. Settings: the arguments, ``MEDIAMW_*`` in ``app.config``, then what ``docs/configuration.md`` says.
3. ``authorize(request, key)`` is called in a request context of the app: ``session`` and ``current_user`` work in it.
   Functions of ``before_request`` have not run by then.
4. An app has its stack in ``app.extensions["mediamw"]``; one ``MediaMW`` serves several apps, each with its own.
5. Templates have ``url_for_media(key)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import quote

from ..config import Options, check_authorize
from ..core.errors import ConfigError, InvalidKey
from ..core.names import NamePolicy
from ..reply import Reply
from ..service import MediaService
from ..settings import read_settings
from ..specs import Spec
from ..stack.stack import MediaStack
from ..wsgi import MediaMiddleware
from ..wsgi_answers import Body, answer

if TYPE_CHECKING:
    from flask import Flask, Response
    from werkzeug.datastructures import FileStorage

KEY = "mediamw"
_SERVICE = "mediamw.service"
_PREFIX = "MEDIAMW_"


class MediaMW:
    """The extension. Without ``app`` call ``init_app`` later; what is given here is for all of its apps.

    ``backends`` and the options are those of ``mediamw.wsgi.MediaMiddleware``; each may be left to the settings.
    Raises ``ConfigErrors`` with all faults.
    """

    def __init__(
        self,
        app: Flask | None = None,
        backends: MediaStack | Sequence[Spec] | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._given: dict[str, Any] = {**options} if backends is None else {"backends": backends, **options}
        if app is not None:
            self.init_app(app)

    def init_app(
        self, app: Flask, backends: MediaStack | Sequence[Spec] | None = None, **options: Unpack[Options]
    ) -> None:
        """Wrap ``app.wsgi_app``; what is given here wins over what the extension was given."""
        if KEY in app.extensions:
            raise ConfigError(f"MediaMW: the app {app.name!r} has it already: call MediaMW(app) or init_app, and once")
        arguments = {**self._given, **({} if backends is None else {"backends": backends}), **options}
        of_config = {
            name.removeprefix(_PREFIX).lower(): value for name, value in app.config.items() if name.startswith(_PREFIX)
        }

        def named(option: str) -> str:
            known = option in of_config and option not in arguments
            return f"app.config[{_PREFIX + option.upper()!r}]" if known else f"MediaMW(..., {option}=...)"

        settings = read_settings({**of_config, **arguments}, named=named)
        if not settings.enabled:
            app.extensions[KEY] = None
            return
        stack, chosen = settings.stack(), settings.options()
        authorize = chosen.get("authorize")
        if authorize is not None:
            check_authorize(authorize, can_await=False)
            chosen["authorize"] = partial(_ask, app, authorize)
        middleware = MediaMiddleware(app.wsgi_app, stack, **chosen)
        # Flask documents wsgi_app as what is replaced to wrap the app; it is a method to mypy.
        app.wsgi_app = middleware  # type: ignore[method-assign]
        app.extensions |= {KEY: stack, _SERVICE: middleware.service}
        app.jinja_env.globals["url_for_media"] = self.url_for

    @property
    def stack(self) -> MediaStack:
        """The stack of the app that runs now. Raises ``ConfigError`` if it is switched off or not set up."""
        from flask import current_app

        stack: MediaStack | None = current_app.extensions.get(KEY)
        if stack is None:
            off = KEY in current_app.extensions
            reason = "enabled is false" if off else "init_app was not called"
            raise ConfigError(f"MediaMW: the app {current_app.name!r} has no stack: {reason}")
        return stack

    def save(
        self, upload: FileStorage, key: str | None = None, *, folder: str = "", names: NamePolicy | None = None
    ) -> str:
        """Store a file of a form, and return the key that it got.

        Without ``key`` it is the upload's own name, made safe by werkzeug's ``secure_filename``, in ``folder``; of a
        name in another script, such as ``кухня.jpg``, only the extension is left: ``file.jpg``. The whole upload is
        stored, also if the view has read of it. How large it may be says Flask's ``MAX_CONTENT_LENGTH``. Raises as
        ``MediaStack.save``, and ``InvalidKey`` if the upload has no name, as where no file was chosen.
        """
        if key is None:
            name = _safe_name(upload.filename or "")
            if not name:
                raise InvalidKey(
                    f"of the upload's name {upload.filename!r} nothing is left: no file was chosen, or give a key",
                    operation="save",
                )
            key = f"{folder.strip('/')}/{name}".lstrip("/")
        with suppress(AttributeError, OSError):  # a stream of the app's own need not seek
            upload.stream.seek(0)
        return self.stack.save(key, upload.stream, content_type=upload.mimetype or None, names=names)

    def url_for(self, key: str) -> str:
        """Return the path under which the app that runs now shows ``key``; nobody is asked whether it is there."""
        from flask import request

        root = request.script_root if request else ""
        return root + self._service().prefix + quote(key, safe="/~")

    def send(self, key: str) -> Response:
        """Return a response with the file: ranges, conditions and redirects as at its own path; 404 if nobody has it.

        For views that decide who may have it: ``authorize`` is not asked.
        """
        from flask import current_app, request
        from werkzeug.datastructures import Headers
        from werkzeug.exceptions import NotFound

        reply = answer(self._service(), request.environ, key)
        if not isinstance(reply, Reply):
            raise NotFound
        body = reply.data if reply.data is not None else Body(reply)
        response = current_app.response_class(body, reply.plan.status, direct_passthrough=True)
        response.headers = Headers(list(reply.plan.headers))  # these and no others
        return response

    def _service(self) -> MediaService:
        from flask import current_app

        self.stack  # noqa: B018 - raises if there is none
        service: MediaService = current_app.extensions[_SERVICE]
        return service


def _safe_name(filename: str) -> str:
    """Return what an upload's name is stored as, "" if nothing of it is left."""
    from werkzeug.utils import secure_filename

    stem, dot, extension = filename.replace("\\", "/").rpartition("/")[2].partition(".")
    if not secure_filename(stem) and any(letter.isalnum() for letter in stem):  # secure_filename keeps ASCII alone
        filename = f"file{dot}{extension}"
    return secure_filename(filename)


def _ask(app: Flask, authorize: Any, environ: Any, key: str) -> object:
    with app.request_context(environ) as context:
        return authorize(context.request, key)
