"""The values that travel between the floors: what a client asked, what the stack found, what HTTP answers.

Named tuples, not dataclasses: these are made twice as fast, with each request and when mediamw is imported. What holds
a secret is neither (``Secretive``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
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


class Request(NamedTuple):
    """A GET or HEAD for a key.

    ``headers`` holds those of ``REQUEST_HEADERS`` that came: lower-case names, repeated lines joined with ``, ``.
    """

    method: str
    key: Key
    headers: Mapping[str, str] = MappingProxyType({})

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


class Meta(NamedTuple):
    """What is known of a file without reading it.

    ``size`` in bytes, None if only reading tells; ``mtime_ns`` in nanoseconds since 1970, None if unknown; ``etag``
    with its quotes, as HTTP sends it, None if there is none; ``content_type`` None if only the name tells;
    ``content_encoding`` such as ``gzip``; ``filename``: what it was called where it came from, None if its key tells.
    """

    size: int | None
    mtime_ns: int | None = None
    etag: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    filename: str | None = None


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


class Plan(NamedTuple):
    """What HTTP says. ``body``: literal bytes and slices of the held file, which the middlewares send as they stand."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: tuple[Part, ...] = ()

    def __repr__(self) -> str:
        return f"Plan(status={self.status!r}, body={self.body!r})"  # a Location is a key to the file


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


class Held(NamedTuple):
    """A backend has the key and its bytes can be read through ``handle``, which the receiver closes."""

    backend: str
    handle: Handle


class Secretive:
    """A value that holds secrets. No tuple: of those, error reporters (Sentry) show the items, whatever the repr."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._items() == other._items()

    def __hash__(self) -> int:
        return hash(self._items())

    def _items(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


class Redirect(Secretive):
    """A backend has the key; clients fetch it at ``url`` until ``expires`` (seconds since 1970; None: for good)."""

    __slots__ = ("backend", "expires", "url")

    def __init__(self, backend: str, url: str, expires: float | None = None) -> None:
        self.backend = backend
        self.url = url
        self.expires = expires

    def __repr__(self) -> str:
        # A presigned URL is a secret for as long as it lives.
        return f"Redirect(backend={self.backend!r}, expires={self.expires!r})"


class Hidden(NamedTuple):
    """A whiteout hides the key: whatever the lowers have, here it was deleted."""

    backend: str


class _Nothing:
    """A value that says no more than what it is; an empty tuple would be false."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Missing(_Nothing):
    """Every backend was asked, and none has the key."""

    __slots__ = ()


Found = Held | Redirect | Hidden | Missing


class Refused(NamedTuple):
    """The request is answered with 404 by us, whoever else might have the key: ``reason`` is for the log."""

    reason: str


class Forbidden(_Nothing):
    """``authorize`` said 403."""

    __slots__ = ()


class Unavailable(NamedTuple):
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
