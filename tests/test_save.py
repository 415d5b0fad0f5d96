"""Saving and deleting through the stack: what is stored, under which name, and what goes wrong."""

from __future__ import annotations

import errno
import io
import itertools
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mediamw import (
    BackendUnavailable,
    ConfigError,
    InvalidKey,
    LocalBackend,
    MediaStack,
    MemoryBackend,
    NameTaken,
    NotServable,
    NotWritable,
    TooLarge,
    WritableS3Backend,
)
from mediamw.backends.beneath import Root
from mediamw.backends.rules import Rules
from mediamw.core.keys import MAX_KEY_BYTES, Key, parse_key
from mediamw.core.media_types import guess, type_of_origin
from mediamw.core.model import Held, Hidden
from mediamw.core.names import alternative
from mediamw.testing import StrictS3

from .fakes import Bucket, Clock, Local, dead, down, fifo, stack_on

A = "homes/1/a.jpg"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture(scope="module")
def server() -> Iterator[StrictS3]:
    with StrictS3(keys={"AK": "secret"}) as made:
        yield made


@pytest.fixture(params=["local", "memory", pytest.param("bucket", marks=pytest.mark.slow)])
def upper(request: pytest.FixtureRequest, root: Path) -> Any:
    if request.param == "bucket":
        server: StrictS3 = request.getfixturevalue("server")
        bucket = f"upper-{next(NUMBERS)}"
        server.create_bucket(bucket)
        return WritableS3Backend(
            bucket, endpoint_url=server.endpoint, access_key_id="AK", secret_access_key="secret", name="local"
        )
    return LocalBackend(root) if request.param == "local" else MemoryBackend(name="local")


NUMBERS = itertools.count()


# -- data --------------------------------------------------------------------------------------------------------------

FORMS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "a file": io.BytesIO,
    "a list": lambda data: [data[:3], b"", data[3:]],
    "an iterator": lambda data: iter([data[:1], data[1:]]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_whatever_form_the_data_have(upper: Any, form: str, size: int) -> None:
    data = os.urandom(size)
    stack = MediaStack([upper])
    assert stack.save(A, FORMS[form](data)) == A
    with stack.open(A) as file:
        assert file.read() == data


def test_a_file_is_read_from_where_it_stands(upper: Any) -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    stack = MediaStack([upper])
    stack.save(A, file)
    assert stack.open(A).read() == b"456789"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("limit", "fits"), [(10, True), (9, False), (0, False)])
def test_the_limit_of_an_upload(upper: Any, root: Path, form: str, limit: int, fits: bool) -> None:
    stack = MediaStack([upper])
    if fits:
        stack.save(A, FORMS[form](b"0123456789"), max_bytes=limit)
        return
    with pytest.raises(TooLarge, match=f"more than {limit} bytes"):
        stack.save(A, FORMS[form](b"0123456789"), max_bytes=limit)
    assert not stack.exists(A)
    assert left_behind(root) == []


def test_an_endless_upload_ends_at_its_limit(upper: Any) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield bytes(1000)

    with pytest.raises(TooLarge):
        MediaStack([upper]).save(A, endless(), max_bytes=100_000)
    assert sent == 101_000


def left_behind(root: Path) -> list[str]:
    return [name for _, _, files in os.walk(root) for name in files]


def test_an_upload_that_breaks_off_leaves_nothing(upper: Any, root: Path) -> None:
    class Gone(Exception):
        pass

    def breaks() -> Iterator[bytes]:
        yield b"first"
        raise Gone

    stack = MediaStack([upper, Bucket("s3", {A: b"production"})])
    with pytest.raises(Gone):
        stack.save(A, breaks())
    assert left_behind(root) == []
    assert stack.find(A).backend == "s3"  # type: ignore[union-attr]


