"""Pulling: who fetches which copies, for one stack.

1. A download has a thread of its own and no client: whoever started it may leave. The thread is a daemon, so that no
   process waits for it at its end; what it has got by then stays, and is taken up by whoever wants the file next.
2. What is wrong on this side (no room, a disk that fails, too many downloads) is ``NotKept``: readers go on without a
   copy, as by ``delivery="proxy"``.
3. A copy that is kept gets its own name in the upper by an exclusive link, so that it never takes an upload's, and not
   while the key is hidden.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import BinaryIO, Final, cast

from ..backends.base import Backend, Draft, Remote, draft_of
from ..backends.per_process import PerProcess
from ..core.errors import BackendUnavailable, ContentChanged, MediaError, NotWritable
from ..core.keys import Key
from ..core.model import Handle, Meta
from .asking import Asker
from .download import Download
from .origin_reads import OriginReads
from .pull_handle import PullHandle
from .pull_version import NotKept, Vanished, Version, source_of
from .pulled import Pulled
from .reader import HandleReader
from .remote_handle import RemoteHandle, strong
from .whiteouts import Upper, Whiteouts, has

PULL_THREADS: Final = 16
"""How many files each stack fetches at once, in each process; readers of others go without a copy."""
MAX_TRIES: Final = 3
"""How often a file is fetched that is to be kept, if its copy is evicted at once."""

log = logging.getLogger("mediamw")

Say = Callable[[str, str, str], None]


class _State:
    """What belongs to one process: the downloads under way, by the names of their bytes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.downloads: dict[str, Download] = {}


