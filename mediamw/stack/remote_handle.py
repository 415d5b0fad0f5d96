"""A lower's file that is held across the network: what ``delivery="proxy"`` serves.

1. Its length, type and validators are those of the look-up; every read is pinned to that version. If there is another
   one by now, what was remembered is forgotten and whoever serves it looks up once more, or breaks off.
2. The first bytes are fetched before an answer starts, so that an origin that fails is a 503 and not half a file.
3. A connection that breaks off amid a body is taken up again where it broke, if the version has an ETag to pin it.
   An origin that fails before it sent anything is not asked again.
4. Where a client could not see that a body of unknown length broke off (HTTP/1.0, WSGI), it is copied before it is
   sent, and so has a length.
5. Clients see an ETag of ours, made from the origin's. With the origin's own a browser would ask the bucket itself,
   once a redirect answers for the key, whether it still has what the browser got from here, and believe its 304.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

from ..core.errors import ContentChanged, Unreachable
from ..core.keys import Key
from ..core.model import Meta, Slice
from .copies import COPY_SECONDS, CopiedHandle, close_pieces, copy_of
from .origin_reads import OriginReads

MAX_RESUMES: Final = 5
"""How often one part of a body is taken up again after its connection broke."""


def strong(etag: str | None) -> str | None:
    """Return the ETag if what it promises is bytes."""
    return None if etag is None or etag.startswith("W/") else etag


def for_clients(meta: Meta) -> Meta:
    """Return what clients see of a file of an origin: an ETag of ours, whether it is proxied or pulled."""
    etag = strong(meta.etag)
    return meta._replace(etag=None if etag is None else f'"mw-{etag[1:]}')


class RemoteHandle:
    """An open remote file. ``changed`` is called when the version that was looked up is gone."""

    def __init__(self, key: Key, reads: OriginReads, meta: Meta, changed: Callable[[], None]) -> None:
        self._key = key
        self._reads = reads
        # A weak one promises nothing of bytes: nothing can be pinned to it (RFC 9110, 8.8.1).
        self._etag = strong(meta.etag)
        self.meta = for_clients(meta)
        self._changed = changed
        self._is_closed = False
        self._has_started = False  # some of the file has come
        self._begun: tuple[Slice | None, bytes, Iterator[bytes]] | None = None  # what, its first piece, the rest

    def begin(self, part: Slice | None) -> None:
        """Fetch the first bytes of ``part`` (None: of the whole file), which is read next. May wait."""
        pieces = self._request(part)
        try:
            first = next(pieces, b"")
        except ContentChanged:
            self._changed()
            raise
        self._has_started = bool(first)
        self._begun = (part, first, pieces)
        if self._is_closed:  # whoever wanted it has given up meanwhile
            self.close()

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to ``stop``. Raises ``ContentChanged``, ``BackendUnavailable``."""
        resumes = 0
        piece, pieces = self._start(Slice(start, stop))
        try:
            while start < stop:
                try:
                    piece = piece or next(pieces, b"")
                    if not piece:
                        raise Unreachable(f"the origin sent {stop - start} bytes less than it was asked for")
                except ContentChanged:
                    self._changed()
                    raise
                except Unreachable:  # what else there is, such as a refused credential, does not pass by itself
                    if not self._has_started or self._etag is None or resumes == MAX_RESUMES:
                        raise
                    resumes += 1
                    close_pieces(pieces)
                    pieces = self._request(Slice(start, stop))
                    continue
                self._has_started = True
                start += len(piece)
                yield piece
                piece = b""
        finally:
            close_pieces(pieces)

    def whole(self) -> Iterator[bytes]:
        """Yield a file whose length is not known to its end. Raises ``BackendUnavailable`` if it breaks off."""
        piece, pieces = self._start(None)
        try:
            if piece:
                yield piece
            yield from pieces
        finally:
            close_pieces(pieces)

    def copied(self) -> CopiedHandle:
        """Return a copy of a file whose length is not known. May wait for all of it, at most ``COPY_SECONDS``."""
        file = copy_of(self.whole(), seconds=COPY_SECONDS, is_wanted=lambda: not self._is_closed)
        size = file.seek(0, os.SEEK_END)
        return CopiedHandle(file, self.meta._replace(size=size))

    def close(self) -> None:
        """Give back the connection that ``begin`` holds."""
        self._is_closed = True
        begun, self._begun = self._begun, None
        if begun is not None:
            close_pieces(begun[2])

    def _start(self, part: Slice | None) -> tuple[bytes, Iterator[bytes]]:
        if self._begun is not None and self._begun[0] == part:
            _, piece, pieces = self._begun
            self._begun = None
            return piece, pieces
        return b"", self._request(part)

    def _request(self, part: Slice | None) -> Iterator[bytes]:
        if part is None:
            return self._reads.read_whole(self._key, self._etag)
        return self._reads.read_range(self._key, part.start, part.stop, self._etag, size=self.meta.size)
