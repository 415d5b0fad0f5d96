"""System checks: what is wrong with the settings, and what is right but will surprise. None of them asks a network.

The ids stay what they are, since projects silence them. Those of errors in the settings themselves are
``settings/faults.py``'s; ``docs/django.md`` has the others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.utils.module_loading import import_string

from ...backends.base import Backend, Puts
from ...backends.local import LocalBackend
from ...backends.s3 import S3Backend
from ...core.errors import ConfigError, ConfigErrors, Fault
from ...settings.reading import DEFAULT
from ...settings.template import NOT_SET
from . import conf
from .storages import stack_storage, writes_to

MIDDLEWARE: Final = "mediamw.ext.django.MediaMiddleware"
IDS: Final = {
    "mediamw.E101": "STATIC_URL and the prefix lie one in the other",
    "mediamw.E102": "FALLBACK_STORAGES is missing, or wrong",
    "mediamw.E103": "STORAGES['default'] is ours, and cannot be made of its OPTIONS",
    "mediamw.W001": "MEDIA_URL leads elsewhere than to the prefix",
    "mediamw.W002": "MEDIA_URL is on another host, which this project does not answer for",
    "mediamw.W003": "the first backend cannot be written to: uploads fail, or are shown by nobody",
    "mediamw.W004": "uploads go elsewhere than to the first backend: they are shown by nobody",
    "mediamw.W005": "`authorize` is asked before there is a `request.user`",
    "mediamw.W006": "STORAGES['default'] writes to a bucket that media are read from",
    "mediamw.W007": "DEBUG is off, and nobody asked for mediamw",
    "mediamw.W008": "nothing answers: the middleware is not in MIDDLEWARE, and no wsgi.py or asgi.py wraps",
    "mediamw.W009": "the middleware is there, and the app is not in INSTALLED_APPS (logged at start, not a check)",
    "mediamw.W010": "a middleware that changes answers stands before MediaMiddleware",
    "mediamw.W011": "media are answered twice: in MIDDLEWARE twice, or there and by wrap",
}
_AUTHENTICATES: Final = "django.contrib.auth.middleware.AuthenticationMiddleware"
_CHANGING: Final = {
    "django.middleware.http.ConditionalGetMiddleware": "decides conditions anew",
    "django.middleware.common.CommonMiddleware": "redirects what is missing to names with a slash",
    "django.middleware.locale.LocaleMiddleware": "redirects what is missing to names with a language",
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
    rest = [*_urls(found.settings.value("prefix")), *_debug(found), *_order(found)]
    if not of_settings:
        rest += [*_upper(found), *_written(found)]
    return [*of_settings, *rest]


def _of_fault(fault: Fault) -> CheckMessage:
    reason = fault.reason.replace("\n", "; ")
    source = "It is not set" if fault.source == NOT_SET else f"It comes from {fault.source}"
    hint = f"{source}; docs/configuration.md has every setting."
    return Error(f"{fault.setting}: {reason}", hint=hint, id=fault.id)


def _warning(number: str, text: str, hint: str) -> CheckMessage:
    return CheckWarning(text, hint=hint, id=f"mediamw.{number}")


def _urls(prefix: str) -> Iterator[CheckMessage]:
    if prefix == "/":  # an error already
        return
    path, host = conf.path_of("MEDIA_URL"), _host_of(settings.MEDIA_URL)
    if host:
        text = f"MEDIA_URL leads to {host}: pages ask that host for their media, and not this project."
        yield _warning("W002", text, f"Set MEDIA_URL = {prefix!r} where mediamw answers.")
    elif not path.endswith(prefix):  # before it may stand the path that a server mounts the project at
        text = f"MEDIA_URL leads to {path!r}, the prefix is {prefix!r}: what pages ask for is not answered."
        yield _warning("W001", text, "Make them the same; without a prefix in MEDIAMW it is that of MEDIA_URL.")
    static = "/" if _host_of(settings.STATIC_URL) else conf.path_of("STATIC_URL")
    if static != "/" and (static.startswith(prefix) or prefix.startswith(static)):
        text = f"STATIC_URL {static!r} and the prefix {prefix!r} lie one in the other: one hides the other's files."
        yield Error(text, hint="Give each a path of its own, such as /static/ and /media/.", id="mediamw.E101")


def _host_of(url: str | None) -> str:
    try:
        return urlsplit(url or "").netloc
    except ValueError:
        return ""


def _debug(found: conf.Configuration) -> Iterator[CheckMessage]:
    if not _is_debug() and found.settings.source("enabled") == DEFAULT:
        text = "DEBUG is off, which it mostly is in production, and mediamw is on by default."
        hint = "Set MEDIAMW['enabled'] or MEDIAMW_ENABLED: 1 where it is wanted, 0 in production."
        yield _warning("W007", text, hint)


def _is_debug() -> bool:
    """Say what DEBUG is in the settings: Django's test runner takes it back, and runs the checks then."""
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return bool(getattr(getattr(state, "saved_data", None), "debug", settings.DEBUG))


