"""The unit of work: a batch of files. It may be done by a thread, by another process, or on another machine.

What goes there and comes back can be pickled. A stack cannot: a process makes its own, once, by calling the loader that
is named in ``Place``. Only who gave out the work writes the journal.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple

from ...core.errors import ConfigError
from ...stack.stack import MediaStack
from ..registry import Registry
from .copying import CopyOptions, Item, Result, copy_file
from .places import about_journal

Loader = Callable[[], Registry]
"""Makes the registry, or finds the process's own: a function at the top of a module, or a ``partial`` of one."""


class Place(NamedTuple):
    """From where to where: for a process that has to make the stacks."""

    loader: Loader
    source: str
    target: str
    upper_only: bool
    about: tuple[tuple[str, str], ...]
    """Where these are for who gave out the work, as the journal has it: elsewhere a name may be another place."""


class Opened(NamedTuple):
    """From where to where: for threads, which share the stacks."""

    source: MediaStack
    target: MediaStack

    @classmethod
    def of(cls, registry: Registry, source: str, target: str, *, upper_only: bool) -> Opened:
        """Find the two. ``upper_only``: the source is what the first backend of its stack has."""
        stack = registry.get(source)
        if upper_only and len(stack.backends) > 1:
            stack = MediaStack([stack.upper])
        return cls(stack, registry.get(target))


_opened: dict[bytes, Opened] = {}
_opening = Lock()


def copy_batch(place: Place | Opened, items: Sequence[Item], options: CopyOptions) -> list[Result]:
    """Copy some files and say what became of each, in their order. Raises what the loader raises."""
    opened = place if isinstance(place, Opened) else _opened_here(place)
    return [_copied(opened, item, options) for item in items]


def _copied(opened: Opened, item: Item, options: CopyOptions) -> Result:
    try:
        return copy_file(opened.source, opened.target, item, options)
    except Exception as error:  # noqa: BLE001 - a backend of others may raise anything; the rest is copied all the same
        return Result(item.key, "failed", reason=f"{type(error).__name__}: {error}")


def _opened_here(place: Place) -> Opened:
    """Return the stacks of this process. Keyed by the text of ``place``: each message brings another object."""
    text = pickle.dumps(place)
    with _opening:
        if text not in _opened:
            opened = Opened.of(place.loader(), place.source, place.target, upper_only=place.upper_only)
            about = about_journal(place.source, place.target, opened, upper_only=place.upper_only)
            for name, where in place.about:
                if about[name] != where:
                    raise ConfigError(
                        f"executor: to a worker the {name} is {about[name]}, and not {where}: name the same place for "
                        "both, a directory by its whole path"
                    )
            _opened[text] = opened
        return _opened[text]
