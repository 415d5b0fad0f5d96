"""Named storages, as they are written, to stacks; all faults of all of them are told.

A storage's backends, its options and its secrets are read as those of a middleware are, by ``Settings``.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.errors import ConfigErrors, Fault
from ..specs import Scheme
from ..stack.stack import MediaStack
from .backends import kinds_of
from .faults import NO_BACKENDS
from .reading import Settings
from .secrets import Secrets, secrets_for, variables_of
from .sources import OF_BACKENDS, Value, from_environment, from_file
from .storages import Written
from .template import template_items


def stacks_of(
    written: Written,
    environ: Mapping[str, str],
    faults: list[Fault],
    *,
    schemes: Mapping[str, Scheme] | None = None,
    is_whole: bool = False,
) -> dict[str, MediaStack]:
    """Make the stacks; those that are wrong are told in ``faults``, and left out.

    Secrets are taken from ``environ``. ``is_whole``: these storages, and the settings of a middleware, are all that it
    speaks of, so that a secret of any other backend is a fault.
    """
    made: dict[str, MediaStack] = {}
    kinds: dict[str, str] = {}
    taken: set[str] = set()
    before = len(faults)
    for name, source in written.storages.items():
        if "backends" not in source:  # which has been told
            without = {**source, "backends": Value([], "")}
            other = Settings([without], (), {}, is_served=False).faults
            faults += [_of(fault, name) for fault in other if fault.id != NO_BACKENDS]
            continue
        own = {variable for backend, kind in kinds_of(source["backends"]) for variable in variables_of(backend, kind)}
        kinds |= {backend: kind for backend, kind in kinds_of(source["backends"]) if kind or backend not in kinds}
        taken |= own
        secrets = {variable: text for variable, text in environ.items() if variable in own}
        try:
            made[name] = Settings([source], (), secrets, schemes, is_served=False).stack()
        except ConfigErrors as error:
            faults += [_of(fault, name) for fault in error.faults]
    if len(faults) == before:  # else a backend that could not even be read would seem not to be there
        theirs = environ if is_whole else secrets_for(kinds, environ)
        left = {name: text for name, text in theirs.items() if name.startswith(OF_BACKENDS) and name not in taken}
        Secrets(left, list(kinds), faults).tell_unused(kinds, _elsewhere(environ) if is_whole else ())
    return made


def close_made(written: Written, made: Mapping[str, MediaStack]) -> None:
    """Close the stacks that were made, not those that were given."""
    for name, stack in made.items():
        if written.storages[name]["backends"].value is not stack:
            stack.close()


def _of(fault: Fault, storage: str) -> Fault:
    return fault._replace(setting=f"storages.{storage}.{fault.setting}")


def _elsewhere(environ: Mapping[str, str]) -> set[str]:
    """Return the names of the backends that a middleware has by the same environment."""
    listed = [source.get("backends") for source in (from_environment(environ, []), from_file(environ, []))]
    of_template = {item.name for item in template_items(environ, [])}
    return of_template.union(*({name for name, _ in kinds_of(value)} for value in listed))
