"""The values that travel between the floors: what a client asked, what the stack found, what HTTP answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple, Protocol

from .keys import Key

REQUEST_HEADERS: Final = (
    "range",
    "if-none-match",
    "if-modified-since",
    "if-range",
    "if-match",
    "if-unmodified-since",
    "via",
)
"""The request headers that are read at all, ``via`` to find loops: a middleware hands over these and no others."""


@dataclass(frozen=True, slots=True)
class Request:
    """A GET or HEAD for a key.

    ``headers`` holds those of ``REQUEST_HEADERS`` that came: lower-case names, repeated lines joined with ``, ``.
    """

    method: str
    key: Key
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def via(self) -> str:
        """Through whom the request came."""
        return self.headers.get("via", "")

    @property
    def if_range(self) -> str:
        """The version of which a part is wanted, "" if none is, or if it is all the same."""
        return self.headers.get("if-range", "") if "range" in self.headers else ""

    def without_range(self) -> Request:
        """Return the request for the whole file."""
        headers = {name: value for name, value in self.headers.items() if name not in ("range", "if-range")}
        return Request(self.method, self.key, headers)


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known of a file without reading it.

    ``size`` in bytes, None if only reading tells; ``mtime_ns`` in nanoseconds since 1970, None if unknown; ``etag``
    with its quotes, as HTTP sends it, None if there is none; ``content_type`` None if only the name tells;
    ``content_encoding`` such as ``gzip``.
    """

    size: int | None
    mtime_ns: int | None = None
    etag: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None


class Slice(NamedTuple):
    """The bytes from ``start`` up to, not including, ``stop`` of the file that is held."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """The number of bytes (``len`` of a tuple is its items)."""
        return self.stop - self.start


class ToEnd(Enum):
    """The part of a body that is a whole file of unknown length."""

    TO_END = "to the end"


TO_END: Final = ToEnd.TO_END
Part = bytes | Slice | ToEnd


@dataclass(frozen=True, slots=True)
class Plan:
    """What HTTP says. ``body``: literal bytes and slices of the held file, which the middlewares send as they stand."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)  # a Location is a key to the file
    body: tuple[Part, ...] = ()


def body_length(body: Iterable[Part]) -> int | None:
    """Return the number of bytes of a plan's body; None if only reading tells."""
    length = 0
    for part in body:
        if part is TO_END:
            return None
        length += len(part) if isinstance(part, bytes) else part.length
    return length


class Handle(Protocol):
    """An open file: its bytes cannot be swapped for another file's while it is held.

    It may also have ``read_now(start, stop) -> bytes | None``, the bytes of a slice if reading waits for nothing (then
    ``chunks`` too is called for one piece at a time, anywhere), and ``fileno() -> int``, a descriptor at offset 0 for
    servers that send files themselves.
    """

    @property
    def meta(self) -> Meta:
        """What was true of the file when it was opened."""

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of a slice in pieces of at most 1 MiB. Ends early only if the file has become shorter."""

    def close(self) -> None:
        """Give back what the handle holds. May be called twice."""


@dataclass(frozen=True, slots=True)
class Held:
    """A backend has the key and its bytes can be read through ``handle``, which the receiver closes."""

    backend: str
    handle: Handle


@dataclass(frozen=True, slots=True)
class Redirect:
    """A backend has the key; clients fetch it at ``url`` until ``expires`` (seconds since 1970; None: for good)."""

    backend: str
    url: str = field(repr=False)  # a presigned URL is a secret for as long as it lives
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Hidden:
    """A whiteout hides the key: whatever the lowers have, here it was deleted."""

    backend: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Every backend was asked, and none has the key."""


Found = Held | Redirect | Hidden | Missing


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is answered with 404 by us, whoever else might have the key: ``reason`` is for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class Forbidden:
    """``authorize`` said 403."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Nobody has the key, and somebody cannot tell. ``retry_after`` in seconds."""

    reason: str
    retry_after: int = 10


Outcome = Found | Refused | Forbidden | Unavailable


class Pass:
    """The request is the wrapped app's. There is one, ``PASS``."""

    def __repr__(self) -> str:
        return "PASS"


PASS: Final = Pass()


class Look(NamedTuple):
    """What one backend said in one look-up, for ``Server-Timing`` and ``explain``.

    ``answer`` is ``found``, ``missing``, ``unavailable``, ``refused``, or ``not asked``; ``source`` is ``remembered``,
    ``listed`` (with its folder), ``stale``, ``pulled`` (a copy) or ``unchecked`` if nobody was asked for it; ``reason``
    says why, for people.
    """

    backend: str
    answer: str
    seconds: float = 0.0
    source: str = ""
    meta: Meta | None = None
    reason: str = ""
