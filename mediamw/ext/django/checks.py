"""System checks: what is wrong with the settings, and what is right but will surprise. None of them asks a network.

The ids stay what they are, since projects silence them. Those of errors in the settings themselves are
``settings/faults.py``'s; ``docs/django.md`` has the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.utils.module_loading import import_string

from ...backends.base import Puts
from ...backends.local import LocalBackend
from ...backends.s3 import S3Backend
from ...core.errors import ConfigErrors, Fault
from ...settings.reading import DEFAULT
from . import conf
from .storages import bucket_of

MIDDLEWARE: Final = "mediamw.ext.django.MediaMiddleware"
IDS: Final = {
    "mediamw.E101": "STATIC_URL and the prefix lie one in the other",
    "mediamw.W001": "MEDIA_URL leads elsewhere than to the prefix",
    "mediamw.W002": "MEDIA_URL is on another host, which this project does not answer for",
    "mediamw.W003": "the first backend cannot be written to: uploads are shown by nobody",
    "mediamw.W004": "the first backend is not MEDIA_ROOT: uploads are shown by nobody",
    "mediamw.W005": "`authorize` is asked before there is a `request.user`",
    "mediamw.W006": "STORAGES['default'] writes to a bucket that media are read from",
    "mediamw.W007": "DEBUG is off, and nobody asked for mediamw",
    "mediamw.W008": "nothing answers: the middleware is not in MIDDLEWARE, and no wsgi.py or asgi.py wraps",
    "mediamw.W009": "the middleware is there, and the app is not in INSTALLED_APPS (logged at start, not a check)",
    "mediamw.W010": "a middleware that changes answers stands before MediaMiddleware",
}
_AUTHENTICATES: Final = "django.contrib.auth.middleware.AuthenticationMiddleware"
_CHANGING: Final = {
    "django.middleware.gzip.GZipMiddleware": "compresses parts of files",
    "django.middleware.http.ConditionalGetMiddleware": "decides conditions anew",
    "django.middleware.common.CommonMiddleware": "adds lengths, and redirects what is missing to names with a slash",
}


def check_settings(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Return all that is wrong, or may be."""
    found = conf.configuration()
    try:
        if not found.enabled:
            return []
    except ConfigErrors as error:
        return [_of_fault(fault) for fault in error.faults]
    of_settings = [_of_fault(fault) for fault in found.faults]
    prefix = found.settings.value("prefix")
    rest = [*_urls(prefix), *_debug(found), *_order(found)]
    if not of_settings:
        rest += _backends(found)
    return [*of_settings, *rest]


def _of_fault(fault: Fault) -> CheckMessage:
    reason = fault.reason.replace("\n", "; ")
    hint = f"It comes from {fault.source}; docs/configuration.md has every setting."
    return Error(f"{fault.setting}: {reason}", hint=hint, id=fault.id)


def _warning(number: str, text: str, hint: str) -> CheckMessage:
    return CheckWarning(text, hint=hint, id=f"mediamw.{number}")


def _urls(prefix: str) -> Iterator[CheckMessage]:
    path = conf.media_path()
    host = urlsplit(settings.MEDIA_URL or "").netloc
    if host:
        text = f"MEDIA_URL leads to {host}: pages ask that host for their media, and not this project."
        yield _warning("W002", text, f"Set MEDIA_URL = {prefix!r} where mediamw answers.")
    elif path != "/" and not path.endswith(prefix):  # it may hold the path that the project is mounted at
        text = f"MEDIA_URL is {settings.MEDIA_URL!r}, the prefix {prefix!r}: what pages ask for is not answered."
        yield _warning("W001", text, "Make them the same; without a prefix in MEDIAMW it is that of MEDIA_URL.")
    static = urlsplit(settings.STATIC_URL or "").path if not urlsplit(settings.STATIC_URL or "").netloc else ""
    if len(static) > 1 and (static.startswith(prefix) or prefix.startswith(static)) and prefix != "/":
        text = f"STATIC_URL {static!r} and the prefix {prefix!r} lie one in the other: one hides the other's files."
        yield Error(text, hint="Give each a path of its own, such as /static/ and /media/.", id="mediamw.E101")


