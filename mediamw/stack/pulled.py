"""The copies of lowers' files, and the rules by which processes share the folder ``.mediamw/pulled`` of the upper.

1. A copy has two files: a record, named by a hash of its source and key, which says of which version it is; and the
   bytes, whose name holds a hash of that version too. The record is written last, so what it names is whole. Bytes of
   two versions never share a file.
2. A version that is being fetched is ``<bytes>.<size>.part``. Who holds its flock writes it, whoever wants reads
   it. It is renamed once it has all its bytes and they are synced.
3. Names are made, given and removed under the flock of ``lock``. No upper name is ever among them.
4. Copies, and parts as long as they will be, have ``budget`` bytes at most. To make room the least recently used
   go first: the record's time says when a copy was used, the time of its bytes when its source was asked last.
5. What a killed process left is harmless: a part goes on where it ends, or is swept when it is an hour old and nobody
   holds it; bytes that no record names, and records without bytes, are swept when all are looked at
   (``pull_room.py``).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Final

from ..backends.base import HoldsCopies, KeepsFilenames
from ..backends.folder import Folder
from ..core.errors import BackendUnavailable, MediaError
from .pull_files import NEW, File, flock, open_file, read_file, remove, rename, stat_of
from .pull_room import check_size, count, make_room, take_room
from .pull_version import NoLocks, NotKept, Vanished, Version, read_record, to_json

PULL_BUDGET_BYTES: Final = 2 * 1024 * 1024 * 1024
USED_SECONDS: Final = 60.0
"""A copy's use is noted at most this often."""
_LOCK, _KEEP_LOCK = "lock", "keep.lock"


