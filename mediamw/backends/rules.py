"""How a lower is read: for which keys it is asked at all, and how their bytes reach clients.

Plain data that stands with a backend and that the stack acts on; the backend itself does not know it. Patterns are
gitignore's, as pathspec reads them: ``*.svg`` at any depth, ``invoices/`` a folder, ``/a.jpg`` at the top only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypedDict, Unpack, cast, get_args

from ..core.errors import ConfigError, unknown_option
from ..core.keys import MAX_KEY_BYTES, Key

Delivery = Literal["redirect", "proxy", "pull"]
DELIVERIES: Final = get_args(Delivery)
PULL_TTL_SECONDS: Final = 3600.0
_NEVER = r"^!?\.{1,2}(?:/|$)|/\.{1,2}(?:/|$)|//|^!?/$"


class RuleOptions(TypedDict, total=False):
    """What every remote backend takes besides its own options.

    ``delivery``: ``redirect`` sends the client to the origin, ``proxy`` fetches the bytes for it, ``pull`` keeps a copy
    of them. ``delivery_by`` maps patterns to deliveries; the first that matches counts. ``exclude`` and ``only``:
    patterns of keys for which the backend is never asked, by nobody, and of those for which alone it is. ``check``
    False: clients are sent there without asking it first. ``pull_ttl``: for how many seconds a copy is believed without
    asking. ``pull`` ``"keep"``: what is pulled becomes a file of the first backend, for good.
    """

    delivery: Delivery | None
    delivery_by: Mapping[str, Delivery]
    exclude: Sequence[str]
    only: Sequence[str]
    check: bool
    pull_ttl: float
    pull: Literal["keep"] | None


class Rules:
    """The rules of one backend. ``default`` is its delivery if none is given; None leaves that to what it can do.

    ``owner``: the class of the backend, whose own options the error for an unknown one names too.
    ``longest_key_bytes``: for longer ones it need not be asked, since it cannot have them.

    Raises ``ConfigError`` that names the option.
    """

    def __init__(
        self,
        backend: str = "",
        *,
        default: Delivery | None = None,
        owner: type = object,
        longest_key_bytes: int = MAX_KEY_BYTES,
        **options: Unpack[RuleOptions],
    ) -> None:
        def patterns(option: Literal["exclude", "only"]) -> Callable[[str], bool] | None:
            given: Any = options.get(option, ())
            if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
                raise ConfigError(f"{option}: give a list of patterns, such as ['invoices/']", backend=backend)
            lines = list(given)
            return _matcher(option, lines, backend) if lines else None

        for option in options:  # a rule that is misspelt must not be no rule
            if option not in RuleOptions.__annotations__:
                import inspect

                own = [p.name for p in inspect.signature(owner).parameters.values() if p.kind is p.KEYWORD_ONLY]
                raise ConfigError(unknown_option(option, [*own, *RuleOptions.__annotations__]), backend=backend)
        delivery = options.get("delivery") or default
        by: Any = options.get("delivery_by") or {}
        if not isinstance(by, Mapping):
            raise ConfigError("delivery_by: give a mapping, such as {'*.svg': 'proxy'}", backend=backend)
        for option, value in (("delivery", delivery), *(("delivery_by", value) for value in by.values())):
            if value not in DELIVERIES and (option, value) != ("delivery", None):
                raise ConfigError(f"{option}: {value!r} is none of {', '.join(DELIVERIES)}", backend=backend)
        self.delivery: Final = delivery
        self.deliveries: Final = frozenset(cast("Iterable[Delivery]", by.values()))
        self._by = [(_matcher("delivery_by", [pattern], backend), value) for pattern, value in by.items()]
        self._exclude = patterns("exclude")
        self._takes_back = any(pattern.startswith("!") for pattern in options.get("exclude", ()))
        self._only = patterns("only")
        check: Any = options.get("check", True)
        if not isinstance(check, bool):
            raise ConfigError(f"check: {check!r} is neither True nor False", backend=backend)
        self.check: Final = check
        seconds: Any = options.get("pull_ttl", PULL_TTL_SECONDS)
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not 0 <= seconds < float("inf"):
            raise ConfigError(f"pull_ttl: {seconds!r} is not a number of seconds, 0 or more", backend=backend)
        self.pull_ttl: Final[float] = seconds
        pull: Any = options.get("pull")
        if pull not in (None, "keep"):
            raise ConfigError(f"pull: {pull!r} is not 'keep', and there is nothing else", backend=backend)
        if pull is not None and "pull" not in self.deliveries | {delivery}:
            raise ConfigError(
                "pull='keep' says what becomes of what delivery='pull' fetches: give both", backend=backend
            )
        self.keeps: Final = pull is not None
        self._longest = longest_key_bytes

    @property
    def has_patterns(self) -> bool:
        """True if there are keys for which the backend is not asked."""
        return self._exclude is not None or self._only is not None

    def lets(self, key: Key) -> bool:
        """Say whether the backend may be asked for ``key``."""
        if self._exclude is not None and self._exclude(key):
            return False
        return self._only is None or bool(self._only(key))  # older pathspecs return None for False

    def shows(self, folder: str) -> bool:
        """Say whether listings show a folder, whose name ends in ``/``: not one that ``exclude`` names.

        ``only``, and a pattern that takes back, may speak of something in it: it is shown, whatever that is.
        """
        return self._exclude is None or self._takes_back or not self._exclude(folder)

    def fits(self, key: Key) -> bool:
        """Say whether ``key`` is no longer than the backend's can be."""
        return self._longest >= MAX_KEY_BYTES or len(key.encode()) <= self._longest

    def delivery_of(self, key: Key, default: Delivery | None) -> Delivery | None:
        """Return how ``key`` is delivered: as the first pattern that matches says, else by ``default``."""
        for matches, delivery in self._by:
            if matches(key):
                return cast("Delivery", delivery)
        return default


def _matcher(option: str, patterns: list[Any], backend: str) -> Callable[[str], bool]:
    import pathspec  # not needed by those who give no pattern

    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern.strip() or pattern.lstrip().startswith("#"):
            raise ConfigError(
                f"{option}: {pattern!r} is not a pattern, such as '*.svg' or 'invoices/'", backend=backend
            )
        # What matches nothing, ever, would be a rule that is not kept.
        if not pattern.isprintable() or re.search(_NEVER, pattern):
            raise ConfigError(
                f"{option}: {pattern!r} matches no key: they have no control characters, no '//' and no '.' or '..' "
                "between slashes; '/a.jpg' is a.jpg at the top",
                backend=backend,
            )
    if all(pattern.startswith("!") for pattern in patterns):
        raise ConfigError(
            f"{option}: {patterns!r} matches no key: '!' takes back what a pattern before it matched", backend=backend
        )
    try:
        match: Callable[[str], bool] = pathspec.GitIgnoreSpec.from_lines(patterns).match_file
    except ValueError:  # pathspec's GitWildMatchPatternError among them
        raise ConfigError(f"{option}: one of {patterns!r} is not a gitignore pattern", backend=backend) from None
    return match


EVERY_KEY: Final = Rules()
"""The rules of a backend that has none."""
