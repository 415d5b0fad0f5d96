"""MemoryBackend: files in a dict. For tests, examples and throw-away uppers; gone with the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from hashlib import blake2b

from ..core.errors import NameTaken
from ..core.keys import Key, parse_key
from ..core.model import Meta
from .base import CHUNK_BYTES, Content, Entry, keys_below, pieces


class MemoryHandle:
    """The bytes of one file as they were when it was opened."""

    __slots__ = ("_data", "meta")

    def __init__(self, data: bytes, meta: Meta) -> None:
        self._data = data
        self.meta = meta

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of a slice."""
        for position in range(start, stop, CHUNK_BYTES):
            yield self._data[position : min(position + CHUNK_BYTES, stop)]

    def read_now(self, start: int, stop: int) -> bytes:
        """Return the bytes of a slice: memory never waits."""
        return self._data[start:stop]

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


class MemoryBackend:
    """Files in a dict, from ``key`` to bytes."""

    def __init__(self, files: dict[str, bytes] | None = None, *, name: str = "memory") -> None:
        self.name = name
        self._lock = threading.Lock()
        self._files: dict[Key, tuple[bytes, Meta]] = {}
        for key, data in (files or {}).items():
            self.put(parse_key(key), data)

    def __repr__(self) -> str:
        return f"MemoryBackend(name={self.name!r}, {len(self._files)} files)"

    def open(self, key: Key) -> MemoryHandle | None:
        """Return a handle on the bytes, None if there are none."""
        found = self._files.get(key)
        return None if found is None else MemoryHandle(*found)

    open_now = open

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield entries sorted by key."""
        with self._lock:
            files = dict(self._files)
        for name in keys_below(sorted(files), prefix, recursive=recursive):
            yield Entry(name, None if name.endswith("/") else files[Key(name)][1], self.name)

    def put(self, key: Key, data: Content, *, content_type: str | None = None) -> None:
        """Store a new file. Raises ``NameTaken`` if the name is a file, a folder, or lies below a file."""
        body = b"".join(pieces(data))
        etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
        meta = Meta(len(body), time.time_ns(), etag, content_type)
        with self._lock:
            if key in self._files:
                raise NameTaken("a file has this name", backend=self.name, key=key, operation="put")
            if any(other.startswith(key + "/") for other in self._files):
                raise NameTaken("a folder has this name", backend=self.name, key=key, operation="put")
            parents = (key[:slash] for slash, char in enumerate(key) if char == "/")
            if any(parent in self._files for parent in parents):
                raise NameTaken("one of its folders is a file", backend=self.name, key=key, operation="put")
            self._files[key] = (body, meta)
