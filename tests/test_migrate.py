"""``mediamw.storages.migration.migrate``: what is copied, what is not, and what the journal makes of it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mediamw import ConfigError, LocalBackend, MediaStack, MemoryBackend
from mediamw.backends.base import Content, Entry, Remote
from mediamw.core.errors import BackendUnavailable
from mediamw.core.keys import Key
from mediamw.core.model import Meta
from mediamw.storages import Registry
from mediamw.storages.migration import Progress, Report, migrate
from mediamw.storages.migration.copying import ATTEMPTS
from mediamw.storages.migration.journal import Journal, Row
from mediamw.storages.migration.run import MAX_LISTINGS

from .fakes import Bucket, Local, down
from .migrations import Counted, files_of, fill, noted

FILES = {"a.jpg": b"a", "homes/42/kitchen.jpg": b"kitchen" * 50_000, 'homes/7/ü, "x".txt': b"", "z": b"zz"}


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.clear()


@pytest.fixture
def moved(registry: Registry, tmp_path: Path) -> Callable[..., Report]:
    """Two directories, ``old`` with FILES and ``new``, and the call that migrates; both may be configured before."""
    fill(tmp_path / "old", FILES)

    def run(**options: Any) -> Report:
        for name in {"old", "new"} - registry.names().keys():
            registry.configure(name, LocalBackend(tmp_path / name))
        given: dict[str, Any] = {"journal": tmp_path / "journal", "patience": 0.0}
        return migrate(registry, "old", "new", **(given | options))

    return run


def reasons(report: Report, outcome: Any) -> dict[str, str]:
    return {result.key: result.reason for result in report.named.get(outcome, [])}


def rows(tmp_path: Path) -> dict[str, tuple[str, str | None]]:
    journal = sqlite3.connect(tmp_path / "journal")
    try:
        return {
            key: (state, checksum) for key, state, checksum in journal.execute("SELECT key, state, checksum FROM files")
        }
    finally:
        journal.close()


# -- copying -----------------------------------------------------------------------------------------------------------


def test_all_files(moved: Callable[..., Report], tmp_path: Path, registry: Registry) -> None:
    report = moved()
    assert (report.files, report.copied, report.there, report.is_complete) == (4, 4, 4, True)
    assert (report.bytes, report.bytes_copied) == (350_003, 350_003)
    assert files_of(tmp_path / "new") == files_of(tmp_path / "old") == FILES
    assert rows(tmp_path) == {key: ("done", hashlib.sha256(data).hexdigest()) for key, data in FILES.items()}
    registry.alias("avatars", "old")
    registry.alias("other", "new")
    assert list(report.lines(registry)) == [
        "4 files copied (341.8 KiB), 0 were there, 0 known from earlier runs",
        "all 4 files of 'old' (341.8 KiB) are in 'new'.",
        "New files: storages.alias('avatars', 'new'), then one more run, for what came until then.",
        "Rows that name 'old': storages.remap({'old': 'new'}), or update them.",
    ]
    registry.configure("third", MemoryBackend())
    registry.remap({"prod_avatars": "avatars", "prod": "third"})
    remapped = {"prod_avatars": "new", "prod": "third", "old": "new"}
    text = list(report.lines(registry))
    assert text[-1] == f"Rows that name 'old': storages.remap({remapped}), or update them.", (
        "all that were, and one more"
    )
    assert sum("storages.alias" in line for line in text) == 1
    registry.alias("avatars", "new")
    assert "No alias points at 'old'." in "\n".join(report.lines(registry))


def test_a_second_run_copies_what_is_new_or_changed(
    moved: Callable[..., Report], registry: Registry, tmp_path: Path
) -> None:
    registry.configure("new", Counted(tmp_path / "new", tmp_path / "log"))
    moved()
    assert (moved().earlier, noted(tmp_path / "log")[0].total()) == (4, 4)
    fill(tmp_path / "old", {"b.txt": b"new", "a.jpg": b"changed"})
    (tmp_path / "old" / "z").unlink()
    report = moved()
    assert (report.copied, report.earlier, report.gone, report.named_gone) == (2, 2, 1, ["z"])
    assert report.is_complete
    assert files_of(tmp_path / "new") == {**FILES, "a.jpg": b"changed", "b.txt": b"new"}
    assert "  z" in list(report.lines(registry))
    assert noted(tmp_path / "log")[1] == {**dict.fromkeys(FILES, 1), "b.txt": 1, "a.jpg": 2}


def test_a_change_is_seen_by_the_length_or_by_the_time(moved: Callable[..., Report], tmp_path: Path) -> None:
    moved()
    times = (tmp_path / "old" / "a.jpg").stat().st_mtime_ns, (tmp_path / "old" / "z").stat().st_mtime_ns
    fill(tmp_path / "old", {"a.jpg": b"longer", "z": b"ZZ"})
    os.utime(tmp_path / "old" / "a.jpg", ns=(times[0], times[0]))
    os.utime(tmp_path / "old" / "z", ns=(times[1], times[1] + 1))
    assert moved().copied == 2
    assert files_of(tmp_path / "new") == {**FILES, "a.jpg": b"longer", "z": b"ZZ"}


def test_a_version_without_an_etag_is_known_by_length_and_time() -> None:
    row = Row("a", "done", 1, size=2, etag=None, mtime_ns=7, checksum=None, reason="")
    assert [row.is_of(Meta(*version)) for version in ((2, 7), (3, 7), (2, 8), (2, None))] == [True, False, False, False]


def test_a_source_that_tells_neither_times_nor_etags_is_compared_each_time(registry: Registry, tmp_path: Path) -> None:
    old = Local("old", {"a": b"1"})
    registry.configure("old", old)  # type: ignore[arg-type]
    new = registry.configure("new", MemoryBackend())
    migrate(registry, "old", "new", journal=tmp_path / "journal")
    assert migrate(registry, "old", "new", journal=tmp_path / "journal").earlier == 0
    old.files["a"] = b"2"
    assert migrate(registry, "old", "new", journal=tmp_path / "journal").copied == 1
    assert new.open("a").read() == b"2"


def test_what_is_there_is_compared_and_not_stored(
    moved: Callable[..., Report], registry: Registry, tmp_path: Path
) -> None:
    registry.configure("new", Counted(tmp_path / "new", tmp_path / "log"))
    fill(tmp_path / "new", {"a.jpg": b"a", "z": b"ZZ", "homes/42/kitchen.jpg": b"short"})
    report = moved()
    assert (report.equal, report.conflicts, report.copied, report.is_complete) == (1, 2, 1, False)
    assert reasons(report, "conflict") == {
        "homes/42/kitchen.jpg": "the target has another file: 5 bytes, not 350000",
        "z": "the target has another file: as long, other bytes",
    }
    assert set(noted(tmp_path / "log")[0]) == {'homes/7/ü, "x".txt'}
    assert files_of(tmp_path / "new")["z"] == b"ZZ"
    text = list(report.lines(registry))
    assert "2 files: another file is at the target under that key, and stays there:" in text
    assert text[-1] == "2 of 4 files of 'old' are in 'new': do not switch yet"
    assert moved(replace=True).is_complete
    assert files_of(tmp_path / "new") == FILES


def test_a_target_that_changed_what_it_was_given_is_a_conflict(moved: Callable[..., Report], tmp_path: Path) -> None:
    moved()
    fill(tmp_path / "old", {"a.jpg": b"changed here", "z": b"changed here"})
    fill(tmp_path / "new", {"z": b"changed there"})
    report = moved()
    assert (report.copied, list(reasons(report, "conflict"))) == (1, ["z"])
    assert files_of(tmp_path / "new")["z"] == b"changed there"
    assert moved().conflicts == 1, "it is looked at each time"
    fill(tmp_path / "new", {"homes/7/b": b"theirs"})
    fill(tmp_path / "old", {"homes/7/b": b"ours"})
    assert moved().conflicts == 2
    (tmp_path / "old" / "homes" / "7" / "b").unlink()
    assert moved().gone == 0, "it never was copied"


def test_a_failure_does_not_make_our_copy_another_s(
    moved: Callable[..., Report], registry: Registry, tmp_path: Path
) -> None:
    """What was stored under a key is remembered over a run in which the target was away."""

    class Away(LocalBackend):
        is_away = False

        def draft(self, data: Content, *, content_type: str | None = None) -> Any:
            if self.is_away:
                raise down(self.name)
            return super().draft(data, content_type=content_type)

    new = Away(tmp_path / "new")
    registry.configure("new", new)
    moved()
    fill(tmp_path / "old", {"a.jpg": b"changed"})
    new.is_away = True
    assert moved().failed == 1
    new.is_away = False
    assert (moved().copied, files_of(tmp_path / "new")["a.jpg"]) == (1, b"changed")


def test_types_and_names_go_along(registry: Registry) -> None:
    old = registry.configure("old", MemoryBackend())
    new = registry.configure("new", MemoryBackend())
    old.save("id1", b"cv", content_type="application/pdf", filename="Lebenslauf ü.pdf")
    old.save("a.txt", b"text", content_type="text/plain; charset=latin-1")
    assert migrate(registry, "old", "new", journal=None).is_complete
    assert new.stat("id1")[3:] == ("application/pdf", None, "Lebenslauf ü.pdf")
    assert new.stat("a.txt").content_type == "text/plain; charset=latin-1"
    new.save("id1", b"cv", content_type="application/pdf", filename="other.pdf", names="replace")
    new.save("a.txt", b"text", names="replace")
    assert reasons(migrate(registry, "old", "new", journal=None), "conflict") == {
        "id1": "the target has the same bytes called 'other.pdf', not 'Lebenslauf ü.pdf'",
        "a.txt": "the target has the same bytes as text/plain;charset=utf-8, not text/plain;charset=latin-1",
    }


def test_names_that_the_target_does_not_keep(registry: Registry, tmp_path: Path) -> None:
    registry.configure("old", MemoryBackend()).save("id1", b"cv", filename="cv.pdf")
    registry.configure("new", LocalBackend(tmp_path / "new"))
    assert not migrate(registry, "old", "new", journal=None, dry_run=True).is_well
    report = migrate(registry, "old", "new", journal=None)
    assert "cv.pdf" in reasons(report, "refused")["id1"]
    assert files_of(tmp_path / "new") == {}
    assert migrate(registry, "old", "new", journal=None, drop_filenames=True).is_complete


def test_names_that_the_target_cannot_hold(moved: Callable[..., Report], tmp_path: Path) -> None:
    fill(tmp_path / "new", {"a.jpg/is/a folder": b"x", "homes": b"a file"})
    os.symlink("homes", tmp_path / "old" / "linked")
    report = moved()
    assert sorted(reasons(report, "refused")) == ["a.jpg", "homes/42/kitchen.jpg", 'homes/7/ü, "x".txt', "linked/"]
    assert "a folder has this name" in reasons(report, "refused")["a.jpg"]
    assert "one of its folders is a file" in reasons(report, "refused")["homes/42/kitchen.jpg"]
    assert "link to a folder" in (said := reasons(report, "refused")["linked/"])
    assert "put the folder itself in its place" in said
    assert (report.files, report.there, report.is_complete) == (5, 1, False)


def test_a_coding_that_cannot_be_kept(registry: Registry) -> None:
    class Coded(MemoryBackend):
        def open(self, key: Key) -> Any:
            handle = super().open(key)
            if handle is not None:
                handle.meta = handle.meta._replace(content_encoding="gzip")
            return handle

    registry.configure("old", Coded({"a.css": b"\x1f\x8b", "a.svgz": b"\x1f\x8b"}))
    new = registry.configure("new", MemoryBackend())
    report = migrate(registry, "old", "new", journal=None)
    assert (list(reasons(report, "refused")), report.copied) == (["a.css"], 1)
    assert not new.exists("a.css")


# -- overlays ----------------------------------------------------------------------------------------------------------


def layered(tmp_path: Path) -> MediaStack:
    stack = MediaStack([LocalBackend(tmp_path / "upper"), Bucket("prod", {"p": b"p", "gone.jpg": b"g", "a.jpg": b"x"})])
    stack.save("a.jpg", b"mine", names="shadow")
    stack.delete("gone.jpg")
    return stack


def test_what_is_visible_or_the_upper_only(registry: Registry, tmp_path: Path) -> None:
    registry.configure("old", layered(tmp_path))
    all_of_it, mine = (registry.configure(name, MemoryBackend()) for name in ("all", "mine"))
    assert migrate(registry, "old", "all", journal=None).is_complete
    assert {entry.key: all_of_it.open(entry.key).read() for entry in all_of_it.list()} == {
        "a.jpg": b"mine",
        "p": b"p",
    }
    assert all_of_it.stat("p").content_type == "image/jpeg"
    assert migrate(registry, "old", "mine", journal=None, upper_only=True).is_complete
    assert [entry.key for entry in mine.list()] == ["a.jpg"]


def test_what_the_lower_of_the_target_has_is_there(registry: Registry, tmp_path: Path) -> None:
    registry.configure("old", MemoryBackend({"p": b"p", "gone.jpg": b"g"}))
    new = registry.configure("new", layered(tmp_path))
    report = migrate(registry, "old", "new", journal=None)
    assert (report.equal, report.copied, report.is_complete) == (1, 1, True)
    assert set(files_of(tmp_path / "upper")) == {"a.jpg", "gone.jpg"}
    assert new.exists("gone.jpg"), "it was deleted there, and is moved there now"


def test_a_source_that_cannot_be_listed(registry: Registry) -> None:
    class Site:
        name = "site"

        def open(self, key: Key) -> None:
            return None

    registry.configure("old", MediaStack([MemoryBackend({"a": b"a"}), Site()]))
    registry.configure("new", MemoryBackend())
    with pytest.raises(ConfigError, match=r"'site' of 'old' cannot list.*upper_only"):
        migrate(registry, "old", "new", journal=None)
    assert migrate(registry, "old", "new", journal=None, upper_only=True).is_complete


# -- a source that does not stand still --------------------------------------------------------------------------------


class Changing(MemoryBackend):
    """Whose file ``a`` is another one by the time it has been read, ``times`` times."""

    def __init__(self, files: dict[str, bytes], times: int) -> None:
        super().__init__(files)
        self.times = times

    def open(self, key: Key) -> Any:
        handle = super().open(key)
        return handle if handle is None or key != "a" else _ChangesUnderWay(self, handle)


class _ChangesUnderWay:
    def __init__(self, backend: Changing, handle: Any) -> None:
        self._backend, self._handle = backend, handle
        self.meta, self.close = handle.meta, handle.close

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        if self._backend.times:
            self._backend.times -= 1
            self._backend.put(Key("a"), b"new" + bytes([self._backend.times]), replace=True)
        yield from self._handle.chunks(start, stop)


@pytest.mark.parametrize("times", [1, ATTEMPTS * MAX_LISTINGS])
def test_a_file_that_changes_is_never_mixed(registry: Registry, times: int) -> None:
    registry.configure("old", Changing({"a": b"oldold", "b": b"b"}, times))
    new = registry.configure("new", MemoryBackend())
    report = migrate(registry, "old", "new", journal=None, patience=0.0)
    assert new.open("b").read() == b"b"
    if times == 1:
        assert (report.copied, new.open("a").read()) == (2, b"new\0")
    else:
        assert (report.copied, report.failed, new.exists("a")) == (1, 1, False)
        assert "changed it while it was copied" in reasons(report, "failed")["a"]


def test_a_file_that_is_remembered_as_missing(registry: Registry) -> None:
    """Somebody asked for it before it was there: it is listed, and no file that is gone."""
    bucket = Bucket("old")
    old = registry.configure("old", MediaStack([bucket], missing_ttl=3600.0))
    new = registry.configure("new", MemoryBackend())
    assert not old.exists("a")
    bucket.files["a"] = b"a"
    assert not old.exists("a"), "it is remembered"
    report = migrate(registry, "old", "new", journal=None)
    assert (report.files, report.copied, new.open("a").read()) == (1, 1, b"a")


def test_a_bucket_s_file_that_changes_is_never_mixed(registry: Registry) -> None:
    """Each part is asked for by the ETag of the version that was begun."""

    class Swapped(Bucket):
        def before_piece(self, position: int) -> None:
            if position > 100_000:
                self.files["a.jpg"] = b"new" * 100_000

    old = Swapped("prod", {"a.jpg": b"old" * 100_000})
    registry.configure("old", old)  # type: ignore[arg-type]
    new = registry.configure("new", MemoryBackend())
    report = migrate(registry, "old", "new", journal=None, patience=0.0)
    assert (report.is_complete, new.open("a.jpg").read() == b"new" * 100_000) == (True, True)


class Untagged:
    """A server far away that tells length and time of a file and no ETag; it has another one of that length once that
    was read."""

    name = "far"

    def __init__(self, *versions: bytes) -> None:
        self.versions = [*versions]

    def open(self, key: Key) -> Remote | None:
        return Remote(Meta(len(self.versions[0]), len(self.versions) * 1_000_000_000)) if key == "a" else None

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        yield Entry(Key("a"), Meta(len(self.versions[0])), self.name)

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        data = self.versions[0][start:stop]
        if len(self.versions) > 1:
            del self.versions[0]
        yield data


def test_a_file_without_an_etag_is_asked_for_anew(registry: Registry, tmp_path: Path) -> None:
    """What is remembered of it would say that nothing had changed, and the old one would be stored in its place."""
    registry.configure("old", MediaStack([Untagged(b"first", b"other")]))
    registry.configure("new", MemoryBackend())
    report = migrate(registry, "old", "new", journal=tmp_path / "journal", patience=0.0)
    assert (report.is_complete, report.copied) == (True, 1), "else the old one was stored first"
    assert registry.get("new").open("a").read() == b"other"


def test_a_file_that_goes_while_it_runs(registry: Registry) -> None:
    class Going(MemoryBackend):
        def list(self, prefix: str, *, recursive: bool) -> Any:
            for entry in list(super().list(prefix, recursive=recursive)):
                self.delete(Key("b"))
                yield entry

    registry.configure("old", Going({"a": b"a", "b": b"b"}))
    registry.configure("new", MemoryBackend())
    report = migrate(registry, "old", "new", journal=None)
    assert (report.files, report.there, report.is_complete, report.gone) == (1, 1, True, 0)


def test_a_copy_of_what_has_gone_is_told_of_each_time(registry: Registry, tmp_path: Path) -> None:
    """However it went: here it was listed, with another date, and gone when it was read."""

    class Going(MemoryBackend):
        goes = False

        def list(self, prefix: str, *, recursive: bool) -> Any:
            for entry in list(super().list(prefix, recursive=recursive)):
                if self.goes:
                    self.delete(entry.key)
                yield entry

    old = Going({"a": b"a"})
    registry.configure("old", old)
    registry.configure("new", MemoryBackend())
    migrate(registry, "old", "new", journal=tmp_path / "journal")
    old.put(Key("a"), b"changed", replace=True)
    old.goes = True
    report = migrate(registry, "old", "new", journal=tmp_path / "journal")
    assert (report.files, report.is_complete) == (0, True)
    for _ in range(2):
        report = migrate(registry, "old", "new", journal=tmp_path / "journal")
        assert (report.gone, report.named_gone) == (1, ["a"])


def test_files_that_come_while_it_runs(registry: Registry) -> None:
    class Growing(MemoryBackend):
        lists = 0

        def list(self, prefix: str, *, recursive: bool) -> Any:
            self.lists += 1
            self.put(Key(f"late{self.lists}"), b"x")
            return super().list(prefix, recursive=recursive)

    old = Growing()
    registry.configure("old", old)
    registry.configure("new", MemoryBackend())
    report = migrate(registry, "old", "new", journal=None)
    assert (old.lists, report.copied, report.late, report.is_complete) == (MAX_LISTINGS, MAX_LISTINGS, 1, True)
    assert "Files are being added, 1 just now" in "\n".join(report.lines(registry))


def test_while_the_site_serves_both(registry: Registry, tmp_path: Path) -> None:
    """Four threads upload and read all the time; the alias is switched between two runs. In the end rows that name the
    old storage are answered by the new one, and each file is what it was."""
    registry.configure("old", LocalBackend(tmp_path / "old"))
    registry.configure("new", LocalBackend(tmp_path / "new"))
    registry.alias("avatars", "old")
    rows: list[tuple[str, str]] = []
    ended, errors = threading.Event(), []
    after_switch = [threading.Event() for _ in range(4)]

    def work(number: int) -> None:
        at = 0
        try:
            while not ended.is_set():
                storage, stack = registry.target("avatars")
                row = (storage, stack.save(f"{number}-{at}", b"%d of %d" % (at, number)))
                rows.append(row)
                with registry.get(row[0]).open(row[1]) as file:
                    assert file.read() == b"%d of %d" % (at, number)
                if storage == "new":
                    after_switch[number].set()
                at += 1
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        migrate(registry, "old", "new", journal=tmp_path / "journal", jobs=2)
        registry.alias("avatars", "new")
        assert all(event.wait(30) for event in after_switch), errors
        report = migrate(registry, "old", "new", journal=tmp_path / "journal", jobs=2)
        assert (report.is_complete, report.late) == (True, 0)
        registry.remap({"old": "new"})
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert {storage for storage, _ in rows} == {"old", "new"}
    for storage, key in rows:
        number, _, at = key.partition("-")
        with registry.get(storage).open(key) as file:
            assert file.read() == f"{at} of {number}".encode()
    assert set(files_of(tmp_path / "new")) == {key for _, key in rows}


# -- failures ----------------------------------------------------------------------------------------------------------


class Flaky(MemoryBackend):
    """Takes a file only after ``failures`` of its drafts."""

    def __init__(self, failures: dict[bytes, int]) -> None:
        super().__init__()
        self.failures = failures

    def draft(self, data: Content, *, content_type: str | None = None) -> Any:
        made = super().draft(data, content_type=content_type)
        if self.failures.get(made._data, 0):
            self.failures[made._data] -= 1
            raise down(self.name)
        return made


def test_a_file_that_fails_does_not_stop_the_rest(moved: Callable[..., Report], registry: Registry) -> None:
    registry.configure("new", Flaky({b"a": 3, b"zz": 100}))
    report = moved()
    assert (report.copied, report.failed, report.there, report.stopped) == (3, 1, 3, "")
    assert "it is down" in reasons(report, "failed")["z"]
    assert not report.is_well
    registry.get("new").upper.failures.clear()  # type: ignore[attr-defined]
    assert (moved().copied, moved().is_well) == (1, True)


def test_what_failed_is_tried_again_when_all_else_is_done(moved: Callable[..., Report], registry: Registry) -> None:
    registry.configure("new", Flaky({b"a": 2}))
    assert moved().is_well, "two attempts of the first listing failed"
    registry.get("new").delete("a.jpg")
    registry.get("new").upper.failures[b"a"] = 2  # type: ignore[attr-defined]
    report = moved(recheck=True)
    assert (report.copied, report.failed, report.late, report.is_well) == (1, 0, 0, True), "and is no new file"
    registry.get("new").delete("a.jpg")
    registry.get("new").upper.failures[b"a"] = 4  # type: ignore[attr-defined]
    report = moved(recheck=True)
    assert (report.copied, report.failed, report.late, report.is_well) == (1, 0, 0, True), (
        "though the second brought nothing new"
    )


def test_a_target_that_is_away(moved: Callable[..., Report], registry: Registry, tmp_path: Path) -> None:
    fill(tmp_path / "old", {f"{at:04}": b"%d" % at for at in range(300)})

    class Away(MemoryBackend):
        asked = 0

        def draft(self, data: Content, *, content_type: str | None = None) -> Any:
            self.asked += 1
            raise down(self.name)

    away = Away()
    registry.configure("new", away)
    report = moved(give_up_after=5, jobs=2)
    assert report.stopped.startswith("5 failures in a row, the last: backend 'memory': it is down")
    assert away.asked < 30
    assert not report.is_well
    assert "run it again to go on" in list(report.lines(registry))[-1]


def test_failures_here_and_there_do_not_stop_it(
    moved: Callable[..., Report], registry: Registry, tmp_path: Path
) -> None:
    fill(tmp_path / "old", {f"{at:03}": b"%d" % at for at in range(60)})
    registry.configure("new", Flaky({b"%d" % at: 100 for at in range(0, 60, 2)}))
    report = moved(jobs=1, give_up_after=8)
    assert (report.stopped, report.failed, report.there) == ("", 30, 34)


def test_a_backend_that_raises_anything(moved: Callable[..., Report], registry: Registry) -> None:
    class Broken(MemoryBackend):
        def draft(self, data: Content, *, content_type: str | None = None) -> Any:
            raise ZeroDivisionError("by zero")

    registry.configure("new", Broken())
    assert reasons(moved(), "failed")["z"] == "ZeroDivisionError: by zero"


def test_a_source_that_fails_amid_the_list(registry: Registry, tmp_path: Path) -> None:
    class Breaking(MemoryBackend):
        def list(self, prefix: str, *, recursive: bool) -> Any:
            yield from list(super().list(prefix, recursive=recursive))[:1]
            raise down(self.name)

    registry.configure("old", Breaking({"a": b"a", "b": b"b"}))
    registry.configure("new", MemoryBackend())
    report = migrate(registry, "old", "new", journal=tmp_path / "journal")
    assert report.stopped.startswith("'old' cannot be listed: backend 'memory'")
    assert not report.is_well


def test_what_was_not_listed_is_not_gone(registry: Registry, tmp_path: Path) -> None:
    class Breaking(MemoryBackend):
        is_broken = False

        def list(self, prefix: str, *, recursive: bool) -> Any:
            for number, entry in enumerate(super().list(prefix, recursive=recursive)):
                if self.is_broken and number == 500:
                    raise down(self.name)
                yield entry

    old = Breaking({f"{at:03}": b"x" for at in range(600)})
    registry.configure("old", old)
    registry.configure("new", MemoryBackend())
    migrate(registry, "old", "new", journal=tmp_path / "journal")
    old.is_broken = True
    report = migrate(registry, "old", "new", journal=tmp_path / "journal")
    assert (report.gone, report.is_well, report.is_complete) == (0, False, False)
    assert (report.files, report.there) == (500, 500), "what was listed is there"


def test_an_executor_that_is_gone(moved: Callable[..., Report]) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    assert "takes no more work" in moved(executor=executor).stopped


def test_what_the_target_gives_back_is_read(moved: Callable[..., Report], registry: Registry) -> None:
    class Forgetful(MemoryBackend):
        def keep(self, key: Key, body: bytes, meta: Any, replace: bool) -> None:
            super().keep(key, body.replace(b"zz", b"zy"), meta, replace)

    registry.configure("new", Forgetful())
    report = moved()
    assert "the target gives now is other bytes" in reasons(report, "conflict")["z"]
    registry.get("new").delete("z")
    assert moved(verify="size").is_complete, "as many bytes are enough if that is asked for"


def test_it_ends_when_it_is_told(moved: Callable[..., Report], tmp_path: Path) -> None:
    fill(tmp_path / "old", {f"{at:04}": b"%d" % at for at in range(600)})
    stop = threading.Event()

    def end(progress: Progress) -> None:
        if progress.copied:
            stop.set()

    report = moved(stop=stop, progress=end, jobs=2)
    assert report.stopped == "it was told to end"
    assert 0 < report.copied < 604
    done = {key for key, (state, _) in rows(tmp_path).items() if state == "done"}
    assert set(files_of(tmp_path / "new")) == done, "what is stored is on record"
    again = moved()
    assert (again.is_complete, again.earlier, again.equal) == (True, report.copied, 0)


# -- the journal -------------------------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing(moved: Callable[..., Report], registry: Registry, tmp_path: Path) -> None:
    fill(tmp_path / "new", {"z": b"other", "a.jpg": b"a"})
    before = files_of(tmp_path)
    report = moved(dry_run=True)
    assert (report.copied, report.equal, report.conflicts, report.is_complete) == (2, 1, 1, False)
    assert files_of(tmp_path) == before
    assert not (tmp_path / "new" / ".mediamw").exists()
    assert next(report.lines(registry)).startswith("2 files would be copied (341.8 KiB)")
    (tmp_path / "new" / "z").unlink()
    assert moved(dry_run=True).is_well
    moved()
    before = files_of(tmp_path)
    assert moved(dry_run=True).earlier == 4
    assert files_of(tmp_path) == before, "the journal too is as it was"


def test_a_dry_run_puts_nothing_on_record(moved: Callable[..., Report], tmp_path: Path) -> None:
    moved()
    fill(tmp_path / "old", {"new.txt": b"new", "a.jpg": b"changed"})
    fill(tmp_path / "new", {"z": b"?"})
    before = files_of(tmp_path)
    assert moved(dry_run=True).copied == 2
    assert moved(dry_run=True, recheck=True, replace=True).copied == 3
    assert files_of(tmp_path) == before
    assert moved(recheck=True, replace=True).copied == 3, "what would be is not what was"


def test_a_dry_run_tells_of_what_cannot_be_read(registry: Registry) -> None:
    class Unread(MemoryBackend):
        def open(self, key: Key) -> Any:
            raise down(self.name)

    registry.configure("old", Unread({"a": b"a"}))
    registry.configure("new", MemoryBackend())
    report = migrate(registry, "old", "new", journal=None, dry_run=True, patience=0.0)
    assert (report.failed, report.is_well) == (1, False)


def test_recheck(moved: Callable[..., Report], tmp_path: Path) -> None:
    moved()
    (tmp_path / "new" / "z").unlink()
    fill(tmp_path / "new", {"a.jpg": b"?"})
    assert moved().is_complete, "the journal is believed"
    report = moved(recheck=True)
    assert (report.copied, report.equal, list(reasons(report, "conflict"))) == (1, 2, ["a.jpg"])


def test_deleted_at_the_target_stays_deleted(moved: Callable[..., Report], registry: Registry, tmp_path: Path) -> None:
    moved()
    registry.get("new").delete("z")
    assert moved().copied == 0
    assert "z" not in files_of(tmp_path / "new")


def test_a_journal_of_other_storages(moved: Callable[..., Report], registry: Registry, tmp_path: Path) -> None:
    moved()
    registry.configure("third", LocalBackend(tmp_path / "third"))
    journal = tmp_path / "journal"
    with pytest.raises(ConfigError, match=r"of another migration, whose target is .*third"):
        migrate(registry, "old", "third", journal=journal)
    with pytest.raises(ConfigError, match="whose choice is all, not upper only"):
        moved(upper_only=True)
    other = Registry()
    other.configure("old", LocalBackend(tmp_path / "old"))
    other.configure("new", LocalBackend(tmp_path / "elsewhere"))
    with pytest.raises(ConfigError, match=r"of another migration, whose target is .*elsewhere"):
        migrate(other, "old", "new", journal=journal)
    for below, said in (("lower", None), ("lower two", r'whose source is .*"lower"\], not .*"lower two"\]')):
        other.clear()
        other.configure("old", MediaStack([MemoryBackend(), LocalBackend(tmp_path / below, name="lower")]))
        other.configure("new", LocalBackend(tmp_path / "new"))
        with pytest.raises(ConfigError, match=said) if said else nullcontext():
            migrate(other, "old", "new", journal=tmp_path / "of layers")
    other.clear()


def test_what_is_no_journal(moved: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, and longer than a header of one has to be" * 4)
    with pytest.raises(ConfigError, match="it is no journal"):
        moved(journal=tmp_path / "text")
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE files (a)")
    other.close()
    with pytest.raises(ConfigError, match="another program's file"):
        moved(journal=tmp_path / "other")
    with pytest.raises(ConfigError, match="can be written"):
        moved(journal=tmp_path / "none" / "journal")
    moved()
    newer = sqlite3.connect(tmp_path / "journal")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(ConfigError, match="its format is 99"):
        moved()


def test_a_journal_among_the_files(moved: Callable[..., Report], tmp_path: Path) -> None:
    for folder in ("old", "new"):
        with pytest.raises(ConfigError, match="would lie among the media"):
            moved(journal=tmp_path / folder / "journal")


def test_two_runs_at_once(moved: Callable[..., Report], tmp_path: Path) -> None:
    moved()
    journal = sqlite3.connect(tmp_path / "journal")
    about = dict(journal.execute("SELECT name, value FROM about WHERE name != 'run'"))
    journal.close()
    first = Journal(tmp_path / "journal", about)
    fill(tmp_path / "old", {"new.txt": b"new"})
    with pytest.raises(ConfigError, match="another run is at work"):
        moved()
    assert "new.txt" not in files_of(tmp_path / "new")
    first.close()
    assert moved().copied == 1


# -- arguments ---------------------------------------------------------------------------------------------------------


def test_other_processes_are_given_no_stacks(moved: Callable[..., Report]) -> None:
    with ProcessPoolExecutor(1) as executor, pytest.raises(ConfigError, match="a function that makes it"):
        moved(executor=executor)


def of_folder(folder: Path) -> Registry:
    made = Registry()
    made.configure("old", LocalBackend(folder / "old"))
    made.configure("new", LocalBackend(folder / "new"))
    return made


def test_any_executor(tmp_path: Path) -> None:
    fill(tmp_path / "old", FILES)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn) as executor:
        report = migrate(
            partial(of_folder, tmp_path), "old", "new", journal=tmp_path / "journal", executor=executor, batch=1
        )
    assert report.is_complete
    assert files_of(tmp_path / "new") == FILES


def test_what_is_no_migration(registry: Registry, tmp_path: Path) -> None:
    for name, where in {"old": "m", "same": "m", "inside": "m/inner", "around": "."}.items():
        registry.configure(name, LocalBackend(tmp_path / where))
    registry.configure("read-only", Local("prod"))  # type: ignore[arg-type]
    registry.configure("bucket", "s3://acme-media?region=eu-west-1")
    registry.alias("alias", "old")
    registry.configure("over", MediaStack([MemoryBackend(), LocalBackend(tmp_path / "m", name="below")]))
    with pytest.raises(ConfigError, match="lies inside"):
        migrate(registry, "over", "inside", journal=None)
    for target, said in {
        "old": "same storage",
        "alias": "same storage",
        "same": "the same place",
        "inside": "lies inside",
        "around": "lies inside",
        "read-only": "takes no files",
        "bucket": "'bucket' takes no files: .*S3Backend.* with writable=true in its spec",
        "nobody": "unknown storage",
    }.items():
        with pytest.raises(ConfigError, match=said):
            migrate(registry, "old", target, journal=None)
    registry.configure("new", MemoryBackend())
    for options, said in (({"jobs": 0}, "jobs: 0"), ({"verify": "no"}, "verify"), ({"batch": True}, "batch")):
        with pytest.raises(ConfigError, match=said):
            migrate(registry, "old", "new", journal=None, **options)


def test_nothing_whole_is_ever_held(registry: Registry) -> None:
    """Not the list: a source of any length is listed no further than a few batches ahead of what is copied."""
    ahead: list[int] = []

    class Endless(MemoryBackend):
        listed = 0

        def list(self, prefix: str, *, recursive: bool) -> Any:
            for entry in super().list(prefix, recursive=recursive):
                self.listed += 1
                yield entry

    class Slow(MemoryBackend):
        taken = 0

        def draft(self, data: Content, *, content_type: str | None = None) -> Any:
            ahead.append(old.listed - self.taken)
            self.taken += 1
            return super().draft(data, content_type=content_type)

    old = Endless({f"{at:05}": b"x" for at in range(2500)})
    registry.configure("old", old)
    registry.configure("new", Slow())
    assert migrate(registry, "old", "new", journal=None, jobs=2).is_complete
    assert max(ahead) <= 2 * 500 + 10, "what is looked up at once, and what is under way"


def test_a_long_file_is_never_whole_in_memory(registry: Registry, tmp_path: Path) -> None:
    import tracemalloc

    with (tmp_path / "big").open("wb") as file:
        file.truncate(200 << 20)
    (tmp_path / "old").mkdir()
    os.rename(tmp_path / "big", tmp_path / "old" / "big")
    registry.configure("old", LocalBackend(tmp_path / "old"))
    registry.configure("new", LocalBackend(tmp_path / "new"))
    tracemalloc.start()
    try:
        assert migrate(registry, "old", "new", journal=None).is_complete
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_the_source_away_is_not_an_empty_source(registry: Registry) -> None:
    registry.configure("old", Local("old", {"a": down("old")}))  # type: ignore[arg-type]
    registry.configure("new", MemoryBackend())
    assert not migrate(registry, "old", "new", journal=None).is_well


def test_a_target_away_from_the_start(registry: Registry) -> None:
    class NoAnswer(MemoryBackend):
        def is_exclusive(self) -> bool:
            raise down(self.name)

    registry.configure("old", MemoryBackend({"a": b"a"}))
    registry.configure("new", NoAnswer())
    with pytest.raises(BackendUnavailable, match="it is down"):
        migrate(registry, "old", "new", journal=None)


def test_a_server_that_keeps_no_two_writers_apart(registry: Registry) -> None:
    class Plain(MemoryBackend):
        def is_exclusive(self) -> bool:
            return False

    registry.configure("old", MemoryBackend({"a": b"a", "b": b"b"}))
    new = registry.configure("new", Plain({"b": b"other"}))
    with pytest.raises(ConfigError, match="If-None-Match"):
        migrate(registry, "old", "new", journal=None)
    report = migrate(registry, "old", "new", journal=None, dry_run=True)
    assert (report.copied, report.conflicts) == (1, 1), "nothing is stored, so that it is not even asked"
    report = migrate(registry, "old", "new", journal=None, alone=True)
    assert (report.copied, report.conflicts, new.open("b").read()) == (1, 1, b"other")
