"""Whether backends and options make a stack. Every fault is a ``ConfigError`` that names what to change."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from os import PathLike
from typing import Any, cast, get_args

from ..backends.base import Backend, HoldsCopies, Puts, ReadsRanges, Signs
from ..backends.local_put import HAS_LOCKS
from ..backends.rules import EVERY_KEY, Delivery, Rules
from ..core.errors import ConfigError
from ..core.names import NamePolicy


def check_backends(backends: Any) -> tuple[Backend, ...]:
    """Return the backends of a stack, first to last."""
    if not isinstance(backends, (list, tuple)) or not backends:
        raise ConfigError(f"backends: give a list with at least one backend, not {backends!r}")
    for number, backend in enumerate(backends, 1):
        if isinstance(backend, (str, PathLike)):
            raise ConfigError(f"backends: item {number} is a spec: mediamw.build_stack takes them")
        if not callable(getattr(backend, "open", None)) or not isinstance(getattr(backend, "name", None), str):
            raise ConfigError(
                f"backends: item {number} is {backend!r}, which is no backend (it has no open or no name)"
            )
    names = [backend.name for backend in backends]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"backends: {names.count(name)} of them are named {name!r}; give each a name of its own")
    for backend in backends[1:]:
        if getattr(backend, "is_only_first", False):
            raise ConfigError(
                "writable: the first backend takes all writes, and the others are read-only: leave it out",
                backend=backend.name,
            )
    for backend in backends:
        _check_rules(backend, backends[0], is_last=backend is backends[-1])
    _check_places(backends)
    return tuple(backends)


def rules_of(backend: Backend) -> Rules:
    """Return the rules that stand with ``backend``; by default it is asked for every key."""
    rules = getattr(backend, "rules", EVERY_KEY)
    return rules if isinstance(rules, Rules) else EVERY_KEY


def holds_copies(upper: Backend) -> bool:
    """Say whether copies of the lowers' files can be kept in ``upper``."""
    return isinstance(upper, HoldsCopies) and HAS_LOCKS


def delivery_of(backend: Backend) -> tuple[Delivery | None, frozenset[Delivery]]:
    """Return how a backend's files are delivered if no pattern says so, and all the ways that occur.

    None, and no way, if they are at hand.
    """
    signs = isinstance(backend, Signs)
    if not signs and not isinstance(backend, ReadsRanges):
        return None, frozenset()
    rules = rules_of(backend)
    default: Delivery = rules.delivery or ("redirect" if signs else "proxy")
    return default, rules.deliveries | {default}


def check_base_url(base_url: Any) -> str | None:
    """Return what ``url`` puts before a key."""
    if isinstance(base_url, str) and "@" in base_url.partition("//")[2].partition("/")[0]:  # not repeated
        raise ConfigError("base_url: user and password do not belong into a URL that everybody sees: leave them out")
    if base_url is not None and not (isinstance(base_url, str) and base_url.endswith("/")):
        raise ConfigError(f"base_url: {base_url!r} must end with '/', such as /media/")
    if base_url is not None and not re.fullmatch(r"[!$-;=@-~]*", base_url):
        raise ConfigError(f"base_url: {base_url!r} holds characters that a URL has to quote, a query or a fragment")
    return base_url


def check_names(names: Any) -> NamePolicy:
    """Return what to do with a name that is taken."""
    if names not in get_args(NamePolicy):
        raise ConfigError(f"names: {names!r} is none of {', '.join(get_args(NamePolicy))}")
    return cast("NamePolicy", names)


def check_seconds(options: Mapping[str, Any]) -> None:
    """Refuse what is no number of seconds."""
    for option, seconds in options.items():
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 <= seconds < float("inf"):
            raise ConfigError(f"{option}: {seconds!r} is not a number of seconds, 0 or more")


def check_misses(number: Any) -> int:
    """Return how many misses a minute there may be."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ConfigError(f"misses_a_minute: {number!r} is not a whole number, 1 or more")
    return number


def check_budget(number: Any) -> int:
    """Return how many bytes copies may have in all."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ConfigError(f"pull_budget: {number!r} is not a whole number of bytes, 1 or more")
    return number


def check_max_bytes(number: Any) -> int:
    """Return how many bytes a file may have."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ConfigError(f"max_bytes: {number!r} is not a whole number of bytes, 0 or more")
    return number


def _check_places(backends: Sequence[Backend]) -> None:
    """Refuse two backends of the same files, and an upper that holds or lies inside a lower: uploads would be in both.

    ``whereabouts`` says where a backend's files are, outermost folder first; those without it are anywhere. ``reaches``
    says the same of the directories that its links may lead into.
    """
    if isinstance(backends[0], Puts):
        for lower in backends[1:]:
            _check_links(backends[0], lower)
    for first, second in combinations(backends, 2):
        one, other = (getattr(backend, "whereabouts", ()) for backend in (first, second))
        if not one or not other or one[: len(other)] != other[: len(one)]:
            continue
        if len(one) == len(other):
            reason = f"it has the same files as {first.name!r}: leave one of them out"
        elif first is backends[0] and isinstance(first, Puts):
            inside, around = (second, first) if len(other) > len(one) else (first, second)
            reason = (
                f"{inside.name!r} lies inside {around.name!r}, and {first.name!r} takes all uploads, which would be in "
                "both: give one of them a place beside the other"
            )
        else:
            continue
        raise ConfigError(reason, backend=second.name)


def _check_links(upper: Backend, lower: Backend) -> None:
    """Refuse links by which an upload or a delete would reach a file of a lower."""
    roots = tuple(getattr(backend, "whereabouts", ()) for backend in (upper, lower))
    theirs, others = (
        (root, *getattr(backend, "reaches", ())) for root, backend in zip(roots, (upper, lower), strict=True)
    )
    for pair in product(theirs, others):
        one, other = sorted(pair, key=len)
        if one and pair != roots and other[: len(one)] == one:
            raise ConfigError(
                f"follow_links_to: by a link uploads to {upper.name!r} and deletes there could reach files of "
                f"{lower.name!r}, {'/'.join(other[1:])!r}: leave that directory out",
                backend=upper.name,
            )


def _check_rules(backend: Backend, first: Backend, *, is_last: bool) -> None:
    rules, name = rules_of(backend), backend.name
    deliveries = delivery_of(backend)[1]
    if backend is first and rules.has_patterns and isinstance(backend, Puts):
        raise ConfigError("exclude, only: the first backend takes all uploads, so it has all keys", backend=name)
    if not deliveries:
        if rules.delivery is not None or rules.deliveries or not rules.check:
            raise ConfigError("delivery, check: its files are at hand, so there is nothing to choose", backend=name)
        return
    if "redirect" in deliveries and not isinstance(backend, Signs):
        raise ConfigError("delivery 'redirect': the backend makes no URLs, so nobody can be sent there", backend=name)
    for delivery in sorted(deliveries - {"redirect"}):
        if not isinstance(backend, ReadsRanges):
            raise ConfigError(f"delivery {delivery!r}: the backend cannot be read from here", backend=name)
    if "pull" in deliveries and not holds_copies(first):
        raise ConfigError(
            "delivery 'pull': copies are kept in the first backend, which has to be a directory of a system with locks "
            "for files: put ./media, LocalBackend('media'), before it, or take delivery 'proxy'",
            backend=name,
        )
    if not rules.check and (deliveries != {"redirect"} or not is_last):
        raise ConfigError(
            "check=False: it is for the last backend, and with delivery 'redirect' alone: nothing is known of a file "
            "that nobody asked for",
            backend=name,
        )
