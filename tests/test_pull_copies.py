"""Copies: how long they are believed, what hides them, how much room they have, which become files for good."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mediamw import BackendUnavailable, ConfigError, InvalidKey, LocalBackend, MediaStack, MemoryBackend, NameTaken
from mediamw.backends.base import Remote
from mediamw.backends.http_origin import HTTPOriginBackend
from mediamw.backends.rules import Rules
from mediamw.core.errors import ContentChanged, NotWritable
from mediamw.core.keys import Key
from mediamw.core.model import Held, Hidden
from mediamw.stack import download, pull_room
from mediamw.stack.pull_version import Version, source_of

from .fakes import Bucket, Local, dead, gate, settle, until
from .pulls import PULL, SMALL, A, B, C, Origin, age, files, names, settled, stack_on

pytestmark = pytest.mark.usefixtures("stacks_closed")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RETRY_SECONDS", 0.01)


def read(stack: MediaStack, key: str = A) -> bytes:
    settle(stack)
    with stack.open(key) as file:
        return file.read()


def served(stack: MediaStack, key: str) -> bytes:
    """Read it as a browser does."""
    found = stack.find(key)
    assert isinstance(found, Held)
    data = b"".join(found.handle.chunks(0, found.handle.meta.size or 0))
    found.handle.close()
    return data


KEEP = Rules(delivery="pull", pull="keep")
FORGETFUL: Any = {"found_ttl": 0, "missing_ttl": 0}


# -- stack.pull --------------------------------------------------------------------------------------------------------


def test_pull(tmp_path: Path) -> None:
    origin = Origin(SMALL)
    stack = stack_on(tmp_path, origin)
    assert (stack.pull(A), stack.pull(A)) == (True, False)
    assert (read(stack), stack.stat(A).content_type, origin.ranges) == (SMALL, "image/jpeg", [(0, 1000)])
    assert [entry.key for entry in stack.list(recursive=True)] == [A]
    assert names(tmp_path) == ["bytes", "record"]


def test_pull_of_an_empty_file(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin(b""))
    assert stack.pull(A)
    assert (read(stack), names(tmp_path)) == (b"", ["bytes", "record"])


@pytest.mark.parametrize("delivery", ["redirect", "proxy"])
def test_pull_whatever_the_delivery(tmp_path: Path, delivery: Any) -> None:
    origin = Origin(SMALL, Rules(delivery=delivery))
    assert stack_on(tmp_path, origin).pull(A)
    assert read(stack_on(tmp_path, Origin({}, Rules(delivery=delivery)))) == SMALL


def test_open_uses_a_copy_and_makes_none(tmp_path: Path) -> None:
    origin = Origin(SMALL)
    stack = stack_on(tmp_path, origin)
    assert (read(stack), names(tmp_path)) == (SMALL, [])


def test_pull_of_what_is_not_there(tmp_path: Path) -> None:
    origin = Origin({B: dead("prod")})
    stack = stack_on(tmp_path, Local("near", {"near.jpg": b"x"}), origin)
    with pytest.raises(FileNotFoundError):
        stack.pull(A)
    with pytest.raises(BackendUnavailable):
        stack.pull(B)
    with pytest.raises(InvalidKey):
        stack.pull("../a")
    assert not stack.pull("near.jpg")
    stack.save("up.jpg", b"x")
    assert not stack.pull("up.jpg", keep=True)
    with pytest.raises(NotWritable, match=r"LocalBackend\('media'\)"):
        MediaStack([MemoryBackend(), Bucket("prod")]).pull(A)


def test_a_directory_alone_has_nothing_to_pull(tmp_path: Path) -> None:
    stack = stack_on(tmp_path)
    stack.save(A, SMALL)
    assert not stack.pull(A)
    assert not stack.pull(A, keep=True)
    with pytest.raises(FileNotFoundError):
        stack.pull(B)
    with pytest.raises(NotWritable, match="Bucket holds no copies"):
        MediaStack([Bucket("prod", {A: SMALL})]).pull(A)


# -- how long ----------------------------------------------------------------------------------------------------------


def test_within_its_time_nobody_is_asked(tmp_path: Path) -> None:
    origin = Origin(SMALL, Rules(delivery="pull", pull_ttl=100))
    stack = stack_on(tmp_path, origin, **FORGETFUL)
    stack.pull(A)
    origin.files[A] = b"another"
    age(tmp_path, "bytes", 90)
    origin.asked.clear()
    assert (read(stack), origin.asked) == (SMALL, [])
    age(tmp_path, "bytes", 20)
    assert read(stack) == b"another"
    assert stack.pull(A)
    assert (read(stack), names(tmp_path)) == (b"another", ["bytes", "record"])


def test_what_has_not_changed_is_believed_anew(tmp_path: Path) -> None:
    origin = Origin(SMALL, Rules(delivery="pull", pull_ttl=100))
    stack = stack_on(tmp_path, origin, **FORGETFUL)
    stack.pull(A)
    age(tmp_path, "bytes", 110)
    (copy,) = files(tmp_path, "bytes")
    before = copy.stat().st_mtime
    origin.asked.clear()
    assert read(stack) == SMALL
    until(lambda: copy.stat().st_mtime > before + 100)
    assert (read(stack), origin.asked, len(origin.ranges)) == (SMALL, [A], 1)


def test_what_is_only_remembered_is_no_news(tmp_path: Path) -> None:
    origin = Origin(SMALL, Rules(delivery="pull", pull_ttl=100))
    stack = stack_on(tmp_path, origin)
    stack.pull(A)
    age(tmp_path, "bytes", 110)
    before = files(tmp_path, "bytes")[0].stat().st_mtime
    assert (read(stack), origin.asked) == (SMALL, [A])  # for the pull, and remembered since
    executor = stack.disk._executor.pop()
    if executor is not None:
        executor.shutdown(wait=True)  # whatever was to be noted later has been
    assert files(tmp_path, "bytes")[0].stat().st_mtime == before


def test_a_clock_that_was_wrong(tmp_path: Path) -> None:
    origin = Origin(SMALL)
    stack = stack_on(tmp_path, origin, **FORGETFUL)
    stack.pull(A)
    age(tmp_path, "bytes", -3600)
    origin.files[A] = b"another"
    assert read(stack) == b"another"


def test_without_its_origin(tmp_path: Path, caplog: Any) -> None:
    origin = Origin(SMALL, Rules(delivery="pull", pull_ttl=100))
    stack_on(tmp_path, origin).pull(A)
    origin.files = {A: dead("prod")}
    stack = stack_on(tmp_path, origin, stale_if_error=50)
    for seconds in (90, 50):
        age(tmp_path, "bytes", seconds)
        assert read(stack) == SMALL
    assert "copies are believed meanwhile" in caplog.text
    assert "pulled, stale" in str(stack.explain(A))
    age(tmp_path, "bytes", 20)
    with pytest.raises(BackendUnavailable):
        read(stack)


def test_what_its_origin_does_not_have_any_more(tmp_path: Path) -> None:
    origin = Origin(SMALL, Rules(delivery="pull", pull_ttl=0))
    stack = stack_on(tmp_path, origin, **FORGETFUL)
    stack.pull(A)
    del origin.files[A]
    assert not stack.exists(A)
    until(lambda: names(tmp_path) == [])


# -- what hides it -----------------------------------------------------------------------------------------------------


def test_a_whiteout_hides_the_copy(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin(SMALL))
    stack.pull(A)
    assert stack.delete(A)
    assert isinstance(stack.find(A), Hidden)
    assert not stack.exists(A)
    with pytest.raises(FileNotFoundError):
        stack.pull(A)
    stack.restore(A)
    assert read(stack) == SMALL


def test_a_copy_of_what_the_lower_lost_can_be_deleted(tmp_path: Path) -> None:
    origin = Origin(SMALL)
    stack = stack_on(tmp_path, origin, **FORGETFUL)
    stack.pull(A)
    del origin.files[A]
    assert stack.exists(A)
    assert stack.delete(A)
    assert isinstance(stack.find(A), Hidden)


def test_an_upload_is_before_the_copy_and_lives_on_its_own(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin(SMALL))
    stack.pull(A)
    stack.save(A, b"upload", names="replace")
    assert read(stack) == b"upload"
    assert read(stack_on(tmp_path, Origin({}))) == b"upload"
    stack.reset(A)
    assert read(stack) == SMALL


def test_rules_hold_for_copies(tmp_path: Path) -> None:
    stack_on(tmp_path, Origin(SMALL)).pull(A)
    stack = stack_on(tmp_path, Origin(SMALL, Rules(delivery="pull", exclude=["homes/"])))
    assert not stack.exists(A)


def test_a_nearer_lower_is_before_the_copy(tmp_path: Path) -> None:
    near = Local("near")
    stack = stack_on(tmp_path, near, Origin(SMALL))
    stack.pull(A)
    near.files[A] = b"near"
    assert read(stack) == b"near"


def test_a_copy_belongs_to_its_source(tmp_path: Path) -> None:
    stack_on(tmp_path, Origin(SMALL)).pull(A)
    assert read(stack_on(tmp_path, Origin(b"another", name="other"))) == b"another"
    assert len({source_of(HTTPOriginBackend(f"https://a.example/{path}/", name="x")) for path in ("b", "c")}) == 2
    both = stack_on(tmp_path, Origin({B: b"b"}, name="other"), Origin({A: SMALL, B: b"far"}))
    assert (both.pull(B), read(both, B), read(both)) == (True, b"b", SMALL)


@pytest.mark.parametrize(
    "harm", ["no json", "{}", "[]", '{"source": "prod", "key": "homes/1/a.jpg", "meta": {"a": 1}}', ""]
)
def test_a_record_that_is_none(tmp_path: Path, harm: str) -> None:
    stack = stack_on(tmp_path, Origin(SMALL))
    stack.pull(A)
    files(tmp_path, "record")[0].write_text(harm)
    assert (read(stack), stack.pull(A), names(tmp_path)) == (SMALL, True, ["bytes", "record"])


def test_bytes_that_became_shorter(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin(SMALL))
    stack.pull(A)
    os.truncate(files(tmp_path, "bytes")[0], 10)
    assert read(stack) == SMALL
    assert stack.pull(A)
    assert files(tmp_path, "bytes")[0].read_bytes() == SMALL


def test_the_folder_may_be_removed(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin(SMALL))
    stack.pull(A)
    for path in (tmp_path / ".mediamw" / "pulled").iterdir():
        path.unlink()
    assert read(stack) == SMALL
    assert stack.pull(A)


def test_it_is_no_key(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin(SMALL))
    stack.pull(A)
    (copy,) = files(tmp_path, "bytes")
    with pytest.raises(InvalidKey):
        stack.open(f".mediamw/pulled/{copy.name}")


def test_a_lock_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers of two users share a volume."""
    stack = stack_on(tmp_path, Origin(SMALL))
    stack.pull(A, keep=True)
    stack.reset(A)
    opened = os.open

    def another_user(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if str(path).endswith("lock") and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, flags, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", another_user)
        assert stack.pull(A)
        assert stack.delete(A)


def test_a_disk_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = stack_on(tmp_path, Origin({A: SMALL, B: SMALL}))
    stack.pull(A)

    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert read(stack) == SMALL
    with pytest.raises(BackendUnavailable, match="No locks"):
        stack.pull(A, keep=True)
    with pytest.raises(BackendUnavailable, match=r"the first backend's disk has no locks for files .*put another"):
        stack.pull(B)
    assert stack.publish_below("c.jpg", LocalBackend(tmp_path).draft(b"not told apart")) is None
    assert stack.delete(A)


# -- room --------------------------------------------------------------------------------------------------------------

THREE: Any = {A: b"a" * 400, B: b"b" * 400, C: b"c" * 400}


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin(THREE), pull_budget=1000)
    stack.save("upload.jpg", b"u" * 5000)
    stack.pull(A)
    age(tmp_path, "record", 500)
    stack.pull(B)
    age(tmp_path, "record", 300)
    read(stack)  # A was used 800 s ago, and now
    until(lambda: len([path for path in files(tmp_path, "record") if path.stat().st_mtime > files_age(path, 100)]) == 1)
    assert stack_on(tmp_path, Origin(THREE), pull_budget=1000).pull(C)  # as after a restart
    origin = Origin({})
    after = stack_on(tmp_path, origin)
    assert [after.exists(key) for key in (A, B, C)] == [True, False, True]
    assert (read(after), read(after, "upload.jpg")) == (THREE[A], b"u" * 5000)
    assert sum(path.stat().st_size for path in files(tmp_path, "bytes")) == 800


