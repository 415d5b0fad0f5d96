"""Named storages from what a project or a deployment writes: a mapping, or variables of the environment.

It is all or nothing: what is faulty is told at once, with the ids of ``docs/configuration.md``; then no name of the
registry is another than before, and what was made is closed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from ..backends.memory import MemoryBackend
from ..core.errors import ConfigError, ConfigErrors, Fault
from ..settings.faults import NO_STORAGES, STORAGE
from ..settings.sources import of_variable
from ..settings.storage_stacks import close_made, stacks_of
from ..settings.storages import Link, Written, written_in_environment, written_in_mapping
from ..settings.template import NOT_SET
from ..specs import Scheme
from ..stack.stack import MediaStack
from .registry import Registry

_HOW: Final = "set MEDIAMW_STORAGES='local' and MEDIAMW_STORAGE_LOCAL_BACKENDS=./media"


def load(
    mapping: Mapping[str, Any], registry: Registry | None = None, *, schemes: Mapping[str, Scheme] | None = None
) -> Registry:
    """Configure the storages of ``mapping`` in ``registry``, without one in the process's own, and return it.

    ``mapping`` has ``storages``: for each name a spec, a backend, a list of these, a stack, or a table of
    ``backends`` and the options of a stack; and, if there are any, ``default``, ``aliases`` and ``remap``. Secrets of
    backends are read from the environment. ``schemes``: more kinds of specs, such as DEPOT's.
    Raises ``ConfigErrors``.
    """
    if not hasattr(mapping, "items"):
        form = "give {'storages': {'local': './media'}}"
        raise ConfigError(f"storages: {type(mapping).__name__} is no mapping: {form}")
    faults: list[Fault] = []
    written = written_in_mapping(mapping, faults)
    made = stacks_of(written, os.environ, faults, schemes=schemes)
    return _applied(written, made, faults, registry)


def load_environment(
    environ: Mapping[str, str] | None = None,
    registry: Registry | None = None,
    *,
    schemes: Mapping[str, Scheme] | None = None,
) -> Registry:
    """Configure the storages that ``MEDIAMW_STORAGES`` names, as ``load`` does.

    ``environ`` is by default the process's. Raises ``ConfigErrors``, also if no storages are named.
    """
    environ = os.environ if environ is None else environ
    if "MEDIAMW_STORAGES" not in environ:
        raise ConfigErrors([Fault(NO_STORAGES, "storages", NOT_SET, f"no storages are named: {_HOW}")])
    faults: list[Fault] = []
    written = written_in_environment(environ, faults)
    made = stacks_of(written, environ, faults, schemes=schemes, is_whole=True)
    return _applied(written, made, faults, registry)


def _applied(
    written: Written, made: Mapping[str, MediaStack], faults: list[Fault], registry: Registry | None
) -> Registry:
    """Have the registry have all that is written, or raise."""
    if registry is None:
        from . import registry as own

        registry = own
    try:
        with registry.changing() as draft:
            _configure(draft, written, made, faults)
            if faults:
                raise ConfigErrors(faults)
    except BaseException:
        close_made(written, made)
        raise
    return registry


def _configure(draft: Registry, written: Written, made: Mapping[str, MediaStack], faults: list[Fault]) -> None:
    """Do to ``draft`` what is written, and tell what cannot be done."""

    def tried(setting: str, source: str, change: Callable[[], object]) -> None:
        try:
            change()
        except ConfigError as error:
            faults.append(Fault(STORAGE, setting, source, error.reason))

    for name, source in written.storages.items():
        # One that is faulty has been told: what stands for it is not wrong too, and the draft will be thrown away.
        stack = made.get(name) or MediaStack([MemoryBackend()])
        where = next((value.source for value in source.values()), of_variable("MEDIAMW_STORAGES"))
        tried(f"storages.{name}", where, partial(draft.configure, name, stack))
    ordered, circular = _in_order(written.aliases, written.storages)
    for alias in circular:
        reason = f"alias: {alias.name!r} would point at itself, or at aliases that do, by way of {alias.target!r}"
        faults.append(Fault(STORAGE, f"aliases.{alias.name}", alias.source, reason))
    for alias in ordered:
        tried(f"aliases.{alias.name}", alias.source, partial(draft.alias, alias.name, alias.target))
    remap = {}
    for link in written.remap or ():
        before = len(faults)
        tried(f"remap.{link.name}", link.source, partial(draft.remap, {link.name: link.target}))
        if len(faults) == before:
            remap[link.name] = link.target
    if written.remap is not None:
        tried("remap", written.remap[0].source if written.remap else "", partial(draft.remap, remap))
    if written.default is not None:
        tried("default", written.default.source, partial(draft.set_default, written.default.target))


def _in_order(aliases: Sequence[Link], storages: Collection[str]) -> tuple[list[Link], list[Link]]:
    """Return the aliases so that one that points at another comes behind it, and those that end nowhere."""
    left, found = list(aliases), list[Link]()
    while True:
        names = {alias.name for alias in left}.difference(storages)  # whose names are no aliases, as will be told
        free = [alias for alias in left if alias.target not in names]
        if not free:
            return found, left
        found += free
        left = [alias for alias in left if alias not in free]
