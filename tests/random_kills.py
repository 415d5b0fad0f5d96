"""Two processes at once that pull, keep, save and delete, over and over, and are killed at random moments.

    python -m tests.random_kills KILLS SEED

After each kill: every file under its name is whole, for the disk, for code and for browsers: production's bytes, or one
version that was saved, of which no two are alike. No temporary is served. In the end, once it is old and nobody holds
it, what the killed left behind is swept; before that, not. Prints what there was to see.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from mediamw import BackendUnavailable, LocalBackend, MediaStack
from mediamw.backends.rules import Rules
from mediamw.core.keys import Key
from mediamw.stack import download
from mediamw.wsgi import MediaMiddleware

from .fakes import Bucket
from .http_table.callers import call_wsgi
from .http_table.sites import wrapped_wsgi
from .killing import MEMORY, check_copies, forked
from .pulls import files, names

SOURCES = {Key(f"homes/{at}.jpg"): bytes([65 + at]) * (40_000 + 30_000 * at) for at in range(6)}
REPLACED = [f"up/{at}.txt" for at in range(3)]
ADDED = [f"new/{at}.txt" for at in range(3)]
BUDGET_BYTES = 400_000
NOT_OURS = b"app: GET\n"
"""What the app says of keys that nobody has; it is not asked for those that are refused."""
FEW = 100
"""From so many kills on each kind of moment is among them."""


def version(key: str, child: int, number: int) -> bytes:
    """Return what is saved under a name: each time something else, of another length, which says what it is."""
    return f"{key} {child} {number}\n".encode() * (3000 + 500 * (number % 5))


def check_whole(key: str, data: bytes, children: int) -> None:
    """It is production's file, or one version from end to end."""
    if Key(key) in SOURCES:
        assert data == SOURCES[Key(key)], key
        return
    said, child, number = data.partition(b"\n")[0].decode().split(" ")
    assert data == version(said, int(child), int(number)), f"{key} is a part, or a mix: {len(data)} bytes"
    assert key.startswith(said.removesuffix(".txt")), f"{key} has the bytes of {said}"
    assert int(child) < children


class Slow(Bucket):
    """An origin whose files take a while."""

    def before_piece(self, position: int) -> None:
        time.sleep(0.0005)


def stack_of(root: Path) -> MediaStack:
    download.RETRY_SECONDS = 0.01
    origin = Slow("prod", dict(SOURCES), rules=Rules(delivery="pull"), piece_bytes=8192)
    return MediaStack([LocalBackend(root), origin], pull_budget=BUDGET_BYTES)


# -- the child ---------------------------------------------------------------------------------------------------------


def work(root: Path, child: int, seed: int) -> None:
    stack = stack_of(root)
    threads = [threading.Thread(target=act_for_ever, args=(stack, child, f"{seed} {at}", at)) for at in range(3)]
    for thread in threads:
        thread.start()
    threads[0].join()


def act_for_ever(stack: MediaStack, child: int, seed: str, first: int) -> None:
    chance = random.Random(seed)
    try:
        for number in range(first, sys.maxsize, 3):
            try:
                act(stack, chance, child, number)
            except BackendUnavailable as error:
                if not re.search("budget|already", str(error)):
                    raise
    except BaseException:  # noqa: BLE001 - an error of any thread is one of the child
        traceback.print_exc()
        os._exit(3)


def act(stack: MediaStack, chance: random.Random, child: int, number: int) -> None:
    key, what = chance.choice(list(SOURCES)), chance.random()
    if what < 0.2:
        save(stack, chance.choice(REPLACED), child, number, "replace")
    elif what < 0.35:
        saved = save(stack, chance.choice(ADDED), child, number, "suffix")
        if chance.random() < 0.5:
            stack.delete(saved)
    elif what < 0.4:
        stack.pull(key, keep=True)
        stack.reset(key)
    elif what < 0.7:
        stack.pull(key)
    else:
        found: Any = stack.find(key)
        with found.handle if hasattr(found.handle, "__enter__") else closing(found.handle):
            data = b"".join(found.handle.chunks(0, found.handle.meta.size))
        assert data == SOURCES[key], (key, len(data))


def save(stack: MediaStack, key: str, child: int, number: int, policy: Any) -> str:
    data = version(key, child, number)

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(data), 8192):
            time.sleep(0.0005)
            yield data[at : at + 8192]

    return stack.save(key, pieces(), names=policy)


