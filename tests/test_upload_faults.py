"""Uploads and deletes while something is wrong, told by production's own log: it is read, or not even that.

Production is an S3 of its own, with keys that could write: only mediamw keeps it from being written.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mediamw import BackendUnavailable, LocalBackend, MediaStack, MemoryBackend, S3Backend
from mediamw.testing import StrictS3

from .faults.proxy import BLACK_HOLE, CONNECT_HANGS, Fault, FaultProxy

A = "homes/1/a.jpg"
DEADLINE = 1.0


@pytest.fixture
def production() -> Iterator[StrictS3]:
    with StrictS3(keys={"AK": "secret"}) as s3:
        s3.create_bucket("prod")
        s3.put("prod", A, b"production")
        yield s3
        assert s3.writes == []
        assert {call.method for call in s3.calls} <= {"GET", "HEAD"}
        assert s3.objects("prod") == {A: b"production"}


def stack_of(upper: Any, endpoint: str) -> MediaStack:
    lower = S3Backend("prod", endpoint_url=endpoint, access_key_id="AK", secret_access_key="secret", name="prod")
    return MediaStack([upper, lower], deadline=DEADLINE)


def full(media: Path, patch: pytest.MonkeyPatch) -> Any:
    def write(_fd: int, _data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr("mediamw.backends.local_put.os.write", write)
    return LocalBackend(media)


def read_only(media: Path, patch: pytest.MonkeyPatch) -> Any:
    """As the kernel has it for a mount: to root, which tests may be, modes say nothing."""
    opened = os.open

    def refuse(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *args, **options)

    def refused(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("mkdir", "unlink", "link", "rename", "replace"):
        patch.setattr(os, name, refused)
    patch.setattr(os, "open", refuse)
    return LocalBackend(media)


class Raising(MemoryBackend):
    def draft(self, data: Any, *, content_type: str | None = None) -> Any:
        raise BackendUnavailable("out of order", backend=self.name, operation="put")

    def put(self, key: Any, data: Any, *, replace: bool = False, content_type: str | None = None) -> None:
        raise BackendUnavailable("out of order", backend=self.name, operation="put")

    def delete(self, key: Any) -> bool:
        raise BackendUnavailable("out of order", backend=self.name, operation="delete")


def raising(_media: Path, _patch: pytest.MonkeyPatch) -> Any:
    return Raising(name="local")


@pytest.mark.parametrize(
    ("made", "says"),
    [(full, "No space left on device"), (read_only, "Read-only file system"), (raising, "out of order")],
)
def test_an_upper_that_fails_writes_and_deletes_nothing_below(
    production: StrictS3, tmp_path: Path, made: Callable[[Path, pytest.MonkeyPatch], Any], says: str
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        stack = stack_of(made(media, patch), production.endpoint)
        names: Any
        for names in ("suffix", "shadow", "replace"):
            with pytest.raises(BackendUnavailable, match=says):
                stack.save(A, b"new", names=names)
        with pytest.raises(BackendUnavailable, match=says):
            stack.save("new.jpg", b"new")
        with pytest.raises(BackendUnavailable, match=says):
            stack.delete(A)
    assert stack.open(A).read() == b"production"  # not hidden either
    assert not stack.exists("new.jpg")
    assert [path for path in media.rglob("*") if path.is_file()] == []
    stack.close()


@pytest.mark.parametrize("fault", [BLACK_HOLE, CONNECT_HANGS], ids=["answers nothing", "takes no connection"])
def test_with_a_black_hole_for_an_origin_an_upload_succeeds_within_the_deadline(
    production: StrictS3, tmp_path: Path, fault: Fault
) -> None:
    with FaultProxy(production.port, fault) as proxy:
        stack = stack_of(LocalBackend(tmp_path / "media"), proxy.url)
        started = time.monotonic()
        name = stack.save(A, b"new")
        assert time.monotonic() - started < DEADLINE + 0.8
        assert re.fullmatch(r"homes/1/a_[A-Za-z0-9]{7}\.jpg", name)
        assert stack.open(name).read() == b"new"
        started = time.monotonic()
        assert stack.delete(name)  # nobody can tell whether production has it: it is hidden too
        assert stack.delete(A)
        assert time.monotonic() - started < 2 * DEADLINE + 0.8
        stack.close()
    assert not stack_of(LocalBackend(tmp_path / "media"), production.endpoint).exists(A)
