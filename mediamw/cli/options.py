"""Options that several commands have."""

from __future__ import annotations

import argparse


def add_backends(parser: argparse.ArgumentParser) -> None:
    """Declare ``--backend``."""
    parser.add_argument(
        "--backend",
        action="append",
        required=True,
        metavar="SPEC",
        help="a path, s3://bucket[/location][?option=value&...], https://host/path/, or memory:; may be repeated",
    )


def add_prefix(parser: argparse.ArgumentParser) -> None:
    """Declare ``--prefix``."""
    parser.add_argument("--prefix", default="/media/", help="the URL path of the media")
