"""Several processes on one directory: one download, which all follow; whoever dies is succeeded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from mediamw import BackendUnavailable
from mediamw.stack import download, pull_files

from .fakes import until
from .pulls import BIG, A, Origin, files, names, settled, stack_on
from .servers import COMMANDS, running

ROOT = Path(__file__).parents[1]
HERE = 131_072

# Fetches the file, and stops for ever amid it.
CHILD = """
import sys, time
from pathlib import Path
from tests.pulls import A, Origin, stack_on

def stop():
    print("here", flush=True)
    time.sleep(600)

origin = Origin()
origin.hooks[int(sys.argv[2])] = stop
stack_on(Path(sys.argv[1]), origin).pull(A)
"""


@contextmanager
def another_process(folder: Path, at: int = HERE) -> Iterator[subprocess.Popen[str]]:
    """A process that fetches the file and has come as far as ``at``."""
    command = [sys.executable, "-c", CHILD, str(folder), str(at)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()  # type: ignore[union-attr]


class Reader(threading.Thread):
    """Reads the file through a stack, piece by piece."""

    def __init__(self, stack: Any) -> None:
        super().__init__()
        self.stack, self.data, self.failure = stack, b"", None
        self.start()

    def run(self) -> None:
        handle = self.stack.find(A).handle
        try:
            for piece in handle.chunks(0, len(BIG)):
                self.data += piece
        except BackendUnavailable as error:
            self.failure = error  # type: ignore[assignment]
        finally:
            handle.close()


def test_a_dead_downloader_is_succeeded(tmp_path: Path) -> None:
    origin = Origin()
    stack = stack_on(tmp_path, origin)
    with another_process(tmp_path) as child:
        reader = Reader(stack)
        until(lambda: len(reader.data) == HERE)  # of what the other process has fetched
        assert (origin.ranges, names(tmp_path)) == ([], ["part"])
        child.send_signal(signal.SIGKILL)
        reader.join(20)
        assert (reader.data == BIG, origin.ranges) == (True, [(HERE, len(BIG))])
        settled(stack)
        assert files(tmp_path, "bytes")[0].read_bytes() == BIG
    stack.close()


def test_one_that_died_before_is_succeeded_too(tmp_path: Path) -> None:
    with another_process(tmp_path):
        pass
    assert names(tmp_path) == ["part"]
    origin = Origin()
    stack = stack_on(tmp_path, origin)
    assert stack.pull(A)
    assert origin.ranges == [(HERE, len(BIG))]
    assert files(tmp_path, "bytes")[0].read_bytes() == BIG
    stack.close()


def test_a_part_that_went_with_its_downloader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its readers wait for what takes its place; one who comes at that very moment finds what there was."""
    origin = Origin()
    stack = stack_on(tmp_path, origin)
    progress, at_that_moment = download.Download._progress, []

    def noted(self: download.Download, available: int) -> None:
        if available == 0 and self._available:
            at_that_moment.append(self.read(0, 100))
        progress(self, available)

    with another_process(tmp_path) as child:
        reader = Reader(stack)
        until(lambda: len(reader.data) == HERE)
        monkeypatch.setattr(download.Download, "_progress", noted)
        for part in files(tmp_path, "part"):
            part.unlink()
        child.send_signal(signal.SIGKILL)
        reader.join(20)
    assert (reader.data, reader.failure) == (BIG, None)
    assert (at_that_moment, origin.ranges) == ([BIG[:100]], [(0, len(BIG))])
    stack.close()


def test_a_part_from_before_the_machine_started_is_not_taken_up(tmp_path: Path) -> None:
    with another_process(tmp_path):
        pass
    (part,) = files(tmp_path, "part")
    part.write_bytes(bytes(HERE))  # what a crash may leave of bytes that were never synced
    os.utime(part, (1, 1))
    origin = Origin()
    stack = stack_on(tmp_path, origin)
    assert stack.pull(A)
    assert origin.ranges == [(0, len(BIG))]
    assert files(tmp_path, "bytes")[0].read_bytes() == BIG
    stack.close()


