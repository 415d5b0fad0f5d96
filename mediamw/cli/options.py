"""Options that several commands have, and what they say together with the settings."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, cast

from ..config import Options
from ..settings import read_settings
from ..settings.reading import FLAG_OF
from ..specs import build_stack
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


def given_by(args: argparse.Namespace) -> Options:
    """Return the options of the middleware that the command line gives."""
    names = [name for name in ("prefix", "debug") if name in args]
    return cast("Options", {name: getattr(args, name) for name in names})


def told_by(args: argparse.Namespace) -> tuple[MediaStack, Options]:
    """Return the stack and all options: of the command line, and without ``--backend`` of the settings too.

    Raises ``ConfigError``.
    """
    given = given_by(args)
    if args.backend:
        return build_stack(args.backend), given
    if args.of_project is not None:
        of_project = args.of_project()
        return of_project.stack(), {**of_project.options(), **given}
    find_modules_here()
    settings = read_settings(cast("dict[str, Any]", given), named=FLAG_OF)
    return settings.stack(), settings.options()


def find_modules_here() -> None:
    """Let ``module:name`` in the settings be found where the project is, as the app of ``serve`` is."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