def files_age(path: Path, seconds: float) -> float:
    import time

    return time.time() - seconds


def test_the_budget_to_the_byte(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin({A: b"a" * 100, B: b"b" * 101, C: b"c" * 99, Key("d"): b"d"}), pull_budget=100)
    assert stack.pull(A)
    with pytest.raises(BackendUnavailable, match=r"it has 101 bytes, more than the 100 .*pull_budget"):
        stack.pull(B)
    assert names(tmp_path) == ["bytes", "record"]
    assert stack.pull(C)
    assert stack.pull("d")
    assert names(tmp_path) == ["bytes", "bytes", "record", "record"]


def test_what_is_being_fetched_counts_whole_and_is_not_evicted(tmp_path: Path) -> None:
    opened, wait = gate()
    origin = Origin({A: b"a" * 700, B: b"b" * 400}, piece_bytes=100)
    origin.hooks[100] = wait
    stack = stack_on(tmp_path, origin, pull_budget=1000)
    found: Any = stack.find(A)
    pieces = found.handle.chunks(0, 700)
    next(pieces)
    age(tmp_path, "part", 7200)
    with pytest.raises(BackendUnavailable, match="files that are being fetched have 700 of the 1000 bytes"):
        stack.pull(B)
    opened.set()
    settled(stack)
    assert stack.pull(B)
    assert len(files(tmp_path, "bytes")) == 1