NO_BYTES: dict[str, tuple[Callable[[], Any], str]] = {
    "text": (lambda: "text", r"got str: encode it first, as by text\.encode\(\)"),
    "a text file": (lambda: io.StringIO("text"), 'got a file that reads str: open the file in binary mode, "rb"'),
    "an empty text file": (io.StringIO, "got a file that reads str: open the file in binary mode"),
    "an iterable of text": (lambda: iter([b"bytes first", "text"]), "got an iterable with str: encode each piece"),
    "numbers": (lambda: [1, 2], "got an iterable with int: encode each piece"),
    "a path": (lambda: Path("a.jpg"), "got (Posix|Windows)Path: open the file first"),
    "nothing": (lambda: None, "got NoneType: open the file first"),
}


@pytest.mark.parametrize("max_bytes", [None, 10_000])
@pytest.mark.parametrize("kind", NO_BYTES)
def test_what_is_no_bytes(upper: Any, root: Path, kind: str, max_bytes: int | None) -> None:
    make, text = NO_BYTES[kind]
    stack = MediaStack([upper, Bucket("s3", {A: b"production"})])
    for names in ("suffix", "replace"):
        with pytest.raises(TypeError, match=f"expected bytes, a binary file or an iterable of bytes, {text}"):
            stack.save(A, make(), max_bytes=max_bytes, names=names)  # type: ignore[arg-type]
    assert left_behind(root) == []
    assert list(stack.upper.list("", recursive=True)) == []  # type: ignore[attr-defined]
    assert stack.find(A).backend == "s3"  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["", "/a", "a/../b", "a//b", ".mediamw/whiteouts/x", "a\0b"])
def test_what_is_no_key(upper: Any, key: str) -> None:
    stack = MediaStack([upper])
    for call in (lambda: stack.save(key, b"x"), lambda: stack.delete(key), lambda: stack.restore(key)):
        with pytest.raises(InvalidKey):
            call()


# -- content types -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("a", "image/jpeg", "image/jpeg"),
        ("a.txt", "text/markdown", "text/markdown"),
        ("a.jpg", "image/jpeg", None),  # the name tells
        ("a.jpg", None, None),
        ("a.bin", "application/octet-stream", None),  # what browsers say of what they do not know
        ("a", "no type at all", None),
        ("a", "image/jpeg\r\nX: y", None),
    ],
)
def test_content_types(upper: Any, key: str, given: str | None, kept: str | None) -> None:
    stack = MediaStack([upper])
    stack.save(key, b"x", content_type=given)
    if isinstance(
        upper, WritableS3Backend
    ):  # whose clients are sent to the object: it has the type that the name tells
        assert stack.stat(key).content_type == (kept or type_of_origin(guess(key)[0]))
        return
    assert stack.stat(key).content_type == kept
    assert stack.find(key).handle.meta.content_type == kept  # type: ignore[union-attr]


def test_a_content_type_belongs_to_one_file(root: Path) -> None:
    stack = MediaStack([LocalBackend(root)])
    stack.save("a", b"x", content_type="image/jpeg")
    assert MediaStack([LocalBackend(root)]).stat("a").content_type == "image/jpeg"  # another process
    stack.save("a", b"y", names="replace")
    assert stack.stat("a").content_type is None
    stack.save("a", b"z", names="replace", content_type="image/png")
    stack.delete("a")
    assert list((root / ".mediamw" / "types").iterdir()) == []
    stack.save("a", b"z", content_type="image/png")
    (root / "a").write_bytes(b"by hand, and longer")
    assert stack.stat("a").content_type is None


@pytest.mark.parametrize("how", ["in place, of the same size", "renamed over it, of the same time"])
def test_another_program_s_bytes_have_no_type_of_ours(root: Path, how: str) -> None:
    stack, path = MediaStack([LocalBackend(root)]), root / "a"
    stack.save("a", b"first", content_type="image/jpeg")
    before = path.stat()
    if how.startswith("in place"):
        path.write_bytes(b"other")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # the clock of some disks is coarse
    else:
        other = root / "other"
        other.write_bytes(b"other")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(path)
    assert stack.stat("a").content_type is None
    assert stack.save("a", b"ours", content_type="image/png", names="replace") == "a"
    assert stack.stat("a").content_type == "image/png"


