"""The conformance suite: our backends pass it, and it catches what is wrong with broken ones, in a telling sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from mediamw.backends.base import CHUNK_BYTES, Content, Entry, Remote, SignedURL, keys_below, pieces
from mediamw.backends.local import LocalBackend
from mediamw.backends.memory import MemoryBackend, MemoryHandle
from mediamw.backends.pages import Listed, Page, folder_of
from mediamw.core.errors import BackendUnavailable, ContentChanged
from mediamw.core.keys import Key
from mediamw.core.model import Meta
from mediamw.testing import SAMPLE_FILES, ConformanceError, check_backend, find_faults

from .folding import fold


def fill(root: Path, files: Mapping[str, bytes] = SAMPLE_FILES) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


# -- ours ----------------------------------------------------------------------------------------------------------


def test_memory_passes() -> None:
    check_backend(MemoryBackend(dict(SAMPLE_FILES)), SAMPLE_FILES, writable=True)


def test_local_passes(mode: str, tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "an empty folder").mkdir()
    check_backend(LocalBackend(tmp_path), SAMPLE_FILES, writable=True)


def test_local_without_hard_links_passes(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    fill(tmp_path)
    # Without links a file grows under its name, so a race has one winner, but its file is not whole at once.
    check_backend(LocalBackend(tmp_path), SAMPLE_FILES, writable=True)


def test_local_on_a_disk_that_folds_names_passes(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    fold(monkeypatch)
    check_backend(LocalBackend(tmp_path), SAMPLE_FILES, writable=True)


@pytest.mark.parametrize("kind", ["static", "location", "session token"])
def test_s3_passes(kind: str) -> None:
    pytest.importorskip("moto")
    pytest.importorskip("flask_cors")
    import urllib3

    from mediamw.backends.s3 import S3Backend
    from mediamw.testing import StrictS3

    keys, location = {"AKRO": "read-only-secret"}, "up loads/ü" if kind == "location" else ""
    tokens = {"AKRO": "a+token/=="} if kind == "session token" else {}
    with StrictS3(keys={"AK": "secret"}, read_only_keys=keys, session_tokens=tokens) as s3:
        s3.create_bucket("media")
        for name, data in SAMPLE_FILES.items():
            s3.put("media", f"{location}/{name}" if location else name, data)
        s3.put("media", "elsewhere.txt", b"not below the location") if location else None
        backend = S3Backend(
            "media",
            endpoint_url=s3.endpoint,
            location=location,
            access_key_id="AKRO",
            secret_access_key=keys["AKRO"],
            session_token=tokens.get("AKRO"),
        )
        with urllib3.PoolManager() as http:

            def fetch(method: str, url: str) -> tuple[int, Mapping[str, str], bytes]:
                answer = http.request(method, url, redirect=False, retries=False)
                return answer.status, answer.headers, answer.data

            check_backend(backend, SAMPLE_FILES, writable=False, fetch=fetch)
        assert s3.writes == []
        backend.close()


# -- broken ones ---------------------------------------------------------------------------------------------------

FILES = {"a.txt": b"a", "a/b.txt": b"bcd", "a/c/d.bin": b"0123456789" * 30, "e.txt": b""}


class Handle(MemoryHandle):
    """A handle whose parts a test replaces."""

    def __init__(self, data: bytes, meta: Meta, **parts: Callable[..., Any]) -> None:
        super().__init__(data, meta)
        self._parts = parts
        self._closed = 0

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        return self._parts["chunks"](self, start, stop) if "chunks" in self._parts else super().chunks(start, stop)

    def read_now(self, start: int, stop: int) -> bytes:
        return self._parts["read_now"](self, start, stop) if "read_now" in self._parts else self._data[start:stop]

    def close(self) -> None:
        self._closed += 1
        if "close" in self._parts:
            self._parts["close"](self)


class OnlyOpens:
    """The least that is a backend, with one thing to break."""

    name = "broken"

    def __init__(
        self,
        meta: Callable[[Meta], Meta] = lambda meta: meta,
        missing: Callable[[Key], Any] = lambda key: None,
        **parts: Any,
    ) -> None:
        self._memory = MemoryBackend(FILES)
        self._meta, self._missing, self._parts = meta, missing, parts

    def open(self, key: Key) -> Any:
        found = self._memory.open(key)
        if found is None:
            return self._missing(key)
        return Handle(found._data, self._meta(found.meta), **self._parts)


class Broken(MemoryBackend):
    """All capabilities of MemoryBackend, for subclasses to break one."""

    def __init__(self) -> None:
        super().__init__(FILES, name="broken")


class Signing(OnlyOpens):
    """Remote and signing; ``url`` and ``expires`` are what a test breaks."""

    def __init__(self, url: Callable[[Key, str, float], str], expires: Callable[[float], float | None]) -> None:
        super().__init__()
        self._url, self._expires = url, expires

    def open(self, key: Key) -> Any:
        found = self._memory.open(key)
        return None if found is None else Remote(found.meta)

    def can_sign(self, now: float) -> bool:
        return True

    def prepare(self) -> None:
        pass

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        return SignedURL(self._url(key, method, now), self._expires(now))


class Ranging(OnlyOpens):
    """Remote, read by ranges: by ``read``."""

    def __init__(self, read: Callable[[bytes, int, int, bool], bytes]) -> None:
        super().__init__()
        self._read = read

    def open(self, key: Key) -> Any:
        found = self._memory.open(key)
        return None if found is None else Remote(found.meta)

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        found = self._memory.open(key)
        assert found is not None
        yield self._read(found._data, start, stop, etag == found.meta.etag)


def read_rightly(data: bytes, start: int, stop: int, same: bool) -> bytes:
    if not same or stop > len(data):
        raise ContentChanged("changed")
    return data[start:stop]


def quoted(key: Key, method: str, now: float) -> str:
    from urllib.parse import quote

    return f"https://origin.test/{quote(key)}?{method}"


def in_an_hour(now: float) -> float:
    return now + 3600


def test_the_parts_of_the_broken_backends_are_sound() -> None:
    """Else the cases below would prove nothing."""
    for backend in (OnlyOpens(), Broken(), Signing(quoted, in_an_hour), Ranging(read_rightly), ListsPagesRightly()):
        check_backend(backend, FILES)


def raises(*_: Any) -> Any:
    raise BackendUnavailable("down for repair")


def closes_once(handle: Handle) -> None:
    if handle._closed > 1:
        raise OSError(9, "Bad file descriptor")


OPENS: list[tuple[str, dict[str, Any], str]] = [
    (
        "a byte short",
        {"chunks": lambda handle, start, stop: iter([handle._data[start : stop - 1]] if stop - start > 1 else [b"x"])},
        "open('a/b.txt') returned a handle whose meta.size is 3, but chunks(0, 3) yielded 2 bytes",
    ),
    (
        "offset ignored",
        {"chunks": lambda handle, start, stop: iter([handle._data[: stop - start]] if stop > start else [])},
        "chunks(2, 3) yielded other bytes than the file has there",
    ),
    (
        "empty pieces",
        {"chunks": lambda handle, start, stop: iter([b"", handle._data[start:stop]])},
        "chunks(0, 1) yielded an empty piece, which servers take for the end",
    ),
    (
        "an empty piece at the end",
        {"chunks": lambda handle, start, stop: iter([handle._data[start:stop], b""])},
        "chunks(0, 1) yielded an empty piece, which servers take for the end",
    ),
    ("empty pieces for ever", {"chunks": lambda *_: repeat(b"")}, "yielded an empty piece, which servers take for"),
    (
        "up to the end of the file",
        {"chunks": lambda handle, start, stop: iter([handle._data[start:]] if start < len(handle._data) else [])},
        "whose meta.size is 1, but chunks(0, 0) yielded 1 bytes or more; the slice has 0",
    ),
    ("bytes for ever", {"chunks": lambda *_: repeat(b"x")}, "chunks(0, 1) yielded 2 bytes or more; the slice has 1"),
    (
        "no bytes",
        {"chunks": lambda handle, start, stop: iter([bytearray(handle._data[start:stop])])},
        "yielded bytearray, not bytes",
    ),
    (
        "more than there is",
        {"chunks": lambda handle, start, stop: iter([handle._data[start:stop].ljust(stop - start, b"\0")])},
        "chunks(0, 2) yielded 2 bytes of a file that has 1",
    ),
    ("chunks raises", {"chunks": raises}, "open('a.txt'), then chunks(0, 1) raised BackendUnavailable("),
    ("read_now lies", {"read_now": lambda *_: b"?"}, "read_now(0, 1) returned other bytes"),
    ("close once", {"close": closes_once}, "then close() a second time raised OSError(9, 'Bad file descriptor')"),
    (
        "size off by one",
        {"meta": lambda meta: meta._replace(size=meta.size + 1)},
        "open('a.txt') returned a handle whose meta.size is 2; the file has 1 bytes",
    ),
    ("weak etag", {"meta": lambda meta: meta._replace(etag='W/"1"')}, "meta.etag is 'W/\"1\"'; a strong one"),
    ("bare etag", {"meta": lambda meta: meta._replace(etag="abc")}, "meta.etag is 'abc'; a strong one"),
    (
        "seconds",
        {"meta": lambda meta: meta._replace(mtime_ns=int(time.time()))},
        "which looks like another unit than nanoseconds",
    ),
    (
        "milliseconds",
        {"meta": lambda meta: meta._replace(mtime_ns=int(time.time() * 1000))},
        "which looks like another unit than nanoseconds",
    ),
    ("float", {"meta": lambda meta: meta._replace(mtime_ns=time.time())}, "not an int"),
    ("future", {"meta": lambda meta: meta._replace(mtime_ns=time.time_ns() * 2)}, "which is in the future"),
    (
        "header injection",
        {"meta": lambda meta: meta._replace(content_type="text/html\r\nX: y")},
        "meta.content_type is 'text/html\\r\\nX: y', which is no header value",
    ),
    (
        "unstable",
        {"meta": lambda meta: meta._replace(mtime_ns=time.perf_counter_ns())},
        "and the second time Meta(",
    ),
    (
        "missing raises",
        {"missing": raises},
        "open('mediamw-conformance-missing'), of a name that nobody has, raised BackendUnavailable(",
    ),
    (
        "folders are files",
        {"missing": lambda key: Handle(b"", Meta(0)) if key == "a/c" else None},
        "which is a folder: None is needed",
    ),
    (
        "prefix match",
        {"missing": lambda key: Handle(b"", Meta(0)) if key == "a.tx" else None},
        "but there is no such file: None is needed",
    ),
    (
        "suffix ignored",
        {"missing": lambda key: Handle(b"", Meta(0)) if key.startswith("a.txt") else None},
        "open('a.txtx') returned",
    ),
    (
        "case folded",
        {"missing": lambda key: Handle(b"", Meta(0)) if key == "A.TXT" else None},
        "open('A.TXT') returned",
    ),
]


@pytest.mark.parametrize(("kind", "parts", "sentence"), OPENS, ids=[row[0] for row in OPENS])
def test_a_broken_open_is_caught(kind: str, parts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_backend(OnlyOpens(**parts), FILES)
    assert sentence in str(caught.value)


def test_pieces_that_are_too_large_are_caught() -> None:
    files = {"big.bin": bytes(CHUNK_BYTES + 1)}

    class Whole(MemoryHandle):
        def chunks(self, start: int, stop: int) -> Iterator[bytes]:
            yield from [self._data[start:stop]] if start < stop else []

    class Backend(MemoryBackend):
        def open(self, key: Key) -> Any:
            found = super().open(key)
            return found and Whole(found._data, found.meta)

    faults = find_faults(Backend(files), files, writable=False)
    assert any("yielded 1048577 bytes at once; 1048576 is the most" in fault for fault in faults), faults


@pytest.mark.parametrize("wrong", ["offset", "another file"])
def test_a_descriptor_that_servers_could_not_send_is_caught(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "a.txt").write_bytes(b"content" if wrong == "offset" else b"other content")
    with (tmp_path / "a.txt").open("rb", buffering=0) as file:
        file.seek(1 if wrong == "offset" else 0)

        class WithFile(MemoryHandle):
            def fileno(self) -> int:
                return file.fileno()

        class Backend(MemoryBackend):
            def open(self, key: Key) -> Any:
                found = super().open(key)
                return found and WithFile(found._data, found.meta)

        faults = find_faults(Backend({"a.txt": b"content"}), {"a.txt": b"content"}, writable=False)
    assert any("whose fileno() is not at offset 0 of a file of 7 bytes" in fault for fault in faults), faults


class LeavesOut(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        return (entry for entry in super().list(prefix, recursive=recursive) if entry.key != "e.txt")


class ListsTwice(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        return (entry for entry in super().list(prefix, recursive=recursive) for _ in (1, 2))


class ListsUnsorted(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        return iter(sorted(super().list(prefix, recursive=recursive), key=lambda entry: entry.key, reverse=True))


class ListsTooMuch(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        yield from super().list(prefix, recursive=recursive)
        yield Entry("zzz", Meta(1), self.name)


class ListsFoldersBare(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        return (entry._replace(key=entry.key.rstrip("/")) for entry in super().list(prefix, recursive=recursive))


class ListsAtBoundaries(Broken):
    """Takes the prefix for a folder's name."""

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        folder = prefix.rstrip("/") + "/" if prefix else ""
        return super().list(folder, recursive=recursive)