class Pulled:
    """The folder of one upper. Its methods raise ``NotKept`` or ``OSError`` if the disk fails them."""

    def __init__(self, upper: HoldsCopies, budget: int, *, clock: Callable[[], float] = time.time) -> None:
        self._upper = upper
        self.budget = budget
        self._clock = clock

    def check_size(self, size: int) -> None:
        """Raise ``NotKept`` if a file of ``size`` bytes can never be a copy."""
        check_size(size, self.budget)

    def take(self, version: Version, *, within_budget: bool = True) -> File:
        """Open the bytes of ``version``, or its part, which is made if there is none. Raises ``NotKept``."""
        with self._locked() as folder:
            whole = open_file(folder, version.bytes)
            if whole is not None:
                if os.fstat(whole).st_size == version.size:
                    self._count(folder, version)  # who renamed them may have been killed before he came to it
                    return File(whole, is_whole=True)
                size = os.fstat(whole).st_size
                os.close(whole)
                _remove_bytes(folder, version.bytes, size)
            part = open_file(folder, version.part)
            if part is None:
                if within_budget:
                    make_room(folder, version.size, self.budget, self._clock())
                else:
                    take_room(folder, version.size, self._clock())
                part = os.open(folder.at(version.part), NEW | os.O_EXCL, 0o666, dir_fd=folder.fd)
            return File(part, is_whole=False)

    def standing(self, file: File, version: Version) -> str:
        """Say what became of a part while nobody had its lock: still a ``part``, now ``whole``, or ``gone``."""
        with self._locked() as folder:
            for name, said in ((version.part, "part"), (version.bytes, "whole")):
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(stat_of(folder, name), os.fstat(file.fd)):
                        return said
        return "gone"

    def finish(self, file: File, version: Version) -> None:
        """Have a part that has all its bytes count as the copy, in the place of an older version's."""
        os.fsync(file.fd)
        if os.fstat(file.fd).st_size != version.size:
            raise NotKept("the file of the copy has another size than what was written into it")
        with self._locked() as folder:
            try:
                rename(folder, version.part, version.bytes)
            except FileNotFoundError:  # the state may be removed at any time
                raise NotKept("the file of the copy was removed while it was written") from None
            self._count(folder, version)

    def discard(self, version: Version) -> None:
        """Remove the part of a version that is gone, or for which the disk has no room."""
        with self._locked() as folder:
            _remove_bytes(folder, version.part, version.size)

    def drop(self, version: Version) -> None:
        """Remove the copy of a version that the source does not have any more."""
        with self._locked() as folder:
            if self._read_record(folder, version) == version:
                remove(folder, version.record)
            _remove_bytes(folder, version.bytes, version.size)

    def note(self, name: str) -> None:
        """Have the time of a file be now: a record was used, bytes are still those of the source."""
        now = self._clock()
        with contextlib.suppress(OSError, MediaError), self._upper.copies() as folder:  # evicted meanwhile
            os.utime(folder.at(name), (now, now), dir_fd=folder.fd, follow_symlinks=False)

    def trim(self) -> None:
        """Evict until the copies are within the budget: one that was to be kept, and was not, was made without it."""
        with contextlib.suppress(NotKept, OSError), self._locked() as folder:  # else whoever makes room next does
            make_room(folder, 0, self.budget, self._clock())

    def keep(self, version: Version, is_hidden: Callable[[], bool]) -> bool:
        """Have the copy of ``version`` become a file of the upper, of its own key; False if that is hidden.

        What has the name already stays. Raises as ``publish_copy`` does; ``Vanished`` if there is no copy any more.
        """
        if not version.is_plain:
            coding = version.meta.content_encoding
            raise NotKept(f"its bytes are encoded ({coding}), which a file of a directory cannot tell")

        def publish() -> None:
            try:
                named = {"filename": version.meta.filename} if isinstance(self._upper, KeepsFilenames) else {}
                self._upper.publish_copy(version.bytes, version.key, content_type=version.told_type, **named)
            except BackendUnavailable as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    raise Vanished("the copy is not there any more") from error
                raise

        if not self.publish(publish, is_hidden):
            return False
        with self._locked() as folder:
            if self._read_record(folder, version) == version:
                remove(folder, version.record)
            count(folder, -version.size)
        return True

    def publish(self, publish: Callable[[], None], is_hidden: Callable[[], bool]) -> bool:
        """Call ``publish``, which makes a lower's file one of the upper, unless it is hidden: False then.

        A delete that begins after we looked for its marker waits until we are done (``settle``), and removes the file.
        """
        with self._upper.copies() as folder, flock(folder, _KEEP_LOCK):
            if is_hidden():
                return False
            publish()
        return True

    def settle(self) -> None:
        """Wait until nobody is just making a copy a file of the upper. To be called when the marker has been set."""
        if not self._upper.has_copies():  # who comes later sees the marker
            return
        try:
            with self._upper.copies() as folder, flock(folder, _KEEP_LOCK):
                pass
        except NoLocks:  # then nobody can have it
            return
        except (NotKept, OSError) as error:
            raise BackendUnavailable(f"{error} (.mediamw/pulled)", operation="delete") from error

    # -- under the lock ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self) -> Iterator[Folder]:
        try:
            folder = self._upper.copies()
        except MediaError as error:
            raise NotKept(str(error)) from error
        with folder, flock(folder, _LOCK):
            yield folder

    def _read_record(self, folder: Folder, version: Version) -> Version | None:
        try:
            return read_record(read_file(folder, version.record), version.source, version.key)
        except OSError:
            return None

    def _count(self, folder: Folder, version: Version) -> None:
        """Have the bytes of ``version`` be the copy, in the place of an older one's."""
        before = self._read_record(folder, version)
        self._write_record(folder, version)
        if before is not None and before.bytes != version.bytes:
            _remove_bytes(folder, before.bytes, before.size)

    def _write_record(self, folder: Folder, version: Version) -> None:
        text = to_json({"key": version.key, "source": version.source, "meta": version.meta._asdict()})
        temporary = f"{version.record}.tmp"  # one at a time, under the lock
        fd = os.open(folder.at(temporary), NEW | os.O_TRUNC, 0o666, dir_fd=folder.fd)
        try:
            os.write(fd, text)
            os.fsync(fd)
        finally:
            os.close(fd)
        rename(folder, temporary, version.record)
        folder.sync()


def _remove_bytes(folder: Folder, name: str, size: int) -> None:
    if remove(folder, name):
        count(folder, -size)
