"""The demo's site: a plain WSGI app with one page and an upload form, and the recorder of what the middleware answered.

The recorder stands outside the middleware and notes ``X-Media-Backend`` of each answer. So a badge on the page says
what the browser was really answered, not what a second look-up would say.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from mediamw.core.errors import MediaError
from mediamw.core.media_types import guess
from mediamw.stack.stack import MediaStack
from mediamw.testing.strict_s3 import StrictS3

from .database import Database
from .page import PREFIX, render
from .uploads import MAX_UPLOAD_BYTES, Refused, store, too_large

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_ANSWERS: Final = 1000
MAX_ALT: Final = 200
_FORM_BYTES: Final = 16 * 1024  # what a form may weigh besides its file

_STATIC: Final = {"/page.css": "text/css", "/page.js": "text/javascript"}
_ALLOWED: Final = {**dict.fromkeys(("/", "/answers.json", *_STATIC), ("GET", "HEAD")), "/upload": ("POST",)}


class Recorder:
    """Wraps the middleware and remembers, for the last keys asked for, who answered with which status."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[str, int]] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on and note the answer's headers."""
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")

        def noting(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            if path.startswith(PREFIX):
                self._note(path.removeprefix(PREFIX), dict(headers).get("X-Media-Backend", "none"), int(status[:3]))
            return start_response(status, headers, exc_info)

        return self._app(environ, noting)

    @property
    def answers(self) -> dict[str, tuple[str, int]]:
        """Key to (backend, status): a copy."""
        with self._lock:
            return dict(self._answers)

    def _note(self, key: str, backend: str, status: int) -> None:
        with self._lock:
            self._answers.pop(key, None)
            self._answers[key] = (backend, status)
            if len(self._answers) > MAX_ANSWERS:
                del self._answers[next(iter(self._answers))]


class Site:
    """The wrapped app. ``recorder`` is set once the middleware stands around it."""

    recorder: Recorder

    def __init__(self, stack: MediaStack, s3: StrictS3, database: Database, folder: Path) -> None:
        self._stack = stack
        self._s3 = s3
        self._database = database
        self._folder = folder
        origins = f"'self' {s3.endpoint}"  # a redirect has to be allowed at its end too
        self._headers = {
            "Content-Security-Policy": f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            f"img-src {origins}; media-src {origins}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer what is not below the media prefix."""
        with Request(environ) as request:
            response = self._respond(request)
            response.headers.extend(self._headers)
            return response(environ, start_response)

    def counts(self) -> dict[str, int]:
        """Say what production saw: requests answered, requests refused, and writes, refused or not."""
        calls = self._s3.calls
        refused = sum(call.status in (400, 403) for call in calls)
        return {"answered": len(calls) - refused, "refused": refused, "writes": len(self._s3.writes)}

    def _respond(self, request: Request) -> Response:
        allowed = _ALLOWED.get(request.path)
        if allowed is None:
            return Response("404 Not Found\n", 404)
        if request.method not in allowed:
            return Response("405 Method Not Allowed\n", 405, {"Allow": ", ".join(allowed)})
        if request.path == "/upload":
            return self._upload(request)
        if request.path == "/answers.json":
            seen = {"answers": self.recorder.answers, "counts": self.counts()}
            return Response(json.dumps(seen), mimetype="application/json")
        if request.path in _STATIC:
            file = Path(__file__).parent / request.path[1:]
            return Response(file.read_bytes(), mimetype=_STATIC[request.path])
        return self._page()

    def _page(self, status: int = 200, error: str = "") -> Response:
        return Response(render(self._database, self._folder, self.counts(), error), status, mimetype="text/html")

    def _upload(self, request: Request) -> Response:
        try:
            # Another site's page may not make the developer's browser fill this folder.
            if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
                raise Refused(403, "That form was on another site.")
            self._take(request)
        except Refused as error:
            return self._page(error.status, error.text)
        except MediaError as error:
            return self._page(503, f"The file could not be stored: {error.reason}")
        return Response("", 303, {"Location": "/"})

    def _take(self, request: Request) -> None:
        if request.content_length is None:  # every browser sends it
            raise Refused(411, "The length of that form was not said.")
        request.max_content_length = MAX_UPLOAD_BYTES + _FORM_BYTES
        try:
            file = request.files.get("file")
            alt = request.form.get("alt", "").strip()[:MAX_ALT]
        except RequestEntityTooLarge:
            raise too_large() from None
        if file is None or not file.filename:
            raise Refused(400, "Please choose a file first.")
        key = store(self._stack, file.filename, cast("BinaryIO", file.stream))
        kind, _, subtype = guess(key)[0].partition("/")
        if kind not in ("image", "video", "audio"):
            kind = "pdf" if subtype == "pdf" else "text"
        self._database.add(key, alt or f"Uploaded: {key.rpartition('/')[2]}", kind)
