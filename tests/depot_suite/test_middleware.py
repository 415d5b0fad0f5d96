"""DEPOT's tests of its WSGI middleware.

``TestS3TestWSGIMiddleware`` is left out: its one test asks Amazon itself, with keys, and wants a 301 without a
signature. What it is about is in ``tests/test_depot_middleware.py``: 302, and the signature is alive.
"""

from __future__ import annotations

from .loader import cases

globals().update(cases("test_wsgi_middleware", "TestWSGIMiddleware"))
