"""Dates as DEPOT has them, UTC without saying so, and the name by which a file is saved."""

from __future__ import annotations

from datetime import datetime, timezone
from urllib.parse import quote

from ...core.disposition import content_disposition


def utcnow_naive() -> datetime:
    """Return the time now in UTC, without a time zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None)  # noqa: UP017 - who patches datetime patches all it needs


def utcfromtimestamp_naive(ts: float) -> datetime:
    """Return the time ``ts``, in seconds since 1970, in UTC, without a time zone."""
    return datetime.fromtimestamp(ts, timezone.utc).replace(tzinfo=None)  # noqa: UP017 - as above


def make_content_disposition(disposition: str, fname: str) -> str:
    """Return the header that says how to show a file, ``inline`` or ``attachment``, and what to call it."""
    _, _, names = content_disposition(fname).partition(";")
    return f"{disposition};{names}"


def percent_encoded(filename: str) -> str:
    """Return a file name as it stands in headers: DEPOT's metadata of objects."""
    return quote(filename, safe="!#$&+-.^_`|~", errors="replace")
