"""What a stack logs: a line about a subject at most once a minute, and for each of its first few causes."""

from __future__ import annotations

import logging
import re
import time
from typing import Final

log = logging.getLogger("mediamw")

SAID_SECONDS: Final = 60.0
MAX_CAUSES: Final = 5
"""How many causes of one trouble are logged in a minute."""


class Sayings:
    """What one stack has said lately."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, float]] = {}

    def say(self, subject: str, text: str, cause: str = "") -> None:
        """Log a warning: at most once a minute for each ``subject``, or for each of its first few causes."""
        now = time.monotonic()
        said = {other: at for other, at in self._said.get(subject, {}).items() if now - at < SAID_SECONDS}
        cause = re.sub("[0-9]+", "", cause)  # seconds and ports are no other cause
        if cause not in said and len(said) < MAX_CAUSES:
            self._said[subject] = {**said, cause: now}
            log.warning("%s", text)
