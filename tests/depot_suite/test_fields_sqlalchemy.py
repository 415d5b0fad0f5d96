"""DEPOT's tests of its column for SQLAlchemy."""

from __future__ import annotations

from .loader import cases

globals().update(cases("test_fields_sqlalchemy"))
