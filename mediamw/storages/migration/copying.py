"""Copying one file from a storage to another, and proving that it is there.

1. What is read is hashed on its way. It is of one version: if the source changed meanwhile nothing is stored, and the
   copy begins again.
2. A new file only takes a name that nobody has at the target. A file that is there already is compared: equal is done,
   different is a conflict, and stays as it is; unless it is what an earlier run put there, and the source has changed.
3. A file counts as copied once the target has given the same bytes back. An ETag that is the MD5 of what was sent
   proves that too: only who got every byte can have computed it (S3 does for what comes in one PUT, unless KMS encrypts
   it). Whatever else an ETag may be, it does not equal that MD5 by chance: then the bytes are read.
4. What the target cannot keep, a filename say, is refused before anything is stored.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import BinaryIO, Final, Literal, NamedTuple

from ...backends.base import READ_BYTES, KeepsFilenames
from ...backends.s3 import S3Reader
from ...core.errors import BackendUnavailable, ContentChanged, MediaError, NameTaken
from ...core.media_types import DEFAULT_TYPE, guess, type_of_origin, with_charset
from ...core.model import Meta
from ...core.names import NamePolicy
from ...stack.reader import is_one_version, meta_of
from ...stack.stack import MediaStack

ATTEMPTS: Final = 3
"""How often a file that changes while it is read is begun."""

Verify = Literal["full", "size"]
Outcome = Literal["copied", "equal", "conflict", "refused", "gone", "failed"]
"""``equal``: it was there; ``refused``: it cannot be; ``gone``: from the source; ``failed``: to be tried again."""


class CopyOptions(NamedTuple):
    """How files are copied; ``migrate`` says what each means."""

    replace: bool = False
    verify: Verify = "full"
    alone: bool = False
    drop_filenames: bool = False
    dry_run: bool = False
    patience: float = 10.0


class Item(NamedTuple):
    """A file to be copied. ``checksum``: of what an earlier run stored at the target under this key."""

    key: str
    checksum: str | None = None


class Result(NamedTuple):
    """What became of a file. ``size``, ``etag`` and ``mtime_ns`` are those of the source's version, None if unknown;
    ``checksum`` is the SHA-256 of its bytes if it is at the target; ``reason`` is for people."""

    key: str
    outcome: Outcome
    size: int | None = None
    etag: str | None = None
    mtime_ns: int | None = None
    checksum: str | None = None
    reason: str = ""


class _Digest(NamedTuple):
    size: int
    sha256: str
    md5: str


class _Gone(Exception):
    """The source has the file no more. What the target misses is another matter."""


def copy_file(source: MediaStack, target: MediaStack, item: Item, options: CopyOptions) -> Result:
    """Copy one file and say what became of it. Raises nothing that mediamw's backends raise."""
    changed = waited = 0
    while True:
        source.forget(item.key)  # a file may be younger than what is remembered of it
        target.forget(item.key)
        try:
            return _Copy(source, target, item, options).result()
        except _Gone:
            return Result(item.key, "gone", reason="the source has it no more")
        except (ContentChanged, FileNotFoundError) as error:  # the latter: deleted at the target while it was compared
            changed += 1
            if changed == ATTEMPTS:
                return Result(item.key, "failed", reason=str(error))
        except BackendUnavailable as error:
            if waited:
                return Result(item.key, "failed", reason=str(error))
            waited = 1
            time.sleep(min(options.patience, error.retry_after))
        except MediaError as error:  # a name that the target cannot hold, a file that may not be read
            return Result(item.key, "refused", reason=str(error))


