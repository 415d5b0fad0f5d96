"""In whose name an origin is asked: the Via header of the client's request, of which the entries of mediamw go on.

They are what ends a circle of sites that stand behind each other (``http_origin.py``).
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

VIA: Final[ContextVar[str]] = ContextVar("mediamw.backends.via.VIA", default="")
"""The Via header of the client's request in whose name a backend is asked; "" if there is none.

To be set on the thread that calls ``open``, ``read_range`` or ``read_whole``. Of it the entries of mediamw are sent on,
and no others: they are what ends a circle, and the rest is nobody's business there.
"""


def our_entries(via: str) -> list[str]:
    """Return the entries of mediamw in a Via header."""
    return re.findall(r"\bmediamw-[0-9a-f]{12}\b", via)


def sites_of(via: str) -> str:
    """Return the entries of mediamw in a Via header, each once; "" for most requests."""
    return ", ".join(dict.fromkeys(our_entries(via))) if via else ""