def test_another_version_leaves_the_old_part_alone(tmp_path: Path) -> None:
    with another_process(tmp_path):
        pass
    origin = Origin(BIG[::-1])
    stack = stack_on(tmp_path, origin)
    assert stack.pull(A)
    assert origin.ranges == [(0, len(BIG))]
    assert files(tmp_path, "bytes")[0].read_bytes() == BIG[::-1]
    stack.close()


@pytest.mark.parametrize("at", [0, HERE])
def test_one_that_hangs_is_not_waited_for(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(download, "PATIENCE_SECONDS", 0.2)
    origin = Origin()
    stack = stack_on(tmp_path, origin)
    with another_process(tmp_path, at):
        reader = Reader(stack)
        reader.join(20)
        assert (reader.data == BIG, origin.ranges) == (True, [(at, len(BIG))])  # by proxy, from where it was
    assert "had nothing new for 0.2 s" in caplog.text
    assert names(tmp_path) == ["part"]
    stack.close()


def test_a_lock_that_somebody_keeps_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(pull_files, "LOCK_SECONDS", 0.1)
    stack = stack_on(tmp_path, Origin())
    assert stack._puller is not None
    with stack._puller._pulled._locked():
        reader = Reader(stack)
        reader.join(20)
        assert reader.data == BIG
    assert "another process has held lock" in caplog.text
    stack.close()


# -- real servers ------------------------------------------------------------------------------------------------------

MIB = 1024 * 1024
MODULE = """
import os
from mediamw import LocalBackend, MediaStack, S3Backend, asgi, wsgi
bucket = S3Backend("prod", endpoint_url=os.environ["S3"], region="us-east-1", access_key_id="AKREAD",
                   secret_access_key=os.environ["KEY_OF_IT"], delivery="pull")
stack = MediaStack([LocalBackend(os.environ["FOLDER"]), bucket])
asgi_app = asgi.MediaMiddleware(None, stack)
wsgi_app = wsgi.MediaMiddleware(None, stack)
"""
COMMANDS["gunicorn-wsgi-2"] = (
    "{python} -m gunicorn {target} -k gthread --workers 2 --threads 110 --timeout 120 -b 127.0.0.1:{port}"
)
SECRET = "read/only+secret"


def whole(port: int, expected: memoryview) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", "/media/film.bin")
        response = connection.getresponse()
        offset, same = 0, response.status == 200
        while piece := response.read(MIB):
            same = same and piece == expected[offset : offset + len(piece)]
            offset += len(piece)
        return same and offset == len(expected)
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("servers", [["gunicorn-wsgi-2"], ["uvicorn-asgi", "uvicorn-asgi"]], ids=len)
def test_200_first_reads_of_one_file_over_two_processes(tmp_path: Path, servers: list[str]) -> None:
    pytest.importorskip("moto")
    from mediamw.testing import StrictS3

    data = os.urandom(MIB) * 50
    data = data[:-1] + b"x"
    media = tmp_path / "media"
    with ExitStack() as stack:
        s3 = stack.enter_context(StrictS3(keys={}, read_only_keys={"AKREAD": SECRET}))
        s3.create_bucket("prod")
        s3.put("prod", "film.bin", data)
        ports = []
        for number, server in enumerate(servers):
            folder = tmp_path / str(number)
            folder.mkdir()
            app = "asgi_app" if "asgi" in server else "wsgi_app"
            env = {"S3": s3.endpoint, "KEY_OF_IT": SECRET, "FOLDER": str(media)}
            ports.append(stack.enter_context(running(server, MODULE, app, folder, **env)).port)
        with ThreadPoolExecutor(200) as pool:
            expected = memoryview(data)
            reads = [pool.submit(whole, ports[number % len(ports)], expected) for number in range(200)]
            assert [read.result(300) for read in reads] == [True] * 200
        assert [(call.method, call.key) for call in s3.gets] == [("GET", "film.bin")]
        assert s3.writes == []
        until(lambda: names(media) == ["bytes", "record"])
        assert files(media, "bytes")[0].read_bytes() == data
