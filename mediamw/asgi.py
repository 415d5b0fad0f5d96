"""The ASGI entrance: one loop over a plan's parts. What is sent is decided in ``core/plan.py``, not here.

What is in the page cache is opened, read and sent on the event loop: a thread would cost more than that.
What may wait goes to a thread of the stack's pools, and the loop awaits it. asyncio only (uvicorn, granian, hypercorn,
daphne), not trio.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import RLock
from typing import Any, TypeVar, Unpack

from .config import Options, check_app
from .core.errors import ConfigError
from .core.head import Head
from .core.model import REQUEST_HEADERS, Pass
from .reply import PIECE_BYTES, READ_BYTES, Reply
from .service import MediaService, Serves, make_service, prefix_of, without_app
from .settings import settled
from .specs import Spec
from .stack.stack import MediaStack
from .stack.steps import Steps

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
T = TypeVar("T")

log = logging.getLogger("mediamw")

_HEADERS = {name.encode(): name for name in REQUEST_HEADERS}
_HTTP_1_0 = ("1.0", "1")  # the second is granian's


class Entrance:
    """An ASGI app around another: what is the service's it answers, the rest is the app's. ``make`` makes the service.

    Starlette makes its middlewares when the server starts the app, and most servers take an exception at that moment
    for an app without a lifespan: on an event loop the error is logged and kept, and fails the start.
    """

    _fault: ConfigError | None = None

    def __init__(self, app: ASGIApp | None, make: Callable[[], Serves | None]) -> None:
        check_app(app, asgi=True)
        self.app = app
        try:
            self.service = make()
        except ConfigError as error:
            if app is None or not _is_on_a_loop():  # what is alone, or mounted, no framework makes later
                raise
            log.critical("%s", error)
            self.service, self._fault = None, error
        self._prefix = prefix_of(self.service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on whatever else the server has: lifespan, websockets."""
        if scope["type"] == "http" and self._prefix in scope["path"]:
            service = self.service
            request = None if service is None else _request(service, scope, _path(scope))
            if service is not None and request is not None:
                known = service.at_once(*request, waits=False)
                if known is not None:  # here and now: each coroutine more would cost as much as a look at the disk
                    head, body = known
                    await send(_start(head))
                    await send({"type": "http.response.body", "body": body})
                    return
                if await _answered(service, request, scope, receive, send):
                    return
        if self._fault is not None:
            await _fail(self._fault, scope, receive, send)
        elif self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await _send(without_app(scope["method"], _path(scope), self.service), receive, send)


class MediaMiddleware(Entrance):
    """Wraps an ASGI app: GET and HEAD below ``prefix`` are answered from ``backends``, the rest is the app's.

    ``app`` None stands alone. ``backends`` is a ``MediaStack`` or a list of specs and backends; without
    it they and all options are those of the settings (``docs/configuration.md``). Options: ``prefix``,
    ``enabled``, ``on_miss``, ``placeholder``, ``max_age``, ``redirect_max_age``, ``allow_dotfiles``, ``media_types``,
    ``add_headers``, ``authorize``, ``debug``; ``docs/semantics.md`` has each of them. Raises ``ConfigError``.
    """

    service: MediaService | None

    def __init__(
        self, app: ASGIApp | None, backends: MediaStack | Sequence[Spec] | None = None, **options: Unpack[Options]
    ) -> None:
        super().__init__(app, lambda: make_service(app, *settled(backends, options), can_await=True))


_Request = tuple[str, str | None, dict[str, str]]


async def _answered(service: Serves, request: _Request, scope: Scope, receive: Receive, send: Send) -> bool:
    """Answer a request that is the service's; False if it is left to the app."""
    reply = await drive(service.respond(*request, scope, inline=True, needs_length=_needs_length(scope)))
    if isinstance(reply, Reply):
        await _send(reply, receive, send)
    return isinstance(reply, Reply)


def _request(service: Serves, scope: Scope, path: str) -> _Request | None:
    """Return method, name and conditions of a request, None if it is not the service's."""
    method: str = scope["method"]
    if not service.takes(method, path):
        return None
    return method, _decoded(path[len(service.prefix) :], scope), _conditional(scope["headers"])


def _needs_length(scope: Scope) -> bool:
    return scope.get("http_version") in _HTTP_1_0


def asking(
    service: MediaService, scope: Scope, client: object, path: str, *, inline: bool = True
) -> Steps[Reply | Pass] | None:
    """Return the steps that answer a request, None if it is not the service's.

    ``client`` is what ``authorize`` is given, ``path`` that below the mount point; ``inline``: the steps run on a loop.
    """
    request = _request(service, scope, path)
    if request is None:
        return None
    return service.respond(*request, client, inline=inline, needs_length=_needs_length(scope))


