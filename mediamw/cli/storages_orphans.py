"""List the files that no row of the database names, and with --delete remove them.

  mediamw storages orphans --app shop.main --models shop.models:Base --database postgresql:///shop

An upload that a transaction rolled back is removed by it. What is left is what a killed process stored, or what a
storage that was away kept. Only files of a storage's first backend are looked at: the others' are production's.
Every column of the models counts that has a MediaField or UploadedFileField, thumbnails among them. What other columns
name, --also-used has to tell: a function that yields texts such as local/a.jpg.

Exit status: 0 all is well, 1 a row cannot be read (and nothing was removed), a storage could not be listed or a file
could not be removed, 2 a setting is wrong.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import BackendUnavailable, ConfigError
from ..storages import Registry
from ..storages import registry as own
from .options import find_modules_here
from .storages_options import add_arguments as add_registry
from .storages_options import registry_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ..ext.sqlalchemy.orphans import Finder, Orphan

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AT_ONCE: Final = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_registry(parser)
    parser.add_argument(
        "--models",
        action="append",
        required=True,
        metavar="MODULE:ATTR",
        help="a declarative base, a registry, a mapped class or a MetaData: all columns of files in its tables; again "
        "for another",
    )
    parser.add_argument(
        "--database",
        required=True,
        metavar="URL|MODULE:ATTR",
        help="its URL for SQLAlchemy, or an Engine; a URL on a command line is seen by all users of the machine",
    )
    parser.add_argument(
        "--storage", action="append", default=[], metavar="NAME", help="only this one; again for another (all)"
    )
    parser.add_argument(
        "--older-than",
        type=_seconds,
        default=_seconds("24h"),
        metavar="TIME",
        help="as 90s, 30m, 24h or 7d: younger ones may be of a transaction that still runs (default: 24h)",
    )
    parser.add_argument(
        "--also-used", action="append", default=[], metavar="MODULE:CALLABLE", help="yields more texts storage/key"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: one object a line (text)")
    parser.add_argument("--delete", action="store_true", help="remove them, without asking")


def run(args: argparse.Namespace) -> int:
    """List or remove the orphans, and return the exit status."""
    registry = _registry(args)
    try:
        finder = _finder(args, registry)
        storages = sorted({registry.resolve(name) for name in args.storage or registry.names()})
        with _database_errors("nothing is removed"):
            finder.read()
        for row in finder.bad_rows:
            print(f"mediamw: {row}", file=sys.stderr)
        if finder.bad_rows and args.delete:
            print("mediamw: nothing is removed: those rows may name any of the files", file=sys.stderr)
            return 1
        away: list[str] = []
        with _database_errors("what was told until now is done, and no more"):
            told = _told(finder, _found(finder, storages, args.older_than, away), args)
        return told or int(bool(finder.bad_rows or away))
    finally:
        registry.clear()


def _registry(args: argparse.Namespace) -> Registry:
    """Return the registry; without ``--app`` what the models' modules configured goes before the environment, which
    they may have loaded."""
    if args.app is None:
        for target in args.models:
            _loaded(target, "--models")
        if own.names():
            return own
    return registry_of(args)


@contextmanager
def _database_errors(what_then: str) -> Iterator[None]:
    """Say what a database says, less the statement."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        said = f"{error.orig}".strip().partition("\n")[0]
        raise ConfigError(f"--database: {said}; {what_then}") from error


def _found(finder: Finder, storages: Iterable[str], older_than: int, away: list[str]) -> Iterator[Orphan]:
    """Yield the orphans of all storages. Those that cannot be listed are said, and put into ``away``."""
    for storage in storages:
        try:
            yield from finder.orphans(storage, older_than)
        except BackendUnavailable as error:
            print(f"mediamw: {storage!r} cannot be listed: {error}", file=sys.stderr)
            away.append(storage)


def _told(finder: Finder, found: Iterator[Orphan], args: argparse.Namespace) -> int:
    """Print each file and what became of it, and return 1 if one could not be removed."""
    counts = {"found": 0, "bytes": 0, "removed": 0, "failed": 0}
    for some in _batches(found):
        told: Iterable[tuple[Orphan, str | None]] = (
            finder.remove(some) if args.delete else ((orphan, None) for orphan in some)
        )
        for orphan, reason in told:
            counts["found"] += 1
            counts["bytes"] += orphan.size or 0
            counts["removed"] += reason == ""
            counts["failed"] += bool(reason)
            print(_line(orphan, reason, args.format))
    said = f"{counts['found']} files that no row names, {counts['bytes']} bytes"
    print(f"{said}; {counts['removed']} removed" if args.delete else said, file=sys.stderr)
    return int(counts["failed"] > 0)


def _line(orphan: Orphan, reason: str | None, form: str) -> str:
    """``reason``: why it is still there; None if nobody wanted to remove it."""
    if form == "text":
        return f"{orphan.stored}" if reason is None else f"{orphan.stored}: {reason or 'removed'}"
    fields: dict[str, Any] = {
        "storage": orphan.stored.storage,
        "key": orphan.stored.key,
        "size": orphan.size,
        "modified": datetime.fromtimestamp(orphan.mtime, UTC).isoformat(timespec="seconds"),
    }
    if reason is not None:
        fields |= {"removed": not reason, "reason": reason}
    return json.dumps(fields)


def _batches(found: Iterator[Orphan]) -> Iterator[Sequence[Orphan]]:
    batch: list[Orphan] = []
    for orphan in found:
        batch.append(orphan)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _finder(args: argparse.Namespace, registry: Registry) -> Finder:
    from ..ext.sqlalchemy.orphans import Finder, file_columns  # an extra, which says so if it is missing

    columns = file_columns(_loaded(target, "--models") for target in args.models)
    callables: list[Callable[[], Iterable[str]]] = []
    for target in args.also_used:
        found = _loaded(target, "--also-used")
        if not callable(found):
            raise ConfigError(f"--also-used: {target!r} is a {type(found).__name__}, and cannot be called")
        callables.append(found)
    return Finder(registry, _engine(args.database), columns, lambda: (text for used in callables for text in used()))


def _engine(target: str) -> Engine:
    from sqlalchemy import Engine, NullPool, create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    if "://" in target:
        try:
            made = create_engine(target, poolclass=NullPool)  # nobody would close what a pool keeps
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"--database: {error.name} is not installed: a URL that begins {target.partition('://')[0]}:// needs it"
            ) from error
        except (ArgumentError, NoSuchModuleError) as error:
            raise ConfigError(
                f"--database: {type(error).__name__} for a URL that begins {target.partition('://')[0]}://"
            ) from error
        if made.dialect.is_async:
            raise ConfigError(
                f"--database: {made.dialect.driver} is asynchronous: give the URL of a driver that waits, "
                f"{made.dialect.name}:// for its usual one"
            )
        return made
    found = _loaded(target, "--database")
    if not isinstance(found, Engine):
        kind = type(found).__name__
        raise ConfigError(
            f"--database: {target!r} has the type {kind}: give an Engine, or a URL; of an AsyncEngine the URL with a "
            "driver that waits"
        )
    return found


def _loaded(target: str, option: str) -> Any:
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise ConfigError(f"{option}: {target!r}: give MODULE:ATTR, such as shop.models:Base")
    find_modules_here()
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # The module that is missing may be one that theirs imports: then the traceback is what helps.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(f"{option}: {target!r}: no module {error.name!r} here or on sys.path") from None
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise ConfigError(f"{option}: {target!r}: {module_name} has no {name!r}")
        found = getattr(found, name)
    return found


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number with s, m, h or d, such as 24h")
    return int(match[1]) * _SECONDS[match[2]]