def _debug(found: conf.Configuration) -> Iterator[CheckMessage]:
    if not settings.DEBUG and found.settings.source("enabled") == DEFAULT:
        text = "DEBUG is off, which it mostly is in production, and mediamw is on by default."
        hint = "Set MEDIAMW['enabled'] or MEDIAMW_ENABLED: 1 where it is wanted, 0 in production."
        yield _warning("W007", text, hint)


def _order(found: conf.Configuration) -> Iterator[CheckMessage]:
    names = list(settings.MIDDLEWARE)
    ours = next((at for at, name in enumerate(names) if _is_ours(name)), None)
    if ours is None:
        if not _is_wrapped():
            text = "MediaMiddleware is not in MIDDLEWARE, and neither wsgi.py nor asgi.py speaks of mediamw."
            yield _warning("W008", text, f"Put {MIDDLEWARE!r} first in MIDDLEWARE, or wrap the application.")
        return
    for name in names[:ours]:
        if name in _CHANGING:
            text = f"{name} stands before MediaMiddleware, so it changes its answers: it {_CHANGING[name]}."
            yield _warning("W010", text, "Put MediaMiddleware before it.")
    if found.settings.value("authorize") is not None and _AUTHENTICATES in names[ours:]:
        text = "authorize is asked before AuthenticationMiddleware has run: request.user is not there, all are refused."
        hint = "Put MediaMiddleware right behind it; if authorize asks for no user, silence this check."
        yield _warning("W005", text, hint)


def _is_ours(name: str) -> bool:
    if name == MIDDLEWARE:
        return True
    try:
        from .middleware import MediaMiddleware

        made = import_string(name)
    except ImportError:  # Django tells of it
        return False
    return isinstance(made, type) and issubclass(made, MediaMiddleware)


def _is_wrapped() -> bool:
    """Say whether wsgi.py or asgi.py speaks of mediamw. They are read, not imported: that would start the project."""
    wsgi = (settings.WSGI_APPLICATION or "").rpartition(".")[0]
    asgi = (getattr(settings, "ASGI_APPLICATION", None) or "").rpartition(".")[0]
    for module in {wsgi, asgi, wsgi.removesuffix("wsgi") + "asgi"} - {"", "asgi"}:
        try:
            spec = find_spec(module)
            if spec is not None and spec.origin and "mediamw" in Path(spec.origin).read_text("utf-8"):
                return True
        except (ImportError, OSError, UnicodeError, ValueError):
            continue
    return False


def _backends(found: conf.Configuration) -> Iterator[CheckMessage]:
    backends = found.stack.backends
    upper = backends[0]
    if not isinstance(upper, Puts):
        text = f"The first backend, {upper.name!r}, cannot be written to: what is uploaded is shown by nobody."
        yield _warning("W003", text, "Put MEDIA_ROOT first in MEDIAMW['backends'].")
    elif isinstance(upper, LocalBackend) and settings.MEDIA_ROOT and not _same(upper.root, settings.MEDIA_ROOT):
        text = f"The first backend is {upper.root}, uploads go to MEDIA_ROOT, {settings.MEDIA_ROOT}: nobody shows them."
        yield _warning("W004", text, "Put MEDIA_ROOT first in MEDIAMW['backends'].")
    bucket = bucket_of("default") if "default" in settings.STORAGES else None
    for backend in backends:
        if bucket and isinstance(backend, S3Backend) and backend.bucket == bucket:
            text = f"STORAGES['default'] writes to {bucket}, the bucket of backend {backend.name!r}: uploads change it."
            hint = (
                "Where mediamw answers, give STORAGES['default'] FileSystemStorage, and call the bucket's entry "
                "'production'."
            )
            yield _warning("W006", text, hint)


def _same(one: str, other: Any) -> bool:
    return os.path.realpath(one) == os.path.realpath(os.path.expanduser(str(other)))
