"""A site as a backend (in the making)."""

from contextvars import ContextVar

VIA: ContextVar[str] = ContextVar("mediamw.VIA", default="")
