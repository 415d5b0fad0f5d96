"""LocalBackend against everything a directory can hold and everything a kernel can answer (docs/design.md, Security).

Most tests run in the three ways of opening: openat2, the walk, by real path (the fixture ``mode``).
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import shutil
import socket
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mediamw.backends import beneath, local_handle, local_put
from mediamw.backends.base import CHUNK_BYTES, INLINE_BYTES, LATER
from mediamw.backends.local import LocalBackend, LocalHandle
from mediamw.backends.openat2 import opens_at_once, prepared
from mediamw.core.errors import BackendUnavailable, ConfigError, NameTaken, NotServable
from mediamw.core.keys import Key

from .descriptors import descriptors
from .folding import use_openat2
from .quick_disks import need_remembered_names

SECRET = b"from outside the root"
MISSING = "missing"
REFUSED = "refused"
UNAVAILABLE = "unavailable"

# By real path a name that is swapped between two looks at it is a race that cannot be won (see beneath.py).
holding_descriptors = pytest.mark.parametrize("mode", ["openat2", "walk"], indirect=True)
needs_links = pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")


def answer(backend: LocalBackend, key: str) -> bytes | str:
    """Return the bytes of a file, or in a word why there are none; ``open_now`` must not contradict."""
    said = _answer(backend.open, key)
    now = _answer(backend.open_now, key)
    assert now in (said, "later"), f"open said {said!r}, open_now {now!r}"
    return said


def _answer(opener: Callable[[Key], Any], key: str) -> bytes | str:
    try:
        found = opener(Key(key))
    except NotServable:
        return REFUSED
    except BackendUnavailable:
        return UNAVAILABLE
    if found is None:
        return MISSING
    if found is LATER:
        return "later"
    with contextlib.closing(found):
        data = b"".join(found.chunks(0, found.meta.size))
        now = found.read_now(0, found.meta.size)
        assert now in (None, data)
        return data


def names(backend: LocalBackend, prefix: str = "", *, recursive: bool = True) -> list[str]:
    return [entry.key for entry in backend.list(prefix, recursive=recursive)]


@pytest.fixture(autouse=True, scope="module")
def small_heap() -> Iterator[None]:
    """Collecting garbage twice a test is cheap only if what the whole run has imported is not looked at."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_descriptor_leaks(small_heap: None) -> Iterator[None]:
    """Every test of this file gives back what it opened: backends by being dropped, handles by their close."""
    gc.collect()  # tracebacks of other tests hold what was open when they were raised
    before = descriptors()
    yield
    gc.collect()
    assert descriptors() <= before


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub/deep").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"a")
    (root / "sub/b.txt").write_bytes(b"below")
    (root / "sub/deep/c.txt").write_bytes(b"deep below")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(SECRET)
    (tmp_path / "root-beside").mkdir()  # a name that starts with the root's
    (tmp_path / "root-beside/secret.txt").write_bytes(SECRET)
    return root


