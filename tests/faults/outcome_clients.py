"""Clients of a middleware in process, that read to the end and say what they got; and the app behind it."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mediamw import MediaStack, asgi, wsgi

from ..http_table.callers import environ

APP_STATUS = 299
"""What the app answers, so that it is never mistaken for us."""

HANG_SECONDS = 20.0


@dataclass
class Answer:
    """``error``: what the middleware raised amid the body, for the server to break the connection off."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: BaseException | None = None
    seconds: float = 0.0

    @property
    def outcome(self) -> str:
        """``broken``, or the status; a body that ends early without an error is ``SHORT``."""
        if self.error is not None:
            return "broken"
        length = self.headers.get("content-length")
        if length is not None and int(length) != len(self.body):
            return "SHORT"
        return str(self.status)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


OnBytes = Callable[[int], None]


def wsgi_app(_: Any, start_response: Any) -> Iterable[bytes]:
    start_response(f"{APP_STATUS} The App", [("Content-Type", "text/plain")])
    return [b"the app"]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": APP_STATUS, "headers": []})
    await send({"type": "http.response.body", "body": b"the app"})


def _by_wsgi(stack: MediaStack, target: str, headers: Any, on_bytes: OnBytes) -> Answer:
    got = Answer()

    def start_response(status: str, sent: Any, exc_info: Any = None) -> None:
        got.status, got.headers = int(status[:3]), {name.lower(): value for name, value in sent}

    result: Any = wsgi.MediaMiddleware(wsgi_app, stack)(environ("GET", target, headers), start_response)
    pieces: list[bytes] = []
    try:
        for piece in result:
            pieces.append(piece)
            on_bytes(sum(map(len, pieces)))
    except Exception as error:  # noqa: BLE001 - the server would break off whatever it is
        got.error = error
    finally:
        if hasattr(result, "close"):
            result.close()
    got.body = b"".join(pieces)
    return got


def _by_asgi(stack: MediaStack, target: str, headers: Any, on_bytes: OnBytes) -> Answer:
    got, pieces, ended = Answer(), [], False

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        nonlocal ended
        if message["type"] == "http.response.start":
            got.status = message["status"]
            got.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
            return
        pieces.append(message.get("body", b""))
        ended = not message.get("more_body", False)
        on_bytes(sum(map(len, pieces)))

    path, scope = target, {"type": "http", "http_version": "1.1", "method": "GET", "root_path": ""}
    scope |= {"path": path, "raw_path": path.encode()}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers]
    try:
        asyncio.run(asgi.MediaMiddleware(asgi_app, stack)(scope, receive, send))
    except Exception as error:
        if not got.status:  # before the answer started: that would be a 500 of the server
            raise
        got.error = error
    assert ended or got.error is not None, "neither an end nor an error: the server would wait for ever"
    got.body = b"".join(pieces)
    return got


CLIENTS = {"wsgi": _by_wsgi, "asgi": _by_asgi}


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what ``call`` returns, in a thread that may be left behind if it hangs."""
    done: list[Any] = []

    def run() -> None:
        try:
            done.append((call(), None))
        except BaseException as error:  # noqa: BLE001 - raised below
            done.append((None, error))

    thread = threading.Thread(target=run, daemon=True, name="a client of a test")
    thread.start()
    thread.join(seconds)
    assert done, f"it hangs: no end within {seconds:g} s"
    value, error = done[0]
    if error is not None:
        raise error
    return value
