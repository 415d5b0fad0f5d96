"""MemoryBackend: files in a dict. For tests, examples and throw-away uppers; gone with the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from hashlib import blake2b

from ..core.errors import NameTaken
from ..core.keys import Key, is_state, parse_key
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


class MemoryDraft:
    """The bytes of a file that has no name yet."""

    def __init__(self, backend: MemoryBackend, data: bytes, meta: Meta) -> None:
        self._backend = backend
        self._data = data
        self._meta = meta

    def publish(self, key: Key, *, replace: bool = False) -> None:
        """Give it a name. Raises ``NameTaken``."""
        self._backend.keep(key, self._data, self._meta, replace)

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
        return f"MemoryBackend(name={self.name!r}, {sum(not is_state(key) for key in self._snapshot())} files)"

    def open(self, key: Key) -> MemoryHandle | None:
        """Return a handle on the bytes, None if there are none."""
        found = self._files.get(key)
        return None if found is None else MemoryHandle(*found)

    open_now = open

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield entries sorted by key."""
        files = self._snapshot()
        keys = sorted(key for key in files if is_state(key) == is_state(prefix))
        for name in keys_below(keys, prefix, recursive=recursive):
            yield Entry(name, None if name.endswith("/") else files[Key(name)][1], self.name)

    def draft(self, data: Content, *, content_type: str | None = None) -> MemoryDraft:
        """Read the bytes of a file that gets its name later."""
        return self._draft(data, content_type, None)

    def draft_called(self, data: Content, filename: str, *, content_type: str | None = None) -> MemoryDraft:
        """The same, of a file that is called ``filename`` whatever its key is."""
        return self._draft(data, content_type, filename)

    def _draft(self, data: Content, content_type: str | None, filename: str | None) -> MemoryDraft:
        body = b"".join(pieces(data))
        etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
        return MemoryDraft(self, body, Meta(len(body), time.time_ns(), etag, content_type, filename=filename))

    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        """Store a file. Raises ``NameTaken`` if the name is a folder or below a file, or a file unless ``replace``."""
        self.draft(data, content_type=content_type).publish(key, replace=replace)

    def delete(self, key: Key) -> bool:
        """Remove a file; False if there is none."""
        with self._lock:
            return self._files.pop(key, None) is not None

    def keep(self, key: Key, body: bytes, meta: Meta, replace: bool) -> None:
        """Store what a draft holds."""
        taken = partial(NameTaken, backend=self.name, key=key, operation="put")
        with self._lock:
            if key in self._files and not replace:
                raise taken("a file has this name")
            if any(other.startswith(key + "/") for other in self._files):
                raise taken("a folder has this name")
            parents = (key[:slash] for slash, char in enumerate(key) if char == "/")
            if any(parent in self._files for parent in parents):
                raise taken("one of its folders is a file", is_final=True)
            self._files[key] = (body, meta)

    def _snapshot(self) -> dict[Key, tuple[bytes, Meta]]:
        with self._lock:
            return dict(self._files)