def test_who_loses_a_race_for_a_name_does_not_take_the_winner_s_type(root: Path) -> None:
    upper = LocalBackend(root)
    first = upper.draft(b"first", content_type="image/webp")
    second = upper.draft(b"second", content_type="text/plain")
    first.publish(Key("a"))
    with pytest.raises(NameTaken):
        second.publish(Key("a"))
    second.close()
    first.close()
    stack = MediaStack([upper])
    assert stack.stat("a").content_type == "image/webp"
    assert len(list((root / ".mediamw" / "types").iterdir())) == 1
    with upper.draft(b"late", content_type="image/png") as late, late._named(Key("a"), os.fstat(late._fd)):
        assert stack.stat("a").content_type == "image/webp"  # and so it is if it is killed now


def test_what_cannot_be_hidden_is_not_said_to_be(root: Path) -> None:
    """A file stands where the folder of the whiteouts should."""
    stack = MediaStack([LocalBackend(root), Bucket("s3", {A: b"production"})])
    stack.save(A, b"new", names="shadow")
    (root / ".mediamw" / "whiteouts").write_bytes(b"")
    with pytest.raises(BackendUnavailable, match="whiteouts cannot be written"):
        stack.delete(A)
    assert stack.open(A).read() == b"new"


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b'{"key": 1}', b"\xff", b"x" * 20_000], ids=len)
def test_a_record_that_is_none(root: Path, record: bytes) -> None:
    stack = MediaStack([LocalBackend(root)])
    stack.save("a", b"x", content_type="image/jpeg")
    [kept] = (root / ".mediamw" / "types").iterdir()
    kept.write_bytes(record)
    assert stack.stat("a").content_type is None


# -- names -------------------------------------------------------------------------------------------------------------

