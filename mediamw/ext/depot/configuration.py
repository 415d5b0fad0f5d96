"""From a configuration as DEPOT has it, ``{"depot.backend": ..., "depot.storage_path": ...}``, to a storage.

1. Without ``depot.backend`` it is a directory, ``depot.storage_path``. DEPOT's own classes are ours: the text
   ``depot.io.local.LocalFileStorage`` names that of ``mediamw.ext.depot``. Another dotted name is a class of the
   user's, of which no more is asked than DEPOT's six methods.
2. ``depot.backends`` in its place is a list of specs, first to last, as text divided by blanks; beside it stand the
   options of a ``MediaStack``, their texts as in the environment.
3. An option that nobody reads is an error: a misspelt ``depot.storage_path`` must not write elsewhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from os import PathLike
from typing import Any, Final

from ...core.errors import ConfigError, unknown_option
from ...settings.options import OPTIONS, load, read_words
from ...settings.stacks import stack_of
from ...stack.stack import MediaStack
from .errors import DepotError
from .foreign import ForeignStorage
from .specs import SCHEMES

DEFAULT_BACKEND: Final = "depot.io.local.LocalFileStorage"
_OURS: Final = ("depot.io.awss3", "depot.io.boto3", "depot.io.local", "depot.io.memory")
_NOT_OURS: Final = {
    "depot.io.gridfs": "files are not kept in MongoDB here",
    "depot.io.gcs": "Google's storage has an S3 endpoint: depot.io.boto3.S3Storage with host https://storage.googleapis.com",
}
_METHODS: Final = ("create", "delete", "exists", "get", "list", "replace")


def storage_of(config: Mapping[str, Any] | None, prefix: str) -> Any:
    """Return the storage that the options of ``config`` with this prefix tell of. Raises ``ConfigError``."""
    options = {name[len(prefix) :]: value for name, value in (config or {}).items() if name.startswith(prefix)}
    if "backends" in options:
        if "backend" in options:
            raise DepotError(f"{prefix}backends stands beside {prefix}backend: leave one of them out")
        from .io.interfaces import FileStorage

        return FileStorage(_layered(options, prefix))
    backend = options.pop("backend", DEFAULT_BACKEND)
    return _made(_class_of(backend, prefix), options, backend, prefix)


def stack_beneath(storage: Any, name: str) -> MediaStack:
    """Return the stack of a storage; of one that is no ``FileStorage`` of ours one that can be read from."""
    stack = getattr(storage, "stack", None)
    return stack if isinstance(stack, MediaStack) else MediaStack([ForeignStorage(storage, name=name)])


def _layered(options: dict[str, Any], prefix: str) -> MediaStack:
    specs = options.pop("backends")
    known = [name for name, option in OPTIONS.items() if option.of_stack]
    given: dict[str, Any] = {}
    try:
        for name, value in options.items():
            if name not in known:
                raise DepotError(unknown_option(prefix + name, [prefix + other for other in known], start=prefix))
            given[name] = OPTIONS[name].read(value) if isinstance(value, str) else value
            OPTIONS[name].check(given[name])
        name = "backends"
        if isinstance(specs, str):
            specs = read_words(specs)
        elif isinstance(specs, PathLike) or callable(getattr(specs, "open", None)):
            specs = [specs]
        if not specs:
            raise DepotError(f"{prefix}backends: it is empty: name at least one, depot:./depot")
        return stack_of(specs, given, SCHEMES)  # type: ignore[arg-type]  # checked, by name and by value
    except DepotError:
        raise
    except (ValueError, ConfigError) as error:
        raise DepotError(f"{prefix}{name}: {error}") from error


def _class_of(backend: object, prefix: str) -> type:
    if not isinstance(backend, str) or "." not in backend:
        raise DepotError(f"{prefix}backend: {backend!r} is no dotted name of a class, such as {DEFAULT_BACKEND}")
    module, _, name = backend.rpartition(".")
    if module in _NOT_OURS:
        raise DepotError(f"{prefix}backend: there is no {backend}: {_NOT_OURS[module]}")
    if module in _OURS:
        module = f"{__package__}.{module.removeprefix('depot.')}"
    elif module == "depot" or module.startswith("depot."):
        raise DepotError(f"{prefix}backend: {unknown_option(module, _OURS, 'module', 'depot.io.')}")
    try:
        found = load(f"{module}:{name}")
    except ConfigError as error:
        raise DepotError(f"{prefix}backend: {backend!r}: {error.reason.partition(': ')[2]}") from error
    lacking = [method for method in _METHODS if not callable(getattr(found, method, None))]
    if not isinstance(found, type) or lacking:
        raise DepotError(f"{prefix}backend: {backend!r} is no class of a storage: it lacks {', '.join(lacking)}")
    return found


def _made(cls: type, options: dict[str, Any], backend: str, prefix: str) -> Any:
    parameters = inspect.signature(cls).parameters.values()
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    known = [prefix + one.name for one in named]
    if not any(one.kind is one.VAR_KEYWORD for one in parameters):
        for option in options:
            if prefix + option not in known:
                said = unknown_option(prefix + option, known, start=prefix) if known else f"unknown option {option!r}"
                raise DepotError(f"{said} ({backend})")
    lacking = [prefix + one.name for one in named if one.default is one.empty and one.name not in options]
    if lacking:
        raise DepotError(f"{', '.join(lacking)}: {backend} needs it, and it is not given")
    return cls(**options)
