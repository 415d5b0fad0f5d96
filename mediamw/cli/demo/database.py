"""The site's database: the production dump, loaded into SQLite, and the rows of what was uploaded since."""

from __future__ import annotations

import sqlite3
import threading
from typing import NamedTuple

from .catalogue import sql_dump


class MediaRow(NamedTuple):
    """A row of the media table; ``home_id`` is None for the site's own files and for uploads."""

    home_id: int | None
    key: str
    alt: str
    kind: str


class HomeRow(NamedTuple):
    """A row of the homes table; the price is in euro."""

    id: int
    title: str
    town: str
    price: int


class Database:
    """In memory, shared by the server's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.executescript(sql_dump())

    def homes(self) -> list[HomeRow]:
        """Return all homes."""
        with self._lock:
            rows = self._connection.execute("SELECT id, title, town, price FROM homes ORDER BY id")
            return [HomeRow(*row) for row in rows]

    def media(self) -> list[MediaRow]:
        """Return all media, in the order in which they came."""
        with self._lock:
            rows = self._connection.execute("SELECT home_id, key, alt, kind FROM media ORDER BY id")
            return [MediaRow(*row) for row in rows]

    def add(self, key: str, alt: str, kind: str) -> None:
        """Add the row of an upload."""
        with self._lock, self._connection:
            self._connection.execute("INSERT INTO media (key, alt, kind) VALUES (?, ?, ?)", (key, alt, kind))

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._connection.close()