def looked_at(folder: Path, seconds: float, *, more: int = 0) -> None:
    """Have all copies have been looked at so long ago, and ``more`` bytes be counted."""
    room = folder / ".mediamw" / "pulled" / "room"
    used, at = json.loads(room.read_text())
    room.write_text(json.dumps([used + more, at - seconds]))


MANY: Any = {Key(f"many/{number:02}.jpg"): bytes(10) for number in range(40)}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows when all copies are looked at."""
    looks, real = [], pull_room._copies

    def copies(*arguments: Any) -> Any:
        looks.append(1)
        return real(*arguments)

    monkeypatch.setattr(pull_room, "_copies", copies)
    return looks


def test_not_every_pull_looks_at_all_copies(tmp_path: Path, looks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """And yet those go first that were not used for longest, whatever was used since somebody looked."""
    monkeypatch.setattr(pull_room, "OLDEST", 8)
    stack, other = (stack_on(tmp_path, Origin(MANY), pull_budget=200) for _ in range(2))  # as of two processes
    keys = list(MANY)
    for key in keys[:20]:
        stack.pull(key)
        age(tmp_path, "record", 500)
    assert len(looks) == 1
    stack.pull(keys[20])
    assert len(looks) == 2
    assert not files_of(tmp_path, stack, keys[0]).exists()
    used = keys[2]  # is the next but one
    os.utime(files_of(tmp_path, stack, used))
    for number, key in enumerate(keys[21:28]):
        (other if number % 2 else stack).pull(key)
    assert len(looks) == 2  # eight are remembered, one of them was used
    kept = [key for key in keys if files_of(tmp_path, stack, key).exists()]
    assert kept == [used, *keys[9:28]]
    stack.pull(keys[28])
    assert len(looks) == 3
    looked_at(tmp_path, 599)
    stack.pull(keys[29])
    assert len(looks) == 3
    looked_at(tmp_path, 2)
    stack.pull(keys[30])
    assert len(looks) == 4


@pytest.mark.parametrize("room", ["", "[1", "[-5, 1]", '["x", 1]', "null", "[0, 9e99]", "[0, 0]", "[100000, 0]"])
def test_a_count_that_is_none_or_old_heals(tmp_path: Path, looks: list[int], room: str) -> None:
    """As a killed process, a clock that was wrong or somebody's hand leaves it."""
    stack, keys = stack_on(tmp_path, Origin(MANY), pull_budget=100), list(MANY)
    for key in keys[:9]:
        stack.pull(key)
    (tmp_path / ".mediamw" / "pulled" / "room").write_text(room)
    for key in keys[9:12]:
        stack.pull(key)
    assert len(looks) == 2
    assert len(files(tmp_path, "bytes")) == 10
    assert counted(tmp_path) == 100


