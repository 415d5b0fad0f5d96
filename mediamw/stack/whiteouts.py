"""Whiteouts: markers in the upper, each of which hides the files that lowers have of one key.

A marker is a file ``.mediamw/whiteouts/<hash of the key>`` that holds the key. One whose key the upper has hides
nothing. Whoever shares the upper, a directory or a bucket, shares its whiteouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Protocol

from ..backends.base import Backend, Deletes, Lists, Puts, Remote
from ..core.errors import BackendUnavailable, NameTaken, NotServable
from ..core.keys import MAX_KEY_BYTES, STATE_FOLDER, Key, parse_key, state_key

_FOLDER: Final = "whiteouts"


class Upper(Backend, Puts, Deletes, Lists, Protocol):
    """A first backend that takes writes."""


def as_upper(backend: Backend) -> Upper | None:
    """Return the backend if it takes writes."""
    if isinstance(backend, Puts) and isinstance(backend, Deletes) and isinstance(backend, Lists):
        return backend
    return None


def marker_of(key: Key) -> Key:
    """Return where the marker of ``key`` lies."""
    return state_key(_FOLDER, key)


class Whiteouts:
    """The markers of one upper. All methods raise what it raises."""

    def __init__(self, upper: Upper) -> None:
        self._upper = upper

    def is_set(self, key: Key) -> bool:
        """Say whether ``key`` has a marker."""
        return has(self._upper, marker_of(key))

    def set(self, key: Key) -> None:
        """Set the marker, whoever else does at this moment."""
        with suppress(NameTaken):
            self._upper.put(marker_of(key), key.encode())

    def clear(self, key: Key) -> bool:
        """Remove the marker; False if there is none."""
        return self._upper.delete(marker_of(key))

    def markers(self) -> frozenset[str]:
        """Return where all markers lie: whether a key has one can be told without reading them."""
        return frozenset(entry.key for entry in self._upper.list(f"{STATE_FOLDER}/{_FOLDER}/", recursive=True))

    def hidden(self) -> Iterator[Key]:
        """Yield the keys that have a marker, in no order."""
        for marker in self.markers():
            found = self._upper.open(Key(marker))
            if found is None:  # cleared meanwhile
                continue
            if isinstance(found, Remote):
                raise BackendUnavailable("its whiteouts cannot be read", backend=self._upper.name)
            try:
                text = b"".join(found.chunks(0, min(found.meta.size or 0, MAX_KEY_BYTES + 1)))
                key = parse_key(text.decode())
            except ValueError:  # InvalidKey is one: put there by hand
                continue
            finally:
                found.close()
            if marker_of(key) == marker:
                yield key


def has(backend: Backend, key: Key) -> bool:
    """Say whether ``key`` is a name in ``backend``, of whatever it may be."""
    try:
        found = backend.open(key)
    except NotServable:
        return True
    if found is None:
        return False
    if not isinstance(found, Remote):
        found.close()
    return True
