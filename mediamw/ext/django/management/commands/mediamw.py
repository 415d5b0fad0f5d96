"""``manage.py mediamw explain KEY`` and ``config``: the command line, over the project's own settings."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand

from .....cli import main
from ...conf import configuration


class Command(BaseCommand):  # type: ignore[misc]  # Django has no types
    """Forwards to the command line; its exit status is this one's."""

    help = "Says why a file is answered as it is (explain), or shows every setting of mediamw and its source (config)."
    requires_system_checks: tuple[str, ...] = ()  # what is wrong with the settings is told by the command itself

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take all words as they are."""
        parser.add_argument("words", nargs=argparse.REMAINDER, metavar="explain|config ...", help="see explain --help")

    def handle(self, *args: Any, words: list[str], **options: Any) -> None:
        """Run one command."""
        status = main(words, of_project=lambda: configuration().checked)
        if status:
            sys.exit(status)