def test_what_counts_is_what_is_there(tmp_path: Path) -> None:
    """After each way in which copies come and go."""
    origin = Origin({A: b"a" * 400, B: b"b" * 300})
    stack = stack_on(tmp_path, origin, pull_budget=10_000)
    stack.pull(A)
    stack.pull(B)
    assert counted(tmp_path) == 700
    origin.files[A] = b"A" * 500  # another version in its place
    stack.forget(A)
    age(tmp_path, "bytes", 7200)
    stack.pull(A)
    assert counted(tmp_path) == 800
    stack.pull(B, keep=True)
    assert counted(tmp_path) == 500
    stack._puller._pulled.drop(version(stack, A))  # type: ignore[union-attr]
    assert counted(tmp_path) == 0
    stack.pull(A, keep=True)  # makes no room, and is gone at once
    assert counted(tmp_path) == 0


def counted(folder: Path) -> int:
    used: int = json.loads((folder / ".mediamw" / "pulled" / "room").read_text())[0]
    return used


def version(stack: MediaStack, key: Key) -> Version:
    backend: Any = stack.backends[1]
    return Version(key, source_of(backend), backend.open(key).meta)


def files_of(folder: Path, stack: MediaStack, key: Key) -> Path:
    return folder / ".mediamw" / "pulled" / version(stack, key).record


