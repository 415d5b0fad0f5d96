"""Finding the app of ``mediamw serve MODULE:APP``, and telling WSGI from ASGI."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, Literal

from ..core.errors import ConfigError

Interface = Literal["asgi", "wsgi"]


def load_app(target: str) -> Any:
    """Import ``MODULE:APP``, where APP may be dotted, or a call without arguments: ``shop:create_app()``.

    The working directory is searched first. Raises ``ConfigError``; what the module itself raises goes through.
    """
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise ConfigError(f"{target!r}: give MODULE:APP, such as shop.wsgi:application")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # The module that is missing may be one that the app imports: then the traceback is what helps.
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        raise ConfigError(f"{target!r}: no module {error.name!r} here or on sys.path") from None
    for name in attribute.removesuffix("()").split("."):
        if not hasattr(found, name):
            raise ConfigError(f"{target!r}: {module_name} has no {name!r}")
        found = getattr(found, name)
    if attribute.endswith("()"):
        found = found()
    if not callable(found):
        raise ConfigError(f"{target!r}: a {type(found).__name__} is not an app: it cannot be called")
    if inspect.isfunction(found) and not _takes(found, 2) and not _takes(found, 3) and _takes(found, 0):
        raise ConfigError(f"{target!r}: it takes no request: if it makes the app, write '{target}()'")
    return found


def _takes(function: Callable[..., object], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


def interface_of(app: Any) -> Interface:
    """Return what ``app`` speaks: ASGI apps are called as coroutines, WSGI apps are not."""
    calls = app if inspect.isroutine(app) else type(app).__call__
    return "asgi" if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(calls) else "wsgi"
