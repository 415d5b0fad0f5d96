"""``migrate`` where places are not what they seem, the journal fails, or backends raise what they should not."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mediamw import ConfigError, LocalBackend, MediaStack, MemoryBackend
from mediamw.backends.base import Content
from mediamw.core.errors import BackendUnavailable, ConfigErrors, Fault, MediaError
from mediamw.core.keys import Key
from mediamw.storages import Registry
from mediamw.storages.migration import migrate, run
from mediamw.storages.migration.journal import Journal

from .migrations import environment, files_of, fill, ran


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.clear()


# -- places ------------------------------------------------------------------------------------------------------------


def test_a_source_that_is_a_lower_of_the_target(registry: Registry, tmp_path: Path) -> None:
    """All of it would seem to be there, and the report say so, with nothing copied."""
    fill(tmp_path / "old", {"a": b"a"})
    registry.configure("old", LocalBackend(tmp_path / "old"))
    registry.configure("inner", LocalBackend(tmp_path / "old" / "inner"))
    below = LocalBackend(tmp_path / "old", name="below")
    registry.configure("new", MediaStack([LocalBackend(tmp_path / "new"), below]))
    memory = MemoryBackend({"a": b"a"})
    registry.configure("memory", memory)
    for source in ("old", "inner"):
        with pytest.raises(ConfigError, match=r"the lower 'below' of 'new' has the files of .*first backend of 'new'"):
            migrate(registry, source, "new", journal=None)
    registry.configure("over", MediaStack([MemoryBackend(name="upper"), memory]))
    with pytest.raises(ConfigError, match="the lower 'memory' of 'over'"):
        migrate(registry, "memory", "over", journal=None)


def test_the_same_lower_below_both(registry: Registry, tmp_path: Path) -> None:
    """That is no such case: what production has below both need not be copied."""
    fill(tmp_path, {"prod/p": b"p", "old/a": b"a"})
    for name in ("old", "new"):
        prod = LocalBackend(tmp_path / "prod", name="prod")
        registry.configure(name, MediaStack([LocalBackend(tmp_path / name), prod]))
    report = migrate(registry, "old", "new", journal=None)
    assert (report.copied, report.equal, report.is_complete) == (1, 1, True)
    assert files_of(tmp_path / "new") == {"a": b"a"}


def test_places_that_are_not_known(registry: Registry) -> None:
    class Somewhere(MemoryBackend):
        whereabouts: tuple[str, ...] = ()

    old = Somewhere({"a": b"a"})
    registry.configure("old", old)
    registry.configure("new", Somewhere())
    registry.configure("same", old)
    assert migrate(registry, "old", "new", journal=None).is_complete
    with pytest.raises(ConfigError, match="same storage"):
        migrate(registry, "old", "same", journal=None)


def test_a_name_that_is_remapped_to_the_target(registry: Registry) -> None:
    registry.configure("old", MemoryBackend())
    registry.configure("new", MemoryBackend())
    registry.remap({"old": "new"})
    with pytest.raises(ConfigError, match=r"same storage.*remap\(\).*take that out"):
        migrate(registry, "old", "new", journal=None)


def test_a_source_without_files_is_said(registry: Registry, tmp_path: Path) -> None:
    """A path may be wrong, or a disk not be mounted."""
    registry.configure("old", LocalBackend(tmp_path / "old"))
    registry.configure("new", MemoryBackend())
    report = migrate(registry, "old", "new", journal=None)
    lines = "\n".join(report.lines(registry))
    assert "'old' shows no files at all" in lines
    assert "remap" not in lines, "nothing is advised"


def of_relative_folders() -> Registry:
    made = Registry()
    made.configure("old", LocalBackend("old"))
    made.configure("new", LocalBackend("new"))
    return made


def of_memory(folder: Path) -> Registry:
    made = Registry()
    made.configure("old", LocalBackend(folder / "old"))
    made.configure("new", MemoryBackend())
    return made


def test_a_worker_to_whom_the_names_are_other_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files would be in a directory of its own, and be proved there."""
    fill(tmp_path, {"here/old/a": b"a", "there/old/a": b"a"})
    (tmp_path / "there").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "here")
    with ProcessPoolExecutor(1, initializer=os.chdir, initargs=(tmp_path / "there",)) as executor:
        report = migrate(of_relative_folders, "old", "new", journal=None, executor=executor)
    assert "to a worker the source is" in report.stopped
    assert not (tmp_path / "there" / "new").exists()


def test_memory_is_of_one_process(tmp_path: Path) -> None:
    fill(tmp_path / "old", {"a": b"a"})
    with ProcessPoolExecutor(1) as executor, pytest.raises(ConfigError, match="in the memory of this process"):
        migrate(partial(of_memory, tmp_path), "old", "new", journal=None, executor=executor)


