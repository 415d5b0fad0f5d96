"""``mediamw migrate`` as a command: what it prints, with which status it ends, who does the work, how it is ended."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mediamw.cli import main
from mediamw.storages.migration.journal import Journal

from .migrations import command, environment, files_of, fill, noted, ran

LOCAL = """
from mediamw import storages
from tests.migrations import Counted
storages.configure("local", "./local")
storages.configure("new", Counted("new", "log"))
storages.alias("avatars", "local")
"""
FILES = {f"{at:04}.txt": b"%d" % at for at in range(120)}
WORDS = ("--app", "shop", "--from", "avatars", "--to", "new")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path / "local", FILES)
    (tmp_path / "shop.py").write_text(LOCAL)
    return tmp_path


def test_from_an_alias_to_its_end(folder: Path) -> None:
    dry = ran(folder, *WORDS, "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert dry.stdout.startswith("120 files would be copied (250 bytes), 0 were there")
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == ["local", "log", "shop.py"]
    ended = ran(folder, *WORDS)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "120 files copied (250 bytes), 0 were there, 0 known from earlier runs",
        "all 120 files of 'local' (250 bytes) are in 'new'.",
        "New files: storages.alias('avatars', 'new'), then one more run, for what came until then.",
        "Rows that name 'local': storages.remap({'local': 'new'}), or update them.",
    ]
    assert files_of(folder / "new") == FILES
    assert (folder / "migrate-local-new.sqlite3").is_file()
    again = ran(folder, *WORDS)
    assert (again.returncode, again.stdout.splitlines()[0][:40]) == (0, "0 files copied (0 bytes), 0 were there, ")


def test_a_conflict(folder: Path) -> None:
    fill(folder / "new", {"0001.txt": b"?"})
    ended = ran(folder, *WORDS, "--journal", "here", "--jobs", "2", "--batch", "7")
    assert ended.returncode == 1
    assert "  0001.txt: the target has another file: as long, other bytes" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "119 of 120 files of 'local' are in 'new': do not switch yet"
    assert ran(folder, *WORDS, "--journal", "here", "--dry-run").returncode == 1
    assert ran(folder, *WORDS, "--journal", "here", "--replace").returncode == 0
    assert files_of(folder / "new") == FILES


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "local"), "same storage"),
        (("--to", "nwe"), "did you mean new?"),
        (("--jobs", "0"), "jobs: 0 is not a whole number"),
        (("--processes", "0"), "--processes: 0 is less than 1"),
        (("--processes", "1", "--dask", "tcp://127.0.0.1:9"), "leave it out with --dask"),
        (("--output", "x"), "it is for --emit-manifest"),
        (("--journal", "shop.py"), "it is no journal"),
        (("--emit-manifest", "s3-batch"), "from a bucket to a bucket"),
        (("--emit-manifest", "rclone"), "of which rclone would copy files as they lie"),
    ],
)
def test_a_wrong_setting(folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str) -> None:
    ended = ran(folder, *WORDS, *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert files_of(folder / "new") == {}


ODD = """
from mediamw import LocalBackend, MediaStack, MemoryBackend, S3Backend, WritableS3Backend
from mediamw.core.errors import Unreachable
from mediamw.storages import Registry

class Odd(LocalBackend):
    def is_exclusive(self):
        return False

    def draft(self, data, *, content_type=None):
        return super().draft((b"?" * len(piece) for piece in data), content_type=content_type)

class Away(MemoryBackend):
    def draft(self, data, *, content_type=None):
        raise Unreachable("it is down", backend=self.name)

registry = Registry()
registry.configure("plain", MediaStack([LocalBackend("local"), LocalBackend("lower", name="lower")]))
old = MediaStack([MemoryBackend(name="upper"), MemoryBackend({"b": b"bb"}, name="lower")])
old.save("a", b"aa", filename="a.txt")
registry.configure("old", old)
registry.configure("spaced", LocalBackend("it's old"))
registry.configure("odd", Odd("odd"))
registry.configure("away", Away())
registry.configure("new", LocalBackend("new"))
for name, kind in (("gone", S3Backend), ("also", WritableS3Backend)):
    keys = {"access_key_id": "AKID", "secret_access_key": "secret"}
    registry.configure(name, kind(name, endpoint_url="http://127.0.0.1:9", **keys))
