"""A directory as DEPOT keeps it: read and written as DEPOT does, whole at any moment, and nothing in it is believed."""

from __future__ import annotations

import collections
import errno
import itertools
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing, nullcontext
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mediamw import ConfigError, LocalBackend, MediaStack, MemoryBackend
from mediamw.backends import beneath
from mediamw.backends import exchange as exchanges
from mediamw.core.errors import BackendUnavailable, NameTaken, NotServable
from mediamw.core.keys import Key
from mediamw.ext.depot.io import staging, utils
from mediamw.ext.depot.io.local import DepotDirectory, LocalFileStorage
from mediamw.ext.depot.io.metadata import MAX_METADATA_BYTES, InvalidMetadata
from mediamw.testing import check_backend

from .folding import fold
from .killing import MEMORY

ID = Key("0f5ef2d2-6c1b-11ef-9f1a-0242ac120002")
OTHER = Key("0f5ef2d3-6c1b-11ef-9f1a-0242ac120002")


def id_of(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


SAMPLES = {id_of(name): data for name, data in {"a": b"a", "empty": b"", "big": bytes(range(251)) * 4200}.items()}


def write(root: Path, file_id: str = ID, data: bytes = b"x", metadata: Any = None) -> Path:
    """Put a file there, as DEPOT does."""
    folder = root / file_id
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(data)
    if metadata is None:
        metadata = {"filename": "a.txt", "content_type": "text/plain", "content_length": len(data)}
        metadata["last_modified"] = "2020-02-29 12:00:00"
    (folder / "metadata.json").write_bytes(metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode())
    return folder


def read(backend: DepotDirectory, key: Key = ID) -> tuple[bytes, str | None] | None:
    """Return a file's bytes and what it is called."""
    found = backend.open(key)
    if found is None:
        return None
    with closing(found):
        return b"".join(found.chunks(0, found.meta.size or 0)), found.meta.filename


def put(backend: DepotDirectory, data: bytes, filename: str, *, replace: bool = False, key: Key = ID) -> None:
    with closing(backend.draft_called(data, filename, content_type="text/plain")) as draft:
        draft.publish(key, replace=replace)


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture(params=["exchange", "no exchange"])
def swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With a disk that has names trade places, and with one that has not."""
    if request.param == "no exchange":
        monkeypatch.setattr(exchanges, "_renameat2", None)
    elif exchanges._renameat2 is None:
        pytest.skip("no renameat2 here")
    return str(request.param)


# -- the contract ------------------------------------------------------------------------------------------------------


def test_passes_the_suite(mode: str, swap: str, tmp_path: Path) -> None:
    for name, data in SAMPLES.items():
        write(tmp_path, name, data)
    (tmp_path / "no-id").mkdir()
    (tmp_path / "no-id" / "file").write_bytes(b"x")
    (tmp_path / "a.txt").write_bytes(b"x")
    (tmp_path / id_of("an empty folder")).mkdir()
    check_backend(DepotDirectory(tmp_path), SAMPLES, writable=True, make_key=id_of)
    assert list((tmp_path / ".mediamw" / "staged").iterdir()) == []
    assert list((tmp_path / ".mediamw" / "tmp").iterdir()) == []


@pytest.mark.parametrize("name", ["no-id", f"sub/{ID}", f"{{{ID}}}", f"{ID}x"])
def test_a_folder_that_is_no_id_is_none_whatever_lies_in_it(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    backend = DepotDirectory(tmp_path)
    assert backend.open(Key(name)) is None
    assert list(backend.list("", recursive=True)) == []
    assert not backend.delete(Key(name))
    assert (tmp_path / name / "file").exists()


def test_a_file_that_is_broken_is_there_and_can_be_replaced(tmp_path: Path) -> None:
    write(tmp_path, metadata=b"{")
    storage = LocalFileStorage(tmp_path)
    assert storage.exists(ID)
    with pytest.raises(ValueError, match="no metadata"):
        storage.get(ID)
    assert storage.replace(ID, b"new", "b.txt") == ID
    assert read(DepotDirectory(tmp_path)) == (b"new", "b.txt")


def test_passes_the_suite_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    for name, data in SAMPLES.items():
        write(tmp_path, name, data)
    check_backend(DepotDirectory(tmp_path), SAMPLES, writable=True, make_key=id_of)


def test_another_spelling_on_a_disk_that_folds_names(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    fold(monkeypatch)
    backend, other = DepotDirectory(tmp_path), Key(ID.upper())
    assert read(backend) == (b"x", "a.txt")
    assert read(backend, other) is None
    assert backend.is_taken(other)
    assert backend.delete(other) is False
    with pytest.raises(NameTaken, match="another spelling"):
        backend.put(other, b"y", replace=True)
    assert read(backend) == (b"x", "a.txt")


@pytest.mark.parametrize("key", ["a.txt", f"{ID}/file", f"{ID}/metadata.json", f"{{{ID}}}", f"urn:uuid:{ID}", ID[:-1]])
def test_what_is_no_id(tmp_path: Path, key: str) -> None:
    write(tmp_path)
    backend = DepotDirectory(tmp_path)
    assert backend.open(Key(key)) is None
    assert backend.delete(Key(key)) is False
    with pytest.raises(NotServable, match="stored under UUIDs alone, and this is none"):
        backend.put(Key(key), b"y")
    assert names(tmp_path / ID) == ["file", "metadata.json"]
    assert read(backend) == (b"x", "a.txt")


def test_ids_of_other_spellings(tmp_path: Path) -> None:
    backend = DepotDirectory(tmp_path)
    for key in (ID, ID.upper(), ID.replace("-", "")):
        backend.put(Key(key), key.encode())
    assert {entry.key for entry in backend.list("", recursive=True)} == {ID, ID.upper(), ID.replace("-", "")}


def test_modes(tmp_path: Path) -> None:
    root = tmp_path / "new" / "media"
    DepotDirectory(root, file_mode=0o640, directory_mode=0o750).put(ID, b"x")
    assert [(root / name).stat().st_mode & 0o777 for name in (ID, f"{ID}/file", f"{ID}/metadata.json")] == [
        0o750,
        0o640,
        0o640,
    ]


def test_options_are_those_of_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file_mode"):
        DepotDirectory(tmp_path, file_mode=0)
    with pytest.raises(ConfigError, match="lies inside"):
        MediaStack([DepotDirectory(tmp_path), LocalBackend(tmp_path / "below", name="below")])


# -- DEPOT itself ------------------------------------------------------------------------------------------------------

NAMES = ["a.txt", "Küche 1.jpg", "些公.pdf", 'a"b;c\\d.txt', "unnamed", "x" * 255]


@pytest.mark.parametrize("filename", NAMES)
def test_what_depot_wrote(tmp_path: Path, filename: str) -> None:
    depot = pytest.importorskip("depot.io.local").LocalFileStorage(str(tmp_path))
    file_id = depot.create(b"theirs", filename, "text/plain")
    theirs, ours = depot.get(file_id), LocalFileStorage(tmp_path).get(file_id)
    for name in ("file_id", "filename", "content_type", "last_modified", "content_length", "name"):
        assert getattr(ours, name) == getattr(theirs, name), name
    with theirs, ours:
        assert ours.read() == theirs.read() == b"theirs"
    assert repr(ours).partition(":")[2] == repr(theirs).partition(":")[2]
    assert LocalFileStorage(tmp_path).list() == depot.list()


@pytest.mark.parametrize("filename", NAMES)
def test_what_depot_reads_and_deletes(tmp_path: Path, filename: str, swap: str) -> None:
    depot, storage = pytest.importorskip("depot.io.local").LocalFileStorage(str(tmp_path)), LocalFileStorage(tmp_path)
    file_id = storage.create(b"ours", filename, "text/plain")
    for data in (b"ours", b"replaced by us"):
        if data != b"ours":
            storage.replace(file_id, data)
        theirs, ours = depot.get(file_id), storage.get(file_id)
        for name in ("file_id", "filename", "content_type", "last_modified", "content_length", "name"):
            assert getattr(ours, name) == getattr(theirs, name), name
        with theirs:
            assert theirs.read() == data
    depot.replace(file_id, b"replaced by them", "b.png")
    with storage.get(file_id) as again:
        assert (again.read(), again.filename, again.content_type) == (b"replaced by them", "b.png", "image/png")
    depot.delete(file_id)
    assert not storage.exists(file_id)
    assert not (tmp_path / file_id).exists()


# -- metadata.json is hostile ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "it is no JSON"),
        (b"NOT JSON", "it is no JSON"),
        (b'{"filename": "a', "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        (b"[" * 60_000, "it is no JSON"),
        (b'{"content_length": ' + b"1" * 6000 + b"}", "it is no JSON"),
        (b"[]", "it is no object of JSON"),
        (b"null", "it is no object of JSON"),
        (b'"text"', "it is no object of JSON"),
        (b'{"filename": 5}', "its filename is no text"),
        (b'{"filename": ["a"]}', "its filename is no text"),
        (b'{"content_type": {}}', "its content_type is no text"),
        (b'{"last_modified": 5}', "its last_modified is no text"),
        (b'{"last_modified": "yesterday"}', "its last_modified is no date"),
        (b'{"last_modified": "2020-02-30 00:00:00"}', "its last_modified is no date"),
        (b'{"last_modified": "2020-02-29 00:00:00' + b" " * 100 + b'"}', "its last_modified is no date"),
        (b" " * MAX_METADATA_BYTES + b"{}", "more than 65536 bytes"),
    ],
)
def test_invalid_metadata(tmp_path: Path, text: bytes, reason: str) -> None:
    write(tmp_path, metadata=text)
    storage, backend = LocalFileStorage(tmp_path), DepotDirectory(tmp_path)
    with pytest.raises(InvalidMetadata) as raised:
        backend.open(ID)
    assert reason in str(raised.value)
    assert str(tmp_path / ID / "metadata.json") in str(raised.value)
    with pytest.raises(ValueError, match="metadata"):  # as DEPOT has it
        storage.get(ID)
    assert storage.exists(ID)
    assert storage.replace(ID, b"new", "b.txt") == ID
    with storage.get(ID) as file:
        assert (file.read(), file.filename) == (b"new", "b.txt")


@pytest.mark.parametrize(
    ("metadata", "filename", "content_type"),
    [
        ({}, "unnamed", "application/octet-stream"),
        ({"filename": None, "content_type": None, "last_modified": None}, "unnamed", "application/octet-stream"),
        ({"filename": "../../etc/passwd"}, "../../etc/passwd", "application/octet-stream"),
        ({"filename": "a\r\nb: c\0\ud800"}, "a\r\nb: c\0\ud800", "application/octet-stream"),
        ({"content_type": "text/html\r\nSet-Cookie: a=b"}, "unnamed", "application/octet-stream"),
        ({"content_type": "Küche"}, "unnamed", "application/octet-stream"),
        ({"content_type": "image/png", "more": 5, "content_length": "x"}, "unnamed", "image/png"),
    ],
)
def test_odd_metadata(tmp_path: Path, metadata: Any, filename: str, content_type: str) -> None:
    from mediamw.wsgi import MediaMiddleware

    from .http_table.callers import call_wsgi

    write(tmp_path, metadata=metadata)
    stack = MediaStack([DepotDirectory(tmp_path)])
    meta = stack.stat(ID)
    assert (meta.filename, meta.content_type, meta.size) == (filename, content_type, 1)
    answer: Any = call_wsgi(MediaMiddleware(None, stack), "GET", f"/media/{ID}", {})
    assert answer.status == 200
    assert all(str(value).isprintable() for _, value in answer.headers)
    stack.close()


@pytest.mark.parametrize("date", ["0001-01-01 00:00:00", "1969-12-31 23:59:59", "9999-12-31 23:59:59"])
def test_dates_that_no_header_can_say(tmp_path: Path, date: str) -> None:
    folder = write(tmp_path, metadata={"last_modified": date})
    os.utime(folder / "file", (1_600_000_000, 1_600_000_000))
    found = DepotDirectory(tmp_path).open(ID)
    assert found is not None
    with closing(found):
        assert found.meta.mtime_ns is not None
        assert date.startswith("9999") or found.meta.mtime_ns == 1_600_000_000 * 10**9


def test_an_upload_that_never_came_to_its_end(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ID / "metadata.json").unlink()
    backend, storage = DepotDirectory(tmp_path), LocalFileStorage(tmp_path)
    with pytest.raises(NotServable, match=r"there is no .*/metadata.json"):
        backend.open(ID)
    with pytest.raises(IOError, match=r"there is no .*/metadata.json"):
        storage.get(ID)
    assert storage.list() == []
    with pytest.raises(NameTaken):
        backend.put(ID, b"y")
    storage.delete(ID)
    assert not (tmp_path / ID).exists()


def test_a_folder_without_a_file(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ID / "file").unlink()
    storage = LocalFileStorage(tmp_path)
    assert not storage.exists(ID)
    assert storage.list() == []
    assert not DepotDirectory(tmp_path).delete(ID)
    assert (tmp_path / ID / "metadata.json").exists(), "what is no file of DEPOT's is not ours to delete"
    put(DepotDirectory(tmp_path), b"new", "b.txt", replace=True)
    assert read(DepotDirectory(tmp_path)) == (b"new", "b.txt")


@pytest.mark.parametrize("part", ["file", "metadata.json", ""])
@pytest.mark.usefixtures("mode", "swap")
def test_links_that_lead_out(tmp_path: Path, part: str) -> None:
    outside = write(tmp_path / "outside", OTHER, b"secret")
    root = tmp_path / "media"
    if part:
        folder = write(root)
        (folder / part).unlink()
        (folder / part).symlink_to(outside / part)
    else:
        root.mkdir()
        (root / ID).symlink_to(outside)
    backend = DepotDirectory(root)
    with pytest.raises(NotServable, match="leads out of the root"):
        backend.open(ID)
    assert list(backend.list("", recursive=True)) == []
    followed = DepotDirectory(root, follow_links_to=[tmp_path / "outside"])
    assert read(followed) is not None
    put(backend, b"new", "b.txt", replace=True)
    assert read(backend) == (b"new", "b.txt")
    assert names(outside) == ["file", "metadata.json"]
    assert (outside / "file").read_bytes() == b"secret"


@pytest.mark.usefixtures("mode")
def test_a_link_is_deleted_and_not_what_it_leads_to(tmp_path: Path) -> None:
    outside, root = write(tmp_path / "outside"), tmp_path / "media"
    root.mkdir()
    (root / ID).symlink_to(outside)
    assert DepotDirectory(root).delete(ID) is True
    assert not (root / ID).is_symlink()
    assert names(outside) == ["file", "metadata.json"]


@pytest.mark.parametrize("part", ["file", "metadata.json"])
def test_what_is_no_regular_file(tmp_path: Path, part: str) -> None:
    folder = write(tmp_path)
    (folder / part).unlink()
    os.mkfifo(folder / part)
    with pytest.raises(NotServable, match="no regular file"):
        DepotDirectory(tmp_path).open(ID)


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / ID).write_bytes(b"x")
    backend = DepotDirectory(tmp_path)
    assert backend.open(ID) is None
    assert backend.delete(ID) is False
    for replace in (False, True):
        with pytest.raises(NameTaken):
            backend.put(ID, b"y", replace=replace)
    assert (tmp_path / ID).read_bytes() == b"x"


# -- whole, or not at all ----------------------------------------------------------------------------------------------


def test_readers_see_one_upload_or_another(tmp_path: Path) -> None:
    """Four read while two replace: the bytes are always those of the name that comes with them."""
    if exchanges._renameat2 is None:
        pytest.skip("no renameat2 here")
    backend, stop, seen, wrong = DepotDirectory(tmp_path), threading.Event(), collections.Counter[str](), []
    put(backend, b"0" * 1000, "0")

    def replacing(letters: str) -> None:
        mine = DepotDirectory(tmp_path)
        for letter in itertools.cycle(letters):
            if stop.is_set():
                return
            put(mine, letter.encode() * 1000, letter, replace=True)

    def reading() -> None:
        mine = DepotDirectory(tmp_path)
        while not stop.is_set():
            found = read(mine)
            if found is None or found[0] != (found[1] or "").encode() * 1000:
                wrong.append(found)
            else:
                seen[found[1] or ""] += 1

    threads = [threading.Thread(target=replacing, args=(letters,)) for letters in ("ab", "cd")]
    threads += [threading.Thread(target=reading) for _ in range(4)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 20
    while (len(seen) < 4 or sum(seen.values()) < 3000) and not wrong and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(seen) >= 4, seen
    assert names(tmp_path) == [f"{ID}/file", f"{ID}/metadata.json"]


def test_of_two_new_files_of_one_id_one_is_stored(tmp_path: Path) -> None:
    first, second = DepotDirectory(tmp_path), DepotDirectory(tmp_path)
    with closing(first.draft_called(b"1", "1")) as one, closing(second.draft_called(b"2", "2")) as two:
        two.publish(ID)
        with pytest.raises(NameTaken):
            one.publish(ID)
        assert read(first) == (b"2", "2")
        one.publish(OTHER)
    assert read(first, OTHER) == (b"1", "1")


def test_deleted_while_its_parts_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "_renameat2", None)
    backend, rename = DepotDirectory(tmp_path), staging._rename
    put(backend, b"old", "old")

    def renaming(folder: Any, name: str, other: Any, other_name: str) -> None:
        rename(folder, name, other, other_name)
        if name == staging.FILE:
            shutil.rmtree(tmp_path / ID)

    with monkeypatch.context() as patch:
        patch.setattr(staging, "_rename", renaming)
        put(backend, b"new", "new", replace=True)
    assert read(backend) is None
    assert names(tmp_path) == []
    put(backend, b"again", "again")
    assert read(backend) == (b"again", "again")


@pytest.mark.parametrize("among", ["threads", "processes"])
def test_two_that_replace_part_by_part_come_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, among: str
) -> None:
    """Else the bytes of one would have the name and the type of the other for good."""
    monkeypatch.setattr(exchanges, "_renameat2", None)
    if among == "processes":  # as they are told apart: by the lock of the disk alone
        monkeypatch.setattr(staging, "_replacing", SimpleNamespace(get=nullcontext))
    else:
        monkeypatch.setattr(staging, "fcntl", None)
    backend, rename = DepotDirectory(tmp_path), staging._rename
    put(backend, b"old", "old")
    second = threading.Thread(target=put, args=(backend, b"second", "second"), kwargs={"replace": True})
    started: list[int] = []

    def renaming(folder: Any, name: str, other: Any, other_name: str) -> None:
        rename(folder, name, other, other_name)
        if name == staging.FILE and not started:
            started.append(1)
            second.start()
            second.join(0.5)  # whoever does not wait has come to an end by then

    monkeypatch.setattr(staging, "_rename", renaming)
    put(backend, b"first", "first", replace=True)
    second.join()
    assert read(backend) == (b"second", "second")


KILLED = """
import collections, itertools, os, sys, tempfile
from mediamw.backends import exchange
from mediamw.core.keys import Key
from mediamw.ext.depot.io import staging
from mediamw.ext.depot.io.local import DepotDirectory
from tests.killing import dying, forked
from tests.test_depot_directory import ID, put, read

CALLS = ("open", "mkdir", "link", "replace", "unlink", "rmdir", "fsync", "write")
def act(backend):
    if scene == "delete":
        backend.delete(ID)
    else:
        put(backend, b"new" * 1000, "new", replace=scene == "replace")

scene = sys.argv[1]
if sys.argv[2] == "no exchange":
    exchange._renameat2 = None
outcomes, died = collections.Counter(), 0
for at, after in itertools.product(range(1, 1000), (False, True)):
    with tempfile.TemporaryDirectory(dir=sys.argv[3]) as root:
        if scene != "create":
            put(DepotDirectory(root), b"old" * 1000, "old")
        def die():
            backend = DepotDirectory(root)
            dying(CALLS, at, after=after)
            act(backend)
        _, status = os.waitpid(forked(die), 0)
        found = read(DepotDirectory(root))
        outcomes["none" if found is None else f"{found[0][:3].decode()} called {found[1]}"] += 1
        assert found is None or len(found[0]) == 3000
        act(DepotDirectory(root)) if scene != "create" or found is None else None
        if not os.WIFSIGNALED(status):
            assert status == 0
            break
        died += 1
print(died, "|".join(sorted(outcomes)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scene", "swaps", "outcomes"),
    [
        ("create", "exchange", "new called new|none"),
        ("replace", "exchange", "new called new|old called old"),
        ("replace", "no exchange", "new called new|new called old|old called old"),
        ("delete", "exchange", "none|old called old"),
    ],
)
def test_killed_at_every_call(scene: str, swaps: str, outcomes: str) -> None:
    """Nothing is lost, and nothing is half there. What is done next works, whatever was left behind."""
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, scene, swaps, MEMORY],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": "."},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    died, _, seen = ran.stdout.strip().partition(" ")
    assert int(died) > 10
    assert seen == outcomes


def test_what_a_killed_process_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = DepotDirectory(tmp_path)
    backend.put(ID, b"x")
    left = write(tmp_path / ".mediamw" / "staged", "left")
    (tmp_path / ".mediamw" / "staged" / "link").symlink_to(tmp_path / ID)
    backend.put(OTHER, b"y")
    os.utime(left, (0, 0))
    backend.put(OTHER, b"y", replace=True)
    assert left.exists(), "not before it is old, and not by a date that anybody can set"
    monkeypatch.setattr(staging.time, "time", lambda now=time.time: now() + 3601)
    backend.put(OTHER, b"z", replace=True)
    assert list(left.parent.iterdir()) == []
    assert read(backend) == (b"x", "unnamed")


def test_a_disk_that_fails_keeps_the_old_file(tmp_path: Path, swap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = DepotDirectory(tmp_path)
    put(backend, b"old", "old")

    def full(*_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BackendUnavailable, match="No space left"):
            put(backend, b"new", "new", replace=True)
    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, "put", full)
        with pytest.raises(OSError, match="No space left"):
            put(backend, b"new", "new", replace=True)
    assert read(backend) == (b"old", "old")
    assert names(tmp_path) == [f"{ID}/file", f"{ID}/metadata.json"]


def test_a_disk_that_fails_keeps_what_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is told: nobody takes it for a file that was not there."""
    backend = DepotDirectory(tmp_path)
    put(backend, b"old", "old")

    def broken(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", broken)
        with pytest.raises(BackendUnavailable, match="Input/output error"):
            backend.delete(ID)
    assert read(backend) == (b"old", "old")
    with monkeypatch.context() as patch:
        for call in ("unlink", "rmdir"):
            patch.setattr(os, call, broken)
        assert backend.delete(ID), "what cannot be removed stays where nobody sees it"
    assert read(backend) is None
    assert not list(backend.list("", recursive=True))


def test_what_is_synced_before_what(tmp_path: Path, swap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut there is what was stored, or what was there before: never a name without its file."""
    events: list[str] = []
    fsync, rename, exchange, discard = os.fsync, staging._rename, staging.exchange, staging._discard

    def syncing(fd: int) -> None:
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode):
            events.append("bytes")
        else:
            folders = (tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir()))
            (path,) = (path for path in folders if os.path.samestat(path.stat(), found))
            place = path.relative_to(tmp_path).parts
            events.append("/".join(("staged", "*")[: len(place) - 1] if place[:1] == (".mediamw",) else place))
        fsync(fd)

    def noted(what: str, call: Any) -> Any:
        def done(*given: Any) -> Any:
            result = call(*given)
            if result is not False:
                part = given[1] if given[1] in (staging.FILE, staging.METADATA) else ""
                events.append(f"{what} {part}".strip())
            return result

        return done

    backend = DepotDirectory(tmp_path)
    put(backend, b"x", "x", key=OTHER)  # the folders of the state are made
    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(staging, "_rename", noted("rename", rename))
    monkeypatch.setattr(staging, "exchange", noted("exchange", exchange))
    monkeypatch.setattr(staging, "_discard", noted("discard", discard))
    written = ["bytes", "staged", "staged/*", "bytes", "staged/*"]
    put(backend, b"old", "old")
    assert events == [*written, "rename", ""]
    events.clear()
    put(backend, b"new", "new", replace=True)
    parts = ["rename file", "rename metadata.json", ID, "discard", ""]
    assert events == [*written, *(parts if swap == "no exchange" else ["exchange", "", "discard", ""])]
    events.clear()
    backend.delete(ID)
    assert events == ["rename", "", "discard"]


