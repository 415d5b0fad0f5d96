"""Quick looks at the disk, those of requests that are made again: as strict as the first, and no more is believed."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mediamw import LocalBackend, MediaStack, asgi
from mediamw.backends import again, beneath
from mediamw.backends.openat2 import prepared

from .descriptors import descriptors
from .http_table.callers import acall_asgi
from .test_kept_plans import OLD, Ask, decided, write
from .test_kept_plans import make as make
from .test_known_redirects import A, Bucket

__all__ = ["decided", "make"]  # fixtures

pytestmark = pytest.mark.usefixtures("roots_believed")

URL = f"/media/{A}"
KERNEL = Path("/sys/kernel")
LARGE = again.ALWAYS_INLINE_BYTES + 1000  # of which it is asked whether they are in the page cache


@pytest.fixture
def root(tmp_path: Path) -> Path:
    if not beneath.HAS_DIR_FD or beneath._openat2 is None:
        pytest.skip("run without Linux-only calls: nothing is kept")
    root = tmp_path / "media"
    (root / A).parent.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    write(root / A, b"first")
    return root


# -- out of the root ---------------------------------------------------------------------------------------------------


def move_out(inside: Path, outside: Path, *, relative: bool) -> None:
    """Move what is there out of the root, and have a link in its place: it leads to the very same file."""
    inside.rename(outside)
    inside.symlink_to(os.path.relpath(outside, inside.parent) if relative else outside)


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
@pytest.mark.parametrize("moved", [A, "homes"], ids=["file", "folder"])
@pytest.mark.parametrize("kind", ["get", "head", "304"])
def test_a_file_that_was_moved_out_of_the_root(
    make: Callable[..., Ask],
    root: Path,
    decided: list[str],
    kind: str,
    moved: str,
    relative: bool,
) -> None:
    """Inode, length and time are those of the plan, and a link leads there that nobody allowed to lead there."""
    get = make([LocalBackend(root)])
    headers = [("If-None-Match", str(get(URL).get("etag")))] if kind == "304" else []
    method = "HEAD" if kind == "head" else "GET"
    first = get(URL, *headers, method=method)
    assert first.status == (304 if kind == "304" else 200)
    decided.clear()
    assert get(URL, *headers, method=method) == first
    assert decided == [], "it was kept"
    before = os.stat(root / A)
    move_out(root / moved, root.with_name("outside") / "moved", relative=relative)
    after = os.stat(root / A)
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size)
    assert [get(URL, *headers, method=method).status for _ in range(3)] == [404] * 3


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_a_quick_look_out_of_the_root(root: Path, relative: bool) -> None:
    """The descriptor is none, whichever of the two looks it is."""
    move_out(root / A, root.with_name("outside") / "a.jpg", relative=relative)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    before = descriptors()
    try:
        assert beneath._open_cached is not None
        assert beneath._open_quietly is not None
        for _ in range(2):  # the second time all of it is in the caches
            assert beneath._open_quietly(folder, A.encode()) == -errno.EXDEV
            assert beneath._open_cached(prepared(folder), prepared(A)) in (-errno.EXDEV, -errno.EAGAIN)
        assert descriptors() == before
    finally:
        os.close(folder)


# -- nothing is waited for ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(beneath._openat2 is None or not (KERNEL / "fscaps").is_file(), reason="needs Linux's /sys/kernel")
def test_what_the_caches_do_not_have_is_left_alone() -> None:
    """As nobody can say what a disk's caches have: kernfs answers no look that may not wait, of whatever name."""
    assert beneath._open_cached is not None
    assert beneath._open_quietly is not None
    folder = os.open(KERNEL, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.close(beneath._open_quietly(folder, b"fscaps"))
        assert beneath._open_cached(prepared(folder), prepared("fscaps")) == -errno.EAGAIN
        root = beneath.Root(str(KERNEL))
        os.close(root.open_file("fscaps"))
        assert root.open_again(prepared("fscaps")) < 0
    finally:
        os.close(folder)


@pytest.fixture
def page_cache(monkeypatch: pytest.MonkeyPatch) -> list[int | OSError]:
    """The first bytes of pages that are in the page cache; or what is raised by a read that may not wait."""
    cached: list[int | OSError] = []
    real = os.preadv

    def preadv(fd: int, buffers: Any, offset: int, flags: int = 0) -> int:
        if flags:
            if cached and isinstance(cached[0], OSError):
                raise cached[0]
            if offset // 4096 * 4096 not in cached:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    return cached


@pytest.mark.parametrize(
    ("cached", "wanted", "is_quick"),
    [
        ([0, 4096, 8192, 12288, 16384], None, True),
        ([0, 4096, 8192, 12288], None, False),
        ([0], None, False),
        ([0, 4096, 8192, 12288, 16384], f"bytes=100-{LARGE - 100}", True),
        ([0, 4096], f"bytes=100-{LARGE - 100}", False),
        ([], None, False),
        ([OSError(errno.EOPNOTSUPP, "overlayfs cannot tell")], None, True),
        ([OSError(errno.EIO, "broken")], None, False),
    ],
    ids=["all", "not the last page", "the first page", "a part", "not the part's last page", "nothing",
         "nobody can tell", "an error"],
)  # fmt: skip
def test_a_loop_waits_for_no_page(
    root: Path, decided: list[str], page_cache: list[Any], cached: list[Any], wanted: str | None, is_quick: bool
) -> None:
    """Whether it is answered at once, on the event loop, or by way of a thread."""
    data = os.urandom(LARGE)
    write(root / A, data)
    headers = [] if wanted is None else [("Range", wanted)]
    app = asgi.MediaMiddleware(None, [LocalBackend(root)])
    with asyncio.Runner() as runner:

        def get() -> bytes:
            return runner.run(acall_asgi(app, "GET", URL, headers)).body

        first = get()
        assert first in (data, data[100 : LARGE - 99])
        page_cache[:] = cached
        decided.clear()
        assert get() == first
        assert decided == ([] if is_quick else [A])


# -- what is read ------------------------------------------------------------------------------------------------------


def same(path: Path, number: int) -> None:
    """Leave it as it is."""


CHANGES: dict[str, Callable[[Path, int], object]] = {
    "same": same,
    "time": lambda path, number: write(path, b"first", OLD + number),
    "length": lambda path, number: write(path, b"first" * number),
    "inode": lambda path, number: write(path, b"first"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_descriptor_is_left(make: Callable[..., Ask], root: Path, change: str, method: str) -> None:
    get = make([LocalBackend(root)])
    assert get(URL, method=method) == get(URL, method=method)
    before = descriptors()
    for number in range(2, 12):
        CHANGES[change](root / A, number)
        assert get(URL, method=method).status == 200
    assert descriptors() == before


@pytest.mark.parametrize("trouble", ["a cold page", "an error", "a short read"])
def test_no_descriptor_is_left_of_what_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    write(root / A, b"x" * LARGE)
    beneath_it = LocalBackend(root).beneath
    os.close(beneath_it.open_file(A))
    found = os.stat(root / A)
    seen = again.Seen(prepared(A), found.st_mtime_ns, LARGE, found.st_ino, 0, LARGE)
    assert again.read_again(beneath_it, seen, waits=True) == b"x" * LARGE

    def pread(fd: int, length: int, start: int) -> bytes:
        if trouble == "an error":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return b"x" * (length - 1)

    if trouble == "a cold page":
        monkeypatch.setattr(again, "_is_cached", lambda fd, offset: False)
    else:
        monkeypatch.setattr(os, "pread", pread)
    before = descriptors()
    for _ in range(10):
        assert again.read_again(beneath_it, seen, waits=trouble != "a cold page") is None
    assert descriptors() == before


@pytest.mark.parametrize("left", [0, 2])
def test_a_file_that_becomes_shorter_while_it_is_read(
    make: Callable[..., Ask], root: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """After it was found to be the same: what is there then is answered, with its own length."""
    get = make([LocalBackend(root)])
    assert get(URL) == get(URL)
    real, cut = os.pread, [left]

    def pread(fd: int, length: int, start: int) -> bytes:
        if cut:
            os.truncate(root / A, cut.pop())
        return real(fd, length, start)

    monkeypatch.setattr(os, "pread", pread)
    answer = get(URL)
    assert not cut
    assert (answer.status, answer.body) == (200, b"first"[:left])
    assert answer.get("content-length") == str(left)


# -- around it ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "redirect"])
def test_each_request_is_explained_at_debug_level(
    make: Callable[..., Ask], root: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """Those before it was turned on have left a plan."""
    if kind == "redirect":
        (root / A).unlink()
    get = make(MediaStack([LocalBackend(root), Bucket("prod", A)]))
    answers = [get(URL), get(URL)]
    assert not caplog.records
    with caplog.at_level(logging.DEBUG, "mediamw"):
        for number in range(1, 4):
            answers.append(get(URL))
            lines = [record.getMessage() for record in caplog.records if record.name == "mediamw"]
            assert len(lines) == number
            assert lines[-1].startswith(f"GET {A!r}\n")
    assert answers == [answers[0]] * 5
    assert answers[0].status == (302 if kind == "redirect" else 200)


@pytest.mark.parametrize("kind", ["file", "redirect", "missing"])
def test_an_asgi_server_may_change_what_it_gets(root: Path, kind: str) -> None:
    """As middlewares do that add a header to each reply: Starlette's ``MutableHeaders`` appends to that very list."""
    if kind != "file":
        (root / A).unlink()
    app = asgi.MediaMiddleware(None, MediaStack([LocalBackend(root), Bucket("prod", *[A] * (kind == "redirect"))]))
    seen: list[Any] = []

    async def adding(scope: Any, receive: Any, send: Any) -> None:
        async def changed(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.append([*message["headers"]])
                message["headers"].append((b"x-added", b"1"))
                del message["headers"][0]
            await send(message)

        await app(scope, receive, changed)

    with asyncio.Runner() as runner:
        statuses = [runner.run(acall_asgi(adding, "GET", URL)).status for _ in range(3)]
    assert len(set(statuses)) == 1
    assert seen[0] == seen[1] == seen[2]
