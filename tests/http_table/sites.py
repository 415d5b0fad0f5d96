"""The middlewares under test: one site for each choice of backends and options, made for WSGI and for ASGI alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from mediamw import asgi, wsgi
from mediamw.backends.base import Backend, Remote, SignedURL
from mediamw.backends.local import LocalBackend
from mediamw.backends.memory import MemoryBackend
from mediamw.backends.rules import Rules
from mediamw.core.errors import BackendUnavailable, ContentChanged
from mediamw.core.keys import Key
from mediamw.core.model import Meta

from .files import FILES, mtime_ns

# A backend with the files of the table, under the name that is given.
Files = Callable[[str], Backend]


class Bucket:
    """Has one file, far away, and signs URLs that live for ``life`` seconds (None: for good)."""

    def __init__(self, life: int | None) -> None:
        self.name = "bucket"
        self._life = life

    def open(self, key: Key) -> Remote | None:
        """Say that the file is there."""
        return Remote(Meta(7, etag='"far"')) if key == "far.jpg" else None

    def can_sign(self, now: float) -> bool:
        """It always can."""
        return True

    def prepare(self) -> None:
        """Nothing to fetch."""

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        """Make a URL that shows what was signed."""
        url = f"https://bucket.example/{key}?method={method}&signature=abc"
        return SignedURL(url, None if self._life is None else now + self._life)


class Proxied:
    """Has the files of another backend, far away: they are fetched by ranges of one version, in small pieces."""

    rules = Rules(delivery="proxy")

    def __init__(self, files: Backend) -> None:
        self.name = "proxied"
        self._files = files

    def open(self, key: Key) -> Remote | None:
        """Say what is known of the file."""
        handle: Any = self._files.open(key)
        if handle is None:
            return None
        handle.close()
        return Remote(handle.meta)

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        """Yield a part of the version."""
        handle: Any = self._files.open(key)
        try:
            if handle is None or handle.meta.etag != etag:
                raise ContentChanged("another version", backend=self.name)
            for at in range(start, stop, 10_000):
                yield from handle.chunks(at, min(at + 10_000, stop))
        finally:
            handle.close()


class Raising:
    """A backend that only fails."""

    def __init__(self, error: Exception) -> None:
        self.name = "failing"
        self._error = error

    def open(self, key: Key) -> None:
        """Fail."""
        raise self._error


@dataclass(frozen=True)
class Site:
    """Backends, options, and whether an app is wrapped."""

    backends: Callable[[Files], list[Backend]] = lambda files: [files("files")]
    options: Mapping[str, Any] = field(default_factory=dict)
    app: bool = True


def _down() -> Raising:
    return Raising(BackendUnavailable("no answer", backend="failing", retry_after=7))


def _bucket(life: int | None, **options: Any) -> Site:
    return Site(lambda files: [files("files"), Bucket(life)], options)


def _authorizing(verdict: Any, **options: Any) -> Site:
    authorize = {"authorize": lambda request, key: verdict}
    return Site(lambda files: [files("files"), Bucket(3600)], {**authorize, **options})


def _adding(headers: Mapping[str, Any]) -> Site:
    return Site(options={"add_headers": lambda key, status: headers})


def _by_key(key: str, status: int) -> dict[str, str]:
    extra = {"Cache-Control": "public, max-age=9"} if key == "large.bin" else {}
    return {"X-Key": key, "X-Status": str(status), **extra}


def _raising(key: str, status: int) -> dict[str, str]:
    raise RuntimeError(f"add_headers was asked for {key} and {status}")


PLACEHOLDER = Path(__file__).with_name("placeholder.gif")

SITES: dict[str, Callable[[], Site]] = {
    "plain": Site,
    "alone": lambda: Site(app=False),
    "disabled": lambda: Site(options={"enabled": False}),
    "disabled-alone": lambda: Site(options={"enabled": False}, app=False),
    "prefix": lambda: Site(options={"prefix": "/a/b/"}),
    "miss-404": lambda: Site(options={"on_miss": "404"}),
    "placeholder": lambda: Site(options={"on_miss": "placeholder"}),
    "placeholder-own": lambda: Site(options={"on_miss": "placeholder", "placeholder": PLACEHOLDER}),
    "max-age": lambda: Site(options={"max_age": 3600}),
    "max-age-0": lambda: Site(options={"max_age": 0}),
    "media-types": lambda: Site(options={"media_types": {".unknown": "model/thing", ".JPG": "image/pjpeg"}}),
    "dotfiles": lambda: Site(options={"allow_dotfiles": [".thumbs/"]}),
    "debug": lambda: Site(
        lambda files: [files("upper"), MemoryBackend({"lower-only.jpg": b"in the lower\n"}, name="lower_one")],
        {"debug": True},
    ),
    "redirect": lambda: _bucket(3600),
    "redirect-600": lambda: _bucket(3600, redirect_max_age=600),
    "redirect-long": lambda: _bucket(3600, redirect_max_age=86_400),
    "redirect-dying": lambda: _bucket(1, redirect_max_age=600),
    "redirect-public": lambda: _bucket(None, redirect_max_age=600),
    "redirect-public-unstored": lambda: _bucket(None),
    "proxy": lambda: Site(lambda files: [MemoryBackend(name="upper"), Proxied(files("files"))]),
    "proxy-debug": lambda: Site(lambda files: [MemoryBackend(name="upper"), Proxied(files("files"))], {"debug": True}),
    "authorize-true": lambda: _authorizing(True),
    "authorize-403": lambda: _authorizing(403),
    "authorize-404": lambda: _authorizing(404),
    "authorize-none": lambda: _authorizing(None),
    "authorize-403-placeholder": lambda: _authorizing(403, on_miss="placeholder"),
    "authorize-403-adding": lambda: _authorizing(403, add_headers=_by_key),
    "down": lambda: Site(lambda files: [_down(), files("files")]),
    "lower-down": lambda: Site(lambda files: [files("files"), _down()]),
    "broken": lambda: Site(lambda files: [Raising(RuntimeError("a mistake in a backend"))]),
    "add-headers": lambda: Site(options={"add_headers": _by_key}),
    "add-content-length": lambda: _adding({"X-More": "1", "content-length": "1"}),
    "add-transfer-encoding": lambda: _adding({"X-More": "1", "Transfer-Encoding": "chunked"}),
    "add-connection": lambda: _adding({"X-More": "1", "Connection": "close"}),
    "add-etag": lambda: _adding({"X-More": "1", "ETag": '"x"'}),
    "add-last-modified": lambda: _adding({"X-More": "1", "last-modified": "now"}),
    "add-location": lambda: _adding({"X-More": "1", "LOCATION": "/"}),
    "add-content-type": lambda: _adding({"X-More": "1", "Content-Type": "text/html"}),
    "add-nosniff": lambda: _adding({"X-More": "1", "X-Content-Type-Options": ""}),
    "add-newline": lambda: _adding({"X-More": "1\r\nSet-Cookie: a=b"}),
    "add-name": lambda: _adding({"X-More:": "1"}),
    "add-unicode": lambda: _adding({"X-More": "€"}),
    "add-number": lambda: _adding({"X-More": 1}),
    "add-raises": lambda: Site(options={"add_headers": _raising}),
}


def local_files(root: Path) -> Files:
    """Return a maker of backends on a folder."""
    return lambda name: LocalBackend(root, name=name)


def memory_files(name: str) -> MemoryBackend:
    """Make a backend on a dict, its files as old as those of the folder."""
    backend = MemoryBackend(name=name)
    for key, data in FILES.items():
        with mock.patch("time.time_ns", return_value=mtime_ns(key)):
            backend.put(Key(key), data)
    return backend


def wrapped_wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer as an app does that takes everything."""
    body = f"app: {environ['REQUEST_METHOD']}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("X-App", "yes")])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


async def wrapped_asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer as ``wrapped_wsgi`` does."""
    if scope["type"] != "http":
        return
    body = f"app: {scope['method']}\n".encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode()), (b"x-app", b"yes")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def make_wsgi(name: str, files: Files) -> wsgi.MediaMiddleware:
    """Make the WSGI middleware of a site."""
    site = SITES[name]()
    return wsgi.MediaMiddleware(wrapped_wsgi if site.app else None, site.backends(files), **site.options)


def make_asgi(name: str, files: Files) -> asgi.MediaMiddleware:
    """Make the ASGI middleware of a site."""
    site = SITES[name]()
    return asgi.MediaMiddleware(wrapped_asgi if site.app else None, site.backends(files), **site.options)
