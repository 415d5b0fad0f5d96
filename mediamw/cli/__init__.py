"""Floor 9: the command line, ``mediamw`` or ``python -m mediamw``.

Exit status: 0 all is well, 1 what was asked for failed, 2 the command or a setting is wrong (and says which, and the
way out); ``explain`` has more.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence

from .. import __version__
from ..core.errors import ConfigError, ConfigErrors
from ..settings import Settings
from ..settings.faults import NO_STORAGES
from ..settings.template import NOT_SET

_OF_PROJECT = ("explain", "config")
_IN_CODE = (
    "what code gives, no command sees: print(stack.explain(KEY)) in a shell there; of Django's settings "
    "`manage.py mediamw explain KEY` tells"
)


def main(argv: Sequence[str] | None = None, *, of_project: Callable[[], Settings] | None = None) -> int:
    """Run one command and return its exit status.

    ``of_project``: what a framework's project says, in the place of the settings that stand in the environment; there
    are then the commands that speak of it, and a project has a server of its own.
    """
    args = build_parser(is_project=of_project is not None).parse_args(argv)
    args.of_project = of_project
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # as stderr has it: a name may be of other letters than a locale
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except ConfigError as error:
        for line in str(error).splitlines():  # one for each fault
            print(f"mediamw: {line}", file=sys.stderr)
        if isinstance(error, ConfigErrors) and any(
            fault.source == NOT_SET and fault.id != NO_STORAGES for fault in error.faults
        ):
            print(f"mediamw: {_IN_CODE}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `mediamw config | head`: what is left in the buffer is nobody's either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("mediamw: interrupted", file=sys.stderr)
        return 130  # as shells have it, 128 and the signal's number
    return status


def build_parser(*, is_project: bool = False) -> argparse.ArgumentParser:
    """Return the parser of all commands, or of those for a project; ``args.run(args)`` runs the one that was given."""
    from . import config, explain, migrate, serve, storages
    from .demo import command as demo

    parser = argparse.ArgumentParser(
        prog="manage.py mediamw" if is_project else "mediamw",
        description="Your production media in dev and QA, without copying the bucket.",
    )
    parser.add_argument("--version", action="version", version=f"mediamw {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module, name, text in (
        (serve, "serve", "serve media from backends, alone or around an app"),
        (explain, "explain", "say why a file is answered as it is"),
        (config, "config", "show every setting, and where it comes from"),
        (storages, "storages", "show what the named storages are"),
        (migrate, "migrate", "copy the files of one storage to another, for good"),
        (demo, "demo", "a site with a production bucket of its own, to look at"),
    ):
        if is_project and name not in _OF_PROJECT:
            continue
        sub = commands.add_parser(name, help=text, description=module.__doc__, formatter_class=_Formatter)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the lines of a module's text, and shows the defaults where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)
