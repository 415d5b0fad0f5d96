"""DEPOT's tests of its WSGI middleware; those that ask Amazon itself are answered in tests/test_depot_middleware.py."""

from __future__ import annotations

from .loader import cases

globals().update(cases("test_wsgi_middleware", "TestWSGIMiddleware"))