class MediaApp(MediaMiddleware):
    """The media alone, to be mounted in an app: ``Mount("/media", MediaApp(["./media", "s3://..."]))``.

    ``backends`` and options are those of ``MediaMiddleware``. The path of the mount is not known here: where code asks
    ``stack.url`` for files of the disk, give a stack with a ``base_url``.
    """

    def __init__(self, backends: MediaStack | Sequence[Spec] | None = None, **options: Unpack[Options]) -> None:
        options.setdefault("prefix", "/")
        super().__init__(None, backends, **options)


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _fail(fault: ConfigError, scope: Scope, receive: Receive, send: Send) -> None:
    """Say that the app cannot start; without a lifespan each request is answered with the fault."""
    if scope["type"] != "lifespan":
        raise fault.with_traceback(None)  # which would grow with each request
    await receive()
    await send({"type": "lifespan.startup.failed", "message": f"mediamw is not set up: {fault}"})


def _path(scope: Scope) -> str:
    """Return the path below the mount point: ``path`` includes ``root_path`` where the server keeps to the standard."""
    path: str = scope["path"]
    root: str = scope.get("root_path") or ""
    if root and path.startswith(root) and (len(path) == len(root) or path[len(root)] == "/"):
        return path[len(root) :]
    return path


def _decoded(name: str, scope: Scope) -> str | None:
    """None if the path was not UTF-8: servers put U+FFFD in the place of such bytes, and then the raw path tells."""
    if "\ufffd" not in name:
        return name
    from urllib.parse import unquote_to_bytes

    try:
        unquote_to_bytes(scope.get("raw_path") or b"%FF").decode()
    except UnicodeError:
        return None
    return name


def _conditional(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw, value in headers:
        name = _HEADERS.get(raw)
        if name is not None:
            text = value.decode("latin-1")
            found[name] = f"{found[name]}, {text}" if name in found else text
    return found


async def drive(steps: Steps[T]) -> T:
    """Run ``steps`` to their end; what they wait for is awaited."""
    try:
        wait = next(steps)
        while True:
            try:
                value = await _result(wait.future, wait.seconds)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the steps
                wait = steps.throw(error)
            else:
                wait = steps.send(value)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def _result(future: Future[T] | Awaitable[T], seconds: float | None) -> T:
    """Await it. A thread's future is never cancelled: if this client leaves, others may wait for the same answer.

    Not ``asyncio.wrap_future``, which cancels, or under ``shield`` complains of failures that nobody waited for.
    """
    if not isinstance(future, Future):
        return await asyncio.wait_for(future, seconds)
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    def landed(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(landed)
    await asyncio.wait_for(done, seconds)
    return future.result()


async def _send(reply: Reply, receive: Receive, send: Send) -> None:
    if reply.data is not None:
        await _send_whole(reply.head, reply.data, send)
        return
    gone = asyncio.ensure_future(_disconnected(receive))
    pieces = Pieces(reply)
    try:
        await send(_start(reply.head))
        while not gone.done():
            piece = await anext(pieces, b"")
            if not piece:
                await send({"type": "http.response.body", "body": b""})
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except OSError:
        # What a server raises from send once the client is gone (ASGI 2.4): nobody is there to be told.
        if not gone.done():
            raise
    finally:
        gone.cancel()
        pieces.close()


class Pieces:
    """The body of a large reply, from the page cache on the loop and else on threads: a hop to one costs more than to
    read and send a piece. Whoever takes it closes it, at any moment and from any thread.

    Read to its end, or broken off, it closes itself: not everybody who takes it gets as far as that (Django's handler).
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._pieces = reply.stream(READ_BYTES)
        self._reading: Future[bytes] | None = None
        self._lock = RLock()  # held while the loop reads, which is quick

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        try:
            with self._lock:
                piece = self._pieces.now(PIECE_BYTES)
            if piece is not None:
                await asyncio.sleep(0)  # a turn for the others: ``send`` gives none while a client keeps up
            else:
                if (arrival := self._reply.arrival()) is not None:
                    await _result(arrival, None)
                with self._lock:
                    self._reading = self._reply.pool.submit(next, self._pieces, b"")
                piece = await _result(self._reading, None)
            if piece:
                return piece
        except BaseException:
            self.close()
            raise
        self.close()
        raise StopAsyncIteration

    def close(self) -> None:
        """Close the file; what is read at this moment must not find it closed, or another in its place."""
        with self._lock:
            reading = self._reading
            if reading is None or reading.done() or reading.cancel():
                self._close()
            else:
                reading.add_done_callback(self._close)

    def _close(self, _: object = None) -> None:
        with self._lock:
            self._pieces.close()
            self._reply.close()


async def _send_whole(head: Head, body: bytes, send: Send) -> None:
    await send(_start(head))
    await send({"type": "http.response.body", "body": body})


def _start(head: Head) -> Message:
    return {"type": "http.response.start", "status": head.plan.status, "headers": list(head.raw_headers)}


async def _disconnected(receive: Receive) -> None:
    """Return when the client has left; uvicorn tells nobody who only sends."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    """Stand in for the app that is not there."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