UNREAD = """
import os, sys
from mediamw import LocalBackend, MemoryBackend
from mediamw.storages import Registry
from mediamw.storages.migration import migrate

def report_of(folder):
    registry = Registry()
    registry.configure("old", LocalBackend(folder))
    registry.configure("new", MemoryBackend())
    return migrate(registry, "old", "new", journal=None)

report_of(sys.argv[1])  # imports all that is needed: the interpreter may lie where only root may read
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
report = report_of(sys.argv[1])
print(report.files, report.there, [(result.key, result.reason) for result in report.named.get("refused", [])])
"""


def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    """A site's server may read what the person who migrates may not: then not all is copied."""
    import tempfile

    with tempfile.TemporaryDirectory() as made:  # pytest's own are closed to others
        os.chmod(made, 0o755)
        root = Path(made) / "media"
        fill(root, {"a": b"a", "closed/b": b"b", "lost+found/c": b"c", ".mediamw/staged/d": b"d"})
        closed = [root / name for name in ("closed", "lost+found", ".mediamw/staged")]
        for folder in closed:
            os.chmod(folder, 0)
        try:
            ended = subprocess.run(
                [sys.executable, "-c", UNREAD, str(root)], env=environment(), capture_output=True, text=True, timeout=60
            )
        finally:
            for folder in closed:
                os.chmod(folder, 0o755)
    assert ended.stdout == "2 1 [('closed/', 'a folder that may not be read here, whatever is in it')]\n", ended.stderr


# -- what backends raise -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError(5, "io"), RuntimeError("it changed"), ValueError("wrong")])
def test_a_listing_that_raises_anything(registry: Registry, tmp_path: Path, error: Exception) -> None:
    class Broken(MemoryBackend):
        def list(self, prefix: str, *, recursive: bool) -> Any:
            yield from list(super().list(prefix, recursive=recursive))
            raise error

    registry.configure("old", Broken({f"{at:03}": b"x" for at in range(600)}))
    registry.configure("new", MemoryBackend())
    report = migrate(registry, "old", "new", journal=tmp_path / "journal")
    assert report.stopped == f"'old' cannot be listed: {type(error).__name__}: {error}"
    assert not report.is_well


def test_a_target_without_its_folder_is_no_source_without_the_file(registry: Registry) -> None:
    class Broken(MemoryBackend):
        def draft(self, data: Content, *, content_type: str | None = None) -> Any:
            raise FileNotFoundError(2, "no such folder")

    registry.configure("old", MemoryBackend({"a": b"a"}))
    registry.configure("new", Broken())
    report = migrate(registry, "old", "new", journal=None)
    assert (report.files, report.failed, report.is_complete) == (1, 1, False)


def test_deleted_at_the_target_while_it_is_compared(registry: Registry) -> None:
    class Deleting(MemoryBackend):
        asked = 0

        def open(self, key: Key) -> Any:
            self.asked += 1
            if self.asked == 3:  # is the name free, what is there, its bytes
                self.delete(key)
            return super().open(key)

    registry.configure("old", MemoryBackend({"a": b"a"}))
    new = registry.configure("new", Deleting({"a": b"a"}))
    report = migrate(registry, "old", "new", journal=None)
    assert (report.copied, report.is_complete, new.open("a").read()) == (1, True, b"a"), "it is begun again"


def test_a_target_that_cuts_what_it_gets(registry: Registry) -> None:
    """Its length is asked for however little is to be proved."""

    class Cutting(MemoryBackend):
        def keep(self, key: Key, body: bytes, meta: Any, replace: bool) -> None:
            super().keep(key, body[:-1], meta._replace(size=len(body) - 1), replace)

    registry.configure("old", MemoryBackend({"a": b"aa"}))
    registry.configure("new", Cutting())
    report = migrate(registry, "old", "new", journal=None, verify="size")
    assert (report.copied, report.conflicts, report.is_complete) == (0, 1, False)


@pytest.mark.parametrize(("theirs", "outcome"), [(b"a", "equal"), (b"b", "conflict")])
def test_somebody_takes_the_name_meanwhile(registry: Registry, theirs: bytes, outcome: str) -> None:
    """When all has been read, and just before it is stored: what they stored stays, and is compared at once."""

    class Racing(MemoryBackend):
        drafts = 0

        def draft(self, data: Content, *, content_type: str | None = None) -> Any:
            made = super().draft(data, content_type=content_type)
            self.drafts += 1
            if self.drafts == 1:
                self.put(Key("a"), theirs)
            return made

    class Old(MemoryBackend):
        opened = 0

        def open(self, key: Key) -> Any:
            self.opened += 1
            return super().open(key)

    old = Old({"a": b"a"})
    registry.configure("old", old)
    new = registry.configure("new", Racing())
    report = migrate(registry, "old", "new", journal=None)
    assert [result.key for result in report.named[outcome]] == (["a"] if outcome == "conflict" else [])
    assert (report.equal, report.conflicts, new.open("a").read()) == (outcome == "equal", outcome != "equal", theirs)
    assert old.opened <= 3, "it is not begun again"