def _order(found: conf.Configuration) -> Iterator[CheckMessage]:
    names = list(settings.MIDDLEWARE)
    asks = found.settings.value("authorize") is not None
    ours, is_wrapped = _first(names, MIDDLEWARE), _is_wrapped()
    if ours is None:
        if not is_wrapped:
            text = "MediaMiddleware is not in MIDDLEWARE, and neither wsgi.py nor asgi.py speaks of mediamw."
            hint = f"Put {MIDDLEWARE!r} first in MIDDLEWARE, or wrap the application."
            other = next((name for name in names if name.startswith("mediamw.")), None)
            yield _warning("W008", text, hint if other is None else f"Write {MIDDLEWARE!r} in the place of {other!r}.")
        elif asks and _first(names, _AUTHENTICATES) is not None:
            text = "authorize is asked in front of Django, by wrap: request.user is not there."
            hint = f"Put {MIDDLEWARE!r} behind AuthenticationMiddleware; if authorize needs no user, silence this."
            yield _warning("W005", text, hint)
        return
    if is_wrapped or _first(names[ours + 1 :], MIDDLEWARE) is not None:
        again = "wsgi.py or asgi.py, which speaks of mediamw, answers before it" if is_wrapped else "it is there again"
        text = (
            f"MediaMiddleware is in MIDDLEWARE, and {again}: what is missing is looked up, and authorize asked, twice."
        )
        yield _warning("W011", text, "Leave one of them out; where authorize needs request.user, the wrap.")
    for changing, does in _CHANGING.items():
        if _first(names[:ours], changing) is not None:
            text = f"{changing} stands before MediaMiddleware, so it changes its answers: it {does}."
            yield _warning("W010", text, "Put MediaMiddleware before it.")
    if asks and _first(names[ours:], _AUTHENTICATES) is not None:
        text = "authorize is asked before AuthenticationMiddleware has run: request.user is not there."
        hint = (
            "Put MediaMiddleware right behind it, and SessionMiddleware and it before what changes answers; if "
            "authorize needs no user, silence this."
        )
        yield _warning("W005", text, hint)


def _first(names: Sequence[str], wanted: str) -> int | None:
    """Return where a middleware, or a subclass of it, first stands."""
    return next((at for at, name in enumerate(names) if name == wanted or _is_kind(name, wanted)), None)


def _is_kind(name: str, wanted: str) -> bool:
    if name.startswith("django."):
        return False
    made: Any
    kind: Any
    try:
        made, kind = import_string(name), import_string(wanted)
    except Exception:  # noqa: BLE001 - the module's own, whatever it is: Django tells of it when it loads them
        return False
    return isinstance(made, type) and issubclass(made, kind)


