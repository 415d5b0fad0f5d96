"""Files as ``MediaStack.open`` gives them: held to ``io.BytesIO``, and to a count of the requests."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediamw import BackendUnavailable, ContentChanged, LocalBackend, MediaStack, MemoryBackend
from mediamw.backends.local import LocalHandle
from mediamw.core.keys import Key
from mediamw.testing.strict_s3 import StrictS3

from .fakes import Bucket, Local, down
from .s3.s3_world import BUCKET, Clock, backend, s3_server

KIB = 1024
MIB = 1024 * KIB
DATA = random.Random(1).randbytes(300_001)
LARGE = random.Random(2).randbytes(3 * MIB + 7)


@pytest.fixture(scope="module")
def s3() -> Iterator[StrictS3]:
    with s3_server(Clock()) as server:
        server.put(BUCKET, "data", DATA)
        server.put(BUCKET, "large", LARGE)
        yield server


@pytest.fixture(scope="module")
def stacks(s3: StrictS3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, MediaStack]]:
    folder = tmp_path_factory.mktemp("media")
    (folder / "data").write_bytes(DATA)
    made = {
        "local": MediaStack([LocalBackend(folder)]),
        "memory": MediaStack([MemoryBackend({"data": DATA})]),
        "fake": MediaStack([Bucket("fake", {"data": DATA}, piece_bytes=1000)]),
        "s3": MediaStack([Local("nothing"), backend(s3)]),
    }
    yield made
    for stack in made.values():
        stack.close()


def bucket_of(data: bytes, piece_bytes: int = 64 * KIB) -> tuple[Bucket, BinaryIO]:
    bucket = Bucket("s3", {"k": data}, piece_bytes=piece_bytes)
    return bucket, MediaStack([bucket]).open("k")


# -- as Python's own ---------------------------------------------------------------------------------------------------

offsets = st.integers(-10, len(DATA) + 10) | st.sampled_from((0, 65536, 65537, 131072, len(DATA) - 1, len(DATA)))
sizes = st.integers(0, len(DATA) + 10) | st.sampled_from((1, 8192, 65536, 65537, 131072))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), offsets, st.just(0)),
        st.tuples(st.just("seek"), offsets.map(lambda offset: offset // 2 - 1000), st.just(1)),
        st.tuples(st.just("seek"), offsets.map(lambda offset: -offset), st.just(2)),
        st.tuples(st.just("read"), sizes),
        st.tuples(st.just("read1"), sizes),
        st.tuples(st.just("readinto"), sizes),
        st.tuples(st.just("readline"), sizes),
        st.tuples(st.just("read")),
        st.tuples(st.just("tell")),
    ),
    max_size=12,
)


def do(file: BinaryIO | io.BytesIO, step: tuple[object, ...]) -> object:
    name, *arguments = step
    try:
        if name == "read1":  # may return less, as it likes: what is left is read after it
            wanted = arguments[0]
            assert isinstance(wanted, int)
            data = file.read1(wanted)
            assert data or not wanted or not file.read(1)
            return data + file.read(wanted - len(data))
        if name == "readinto":
            buffer = bytearray(arguments[0])
            count = file.readinto(buffer)
            return bytes(buffer[:count])
        return getattr(file, str(name))(*arguments)
    except ValueError as error:  # a position before the start; BytesIO moves to 0 instead where Python's files raise
        return type(error)


class Model(io.BytesIO):
    """BytesIO, with the one thing in which Python's files differ: a seek before the start raises."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = {0: 0, 1: self.tell(), 2: len(DATA)}[whence]
        if base + offset < 0:
            raise ValueError
        return super().seek(offset, whence)


@pytest.mark.parametrize("kind", ["local", "memory", "fake", "s3"])
@given(script=steps)
@settings(deadline=None, max_examples=40)
def test_reads_like_bytesio(stacks: dict[str, MediaStack], kind: str, script: list[tuple[object, ...]]) -> None:
    with stacks[kind].open("data") as file:
        model = Model(DATA)
        for step in script:
            assert do(file, step) == do(model, step), step
        assert file.tell() == model.tell()


