"""What the named storages of a project are.

  mediamw storages list                  every name, alias and remapped name, and the storage that it stands for
  mediamw storages list --app shop.main  of the module that configures them, in the place of the environment

Exit status: 0 all is well, 2 a setting is wrong.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..storages import Registry
from .storages_options import add_arguments as add_registry
from .storages_options import registry_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands and their options."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the names, and what they stand for", description=_list.__doc__)
    add_registry(listing)
    listing.add_argument("--format", choices=("text", "json"), default="text", help="what is printed (default: text)")
    listing.set_defaults(act=_list)


def run(args: argparse.Namespace) -> int:
    """Run one of the commands and return the exit status."""
    status: int = args.act(args)
    return status


def _list(args: argparse.Namespace) -> int:
    """Print every name, alias and remapped name, the storage that it stands for and the backends of that."""
    registry = registry_of(args)
    try:
        rows = _rows(registry)
        default = registry.default
    finally:
        registry.clear()
    if args.format == "json":
        print(json.dumps({"default": default, "names": rows}, indent=2))
        return 0
    for row in rows:
        row["kind"] += ", default" if row["name"] == default else ""
    widths = {column: max(len(row[column]) for row in rows) for column in ("name", "kind")}
    for row in rows:
        print(f"{row['name']:{widths['name']}}  {row['kind']:{widths['kind']}}  {_stands_for(row)}")
    return 0


def _rows(registry: Registry) -> list[dict[str, Any]]:
    stacks = registry.snapshot()
    return [
        {
            "name": name,
            "kind": said.kind,
            "target": said.target,
            "storage": said.storage,
            "backends": [repr(backend) for backend in stacks[name].stack.backends],
        }
        for name, said in registry.listed().items()
    ]


def _stands_for(row: dict[str, Any]) -> str:
    if row["kind"].startswith("storage"):
        return ", ".join(row["backends"])
    by_way = "" if row["target"] == row["storage"] else f", by way of {row['target']}"
    return f"-> {row['storage']}{by_way}"