class _Copy:
    """One attempt."""

    def __init__(self, source: MediaStack, target: MediaStack, item: Item, options: CopyOptions) -> None:
        self._source, self._target = source, target
        self._item, self._key, self._options = item, item.key, options
        self._is_bucket = isinstance(target.upper, S3Reader)
        self._meta = Meta(None)
        self._read: _Digest | None = None

    def result(self) -> Result:
        with self._opened() as file:
            self._meta = meta_of(file) or self._stat()
            reason = self._unkept()
            if reason:
                return self._made("refused", reason=reason)
            there = None
            if self._options.dry_run or self._options.alone or self._item.checksum is not None:
                there = self._there()
            if there is None:
                if self._options.dry_run:
                    return self._made("copied")
                try:
                    return self._put(file, "replace" if self._options.alone else "error")
                except NameTaken:
                    there = self._there()
                    if there is None:  # a folder has the name, or the disk has it in another spelling
                        raise
                    file.seek(0)
            return self._compared(file, there)

    def _opened(self) -> BinaryIO:
        try:
            return self._source.open(self._key)
        except FileNotFoundError as error:
            raise _Gone from error

    def _stat(self) -> Meta:
        try:
            return self._source.stat(self._key)
        except FileNotFoundError as error:
            raise _Gone from error

    def _unkept(self) -> str:
        """Say what of the file the target would lose."""
        meta = self._meta
        if (
            meta.filename is not None
            and not self._options.drop_filenames
            and not isinstance(self._target.upper, KeepsFilenames)
        ):
            kind = type(self._target.upper).__name__
            return f"it is called {meta.filename!r}, and {kind} keeps no names beside keys (drop_filenames)"
        if meta.content_encoding is not None and meta.content_encoding != guess(self._key)[1]:
            return f"its Content-Encoding, {meta.content_encoding}, cannot be kept: browsers would not unpack it"
        return ""

    def _there(self) -> Meta | None:
        self._target.forget(self._key)
        try:
            return self._target.stat(self._key)
        except FileNotFoundError:
            return None

    def _put(self, file: BinaryIO, names: NamePolicy) -> Result:
        meta = self._meta
        filename = meta.filename if isinstance(self._target.upper, KeepsFilenames) else None
        self._target.save(self._key, self._pieces(file), content_type=meta.content_type, names=names, filename=filename)
        sent = self._sent()
        self._target.forget(self._key)
        try:
            is_right = self._is_right(sent)
        except FileNotFoundError:
            is_right = False
        if is_right:
            return self._made("copied")
        reason = "it was stored, and what the target gives now is other bytes: replaced meanwhile, or damaged"
        return self._made("conflict", reason=reason)

    def _pieces(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the bytes of the source, and only end if they are all of one version."""
        size, sha256, md5 = 0, hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        while piece := file.read(READ_BYTES):
            size += len(piece)
            sha256.update(piece)
            if self._is_bucket:
                md5.update(piece)
            yield piece
        if self._meta.size not in (None, size):
            raise ContentChanged(f"{size} bytes came, not {self._meta.size}", key=self._key, operation="read")
        if not is_one_version(file):
            self._source.forget(self._key)
            now = self._stat()
            if (now.etag, now.size, now.mtime_ns) != (self._meta.etag, self._meta.size, self._meta.mtime_ns):
                raise ContentChanged("the source changed it while it was copied", key=self._key, operation="read")
        self._read = _Digest(size, sha256.hexdigest(), md5.hexdigest())

    def _sent(self) -> _Digest:
        if self._read is None:
            raise ContentChanged("the target took a file without reading it to its end", key=self._key)
        return self._read

    def _is_right(self, sent: _Digest) -> bool:
        there = self._target.stat(self._key)
        if there.size not in (None, sent.size):
            return False
        if self._options.verify == "size" and there.size is not None:
            return True
        return self._is_md5(there, sent) or self._target_sha256() == sent.sha256

    def _is_md5(self, there: Meta, sent: _Digest) -> bool:
        return self._is_bucket and (there.etag or "").strip('"') == sent.md5

    def _target_sha256(self) -> str:
        digest = hashlib.sha256()
        with self._target.open(self._key) as file:
            while piece := file.read(READ_BYTES):
                digest.update(piece)
        return digest.hexdigest()

    def _compared(self, file: BinaryIO, there: Meta) -> Result:
        """Say whether the target has this very file already; replace it where that is meant."""
        difference = self._difference(file, there)
        if not difference:
            return self._made("equal")
        is_ours = self._item.checksum is not None and self._target_sha256() == self._item.checksum
        if not self._options.replace and not is_ours:
            return self._made("conflict", reason=difference)
        if self._options.dry_run:
            return self._made("copied")
        file.seek(0)
        return self._put(file, "replace")

    def _difference(self, file: BinaryIO, there: Meta) -> str:
        if None not in (there.size, self._meta.size) and there.size != self._meta.size:
            return f"the target has another file: {there.size} bytes, not {self._meta.size}"
        for _ in self._pieces(file):
            pass
        mine = self._sent()
        if not self._is_md5(there, mine) and self._target_sha256() != mine.sha256:
            return "the target has another file: as long, other bytes"
        their_type, my_type = _type(there, self._key), _type(self._meta, self._key)
        if my_type not in (their_type, DEFAULT_TYPE):  # that one says nothing
            return f"the target has the same bytes as {their_type}, not {my_type}"
        is_kept = isinstance(self._target.upper, KeepsFilenames)
        if is_kept and self._meta.filename is not None and there.filename != self._meta.filename:
            return f"the target has the same bytes called {there.filename!r}, not {self._meta.filename!r}"
        return ""

    def _made(self, outcome: Outcome, *, reason: str = "") -> Result:
        meta, read = self._meta, self._read
        is_there = outcome in ("copied", "equal") and read is not None
        size = meta.size if read is None else read.size
        checksum = read.sha256 if read is not None and is_there else None
        return Result(self._key, outcome, size, meta.etag, meta.mtime_ns, checksum, reason)


def _type(meta: Meta, key: str) -> str:
    """Return what clients are told of a file."""
    told = with_charset(type_of_origin(meta.content_type) or guess(key)[0])
    return told.replace(" ", "").lower()
