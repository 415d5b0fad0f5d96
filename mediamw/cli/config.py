"""Show every setting with its value and its source, and the backends that come of them. Secrets are not shown.

  mediamw config          what a middleware without backends, mediamw serve and mediamw explain find here

Exit status: 0 all is well, 2 something is wrong: each fault is one line, with its id, the setting and the way out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..core.errors import ConfigErrors
from ..settings import Settings, read_settings
from ..settings.options import OPTIONS
from ..settings.sources import is_secret, of_variable
from .options import find_modules_here

_MASK = "****"


class _Row(NamedTuple):
    setting: str
    value: Any
    source: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the settings, or all that is wrong with them; return the exit status."""
    if args.of_project is not None:
        settings: Settings = args.of_project()
    else:
        find_modules_here()
        settings = read_settings()
    faults = settings.faults
    if faults:
        if args.json:
            print(json.dumps({"faults": [fault._asdict() for fault in faults]}, indent=2))
        raise ConfigErrors(faults)
    rows = list(_rows(settings))
    settings.stack().close()
    if args.json:
        print(json.dumps({"settings": [row._asdict() for row in rows], "faults": []}, indent=2, default=_shown))
        return 0
    texts = [(row.setting, _text(row.value), row.source) for row in rows]
    first, second = (max(len(text[column]) for text in texts) for column in (0, 1))
    for setting, value, source in texts:
        print(f"{setting:{first}}  {value:{second}}  {source}")
    return 0


def _rows(settings: Settings) -> Iterator[_Row]:
    for made in settings.backends:
        name = f"backends.{made.backend.name}"
        yield _Row(name, repr(made.backend), made.source)
        for option, (given, source) in made.options.items():
            yield _Row(f"{name}.{option}", _MASK if _is_masked(option, given) else given, source)
        for option, variable in made.secrets.items():
            yield _Row(f"{name}.{option}", _MASK, of_variable(variable))
    for option in OPTIONS:
        value = settings.stack().base_url if option == "base_url" else settings.value(option)  # by default the prefix
        yield _Row(option, value, settings.source(option))


def _is_masked(option: str, value: Any) -> bool:
    return is_secret(option) or (option == "proxies" and "@" in str(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _shown(value) if callable(value) else repr(value)


def _shown(value: Any) -> str:
    """Return a function as it is written in a file, and what JSON does not have as its text."""
    if callable(value):
        return f"{getattr(value, '__module__', '?')}:{getattr(value, '__qualname__', type(value).__qualname__)}"
    return str(value)
