"""DEPOT's tests of what a column of files holds."""

from __future__ import annotations

from .loader import cases

globals().update(cases("test_fields_basic"))
