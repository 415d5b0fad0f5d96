"""The contenders: ours, the peers, and bare apps that say what the server itself can do.

Each wraps the same app, which answers everything but media. A contender whose package is not installed is left out, and
that is said. ``served.py`` makes one of them in the process of a server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from benchmarks.setting import BUCKET, KEYS, Media

HELLO = b"hello"
TYPE = "image/jpeg"


# -- what is wrapped, and what is bare ---------------------------------------------------------------------------------


def app_wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    """What a project has besides media."""
    status = "404 Not Found" if environ["PATH_INFO"].startswith("/media/") else "200 OK"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [HELLO]


async def app_asgi(scope: Any, receive: Any, send: Any) -> None:
    """What a project has besides media."""
    if scope["type"] == "http":
        status = 404 if scope["path"].startswith("/media/") else 200
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": HELLO})


def _bare_wsgi(media: Media) -> Any:
    image = (media.root / "small.jpg").read_bytes()
    headers = [("Content-Type", TYPE), ("Content-Length", str(len(image)))]

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith("/media/"):
            return app_wsgi(environ, start_response)
        start_response("200 OK", headers)
        return [image]

    return app


def _bare_asgi(media: Media) -> Any:
    image = (media.root / "small.jpg").read_bytes()
    headers = [(b"content-type", TYPE.encode()), (b"content-length", str(len(image)).encode())]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/media/"):
            return await app_asgi(scope, receive, send)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": image})
        return None

    return app


# -- files of the disk -------------------------------------------------------------------------------------------------


def _ours_wsgi(media: Media) -> Any:
    from mediamw.wsgi import MediaMiddleware

    return MediaMiddleware(app_wsgi, [str(media.root)])


def _ours_asgi(media: Media) -> Any:
    from mediamw.asgi import MediaMiddleware

    return MediaMiddleware(app_asgi, [str(media.root)])


def _forgetful(make: Callable[[Media], Any]) -> Callable[[Media], Any]:
    """Return what makes ours without what it keeps of files that it was asked for."""

    def made(media: Media) -> Any:
        app = make(media)
        app.service._kept = None
        return app

    return made


def _whitenoise(media: Media, *, autorefresh: bool = False) -> Any:
    from whitenoise import WhiteNoise

    return WhiteNoise(app_wsgi, root=str(media.root), prefix="media/", autorefresh=autorefresh)


def _whitenoise_autorefresh(media: Media) -> Any:
    return _whitenoise(media, autorefresh=True)


def _werkzeug(media: Media) -> Any:
    from werkzeug.middleware.shared_data import SharedDataMiddleware

    return SharedDataMiddleware(app_wsgi, {"/media": str(media.root)})


def _depot(media: Media) -> Any:
    from depot.manager import DepotManager
    from depot.middleware import DepotMiddleware

    name = media.folder.name  # DEPOT's names are the process's, and a folder is not used twice
    if DepotManager.get(name) is None:
        DepotManager.configure(name, {"depot.storage_path": str(media.depot)})
    return DepotMiddleware(app_wsgi, mountpoint="/media")


def _starlette(media: Media) -> Any:
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    return Starlette(routes=[Mount("/media", StaticFiles(directory=media.root)), Mount("/", app_asgi)])


def _servestatic(media: Media) -> Any:
    from servestatic import ServeStaticASGI

    return ServeStaticASGI(app_asgi, root=str(media.root), prefix="media/")


# -- redirects to a bucket ---------------------------------------------------------------------------------------------


def our_stack(origin: str, media: Media, **options: Any) -> Any:
    """Return local files over a bucket at ``origin``; ``options`` are those of the stack."""
    from mediamw import LocalBackend, MediaStack

    # The budget for misses is a shield, and not what is measured.
    options = {"misses_a_minute": 1_000_000, **options}
    return MediaStack([LocalBackend(str(media.root)), our_bucket(origin)], **options)


def our_bucket(origin: str) -> Any:
    """Return the bucket at ``origin``."""
    from mediamw import S3Backend

    return S3Backend(BUCKET, endpoint_url=origin, name="prod", proxies={}, **KEYS)


def boto3_client(origin: str | None = None, connections: int = 10) -> Any:
    """Return a client that signs as ours does: version 4, for the regional host."""
    import boto3
    from botocore.config import Config

    style = {"addressing_style": "path" if origin else "virtual"}
    config = Config(signature_version="s3v4", s3=style, proxies={}, max_pool_connections=connections)
    keys = {f"aws_{name}": text for name, text in KEYS.items()}
    return boto3.client("s3", region_name="us-east-1", endpoint_url=origin, config=config, **keys)


def presigned(client: Any, key: str) -> str:
    """Return boto3's URL."""
    url: str = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=3600)
    return url


