"""Hangs all of it on SQLAlchemy, once for the process."""

from __future__ import annotations

from functools import cache

from . import bulk, tracking, transactions


@cache
def set_up() -> None:
    """Listen to all mapped classes and all sessions; again is once."""
    tracking.set_up()
    transactions.set_up()
    bulk.set_up()
