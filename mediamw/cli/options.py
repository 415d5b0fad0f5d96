"""Options that several commands have, and what they say together with the other settings."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

from ..config import Options
from ..settings import Settings, read_settings, settings_beside
from ..settings.reading import FLAG_OF
from ..stack.stack import MediaStack

PREFIX = "/media/"


def add_backends(parser: argparse.ArgumentParser) -> None:
    """Declare ``--backend``."""
    parser.add_argument(
        "--backend",
        action="append",
        metavar="SPEC",
        help="a path, s3://bucket[/location][?option=value&...], https://host/path/, or memory:; may be repeated; "
        "without it the settings count: MEDIAMW_BACKENDS, mediamw.toml (see mediamw config)",
    )


def add_prefix(parser: argparse.ArgumentParser) -> None:
    """Declare ``--prefix``."""
    parser.add_argument("--prefix", default=argparse.SUPPRESS, help="the URL path of the media (default: /media/)")


def given_by(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line gives."""
    given = {name: getattr(args, name) for name in ("prefix", "debug") if name in args}
    return {"backends": args.backend, **given} if args.backend else given


def told_by(given: Mapping[str, Any], of_project: Callable[[], Settings] | None = None) -> tuple[MediaStack, Options]:
    """Return the stack and all options: of the command line, which has ``given``, over the other settings.

    With ``--backend`` those do not count, as with backends in code. ``of_project``: see ``main``. Raises
    ``ConfigErrors``.
    """
    if "backends" in given:
        settings = settings_beside(given["backends"], given, named=_flag)
    elif of_project is not None:
        settings = of_project()
        return settings.stack(), cast("Options", {**settings.options(), **given})
    else:
        find_modules_here()
        settings = read_settings(given, named=_flag)
    return settings.stack(), settings.options()


def _flag(option: str) -> str:
    return FLAG_OF("backend" if option == "backends" else option)


def find_modules_here() -> None:
    """Let ``module:name`` in the settings be found where the project is, as the app of ``serve`` is."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
