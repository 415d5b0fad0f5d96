"""Floor 2: the options that stand in a spec, or beside it: which there are, how their text is read, what is a secret.

What is wrong with the options of one spec is told at once: see ``ConfigError.parts``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from .backends.rules import DELIVERIES
from .core.errors import ConfigError, looks_like_a_name, unknown_option


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _seconds(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"{text!r}: give a whole number of seconds")
    return int(text)


def _verify(text: str) -> bool | str:
    return _switch(text) if text in ("true", "false") else text


Readers = Mapping[str, Callable[[str], Any]]
_LISTS: Final = ("exclude", "only")
_RULES: Final[Readers] = {
    **dict.fromkeys(("delivery", "delivery_by", "exclude", "only", "pull"), str),
    "check": _switch,
    "pull_ttl": _seconds,
}
HTTP_OPTIONS: Final[Readers] = {**_RULES, "verify": _verify}
S3_OPTIONS: Final[Readers] = {
    **HTTP_OPTIONS,
    **dict.fromkeys(("addressing_style", "custom_domain", "endpoint_url", "location", "profile"), str),
    **dict.fromkeys(("public_endpoint_url", "region"), str),
    **dict.fromkeys(("anonymous", "dualstack", "missing_on_403", "writable"), _switch),
    **dict.fromkeys(("url_life", "url_window"), _seconds),
}
SECRETS: Final[Mapping[str, tuple[str, ...]]] = {
    "s3": ("access_key_id", "secret_access_key", "session_token", "cloudfront_key_id", "cloudfront_key"),
    "http": ("username", "password", "headers"),
}
"""What is given beside the spec of a kind, and never in it."""

GIVEN: Final[Mapping[str, frozenset[str]]] = {
    "local": frozenset(("directory_mode", "exclude", "file_mode", "follow_links_to", "only")),
    "memory": frozenset(),
    "s3": frozenset((*S3_OPTIONS, *SECRETS["s3"], "proxies")),
    "http": frozenset((*HTTP_OPTIONS, *SECRETS["http"], "proxies")),
}
"""The options of each kind that may stand beside its spec."""
_NOT_IN_SPECS: Final = (
    ("cloudfront", "give S3Backend(..., cloudfront_key_id=..., cloudfront_key=...) in Python"),
    ("prox", "set HTTPS_PROXY, or give proxies={...} in Python"),
    ("username|password|passwd|headers", "give them to HTTPOriginBackend in Python"),
    ("secret|token|access.?key|credential|private", "use profile=NAME or the environment"),
)


def secrets_of(kind: str) -> tuple[str, ...]:
    """Return the secrets of a kind; what is called ``depot+s3`` takes those of ``s3``."""
    return SECRETS.get(kind.rpartition("+")[2], ())


class MisplacedSecret(ConfigError):
    """What is secret, or may be, stands in a spec. The text does not repeat it."""


def read_options(text: str, known: Readers, name: str, beside: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options in ``text`` and ``beside`` it. Raises ``ConfigError``."""
    from urllib.parse import parse_qsl

    options: dict[str, Any] = {}
    try:
        # A blank is %20: "+" is no form's here, and stands in names such as c++.
        pairs = parse_qsl(text.replace("+", "%2B"), keep_blank_values=True, strict_parsing=True) if text else []
    except ValueError:
        raise ConfigError("options are written option=value, with & between them", backend=name) from None
    wrong: list[ConfigError] = []
    for option, value in pairs:
        if option in known:
            try:
                _add(options, option, value, known[option])
            except ValueError as error:
                wrong.append(ConfigError(str(error), backend=name))
        # What looks like a secret comes first: the other text repeats it.
        elif (reason := refused_in_specs(option)) is not None:
            wrong.append(MisplacedSecret(reason, backend=name))
        else:
            wrong.append(ConfigError(unknown_option(option, sorted(known)), backend=name))
    wrong += [
        ConfigError(f"option {option} stands twice, in the spec and beside it", backend=name)
        for option in beside
        if option in options
    ]
    if wrong:
        raise ConfigError.of(wrong)
    return {**options, **beside}


def check_beside(kind: str, beside: Mapping[str, Any], name: str) -> None:
    """Refuse with ``ConfigError`` what is no option of this kind of backend."""
    known = sorted(GIVEN[kind])
    wrong = [unknown_option(option, known) for option in beside if option not in known]
    if wrong:
        raise ConfigError.of([ConfigError(reason, backend=name) for reason in wrong])


def refused_in_specs(option: str) -> str | None:
    """Return the way out if ``option`` is known, or looks like a secret, and may not stand in a spec."""
    for pattern, way_out in _NOT_IN_SPECS:
        if (found := re.search(pattern, option, re.IGNORECASE)) is not None:
            return f"{option if looks_like_a_name(option) else found[0]} does not belong into a spec; {way_out}"
    return None


def _add(options: dict[str, Any], option: str, text: str, read: Callable[[str], Any]) -> None:
    """Add an option as it is written to what the backend takes. Raises ``ValueError`` that says why not."""
    if not text:
        raise ValueError(f"option {option} has no value")
    if option in _LISTS:
        options.setdefault(option, []).append(text)
    elif option == "delivery_by":
        delivery, colon, pattern = text.partition(":")
        by = options.setdefault(option, {})
        if not colon or not pattern:
            raise ValueError(f"delivery_by: {text!r}: write DELIVERY:PATTERN, such as proxy:*.svg")
        if delivery not in DELIVERIES and pattern in DELIVERIES:
            raise ValueError(f"delivery_by: {text!r}: the delivery comes first: {pattern}:{delivery}")
        if pattern in by:
            raise ValueError(f"delivery_by: {pattern!r} stands twice")
        by[pattern] = delivery
    elif option in options:
        raise ValueError(f"option {option} stands twice")
    else:
        try:
            options[option] = read(text)
        except ValueError as error:
            raise ValueError(f"{option}: {error}") from None