# -- the journal -------------------------------------------------------------------------------------------------------


def test_a_full_disk_for_the_journal(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own error, here of a bound on its file: the run ends, and the next one goes on."""

    class Small(Journal):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self._db.execute("PRAGMA max_page_count = 8")

    files = {f"{at:04}": b"%d" % at for at in range(900)}
    registry.configure("old", MemoryBackend(files))
    new = registry.configure("new", MemoryBackend())
    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as executor:
        patch.setattr(run, "Journal", Small)
        given: list[Future[Any]] = []
        submit = executor.submit
        patch.setattr(executor, "submit", lambda *words: given.append(submit(*words)) or given[-1])
        report = migrate(registry, "old", "new", journal=tmp_path / "journal", executor=executor, batch=16)
        assert all(future.done() for future in given), "nobody is at work any more"
    assert "database or disk is full" in report.stopped
    assert 0 < report.copied < 900
    assert not report.is_well
    report = migrate(registry, "old", "new", journal=tmp_path / "journal")
    assert (report.is_complete, report.copied + report.equal + report.earlier) == (True, 900)
    assert {entry.key: new.open(entry.key).read() for entry in new.list()} == files


def test_a_journal_that_is_damaged(registry: Registry, tmp_path: Path) -> None:
    registry.configure("old", MemoryBackend({f"{at:04}": b"x" for at in range(2000)}))
    registry.configure("new", MemoryBackend())
    migrate(registry, "old", "new", journal=tmp_path / "journal")
    with (tmp_path / "journal").open("r+b") as file:
        file.seek(4096)
        size = os.fstat(file.fileno()).st_size
        file.write(b"\xff" * (size - 4096))
    try:
        said = migrate(registry, "old", "new", journal=tmp_path / "journal").stopped
    except ConfigError as error:
        said = str(error)
    assert "malformed" in said


def test_another_program_s_database_stays_as_it_is(registry: Registry, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "app.sqlite3")
    other.execute("CREATE TABLE users (name)")
    other.close()
    before = (tmp_path / "app.sqlite3").read_bytes()
    for name in ("old", "new"):
        registry.configure(name, MemoryBackend())
    with pytest.raises(ConfigError, match="another program's file"):
        migrate(registry, "old", "new", journal=tmp_path / "app.sqlite3")
    assert (tmp_path / "app.sqlite3").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.sqlite3"]


# -- a terminal of another encoding ------------------------------------------------------------------------------------

SHOP = """
from mediamw import storages
storages.configure("local", "./local")
storages.configure("new", "./new")
"""


def test_names_that_a_terminal_cannot_show(tmp_path: Path) -> None:
    fill(tmp_path, {"local/ü.txt": b"a", "new/ü.txt": b"b", "local/b": b"b", "shop.py": SHOP.encode()})
    words = ("--app", "shop", "--from", "local", "--to", "new")
    ended = ran(tmp_path, *words, PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert r"  \xfc.txt: the target has another file" in ended.stdout
    ended = ran(tmp_path, *words, "--emit-manifest", "rclone", "--journal", "none", PYTHONIOENCODING="latin-1")
    assert ended.stdout.splitlines() == ["b", "ü.txt"], "a list is UTF-8, whatever the terminal is"


# -- errors of workers -------------------------------------------------------------------------------------------------


def no_registry() -> Registry:
    if os.getpid() != int(os.environ["PARENT"]):
        raise ConfigErrors([Fault("X001", "MEDIAMW_PREFIX", "the environment", "it is wrong")])
    return of_relative_folders()


def test_a_worker_whose_settings_are_wrong_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not die of an error that cannot be sent."""
    fill(tmp_path / "old", {"a": b"a"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARENT", str(os.getpid()))
    with ProcessPoolExecutor(1) as executor:
        report = migrate(no_registry, "old", "new", journal=None, executor=executor)
    assert report.stopped.startswith("ConfigErrors: ")
    assert "it is wrong" in report.stopped


def subclasses(kind: type[MediaError]) -> Iterator[type[MediaError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def test_every_error_goes_from_process_to_process() -> None:
    error = BackendUnavailable("down", backend="prod", key="k", operation="open", retry_after=7.0)
    sent = pickle.loads(pickle.dumps(error))
    assert (type(sent), str(sent), vars(sent)) == (BackendUnavailable, str(error), vars(error))
    for kind in subclasses(MediaError):
        if kind.__module__.startswith("mediamw.core") and kind is not ConfigErrors:
            error = kind("why", key="k")
            sent = pickle.loads(pickle.dumps(error))
            assert (type(sent), str(sent), vars(sent)) == (kind, str(error), vars(error))
