"""The part of the conformance suite that every backend goes through: ``open``, and what it returns."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from ..backends.base import CHUNK_BYTES, Backend, Closes, ReadsRanges, Remote, Signs
from ..core.keys import Key, refusal
from ..core.model import Handle, Meta

THREADS: Final = 8

_ETAG = re.compile(r'"[!#-~]+"')

# What differs between two sentences that say the same of two files or slices: the name that a method is asked for,
# ETags, addresses and numbers, but not the status of an answer. (For the names of the files see ``_shape``.)
_VARIES = re.compile(
    r"""(?<![^\W_])(open|open_now|list|sign|read_range|put)\((?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"""|'"[^"']*"'|0x[0-9a-f]+|(?<!answered )\b[0-9]+"""
)


class OpenChecks:
    """One run of the suite: the backend, what it holds, and the faults so far."""

    def __init__(self, backend: Backend, files: Mapping[str, bytes]) -> None:
        self.backend = backend
        self.files = {Key(name): data for name, data in files.items()}
        self._said: dict[str, dict[str, None]] = {}  # by shape, the sentences: a set that keeps its order

    def say(self, fault: str) -> None:
        self._said.setdefault(self._shape(fault), {})[fault] = None

    @property
    def faults(self) -> list[str]:
        """The faults so far; those that differ by file and slice only are one, with their number and an example."""
        return [
            first if not others else f"{first} (the first of {len(others) + 1} such)"
            for first, *others in self._said.values()
        ]

    def _shape(self, fault: str) -> str:
        shape = _VARIES.sub(r"\1", fault)
        for name in self.files:
            shape = shape.replace(repr(name), "")
        return shape

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Whatever is raised is a fault of ``what``, and the suite goes on behind the block."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a fault is what it is
            self.say(f"{what} raised {error!r}")

    # -- open ------------------------------------------------------------------------------------------------------

    def check_open(self) -> None:
        name: object = self.backend.name
        if not isinstance(name, str) or not name or not name.isprintable():
            self.say(f"name is {name!r}; it must be a printable str")
        for key, data in self.files.items():
            what = f"open({key!r})"
            with self.doing(what):
                found = self.backend.open(key)
                meta = self.judge(what, found, data)
                again = self.backend.open(key)
                if meta is not None and again is not None and again.meta != meta:
                    self.say(f"{what} returned {meta}, and the second time {again.meta}")
                close_found(again)

    def judge(self, what: str, found: Any, data: bytes) -> Meta | None:
        """Check what ``open`` returned for a file that has ``data``, and close it."""
        if found is None:
            self.say(f"{what} returned None, but the file is there")
            return None
        meta: Meta = found.meta
        kind = "a Remote" if isinstance(found, Remote) else "a handle"
        if meta.size != len(data) or type(meta.size) is not int:
            self.say(f"{what} returned {kind} whose meta.size is {meta.size!r}; the file has {len(data)} bytes")
        self._judge_meta(f"{what} returned {kind} whose", meta)
        if isinstance(found, Remote):
            if not isinstance(self.backend, (Signs, ReadsRanges)):
                self.say(f"{what} returned a Remote, but the backend neither signs nor reads ranges: nobody can get it")
            return meta
        if isinstance(self.backend, (Signs, ReadsRanges)):
            self.say(
                f"{what} returned an open handle; who signs or reads ranges is asked over a network, and all who wait "
                "share the answer: a Remote or None is needed"
            )
        for start, stop in slices(len(data)):
            with self.doing(f"{what}, then chunks({start}, {stop})"):
                self._judge_chunks(what, found, data, start, stop)
        with self.doing(f"{what}, then chunks past the end"):
            # As if the file had become shorter: it must end, and so the count of pieces is bounded here.
            pieces = found.chunks(0, len(data) + 1)
            got = sum(map(len, islice(pieces, len(data) + 2)))
            if got != len(data):
                self.say(f"{what}, then chunks(0, {len(data) + 1}) yielded {got} bytes of a file that has {len(data)}")
        if hasattr(found, "read_now"):
            with self.doing(f"{what}, then read_now(0, {len(data)})"):
                now = found.read_now(0, len(data))
                if now is not None and now != data:
                    self.say(f"{what}, then read_now(0, {len(data)}) returned other bytes than the file has")
        if hasattr(found, "fileno"):
            with self.doing(f"{what}, then fileno()"):
                if os.lseek(found.fileno(), 0, os.SEEK_CUR) or os.fstat(found.fileno()).st_size != len(data):
                    self.say(
                        f"{what} returned a handle whose fileno() is not at offset 0 of a file of {len(data)} bytes"
                    )
        with self.doing(f"{what}, then close()"):
            found.close()
        with self.doing(f"{what}, then close() a second time"):
            found.close()
        return meta

    def _judge_chunks(self, what: str, found: Handle, data: bytes, start: int, stop: int) -> None:
        pieces = _taken(found.chunks(start, stop), stop - start)
        call = f"{what} returned a handle whose meta.size is {found.meta.size}, but chunks({start}, {stop})"
        if any(not isinstance(piece, bytes) for piece in pieces):
            self.say(f"{call} yielded {next(type(p).__name__ for p in pieces if type(p) is not bytes)}, not bytes")
            return
        if any(not piece for piece in pieces):
            self.say(f"{call} yielded an empty piece, which servers take for the end")
        if any(len(piece) > CHUNK_BYTES for piece in pieces):
            self.say(f"{call} yielded {max(map(len, pieces))} bytes at once; {CHUNK_BYTES} is the most")
        got = b"".join(pieces)
        if len(got) > stop - start:
            self.say(f"{call} yielded {len(got)} bytes or more; the slice has {stop - start}")
        elif len(got) < stop - start:
            self.say(f"{call} yielded {len(got)} bytes")
        elif got != data[start:stop]:
            self.say(f"{call} yielded other bytes than the file has there")

    def _judge_meta(self, whose: str, meta: Meta) -> None:
        etag, mtime_ns = meta.etag, meta.mtime_ns
        if etag is not None and not (isinstance(etag, str) and _ETAG.fullmatch(etag)):
            self.say(f'{whose} meta.etag is {etag!r}; a strong one in ASCII is needed, with its quotes, such as "1f"')
        if mtime_ns is not None:
            now = time.time()
            if type(mtime_ns) is not int:
                self.say(f"{whose} meta.mtime_ns is {mtime_ns!r}, not an int")
            elif mtime_ns > (now + 86400) * 1e9:
                self.say(f"{whose} meta.mtime_ns is {mtime_ns}, which is in the future")
            elif any(abs(mtime_ns / per_second - now) < 20 * 365 * 86400 for per_second in (1, 10**3, 10**6)):
                self.say(f"{whose} meta.mtime_ns is {mtime_ns}, which looks like another unit than nanoseconds")
        for field in ("content_type", "content_encoding"):
            value = getattr(meta, field)
            if value is not None and not (isinstance(value, str) and value.isascii() and value.isprintable()):
                self.say(f"{whose} meta.{field} is {value!r}, which is no header value")

    def not_there(self) -> list[Key]:
        """Return names that nobody has, close to those that are there."""
        near = ["mediamw-conformance-missing", "mediamw-conformance-missing/x.txt", "a" * 255]
        for name in self.files:
            near += [name + "x", name + "/x", name[:-1], name[1:], name.swapcase(), "x/" + name]
            near += [name[:slash] for slash, char in enumerate(name) if char == "/"]
        return [Key(name) for name in dict.fromkeys(near) if name not in self.files and refusal(name) is None]

    def check_missing(self) -> None:
        for key in self.not_there():
            with self.doing(f"open({key!r}), of a name that nobody has,"):
                found = self.backend.open(key)
                if found is not None:
                    folder = any(name.startswith(key + "/") for name in self.files)
                    why = "which is a folder" if folder else "but there is no such file"
                    self.say(f"open({key!r}) returned {found!r}, {why}: None is needed")
                    close_found(found)

    def check_threads(self) -> None:
        def read_all(_: int) -> None:
            for key, data in self.files.items():
                with self.doing(f"open({key!r}) in {THREADS} threads at once"):
                    found = self.backend.open(key)
                    if found is None or found.meta.size != len(data):
                        self.say(f"open({key!r}) in {THREADS} threads at once does not always find the file")
                    elif (
                        not isinstance(found, Remote)
                        and b"".join(_taken(found.chunks(0, len(data)), len(data))) != data
                    ):
                        self.say(f"open({key!r}) in {THREADS} threads at once does not always give the file's bytes")
                    close_found(found)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(read_all, range(THREADS)))

    def check_close(self, backend: Closes) -> None:
        key = next(iter(self.files))
        with self.doing("close() of the backend, twice"):
            backend.close()
            backend.close()
        with self.doing(f"open({key!r}) after close() of the backend"):
            found = self.backend.open(key)
            if found is None:
                self.say(f"open({key!r}) after close() of the backend returned None")
            close_found(found)


def slices(size: int) -> list[tuple[int, int]]:
    """Return the parts of a file that go wrong first: the whole, the ends, the middle, around a chunk's boundary."""
    middle, chunk = size // 2, CHUNK_BYTES
    wanted = [(0, size), (0, 1), (0, 0), (size, size), (size - 1, size), (1, size), (0, middle), (middle, size)]
    wanted += [(0, chunk), (chunk, size), (chunk - 1, chunk + 1), (1, chunk + 1)]
    return [part for part in dict.fromkeys(wanted) if 0 <= part[0] <= part[1] <= size]


def _taken(pieces: Iterator[bytes], size: int) -> list[bytes]:
    """Return the pieces up to the first that breaks the contract: who never ends must not hang the suite."""
    taken: list[bytes] = []
    got = 0
    for piece in pieces:
        taken.append(piece)
        got += len(piece)
        if not piece or got > size:
            break
    return taken


def close_found(found: Any) -> None:
    if found is not None and not isinstance(found, Remote):
        found.close()
