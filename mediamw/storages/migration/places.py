"""Which storages can be moved from and to, and what a journal is told of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from os import PathLike, path, sep, walk
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...backends.base import Lists
from ...backends.local import LocalBackend
from ...backends.memory import MemoryBackend
from ...core.errors import ConfigError, NotWritable
from ...core.keys import refusal
from ...stack.stack import MediaStack

if TYPE_CHECKING:
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
        kind = type(opened.target.backends[0]).__name__
        raise ConfigError(
            f"to: {target!r} takes no files: its first backend, {kind}, only reads: name a storage whose first backend "
            "is a directory, or a bucket of yours with writable=true in its spec (WritableS3Backend in code)"
        ) from error
    to = getattr(opened.target.upper, "whereabouts", None)
    if source == target or opened.source.upper is opened.target.upper:
        raise ConfigError(
            f"from and to are the same storage, {target!r}: if remap() has one answered by the other, take that out"
        )
    for number, backend in enumerate(opened.source.backends):
        where = getattr(backend, "whereabouts", None)
        if not to or not where:  # it is not known
            continue
        if to == where and number == 0:
            raise ConfigError(f"from and to: {source!r} and {target!r} are the same place")
        if to != where and (to[: len(where)] == where or where[: len(to)] == to):
            raise ConfigError(f"from and to: one of {source!r} and {target!r} lies inside the other")
    for lower in opened.target.backends[1:]:
        if lower is opened.source.upper or _is_within(lower, opened.source.upper):
            raise ConfigError(
                f"from and to: the lower {lower.name!r} of {target!r} has the files of {source!r}, so that all would "
                f"seem to be there, and none be copied: move to a storage that has only the first backend of {target!r}"
            )
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


def unlisted_folders(stack: MediaStack) -> Iterator[tuple[str, str]]:
    """Yield the folders whose files no listing tells, each with the reason: links, which may lead in circles, and those
    that may not be read."""
    for backend in stack.backends:
        if isinstance(backend, LocalBackend):
            unread: list[OSError] = []
            for folder, names, _ in walk(backend.root, onerror=unread.append):
                for name in names:
                    key = _key_of(path.join(folder, name), backend)
                    if path.islink(path.join(folder, name)) and any(
                        entry.key == f"{key}/" for entry in backend.list(key, recursive=False)
                    ):
                        yield f"{key}/", _OF_A_LINK
            for error in unread:
                key = _key_of(str(error.filename), backend)
                if isinstance(error, PermissionError) and key not in (".", _OF_THE_DISK) and refusal(key) is None:
                    yield f"{key}/", "a folder that may not be read here, whatever is in it"


_OF_A_LINK: Final = "a link to a folder, whose files are served and not listed: put the folder itself in its place"
_OF_THE_DISK: Final = "lost+found"  # is at the root of a volume, and no folder of the site's


def _key_of(name: str, backend: LocalBackend) -> str:
    return path.relpath(name, backend.root).replace(sep, "/")


def check_shared(opened: Opened) -> None:
    """Refuse places that other processes do not have."""
    for backend in (*opened.source.backends, opened.target.upper):
        if isinstance(backend, MemoryBackend):
            raise ConfigError(f"executor: {backend.name!r} is in the memory of this process: have threads copy")


def check_numbers(**numbers: object) -> None:
    """Refuse what is no number of things."""
    for option, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ConfigError(f"{option}: {number!r} is not a whole number, 1 or more")


def _is_within(one: object, other: object) -> bool:
    """Say whether two backends have files in common, as far as it is known where those are."""
    here, there = (getattr(backend, "whereabouts", ()) for backend in (one, other))
    is_known = bool(here and there)
    return is_known and here[: len(there)] == there[: len(here)]


def _described(whereabouts: object, name: str) -> str:
    """Return the place of a storage as words for ``about``: what ``whereabouts`` of its backend says, else its name."""
    return json.dumps([name, *whereabouts]) if isinstance(whereabouts, tuple) else json.dumps([name])
