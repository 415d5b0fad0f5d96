"""DEPOT's tests of its manager."""

from __future__ import annotations

from .loader import cases

globals().update(cases("test_depot_manager"))