@pytest.mark.parametrize("kind", ["local", "memory", "fake", "s3"])
def test_what_kind_of_file_it_is(stacks: dict[str, MediaStack], kind: str) -> None:
    file = stacks[kind].open("data")
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    with pytest.raises(io.UnsupportedOperation):
        file.write(b"x")
    with pytest.raises(io.UnsupportedOperation):
        file.truncate()
    with pytest.raises(ValueError, match="whence"):
        file.seek(0, 7)
    assert file.read(3) == DATA[:3]
    file.close()
    file.close()
    for use in (file.read, file.tell, lambda: file.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_empty_files(s3: StrictS3) -> None:
    s3.put(BUCKET, "empty", b"")
    for of in (Bucket("s3", {"empty": b""}), MemoryBackend({"empty": b""}), backend(s3)):
        with MediaStack([of]).open("empty") as file:
            assert file.read() == file.read(5) == b""
        if isinstance(of, Bucket):
            assert of.ranges == []


# -- how many requests -------------------------------------------------------------------------------------------------


def test_opening_asks_for_nothing() -> None:
    bucket, file = bucket_of(DATA)
    file.seek(0, 2)
    assert file.tell() == len(DATA)
    assert bucket.ranges == []


def test_a_header_costs_one_range(s3: StrictS3) -> None:
    """What Pillow does to learn an image's size: small reads at the start, back and forth."""
    stack = MediaStack([backend(s3)])
    s3.clear_calls()
    with stack.open("large") as file:
        for offset, size in ((0, 16), (0, 2), (2, 2), (4, 2), (20, 16), (600, 4), (64, 2), (0, 11), (9000, 2)):
            file.seek(offset)
            assert file.read(size) == LARGE[offset : offset + size]
    stack.close()
    assert [call.method for call in s3.calls] == ["HEAD", "GET"]
    assert s3.calls[1].headers["range"] == f"bytes=0-{64 * KIB - 1}"


def test_windows_grow_while_reading_on() -> None:
    bucket, file = bucket_of(bytes(40 * MIB))
    while file.read(8 * KIB):
        pass
    lengths = [stop - start for start, stop in bucket.ranges]
    assert lengths[:8] == [64 * KIB << doubling for doubling in range(8)]
    assert set(lengths[7:-1]) == {8 * MIB}  # and grow no further
    assert [start for start, _ in bucket.ranges[1:]] == [stop for _, stop in bucket.ranges[:-1]]
    assert bucket.ranges[-1][1] == 40 * MIB
    assert bucket.open_ranges == 0


def test_a_jump_starts_small_again() -> None:
    bucket, file = bucket_of(bytes(40 * MIB), piece_bytes=1000)
    file.read(200 * KIB)
    file.seek(20 * MIB)
    file.read(1)
    assert bucket.ranges[-1] == (20 * MIB, 20 * MIB + 64 * KIB)
    assert bucket.open_ranges == 0  # the request before was ended, and this one is a buffer full


def test_one_large_read_is_one_request() -> None:
    bucket, file = bucket_of(LARGE)
    assert file.read(len(LARGE)) == LARGE
    assert len(bucket.ranges) <= 2  # what is no whole number of buffers is a second one


def test_a_seek_inside_the_buffer_costs_nothing() -> None:
    bucket, file = bucket_of(LARGE)
    file.read(10)
    for offset in (30_000, 0, 60_000, 5):
        file.seek(offset)
        assert file.read(5) == LARGE[offset : offset + 5]
    assert len(bucket.ranges) == 1


# -- one version -------------------------------------------------------------------------------------------------------


def test_a_file_replaced_meanwhile(s3: StrictS3) -> None:
    s3.put(BUCKET, "replaced", LARGE)
    stack = MediaStack([backend(s3)])
    with stack.open("replaced") as file:
        assert file.read(10) == LARGE[:10]
        s3.put(BUCKET, "replaced", b"new")
        file.seek(2 * MIB)
        with pytest.raises(ContentChanged):
            file.read(10)
    # Nobody has to wait until the look-up is too old.
    assert stack.stat("replaced").size == 3
    with stack.open("replaced") as file:
        assert file.read() == b"new"
    s3.delete(BUCKET, "replaced")
    with stack.open("replaced") as file, pytest.raises(ContentChanged):
        file.read()
    assert not stack.exists("replaced")
    stack.close()


def test_reading_on_after_an_outage() -> None:
    bucket, file = bucket_of(LARGE)
    assert file.read(10) == LARGE[:10]
    file.seek(MIB)
    bucket.files["k"] = down("s3")
    for _ in range(2):  # every time, not a StopIteration the second time
        with pytest.raises(BackendUnavailable):
            file.read(10)
    bucket.files["k"] = LARGE
    assert file.read(10) == LARGE[MIB : MIB + 10]


def test_an_outage_in_the_middle_of_a_range() -> None:
    bucket, file = bucket_of(LARGE, piece_bytes=1000)
    file.read(64 * KIB)
    file.read(1)
    bucket.files["k"] = down("s3")
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            file.read()
    bucket.files["k"] = LARGE
    file.seek(70_000)
    assert file.read(10) == LARGE[70_000:70_010]


class Short(Bucket):
    """Breaks the contract: ends before the range does, without an error."""

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        yield self.files[key][start : start + 5]


def test_a_backend_that_sends_too_little() -> None:
    with MediaStack([Short("s3", {"k": DATA})]).open("k") as file:
        for _ in range(2):
            with pytest.raises(ContentChanged, match="less than it was asked for"):
                file.read(100)


def test_closing_ends_the_request() -> None:
    bucket, file = bucket_of(LARGE, piece_bytes=1000)
    file.read(100 * KIB)
    assert bucket.open_ranges == 1
    file.close()
    assert bucket.open_ranges == 0


def test_a_local_file_replaced_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    with MediaStack([LocalBackend(tmp_path)]).open("a") as file:
        assert file.read(10) == DATA[:10]
        (tmp_path / "b").write_bytes(b"new")
        (tmp_path / "b").replace(tmp_path / "a")
        assert file.read() == DATA[10:]  # what was opened


def test_many_files_at_once(s3: StrictS3) -> None:
    stack = MediaStack([backend(s3)])
    files = [stack.open("data") for _ in range(20)]  # more than the pool has connections
    assert [file.read(5) for file in files] == [DATA[:5]] * 20
    assert [file.read() for file in files] == [DATA[5:]] * 20
    for file in files:
        file.close()
    stack.close()


def test_a_local_file_that_has_become_shorter_is_not_read_as_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * 300_000)
    with MediaStack([LocalBackend(tmp_path)]).open("a.bin") as file:
        os.truncate(path, 1000)
        with pytest.raises(ContentChanged, match="ended"):
            file.read()


def test_the_rest_is_read_in_large_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 10_000)
    asked = []
    chunks = LocalHandle.chunks

    def noted(self: LocalHandle, start: int, stop: int) -> Iterator[bytes]:
        asked.append(stop - start)
        return chunks(self, start, stop)

    monkeypatch.setattr(LocalHandle, "chunks", noted)
    with MediaStack([LocalBackend(tmp_path)]).open("a.bin") as file:
        assert file.read(3) == b"\0\1\2"
        assert file.read() == (bytes(range(256)) * 10_000)[3:]
    assert len(asked) <= 5
