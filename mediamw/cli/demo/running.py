"""The demo put together and answering: production, folder, stack, middleware, site and server."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from mediamw.stack.stack import MediaStack
from mediamw.testing.strict_s3 import StrictS3
from mediamw.wsgi import MediaMiddleware

from .database import Database
from .fetching import fetch
from .page import PREFIX
from .production import CannotStart, fill, make_stack, new_secret, production
from .site import Recorder, Site

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - to be shown, not listened on


@dataclass(frozen=True)
class Demo:
    """A demo that answers at ``url``, which ends in a slash."""

    url: str
    folder: Path
    stack: MediaStack
    s3: StrictS3
    site: Site


@contextmanager
def running(*, host: str = "127.0.0.1", port: int = 0, clock: Callable[[], float] = time.time) -> Iterator[Demo]:
    """Run the demo inside the block, which starts once the page was fetched. ``clock`` is production's.

    Raises ``CannotStart``.
    """
    with ExitStack() as opened:
        listener = opened.enter_context(_listen(host, port))  # first: a taken port is said at once
        secret = new_secret()
        s3 = opened.enter_context(production(secret, clock))
        folder = Path(opened.enter_context(TemporaryDirectory(prefix="mediamw-demo-")))
        fill(folder)
        stack = opened.enter_context(closing(make_stack(folder, s3, secret)))
        database = opened.enter_context(closing(Database()))
        site = Site(stack, s3, database, folder)
        site.recorder = Recorder(MediaMiddleware(site, stack, prefix=PREFIX, on_miss="placeholder", debug=True))
        opened.enter_context(_serving(listener, host, site.recorder))
        shown = _ANY_ADDRESS.get(host, host)
        url = f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}/"
        answer = fetch(url)
        if answer.status != 200:
            raise CannotStart(f"{url} answered {answer.status}")
        yield Demo(url, folder, stack, s3, site)


def _listen(host: str, port: int) -> socket.socket:
    # Not left to werkzeug, which ends the process when the port is taken.
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = f"mediamw demo --port {port + 1} or " if port < 65535 else "mediamw demo "
            raise CannotStart(f"port {port} is taken: {other}--port 0") from error
        raise CannotStart(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error


@contextmanager
def _serving(listener: socket.socket, host: str, app: WSGIApplication) -> Iterator[BaseWSGIServer]:
    """Serve with a thread for each request: HTTP/1.1, each connection closed after its answer."""
    server = make_server(host, 0, app, threaded=True, request_handler=_Quiet, fd=listener.fileno())
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="mediamw demo", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    """No line for each request: the page says what was answered."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass
