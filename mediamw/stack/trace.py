"""What was seen on the way to an answer, for people: ``stack.explain``, ``mediamw explain``, the log at debug level.

No secret stands in here: of a URL the query is left out, since that holds its signature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from ..core.errors import BackendUnavailable, InvalidKey, MediaError, NotServable
from ..core.model import Found, Held, Hidden, Look, Redirect

Said = Literal["held", "redirect", "hidden", "missing", "unavailable", "refused", "not servable", "forbidden"]


class Trace:
    """Is told what happens while a key is looked up. ``said`` is None until that is known."""

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.said: Said | None = None
        self.backend = ""
        self.url = ""
        self.reason = ""

    def found(self, found: Found) -> None:
        """Take down what the stack has."""
        self.reason = ""
        if isinstance(found, Held):
            self.said, self.backend = "held", found.backend
        elif isinstance(found, Redirect):
            self.said, self.backend, self.url = "redirect", found.backend, redacted(found.url)
        elif isinstance(found, Hidden):
            self.said, self.backend = "hidden", found.backend
        else:
            self.said = "missing"

    def failed(self, error: MediaError) -> None:
        """Take down why the stack has no answer, or must not have one."""
        if isinstance(error, BackendUnavailable):
            self.said = "unavailable"
        else:
            self.said = "not servable" if isinstance(error, NotServable) else "refused"
        self.backend, self.reason = error.backend, error.reason


class Explanation(NamedTuple):
    """Why a key is answered as it is. ``str()`` prints it; ``as_dict()`` is for JSON.

    ``said`` is what the stack says of the key. ``status`` is None if the wrapped app answers, or if no middleware was
    asked; ``url`` is where clients are sent, without its signature.
    """

    key: str
    said: Said
    backend: str
    reason: str
    looks: tuple[Look, ...]
    url: str = ""
    status: int | None = None

    @classmethod
    def of(cls, key: str, trace: Trace, status: int | None = None) -> Explanation:
        """Make it from what was taken down."""
        said = trace.said or "unavailable"
        return cls(key, said, trace.backend, trace.reason, tuple(trace.looks), trace.url, status)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data: seconds are floats, absent values None."""
        return {
            "key": self.key,
            "said": self.said,
            "backend": self.backend or None,
            "reason": self.reason or None,
            "status": self.status,
            "location": self.url or None,
            "backends": [
                {
                    "name": look.backend,
                    "answer": look.answer,
                    "seconds": round(look.seconds, 6),
                    "source": look.source or None,
                    "reason": look.reason or None,
                    "size": None if look.meta is None else look.meta.size,
                    "content_type": None if look.meta is None else look.meta.content_type,
                    "etag": None if look.meta is None else look.meta.etag,
                }
                for look in self.looks
            ],
        }

    def __str__(self) -> str:
        width = max((len(look.backend) for look in self.looks), default=0)
        lines = [f"{self.key!r}", *(f"  {look.backend:<{width}}  {_line(look)}" for look in self.looks)]
        by = f" by backend {self.backend!r}" if self.backend else ""
        answer = "" if self.status is None else f": {self.status}"
        where = f" {self.url}" if self.url else ""
        # What a backend said stands in its line already.
        told = self.reason in (look.reason for look in self.looks)
        why = f" ({self.reason})" if self.reason and not told else ""
        return "\n".join([*lines, f"  -> {self.said}{by}{answer}{where}{why}"])


def explained(key: str, find: Callable[[Trace], Found]) -> Explanation:
    """Run ``find`` and say what it saw; what it holds is closed."""
    trace = Trace()
    try:
        found = find(trace)
        trace.found(found)
        if isinstance(found, Held):
            found.handle.close()
    except (BackendUnavailable, NotServable, InvalidKey) as error:
        trace.failed(error)
    return Explanation.of(key, trace)


def redacted(url: str) -> str:
    """Return ``url`` with what its query says left out."""
    path, mark, _ = url.partition("?")
    return f"{path}?..." if mark else path


def _line(look: Look) -> str:
    parts = [f"{look.answer:<11}", f"{look.seconds * 1000:9.3f} ms" if look.answer != "not asked" else ""]
    if look.source:
        parts.append(look.source)
    if look.meta is not None:
        parts.append(_meta_text(look))
    if look.reason:
        parts.append(look.reason)
    return "  ".join(part for part in parts if part)


def _meta_text(look: Look) -> str:
    meta = look.meta
    assert meta is not None
    size = "unknown length" if meta.size is None else f"{meta.size:,} bytes"
    texts: Sequence[str | None] = (size, meta.content_type, meta.etag)
    return ", ".join(text for text in texts if text)
