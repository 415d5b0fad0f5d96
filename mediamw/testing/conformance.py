"""The suite that every backend passes: ours and those of others.

    from mediamw.testing import SAMPLE_FILES, check_backend

    def test_my_backend(tmp_path):
        backend = MyBackend(tmp_path)
        my_fill(tmp_path, SAMPLE_FILES)  # put them there without the backend
        check_backend(backend, SAMPLE_FILES)

Rules:

1. All faults are found in one run, and each is a sentence (in the manner of Go's ``testing/fstest``). What is wrong in
   the same way with many files or slices is one sentence, with an example and their number.
2. ``open`` is checked for every backend, a capability of ``backends/base.py`` for those that have it. The backend holds
   ``files`` and nothing else; names that are not there are asked for too.
3. Only ``put`` and ``delete`` write, below ``mediamw-conformance-...`` (or under what ``make_key`` makes of that) and
   in the state folder, and what was put stays: give the suite a backend of its own.
4. The suite waits for nobody: a backend that hangs hangs it too, so let the test runner have a time limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..backends.base import Backend, Closes, Deletes, HoldsCopies, Lists, ListsPages, OpensNow, Puts, ReadsRanges, Signs
from ..backends.local_put import HAS_LOCKS
from ..core.keys import parse_key
from .conformance_abilities import Fetch
from .conformance_writes import MakeKey, WriteChecks

SAMPLE_FILES: Final[Mapping[str, bytes]] = {
    "a.txt": b"a",
    "a/b.txt": b"below a",  # "." sorts before "/", and "-" before both
    "a-b.txt": b"beside a",
    "a/c/d.bin": bytes(range(256)) * 40,
    "a/c/e/f.txt": b"deep",
    "big.bin": bytes(range(251)) * 4200,  # a little more than one chunk
    "empty.txt": b"",
    "names/50% off.jpg": b"percent",
    "names/%2e%2e.txt": b"encoded, and meant so",
    "names/a+b & c=d;e,f'g(h)!*@$~.txt": b"reserved",
    "names/is it #1?.txt": b"question",
    "names/Küche.jpg": b"composed: one letter for the umlaut",
    "names/\ufb01.txt": b"sorts after U+1F600 in UTF-16, before it here",
    "names/\U0001f600.txt": b"beyond the BMP",
    ".hidden/file": b"dot",
}
"""Files with telling names and sizes, for backends that can be filled with anything."""


class ConformanceError(AssertionError):
    """A backend breaks its contract; ``faults`` says where, a sentence each."""

    def __init__(self, backend: object, faults: list[str]) -> None:
        number = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
        super().__init__("\n".join([f"{backend!r} has {number}:", *(f"- {fault}" for fault in faults)]))
        self.faults = faults


def check_backend(
    backend: Backend,
    files: Mapping[str, bytes],
    *,
    writable: bool | None = None,
    fetch: Fetch | None = None,
    make_key: MakeKey | None = None,
) -> None:
    """Hold ``backend``, which holds ``files``, to its contract. Raises ``ConformanceError`` with all faults.

    ``writable``: None tries ``put`` if there is one, True demands it, False leaves it alone. ``fetch(method, url)``
    gives (status, headers, body): with it the URLs of a backend that signs are tried, not only looked at.
    ``make_key(text)``: for a backend that takes some names only, such as ids; it makes one from any text, always the
    same from the same, and what is about folders is left out.
    """
    faults = find_faults(backend, files, writable=writable, fetch=fetch, make_key=make_key)
    if faults:
        raise ConformanceError(backend, faults)


def find_faults(
    backend: Backend,
    files: Mapping[str, bytes],
    *,
    writable: bool | None = None,
    fetch: Fetch | None = None,
    make_key: MakeKey | None = None,
) -> list[str]:
    """Return the faults of ``backend``: see ``check_backend``. Raises ``ValueError`` if ``files`` has no fit names."""
    if not files:
        raise ValueError("files: give at least one, or nothing is checked")
    for name in files:
        parse_key(name)
    suite = WriteChecks(backend, files, make_key)
    suite.check_open()
    suite.check_missing()
    suite.check_threads()
    if isinstance(backend, OpensNow):
        suite.check_open_now(backend)
    if isinstance(backend, Lists):
        suite.check_list(backend)
    if isinstance(backend, ListsPages):
        suite.check_list_page(backend)
    if isinstance(backend, Signs):
        suite.check_sign(backend, fetch)
    if isinstance(backend, ReadsRanges):
        suite.check_read_range(backend)
    if isinstance(backend, Puts) and writable is not False:
        suite.check_put(backend)
    elif writable:
        suite.say("it is said to be writable, but has no put")
    if isinstance(backend, Deletes) and writable is not False:
        suite.check_delete(backend)
    elif writable:
        suite.say("it is said to be writable, but has no delete")
    if isinstance(backend, HoldsCopies) and HAS_LOCKS and writable is not False:
        suite.check_copies(backend)
    if isinstance(backend, Closes):
        suite.check_close(backend)
    return suite.faults