class Puller:
    """Fetches copies for one stack, whose ``upper`` holds them. ``say`` logs a line about a subject."""

    def __init__(self, upper: Upper, pulled: Pulled, asker: Asker, say: Say) -> None:
        self._upper = upper
        self._pulled = pulled
        self._asker = asker
        self._say = say
        self._whiteouts = Whiteouts(upper)
        self._state = PerProcess(_State)

    def handle(self, backend: Backend, key: Key, meta: Meta, via: str, changed: Callable[[], None]) -> RemoteHandle:
        """Return a handle of a lower's file that pulls it when it is read as a whole."""
        reads, rules = self._asker.reads(backend, via), self._asker.rules[backend.name]

        def start() -> Download:
            version = _version(backend, key, meta)
            keeps = rules.keeps and version.is_plain
            return self._start(version, reads, changed, is_bounded=not keeps, keeps=keeps)

        return PullHandle(key, reads, meta, changed, start=start, without=partial(self._without, key))

    def keep_later(self, backend: Backend, key: Key, meta: Meta) -> None:
        """Have a thread make a copy that is there a file of the upper, if the backend's rules say so."""
        version = Version(key, source_of(backend), meta)
        if self._asker.rules[backend.name].keeps and version.is_plain:
            self._asker.disk.submit(self._keep_or_say, version)

    def pull(
        self, backend: Backend, key: Key, answer: Handle | Remote, changed: Callable[[], None], *, keep: bool
    ) -> bool:
        """See ``MediaStack.pull``; ``answer`` is what ``backend`` has."""
        keep = keep or self._asker.rules[backend.name].keeps
        meta = answer.meta
        try:
            if not isinstance(answer, Remote):
                is_copy = self._asker.is_remote(backend)
                if keep and not is_copy and backend is not self._upper:
                    return self._keep_file(key, answer)
                answer.close()
                if not (keep and is_copy):
                    return False
            version, reads = _version(backend, key, meta), self._asker.reads(backend)
            for _ in range(MAX_TRIES):
                self._fetch(version, reads, changed, is_bounded=not keep)
                if not keep:
                    return True
                with suppress(Vanished):
                    return self._keep_or_trim(version)
            raise NotKept(f"{MAX_TRIES} copies of it were evicted, one after the other, before they were kept")
        except MediaError:  # NameTaken is an OSError too
            raise
        except (NotKept, OSError) as error:
            raise BackendUnavailable(str(error), backend=backend.name, key=key, operation="pull") from error

    def _fetch(self, version: Version, reads: OriginReads, changed: Callable[[], None], *, is_bounded: bool) -> None:
        """Wait until there is a copy. Raises why there is none."""
        download = self._start(version, reads, changed, is_bounded=is_bounded)
        try:
            download.wait()
        except NotKept:
            if download.is_bounded == is_bounded:
                raise
            self._start(version, reads, changed, is_bounded=is_bounded).wait()  # for the first there was no room

    def _start(
        self,
        version: Version,
        reads: OriginReads,
        changed: Callable[[], None],
        *,
        is_bounded: bool,
        keeps: bool = False,
    ) -> Download:
        """Return the download of a version, begun if need be. Raises ``NotKept`` if it is not to begin.

        ``keeps``: it becomes a file of the upper when it is whole.
        """
        if is_bounded:
            self._pulled.check_size(version.size)
        state = self._state.get()
        with state.lock:
            download = state.downloads.get(version.bytes)
            if download is not None:
                return download
            if len(state.downloads) >= PULL_THREADS:
                raise NotKept(f"{PULL_THREADS} files are being fetched already")
            download = Download(version, self._pulled, reads, changed, is_bounded=is_bounded)
            name = f"mediamw-pull-{version.record[:8]}"
            state.downloads[version.bytes] = download
            try:
                threading.Thread(target=self._run, args=(state, download, keeps), name=name, daemon=True).start()
            except RuntimeError as error:  # the system has no thread for it
                del state.downloads[version.bytes]
                raise NotKept(str(error)) from error
        return download

    def _without(self, key: Key, reason: NotKept) -> None:
        self._say("pull", f"{key!r} is sent on without a copy: {reason}", str(reason))

    def close(self) -> None:
        """Have all downloads end soon."""
        state = self._state.get()
        with state.lock:
            downloads = list(state.downloads.values())
        for download in downloads:
            download.stop()

    def _run(self, state: _State, download: Download, keeps: bool) -> None:
        failure: BaseException | None = None
        try:
            download.run()
            if keeps and not self._keep_or_say(download.version):
                self._pulled.trim()
        except (NotKept, ContentChanged, BackendUnavailable) as error:
            failure = error
        except OSError as error:  # of the disk: what it has no room for, or cannot write, is not kept
            failure = NotKept(f"{error.strerror} (.mediamw/pulled)")
            self._discard(download.version)
        except Exception as error:  # the boundary of the thread: readers must hear of a mistake of ours
            log.exception("pulling %r", download.version.key)
            failure = error
        with state.lock:
            del state.downloads[download.version.bytes]
        download.end(failure)

    def _keep_or_say(self, version: Version) -> bool:
        try:
            return self._keep(version)
        except (MediaError, NotKept, OSError) as error:  # a folder has the name, or the disk failed: it is still a copy
            self._say("keep", f"{version.key!r} stays a copy: {error}", str(error))
            return False

    def _keep_or_trim(self, version: Version) -> bool:
        is_kept = False
        try:
            is_kept = self._keep(version)
        finally:
            if not is_kept:
                self._pulled.trim()
        return is_kept

    def _keep(self, version: Version) -> bool:
        """Have a copy become a file of the upper. False if that has one meanwhile, or it was deleted here."""
        return self._kept(version.key, lambda: self._pulled.keep(version, partial(self._whiteouts.is_set, version.key)))

    def _keep_file(self, key: Key, handle: Handle) -> bool:
        """The same for a file that is at hand in a lower."""
        told = Version(key, "", handle.meta).told_type
        with (
            HandleReader(key, handle) as data,  # raises if there are fewer bytes than was said
            closing(draft_of(self._upper, cast("BinaryIO", data), told, handle.meta.filename)) as draft,
        ):
            return self.publish(key, draft)

    def publish(self, key: Key, draft: Draft) -> bool:
        """See ``MediaStack.publish_below``."""
        is_hidden = partial(self._whiteouts.is_set, key)
        return self._kept(key, lambda: self._pulled.publish(lambda: draft.publish(key), is_hidden))

    def _kept(self, key: Key, keep: Callable[[], bool]) -> bool:
        try:
            return keep()
        except (MediaError, Vanished):
            # An upload, or another process has kept it: either stays. Or it was deleted again before we could look.
            if has(self._upper, key) or self._whiteouts.is_set(key):
                return False
            raise

    def _discard(self, version: Version) -> None:
        try:
            self._pulled.discard(version)
        except (OSError, NotKept) as error:
            self._say("pull discard", f"the part of {version.key!r} could not be removed: {error}", str(error))


def no_copies(name: str, kind: str) -> NotWritable:
    """Say that the first backend can hold no copies, and what to do."""
    reason = f"{kind} holds no copies: put a directory before it, [LocalBackend('media'), ...], and have a lower"
    return NotWritable(reason, backend=name, operation="pull")


def _version(backend: Backend, key: Key, meta: Meta) -> Version:
    """Return the version that ``backend`` has. Raises ``NotKept`` if it cannot be told from others, or has no end."""
    if meta.size is None:
        raise NotKept("the origin does not say how long it is")
    etag = strong(meta.etag)
    if etag is None:
        raise NotKept("the origin gives it no ETag, so that nobody could tell whether the copy is still what it has")
    return Version(key, source_of(backend), meta._replace(etag=etag))
