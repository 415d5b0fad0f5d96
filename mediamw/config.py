"""Floor 2: from what people write to what runs: the options of the middlewares. Each fault names its setting."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any, TypedDict, Unpack

from .core.errors import ConfigError, unknown_option
from .core.keys import DotfileRule
from .core.media_types import guess, is_media_type
from .core.plan import OnMiss, Placeholder, Policy

MAX_PLACEHOLDER_BYTES = 1024 * 1024

Authorize = Callable[[Any, str], object | Awaitable[object]]
AddHeaders = Callable[[str, int], Mapping[str, str]]


class PolicyOptions(TypedDict, total=False):
    """The options that change what is answered; ages in seconds. ``docs/semantics.md`` has each of them."""

    on_miss: OnMiss
    debug: bool
    max_age: int | None
    redirect_max_age: int | None
    media_types: Mapping[str, str] | None
    placeholder: str | PathLike[str] | None
    add_headers: AddHeaders | None


class Options(PolicyOptions, total=False):
    """What both middlewares take besides the app and the backends."""

    prefix: str
    enabled: bool
    allow_dotfiles: Sequence[str]
    authorize: Authorize | None


def build_policy(**options: Unpack[PolicyOptions]) -> Policy:
    """Check the options of a middleware and make its policy. Raises ``ConfigError`` that names the option."""
    placeholder = options.get("placeholder")
    return Policy(
        on_miss=_on_miss(options.get("on_miss", "app")),
        max_age=_age("max_age", options.get("max_age")),
        redirect_max_age=_age("redirect_max_age", options.get("redirect_max_age")),
        debug=check_switch("debug", options.get("debug", False)),
        media_types=_types(options.get("media_types") or {}),
        placeholder=Placeholder() if placeholder is None else _placeholder(placeholder),
        add_headers=_add_headers(options.get("add_headers")),
    )


def _add_headers(value: AddHeaders | None) -> AddHeaders | None:
    if value is not None and not callable(value):
        raise ConfigError("add_headers: it is a function of key and status that returns a mapping")
    return value


def check_app(app: object, *, asgi: bool) -> None:
    """Raise ``ConfigError`` for what cannot be the app: the backends in its place, or one that speaks the other way."""
    if app is None:
        return
    if not callable(app):
        raise ConfigError(
            f"app: a {type(app).__name__} is none: the app comes first, MediaMiddleware(app, ['./media', 's3://...']); "
            "media alone are MediaApp(['./media', 's3://...'])"
        )
    if is_async(app) is not asgi and (not asgi or _takes_two(app)):
        ours, theirs = ("asgi", "WSGI") if asgi else ("wsgi", "ASGI")
        way_out = f"from mediamw.{theirs.lower()} import MediaMiddleware"
        raise ConfigError(f"app: it speaks {theirs}, and mediamw.{ours} wraps the others: {way_out}")


def _takes_two(app: Callable[..., object]) -> bool:
    """Say whether it is called as WSGI apps are, and cannot be as ASGI apps are."""
    import inspect  # here and below: those who wrap nothing need not load it

    try:
        signature = inspect.signature(app)
        signature.bind({}, None)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind({}, None, None)
    except TypeError:
        return True
    return False


def check_authorize(authorize: object, *, can_await: bool) -> None:
    """Raise ``ConfigError`` if ``authorize`` cannot be called, or gives what nobody can await."""
    if authorize is None:
        return
    if not callable(authorize):
        raise ConfigError("authorize: it is a function of request and key that returns True, 403 or 404")
    if not can_await and is_async(authorize):
        raise ConfigError("authorize: WSGI cannot await it; give a function without async, or use mediamw.asgi")


def is_async(function: object) -> bool:
    """Say whether calling it gives something to await."""
    import inspect

    while isinstance(function, partial):
        function = function.func
    call = getattr(type(function), "__call__", None)  # noqa: B004 - not whether it can be called, but how
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def check_options(given: Collection[str], known: Sequence[str], of_stack: Collection[str]) -> None:
    """Raise ``ConfigError`` for an option that nobody knows, or that belongs to the stack."""
    for option in given:
        if option in of_stack:
            raise ConfigError(f"{option} is the stack's: give mediamw.build_stack([...], {option}=...) as backends")
        if option not in known:
            raise ConfigError(unknown_option(option, known))


def check_switch(option: str, value: object) -> bool:
    """Return ``value`` if it is True or False; ``"false"`` and ``"0"`` would be true to Python."""
    if not isinstance(value, bool):
        raise ConfigError(f"{option}: {value!r} is neither True nor False")
    return value


def build_dotfiles(patterns: Sequence[str]) -> DotfileRule:
    """Make the rule of ``allow_dotfiles``. Raises ``ConfigError``."""
    if isinstance(patterns, str) or not all(isinstance(pattern, str) for pattern in patterns):
        raise ConfigError("allow_dotfiles: give a list of patterns, such as ['.thumbs/']")
    return DotfileRule(patterns)


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` if it can be one: ASCII, ``/`` at both ends, no empty or dot segment."""
    if prefix == "/":  # mounted where the media are: the middleware says when it may not be
        return prefix
    if not isinstance(prefix, str) or not (prefix.startswith("/") and prefix.endswith("/") and len(prefix) > 2):
        raise ConfigError(f"prefix: {prefix!r} must start and end with '/', such as /media/")
    if not prefix.isascii() or not prefix.isprintable() or set(prefix) & set('\\%?# "<>^`{|}'):
        raise ConfigError(f"prefix: {prefix!r} holds characters that a URL path has to quote")
    if any(segment in ("", ".", "..") for segment in prefix[1:-1].split("/")):
        raise ConfigError(f"prefix: {prefix!r} holds an empty or a dot segment")
    return prefix


def base_url_of(prefix: str) -> str | None:
    """Return what stands before keys in URLs; None if the media are mounted, at a path that is not known here."""
    return None if prefix == "/" else prefix


def _on_miss(value: OnMiss) -> OnMiss:
    if value not in ("app", "404", "placeholder"):
        raise ConfigError(f"on_miss: {value!r} is none of 'app', '404', 'placeholder'")
    return value


def _age(option: str, seconds: int | None) -> int | None:
    if seconds is not None and (not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0):
        raise ConfigError(f"{option}: {seconds!r} is not a whole number of seconds, 0 or more")
    return seconds


def _types(media_types: Mapping[str, str]) -> dict[str, str]:
    checked = {}
    for extension, media_type in media_types.items():
        if (
            not isinstance(extension, str)
            or not extension.startswith(".")
            or "." in extension[1:]
            or len(extension) < 2
        ):
            raise ConfigError(f"media_types: {extension!r} is not an extension such as '.usdz'")
        if not isinstance(media_type, str) or not is_media_type(media_type):
            raise ConfigError(f"media_types: {media_type!r} for {extension} is not a media type such as 'model/usd'")
        checked[extension.lower()] = media_type
    return checked


def _placeholder(path: str | PathLike[str]) -> Placeholder:
    media_type = guess(os.fspath(path).replace(os.sep, "/"))[0]
    if not media_type.startswith("image/"):
        raise ConfigError(f"placeholder: {os.fspath(path)} is not an image by its extension")
    try:
        with open(path, "rb") as file:
            body = file.read(MAX_PLACEHOLDER_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"placeholder: {reason}: {os.fspath(path)}") from None
    if len(body) > MAX_PLACEHOLDER_BYTES:
        raise ConfigError(f"placeholder: {os.fspath(path)} has more than {MAX_PLACEHOLDER_BYTES} bytes")
    return Placeholder(body, media_type)