class ListsAnotherSize(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        for entry in super().list(prefix, recursive=recursive):
            yield entry._replace(meta=entry.meta and entry.meta._replace(size=7))


class ListsUnderAnotherName(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        return (entry._replace(backend="mine") for entry in super().list(prefix, recursive=recursive))


class ListsFlat(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        return super().list(prefix, recursive=True)


class ListsPagesRightly(Broken):
    """All of a folder at once."""

    def list_page(self, folder: str, after: str | None = None) -> Page | None:
        return Page(folder, after, None, self.pick(folder, after))

    def pick(self, folder: str, after: str | None) -> list[Listed]:
        keys = sorted(key for key in FILES if folder_of(key) == folder and key > (after or ""))
        return [Listed(key[len(folder) :], len(FILES[key]), None) for key in keys]


class PageLeavesOut(ListsPagesRightly):
    def pick(self, *arguments: Any) -> list[Listed]:
        return [file for file in super().pick(*arguments) if file.name != "e.txt"]


class PageHasMore(ListsPagesRightly):
    def pick(self, *arguments: Any) -> list[Listed]:
        return [more for file in super().pick(*arguments) for more in (file, file._replace(name=file.name + "x"))]


class PageHasAnotherSize(ListsPagesRightly):
    def pick(self, *arguments: Any) -> list[Listed]:
        return [file._replace(size=7) for file in super().pick(*arguments)]


class PageOfAnotherPart(ListsPagesRightly):
    def list_page(self, folder: str, after: str | None = None) -> Page | None:
        return super().list_page(folder)


class OpensNowSomethingElse(Broken):
    def open_now(self, key: Key) -> Any:
        found = self.open(key)
        return None if found is None else MemoryHandle(b"?" * found.meta.size, found.meta)


class ForgetsNow(Broken):
    def open_now(self, key: Key) -> Any:
        return None


class PutsOver(Broken):
    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        self._files.pop(key, None)
        super().put(key, data)


class PutsOverFolders(Broken):
    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        if key in self._files:
            super().put(key, data)
        body = b"".join(pieces(data))
        self._files[key] = (body, Meta(len(body), None, f'"{id(body):x}"'))


class PutsPieces(Broken):
    """Stores what came, even if the rest did not."""

    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        got = []
        try:
            for piece in pieces(data):
                got.append(piece)  # noqa: PERF402 - what came before the error is the point
        finally:
            super().put(key, b"".join(got))


class SwallowsErrors(Broken):
    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        got = []
        try:
            for piece in pieces(data):
                got.append(piece)  # noqa: PERF402 - as above
        except Exception:  # noqa: BLE001 - swallowing is what is wrong with it
            return
        super().put(key, b"".join(got))


class PutsFirstPiece(Broken):
    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        super().put(key, next(iter(pieces(data)), b""))


class PutsUnlocked(Broken):
    """Looks, then writes: two uploads of one name both succeed."""

    def __init__(self) -> None:
        super().__init__()
        self._met = threading.Barrier(8, timeout=5)

    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        if key.endswith("race.bin"):
            assert key not in self._files
            self._met.wait()
            self._files.pop(key, None)
            body = b"".join(pieces(data))
            self._files[key] = (body, Meta(len(body)))
        else:
            super().put(key, data)


class DiesWhenClosed(Broken):
    def close(self) -> None:
        self._files.clear()


class SharesOneHandle(Broken):
    """One place for the file that was opened last, as if by a shared file object."""

    def __init__(self) -> None:
        super().__init__()
        self._open = threading.Lock()

    def open(self, key: Key) -> Any:
        found = super().open(key)
        if found is not None and threading.current_thread() is not threading.main_thread():
            raise ValueError("I/O operation on a file of another thread")
        return found


class FindsInOneThread(Broken):
    def open(self, key: Key) -> Any:
        return super().open(key) if threading.current_thread() is threading.main_thread() else None


class MixesUpThreads(Broken):
    def open(self, key: Key) -> Any:
        found = super().open(key)
        if found is None or threading.current_thread() is threading.main_thread():
            return found
        return MemoryHandle(b"?" * found.meta.size, found.meta)


class OpensNowAnotherVersion(Broken):
    def open_now(self, key: Key) -> Any:
        found = self.open(key)
        return None if found is None else MemoryHandle(found._data, found.meta._replace(etag='"another"'))


class OpensNowWhateverIsAsked(Broken):
    def open_now(self, key: Key) -> Any:
        return self.open(key) or MemoryHandle(b"", Meta(0))


class ListsBytes(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Any]:
        entries = super().list(prefix, recursive=recursive)
        return (entry._replace(key=entry.key.encode()) for entry in entries)  # the fault


class WrapsErrors(Broken):
    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        try:
            body = b"".join(pieces(data))
        except Exception as error:
            raise BackendUnavailable("the upload failed") from error
        super().put(key, body)


class DeletesNothing(Broken):
    def delete(self, key: Key) -> bool:
        return key in self._files


class DeletesWhatIsNotThere(Broken):
    def delete(self, key: Key) -> bool:
        super().delete(key)
        return True


class ShowsItsState(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        for key in keys_below(sorted(self._files), prefix, recursive=recursive):
            yield Entry(key, None if key.endswith("/") else self._files[Key(key)][1], self.name)


class HidesItsState(Broken):
    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        return (entry for entry in super().list(prefix, recursive=recursive) if not entry.key.startswith(".mediamw"))


class NeverReplaces(Broken):
    def keep(self, key: Key, body: bytes, meta: Meta, replace: bool) -> None:
        super().keep(key, body, meta, False)


class ReplacesFolders(Broken):
    def keep(self, key: Key, body: bytes, meta: Meta, replace: bool) -> None:
        if replace:
            self._files[key] = (body, meta)
        else:
            super().keep(key, body, meta, replace)


class ForgetsTypes(Broken):
    def keep(self, key: Key, body: bytes, meta: Meta, replace: bool) -> None:
        super().keep(key, body, meta._replace(content_type=None), replace)


class KeepsTypes(Broken):
    def keep(self, key: Key, body: bytes, meta: Meta, replace: bool) -> None:
        before = self._files.get(key)
        if before is not None:
            meta = meta._replace(content_type=before[1].content_type)
        super().keep(key, body, meta, replace)


class PublishesEarly(Broken):
    def draft(self, data: Content, *, content_type: str | None = None) -> Any:
        draft = super().draft(data, content_type=content_type)
        if draft._data == b"a draft":
            folder = next(key for key in self._files if key.endswith("/replaced.bin")).rpartition("/")[0]
            draft.publish(Key(f"{folder}/draft.bin"), replace=True)
        return draft


CAPABILITIES: list[tuple[type[Broken], str]] = [
    (FindsInOneThread, "open('a.txt') in 8 threads at once does not always find the file"),
    (MixesUpThreads, "open('a.txt') in 8 threads at once does not always give the file's bytes"),
    (OpensNowAnotherVersion, "open_now('a.txt') returned Meta("),
    (OpensNowWhateverIsAsked, "but there is no such file"),
    (ListsBytes, "yielded a key that is no str: b'a.txt'"),
    (WrapsErrors, "put of an iterator that raises raised BackendUnavailable("),
    (LeavesOut, "list('', recursive=True) left out 'e.txt'"),
    (ListsTwice, "list('', recursive=False) yielded 'a.txt' twice"),
    (ListsUnsorted, "yielded 'a/' after 'e.txt'; the order is by code point"),
    (ListsTooMuch, "list('', recursive=True) yielded 'zzz', which is not there"),
    (ListsFoldersBare, "yielded 'a' with meta None; a folder ends in '/' and has none"),
    (ListsAtBoundaries, "list('e.txt', recursive=False) left out 'e.txt'"),
    (ListsAnotherSize, "said that size of 'a.txt' is 7, but open said 1"),
    (ListsUnderAnotherName, "yielded 'a.txt' of backend 'mine'; the name is 'broken'"),
    (ListsFlat, "list('', recursive=False) left out 'a/'"),
    (PageLeavesOut, "list_page('', None) said that 'e.txt' is missing, and it is not"),
    (PageHasMore, "list_page('', None) said that 'a.txtx' is there, and it is not"),
    (PageHasAnotherSize, "list_page('', None) said that 'a.txt' has 7 bytes; it has 1"),
    (PageOfAnotherPart, "which is another part"),
    (OpensNowSomethingElse, "open_now('a.txt') returned a handle whose meta.size is 1, but chunks(0, 1) yielded other"),
    (ForgetsNow, "open_now('a.txt') returned None, but the file is there"),
    (PutsOver, "a second time took the bytes; NameTaken is needed"),
    (PutsOver, "twice, then open returned a handle whose meta.size is"),
    (PutsOverFolders, "put over a folder took the bytes; NameTaken is needed"),
    (PutsOverFolders, "put below a file took the bytes; NameTaken is needed"),
    (PutsPieces, "put of an iterator that raises left a file of 15 bytes"),
    (SwallowsErrors, "put of an iterator that raises returned as if all were well"),
    (PutsFirstPiece, "an iterator of 1 bytes), then open returned a handle whose meta.size is 0"),
    (PutsUnlocked, "put of one name in 8 threads at once succeeded 8 times; once is right"),
    (DeletesNothing, "after delete returned"),
    (DeletesWhatIsNotThere, "a second time did not return False"),
    (DeletesWhatIsNotThere, "delete of a folder did not return False"),
    (ShowsItsState, "list('') shows '.mediamw/conformance/"),
    (HidesItsState, "list('.mediamw/conformance/') does not show '.mediamw/conformance/"),
    (NeverReplaces, "replace=True) of 27 bytes raised NameTaken("),
    (ReplacesFolders, "put over a folder with replace=True took the bytes; NameTaken is needed"),
    (ForgetsTypes, "content_type='image/webp'), then open, said None"),
    (KeepsTypes, "put with replace=True and no content type kept that of the file before"),
    (PublishesEarly, "is there before it was published"),
    (DiesWhenClosed, "open('a.txt') after close() of the backend returned None"),
    (
        SharesOneHandle,
        "open('a.txt') in 8 threads at once raised ValueError('I/O operation on a file of another thread')",
    ),
]


@pytest.mark.parametrize(("kind", "sentence"), CAPABILITIES, ids=[row[0].__name__ for row in CAPABILITIES])
def test_a_broken_capability_is_caught(kind: type[Broken], sentence: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_backend(kind(), FILES)
    assert sentence in str(caught.value)


SIGNERS: list[tuple[str, Any, Any, str]] = [
    (
        "raw key",
        lambda key, method, now: f"https://o.test/ü{key}?{method}",
        in_an_hour,
        "a URL is ASCII without blanks",
    ),
    ("line break", lambda key, method, now: f"https://o.test/\r\n{method}", in_an_hour, "control characters"),
    ("relative", lambda key, method, now: f"/{key}?{method}", in_an_hour, "which is no absolute http(s) URL"),
    ("script", lambda key, method, now: f"javascript:{method}", in_an_hour, "which is no absolute http(s) URL"),
    ("expired", quoted, lambda now: now - 5, "made a URL that expired 5 seconds ago"),
    ("same for HEAD", lambda key, method, now: quoted(key, "", now), in_an_hour, "made the same URL for GET and HEAD"),
    ("by second", lambda *of: f"{quoted(*of)}{of[2]}", in_an_hour, "made another URL each second"),
]


@pytest.mark.parametrize(("kind", "url", "expires", "sentence"), SIGNERS, ids=[row[0] for row in SIGNERS])
def test_a_broken_signer_is_caught(kind: str, url: Any, expires: Any, sentence: str) -> None:
    faults = find_faults(Signing(url, expires), FILES)
    assert any(sentence in fault for fault in faults), faults


def test_a_signer_that_is_never_ready_is_caught() -> None:
    backend = Signing(quoted, in_an_hour)
    backend.can_sign = lambda now: False  # the fault
    assert "can_sign is False after prepare()" in find_faults(backend, FILES)


def test_urls_are_tried() -> None:
    def fetch(method: str, url: str) -> tuple[int, Mapping[str, str], bytes]:
        name = url.partition("?")[0].removeprefix("https://origin.test/")
        if name == "a.txt":
            return 403, {}, b"<Error>"
        if name == "e.txt" and method == "HEAD":
            return 200, {"Content-Length": "9"}, b""
        return 200, {"Content-Length": str(len(FILES[name]))}, b"?" if method == "GET" else b""

    faults = find_faults(Signing(quoted, in_an_hour), FILES, fetch=fetch)
    assert "the URL of sign('a.txt', 'GET') answered 403" in faults
    assert "the URL of sign('a.txt', 'HEAD') answered 403" in faults
    assert "the URL of sign('a/b.txt', 'GET') gave 1 other bytes than the file has (the first of 3 such)" in faults
    assert "the URL of sign('e.txt', 'HEAD') said Content-Length: 9" in faults


RANGES: list[tuple[str, Any, str]] = [
    (
        "inclusive",
        lambda data, start, stop, same: read_rightly(data, start, stop, same) + data[stop : stop + 1],
        "which are not the 1 that the file has there",
    ),
    (
        "etag ignored",
        lambda data, start, stop, same: read_rightly(data, start, stop, True),
        "given the ETag of another version, yielded 1 bytes; ContentChanged is needed",
    ),
    (
        "short",
        lambda data, start, stop, same: read_rightly(data, start, min(stop, len(data)), same),
        "given one byte more than the file has, yielded 1 bytes; ContentChanged is needed",
    ),
]


@pytest.mark.parametrize(("kind", "read", "sentence"), RANGES, ids=[row[0] for row in RANGES])
def test_a_broken_reader_is_caught(kind: str, read: Any, sentence: str) -> None:
    faults = find_faults(Ranging(read), FILES)
    assert any(sentence in fault for fault in faults), faults


class WithoutETag(Ranging):
    """Has no ETags: by ``heeds`` it goes by the size alone, or by nothing."""

    def __init__(self, *, heeds: bool) -> None:
        super().__init__(read_rightly)
        self._heeds = heeds

    def open(self, key: Key) -> Any:
        found = super().open(key)
        return None if found is None else Remote(Meta(found.meta.size))

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        found: Any = self._memory.open(key)
        other = etag is not None or (self._heeds and size not in (None, found.meta.size))
        return super().read_range(key, start, stop, None if other else found.meta.etag)


def test_without_an_etag_the_size_has_to_tell() -> None:
    check_backend(WithoutETag(heeds=True), FILES)
    (fault,) = find_faults(WithoutETag(heeds=False), FILES)
    assert "given the size of another version, yielded" in fault


def test_a_remote_that_nobody_can_get_is_caught() -> None:
    class Dead(OnlyOpens):
        def open(self, key: Key) -> Any:
            found = self._memory.open(key)
            return None if found is None else Remote(found.meta)

    assert any("nobody can get it" in fault for fault in find_faults(Dead(), FILES))


@pytest.mark.parametrize("kind", [Signing, Ranging])
def test_an_open_handle_of_a_shared_answer_is_caught(kind: type[OnlyOpens]) -> None:
    """The stack gives one answer to all who wait for it, and the first of them would close the others' handle."""
    backend = Signing(quoted, in_an_hour) if kind is Signing else Ranging(read_rightly)
    backend.open = backend._memory.open  # the one thing that is broken
    (fault,) = find_faults(backend, FILES)
    assert fault.startswith("open('a.txt') returned an open handle; who signs or reads ranges is asked over a network")
    assert fault.endswith("a Remote or None is needed (the first of 4 such)")


@pytest.mark.parametrize("method", ["meta", "chunks", "close"])
def test_one_fault_of_all_files_is_told_once(method: str) -> None:
    class Partly:
        def __init__(self, handle: MemoryHandle) -> None:
            for name in {"meta", "chunks", "close"} - {method}:
                setattr(self, name, getattr(handle, name))

    memory = MemoryBackend(dict(SAMPLE_FILES))

    class Backend(OnlyOpens):
        def open(self, key: Key) -> Any:
            found = memory.open(key)
            return found and Partly(found)

    faults = find_faults(Backend(), SAMPLE_FILES)
    assert 1 <= len(faults) <= 4, faults
    assert faults[0].endswith(
        f"raised AttributeError(\"'Partly' object has no attribute '{method}'\") (the first of "
        f"{110 if method == 'chunks' else len(SAMPLE_FILES)} such)"
    )


def test_faults_that_differ_by_more_than_the_file_are_told_apart() -> None:
    def fetch(method: str, url: str) -> tuple[int, Mapping[str, str], bytes]:
        return (403 if "a.txt" in url else 404), {}, b""

    told = [f for f in find_faults(Signing(quoted, in_an_hour), FILES, fetch=fetch) if "GET" in f]
    assert told == [
        "the URL of sign('a.txt', 'GET') answered 403",
        "the URL of sign('a/b.txt', 'GET') answered 404 (the first of 3 such)",
    ]


def test_a_missing_file_is_caught_and_all_faults_are_told_at_once() -> None:
    backend = OnlyOpens(meta=lambda meta: meta._replace(etag="bare"))
    with pytest.raises(AssertionError) as caught:
        check_backend(backend, {**FILES, "not there": b"x"}, writable=True)
    assert isinstance(caught.value, ConformanceError)
    text = str(caught.value)
    assert "open('not there') returned None, but the file is there" in text
    assert "open('a.txt') returned a handle whose meta.etag is 'bare'" in text
    assert "it is said to be writable, but has no put" in text
    assert f"has {len(caught.value.faults)} faults:" in text
    assert len(caught.value.faults) == len(set(caught.value.faults))


class Careless(LocalBackend):
    """Copies instead of linking: over what has the name, without its type, and what it copied stays."""

    def publish_copy(self, name: str, key: Key, *, content_type: str | None = None) -> None:
        with self.copies() as folder:
            fd = os.open(folder.at(name), os.O_RDONLY, dir_fd=folder.fd)
        self.put(key, os.read(fd, 1000), replace=True)
        os.close(fd)

    def has_copies(self) -> bool:
        return False


def test_copies_that_are_published_carelessly_are_caught(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    faults = "\n".join(find_faults(Careless(tmp_path), FILES))
    for said in ("did not raise NameTaken", "left the file", "lost the content type", "has_copies() is not True"):
        assert said in faults


def test_writable_false_writes_nothing() -> None:
    backend = MemoryBackend(FILES)
    check_backend(backend, FILES, writable=False)
    assert len(backend._files) == len(FILES)


def test_a_name_that_is_no_str_is_caught() -> None:
    backend = OnlyOpens()
    backend.name = b"x"  # the fault
    assert "name is b'x'; it must be a printable str" in find_faults(backend, FILES)


@pytest.mark.parametrize("files", [{}, {"../x": b""}, {"": b""}])
def test_files_that_prove_nothing_are_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match=r"at least one|not a usable name"):
        find_faults(OnlyOpens(), files)


def test_importing_the_suite_loads_no_s3() -> None:
    code = "import sys; import mediamw.testing as t; t.check_backend; print(*({'moto', 'botocore'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_testing_has_its_public_names() -> None:
    import mediamw.testing as testing

    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = testing.Nothing


# -- the guard of this test suite itself (conftest.py) ---------------------------------------------------------------


@pytest.mark.parametrize("address", [("192.0.2.1", 9), ("2001:db8::1", 9)])
def test_no_test_reaches_another_machine(address: tuple[str, int], loopback_only: list[Any]) -> None:
    with (
        socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as sock,
        pytest.raises(pytest.fail.Exception, match="only loopback is allowed"),
    ):
        sock.connect(address)
    assert loopback_only == [address]
    loopback_only.clear()


def test_no_credentials_of_this_machine() -> None:
    import botocore.session

    assert botocore.session.Session().get_credentials() is None