WHERE = {"nowhere": (False, False), "above": (True, False), "below": (False, True), "both": (True, True)}
KEEPS = {
    "suffix": {"nowhere"},
    "shadow": {"nowhere", "below"},
    "error": {"nowhere"},
    "replace": set(WHERE),
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("names", KEEPS)
def test_names_that_are_taken(upper: Any, names: Any, where: str) -> None:
    above, below = WHERE[where]
    stack = MediaStack([upper, Bucket("s3", {A: b"production"} if below else {})], names=names)
    if above:
        upper.put(Key(A), b"before")
    if where in KEEPS[names]:
        assert stack.save(A, b"new") == A
        assert stack.open(A).read() == b"new"
    elif names == "error":
        read = iter(())
        with pytest.raises(NameTaken, match="a backend has this name"):
            stack.save(A, iter(lambda: next(read), None))  # nothing of the data is read
    else:
        key = stack.save(A, b"new")
        assert re.fullmatch(r"homes/1/a_[A-Za-z0-9]{7}\.jpg", key)
        assert stack.open(key).read() == b"new"
        assert stack.open(A).read() == (b"before" if above else b"production")


def test_the_name_of_a_deleted_file_is_free(upper: Any) -> None:
    stack = MediaStack([upper, Bucket("s3", {A: b"production"})])
    assert stack.delete(A)
    assert stack.save(A, b"new") == A
    assert stack.open(A).read() == b"new"
    assert list(stack.hidden()) == []
    assert stack.delete(A)
    assert isinstance(stack.find(A), Hidden)
    assert list(stack.hidden()) == [A]


@pytest.mark.parametrize("fails", [down("s3"), dead("s3")], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("names", KEEPS)
def test_a_lower_that_cannot_tell(upper: Any, names: Any, fails: Exception, caplog: pytest.LogCaptureFixture) -> None:
    s3 = Bucket("s3", {A: fails})
    stack = MediaStack([upper, s3], names=names)
    if names == "error":
        with pytest.raises(BackendUnavailable):
            stack.save(A, b"new")
        return
    key = stack.save(A, b"new")
    assert (key == A) == (names in ("shadow", "replace"))
    assert len(s3.asked) == (1 if names == "suffix" else 0)  # once, and not for the name with the suffix
    assert ("so the upload" in caplog.text) == (names == "suffix")
    assert stack.open(key).read() == b"new"


def test_a_lower_that_is_not_checked(upper: Any) -> None:
    s3 = Bucket("s3", {}, rules=Rules(check=False))
    stack = MediaStack([upper, s3])
    assert stack.save(A, b"x") != A
    assert stack.delete("other.jpg")  # nobody knows: so it is hidden
    assert isinstance(stack.find("other.jpg"), Hidden)
    assert s3.asked == []


def test_a_lower_that_may_not_be_asked_has_no_names(upper: Any) -> None:
    s3 = Bucket("s3", {A: b"x"}, rules=Rules(exclude=["homes/"]))
    stack = MediaStack([upper, s3])
    assert stack.save(A, b"new") == A
    assert stack.delete(A)
    assert list(stack.hidden()) == []


def test_what_may_not_be_read_has_its_name(upper: Any) -> None:
    stack = MediaStack([upper, Local("near", {A: fifo("near")})])
    assert stack.save(A, b"new") != A


def test_a_lower_that_was_asked_before_is_asked_again(upper: Any) -> None:
    """What is remembered for half a minute must not let an upload cover what came since."""
    s3 = Bucket("s3", {})
    stack = stack_on(Clock(), upper, s3)
    assert not stack.exists(A)
    s3.files[A] = b"came since"
    assert stack.save(A, b"new") != A
    assert stack.open(A).read() == b"came since"


def test_no_more_than_a_hundred_names(upper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Everything(Bucket):
        def open(self, key: Key) -> Any:
            self.files.setdefault(key, b"x")
            return super().open(key)

    s3 = Everything("s3", {})
    with pytest.raises(NameTaken, match="the name and 99 others made from it are taken"):
        MediaStack([upper, s3]).save(A, b"new")
    assert len(s3.asked) == 100


@pytest.mark.parametrize("names", ["suffix", "shadow"])
def test_a_folder_that_may_not_be_entered(root: Path, monkeypatch: pytest.MonkeyPatch, names: Any) -> None:
    """Each name in it seems to be taken, and none is: the reason is told, and nothing is read of the file."""
    upper = LocalBackend(root)

    def refused(key: Key) -> Any:
        if key.startswith("homes/"):
            raise NotServable(f"Permission denied ({root / key})", backend="local", key=key, operation="open")
        return LocalBackend.open(upper, key)

    monkeypatch.setattr(upper, "open", refused)
    file = io.BytesIO(b"new")
    with pytest.raises(BackendUnavailable, match="Permission denied") as caught:
        MediaStack([upper]).save(A, file, names=names)
    assert (caught.value.backend, caught.value.key, caught.value.operation) == ("local", A, "save")
    assert file.tell() == 0


def test_a_hundred_names_lost_to_others(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name was free when it was looked for, and somebody had it when it was to be published."""
    tried: list[str] = []

    class Late:
        def publish(self, key: Key, *, replace: bool = False) -> None:
            tried.append(key)
            raise NameTaken("somebody was faster", key=key)

        def close(self) -> None:
            pass

    upper = LocalBackend(root)
    monkeypatch.setattr(upper, "draft", lambda data, *, content_type=None: Late())
    with pytest.raises(NameTaken, match="the name and 99 others made from it are taken"):
        MediaStack([upper]).save(A, b"new")
    assert len(set(tried)) == 100


def test_folders_and_files_of_one_name(upper: Any) -> None:
    stack = MediaStack([upper])
    stack.save("a/b", b"x")
    assert re.fullmatch("a_[A-Za-z0-9]{7}", stack.save("a", b"x"))  # the folder has the name
    with pytest.raises(NameTaken, match="one of its folders is a file"):
        stack.save("a/b/c", b"x")  # no name helps
    for names in ("error", "replace"):
        with pytest.raises(NameTaken):
            stack.save("a", b"x", names=names)  # type: ignore[arg-type]
    assert not stack.delete("a")
    assert stack.open("a/b").read() == b"x"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a.jpg", "a_1234567.jpg"),
        ("b/a.tar.gz", "b/a.tar_1234567.gz"),
        ("a", "a_1234567"),
        ("b.c/a", "b.c/a_1234567"),
        (".thumbs", ".thumbs_1234567"),
        ("x" * 251 + ".jpg", "x" * 243 + "_1234567.jpg"),
        ("ü" * 125 + ".jpg", "ü" * 121 + "_1234567.jpg"),
        ("a." + "x" * 253, "a." + "x" * 245 + "_1234567"),
    ],
)
def test_other_names(key: str, name: str) -> None:
    assert alternative(parse_key(key), "1234567") == name
    parse_key(name)


def test_another_name_for_the_longest_key() -> None:
    key = parse_key("/".join(["d" * 200] * 5)[: MAX_KEY_BYTES - 4] + ".jpg")
    assert len(key) > 1000
    assert len(alternative(parse_key(key), "1234567")) <= MAX_KEY_BYTES


def test_fifty_pairs_of_uploads_of_one_name(upper: Any) -> None:
    stacks = [MediaStack([upper, Bucket("s3", {})]) for _ in range(2)]
    got: list[str] = []
    start = threading.Barrier(2)

    def upload(stack: MediaStack) -> None:
        for number in range(50):
            start.wait(20)
            got.append(stack.save(f"race/{number}.jpg", b"x"))

    threads = [threading.Thread(target=upload, args=(stack,)) for stack in stacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 100
    assert len(list(stacks[0].list("race/"))) == 100


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["write", "fsync", "link", "mkdir"])
def test_a_disk_that_refuses(root: Path, call: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept, nothing is tried elsewhere, production is neither written to nor hidden."""
    s3 = Bucket("s3", {A: b"production"})
    stack = MediaStack([LocalBackend(root), s3])
    root.mkdir()

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        for change in (lambda: stack.save(A, b"new", names="shadow"), lambda: stack.delete(A)):
            with pytest.raises(BackendUnavailable, match=os.strerror(number)):
                change()
    assert left_behind(root) == []
    assert s3.files == {A: b"production"}
    assert stack.find(A).backend == "s3"  # type: ignore[union-attr]


def test_a_delete_that_fails_hides_before_it_removes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """django-fallback-storage deletes production's file here."""
    stack = MediaStack([LocalBackend(root), Bucket("s3", {A: b"production"})])
    stack.save(A, b"new", names="shadow")

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(BackendUnavailable):
            stack.delete(A)
    assert stack.open(A).read() == b"new"
    assert stack.delete(A)
    assert isinstance(stack.find(A), Hidden)


def test_an_upper_that_takes_no_writes() -> None:
    stack = MediaStack([Bucket("s3", {A: b"x"})])
    for call in (
        lambda: stack.save(A, b"x"),
        lambda: stack.delete(A),
        lambda: stack.restore(A),
        lambda: stack.reset(A),
    ):
        with pytest.raises(NotWritable, match="put a directory before it"):
            call()
    assert list(stack.hidden()) == list(stack.shadowed()) == []


@pytest.mark.parametrize("names", ["sufix", "", None, 1])
def test_no_such_policy(names: Any) -> None:
    with pytest.raises(ConfigError, match=r"names: .* is none of suffix, shadow, error, replace"):
        MediaStack([MemoryBackend()], names=names)
    if names is not None:
        with pytest.raises(ConfigError, match=r"names: .* is none of suffix"):
            MediaStack([MemoryBackend()]).save(A, b"x", names=names)


def test_a_whiteout_that_cannot_be_read_is_an_upper_that_cannot_tell(root: Path) -> None:
    stack = MediaStack([LocalBackend(root), Bucket("s3", {A: b"production"})])
    stack.delete(A)
    [marker] = (root / ".mediamw" / "whiteouts").iterdir()
    marker.unlink()
    os.mkfifo(marker)
    with pytest.raises(NotServable):
        stack.find(A)


# -- what is seen ------------------------------------------------------------------------------------------------------


def test_what_was_deleted_is_gone_for_everybody(upper: Any) -> None:
    s3 = Bucket("s3", {A: b"production", "homes/2/b.jpg": b"x"})
    stacks = [MediaStack([upper, s3], base_url="/media/") for _ in range(2)]
    assert [entry.key for entry in stacks[1].list("homes/")] == ["homes/1/", "homes/2/"]
    assert stacks[0].delete(A)
    for stack in stacks:
        assert not stack.exists(A)
        assert isinstance(stack.find(A), Hidden)
        assert [entry.key for entry in stack.list("homes/")] == ["homes/2/"]
        assert [entry.key for entry in stack.list(recursive=True)] == ["homes/2/b.jpg"]
        assert stack.url(A) == f"/media/{A}"
        with pytest.raises(FileNotFoundError):
            stack.open(A)
        with pytest.raises(FileNotFoundError):
            stack.stat(A)
        assert stack.explain(A).said == "hidden"
    assert not stacks[0].delete(A)
    assert stacks[1].restore(A)
    assert stacks[0].open(A).read() == b"production"


def test_a_whiteout_of_what_was_never_below_is_not_set(root: Path) -> None:
    stack = MediaStack([LocalBackend(root), Bucket("s3", {})])
    stack.save(A, b"x")
    assert stack.delete(A)
    assert not stack.delete(A)
    assert not (root / ".mediamw" / "whiteouts").exists()


def test_reset_says_whether_something_of_ours_went(upper: Any) -> None:
    stack = MediaStack([upper, Bucket("s3", {A: b"production"})])
    stack.delete(A)
    assert not stack.reset(A)
    stack.save(A, b"new", names="shadow")
    assert [entry.key for entry in stack.shadowed()] == [A]
    assert stack.reset(A)
    assert stack.open(A).read() == b"production"


def test_markers_by_hand_are_not_believed(root: Path) -> None:
    stack = MediaStack([LocalBackend(root), Bucket("s3", {A: b"x", "b": b"y"})])
    stack.delete(A)
    folder = root / ".mediamw" / "whiteouts"
    (folder / ("0" * 32)).mkdir(parents=True)
    (folder / "1").write_bytes(b"b")
    (folder / "2").write_bytes(b"\xff")
    (folder / "3").write_bytes(b"x" * 5000)
    assert list(stack.hidden()) == [A]
    assert isinstance(stack.find("b"), object)
    assert stack.exists("b")


def test_a_listing_reads_each_marker_once(upper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = MediaStack([upper, MemoryBackend({A: b"x", "homes/2/b.jpg": b"y", "homes/3/c.jpg": b"z"}, name="s3")])
    stack.delete(A)
    for _ in range(2):
        assert [entry.key for entry in stack.list("homes/")] == ["homes/2/", "homes/3/"]
    with monkeypatch.context() as patch:
        patch.setattr("mediamw.stack.whiteouts.Whiteouts._text", lambda *_: pytest.fail("it was read before"))
        patch.setattr("mediamw.stack.whiteouts._remote_text", lambda *_: pytest.fail("it was read before"))
        assert [entry.key for entry in stack.list("homes/")] == ["homes/2/", "homes/3/"]
    stack.restore(A)
    stack.delete("homes/2/b.jpg")
    assert [entry.key for entry in stack.list("homes/")] == ["homes/1/", "homes/3/"]
    assert list(stack.hidden()) == ["homes/2/b.jpg"]


def test_whiteouts_that_may_not_be_listed_are_an_upper_that_cannot_tell(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = MediaStack([LocalBackend(root), Bucket("s3", {A: b"production"})])
    stack.delete(A)
    opened = Root.open_folder

    def refuse(self: Root, folder: str, **options: Any) -> Any:
        if folder.endswith("/whiteouts"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(self, folder, **options)

    monkeypatch.setattr(Root, "open_folder", refuse)
    with pytest.raises(BackendUnavailable, match="Permission denied"):
        list(stack.list(recursive=True))


def test_an_upload_that_comes_between_the_two_looks_is_seen(root: Path) -> None:
    """Upper, whiteout, upper again: else a reader between ``publish`` and ``clear`` would get production's file."""
    backend = LocalBackend(root)
    stack = MediaStack([backend, Bucket("s3", {A: b"production"})])
    stack.delete(A)
    real = backend.open

    def opened(key: Key) -> Any:
        if key.startswith(".mediamw/") and not (root / A).exists():
            other.save(A, b"new")
        return real(key)

    other = MediaStack([LocalBackend(root), Bucket("s3", {A: b"production"})])
    backend.open = opened  # type: ignore[method-assign]
    found = stack.find(A)
    assert isinstance(found, Held)
    assert b"".join(found.handle.chunks(0, 3)) == b"new"
    found.handle.close()


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 100])
def test_a_file_that_was_read_before_is_refused(upper: Any, limit: int | None) -> None:
    stack = MediaStack([upper])
    file = io.BytesIO(b"0123456789")
    file.read()
    with pytest.raises(ValueError, match=r"stands at 10: seek\(0\) first"):
        stack.save(A, file, max_bytes=limit)
    assert not stack.exists(A)
    file.seek(4)
    assert stack.save(A, file, max_bytes=limit) == A
    with stack.open(A) as stored:
        assert stored.read() == b"456789"


def test_an_empty_file_and_what_cannot_say_where_it_stands_are_stored(upper: Any) -> None:
    stack = MediaStack([upper])
    assert stack.save(A, io.BytesIO()) == A
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as pipe:  # its tell() raises
        assert stack.save("pipe", pipe) == "pipe"


@pytest.mark.parametrize("limit", ["5", -1, 1e6, True])
def test_a_limit_is_a_whole_number(root: Path, limit: Any) -> None:
    with pytest.raises(ConfigError, match=r"^max_bytes: .* is not a whole number of bytes, 0 or more$"):
        MediaStack([LocalBackend(root)]).save(A, b"", max_bytes=limit)


@pytest.mark.parametrize("name", [Path("a.jpg"), b"a.jpg", 5, None])
def test_a_key_is_a_str(root: Path, name: Any) -> None:
    stack = MediaStack([LocalBackend(root)])
    for call in (lambda: stack.save(name, b""), lambda: stack.exists(name), lambda: stack.delete(name)):
        with pytest.raises(InvalidKey, match=r"is no str, but (PosixPath|WindowsPath|bytes|int|NoneType)$"):
            call()


# -- is_free -----------------------------------------------------------------------------------------------------------


def test_is_free_says_what_save_would_do(upper: Any) -> None:
    bucket = Bucket("prod", {A: b"far"})
    stack = MediaStack([upper, bucket])
    stack.save("mine.jpg", b"mine")
    policies: Any = ("suffix", "shadow", "error", "replace")
    assert [stack.is_free("mine.jpg", names=names) for names in policies] == [False, False, False, True]
    assert [stack.is_free(A, names=names) for names in policies] == [False, True, False, True]
    assert stack.is_free("new.jpg")
    bucket.files["new.jpg"] = b"since then"
    assert not stack.is_free("new.jpg"), "what it said before is not believed"
    stack.delete(A)
    assert stack.is_free(A)
    bucket.files["away.jpg"] = BackendUnavailable("away", backend="prod")
    with pytest.raises(BackendUnavailable):
        stack.is_free("away.jpg")
    assert stack.is_free("away.jpg", names="shadow")
    with pytest.raises(InvalidKey):
        stack.is_free("../a")
    with pytest.raises(NotWritable):
        MediaStack([bucket]).is_free(A)
    assert (stack.names, MediaStack([upper], names="error").names) == ("suffix", "error")
