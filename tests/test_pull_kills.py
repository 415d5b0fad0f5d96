"""Processes killed amid pulls and saves: what counts as a copy or has a key's name is one version, byte for byte."""

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
    import collections, itertools, os, signal, sys, tempfile
    from pathlib import Path
    from mediamw import BackendUnavailable, LocalBackend, MediaStack
    from mediamw.backends.rules import Rules
    from mediamw.stack import download
    from tests.fakes import Bucket
    from tests.killing import MEMORY, check_copies, dying, forked
    from tests.pulls import names

    download.RETRY_SECONDS = 0.01
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

    def seen(root):
        with stack_of(root).open("a/x.jpg") as file:
            assert file.read() == NEW
        check_copies(Path(root), (OLD, NEW))
        above = Path(root, "a/x.jpg")
        if above.exists():
            assert above.read_bytes() == NEW
            return "kept"
        return " ".join(names(Path(root))) or "nothing"

    outcomes, died = collections.Counter(), 0
    for at, after in itertools.product(range(1, 1000), (False, True)):
        # A thread that nobody waits for may write down that a copy was used.
        with tempfile.TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True) as root:
            if scene == "old":
                stack_of(root, OLD).pull("a/x.jpg")
            def act():
                stack = stack_of(root)
                dying(CALLS, at, after=after)
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


def run(*command: str) -> str:
    python = [sys.executable, "-W", "ignore::DeprecationWarning"]
    ran = subprocess.run([*python, *command], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
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
    died, _, outcomes = run("-c", AT_EVERY_CALL, keep, scene).partition(" ")
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
    """Amid pulls and saves; what is checked after each kill stands in random_kills.py."""
    said = run("-m", "tests.random_kills", str(kills), "1")
    assert f"kills: {kills}, " in said
