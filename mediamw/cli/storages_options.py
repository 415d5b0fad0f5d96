"""The options of commands that speak of named storages, and the registry that they give."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import re
from typing import Any, Final

from ..core.errors import ConfigError
from ..storages import Registry, load_environment, registry
from .options import find_modules_here

_APP = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*(\(\))?)?")
_FORM: Final = "give MODULE, MODULE:REGISTRY or MODULE:FUNCTION, such as shop.storages or shop.main:create_app"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--app``."""
    parser.add_argument(
        "--app",
        metavar="MODULE[:ATTR]",
        help="the module that configures the storages when it is imported, or in it the Registry, or a function that "
        "configures them when it is called; without it the environment names them: MEDIAMW_STORAGES",
    )


def registry_of(args: argparse.Namespace) -> Registry:
    """Return the registry of ``--app``, or of the environment. Raises ``ConfigError`` if it names no storage.

    The environment's storages are configured in the process's own registry.
    """
    target: str | None = getattr(args, "app", None)
    if target is None:
        if "MEDIAMW_STORAGES" not in os.environ:
            raise ConfigError(
                "no storages are named: give --app MODULE, or set MEDIAMW_STORAGES='local' and "
                "MEDIAMW_STORAGE_LOCAL_BACKENDS=./media"
            )
        from ..ext.depot.specs import SCHEMES  # of use to storages of the environment alone

        return load_environment(schemes=SCHEMES)
    if not _APP.fullmatch(target):
        raise ConfigError(f"--app: {target!r}: {_FORM}")
    found = _found(target)
    if not found.names():
        raise ConfigError(f"--app: {target} configures no storages in {_named(found)}: {_FORM}")
    return found


def _found(target: str) -> Registry:
    """Return the registry that ``MODULE[:ATTR]`` is or fills. What the module itself raises goes through."""
    module_name, colon, attribute = target.partition(":")
    find_modules_here()
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # The module that is missing may be one that theirs imports: then the traceback is what helps.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(f"--app: {target!r}: no module {error.name!r} here or on sys.path") from None
    if not colon:
        return registry
    for name in attribute.removesuffix("()").split("."):
        if not hasattr(found, name):
            raise ConfigError(f"--app: {target!r}: {module_name} has no {name!r}")
        found = getattr(found, name)
    if isinstance(found, Registry):
        return found
    if attribute.endswith("()") or _is_call(found):
        found = found()
        return found if isinstance(found, Registry) else registry
    if not callable(found):
        raise ConfigError(f"--app: {target!r} is a {type(found).__name__}: {_FORM}")
    return registry  # an app, whose module configured them when it was imported


def _is_call(found: object) -> bool:
    """Say whether it is a function to call without arguments, not an app that takes requests."""
    if not inspect.isroutine(found):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):  # ValueError: a builtin that does not tell
        return False
    return True


def _named(found: Registry) -> str:
    return "the registry of mediamw.storages" if found is registry else "its registry"