"""


def test_every_option_reaches_the_run(folder: Path) -> None:
    (folder / "odd.py").write_text(ODD)
    words = ("--app", "odd:registry", "--from", "old", "--to", "odd")
    words = (*words, "--upper-only", "--drop-filenames", "--alone", "--verify", "size", "--jobs", "1")
    ended = ran(folder, *words)
    assert (ended.returncode, files_of(folder / "odd")) == (0, {"a": b"??"}), ended.stdout + ended.stderr
    (folder / "odd" / "a").unlink()
    assert ran(folder, *words).stdout.startswith("0 files copied")
    assert ran(folder, *words, "--recheck").stdout.startswith("1 files copied")
    ended = ran(folder, "--app", "odd:registry", "--from", "old", "--to", "away", "--give-up-after", "1")
    assert (ended.returncode, "stopped: 1 failures in a row" in ended.stdout) == (1, True)


def test_a_list_is_of_what_is_left(folder: Path) -> None:
    (folder / "odd.py").write_text(ODD)
    words = ("--app", "odd:registry", "--from", "plain", "--to", "new", "--upper-only")
    assert ran(folder, *words).returncode == 0
    fill(folder, {"local/new": b"new", "lower/not this": b"x"})
    ended = ran(folder, *words, "--emit-manifest", "rclone")
    assert (ended.returncode, ended.stdout) == (0, "new\n"), ended.stderr
    ended = ran(folder, *words[:3], "spaced", *words[4:], "--emit-manifest", "rclone")
    said = shlex.split(ended.stderr.splitlines()[0])
    assert said[-2:] == [str(folder / "it's old"), str(folder / "new")], "it is pasted into a shell"


def test_a_bucket_that_is_away_is_told_by_the_status(folder: Path) -> None:
    """A list that is not whole would be taken for the whole one; and nobody is shown a traceback."""
    (folder / "odd.py").write_text(ODD)
    words = ("--app", "odd:registry", "--from", "gone", "--to", "also")
    ended = ran(folder, *words, "--emit-manifest", "s3-batch")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("mediamw: the list is not whole: ")
    ended = ran(folder, *words)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert ended.stderr.startswith("mediamw: ")


def test_dask_is_not_there(folder: Path) -> None:
    (folder / "distributed.py").write_text("raise ImportError('none')")
    ended = ran(folder, *WORDS, "--dask", "tcp://127.0.0.1:9")
    assert (ended.returncode, ended.stderr) == (
        2,
        "mediamw: --dask: it needs distributed: pip install 'mediamw[dask]'\n",
    )


def test_the_list_for_rclone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "plain.py").write_text(
        "from mediamw import storages\nstorages.configure('local', './local')\nstorages.configure('new', './new')\n"
    )
    words = ("--app", "plain", "--from", "local", "--to", "new", "--emit-manifest", "rclone")
    ended = ran(folder, *words)
    assert (ended.returncode, ended.stdout.splitlines()) == (0, list(FILES))
    assert ended.stderr.splitlines()[0] == (
        f"rclone copy --files-from-raw LIST --checksum --immutable {folder}/local {folder}/new"
    )
    ended = ran(folder, *words, "--output", "list of it")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert (folder / "list of it").read_text().splitlines() == list(FILES)
    assert "--files-from-raw 'list of it'" in ended.stderr
    assert "File exists" in ran(folder, *words, "--output", "list of it").stderr


def test_another_run_is_at_work(folder: Path) -> None:
    assert ran(folder, *WORDS).returncode == 0
    fill(folder / "local", {"more": b"x"})
    at_work = sqlite3.connect(folder / "migrate-local-new.sqlite3")
    about = dict(at_work.execute("SELECT name, value FROM about WHERE name != 'run'"))
    at_work.close()
    with closing(Journal(folder / "migrate-local-new.sqlite3", about)):
        ended = ran(folder, *WORDS)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "another run is at work on it: wait for its end" in ended.stderr
    assert "more" not in files_of(folder / "new")
    assert ran(folder, *WORDS).returncode == 0


# -- how it is ended ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_is_told_to_end(folder: Path, number: signal.Signals) -> None:
    fill(folder / "local", {f"more/{at:05}": b"x" for at in range(1200)})
    child = subprocess.Popen(
        command(*WORDS), cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not noted(folder / "log")[1] and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 1, err
    assert err == "mediamw: ends after the files under way; once more to end at once\n"
    assert "stopped: it was told to end; what is done is kept, run it again to go on" in out
    copied = int(re.match(r"([\d,]+) files copied", out)[1].replace(",", ""))  # type: ignore[index]
    assert 0 < copied == len(files_of(folder / "new")) < 1320
    again = ran(folder, *WORDS)
    assert again.returncode == 0
    assert f", 0 were there, {copied:,} known from earlier runs" in again.stdout, "all that was done was on record"


def test_a_second_signal_ends_it_at_once(folder: Path) -> None:
    """A file of a target that hangs is not waited for, and is no file that was copied."""
    slow = "import time\nCounted.note = lambda *_: (open('begun', 'w').close(), time.sleep(120))\n"
    (folder / "slow.py").write_text(LOCAL + slow)
    child = subprocess.Popen(
        command("--app", "slow", *WORDS[2:]), cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    )
    while not (folder / "begun").exists() and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(signal.SIGINT)
    assert child.stderr is not None
    assert "once more to end at once" in child.stderr.readline()
    child.send_signal(signal.SIGINT)
    try:
        child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == -signal.SIGINT
    assert files_of(folder / "new") == {}
    assert ran(folder, *WORDS).returncode == 0
    assert files_of(folder / "new") == FILES


def test_progress_for_a_terminal(folder: Path) -> None:
    """Once a second, on a terminal; the target is slow, so that there is one."""
    (folder / "slow.py").write_text(LOCAL + "import time\nCounted.note = lambda *_: time.sleep(0.15)\n")
    reading, writing = os.openpty()
    words = ("--app", "slow", *WORDS[2:])
    child = subprocess.Popen(command(*words), cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    said = b""
    try:
        while piece := os.read(reading, 4096):
            said += piece
    except OSError:  # Linux: the other side is closed
        pass
    os.close(reading)
    assert child.wait(60) == 0
    lines = said.decode().splitlines()
    assert 2 <= len(lines) <= 8, lines
    assert re.fullmatch(r"\d+ of \d+ files listed so far, \d+ copied, \d+ bytes, \d+ bytes/s", lines[0])


# -- who does the work -------------------------------------------------------------------------------------------------


def test_processes(folder: Path) -> None:
    ended = ran(folder, *WORDS, "--processes", "2", "--batch", "9")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert files_of(folder / "new") == FILES
    assert noted(folder / "log")[1] == dict.fromkeys(FILES, 1)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="children are looked up in /proc")
def test_processes_end_with_a_command_that_is_killed(folder: Path) -> None:
    (folder / "slow.py").write_text(LOCAL + "import time\nCounted.note = lambda *_: time.sleep(0.05)\n")
    words = ("--app", "slow", *WORDS[2:], "--processes", "2", "--batch", "1")
    child = subprocess.Popen(command(*words), cwd=folder, env=environment(), stderr=subprocess.DEVNULL)
    until(lambda: (folder / "new").exists() and files_of(folder / "new"))
    workers = children_of(child.pid)
    assert len(workers) >= 2
    child.kill()
    child.wait()
    until(lambda: not any(map(is_alive, workers)))
    assert ran(folder, *WORDS).returncode == 0
    assert files_of(folder / "new") == FILES


@pytest.fixture
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers, each a process, on loopback; the workers start in a folder of their own."""
    pytest.importorskip("distributed")
    (folder / "elsewhere").mkdir()
    quiet = environment(
        DASK_DISTRIBUTED__ADMIN__TICK__LIMIT="60s", DASK_DISTRIBUTED__DIAGNOSTICS__NVML="False", PYTHONWARNINGS=""
    )
    told = folder / "scheduler.json"
    no_page = ("--no-dashboard",)
    dask = [sys.executable, "-m", "distributed.cli"]
    children = [
        subprocess.Popen(
            [*dask[:2], "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *no_page,
             "--scheduler-file", str(told)],
            env=quiet, cwd=folder / "elsewhere", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
    ]  # fmt: skip
    try:
        until(lambda: told.exists() and told.stat().st_size > 0)
        children += [
            subprocess.Popen(
                [*dask[:2], "distributed.cli.dask_worker", "--scheduler-file", str(told), *no_page, "--no-nanny",
                 "--nthreads", "2", "--host", "127.0.0.1", "--name", f"worker{number}"],
                env=quiet, cwd=folder / "elsewhere", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for number in range(2)
        ]  # fmt: skip
        address = json.loads(told.read_text())["address"]
        from distributed import Client

        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, children[1:]
    finally:
        for child in children:
            child.kill()
            child.wait()


def until(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


FAR = """
import os, time
from mediamw import storages
from tests.migrations import Counted
class Signed(Counted):
    def note(self, what, key):
        super().note(what, key)
        with open("{folder}/who", "a") as file:
            file.write(f"{{os.getpid()}}\\n")
        time.sleep(0.01)
storages.configure("local", "{folder}/local")
storages.configure("new", Signed("{folder}/new", "{folder}/log"))
"""
FAR_WORDS = ("--app", "far", "--from", "local", "--to", "new", "--batch", "4")


@pytest.mark.slow
def test_a_dask_cluster_of_two_workers(folder: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]) -> None:
    (folder / "far.py").write_text(FAR.format(folder=folder))
    address, workers = cluster
    ended = ran(folder, *FAR_WORDS, "--dask", address)
    assert ended.returncode == 0, ended.stderr
    assert "all 120 files of 'local'" in ended.stdout
    assert files_of(folder / "new") == FILES
    assert noted(folder / "log")[1] == dict.fromkeys(FILES, 1)
    assert set((folder / "who").read_text().split()) == {str(worker.pid) for worker in workers}, "both, and nobody else"
    again = ran(folder, *FAR_WORDS, "--dask", address)
    assert "0 files copied" in again.stdout


@pytest.mark.slow
def test_a_worker_that_is_killed(folder: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]) -> None:
    """What it was at is given to the other one, which stores nothing twice."""
    (folder / "far.py").write_text(FAR.format(folder=folder))
    address, workers = cluster
    child = subprocess.Popen(
        command(*FAR_WORDS, "--dask", address), cwd=folder, env=environment(PYTHONWARNINGS=""), stdout=subprocess.PIPE
    )
    until(lambda: len(noted(folder / "log")[1]) > 10)
    workers[0].kill()
    out, _ = child.communicate(timeout=120)
    assert (child.returncode, b"all 120 files of 'local'" in out) == (0, True), out
    assert files_of(folder / "new") == FILES
    assert max(noted(folder / "log")[1].values()) == 1


@pytest.mark.slow
def test_no_cluster(folder: Path) -> None:
    pytest.importorskip("distributed")
    ended = ran(folder, *WORDS, "--dask", "tcp://127.0.0.1:9", PYTHONWARNINGS="")
    assert ended.returncode == 2
    assert "--dask: no cluster at tcp://127.0.0.1:9" in ended.stderr


def test_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["migrate", "--help"])
    told = capsys.readouterr().out
    assert "mediamw migrate --app shop.storages --from local --to s3" in told
    assert "(default: full)" in told
    assert "(default: None)" not in told, "an option that has to be given, or may be left out, has none"
