"""A process that is killed at any call that changes the disk: the old file or the new one, whole, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL")

# Forks a child for each call that it could die before or after; prints what was seen.
SCRIPT = textwrap.dedent(
    """
    import collections, itertools, os, sys, tempfile
    from mediamw import LocalBackend, MediaStack, MemoryBackend
    from tests.killing import dying, forked

    OLD, NEW, BELOW = b"old" * 50_000, b"new" * 70_000, b"production"
    CALLS = ("write", "fsync", "link", "replace", "unlink", "mkdir", "open", "chmod")
    operation, scene = sys.argv[1:3]

    def stack_of(root):
        below = {} if "alone" in scene else {"a/x.jpg": BELOW}
        return MediaStack([LocalBackend(root, file_mode=0o600), MemoryBackend(below)])

    def act(stack):
        if operation == "delete":
            stack.delete("a/x.jpg")
        elif operation == "restore":
            stack.restore("a/x.jpg")
        else:
            stack.save("a/x.jpg", iter([NEW[:100_000], NEW[100_000:]]), names="replace", content_type="image/webp")

    def seen(root):
        stack = stack_of(root)
        listed = [entry.key for entry in stack.list(recursive=True)]
        try:
            with stack.open("a/x.jpg") as file:
                data = file.read()
        except FileNotFoundError:
            assert listed == [], listed
            return "nothing"
        assert listed == ["a/x.jpg"], listed
        kind = stack.stat("a/x.jpg").content_type
        names = {OLD: "old", NEW: "new", BELOW: "production"}
        return names[data] + (" typed" if kind == "image/webp" else "")

    def set_scene(root):
        stack = stack_of(root)
        if "hidden" in scene:
            stack.delete("a/x.jpg")
        if "old" in scene:
            stack.save("a/x.jpg", OLD, names="replace")
        if "marked" in scene:
            stack._writer._whiteouts.set("a/x.jpg")

    outcomes, died = collections.Counter(), 0
    for at, after in itertools.product(range(1, 1000), (False, True)):
        with tempfile.TemporaryDirectory() as root:
            set_scene(root)
            def die():
                stack = stack_of(root)
                dying(CALLS, at, after=after)
                act(stack)
            _, status = os.waitpid(forked(die), 0)
            outcomes[seen(root)] += 1
            # Whatever was left behind, the next upload and delete work.
            act(stack_of(root))
            outcomes["then " + seen(root)] += 1
            if not os.WIFSIGNALED(status):
                assert status == 0
                break
            died += 1
    print(died, "|".join(sorted(outcomes)))
    """
)

ROWS = [
    # operation, scene, what may be seen after a death, what is seen once it is done
    ("save", "alone", {"nothing", "new typed"}, "new typed"),
    ("save", "alone old", {"old", "new typed"}, "new typed"),
    ("save", "below", {"production", "new typed"}, "new typed"),
    ("save", "below hidden", {"nothing", "new typed"}, "new typed"),
    ("delete", "alone old", {"old", "nothing"}, "nothing"),
    ("delete", "below", {"production", "nothing"}, "nothing"),
    ("delete", "below old", {"old", "nothing"}, "nothing"),
    ("restore", "below hidden", {"nothing", "production"}, "production"),
]


@pytest.mark.parametrize(("operation", "scene", "after_death", "done"), ROWS, ids=lambda value: str(value))
def test_whenever_it_is_killed(operation: str, scene: str, after_death: set[str], done: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, operation, scene],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    died, _, outcomes = ran.stdout.strip().partition(" ")
    assert int(died) > (3 if operation == "restore" else 10)
    assert set(outcomes.split("|")) == after_death | {f"then {done}"}
