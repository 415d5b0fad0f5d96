"""A storage class of the user's own as a backend: what it has can be read, and so served, and deleted as all else is.

It chooses its ids itself, so that nothing can be stored in it by key: ``create`` and ``replace`` of the class do that.
So it cannot hide what a lower has either, and stands alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from typing import Any

from ...backends.base import CHUNK_BYTES, Content, Draft, Entry, keys_below
from ...core.errors import BackendUnavailable, ContentChanged, NotWritable
from ...core.keys import Key, is_state, refusal
from ...core.model import Meta


class ForeignStorage:
    """The files of ``storage``, which has DEPOT's interface; their ids are the keys."""

    def __init__(self, storage: Any, *, name: str) -> None:
        self.name = name
        self.storage = storage

    def __repr__(self) -> str:
        return f"ForeignStorage({type(self.storage).__name__}, name={self.name!r})"

    def open(self, key: Key) -> ForeignHandle | None:
        """Open a file. DEPOT's ``get`` raises ``IOError`` if there is none, and ``ValueError`` for what is no id."""
        if not _may_be_id(key):
            return None
        try:
            file = self.storage.get(str(key))
        except (ConnectionError, TimeoutError) as error:  # these are OSErrors too, and say nothing of the file
            raise BackendUnavailable(f"{type(error).__name__}: {error}", backend=self.name, key=key) from error
        except (OSError, ValueError):
            return None
        return ForeignHandle(self, key, file)

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield what it lists, sorted; ids that are no keys are left out."""
        keys = sorted(file_id for file_id in map(str, self.storage.list()) if _may_be_id(file_id))
        for key in keys_below(keys, prefix, recursive=recursive):
            yield Entry(key, None if key.endswith("/") else Meta(None), self.name)

    def delete(self, key: Key) -> bool:
        """Delete a file; False if there is none."""
        if not _may_be_id(key) or not self.storage.exists(str(key)):
            return False
        self.storage.delete(str(key))
        return True

    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        """Raise ``NotWritable``."""
        self.draft(data, content_type=content_type)

    def draft(self, data: Content, *, content_type: str | None = None) -> Draft:
        """Raise ``NotWritable``: a stack only deletes from what may store too."""
        reason = f"{type(self.storage).__name__} chooses its ids itself: store files by its create()"
        raise NotWritable(reason, backend=self.name, operation="save")


def _may_be_id(text: str) -> bool:
    """Say whether the storage is asked for it: DEPOT gives none an id with ``/``, so that one may make a path of it."""
    return "/" not in text and refusal(text) is None and not is_state(text)


class ForeignHandle:
    """An open file of such a storage. It reads forwards only, so that a range which lies before opens it anew."""

    def __init__(self, backend: ForeignStorage, key: Key, file: Any) -> None:
        self._backend = backend
        self._key = key
        self._file = file
        self._at = 0
        size, modified = file.content_length, file.last_modified
        if size is None:
            with closing(file):
                size = sum(map(len, iter(lambda: file.read(CHUNK_BYTES), b"")))
            self._file = backend.storage.get(str(key))
        # DEPOT's dates are UTC and do not say so.
        aware = modified.replace(tzinfo=UTC) if modified is not None and modified.tzinfo is None else modified
        mtime_ns = None if aware is None else int(aware.timestamp()) * 10**9
        self.meta = Meta(size, mtime_ns, content_type=file.content_type, filename=file.filename)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of a slice."""
        if start < self._at:
            again = self._backend.open(self._key)
            if again is None or again.meta != self.meta:
                raise ContentChanged("it was replaced while it was read", backend=self._backend.name, key=self._key)
            self._file.close()
            self._file, self._at = again._file, again._at
        while self._at < stop:
            piece = self._file.read(min(CHUNK_BYTES, (start if self._at < start else stop) - self._at))
            if not piece:
                return
            self._at += len(piece)
            if self._at > start:
                yield piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()
