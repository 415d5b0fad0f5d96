"""Where we differ from DEPOT on purpose: tests of DEPOT's that must fail with us, and the reason of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXPECTED_DIFFERENCES: Final[Mapping[str, str]] = {}
"""``file.class.test`` to the reason."""
