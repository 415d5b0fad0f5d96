"""A stack of specs that stand in code, with the secrets of the environment: what ``mediamw.build_stack`` is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Unpack

from ..backends.base import Backend
from ..core.errors import ConfigError, ConfigErrors, Fault, unknown_option
from ..specs import Scheme, Spec, build_backends, kind_of, named
from ..stack.stack import MediaStack, StackOptions
from .backends import close_all, names_of
from .secrets import Secrets, secrets_for


def build_stack(specs: Sequence[Spec], **options: Unpack[StackOptions]) -> MediaStack:
    """Make the stack of ``specs``, first to last; backends that are made already may stand among them.

    Unnamed ones are called ``local``, ``s3``, ``http``, ``memory``; a second one of a kind ``s3_2``. Of mediamw's
    variables their secrets count, ``MEDIAMW_BACKEND_<NAME>_...``, and no others. ``options`` are those of
    ``MediaStack``. Raises ``ConfigError``, for faults of those variables ``ConfigErrors``.
    """
    return stack_of(specs, options)


def stack_of(specs: Sequence[Spec], options: StackOptions, schemes: Mapping[str, Scheme] | None = None) -> MediaStack:
    """Do what ``build_stack`` does; ``schemes`` are the kinds of specs that an integration has beside ours."""
    for option in options:
        if option not in StackOptions.__annotations__:
            raise ConfigError(unknown_option(option, list(StackOptions.__annotations__)))
    listed = list(specs) if isinstance(specs, (list, tuple)) else specs
    names, faults = names_of(listed), list[Fault]()
    secrets = Secrets(secrets_for(names, os.environ), names, faults)

    def given(name: str, kind: str) -> Mapping[str, Any]:
        return {option: value for option, (value, _) in secrets.of(name, kind, {}).items()}

    backends: list[Backend] = build_backends(listed, given, schemes)
    try:
        secrets.tell_unused(
            {name: kind_of(spec) if isinstance(spec, (str, PathLike)) else "" for name, spec in named(list(listed))},
            (),
        )
        if faults:
            raise ConfigErrors(faults)
        return MediaStack(backends, **options)
    except ConfigError:
        close_all(backend for backend, spec in zip(backends, listed, strict=True) if backend is not spec)
        raise
