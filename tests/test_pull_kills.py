"""Processes killed amid pulls: whatever counts as a copy or has a key's name is the source's, byte for byte."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL")

ROOT = Path(__file__).parents[1]
COMMON = textwrap.dedent(
    """
    import collections, itertools, os, random, signal, sys, tempfile, threading, time, traceback
    from pathlib import Path
    from mediamw import BackendUnavailable, LocalBackend, MediaStack
    from mediamw.backends.rules import Rules
    from mediamw.stack import download
    from tests.fakes import Bucket
    from tests.pulls import files, names

    download.RETRY_SECONDS = 0.01
    MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # syncing to a disk would take most of the time

    def check(root, sources):
        "Everything that counts is whole; what does not is the start of something."
        root = Path(root)
        if (root / ".mediamw" / "pulled").is_dir():
            for kind in ("bytes", "part"):
                for path in files(root, kind):
                    data = path.read_bytes()
                    if kind == "bytes":
                        assert data in sources, f"{path} has {len(data)} bytes of nobody"
                    else:
                        assert any(source.startswith(data) for source in sources), f"{path}: {len(data)} bytes"

    def forked(act):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                act()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        return pid
    """
)

# Forks a child for each call that it could die before or after; prints what was seen.
AT_EVERY_CALL = COMMON + textwrap.dedent(
    """
    OLD, NEW = b"old" * 50_000, b"new" * 70_000
    CALLS = ("pwrite", "write", "fsync", "ftruncate", "replace", "link", "unlink", "mkdir", "open", "utime")
    keep, scene = sys.argv[1] == "keep", sys.argv[2]

    def stack_of(root, data=NEW):
        rules = Rules(delivery="pull", pull_ttl=0)
        return MediaStack([LocalBackend(root), Bucket("prod", {"a/x.jpg": data}, rules=rules)], found_ttl=0)

    def dying(at, after):
        count = itertools.count(1)
        def wrap(real):
            def call(*a, **k):
                number = next(count)
                if number == at and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                try:
                    return real(*a, **k)
                finally:
                    if number == at:
                        os.kill(os.getpid(), signal.SIGKILL)
            return call
        for name in CALLS:
            real = getattr(os, name)
            setattr(os, name, wrap(real))
            for known in (os.supports_fd, os.supports_dir_fd):
                known |= {getattr(os, name)} if real in known else set()

    def seen(root):
        with stack_of(root).open("a/x.jpg") as file:
            assert file.read() == NEW
        check(root, (OLD, NEW))
        above = Path(root, "a/x.jpg")
        if above.exists():
            assert above.read_bytes() == NEW
            return "kept"
        return " ".join(names(Path(root))) or "nothing"

    outcomes, died = collections.Counter(), 0
    for at, after in itertools.product(range(1, 1000), (False, True)):
        with tempfile.TemporaryDirectory(dir=MEMORY) as root:
            if scene == "old":
                stack_of(root, OLD).pull("a/x.jpg")
            def act():
                stack = stack_of(root)
                dying(at, after)
                stack.pull("a/x.jpg", keep=keep)
            _, status = os.waitpid(forked(act), 0)
            outcomes[seen(root)] += 1
            # Whatever was left behind, the next pull works, and clears up.
            stack_of(root).pull("a/x.jpg", keep=keep)
            outcomes["then " + seen(root)] += 1
            if not os.WIFSIGNALED(status):
                assert status == 0
                break
            died += 1
    print(died, "|".join(sorted(outcomes)))
    """
)

# Two children at once, over and over, which are killed at random moments.
AT_RANDOM = COMMON + textwrap.dedent(
    """
    kills, seed = int(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    KEYS = [f"homes/{number}.jpg" for number in range(6)]
    SOURCES = {key: bytes([65 + number]) * (40_000 + 30_000 * number) for number, key in enumerate(KEYS)}
    UPLOADS = {f"up/{number}.jpg": bytes([97 + number]) * 90_000 for number in range(3)}

    class Slow(Bucket):
        def before_piece(self, position):
            time.sleep(0.0005)

    def stack_of(root):
        origin = Slow("prod", dict(SOURCES), rules=Rules(delivery="pull"), piece_bytes=8192)
        return MediaStack([LocalBackend(root), origin], pull_budget=400_000)

    def work(root, seed):
        chance = random.Random(seed)
        stack = stack_of(root)
        def one():
            while True:
                key, what = chance.choice(KEYS), chance.random()
                try:
                    if what < 0.1:
                        stack.save(chance.choice(list(UPLOADS)), UPLOADS["up/0.jpg"], names="replace")
                    elif what < 0.15:
                        stack.pull(key, keep=True)
                        stack.reset(key)
                    elif what < 0.6:
                        stack.pull(key)
                    else:
                        found = stack.find(key)
                        with found.handle if hasattr(found.handle, "__enter__") else contextlib.closing(found.handle):
                            data = b"".join(found.handle.chunks(0, found.handle.meta.size))
                        assert data == SOURCES[key], (key, len(data))
                except BackendUnavailable as error:
                    assert "budget" in str(error) or "already" in str(error), error
        threads = [threading.Thread(target=guarded, args=(one,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        threads[0].join()

    def guarded(one):
        try:
            one()
        except BaseException:
            traceback.print_exc()
            os._exit(3)

    import contextlib
    with tempfile.TemporaryDirectory(dir=MEMORY) as root:
        root = Path(root)
        left = kills
        children = []
        for number in range(kills):
            children.append(forked(lambda: work(root, seed * 1000 + number)))
            if len(children) < 2:
                continue
            time.sleep(chance.uniform(0, 0.06))
            victim = children.pop(chance.randrange(2))
            os.kill(victim, signal.SIGKILL)
            _, status = os.waitpid(victim, 0)
            assert os.WIFSIGNALED(status), f"a child ended by itself: {status}"
            # What has a name in the upper is what it should be, whoever else is at work.
            for key in [*KEYS, *UPLOADS]:
                try:
                    data = (root / key).read_bytes()
                except FileNotFoundError:
                    continue
                assert data == (SOURCES | dict.fromkeys(UPLOADS, UPLOADS["up/0.jpg"]))[key], key
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        check(root, SOURCES.values())
        sizes = sum(path.stat().st_size for path in files(root, "bytes"))
        stack = stack_of(root)
        for key in KEYS:
            with stack.open(key) as file:
                assert file.read() == SOURCES[key], key
        listed = [entry.key for entry in stack.list(recursive=True)]
        assert set(listed) <= {*KEYS, *UPLOADS}, listed
        # Once they are old, what nobody holds is swept.
        for path in files(root, "part"):
            os.utime(path, (1, 1))
        (root / ".mediamw" / "pulled" / ("0" * 32 + ".tmp")).touch()
        os.utime(root / ".mediamw" / "pulled" / ("0" * 32 + ".tmp"), (1, 1))
        for key in KEYS:
            stack.pull(key)
        left = [name for name in names(root) if name not in ("bytes", "record")]
        assert left == [], left
        assert sum(path.stat().st_size for path in files(root, "bytes")) <= 400_000
        print("sizes", sizes)
    """
)


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.stdout.strip()


ROWS = [
    # keep, scene, what may be there after a death, what is there once it is done
    ("copy", "alone", {"nothing", "part", "bytes", "bytes record"}, "bytes record"),
    ("copy", "old", {"bytes record", "bytes part record", "bytes bytes record"}, "bytes record"),
    ("keep", "alone", {"nothing", "part", "bytes", "bytes record", "kept"}, "kept"),
]


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("keep", "scene", "after_death", "done"),
    [pytest.param(*row, id=" ".join(row[:2]), marks=[SLOW] if row[0] == "copy" else []) for row in ROWS],
)
def test_killed_at_any_call(keep: str, scene: str, after_death: set[str], done: str) -> None:
    died, _, outcomes = run(AT_EVERY_CALL, keep, scene).partition(" ")
    assert int(died) > 50
    seen = set(outcomes.split("|"))
    assert f"then {done}" in seen
    records = {outcome for outcome in seen if not outcome.startswith("then ")}
    assert {outcome for outcome in records if ".tmp" not in outcome} <= after_death
    # Once the next pull is through there is the copy. A record under way, and the bytes of a version that no record
    # names any more, are left for whoever makes room.
    assert {outcome for outcome in seen if outcome.startswith("then ") and ".tmp" not in outcome} - {
        "then bytes bytes record"
    } == {f"then {done}"}


@pytest.mark.parametrize("kills", [20, pytest.param(500, marks=SLOW)])
def test_killed_at_random(kills: int) -> None:
    run(AT_RANDOM, str(kills), "1")
