"""One version that is being fetched: downloaded by a thread of this process, or watched while another process does.

1. Whoever gets the lock of the part writes it; the others look how long it has become. When the lock is free and the
   part is still one, its writer has died: the next who sees it goes on where it ends, by Range and If-Match.
2. An origin that breaks off is asked again as long as something has come in the last ``PATIENCE_SECONDS``; one that
   fails before it sent anything is not. Another version ends the download, and its part is removed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from ..backends.base import READ_BYTES
from ..core.errors import ContentChanged, RangeIgnored, Unreachable
from .copies import close_pieces
from .origin_reads import OriginReads
from .pull_files import File
from .pull_version import NotKept, Version
from .pulled import Pulled

PATIENCE_SECONDS: Final = 30.0
"""How long a download goes on without a byte: at an origin that breaks off, or in another process that hangs."""
RETRY_SECONDS: Final = 0.5
POLL_SECONDS: Final = 0.02
"""How often a part is looked at that another process writes."""

log = logging.getLogger("mediamw")


class Download:
    """One version that is being fetched. Any number of readers follow it, each at its own pace.

    ``is_bounded``: there has to be room for it within the budget.
    """

    def __init__(
        self, version: Version, pulled: Pulled, reads: OriginReads, changed: Callable[[], None], *, is_bounded: bool
    ) -> None:
        self.version = version
        self.is_bounded = is_bounded
        self._pulled = pulled
        self._reads = reads
        self._changed = changed
        self._condition = threading.Condition()
        self._available = 0  # so many bytes may be read
        self._file: File | None = None
        self._failure: BaseException | None = None
        self._is_over = False
        self._arrivals: list[tuple[int, Future[None]]] = []
        self._stop = threading.Event()

    # -- for readers ---------------------------------------------------------------------------------------------------

    def arrival(self, position: int) -> Future[None] | None:
        """Return what is done once there is more than ``position`` bytes, or an end; None if that is so already."""
        with self._condition:
            if self._available > position or self._is_over:
                return None
            future: Future[None] = Future()
            self._arrivals.append((position, future))
            return future

    def read(self, start: int, stop: int) -> bytes:
        """Return some of these bytes. Waits. Raises what ended the download, ``NotKept`` among it."""
        with self._condition:
            while self._available <= start and not self._is_over:
                self._condition.wait()  # the thread ends, whatever happens
            file, available = self._file, self._available
            if available <= start:
                raise self._failure or ContentChanged("the copy has fewer bytes than the file", key=self.version.key)
        assert file is not None
        data = os.pread(file.fd, min(stop, available, start + READ_BYTES) - start, start)
        if not data:  # somebody made it shorter
            raise NotKept("the file of the copy is shorter than what was written into it")
        return data

    def wait(self) -> None:
        """Wait for its end. Raises what ended it."""
        with self._condition:
            while not self._is_over:
                self._condition.wait()
            if self._failure is not None:
                raise self._failure

    # -- the thread ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Fetch it, or watch it being fetched, to its end. Raises why not."""
        grown, standing_still = time.monotonic(), -1
        while not self._stop.is_set():
            file = self._file or self._pulled.take(self.version, within_budget=self.is_bounded)
            self._file = file
            if file.is_whole:
                self._progress(self.version.size)
                return
            if file.lock():
                try:
                    standing = self._pulled.standing(file, self.version)
                    if standing == "part":
                        self._fetch(file)
                        self._pulled.finish(file, self.version)
                    if standing != "gone":
                        self._progress(self.version.size)
                        return
                    self._progress(0)  # what takes its place grows anew, with the same bytes
                    self._file = None  # not before: who may read has to find a file
                finally:
                    file.unlock()
            else:
                size = os.fstat(file.fd).st_size
                self._progress(size)
                if size != standing_still:
                    grown, standing_still = time.monotonic(), size
            if time.monotonic() - grown > PATIENCE_SECONDS:
                raise NotKept(f"the process that fetches it had nothing new for {PATIENCE_SECONDS:g} s")
            self._stop.wait(POLL_SECONDS)
        raise NotKept("the stack was closed")

    def stop(self) -> None:
        """Have the thread end soon."""
        self._stop.set()

    def end(self, failure: BaseException | None) -> None:
        """Tell the readers that nothing more will come, and why."""
        with self._condition:
            self._is_over, self._failure = True, failure
            self._condition.notify_all()
            arrivals, self._arrivals = self._arrivals, []
        for _, future in arrivals:
            future.set_result(None)

    def _fetch(self, file: File) -> None:
        """Write what is missing of the part, which is ours."""
        offset, size = os.fstat(file.fd).st_size, self.version.size
        if offset > size or _is_from_before_the_start(file):
            os.ftruncate(file.fd, 0)
            offset = 0
        grown = time.monotonic()
        while offset < size:
            before = offset
            try:
                offset = self._write(file, offset)
            except RangeIgnored:
                if offset == 0:
                    raise
                self._progress(0)
                os.ftruncate(file.fd, 0)  # the origin has no ranges: from the start, then
                offset = 0
            except ContentChanged:
                self._pulled.discard(self.version)
                self._changed()
                raise
            except Unreachable as error:
                offset = os.fstat(file.fd).st_size
                if offset > before:
                    grown = time.monotonic()
                if not self._available or time.monotonic() - grown > PATIENCE_SECONDS:
                    raise
                log.info("%s; asked again for the rest", error)
                self._stop.wait(RETRY_SECONDS)
            if self._stop.is_set() and offset < size:
                raise NotKept("the stack was closed")

    def _write(self, file: File, offset: int) -> int:
        """Write what the origin sends from ``offset`` on; return where that ends."""
        meta, size = self.version.meta, self.version.size
        pieces = self._reads.read_range(self.version.key, offset, size, meta.etag, size=size)
        try:
            for piece in pieces:
                view = memoryview(piece)[: size - offset]
                while view:
                    count = os.pwrite(file.fd, view, offset)
                    view, offset = view[count:], offset + count
                self._progress(offset)
                if self._stop.is_set():
                    return offset
        finally:
            close_pieces(pieces)
        if offset < size:
            raise Unreachable(f"the origin sent {size - offset} bytes less than it was asked for")
        return offset

    def _progress(self, available: int) -> None:
        with self._condition:
            if available == self._available:
                return
            self._available = available
            self._condition.notify_all()
            done = [future for position, future in self._arrivals if available > position]
            self._arrivals = [pair for pair in self._arrivals if available <= pair[0]]
        for future in done:
            future.set_result(None)


def _is_from_before_the_start(file: File) -> bool:
    """True if the part is older than this machine's start: a crash may have left zeros in what was not synced."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return os.fstat(file.fd).st_mtime < time.time() - time.clock_gettime(clock)
