"""Where commands find the storages: an app that configures them."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from .. import storages
from ..core.errors import ConfigError
from ..storages import Registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--app", metavar="MODULE[:ATTR]", help="a module that configures the storages when imported")


def registry_of(args: argparse.Namespace) -> Registry:
    """Return the registry that the options tell. Raises ``ConfigError``."""
    if args.app is None:
        raise ConfigError("--app: name the module that configures the storages")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module, _, attribute = args.app.partition(":")
    found = importlib.import_module(module)
    if not attribute:
        return storages.registry
    made = getattr(found, attribute)
    made = made() if callable(made) else made
    return made if isinstance(made, Registry) else storages.registry