def _is_wrapped() -> bool:
    """Say whether wsgi.py or asgi.py speaks of mediamw. They are read, not imported: that would start the project."""
    named = [settings.WSGI_APPLICATION, getattr(settings, "ASGI_APPLICATION", None)]
    modules = {(name or "").rpartition(".")[0] for name in named}
    package = (settings.ROOT_URLCONF if isinstance(settings.ROOT_URLCONF, str) else "").rpartition(".")[0]
    modules |= {f"{package}.{entrance}" for entrance in ("wsgi", "asgi") if package}
    for module in modules - {""}:
        try:
            spec = find_spec(module)
            if spec is not None and spec.origin and "mediamw" in Path(spec.origin).read_text("utf-8"):
                return True
        except (ImportError, OSError, UnicodeError, ValueError):
            continue
    return False


def _upper(found: conf.Configuration) -> Iterator[CheckMessage]:
    upper, storage = found.stack.backends[0], stack_storage("default")
    if isinstance(storage, Exception):
        text = f"STORAGES['default'] cannot be made: {storage}"
        yield Error(text, hint="docs/django.md has the OPTIONS of MediaStorage.", id="mediamw.E103")
        return
    if storage is not None and not storage.shares_stack:
        yield from _own_stack(storage, upper)
        return
    way_out = "Put MEDIA_ROOT first in MEDIAMW['backends']."
    if not isinstance(upper, Puts):
        happens = "is shown by nobody" if storage is None else "is refused"
        text = f"The first backend, {upper.name!r}, cannot be written to: what is uploaded {happens}."
        yield _warning("W003", text, way_out)
    elif storage is not None:  # uploads go to the first backend, whichever that is
        return
    elif isinstance(upper, LocalBackend) and settings.MEDIA_ROOT and not _same(upper.root, settings.MEDIA_ROOT):
        text = f"The first backend is {upper.root}, uploads go to MEDIA_ROOT, {settings.MEDIA_ROOT}: nobody shows them."
        yield _warning("W004", text, f"{way_out[:-1]}, or let STORAGES['default'] be mediamw.ext.django.MediaStorage.")


def _own_stack(storage: Any, upper: Backend) -> Iterator[CheckMessage]:
    """Check a ``MediaStorage`` that has backends of its own, which the middleware does not read."""
    try:
        takes = storage.stack.upper
    except ConfigErrors as error:
        yield from map(_of_fault, error.faults)
        return
    except ConfigError as error:
        yield Error(
            f"STORAGES['default']: {error}", hint="docs/fallback_storage.md has the setting.", id="mediamw.E102"
        )
        return
    if not isinstance(takes, Puts):
        text = f"The first backend of STORAGES['default'], {takes.name!r}, cannot be written to: uploads are refused."
        yield _warning("W003", text, f"Put a directory first in {storage.setting}.")
    ours, theirs = (getattr(backend, "whereabouts", None) for backend in (upper, takes))
    if takes is not upper and (ours is None or ours != theirs):
        text = f"Uploads go to {takes!r}, of STORAGES['default']'s own backends; the middleware's first is {upper!r}."
        yield _warning(
            "W004", text, f"Let MEDIAMW['backends'] begin with the first of {storage.setting}, or be all of it."
        )


def _written(found: conf.Configuration) -> Iterator[CheckMessage]:
    written = writes_to("default") if "default" in settings.STORAGES else None
    if written is None:
        return
    for backend in found.stack.backends:
        if isinstance(backend, S3Backend) and _place(backend) == _place(written):
            text = (
                f"STORAGES['default'] writes to {backend.bucket}, which backend {backend.name!r} reads: uploads and "
                "deletes change it."
            )
            hint = (
                "Where mediamw answers, let STORAGES['default'] be mediamw.ext.django.MediaStorage, and call the "
                "bucket's entry 'production'."
            )
            yield _warning("W006", text, hint)


def _place(bucket: S3Backend) -> tuple[str, str]:
    return bucket.bucket, (bucket.endpoint_url or "").rstrip("/").lower()


def _same(one: str, other: Any) -> bool:
    theirs: str = os.path.realpath(other)
    return os.path.realpath(one) == theirs
