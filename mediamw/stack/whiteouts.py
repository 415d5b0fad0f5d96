"""Whiteouts: markers in the upper, each of which hides the files that lowers have of one key.

A marker is a file ``.mediamw/whiteouts/<hash of the key>`` that holds the key. One whose key the upper has hides
nothing. Whoever shares the upper, a directory or a bucket, shares its whiteouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from ..backends.base import Backend, Deletes, Entry, Lists, Puts, ReadsRanges, Remote
from ..core.errors import BackendUnavailable, ContentChanged, NameTaken, NotServable
from ..core.keys import MAX_KEY_BYTES, STATE_FOLDER, Key, parse_key, state_key

_FOLDER: Final = "whiteouts"
_READERS: Final = 8
MAX_KNOWN: Final = 10_000
"""How many markers' keys each stack remembers, so that a listing does not read them each time."""


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
        self._known: dict[str, Key] = {}  # a marker's name is a hash of its key: it is never another's

    def is_set(self, key: Key) -> bool:
        """Say whether ``key`` has a marker."""
        return has(self._upper, marker_of(key))

    def set(self, key: Key) -> None:
        """Set the marker, whoever else does at this moment."""
        try:
            self._upper.put(marker_of(key), key.encode())
        except NameTaken as error:
            if error.is_final:  # no marker has the name, but a file stands where the folder should: nothing is hidden
                raise BackendUnavailable(
                    f"its whiteouts cannot be written: {error.reason} ({marker_of(key)})",
                    backend=self._upper.name,
                    key=key,
                    operation="delete",
                ) from error

    def clear(self, key: Key) -> bool:
        """Remove the marker; False if there is none."""
        return self._upper.delete(marker_of(key))

    def markers(self) -> frozenset[str]:
        """Return where all markers lie: whether a key has one can be told without reading them."""
        return frozenset(entry.key for entry in self._upper.list(f"{STATE_FOLDER}/{_FOLDER}/", recursive=True))

    def hidden(self) -> Iterator[Key]:
        """Yield the keys that have a marker, in no order."""
        upper, known = self._upper, self._known
        entries = []
        for entry in upper.list(f"{STATE_FOLDER}/{_FOLDER}/", recursive=True):
            key = known.get(entry.key)
            if key is None:
                entries.append(entry)
            else:
                yield key
        if not isinstance(upper, ReadsRanges):
            texts: Iterator[bytes] = map(self._text, entries)
        else:  # across a network: a few at once
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(_READERS, thread_name_prefix="mediamw-whiteouts") as pool:
                texts = iter(list(pool.map(lambda entry: _remote_text(upper, entry), entries)))
        for entry, text in zip(entries, texts, strict=True):
            try:
                key = parse_key(text.decode())
            except ValueError:  # InvalidKey is one: cleared meanwhile, or put there by hand
                continue
            if marker_of(key) == entry.key:
                if len(known) < MAX_KNOWN:
                    known[entry.key] = key
                yield key

    def _text(self, entry: Entry) -> bytes:
        found = self._upper.open(Key(entry.key))
        if found is None:
            return b""
        if isinstance(found, Remote):
            raise BackendUnavailable("its whiteouts cannot be read", backend=self._upper.name)
        try:
            return b"".join(found.chunks(0, min(found.meta.size or 0, MAX_KEY_BYTES + 1)))
        finally:
            found.close()


def _remote_text(upper: ReadsRanges, entry: Entry) -> bytes:
    meta = entry.meta
    if meta is None or not meta.size:
        return b""
    stop = min(meta.size, MAX_KEY_BYTES + 1)
    try:
        return b"".join(upper.read_range(Key(entry.key), 0, stop, meta.etag, size=meta.size))
    except ContentChanged:  # cleared meanwhile
        return b""


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
