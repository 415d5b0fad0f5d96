"""A lower's file of which a copy is made as it is read: what ``delivery="pull"`` serves as long as there is none.

1. Whoever reads the whole file starts its download, or joins it; ``bytes=0-`` is the whole file too. What reads
   less, or nothing (HEAD, 304), is proxied as ever and starts nothing.
2. Where no copy can be made, or its disk fails amid it, the reader goes on by proxy, from where it is and pinned to the
   same version. What the origin did wrong breaks it off, as it does by proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future

from ..core.keys import Key
from ..core.model import Meta, Slice
from .download import Download
from .origin_reads import OriginReads
from .pull_version import NotKept
from .remote_handle import RemoteHandle


class PullHandle(RemoteHandle):
    """An open remote file. ``start`` returns its download; ``without`` is told why there is none."""

    def __init__(
        self,
        key: Key,
        reads: OriginReads,
        meta: Meta,
        changed: Callable[[], None],
        *,
        start: Callable[[], Download],
        without: Callable[[NotKept], None],
    ) -> None:
        super().__init__(key, reads, meta, changed)
        self._start_download = start
        self._without = without
        self._download: Download | None = None
        self._is_without = False
        self._position = 0  # what is read next

    def join(self, part: Slice, *, to_end: bool) -> Future[None] | None:
        """Start or join the download, if ``part`` is the whole file. Waits for nothing.

        Return what is done once its first bytes are there, or all of them if ``to_end``; None if there is nothing to
        wait for.
        """
        if self._download is None and not self._is_without and self._is_whole(part.start, part.stop):
            try:
                self._download = self._start_download()
            except NotKept as reason:
                self._goes_without(reason)
        return None if self._download is None else self._download.arrival(part.stop - 1 if to_end else part.start)

    def begin(self, part: Slice | None) -> None:
        """Have the first bytes of ``part`` at hand. May wait. Raises as ``RemoteHandle.begin``."""
        if part is not None:
            self.join(part, to_end=False)
            if self._download is not None:
                try:
                    self._download.read(part.start, part.start + 1)
                    return
                except NotKept as reason:
                    self._goes_without(reason)
        super().begin(part)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield these bytes as they come. Raises ``ContentChanged``, ``BackendUnavailable``."""
        self.join(Slice(start, stop), to_end=False)
        download = self._download
        if download is not None:
            try:
                while start < stop:
                    self._position = start
                    piece = download.read(start, stop)
                    start += len(piece)
                    self._position, self._has_started = start, True
                    yield piece
            except NotKept as reason:
                self._goes_without(reason)
        if start < stop:
            yield from super().chunks(start, stop)

    def arrival(self) -> Future[None] | None:
        """Return what is done once reading on waits for no download; None if it would not wait, or has read all."""
        if self._download is None or self._position == self.meta.size:
            return None
        return self._download.arrival(self._position)

    def _is_whole(self, start: int, stop: int) -> bool:
        return start == 0 and 0 < stop == self.meta.size

    def _goes_without(self, reason: NotKept) -> None:
        self._download, self._is_without = None, True
        self._without(reason)
