"""Plans that are kept: they answer when the file is the same, and only then, and only where nothing else counts."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mediamw import LocalBackend, MediaStack, MemoryBackend, asgi, kept_plans, service, wsgi
from mediamw.backends import again, beneath
from mediamw.backends.base import Later
from mediamw.backends.local import LocalHandle
from mediamw.core import conditions
from mediamw.core.keys import Key

from .descriptors import descriptors
from .http_table.callers import Response, acall_asgi, call_wsgi, environ
from .test_lookups_limits import forks, in_a_child, may_be_threaded

pytestmark = [
    pytest.mark.skipif(beneath._openat2 is None, reason="plans are kept where the kernel has openat2"),
    pytest.mark.usefixtures("roots_believed"),
]

OLD = 1_000_000_000
Ask = Callable[..., Response]


@pytest.fixture(autouse=True)
def decided(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that ``decide`` was asked about: those of kept plans are not among them."""
    keys: list[str] = []
    real = service.decide

    def decide(request: Any, *more: Any) -> Any:
        keys.append(request.key)
        return real(request, *more)

    monkeypatch.setattr(service, "decide", decide)
    return keys


@pytest.fixture
def root(tmp_path: Path) -> Path:
    if not beneath.HAS_DIR_FD or beneath._openat2 is None:
        pytest.skip("run without Linux-only calls: nothing is kept")
    write(tmp_path / "a.jpg", b"first")
    return tmp_path


def write(path: Path, data: bytes, at: int = OLD) -> None:
    """Replace a file as another program does, with a time of its own."""
    new = path.with_name("new")
    new.write_bytes(data)
    os.utime(new, (at, at))
    new.replace(path)


@pytest.fixture(params=["wsgi", "asgi"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Ask]]:
    """A middleware of either kind around the backends, and how it is asked."""
    with asyncio.Runner() as runner:

        def ask(backends: Any, **options: Any) -> Ask:
            if request.param == "wsgi":
                by_wsgi = wsgi.MediaMiddleware(None, backends, **options)
                return lambda path, *headers, method="GET": call_wsgi(by_wsgi, method, path, headers)
            by_asgi = asgi.MediaMiddleware(None, backends, **options)
            return lambda path, *headers, method="GET": runner.run(acall_asgi(by_asgi, method, path, headers))

        yield ask


def test_a_plan_is_kept_and_the_body_is_read(make: Any, root: Path, decided: list[str]) -> None:
    get = make([LocalBackend(root)])
    first = get("/media/a.jpg")
    decided.clear()
    assert get("/media/a.jpg") == first
    assert decided == []
    (root / "a.jpg").write_bytes(b"other")
    os.utime(root / "a.jpg", (OLD, OLD))  # in place, with the old time: the headers are the same, the bytes are not
    assert get("/media/a.jpg").body == b"other"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", ()),
        ("HEAD", ()),
        ("GET", (("Range", "bytes=1-2"),)),
        ("GET", (("Range", "bytes=9-"),)),
        ("GET", (("If-None-Match", "{etag}"),)),
        ("GET", (("If-None-Match", "{etag}"), ("If-Modified-Since", "Sun, 09 Sep 2001 01:46:40 GMT"))),
        ("GET", (("If-Match", '"another"'),)),
    ],
    ids=["get", "head", "range", "416", "304", "304 with a date", "412"],
)
def test_what_is_kept(make: Any, root: Path, decided: list[str], method: str, headers: Any) -> None:
    get = make([LocalBackend(root)])
    etag = get("/media/a.jpg").get("etag")
    filled = [(name, value.format(etag=etag)) for name, value in headers]
    first = get("/media/a.jpg", *filled, method=method)
    decided.clear()
    again_ = get("/media/a.jpg", *filled, method=method)
    assert again_ == first
    assert bool(decided) == (first.status in (412, 416))  # their bodies are no bytes of the file


@pytest.mark.parametrize(
    "change",
    [
        lambda path: write(path, b"second"),
        lambda path: write(path, b"other"),
        lambda path: write(path, b"first", OLD + 1),
        lambda path: os.utime(path, (OLD + 1, OLD + 1)),
        lambda path: (path.write_bytes(b"longer in place"), os.utime(path, (OLD, OLD))),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.unlink(), path.symlink_to("/etc/hostname")),
        lambda path: (path.rename(path.with_name("b.jpg")), path.symlink_to("b.jpg")),
    ],
    ids=[
        "longer",
        "same length",
        "time",
        "time in place",
        "longer in place",
        "removed",
        "folder",
        "fifo",
        "link out",
        "link in",
    ],
)
def test_a_file_that_is_another(make: Any, root: Path, change: Any) -> None:
    """What is answered is what a middleware answers that has kept nothing."""
    get = make([LocalBackend(root)])
    assert get("/media/a.jpg").body == b"first"
    change(root / "a.jpg")
    expected = make([LocalBackend(root)])("/media/a.jpg")
    assert get("/media/a.jpg") == get("/media/a.jpg") == expected


