"""The HTTP table: what is answered to which request, row by row, each with its clause.

``row.py`` has the shape of a row, ``files.py`` the files, ``check.py`` what every answer is held to besides its row,
``sites.py`` the middlewares under test, ``callers.py`` WSGI and ASGI callers and a raw HTTP/1.1 client. The other
modules hold the rows by subject. A bug starts as a row here.
"""

from __future__ import annotations

from . import authorized, conditions, held, names, options, precedence, proxied, ranges, remote
from .row import Row

ROWS: tuple[Row, ...] = (
    *held.ROWS,
    *conditions.ROWS,
    *precedence.ROWS,
    *ranges.ROWS,
    *names.ROWS,
    *remote.ROWS,
    *proxied.ROWS,
    *authorized.ROWS,
    *options.ROWS,
)

_ids = [row.id for row in ROWS]
assert len(set(_ids)) == len(_ids), f"rows with the same id: {sorted({i for i in _ids if _ids.count(i) > 1})}"
