"""Which storages can be moved from and to, and what a journal is told of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from os import PathLike, path, sep, walk
from pathlib import Path

from ...backends.base import Lists
from ...backends.local import LocalBackend
from ...core.errors import ConfigError, NotWritable
from ...stack.stack import MediaStack
from .work import Opened


def about_journal(source: str, target: str, opened: Opened, *, upper_only: bool) -> dict[str, str]:
    """Return what a journal is of, for ``Journal``."""
    froms: Sequence[object] = [getattr(backend, "whereabouts", None) for backend in opened.source.backends]
    return {
        "source": " ".join(_described(where, source) for where in froms),
        "target": _described(getattr(opened.target.upper, "whereabouts", None), target),
        "choice": "upper only" if upper_only else "all",
    }


def check_storages(source: str, target: str, opened: Opened, *, is_asked: bool) -> None:
    """Refuse what cannot be a migration. ``is_asked``: the target's server has to keep two writers apart.

    Raises ``ConfigError``, and ``BackendUnavailable`` if the server does not say.
    """
    check_listing(source, opened.source)
    try:
        _ = opened.target.names
    except NotWritable as error:
        raise ConfigError(f"to: {target!r} takes no files: {error}") from error
    to = getattr(opened.target.upper, "whereabouts", None)
    if source == target or opened.source.upper is opened.target.upper:
        raise ConfigError(f"from and to are the same storage, {target!r}")
    for number, backend in enumerate(opened.source.backends):
        where = getattr(backend, "whereabouts", None)
        if to is None or where is None:
            continue
        if to == where and number == 0:
            raise ConfigError(f"from and to: {source!r} and {target!r} are the same place")
        if to != where and (to[: len(where)] == where or where[: len(to)] == to):
            raise ConfigError(f"from and to: one of {source!r} and {target!r} lies inside the other")
    if is_asked and opened.target.names_by_chance():
        raise ConfigError(
            f"to: the server of {target!r} does not honour If-None-Match, so a file that somebody else stores there at "
            "the same moment might be lost: give alone (--alone) if nobody does"
        )


def check_journal(journal: str | PathLike[str] | None, opened: Opened) -> None:
    """Refuse a journal that would be one of the files."""
    for backend in () if journal is None else (*opened.source.backends, opened.target.upper):
        root = getattr(backend, "root", None)
        if isinstance(root, str) and Path(path.realpath(journal or "")).is_relative_to(path.realpath(root)):
            raise ConfigError(f"journal: {journal} would lie among the media in {root}: give another path (--journal)")


def check_listing(source: str, stack: MediaStack) -> None:
    """Refuse a source of which a part cannot be listed."""
    for backend in stack.backends:
        if not isinstance(backend, Lists):
            raise ConfigError(
                f"from: {backend.name!r} of {source!r} cannot list what it has: give upper_only (--upper-only) to move "
                "what the first backend has"
            )


def linked_folders(stack: MediaStack) -> Iterator[str]:
    """Yield the folders that a listing shows and does not descend into: links may lead in circles."""
    for backend in stack.backends:
        if isinstance(backend, LocalBackend):
            for folder, names, _ in walk(backend.root):
                for name in names:
                    key = path.relpath(path.join(folder, name), backend.root).replace(sep, "/")
                    if path.islink(path.join(folder, name)) and any(
                        entry.key == f"{key}/" for entry in backend.list(key, recursive=False)
                    ):
                        yield f"{key}/"


def check_numbers(**numbers: object) -> None:
    """Refuse what is no number of things."""
    for option, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ConfigError(f"{option}: {number!r} is not a whole number, 1 or more")


def _described(whereabouts: object, name: str) -> str:
    """Return the place of a storage as words for ``about``: what ``whereabouts`` of its backend says, else its name."""
    return json.dumps([name, *whereabouts]) if isinstance(whereabouts, tuple) else json.dumps([name])
