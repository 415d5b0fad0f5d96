"""Copies in look-ups: a pulled copy stands in the place of its lower.

So the order of the backends, their rules and whiteouts hold for copies as for files. For ``pull_ttl`` seconds its lower
is not asked. After that it is, and if it still has the version the copy is as good as new. If it cannot tell, the copy
is believed for ``stale_if_error`` seconds more; another version, or none, is what the lower says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final, NamedTuple, Protocol, cast

from ..backends.base import Backend, Remote
from ..backends.local import LocalHandle
from ..core.errors import BackendUnavailable, NotServable
from ..core.keys import Key
from ..core.model import Handle
from .pull_version import MAX_RECORD_BYTES, NotKept, Version, bytes_key, read_record, record_key, source_of
from .pulled import USED_SECONDS, Pulled
from .steps import Pool, Steps, Wait

Answer = Handle | Remote | None
Ask = Callable[[Key], Steps[Answer]]


class AskLower(Protocol):
    """Asks the lower of a copy; also where its answer is from."""

    def __call__(self, *, whole: bool) -> Steps[tuple[Answer, str]]:
        """``whole``: all that is known of the file is needed."""


class Copy(NamedTuple):
    """An open copy. ``age``: for how many seconds its source has not been asked."""

    version: Version
    handle: LocalHandle
    age: float


class CopyLookup:
    """Looks for copies in the upper. ``ask`` opens its state files, ``disk`` are threads, ``say`` logs a line."""

    def __init__(
        self,
        pulled: Pulled,
        ask: Callable[[Key, bool], Steps[Answer]],
        disk: Pool,
        stale_if_error: float,
        say: Callable[[str, str], None],
    ) -> None:
        self._pulled = pulled
        self._ask = ask
        self._disk = disk
        self._stale: Final = stale_if_error
        self._say = say

    def answer(
        self, backend: Backend, key: Key, ttl: float, inline: bool, ask_lower: AskLower
    ) -> Steps[tuple[Answer, str]]:
        """Return the copy that stands for what ``backend`` has, else what that says itself, and where from.

        ``ask_lower(whole=True)`` leaves nothing to listings, whose ETag may be another (rclone's is).
        """
        copy = yield from self._find(source_of(backend), key, inline)
        if copy is None:
            return (yield from ask_lower(whole=False))
        served = False
        try:
            if copy.age < ttl:
                served = True
                return copy.handle, "pulled"
            try:
                answer, said = yield from ask_lower(whole=True)
            except BackendUnavailable as error:
                if copy.age >= ttl + self._stale:
                    raise
                self._say(f"stale copies of {backend.name}", f"{error}; copies are believed meanwhile")
                served = True
                return copy.handle, "pulled, stale"
            if isinstance(answer, Remote) and _is_same(answer, copy.version):
                if not said:  # it was asked just now
                    self._later(self._pulled.note, copy.version.bytes)
                served = True
                return copy.handle, "pulled"
            if answer is None:
                self._later(self._pulled.drop, copy.version)
            return answer, said
        finally:
            if not served:
                copy.handle.close()

    def _find(self, source: str, key: Key, inline: bool) -> Steps[Copy | None]:
        try:
            record = yield from self._open(record_key(source, key), inline)
            if record is None:
                return None
            text = yield from self._read(record, inline)
            version = read_record(text, source, key)
            handle = None if version is None else (yield from self._open(bytes_key(version), inline))
        except (BackendUnavailable, NotServable) as error:  # no copy, then; the file itself may be at hand elsewhere
            self._say("copies", f"a copy cannot be read: {error}")
            return None
        if version is None or handle is None:
            return None
        if handle.meta.size != version.size:
            handle.close()
            return None
        now = time.time()
        age = now - (handle.meta.mtime_ns or 0) / 1e9
        if age < -USED_SECONDS:  # some clock was wrong: ask
            age = float("inf")
        if now - (record.meta.mtime_ns or 0) / 1e9 > USED_SECONDS:
            self._later(self._pulled.note, version.record)
        handle.meta = version.meta
        return Copy(version, handle, age)

    def _open(self, key: Key, inline: bool) -> Steps[LocalHandle | None]:
        found = yield from self._ask(key, inline)
        return cast("LocalHandle | None", found)

    def _read(self, record: LocalHandle, inline: bool) -> Steps[bytes]:
        """Return what stands in a record, which is closed."""
        size = min(record.meta.size or 0, MAX_RECORD_BYTES)
        if not inline:
            return _read_and_close(record, size)
        text = record.read_now(0, size)
        if text is None:  # the thread closes it: whoever waits here may leave before
            text = yield Wait(self._disk.submit(_read_and_close, record, size))
        else:
            record.close()
        return text

    def _later(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Have a thread do what nobody waits for."""

        def done() -> None:
            try:
                work(*arguments)
            except (OSError, NotKept) as error:
                self._say("copies", f"what is known of the copies could not be written down: {error}")

        self._disk.submit(done)


def _read_and_close(record: LocalHandle, size: int) -> bytes:
    with closing(record):
        return b"".join(record.chunks(0, size))


def _is_same(answer: Remote, version: Version) -> bool:
    return (answer.meta.etag, answer.meta.size) == (version.meta.etag, version.size)