def _origin() -> str:
    return os.environ["BENCH_ORIGIN"]


def _bucket_wsgi(media: Media) -> Any:
    from mediamw.wsgi import MediaMiddleware

    return MediaMiddleware(app_wsgi, our_stack(_origin(), media))


def _bucket_asgi(media: Media) -> Any:
    from mediamw.asgi import MediaMiddleware

    return MediaMiddleware(app_asgi, our_stack(_origin(), media))


def _redirecting_wsgi(media: Media) -> Any:
    headers = [("Location", presigned(boto3_client(_origin()), "a.jpg")), ("Content-Length", "0")]

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("302 Found", headers)
        return []

    return app


def _redirecting_asgi(media: Media, *more: tuple[bytes, bytes]) -> Any:
    headers = [(b"location", presigned(boto3_client(_origin()), "a.jpg").encode()), (b"content-length", b"0"), *more]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 302, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

    return app


def _redirecting_with_care(media: Media) -> Any:
    """The same, with the headers that keep a signed URL to the client that asked for it."""
    return _redirecting_asgi(
        media,
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    )


def _flask_boto3(media: Media) -> Any:
    from flask import Flask, redirect

    client, app = boto3_client(_origin()), Flask(__name__)
    app.add_url_rule("/media/<path:key>", view_func=lambda key: redirect(presigned(client, key)), endpoint="media")
    return app


def _starlette_boto3(media: Media) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import RedirectResponse
    from starlette.routing import Route

    client = boto3_client(_origin())

    async def media_route(request: Any) -> Any:
        return RedirectResponse(presigned(client, request.path_params["key"]), 302)

    return Starlette(routes=[Route("/media/{key:path}", media_route)])


# -- the list ----------------------------------------------------------------------------------------------------------


def _plain_url(media: Media, name: str) -> str:
    return f"/media/{name}"


def _depot_url(media: Media, name: str) -> str:
    return f"/media/{media.folder.name}/{media.depot_ids().get(name, name)}"


@dataclass(frozen=True)
class Contender:
    """How to make an app, and where it has a file. ``needs``: the module, ``package``: what to install for it."""

    make: Callable[[Media], Any]
    needs: str = "mediamw"
    package: str = "mediamw"
    url: Callable[[Media, str], str] = _plain_url
    is_bare: bool = False  # has one small file in memory, and nothing else

    @property
    def is_installed(self) -> bool:
        return find_spec(self.needs) is not None


FILES: Mapping[str, Mapping[str, Contender]] = {
    "wsgi": {
        "bare app": Contender(_bare_wsgi, is_bare=True),
        "mediamw": Contender(_ours_wsgi),
        "WhiteNoise, indexed": Contender(_whitenoise, "whitenoise", "whitenoise"),
        "WhiteNoise, autorefresh": Contender(_whitenoise_autorefresh, "whitenoise", "whitenoise"),
        "Werkzeug SharedDataMiddleware": Contender(_werkzeug),
        "DEPOT": Contender(_depot, "depot", "filedepot", _depot_url),
    },
    "asgi": {
        "bare app": Contender(_bare_asgi, is_bare=True),
        "mediamw": Contender(_ours_asgi),
        "Starlette StaticFiles": Contender(_starlette),
        "ServeStatic, indexed": Contender(_servestatic, "servestatic", "servestatic"),
    },
}
ANEW: Mapping[str, Mapping[str, Contender]] = {
    "wsgi": {"mediamw, each time anew": Contender(_forgetful(_ours_wsgi))},
    "asgi": {"mediamw, each time anew": Contender(_forgetful(_ours_asgi))},
}
REDIRECTS: Mapping[str, Mapping[str, Contender]] = {
    "wsgi": {
        "bare 302": Contender(_redirecting_wsgi),
        "mediamw": Contender(_bucket_wsgi),
        "Flask and boto3": Contender(_flask_boto3, "flask", "flask"),
    },
    "asgi": {
        "bare 302": Contender(_redirecting_asgi),
        "bare 302, with mediamw's headers": Contender(_redirecting_with_care),
        "mediamw": Contender(_bucket_asgi),
        "Starlette and boto3": Contender(_starlette_boto3),
    },
}
LISTS = {"files": FILES, "redirects": REDIRECTS}


@cache
def say_missing(package: str) -> None:
    """Say that a peer is not measured, once."""
    print(f"{package} is not installed and left out: pip install 'mediamw[bench]'", flush=True)


def installed(contenders: Mapping[str, Contender], *names: str) -> dict[str, Contender]:
    """Return those that can run, of ``names`` if there are any; say of each package that is missing, once."""
    found = {}
    for name, contender in contenders.items():
        if names and name not in names:
            continue
        if contender.is_installed:
            found[name] = contender
        else:
            say_missing(contender.package)
    return found