# -- the root ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["plain", "slash", "slashes", "dots", "link", "link to link", "relative"])
def test_forms_of_the_root(mode: str, root: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    (root.parent / "link").symlink_to(root)
    (root.parent / "link2").symlink_to("link")
    given = {
        "plain": str(root),
        "slash": f"{root}/",
        "slashes": f"{root}///",
        "dots": f"{root}/sub/../.",
        "link": str(root.parent / "link"),
        "link to link": str(root.parent / "link2") + "/",
        "relative": "root",
    }[form]
    backend = LocalBackend(given)
    (root / "absolute").symlink_to(root / "a.txt")
    monkeypatch.chdir("/")  # a relative root is relative to where the process was
    assert answer(backend, "a.txt") == b"a"
    assert answer(backend, "sub/deep/c.txt") == b"deep below"
    assert answer(backend, "absolute") == b"a"
    assert names(backend) == ["a.txt", "absolute", "sub/b.txt", "sub/deep/c.txt"]
    backend.put(Key("new/d.txt"), b"d")
    assert (root / "new/d.txt").read_bytes() == b"d"


def test_home_is_expanded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    assert LocalBackend("~/root").root == str(root)


def test_a_root_that_appears(mode: str, tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "later/root")
    assert answer(backend, "a.txt") == MISSING
    assert names(backend) == []
    (tmp_path / "later/root").mkdir(parents=True)
    assert answer(backend, "a.txt") == MISSING
    (tmp_path / "later/root/a.txt").write_bytes(b"a")
    assert answer(backend, "a.txt") == b"a"


def test_put_makes_the_root(mode: str, tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "later/root")
    backend.put(Key("x/a.txt"), b"a")
    assert answer(backend, "x/a.txt") == b"a"


class Clock:
    """Stands in for ``time`` in beneath.py."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(beneath, "time", clock)
    return clock


def test_a_root_that_is_removed_and_made_again(mode: str, tmp_path: Path, clock: Clock) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.txt").write_bytes(b"old")
    backend = LocalBackend(root)
    assert answer(backend, "a.txt") == b"old"
    (root / "a.txt").unlink()
    root.rmdir()
    assert answer(backend, "a.txt") == MISSING
    root.mkdir()
    (root / "a.txt").write_bytes(b"new")
    assert answer(backend, "a.txt") == b"new"  # at once: the clock stands still


def test_a_root_that_is_replaced(mode: str, root: Path, clock: Clock) -> None:
    backend = LocalBackend(root)
    assert answer(backend, "a.txt") == b"a"
    root.rename(root.with_name("away"))
    root.mkdir()
    (root / "a.txt").write_bytes(b"new")
    (root / "only-new.txt").write_bytes(b"new")
    # A file that only the new one has is found at once; what both have, within about a second.
    assert answer(backend, "only-new.txt") == b"new"
    assert answer(backend, "a.txt") == b"new"
    root.rename(root.with_name("away2"))
    root.mkdir()
    (root / "a.txt").write_bytes(b"newest")
    clock.now += 1.01
    assert answer(backend, "a.txt") == b"newest"


def test_a_root_that_is_replaced_and_asked_now(root: Path, clock: Clock) -> None:
    """On an event loop too a miss in the old directory is not the answer."""
    backend = LocalBackend(root)
    assert answer(backend, "a.txt") == b"a"
    assert answer(backend, "new.txt") == MISSING  # the kernel remembers that the old one has none
    root.rename(root.with_name("away"))
    root.mkdir()
    (root / "new.txt").write_bytes(b"new")
    assert _answer(backend.open_now, "new.txt") in (b"new", "later")


def test_a_descriptor_in_use_stays_open(mode: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread lets go of the root in the very moment in which the kernel is asked."""
    backend = LocalBackend(root)

    def after_letting_go(call: Callable[..., int]) -> Callable[..., int]:
        def calls(*arguments: Any, **options: Any) -> int:
            backend.close()
            used = options.get("dir_fd") if "dir_fd" in options else arguments[0]
            if isinstance(used, int):
                try:
                    os.fstat(used)
                except OSError:
                    closed.append(used)
            return call(*arguments, **options)

        return calls

    closed: list[int] = []
    monkeypatch.setattr(os, "open", after_letting_go(os.open))
    if beneath._openat2 is not None:
        use_openat2(monkeypatch, after_letting_go(beneath._openat2))
    for opener in (backend.open, backend.open_now):
        for key, expected in (("sub/deep/c.txt", b"deep below"), ("sub/deep/nothing", MISSING)):
            assert _answer(opener, key) in (expected, "later")
    assert closed == []


def test_a_hit_may_be_a_second_old_and_no_more(root: Path, clock: Clock) -> None:
    backend = LocalBackend(root)
    assert answer(backend, "a.txt") == b"a"
    root.rename(root.with_name("away"))
    clock.now += 0.99
    assert answer(backend, "a.txt") == b"a"  # the directory that is open is still that one
    clock.now += 0.02
    assert answer(backend, "a.txt") == MISSING
    assert answer(backend, "a.txt") == MISSING


def test_a_link_as_root_that_is_turned(mode: str, root: Path, clock: Clock) -> None:
    other = root.with_name("other")
    other.mkdir()
    (other / "a.txt").write_bytes(b"other")
    link = root.with_name("current")
    link.symlink_to(root)
    backend = LocalBackend(link)
    assert answer(backend, "a.txt") == b"a"
    link.unlink()
    link.symlink_to(other)
    clock.now += 1.01
    assert answer(backend, "a.txt") == b"other"


def test_a_root_that_becomes_a_file(mode: str, tmp_path: Path, clock: Clock) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.txt").write_bytes(b"a")
    backend = LocalBackend(root)
    assert answer(backend, "a.txt") == b"a"
    root.rename(tmp_path / "away")
    root.write_bytes(b"a file")
    clock.now += 1.01
    for _ in range(3):  # and the old directory does not come back while nobody looks
        assert answer(backend, "a.txt") == MISSING
    assert names(backend) == []
    with pytest.raises(BackendUnavailable):
        backend.put(Key("b.txt"), b"b")


@pytest.mark.parametrize("bad", ["", "file"])
def test_a_root_that_can_never_be_one(tmp_path: Path, bad: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError):
        LocalBackend(bad and tmp_path / bad)


def test_follow_links_to_takes_a_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes a list"):
        LocalBackend(tmp_path, follow_links_to="/srv")


def test_closed_and_used_again(mode: str, root: Path) -> None:
    backend = LocalBackend(root)
    assert answer(backend, "a.txt") == b"a"
    backend.close()
    backend.close()
    assert answer(backend, "a.txt") == b"a"


@holding_descriptors
def test_threads_that_find_the_root_replaced(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A descriptor that one thread is about to use is not closed by another that found a new root."""
    monkeypatch.setattr(beneath, "_ROOT_CHECK_SECONDS", 0.0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_bytes(b"a")
    link = tmp_path / "root"
    link.symlink_to("one")
    backend = LocalBackend(link)
    wrong: list[Any] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                said = answer(backend, "a.txt")
            except BaseException as error:  # noqa: BLE001 - told below
                wrong.append(error)
                return
            if said != b"a":
                wrong.append(said)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for turn in range(300):
        (tmp_path / "next").symlink_to("two" if turn % 2 == 0 else "one")
        (tmp_path / "next").rename(link)  # atomic: there is always a root
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []


# -- names ---------------------------------------------------------------------------------------------------------


def test_a_folder_is_no_file(mode: str, root: Path) -> None:
    backend = LocalBackend(root)
    assert answer(backend, "sub") == MISSING
    assert answer(backend, "a.txt/x") == MISSING
    assert answer(backend, "nothing/at/all") == MISSING
    assert answer(backend, "sub/b.tx") == MISSING


def test_long_names(mode: str, root: Path) -> None:
    backend = LocalBackend(root)
    longest = "n" * 255
    deep = "d/" * 511 + "dd" if mode != "portable" else "d/" * 50 + "dd"  # 1,024 bytes; real paths take their time
    for key in (longest, deep):
        assert answer(backend, key) == MISSING
        backend.put(Key(key), key.encode())
        assert answer(backend, key) == key.encode()
    assert answer(backend, "ü" * 127 + "xx") == MISSING  # 256 bytes in fewer letters
    assert {longest, deep} <= set(names(backend))


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows keep names as Unicode")
def test_names_that_are_no_keys_are_not_listed(mode: str, root: Path) -> None:
    for name in (b"invalid\xff.txt", b"line\nbreak.txt", b"back\\slash.txt", b".mediamw-0123", b"\x7f.txt"):
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(b"")
    (root / ".mediamw/tmp").mkdir(parents=True)
    (root / ".mediamw/tmp/x").write_bytes(b"")
    (root / "sub/.mediamw").mkdir()
    (root / "sub/.mediamw/ok.txt").write_bytes(b"")  # only the root's is the overlay's
    backend = LocalBackend(root)
    assert names(backend) == ["a.txt", "sub/.mediamw/ok.txt", "sub/b.txt", "sub/deep/c.txt"]
    assert names(backend, recursive=False) == ["a.txt", "sub/"]
    assert names(backend, ".mediamw") == []
    assert names(backend, ".mediamw/") == [".mediamw/tmp/x"]  # for the stack, which asks for it by name


# -- links ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def linked(root: Path) -> Path:
    outside = root.parent / "outside"
    (outside / "back").symlink_to(root / "a.txt")
    (outside / "folder-back").symlink_to(root / "sub")
    links = {
        "in-relative": "sub/b.txt",
        "sub/in-up": "../a.txt",
        "sub/deep/in-up-twice": "../../sub/../a.txt",
        "in-absolute": root / "a.txt",
        "in-chain": "in-absolute",
        "in-folder": "sub",
        "in-folder-absolute": root / "sub",
        "out-and-back": outside / "back",
        "out-and-back-relative": "../root/a.txt",
        "through-out": outside / "folder-back",
        "out-relative": "../outside/secret.txt",
        "out-absolute": outside / "secret.txt",
        "out-chain": "out-relative",
        "out-folder": outside,
        "out-beside": "../root-beside/secret.txt",
        "out-passwd": "/etc/passwd",
        "sub/deep/out-up": "../../../outside/secret.txt",
        "loop": "loop",
        "loop-a": "loop-b",
        "loop-b": "loop-a",
        "dangling": "not-there",
        "dangling-absolute": root / "not-there",
        "to-root": ".",
        "to-parent": "..",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    return root


LINKS = [
    ("in-relative", b"below"),
    ("sub/in-up", b"a"),
    ("sub/deep/in-up-twice", b"a"),
    ("in-absolute", b"a"),
    ("in-chain", b"a"),
    ("in-folder/b.txt", b"below"),
    ("in-folder-absolute/b.txt", b"below"),
    ("in-folder/deep/c.txt", b"deep below"),
    ("in-folder/in-up", b"a"),  # ".." counts from where the link lies, not from the name that was asked for
    ("in-folder", MISSING),
    ("to-root", MISSING),
    ("to-root/to-root/a.txt", b"a"),
    ("out-and-back", b"a"),
    ("out-and-back-relative", b"a"),
    ("through-out/b.txt", b"below"),
    ("out-relative", REFUSED),
    ("out-absolute", REFUSED),
    ("out-chain", REFUSED),
    ("out-folder/secret.txt", REFUSED),
    ("out-folder", REFUSED),
    ("out-beside", REFUSED),
    ("out-passwd", REFUSED),
    ("sub/deep/out-up", REFUSED),
    ("in-folder/deep/out-up", REFUSED),
    ("to-parent/outside/secret.txt", REFUSED),
    ("to-parent/root/a.txt", b"a"),
    ("loop", REFUSED),
    ("loop/x", REFUSED),
    ("loop-a", REFUSED),
    ("dangling", MISSING),
    ("dangling-absolute", MISSING),
    ("dangling/x", MISSING),
    ("a.txt/in-relative", MISSING),
]


@needs_links
@pytest.mark.parametrize(("key", "expected"), LINKS, ids=[row[0] for row in LINKS])
def test_links(mode: str, linked: Path, key: str, expected: bytes | str) -> None:
    backend = LocalBackend(linked)
    assert answer(backend, key) == expected
    assert answer(backend, key) == expected  # the kernel has its links cached now


@needs_links
def test_listing_links(mode: str, linked: Path) -> None:
    """What is listed can be opened; links to folders are shown, not descended into."""
    backend = LocalBackend(linked)
    flat = names(backend, recursive=False)
    files = ["a.txt", "in-absolute", "in-chain", "in-relative", "out-and-back", "out-and-back-relative"]
    assert flat == sorted([*files, "in-folder-absolute/", "in-folder/", "sub/", "through-out/", "to-root/"])
    deep = names(backend)
    assert deep == sorted([*files, "sub/b.txt", "sub/deep/c.txt", "sub/deep/in-up-twice", "sub/in-up"])
    for entry in backend.list("", recursive=True):
        found = backend.open(Key(entry.key))
        assert found is not None
        assert found.meta == entry.meta
        found.close()
    below = ["in-folder/b.txt", "in-folder/deep/c.txt", "in-folder/deep/in-up-twice", "in-folder/in-up"]
    assert names(backend, "in-folder/") == below
    assert names(backend, "out-folder/") == names(backend, "loop/") == names(backend, "dangling/") == []


@needs_links
def test_links_that_may_be_followed(mode: str, linked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(linked.parent)
    backend = LocalBackend(linked, follow_links_to=["outside/"])
    for key in ("out-relative", "out-absolute", "out-chain", "out-folder/secret.txt", "sub/deep/out-up"):
        assert answer(backend, key) == SECRET
    assert answer(backend, "out-folder") == MISSING
    assert "out-relative" in names(backend)
    assert names(backend, "out-folder/") == ["out-folder/back", "out-folder/secret.txt"]
    for key in ("out-beside", "out-passwd", "loop"):
        assert answer(backend, key) == REFUSED
    # A directory is no longer one of those that are allowed when the link is turned to another.
    (linked.parent / "outside/out-again").symlink_to("../root-beside/secret.txt")
    assert answer(backend, "out-folder/out-again") == REFUSED


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc here")
def test_magic_links(mode: str, root: Path) -> None:
    reading, writing = os.pipe()
    secret = os.open(root.parent / "outside/secret.txt", os.O_RDONLY)
    inside = os.open(root / "a.txt", os.O_RDONLY)
    try:
        for name, target in {
            "cwd": "/proc/self/cwd",
            "top": "/proc/self/root",
            "pipe": f"/proc/self/fd/{reading}",
            "secret": f"/proc/self/fd/{secret}",
            "inside": f"/proc/self/fd/{inside}",
            "environ": "/proc/self/environ",
        }.items():
            (root / name).symlink_to(target)
        backend = LocalBackend(root)
        for key in ("cwd", "cwd/x", "top/etc/passwd", "pipe", "secret", "environ"):
            expected = MISSING if key == "cwd/x" else REFUSED
            assert answer(backend, key) == expected, key
        assert answer(backend, "inside") == b"a"
        assert "inside" in names(backend)
        assert "pipe" not in names(backend)
    finally:
        for fd in (reading, writing, secret, inside):
            os.close(fd)


# -- what is no regular file ---------------------------------------------------------------------------------------


@pytest.fixture
def odd(root: Path) -> Iterator[Path]:
    os.mkfifo(root / "fifo")
    (root / "fifo-link").symlink_to("fifo")
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(root)  # a socket's path has 108 bytes at most
        listening.bind("socket")
        os.chdir(here)
        yield root


@pytest.mark.parametrize("key", ["fifo", "fifo-link", "socket"])
def test_no_regular_files(mode: str, odd: Path, key: str) -> None:
    """And a FIFO that nobody writes to does not hang."""
    backend = LocalBackend(odd)

    def release() -> None:  # whoever waits for a writer gets one, and finds it in its answer
        late.append(os.open(odd / "fifo", os.O_WRONLY | os.O_NONBLOCK))

    late: list[int] = []
    watch = threading.Timer(5, release)
    watch.start()
    try:
        assert answer(backend, key) == REFUSED
    finally:
        watch.cancel()
        watch.join()
    assert late == [], "opening waited for the other end of a FIFO"
    assert names(backend) == ["a.txt", "sub/b.txt", "sub/deep/c.txt"]
    with pytest.raises(NameTaken):
        backend.put(Key(key), b"")


def test_devices(mode: str, root: Path) -> None:
    for name, number in (("null", 3), ("zero", 5)):
        try:
            os.mknod(root / name, stat.S_IFCHR | 0o666, os.makedev(1, number))
        except PermissionError:  # only root makes devices
            (root / name).symlink_to(f"/dev/{name}")
    (root / "null-link").symlink_to("/dev/null")
    backend = LocalBackend(root)
    assert answer(backend, "null") == answer(backend, "zero") == answer(backend, "null-link") == REFUSED
    assert names(backend, recursive=False) == ["a.txt", "sub/"]


# -- permissions ---------------------------------------------------------------------------------------------------

_AS_NOBODY = """
import os, sys
from mediamw.backends import beneath
from mediamw.backends.local import LocalBackend
from mediamw.core.errors import BackendUnavailable, NotServable
if sys.argv[2] != "openat2": beneath._openat2 = None
if sys.argv[2] == "portable": beneath.HAS_DIR_FD = False
if os.getuid() == 0:  # after the imports: the interpreter may lie where only root may read
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
backend = LocalBackend(sys.argv[1])
def ask(what):
    try:
        return what()
    except NotServable: return "refused"
    except BackendUnavailable: return "unavailable"
for key in ("closed.txt", "closed/x.txt", "unlisted/x.txt", "a.txt", "nothing"):
    found = ask(lambda: backend.open(key))
    print(key, found if isinstance(found, (str, type(None))) else found.read_now(0, 1))
print("list", ask(lambda: [entry.key for entry in backend.list("", recursive=True)]))
print("put", ask(lambda: backend.put("new.txt", b"x")))
print("put in closed", ask(lambda: backend.put("closed/new.txt", b"x")))
os.chdir("/")
print("root", ask(lambda: LocalBackend(os.path.join(sys.argv[1], "closed/root")).open("x")))
print("root list", ask(lambda: list(LocalBackend(os.path.join(sys.argv[1], "closed")).list("", recursive=True))))
"""


def test_without_permission(mode: str, root: Path) -> None:
    """In a process of nobody's: root may do everything."""
    if sys.platform != "linux":
        pytest.skip("the numbers of users are Linux's")
    (root / "closed.txt").write_bytes(b"x")
    (root / "closed.txt").chmod(0)
    for name in ("closed", "unlisted"):
        (root / name).mkdir()
        (root / name / "x.txt").write_bytes(b"x")
    (root / "closed").chmod(0)
    (root / "unlisted").chmod(0o711)
    if os.getuid() == 0:
        for folder in root.parents:  # pytest's directories are the user's alone
            if folder.stat().st_mode & 0o111 != 0o111:
                folder.chmod(0o711)
        root.chmod(0o755)
    else:
        root.chmod(0o555)
    command = [sys.executable, "-W", "error", "-c", _AS_NOBODY, str(root), mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    (root / "closed").chmod(0o755)  # pytest removes it
    root.chmod(0o755)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "closed.txt refused",
        "closed/x.txt refused",
        "unlisted/x.txt b'x'",  # passing through needs no right to read
        "a.txt b'a'",
        "nothing None",
        # A file that may not be read is listed (as ls does); what lies in a folder that may not be read is not.
        "list ['a.txt', 'closed.txt', 'sub/b.txt', 'sub/deep/c.txt']",
        "put unavailable",
        "put in closed unavailable",
        "root unavailable",
        "root list unavailable",
    ]


# -- what the kernel may answer ------------------------------------------------------------------------------------

MEANINGS = {
    **dict.fromkeys(("ENOENT", "ENOTDIR", "EISDIR", "ENAMETOOLONG", "EINVAL", "EILSEQ"), MISSING),
    **dict.fromkeys(("EACCES", "EPERM", "ENXIO", "ENODEV", "EOPNOTSUPP"), REFUSED),
    **dict.fromkeys(("EMFILE", "ENFILE", "EIO", "ESTALE", "ENOMEM", "ETIMEDOUT", "EHOSTDOWN", "EBADF"), UNAVAILABLE),
}


@pytest.mark.parametrize(("name", "expected"), MEANINGS.items(), ids=MEANINGS)
def test_the_kernels_answers(mode: str, root: Path, name: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = getattr(errno, name)
    backend = LocalBackend(root)
    assert answer(backend, "a.txt") == b"a"

    def refuse(*_: Any, **__: Any) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if mode == "openat2":
            use_openat2(patch, refuse)
        else:
            patch.setattr(os, "open", refuse)
        assert answer(backend, "a.txt") == expected
        if expected == MISSING:
            assert backend.open(Key("a.txt")) is None
        else:
            with pytest.raises((NotServable, BackendUnavailable)) as caught:
                backend.open(Key("a.txt"))
            assert os.strerror(number) in str(caught.value)
            assert (caught.value.backend, caught.value.key, caught.value.operation) == ("local", "a.txt", "open")
    assert answer(backend, "a.txt") == b"a"


def test_openat2_that_is_disturbed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EAGAIN (a rename elsewhere) and EINTR are asked again; EAGAIN for ever (a lease) is left to the walk."""
    if beneath._openat2 is None:
        pytest.skip("no openat2 here")
    real = beneath._openat2
    calls: list[int] = []
    errors: list[int] = []

    def disturbed(*arguments: Any) -> int:
        calls.append(1)
        if errors:
            number = errors.pop()
            raise OSError(number, os.strerror(number))
        return real(*arguments)

    use_openat2(monkeypatch, disturbed)
    backend = LocalBackend(root)
    for number in (errno.EAGAIN, errno.EINTR):
        errors[:] = [number] * 3
        calls.clear()
        assert _answer(backend.open, "a.txt") == b"a"
        assert len(calls) == 4
    errors[:] = [errno.EAGAIN] * 100
    calls.clear()
    assert _answer(backend.open, "a.txt") == b"a"
    assert len(calls) == 1 + 8


@pytest.mark.usefixtures("roots_believed")
def test_open_now_waits_for_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if beneath._openat2 is None:
        pytest.skip("no openat2 here")
    backend = LocalBackend(root)
    assert backend.open_now(Key("a.txt")) is LATER, "the directory is not open yet"
    open_and_close(backend, "a.txt")
    flags: list[int] = []

    def not_cached(fd: int, path: str, how: int, resolve: int) -> int:
        flags.append(resolve)
        raise OSError(errno.EAGAIN, "not in the cache")

    monkeypatch.setattr(beneath, "_openat2", not_cached)
    assert backend.open_now(Key("a.txt")) is LATER
    # RESOLVE_CACHED, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV (linux/openat2.h)
    assert flags == [0x20 | 0x08 | 0x02 | 0x01]


def open_and_close(backend: LocalBackend, key: str) -> None:
    handle = backend.open(Key(key))
    assert handle is not None
    handle.close()


@pytest.mark.usefixtures("roots_believed")
@pytest.mark.parametrize("is_remote", [False, True])
def test_open_now_waits_for_no_server(root: Path, monkeypatch: pytest.MonkeyPatch, *, is_remote: bool) -> None:
    """NFS, SMB and FUSE ask at each open, whatever is cached."""
    need_remembered_names(root)
    monkeypatch.setattr(beneath, "opens_at_once", lambda fd: not is_remote)
    backend = LocalBackend(root)
    open_and_close(backend, "a.txt")
    now = backend.open_now(Key("a.txt"))
    assert (now is LATER) == is_remote
    if isinstance(now, LocalHandle):
        now.close()
    fd = backend.beneath.open_again(prepared("a.txt"))
    assert (fd < 0) == is_remote
    if fd >= 0:
        os.close(fd)
    nothing = prepared("nothing")
    assert backend.open(Key("nothing")) is None  # from now on the caches know
    assert backend.beneath.are_missing_again([nothing], ()) != is_remote
    assert backend.beneath.are_missing([nothing], wait=False) != is_remote
    assert backend.beneath.are_missing([nothing], wait=True)


def test_what_opens_at_once(root: Path) -> None:
    if beneath._openat2 is None:
        pytest.skip("no openat2 here")
    for path, is_quick in ((root, True), ("/proc", False), ("/sys", False)):
        with beneath_descriptor(path) as fd:
            assert opens_at_once(fd) == is_quick, path
    assert not opens_at_once(-1)


def test_a_mount_below_the_root_is_looked_at_by_a_thread() -> None:
    """It may be another kind of file system than the root."""
    if beneath._openat2 is None or not os.path.isfile("/proc/self/status"):
        pytest.skip("no openat2 here, or no /proc")
    backend = LocalBackend("/")
    assert backend.open(Key("no such file")) is None  # from now on the directory is open
    assert backend.open_now(Key("proc/uptime")) is LATER
    open_and_close(backend, "proc/uptime")


@contextlib.contextmanager
def beneath_descriptor(path: str | Path) -> Iterator[int]:
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def test_reading_fails(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = LocalBackend(root).open(Key("a.txt"))
    assert found is not None

    def broken(*_: Any) -> Any:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(local_handle, "_read_at", broken)
    monkeypatch.setattr(os, "preadv", broken, raising=False)
    with contextlib.closing(found):
        assert found.read_now(0, 1) is None  # the slow way says why
        with pytest.raises(BackendUnavailable, match=os.strerror(errno.ESTALE)):
            list(found.chunks(0, 1))


def test_no_directory_is_opened_where_that_is_not_possible(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where os.open of a directory is EACCES."""
    monkeypatch.setattr(beneath, "_openat2", None)
    monkeypatch.setattr(beneath, "HAS_DIR_FD", False)
    real = os.open

    def no_directories(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        assert dir_fd is None
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", no_directories)
    backend = LocalBackend(root)
    assert answer(backend, "a.txt") == b"a"
    assert answer(backend, "nothing") == MISSING
    assert names(backend, "sub/") == ["sub/b.txt", "sub/deep/c.txt"]
    backend.put(Key("new/x.txt"), b"x")
    assert answer(backend, "new/x.txt") == b"x"


_OUT_OF_DESCRIPTORS = """
import os, resource, sys
from mediamw.backends import beneath
from mediamw.backends.local import LocalBackend
from mediamw.core.errors import BackendUnavailable
if sys.argv[2] != "openat2": beneath._openat2 = None
if sys.argv[2] == "portable": beneath.HAS_DIR_FD = False
backend = LocalBackend(sys.argv[1])
first = backend.open("a.txt")
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
held = []
try:
    while True: held.append(os.dup(first.fileno()))
except OSError: pass
said = []
def ask(what):
    try: said.append(what() is not None)
    except BackendUnavailable as error: said.append("Too many open files" in str(error))
ask(lambda: backend.open("a.txt"))
ask(lambda: backend.open("nothing") or False)
ask(lambda: list(backend.list("", recursive=True)))
ask(lambda: backend.put("b.txt", b"b"))
for fd in held: os.close(fd)
print(said, backend.open("a.txt").read_now(0, 1))
"""


def test_out_of_descriptors(mode: str, root: Path) -> None:
    pytest.importorskip("resource")
    command = [sys.executable, "-c", _OUT_OF_DESCRIPTORS, str(root), mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert done.stdout.strip() == "[True, True, True, True] b'a'"
    assert os.listdir(root / ".mediamw/tmp") == [] if (root / ".mediamw").exists() else True


# -- races ---------------------------------------------------------------------------------------------------------


@holding_descriptors
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_link_that_is_swapped_in(mode: str, root: Path, kind: str) -> None:
    """Never a byte from outside, however fast a folder becomes a link to outside and a folder again."""
    outside = root.parent / "outside"
    folder = root / "swapped"
    folder.mkdir()
    (folder / "secret.txt").write_bytes(b"inside")
    away, link = root / "away", root / "link"
    target, one = (folder, outside) if kind == "folder" else (folder / "secret.txt", outside / "secret.txt")
    link.symlink_to(one)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            target.rename(away)
            link.rename(target)
            target.rename(link)
            away.rename(target)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    backend = LocalBackend(root)
    try:
        for _ in range(4000):
            seen.add(_answer(backend.open, "swapped/secret.txt"))
            seen.add(_answer(backend.open_now, "swapped/secret.txt"))
        listed = [name for _ in range(100) for name in names(backend, "swapped/")]
    finally:
        done.set()
        swapper.join()
    assert SECRET not in seen
    assert seen <= {b"inside", MISSING, REFUSED, "later"}
    assert set(listed) <= {"swapped/secret.txt"}
    assert len(seen) >= 2, "nothing was swapped in time: the test proves nothing"


@pytest.mark.parametrize("where", ["openat2", "walk"])
def test_a_link_that_is_turned_while_it_is_followed(where: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at where a link leads and the opening: the worst moment, made certain."""
    if not beneath.HAS_DIR_FD or (where == "openat2" and beneath._openat2 is None):
        pytest.skip(f"no {where} here")
    if where == "walk":
        monkeypatch.setattr(beneath, "_openat2", None)
    (root / "link").symlink_to(root / "sub")
    backend = LocalBackend(root)
    real = os.path.realpath

    def turned(path: Any, **options: Any) -> str:
        found = real(path, **options)
        if str(path).endswith("link/secret.txt") or str(path).endswith("link/deep/secret.txt"):
            (root / "sub").rename(root / "gone")
            (root / "sub").symlink_to(root.parent / "outside")
        return found

    (root / "sub/secret.txt").write_bytes(b"inside")
    monkeypatch.setattr(os.path, "realpath", turned)
    with pytest.raises(NotServable, match="changed while it was followed"):
        backend.open(Key("link/secret.txt"))


# -- handles -------------------------------------------------------------------------------------------------------


def opened(path: Path) -> LocalHandle:
    found = LocalBackend(path.parent).open(Key(path.name))
    assert found is not None
    return found


def test_chunks(root: Path) -> None:
    data = os.urandom(2 * CHUNK_BYTES + 5)
    (root / "large.bin").write_bytes(data)
    with contextlib.closing(opened(root / "large.bin")) as found:
        assert [len(piece) for piece in found.chunks(0, len(data))] == [CHUNK_BYTES, CHUNK_BYTES, 5]
        assert b"".join(found.chunks(7, len(data) - 7)) == data[7:-7]
        assert os.lseek(found.fileno(), 0, os.SEEK_CUR) == 0


def test_a_file_that_became_shorter(root: Path) -> None:
    (root / "large.bin").write_bytes(bytes(2 * CHUNK_BYTES))
    with contextlib.closing(opened(root / "large.bin")) as found:
        pieces = found.chunks(0, 2 * CHUNK_BYTES)
        assert len(next(pieces)) == CHUNK_BYTES
        os.truncate(root / "large.bin", CHUNK_BYTES + 3)
        assert [len(piece) for piece in pieces] == [3]
        os.truncate(root / "large.bin", 0)
        assert list(found.chunks(0, 5)) == []
        assert found.read_now(0, 5) in (None, b"")
        assert found.read_now(0, 0) in (None, b"")


def test_read_now_without_waiting(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not local_handle._RWF_NOWAIT:
        pytest.skip("no RWF_NOWAIT here")
    real = os.preadv
    flags: list[int] = []
    answers: list[Any] = []

    def preadv(fd: int, buffers: Any, offset: int, flag: int = 0) -> int:
        flags.append(flag)
        if answers:
            answer = answers.pop()
            if isinstance(answer, int):
                raise OSError(answer, os.strerror(answer))
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    with contextlib.closing(opened(root / "sub/b.txt")) as found:
        assert found.read_now(1, 4) == b"elo"
        assert flags == [os.RWF_NOWAIT]
        answers[:] = [errno.EAGAIN]  # not in the page cache
        assert found.read_now(1, 4) is None
        answers[:] = [errno.EOPNOTSUPP]  # tmpfs, overlayfs
        assert found.read_now(1, 4) == b"elo"
        answers[:] = [errno.EIO]
        assert found.read_now(1, 4) is None
        assert found.read_now(1, 40) is None  # partly in the page cache, or at its end
    (root / "large.bin").write_bytes(bytes(INLINE_BYTES + 1))
    with contextlib.closing(opened(root / "large.bin")) as found:
        assert found.read_now(1, 4) == bytes(3)
        answers[:] = [errno.EOPNOTSUPP]
        assert found.read_now(1, 4) is None, "a large one is not guessed to be warm"
        monkeypatch.setattr(local_handle, "_RWF_NOWAIT", 0)  # macOS
        assert found.read_now(1, 4) is None


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no /dev/shm here")
def test_read_now_on_tmpfs() -> None:
    path = Path("/dev/shm") / f"mediamw-test-{os.getpid()}"
    path.mkdir()
    try:
        (path / "a.txt").write_bytes(b"0123456789")
        with contextlib.closing(opened(path / "a.txt")) as found:
            assert found.read_now(2, 5) == b"234"
    finally:
        (path / "a.txt").unlink()
        path.rmdir()


def test_etags_change(root: Path) -> None:
    path = root / "e.txt"
    path.write_bytes(b"one")
    seen = []

    def look() -> str:
        with contextlib.closing(opened(path)) as found:
            assert found.meta.etag is not None
            return found.meta.etag

    def until_the_clock_moves(write: Callable[[], None]) -> None:
        """The time of a file has the disk's resolution, which may be some milliseconds."""
        before = path.stat().st_mtime_ns
        write()
        while path.stat().st_mtime_ns == before:
            write()

    seen.append(look())
    assert look() == seen[0]
    until_the_clock_moves(lambda: path.write_bytes(b"two") and None)  # same size, same inode
    seen.append(look())
    times = path.stat()
    path.write_bytes(b"longer")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # same inode, same time, another size
    seen.append(look())
    other = root / "other"
    other.write_bytes(b"LONGER")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.rename(path)  # same size, same time: another file
    seen.append(look())
    path.chmod(0o600)
    assert look() == seen[-1]  # nothing that a client sees
    assert len(set(seen)) == 4


def test_an_open_file_stays_that_file(root: Path) -> None:
    with contextlib.closing(opened(root / "a.txt")) as found:
        (root / "new").write_bytes(b"another")
        (root / "new").rename(root / "a.txt")
        assert b"".join(found.chunks(0, found.meta.size)) == b"a"


def test_a_handle_that_is_dropped_is_closed(root: Path) -> None:
    before = descriptors()
    found = opened(root / "a.txt")
    assert descriptors() > before
    del found
    assert descriptors() == before


# -- listing -------------------------------------------------------------------------------------------------------


def test_listing(mode: str, root: Path) -> None:
    (root / "sub-beside.txt").write_bytes(b"")
    (root / "sub.txt").write_bytes(b"")
    (root / "sub0").write_bytes(b"")
    (root / ".dot").mkdir()
    (root / ".dot/x").write_bytes(b"")
    backend = LocalBackend(root, name="mine")
    assert names(backend, recursive=False) == [".dot/", "a.txt", "sub-beside.txt", "sub.txt", "sub/", "sub0"]
    deep = [".dot/x", "a.txt", "sub-beside.txt", "sub.txt", "sub/b.txt", "sub/deep/c.txt", "sub0"]
    assert names(backend) == deep
    assert names(backend, "s") == names(backend, "sub") == deep[2:]
    assert names(backend, "sub/") == deep[4:6]
    assert names(backend, "sub/d") == names(backend, "sub/deep") == names(backend, "sub/deep/c") == deep[5:6]
    assert names(backend, "sub/", recursive=False) == ["sub/b.txt", "sub/deep/"]
    assert names(backend, "sub/b.txt", recursive=False) == ["sub/b.txt"]
    for prefix in (
        "nothing",
        "sub/b.txt/",
        "a.txtx",
        "/",
        "//",
        "../",
        "sub/../",
        "./",
        "sub//",
        "sub/./",
        "\0/",
        "x" * 300 + "/",
    ):
        assert names(backend, prefix) == names(backend, prefix, recursive=False) == [], prefix
    assert {entry.backend for entry in backend.list("", recursive=False)} == {"mine"}


def test_a_file_that_vanishes_while_it_is_listed(mode: str, root: Path) -> None:
    """Names first, each with what it is: one removed in between is left out, and no error."""
    backend = LocalBackend(root)
    real = os.scandir

    class Vanishing:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __enter__(self) -> Iterator[Any]:
            entries = list(self._inner.__enter__())
            (root / "a.txt").unlink(missing_ok=True)
            return iter(entries)

        def __exit__(self, *error: object) -> None:
            self._inner.__exit__(*error)

        def close(self) -> None:
            self._inner.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", lambda *arguments: Vanishing(real(*arguments)))
        assert names(backend) == ["sub/b.txt", "sub/deep/c.txt"]


def test_a_listing_that_fails_says_so(mode: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    backend = LocalBackend(root)
    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(BackendUnavailable, match=os.strerror(errno.EIO)):
        names(backend)


# -- put -----------------------------------------------------------------------------------------------------------


def temporaries(root: Path) -> list[str]:
    """Return what putting left behind, wherever it may lie."""
    return [name for _, _, files in os.walk(root / ".mediamw") for name in files] + [
        name for _, _, files in os.walk(root) for name in files if name.startswith(".mediamw")
    ]


@pytest.mark.parametrize("data", [b"", b"x", b"y" * (CHUNK_BYTES + 1)], ids=len)
def test_put(mode: str, root: Path, data: bytes) -> None:
    backend = LocalBackend(root)
    seen: list[Any] = []

    def watched() -> Iterator[bytes]:
        yield data[:1]
        seen.append((answer(backend, "new/er/x.bin"), temporaries(root)))
        yield data[1:]

    backend.put(Key("new/er/x.bin"), watched())
    [(before, during)] = seen
    assert before == MISSING  # nobody sees a file that is not whole
    assert len(during) == 1
    assert answer(backend, "new/er/x.bin") == data
    assert temporaries(root) == []
    for again in ("new/er/x.bin", "new/er", "new", "new/er/x.bin/below", "a.txt/x/y"):
        with pytest.raises(NameTaken):
            backend.put(Key(again), b"second")
    assert answer(backend, "new/er/x.bin") == data
    assert temporaries(root) == []


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, OSError])
def test_put_that_breaks(mode: str, root: Path, kind: type[BaseException]) -> None:
    error = kind(5, "the upload broke off")

    def breaks() -> Iterator[bytes]:
        yield b"first"
        raise error

    backend = LocalBackend(root)
    with pytest.raises(kind) as caught:
        backend.put(Key("x.bin"), breaks())
    assert caught.value is error
    assert answer(backend, "x.bin") == MISSING
    assert temporaries(root) == []
    backend.put(Key("x.bin"), b"now")


@pytest.mark.parametrize("wrong", ["text", [1, 2], None, [b"x", None]], ids=repr)
def test_put_of_what_is_no_bytes(root: Path, wrong: Any) -> None:
    backend = LocalBackend(root)
    with pytest.raises(TypeError):
        backend.put(Key("x.bin"), wrong)
    assert answer(backend, "x.bin") == MISSING
    assert temporaries(root) == []


@pytest.mark.parametrize("links", ["links", "no links", "another mount"])
def test_one_winner(mode: str, root: Path, links: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if links != "links":
        no_links(monkeypatch, errno.EPERM if links == "no links" else errno.EXDEV)
    backend = LocalBackend(root)
    won: dict[str, list[bytes]] = {f"race/{number}.bin": [] for number in range(50)}
    other: list[BaseException] = []

    def put(key: str, data: bytes, start: threading.Barrier) -> None:
        start.wait()
        try:
            backend.put(Key(key), data)
        except NameTaken:
            return
        except BaseException as error:  # noqa: BLE001 - told below
            other.append(error)
        else:
            won[key].append(data)

    for key in won:
        start = threading.Barrier(2)
        pair = [threading.Thread(target=put, args=(key, letter * 100_000, start)) for letter in (b"1", b"2")]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
    assert other == []
    for key, winners in won.items():
        assert len(winners) == 1, key
        assert answer(backend, key) == winners[0]
    assert temporaries(root) == []


def no_links(monkeypatch: pytest.MonkeyPatch, number: int, *, from_temporaries_only: bool = True) -> list[int]:
    """Have os.link fail: EXDEV only between folders, as between mounts; other errors always."""
    real, asked = os.link, []

    def link(source: str, target: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        asked.append(number)
        if number != errno.EXDEV or ".mediamw-" not in source:
            raise OSError(number, os.strerror(number))
        real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "link", link)
    return asked


@pytest.mark.parametrize("name", ["EXDEV", "EPERM", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EINVAL"])
def test_put_without_links(mode: str, root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = no_links(monkeypatch, getattr(errno, name))
    data = os.urandom(CHUNK_BYTES + 3)
    backend = LocalBackend(root)
    backend.put(Key("new/x.bin"), data)
    assert asked
    assert answer(backend, "new/x.bin") == data
    assert temporaries(root) == []
    assert os.listdir(root / "new") == ["x.bin"]
    monkeypatch.setattr(local_put, "check_free", lambda *_: None)  # as if it came between the look and the link
    with pytest.raises(NameTaken):
        backend.put(Key("new/x.bin"), b"second")
    assert answer(backend, "new/x.bin") == data
    assert temporaries(root) == []
    assert os.listdir(root / "new") == ["x.bin"]


def test_another_mount_without_links(mode: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [errno.EPERM, errno.EXDEV]

    def link(*_: Any, **__: Any) -> None:
        number = numbers.pop()
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    LocalBackend(root).put(Key("x.bin"), b"x")
    assert numbers == []
    assert (root / "x.bin").read_bytes() == b"x"
    assert temporaries(root) == []


@pytest.mark.parametrize("name", ["EPERM", "EXDEV"])
def test_a_disk_that_fills_up_while_a_file_gets_its_name(
    mode: str, root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_links(monkeypatch, getattr(errno, name))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(local_put, "_copy", full)
    monkeypatch.setattr(os, "replace", full)
    backend = LocalBackend(root)
    with pytest.raises(BackendUnavailable, match=os.strerror(errno.ENOSPC)):
        backend.put(Key("x.bin"), b"x")
    assert not (root / "x.bin").exists()
    assert temporaries(root) == []


@needs_links
def test_put_through_links(mode: str, linked: Path) -> None:
    backend = LocalBackend(linked)
    backend.put(Key("in-folder/new.txt"), b"1")
    assert (linked / "sub/new.txt").read_bytes() == b"1"
    backend.put(Key("in-folder-absolute/deeper/new.txt"), b"2")
    assert (linked / "sub/deeper/new.txt").read_bytes() == b"2"
    outside = linked.parent / "outside"
    before = sorted(os.listdir(outside))
    for key in (
        "out-folder/new.txt",
        "out-folder/made/new.txt",
        "to-parent/new.txt",
        "to-parent/outside/new.txt",
        "loop/x",
    ):
        with pytest.raises(NotServable):
            backend.put(Key(key), b"3")
    with pytest.raises(BackendUnavailable):
        backend.put(Key("dangling/new.txt"), b"3")
    for taken in ("dangling", "out-relative", "loop", "in-folder"):
        with pytest.raises(NameTaken):
            backend.put(Key(taken), b"4")
    assert sorted(os.listdir(outside)) == before
    assert not (linked / "not-there").exists()
    assert not (linked.parent / "new.txt").exists()
    assert temporaries(linked) == []


@needs_links
def test_put_with_a_state_folder_that_leads_out(mode: str, root: Path) -> None:
    (root / ".mediamw").symlink_to(root.parent / "outside")
    with pytest.raises(NotServable):
        LocalBackend(root).put(Key("x.txt"), b"x")
    assert os.listdir(root.parent / "outside") == ["secret.txt"]
    assert not (root / "x.txt").exists()


def test_put_while_the_state_is_removed(mode: str, root: Path) -> None:
    """Removing .mediamw is the full reset; an upload that is under way fails in words."""

    def reset() -> Iterator[bytes]:
        yield b"first"
        [temporary] = (root / ".mediamw/tmp").iterdir()
        temporary.unlink()
        yield b"second"

    with pytest.raises(BackendUnavailable):
        LocalBackend(root).put(Key("x.txt"), reset())
    assert not (root / "x.txt").exists()


def test_modes_follow_the_umask(mode: str, root: Path) -> None:
    backend = LocalBackend(root)
    before = os.umask(0o027)
    try:
        backend.put(Key("made/x.txt"), b"x")
        with pytest.MonkeyPatch.context() as patch:
            no_links(patch, errno.EPERM)
            backend.put(Key("made/y.txt"), b"y")
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / "made/x.txt").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "made/y.txt").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "made").stat().st_mode) == 0o750


def test_put_is_synced_before_it_is_published(mode: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    real_sync, real_link = os.fsync, os.link

    def fsync(fd: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real_sync(fd)

    def link(*arguments: Any, **options: Any) -> None:
        events.append("link")
        real_link(*arguments, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    backend = LocalBackend(root)
    backend.put(Key("made/x.txt"), b"x")  # so is every folder that is made, in the one around it
    folder = [] if mode == "portable" else ["folder"]
    assert events == [*folder, *folder, "file", *folder, "link", *folder]
    events.clear()
    backend.put(Key("made/y.txt"), b"y")
    assert events == ["file", "link", *folder]


@pytest.mark.parametrize(("number", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_synced(root: Path, number: int, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network disks have no such call, and that is no error; a disk that breaks is one."""
    real = os.fsync

    def fsync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(number, os.strerror(number))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(BackendUnavailable) if fails else contextlib.nullcontext():
        LocalBackend(root).put(Key("x.txt"), b"x")


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EROFS", "EIO"])
def test_a_disk_that_refuses(mode: str, root: Path, call: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    number = getattr(errno, name)

    def refuse(*_: Any) -> Any:
        raise OSError(number, os.strerror(number))

    backend = LocalBackend(root)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(BackendUnavailable, match=os.strerror(number)):
            backend.put(Key("x.txt"), b"x")
    assert temporaries(root) == []
    assert answer(backend, "x.txt") == MISSING


def test_writes_that_are_cut_short(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:1000]))
    data = os.urandom(5500)
    LocalBackend(root).put(Key("x.bin"), [memoryview(data).cast("I")])
    assert (root / "x.bin").read_bytes() == data


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
    if sudo and shutil.which("sudo") is None:
        pytest.skip("only root mounts")
    mount = [*sudo, "mount", "-t", "tmpfs", "-o", f"mode=1777,{options}", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield
    finally:
        subprocess.run([*sudo, "umount", str(folder)], check=True)


def test_a_full_disk(mode: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "size=1m"):
        backend = LocalBackend(disk)
        with pytest.raises(BackendUnavailable, match=os.strerror(errno.ENOSPC)):
            backend.put(Key("big/x.bin"), (bytes(64 * 1024) for _ in range(100)))
        assert answer(backend, "big/x.bin") == MISSING
        assert temporaries(disk) == []
        backend.put(Key("small.bin"), b"fits")
        backend.close()


def test_another_mount_for_real(mode: str, tmp_path: Path) -> None:
    """A folder of the root is another disk: the bytes go there through a dot-named neighbour."""
    disk = tmp_path / "root/disk"
    disk.mkdir(parents=True)
    with mounted(disk, "size=1m"):
        backend = LocalBackend(tmp_path / "root")
        backend.put(Key("disk/x.bin"), b"x")
        assert answer(backend, "disk/x.bin") == b"x"
        assert os.listdir(disk) == ["x.bin"]
        with pytest.raises(NameTaken):
            backend.put(Key("disk/x.bin"), b"y")


# -- no openat2 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ENOSYS", "EPERM"])
def test_a_kernel_without_openat2(name: str) -> None:
    """An old kernel says ENOSYS, a container's seccomp filter EPERM: settled once, and the walk is taken."""
    if sys.platform != "linux":
        pytest.skip("Linux's call")
    code = f"""
        import ctypes, errno
        class Library:
            def __init__(self, *_, **__): pass
            class syscall:
                def __new__(cls, *_):
                    ctypes.set_errno(errno.{name})
                    return -1
        ctypes.CDLL = Library
        from mediamw.backends import beneath
        print(beneath._openat2)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"


def test_the_three_modes_are_what_they_say(mode: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would run three times the same."""
    used = SimpleNamespace(openat2=0, dir_fd=0, path=0)
    real_open, real_openat2 = os.open, beneath._openat2

    def openat2(*arguments: Any) -> int:
        used.openat2 += 1
        assert real_openat2 is not None
        return real_openat2(*arguments)

    def opens(path: Any, flags: int, *rest: Any, dir_fd: int | None = None) -> int:
        if dir_fd is None:
            used.path += 1
        else:
            used.dir_fd += 1
        return real_open(path, flags, *rest, dir_fd=dir_fd)

    backend = LocalBackend(root)
    assert _answer(backend.open, "a.txt") == b"a"  # how the disk spells names is found out once
    monkeypatch.setattr(os, "open", opens)
    if real_openat2 is not None:
        use_openat2(monkeypatch, openat2)
    assert _answer(backend.open, "sub/deep/c.txt") == b"deep below"
    # The root has been opened by its path, once; the portable way opens only the file itself.
    assert (
        used
        == {
            "openat2": SimpleNamespace(openat2=1, dir_fd=0, path=0),
            "walk": SimpleNamespace(openat2=0, dir_fd=3, path=0),
            "portable": SimpleNamespace(openat2=0, dir_fd=0, path=1),
        }[mode]
    )
