"""What the WSGI entrance does: one loop over a plan's parts. What is sent is decided in ``core/plan.py``, not here."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from .config import Options, check_app
from .core.errors import ContentChanged
from .core.head import Head
from .core.model import REQUEST_HEADERS, Pass, Slice
from .reply import PIECE_BYTES, Reply
from .service import MediaService, Serves, make_service, without_app
from .service import prefix_of as prefix_of
from .settings import settled
from .specs import Spec
from .stack.stack import MediaStack
from .stack.steps import Steps, run

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ENVIRON_HEADERS = tuple(("HTTP_" + name.upper().replace("-", "_"), name) for name in REQUEST_HEADERS)
SEND_BYTES = 256 * 1024


def service_for(
    app: WSGIApplication | None, backends: MediaStack | Sequence[Spec] | None, options: Options
) -> MediaService | None:
    """Make what a middleware around ``app`` asks; None if it is switched off. Raises ``ConfigError``."""
    check_app(app, asgi=False)
    return make_service(app, *settled(backends, options), can_await=False)


def answered(
    app: WSGIApplication | None, service: Serves | None, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes] | None:
    """Answer one request; None if it is the app's."""
    request = None if service is None else _request(service, environ)
    reply: Reply | Pass | None = None
    if service is not None and request is not None:
        known = service.at_once(*request, waits=True)
        if known is not None:
            return _send_whole(*known, start_response)
        reply = run(service.respond(*request, environ, needs_length=not _breaks_off(environ)))
    if app is None and not isinstance(reply, Reply):
        reply = without_app(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), service)
    return _send(reply, environ, start_response) if isinstance(reply, Reply) else None


def _request(service: Serves, environ: WSGIEnvironment) -> tuple[str, str | None, dict[str, str]] | None:
    """Return method, name and conditions of a request, None if it is not the service's."""
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    if not service.takes(method, path):
        return None
    return method, _decoded(path[len(service.prefix) :]), _conditional(environ)


def asking(
    service: MediaService, environ: WSGIEnvironment, client: object, *, inline: bool = False
) -> Steps[Reply | Pass] | None:
    """Return the steps that answer a request, None if it is not the service's.

    ``client`` is what ``authorize`` is given; ``inline``: the steps run on an event loop.
    """
    request = _request(service, environ)
    if request is None:
        return None
    return service.respond(*request, client, inline=inline, needs_length=not _breaks_off(environ))


def answer(service: MediaService, environ: WSGIEnvironment, key: str) -> Reply | Pass:
    """Answer a request of any path with ``key``, for a caller who has judged who may have it."""
    method, needs_length = environ["REQUEST_METHOD"], not _breaks_off(environ)
    return run(service.respond(method, key, _conditional(environ), environ, needs_length=needs_length, is_judged=True))


def _conditional(environ: WSGIEnvironment) -> dict[str, str]:
    return {name: environ[variable] for variable, name in _ENVIRON_HEADERS if variable in environ}


def _decoded(path: str) -> str | None:
    """PEP 3333 gives the path's bytes as Latin-1; None if they are not UTF-8."""
    if path.isascii():
        return path
    try:
        return path.encode("latin-1").decode()
    except UnicodeError:
        return None


def _breaks_off(environ: WSGIEnvironment) -> bool:
    """Say whether a client sees that a body without Content-Length broke off.

    PEP 3333 does not say how a server ends the answer of an app that raises. Granian ends it as if it were whole, so
    does whoever answers with HTTP/1.0, as wsgiref and Werkzeug do; gunicorn breaks the chunked answer off.
    """
    software, protocol = environ.get("SERVER_SOFTWARE", ""), environ.get("SERVER_PROTOCOL")
    return str(software).startswith("gunicorn") and protocol != "HTTP/1.0"


def _send(reply: Reply, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if reply.data is not None:
        return _send_whole(reply.head, reply.data, start_response)
    _send_head(reply.head, start_response)
    wrapper: Any = environ.get("wsgi.file_wrapper")
    file = sendable(reply) if wrapper is not None else None
    if file is not None:
        return cast("Iterable[bytes]", wrapper(file, SEND_BYTES))
    return Body(reply)


def _send_whole(head: Head, body: bytes, start_response: StartResponse) -> Iterable[bytes]:
    _send_head(head, start_response)
    return [body] if body else []


def _send_head(head: Head, start_response: StartResponse) -> None:
    start_response(head.status_line, list(head.plan.headers))


class Body:
    """The body of a large reply; the server calls ``close`` whether or not it was read to its end (PEP 3333)."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._pieces = reply.stream(PIECE_BYTES)

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        self._pieces.close()
        self._reply.close()


def sendable(reply: Reply) -> Tail | None:
    """Return a file for ``wsgi.file_wrapper`` if the body is one slice that runs to the end of a file of the disk.

    A server may send a wrapped file to its end whatever was promised, so a range that stops before is never wrapped.
    """
    body, handle = reply.plan.body, reply.handle
    if len(body) != 1 or not isinstance(body[0], Slice) or handle is None or not hasattr(handle, "fileno"):
        return None
    return Tail(reply, body[0]) if body[0].stop == handle.meta.size else None


class Tail(io.RawIOBase):
    """The end of a file of the disk, for servers that read it or send its descriptor."""

    def __init__(self, reply: Reply, part: Slice) -> None:
        self._reply = reply
        self._stop = part.stop
        self._fd: int = cast("Any", reply.handle).fileno()
        os.lseek(self._fd, part.start, os.SEEK_SET)

    def fileno(self) -> int:
        return self._fd

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._fd, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._fd, 0, os.SEEK_CUR)

    def read(self, size: int = -1, /) -> bytes:
        left = self._stop - self.tell()
        data = os.read(self._fd, left if size < 0 else min(size, left)) if left > 0 else b""
        if left > 0 and size != 0 and not data:
            raise ContentChanged(f"the file ended {left} bytes early while it was sent")
        return data

    def close(self) -> None:
        """Close the file; raise if it has become shorter, so that a server which sent it itself breaks off too."""
        if not self.closed:
            shorter = self._stop - os.fstat(self._fd).st_size
            self._reply.close()
            super().close()
            if shorter > 0:
                raise ContentChanged(f"the file ended {shorter} bytes early while it was sent")

    def __del__(self) -> None:
        self._reply.close()  # a server that forgot to close: nobody would hear an error here