# -- in a stack --------------------------------------------------------------------------------------------------------


def test_the_name_tells_the_type_if_nobody_does(tmp_path: Path) -> None:
    stack = MediaStack([DepotDirectory(tmp_path)])
    stack.save(ID, b"x", filename="a.jpg")
    stack.save(OTHER, b"x", filename="a.jpg", content_type="application/octet-stream")
    assert stack.stat(ID).content_type == "image/jpeg"
    assert stack.stat(OTHER).content_type == "application/octet-stream"
    stack.close()


def test_a_copy_that_is_kept_has_its_name(tmp_path: Path) -> None:
    lower = DepotDirectory(tmp_path / "lower", name="lower")
    put(lower, b"theirs", "Küche.txt")
    stack = MediaStack([DepotDirectory(tmp_path / "upper"), lower])
    assert stack.pull(ID, keep=True)
    meta = stack.stat(ID)
    assert (meta.filename, meta.content_type) == ("Küche.txt", "text/plain")
    assert read(DepotDirectory(tmp_path / "upper")) == (b"theirs", "Küche.txt")
    stack.close()


def test_an_upload_over_a_lower_and_back(tmp_path: Path) -> None:
    lower = MemoryBackend()
    with closing(lower.draft_called(b"theirs", "theirs.txt", content_type="text/plain")) as draft:
        draft.publish(ID)
    stack = MediaStack([DepotDirectory(tmp_path), lower])
    stack.save(ID, BytesIO(b"ours"), names="replace", filename="ours.txt")
    assert stack.stat(ID).filename == "ours.txt"
    assert stack.delete(ID)
    assert not stack.exists(ID)
    assert stack.restore(ID)
    assert stack.stat(ID).filename == "theirs.txt"
    assert [entry.key for entry in stack.list()] == [ID]
    stack.close()


