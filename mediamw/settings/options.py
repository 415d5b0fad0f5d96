"""Every option that a setting can be: how its text is read, what it may be, and what it is by default.

Texts are those of environment variables. What a file or a mapping has is of its type already and only checked. The
checks are those of the middlewares and the stack, which name their option: here each is asked of one option alone, so
that all faults are found at once.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ..config import build_dotfiles, build_policy, check_authorize, check_prefix, check_switch
from ..core.errors import ConfigError
from ..stack.checks import check_base_url, check_budget, check_misses, check_names, check_seconds
from ..stack.origin_health import MISSES_A_MINUTE
from ..stack.pulled import PULL_BUDGET_BYTES
from ..stack.stack import DEADLINE_SECONDS, FOUND_TTL_SECONDS, MISSING_TTL_SECONDS, STALE_IF_ERROR_SECONDS

_SWITCHES: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def read_switch(text: str) -> bool:
    """Read a boolean of an environment variable. Raises ``ValueError`` that says what may be written."""
    if (value := _SWITCHES.get(text.lower())) is None:
        raise ValueError(f"{text!r} is neither true nor false: write 1 or 0, true or false, yes or no, on or off")
    return value


def _whole(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"{text!r} is not a whole number, 0 or more: write digits alone")
    return int(text)


def _bytes(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ValueError(f"{text!r} is not a whole number of bytes: write digits alone")
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        raise ValueError(f"{text!r} is not a number of seconds: write digits, such as 8 or 0.5")
    return float(text)


def read_words(text: str) -> list[str]:
    """Split by the rules of a shell, so that quoted words may hold blanks. ``#`` and ``;`` are characters as others."""
    import shlex

    try:
        return shlex.split(text)
    except ValueError:
        raise ValueError("a quote is opened and not closed, or '\\' is the last character: correct that") from None


def _types(text: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in read_words(text)]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError(f"{text!r}: write EXTENSION=TYPE, such as .usdz=model/usd, with blanks between them")
    return {extension: media_type for extension, _, media_type in pairs}


def load(value: Any) -> Any:
    """Return what ``module:name`` names; what is no text is returned as it is. Raises ``ConfigError``."""
    if not isinstance(value, str):
        return value
    if not _TARGET.fullmatch(value):
        raise ConfigError(f"{value!r}: give module:name, such as shop.media:may_see")
    module, _, name = value.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # the module's own, whatever it is: told with the other faults
        raise ConfigError(
            f"{value!r}: importing {module} raised {type(error).__name__}: see that `python -c 'import {module}'` works"
        ) from error
    for attribute in name.split("."):
        if not hasattr(found, attribute):
            raise ConfigError(f"{value!r}: {module} has no {name}: correct one of the two")
        found = getattr(found, attribute)
    return found


class Option(NamedTuple):
    """One setting."""

    read: Callable[[str], Any]
    check: Callable[[Any], object]
    default: object = None
    is_loaded: bool = False
    """True if it is a function, and ``module:name`` where there are only texts."""
    of_stack: bool = False


def _policy(option: str) -> Callable[[Any], object]:
    return lambda value: build_policy(**{option: value})


def _switch(option: str) -> Callable[[Any], object]:
    return lambda value: check_switch(option, value)


def _seconds(option: str, default: float) -> Option:
    return Option(_number, lambda value: check_seconds({option: value}), default, of_stack=True)


OPTIONS: Final[Mapping[str, Option]] = {
    "enabled": Option(read_switch, _switch("enabled"), True),
    "prefix": Option(str, check_prefix, "/media/"),
    "on_miss": Option(str, _policy("on_miss"), "app"),
    "placeholder": Option(str, _policy("placeholder")),
    "max_age": Option(_whole, _policy("max_age")),
    "redirect_max_age": Option(_whole, _policy("redirect_max_age")),
    "allow_dotfiles": Option(read_words, build_dotfiles, ()),
    "media_types": Option(_types, _policy("media_types")),
    "authorize": Option(str, lambda value: check_authorize(value, can_await=True), is_loaded=True),
    "add_headers": Option(str, _policy("add_headers"), is_loaded=True),
    "debug": Option(read_switch, _switch("debug"), False),
    "base_url": Option(str, check_base_url, of_stack=True),
    "found_ttl": _seconds("found_ttl", FOUND_TTL_SECONDS),
    "missing_ttl": _seconds("missing_ttl", MISSING_TTL_SECONDS),
    "stale_if_error": _seconds("stale_if_error", STALE_IF_ERROR_SECONDS),
    "deadline": _seconds("deadline", DEADLINE_SECONDS),
    "misses_a_minute": Option(_whole, check_misses, MISSES_A_MINUTE, of_stack=True),
    "names": Option(str, check_names, "suffix", of_stack=True),
    "pull_budget": Option(_bytes, check_budget, PULL_BUDGET_BYTES, of_stack=True),
}
"""All settings but ``backends``, in the order in which they are shown."""