class Watched(LocalBackend):
    """A directory that has a say of its own in who is given what."""

    is_shut = False

    def open(self, key: Key) -> LocalHandle | None:
        return None if self.is_shut else super().open(key)

    def open_now(self, key: Key) -> LocalHandle | Later | None:
        return None if self.is_shut else super().open_now(key)


def test_whoever_opens_in_another_way_is_asked_each_time(make: Any, root: Path) -> None:
    watched = Watched(root)
    get = make([watched])
    assert get("/media/a.jpg").status == get("/media/a.jpg").status == 200
    watched.is_shut = True
    assert get("/media/a.jpg").status == 404


def test_another_root(make: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root is believed for a second, as everywhere."""
    folder = root / "media"
    folder.mkdir()
    write(folder / "a.jpg", b"first")
    get = make([LocalBackend(folder)])
    assert get("/media/a.jpg").body == b"first"
    folder.rename(root / "gone")
    folder.mkdir()
    write(folder / "a.jpg", b"new root")
    monkeypatch.setattr(beneath, "_ROOT_CHECK_SECONDS", -1.0)
    assert get("/media/a.jpg").body == b"new root"


def test_the_next_request_knows(make: Any, root: Path) -> None:
    """Uploads and deletes through a stack of another process show at once."""
    lower = MemoryBackend(name="lower")
    lower.put("a.jpg", b"production")  # type: ignore[arg-type]
    other = MediaStack([LocalBackend(root), lower], names="replace")
    get = make([LocalBackend(root), lower])
    for number in range(50):
        data = b"%d" % number * 3
        other.save("a.jpg", data)
        os.utime(root / "a.jpg", (OLD, OLD))
        assert get("/media/a.jpg").body == get("/media/a.jpg").body == data
        other.delete("a.jpg")
        assert get("/media/a.jpg").status == 404
        other.restore("a.jpg")
        assert get("/media/a.jpg").body == b"production"


@forks
@may_be_threaded
def test_a_lock_that_was_held_at_a_fork(root: Path) -> None:
    app = wsgi.MediaMiddleware(None, [LocalBackend(root)])
    assert app.service is not None
    assert app.service._kept is not None
    with app.service._kept._files._lock.get():
        assert in_a_child(lambda: call_wsgi(app, "GET", "/media/a.jpg", ()).status == 200)


class Refused(set[str]):
    """Names that nobody is given; there are none yet."""

    def __call__(self, request: Any, key: str) -> Any:
        return 403 if key in self else True


class Headers(dict[str, str]):
    """Headers that every answer has; there are none yet."""

    def __call__(self, key: str, status: int) -> Any:
        return self


def test_an_authorize_that_is_a_collection(make: Any, root: Path) -> None:
    refused = Refused()
    get = make([LocalBackend(root)], authorize=refused)
    assert get("/media/a.jpg").status == get("/media/a.jpg").status == 200
    refused.add("a.jpg")
    assert get("/media/a.jpg").status == 403


@pytest.mark.parametrize(
    "options",
    [
        {"authorize": lambda request, key: True},
        {"add_headers": lambda key, status: {"X-Now": "1"}},
        {"authorize": Refused()},
        {"add_headers": Headers()},
        {"debug": True},
    ],
    ids=["authorize", "add_headers", "an empty authorize", "an empty add_headers", "debug"],
)
def test_what_depends_on_more_is_not_kept(make: Any, root: Path, decided: list[str], options: Any) -> None:
    get = make([LocalBackend(root)], **options)
    for _ in range(3):
        assert get("/media/a.jpg").status == 200
    assert decided == ["a.jpg"] * 3


@pytest.mark.parametrize(
    "header",
    [
        ("If-Modified-Since", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ("If-Unmodified-Since", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ("If-Range", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ("Via", "1.1 other"),
        ("If-None-Match", '"' + "x" * (conditions.MAX_REMEMBERED_CHARS - 1) + '"'),
    ],
    ids=lambda header: header[0],
)
def test_conditions_of_which_nothing_is_kept(make: Any, root: Path, decided: list[str], header: Any) -> None:
    get = make([LocalBackend(root)])
    for _ in range(3):
        get("/media/a.jpg", header)
    assert decided == ["a.jpg"] * 3


def test_a_condition_at_the_bound_is_kept(make: Any, root: Path, decided: list[str]) -> None:
    get = make([LocalBackend(root)])
    for _ in range(3):
        get("/media/a.jpg", ("If-None-Match", '"' + "x" * (conditions.MAX_REMEMBERED_CHARS - 2) + '"'))
    assert decided == ["a.jpg"]


def test_a_file_of_this_second_is_not_kept(make: Any, root: Path, decided: list[str]) -> None:
    """Its Last-Modified is not its own yet (8.8.2.1)."""
    get = make([LocalBackend(root)])
    os.utime(root / "a.jpg", (time.time() + 5, time.time() + 5))
    for _ in range(3):
        get("/media/a.jpg")
    assert decided == ["a.jpg"] * 3


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1])
def test_small_files_only(make: Any, root: Path, decided: list[str], size: int) -> None:
    write(root / "a.jpg", b"x" * size)
    get = make([LocalBackend(root)])
    for _ in range(3):
        assert len(get("/media/a.jpg").body) == size
    assert len(decided) == (1 if size <= 64 * 1024 else 3)


def test_the_bound(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a client asks for of one file, the others keep their room."""
    monkeypatch.setattr(kept_plans, "MAX_FILES", 3)
    monkeypatch.setattr(kept_plans, "MAX_OTHERS", 2)
    app = wsgi.MediaMiddleware(None, [LocalBackend(root)])
    for name in "abcde":
        write(root / name, b"x" * 10)
        call_wsgi(app, "GET", f"/media/{name}")
    for start in range(9):
        assert call_wsgi(app, "GET", "/media/e", [("Range", f"bytes={start}-")]).status == 206
    kept = app.service._kept
    assert (len(kept._files), len(kept._others)) == (3, 2)
    assert "e" in kept._files


def test_a_cold_page_is_read_by_a_thread(root: Path, decided: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only on an event loop: a server's thread may wait."""
    write(root / "a.jpg", b"x" * 20_000)
    by_wsgi, by_asgi = (kind.MediaMiddleware(None, [LocalBackend(root)]) for kind in (wsgi, asgi))
    with asyncio.Runner() as runner:
        for _ in range(2):
            call_wsgi(by_wsgi, "GET", "/media/a.jpg")
            runner.run(acall_asgi(by_asgi, "GET", "/media/a.jpg"))
        decided.clear()
        monkeypatch.setattr(again, "_is_cached", lambda fd, offset: False)
        assert len(call_wsgi(by_wsgi, "GET", "/media/a.jpg").body) == 20_000
        assert decided == []
        assert len(runner.run(acall_asgi(by_asgi, "GET", "/media/a.jpg")).body) == 20_000
        assert decided == ["a.jpg"]


def test_a_type_that_cannot_be_read_now_is_not_guessed(make: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is guessed would be kept for as long as the file."""
    upper = LocalBackend(root)
    upper.put(Key("page"), b"<p>", content_type="text/html")
    while time.time() < os.stat(root / "page").st_mtime // 1 + 1:  # a file of this second is not kept
        time.sleep(0.05)
    real = upper.beneath.open_file

    def open_file(key: str) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    get = make([upper])
    assert get("/media/a.jpg").status == 200  # what is open stays open
    monkeypatch.setattr(upper.beneath, "open_file", open_file)
    before = descriptors()
    assert get("/media/page").status == 503
    assert descriptors() == before
    monkeypatch.setattr(upper.beneath, "open_file", real)
    assert get("/media/page").get("content-type") == "text/html; charset=utf-8"


def test_servers_may_change_what_they_get(root: Path) -> None:
    """PEP 3333 lets them change the list of headers."""
    app = wsgi.MediaMiddleware(None, [LocalBackend(root)])
    seen = []

    def start_response(status: str, headers: list[Any]) -> Any:
        seen.append((status, tuple(headers)))
        headers.clear()

    for _ in range(3):
        list(app(environ("GET", "/media/a.jpg"), start_response))  # type: ignore[arg-type]
    assert seen[0] == seen[1] == seen[2]


def test_a_mistake_is_answered(make: Any, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Of what is kept too: it is no traceback through the server."""
    get = make([LocalBackend(root)])
    first = get("/media/a.jpg")
    assert get("/media/a.jpg") == first

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(kept_plans, "read_again", broken)
    assert get("/media/a.jpg") == first
    assert "a mistake of ours" in caplog.text


def test_nothing_is_kept_where_it_cannot_be_asked_for_again(make: Any, root: Path, decided: list[str]) -> None:
    get = make([LocalBackend(root)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beneath, "opens_at_once", lambda fd: False)
        for _ in range(3):
            assert get("/media/a.jpg").status == 200
    assert decided == ["a.jpg"] * 3