# -- what is seen ------------------------------------------------------------------------------------------------------


class Seen:
    """What browsers and code see of a directory."""

    def __init__(self, root: Path) -> None:
        self.root, self.counts = root, Counter[str]()
        self.refused: set[Path] = set()
        # Alone: it must have no threads, or the next child would be forked amid what they do.
        self.stack = MediaStack([LocalBackend(root)])
        self.app = MediaMiddleware(wrapped_wsgi, self.stack, allow_dotfiles=["*"])  # and yet none of ours is shown

    def get(self, key: str) -> tuple[int, bytes]:
        answer = call_wsgi(self.app, "GET", f"/media/{key}")
        return answer.status, answer.body

    def check(self, children: int) -> None:
        """Look at all there is, while another child is at work."""
        there = {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}
        there = {key for key in there if not key.startswith(".mediamw/")}
        listed = {entry.key for entry in self.stack.list(recursive=True)}
        for key in {*SOURCES, *REPLACED, *there, *listed}:
            with suppress(FileNotFoundError):
                check_whole(key, (self.root / key).read_bytes(), children)
                with self.stack.open(key) as file:
                    check_whole(key, file.read(), children)
            status, body = self.get(key)
            if body != NOT_OURS:
                assert status == 200, (key, status, body)
                check_whole(key, body, children)
                self.counts["served"] += 1
            if key.startswith("new/"):
                self.stack.delete(key)
        self.counts["parts"] += sum(path.suffix == ".part" for path in self.state())
        for path in self.state() - self.refused:
            status, body = self.get(path.relative_to(self.root).as_posix())
            assert (status, body == NOT_OURS) == (404, False), path
            self.refused.add(path)

    def state(self) -> set[Path]:
        return {path for path in (self.root / ".mediamw").rglob("*") if not path.is_dir()}

    def temporaries(self) -> list[Path]:
        folder = self.root / ".mediamw" / "tmp"
        return sorted(folder.iterdir()) if folder.is_dir() else []


def check_swept(root: Path, seen: Seen) -> None:
    """What the killed left goes when it is old, and nobody holds it."""
    stack, left = stack_of(root), seen.temporaries()
    seen.counts["left uploads"] = len(left)
    stack.save("up/after.txt", b"it works", names="replace")
    assert seen.temporaries() == left, "they are young"
    (root / ".mediamw" / "pulled" / ("0" * 32 + ".tmp")).touch()
    old = [*left, *files(root, "part"), root / ".mediamw" / "pulled" / ("0" * 32 + ".tmp")]
    for path in old:
        os.utime(path, (1, 1))
    held = root / ".mediamw" / "tmp" / "held"
    with held.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.utime(held, (1, 1))
        stack.save("up/after.txt", b"it works", names="replace")
        assert seen.temporaries() == [held], "somebody is writing it"
    stack.save("up/after.txt", b"it works", names="replace")
    assert seen.temporaries() == []
    for key in SOURCES:
        stack.pull(key)
    rest = [name for name in names(root) if name not in ("bytes", "record")]
    assert rest == [], rest
    assert sum(path.stat().st_size for path in files(root, "bytes")) <= BUDGET_BYTES


def main(kills: int, seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        root = Path(folder)
        seen, started = Seen(root), 0
        children: list[int] = []
        try:
            while seen.counts["kills"] < kills:
                while len(children) < 2:
                    child = started
                    children.append(forked(lambda: work(root, child, seed * 1000 + child)))  # noqa: B023 - it runs now
                    started += 1
                time.sleep(chance.uniform(0, 0.06))
                victim = children.pop(chance.randrange(2))
                os.kill(victim, signal.SIGKILL)
                _, status = os.waitpid(victim, 0)
                assert os.WIFSIGNALED(status), f"a child ended by itself: {status}"
                seen.counts["kills"] += 1
                seen.check(started)
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        seen.check(started)
        check_copies(root, SOURCES.values())
        stack = stack_of(root)
        for key in SOURCES:
            with stack.open(key) as file:
                check_whole(key, file.read(), 0)
        check_swept(root, seen)
        print(*(f"{what}: {count}" for what, count in seen.counts.items()), sep=", ")
        assert kills < FEW or all(seen.counts.values()), "no save or no pull was hit"


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