def test_what_was_left_behind_is_swept(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin(THREE))
    stack.pull(A)
    pulled = tmp_path / ".mediamw" / "pulled"
    left = {f"{'0' * 32}-{'1' * 16}.50.part": 3700, f"{'2' * 32}-{'3' * 16}": 0, "4" * 32: 0, f"{'5' * 32}.tmp": 3700}
    stays = {f"{'6' * 32}-{'1' * 16}.50.part": 3500, "a stranger": 9999, f"{'7' * 32}.tmp": 0}
    for name, seconds in {**left, **stays}.items():
        (pulled / name).write_bytes(b"x" * 10)
        then = (pulled / name).stat().st_mtime - seconds
        os.utime(pulled / name, (then, then))
    looked_at(tmp_path, 601)
    stack.pull(B)
    there = {path.name for path in pulled.iterdir()}
    assert not there & set(left)
    assert set(stays) <= there


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, "1", None])
def test_what_is_no_budget(budget: Any) -> None:
    with pytest.raises(ConfigError, match="pull_budget"):
        MediaStack([MemoryBackend()], pull_budget=budget)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delivery": "pull", "pull_ttl": -1}, "pull_ttl: -1 is not a number of seconds"),
        ({"delivery": "pull", "pull_ttl": "1"}, "pull_ttl"),
        ({"delivery": "pull", "pull": "all"}, "pull: 'all' is not 'keep'"),
        ({"pull": "keep"}, "give both"),
        ({"delivery": "proxy", "pull": "keep"}, "give both"),
    ],
)
def test_rules_that_are_none(options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Rules(**options)
    assert Rules(delivery_by={"*.jpg": "pull"}, pull="keep").keeps


# -- keeping -----------------------------------------------------------------------------------------------------------


def test_keep(tmp_path: Path) -> None:
    origin = Origin({A: SMALL, Key("notes"): b"text"})
    stack = stack_on(tmp_path, origin, pull_budget=10)
    assert (stack.pull(A, keep=True), stack.pull(A, keep=True)) == (True, False)
    assert ((tmp_path / A).read_bytes(), names(tmp_path)) == (SMALL, [])
    assert stack.pull("notes", keep=True)
    del origin.files[A], origin.files[Key("notes")]
    assert read(stack) == SMALL
    # What the name tells is not written down.
    assert (stack.stat(A).content_type, stack.stat("notes").content_type) == (None, "image/jpeg")


def test_keep_a_copy_that_is_there(tmp_path: Path) -> None:
    origin = Origin(SMALL)
    stack = stack_on(tmp_path, origin)
    stack.pull(A)
    assert stack.pull(A, keep=True)
    assert ((tmp_path / A).read_bytes(), names(tmp_path), len(origin.ranges)) == (SMALL, [], 1)


def test_keep_what_a_local_lower_has(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    below = LocalBackend(tmp_path / "below", name="below")
    below.put(A, SMALL)
    stack = stack_on(tmp_path / "media", below)
    assert (stack.pull(A), stack.pull(A, keep=True), stack.pull(A, keep=True)) == (False, True, False)
    assert (tmp_path / "media" / A).read_bytes() == SMALL


def test_keep_modes(tmp_path: Path) -> None:
    stack = MediaStack([LocalBackend(tmp_path, file_mode=0o640), Origin(SMALL)])
    stack.pull(A, keep=True)
    assert (tmp_path / A).stat().st_mode & 0o777 == 0o640


def test_keep_never_takes_a_name(tmp_path: Path) -> None:
    origin = Origin({A: SMALL, B: SMALL})
    stack = stack_on(tmp_path, origin)
    origin.hooks[0] = lambda: stack.save(A, b"upload", names="replace")
    assert not stack.pull(A, keep=True)
    assert (tmp_path / A).read_bytes() == b"upload"
    (tmp_path / B / "folder").mkdir(parents=True)
    with pytest.raises(NameTaken):
        stack.pull(B, keep=True)
    assert read(stack, B) == SMALL  # still a copy


def test_keep_not_what_was_deleted_meanwhile(tmp_path: Path) -> None:
    origin = Origin(SMALL)
    stack = stack_on(tmp_path, origin)
    origin.hooks[0] = lambda: stack.delete(A)
    assert not stack.pull(A, keep=True)
    assert isinstance(stack.find(A), Hidden)
    assert not (tmp_path / A).exists()


def test_keep_not_what_a_file_cannot_say(tmp_path: Path) -> None:
    class Encoded(Origin):
        def open(self, key: Key) -> Any:
            found = super().open(key)
            return None if found is None else Remote(found.meta._replace(content_encoding="gzip"))

    stack = stack_on(tmp_path, Encoded({A: SMALL, Key("a.svgz"): SMALL}))
    with pytest.raises(BackendUnavailable, match="encoded"):
        stack.pull(A, keep=True)
    assert (stack.stat(A).content_encoding, names(tmp_path)) == ("gzip", ["bytes", "record"])
    assert stack.pull("a.svgz", keep=True)  # of which the name tells


def test_pull_keep_as_a_rule(tmp_path: Path, caplog: Any) -> None:
    origin = Origin({A: SMALL, B: SMALL}, KEEP)
    stack = stack_on(tmp_path, origin)
    for key in (A, B):
        if key == B:
            (tmp_path / B / "folder").mkdir(parents=True)
        assert served(stack, key) == SMALL
        settled(stack)
    assert ((tmp_path / A).read_bytes(), names(tmp_path)) == (SMALL, ["bytes", "record"])
    assert "stays a copy" in caplog.text


def test_copies_from_before_the_rule_are_kept_when_they_are_read(tmp_path: Path) -> None:
    origin = Origin({A: SMALL, B: SMALL})
    for key in (A, B):
        stack_on(tmp_path, origin).pull(key)
    (tmp_path / B / "folder").mkdir(parents=True)  # what cannot be kept is read all the same
    origin.rules = KEEP
    stack = stack_on(tmp_path, origin)
    for key in (A, B, A, B):
        assert served(stack, key) == SMALL
    until(lambda: names(tmp_path) == ["bytes", "record"])
    assert ((tmp_path / A).read_bytes(), len(origin.ranges)) == (SMALL, 2)


@pytest.mark.parametrize("coding", ["gzip", None])
def test_what_is_not_kept_has_its_budget(tmp_path: Path, coding: str | None) -> None:
    """Files that can be no files of a directory, and such whose name a folder has."""

    class Encoded(Origin):
        def open(self, key: Key) -> Any:
            found = super().open(key)
            return None if found is None else Remote(found.meta._replace(content_encoding=coding))

    keys = [Key(f"{number}.css") for number in range(6)]
    origin = Encoded({key: bytes([number]) * 1000 for number, key in enumerate(keys)}, KEEP)
    stack = stack_on(tmp_path, origin, pull_budget=2500)
    for number, key in enumerate(keys):
        (tmp_path / key / "folder").mkdir(parents=True)
        if number % 2:
            with pytest.raises((BackendUnavailable, NameTaken)):
                stack.pull(key, keep=True)
        else:
            assert served(stack, key) == origin.files[key]
            settled(stack)
        assert sum(path.stat().st_size for path in files(tmp_path, "bytes")) <= 2500
    assert names(tmp_path) == ["bytes", "bytes", "record", "record"]


def test_keeping_sweeps_what_was_left_behind(tmp_path: Path) -> None:
    stack = stack_on(tmp_path, Origin({A: SMALL, B: SMALL}, KEEP))
    stack.pull(A)
    left = tmp_path / ".mediamw" / "pulled" / f"{'a' * 32}-{'b' * 16}.9.part"
    left.touch()
    os.utime(left, (1, 1))
    looked_at(tmp_path, 601)
    stack.pull(B)
    assert names(tmp_path) == []


def test_a_local_lower_s_file_that_ends_early_is_not_kept(tmp_path: Path) -> None:
    class Short(Local):
        def open(self, key: Key) -> Any:
            found = super().open(key)
            assert found is not None
            found.data = found.data[:500]
            return found

    lower = Short("prod", {A: SMALL})
    with pytest.raises(ContentChanged, match="500 bytes early"):
        stack_on(tmp_path, lower).pull(A, keep=True)
    assert not (tmp_path / A).exists()
    assert [handle.closed for handle in lower.handles] == [1]


def test_pull_is_the_rule_of_every_remote_backend() -> None:
    assert HTTPOriginBackend("https://a.example/", delivery="pull", pull="keep", pull_ttl=5).rules.pull_ttl == 5
    assert PULL.pull_ttl == 3600