def test_dates_are_those_of_the_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "timestamp", lambda: "2001-01-01 00:00:01")
    backend = DepotDirectory(tmp_path)
    backend.put(ID, b"x")
    found = backend.open(ID)
    assert found is not None
    with closing(found):
        assert found.meta.mtime_ns == 978_307_201 * 10**9
    assert json.loads((tmp_path / ID / "metadata.json").read_text()) == {
        "filename": "unnamed",
        "content_type": "application/octet-stream",
        "content_length": 1,
        "last_modified": "2001-01-01 00:00:01",
    }


def test_a_folder_that_cannot_be_read_is_no_shorter_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copies all that is listed would take it for all there is."""
    backend = DepotDirectory(tmp_path)
    keys = [Key(str(uuid.uuid4())) for _ in range(2)]
    for key in keys:
        backend.put(key, b"data")
    assert [entry.key for entry in backend.list("", recursive=True)] == sorted(keys)
    opened = beneath.Root.open_folder

    def open_folder(self: beneath.Root, folder: str, **options: Any) -> Any:
        if folder == keys[0]:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(self, folder, **options)

    monkeypatch.setattr(beneath.Root, "open_folder", open_folder)
    with pytest.raises(BackendUnavailable, match=f"Permission denied .*{keys[0]}"):
        list(backend.list("", recursive=True))
