"""What DEPOT calls a file: a UUID. Nothing else is a key of its storages, and so no id is ever a path."""

from __future__ import annotations

import re
from typing import Final

_ID: Final = re.compile(r"[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}")


def is_file_id(text: str) -> bool:
    """Say whether ``text`` is a UUID, with its dashes or without, letter for letter what a file is stored under."""
    return _ID.fullmatch(text) is not None
