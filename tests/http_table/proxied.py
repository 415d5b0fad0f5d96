"""Rows: a file that is fetched from an origin is answered as one of the disk is; the same rows once more."""

from __future__ import annotations

from dataclasses import replace

from . import conditions, held, precedence, ranges
from .row import Row, by_app, refused

ROWS = (
    *(
        replace(row, id=f"proxy-{row.id}", site="proxy", peers=False)
        for row in (*held.ROWS, *conditions.ROWS, *precedence.ROWS, *ranges.ROWS)
        if row.site == "plain" and row.file is not None and not row.app and not row.disk_only
    ),
    Row(
        id="proxy-etag",
        clause="RFC 9110 8.8.3",
        shows="the tag is ours: the bucket would believe its own, and say 304 to who was never there",
        site="proxy",
        peers=False,
        ours={"etag": lambda value: value.startswith('"mw-'), "location": None},
    ),
    Row(
        id="proxy-debug",
        clause="Server Timing 3",
        shows="which backend it was",
        site="proxy-debug",
        peers=False,
        ours={
            "x-media-backend": "proxied",
            "server-timing": lambda value: value.startswith("upper;dur=") and ", proxied;dur=" in value,
        },
    ),
    by_app("proxy-missing", "RFC 9110 15.5.5", "nobody has it: the app's", "/media/none.jpg", site="proxy"),
    refused("proxy-refused", "RFC 9110 17.3", "a refused name", "/media/.env", site="proxy", peers=False),
)
