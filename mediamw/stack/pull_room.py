"""Room for copies: what is swept, what is evicted. All under the folder's lock; ``pulled.py`` has its rules.

To look at every file takes seconds of some hundred thousand. So ``room`` says how many bytes count, and ``oldest``
which were used least recently, as of the last look: what was used since has another time, and what was made since is
newer than all of them, so that evicting in this order is right until the list ends. Then, and every ten minutes in
which something is fetched, all is looked at again: whatever a killed process, or somebody's hand, has left, neither is
wrong for longer.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from ..backends.folder import Folder
from ..backends.local_put import SWEEP_SECONDS
from ..core.keys import Key
from .pull_files import File, open_file, read_file, remove, stat_of, write_file
from .pull_version import NotKept, from_json, read_record, to_json

LOOK_SECONDS: Final = 600.0
"""For how long it is believed what counts."""
OLDEST: Final = 256
"""How many of the oldest copies are remembered from one look to the next."""
_ROOM, _OLDEST = "room", "oldest"
_MOST: Final = OLDEST * 256  # bytes; a line of it has about 130
_NAME = r"(?P<record>[0-9a-f]{32})(?:(?P<bytes>-[0-9a-f]{16})(?:\.(?P<size>[0-9]{1,19})\.part)?)?"


class _Copy(NamedTuple):
    """A copy, or a part: when it was last used, the bytes that it has or will have, and its names."""

    used: float
    size: int
    names: tuple[str, ...]


def check_size(size: int, budget: int) -> None:
    """Raise ``NotKept`` if a file of ``size`` bytes can never be a copy."""
    if size > budget:
        raise NotKept(f"it has {size} bytes, more than the {budget} that copies may have in all (pull_budget)")


def make_room(folder: Folder, need: int, budget: int, now: float) -> None:
    """Have ``need`` more bytes count, of a file to be made; evict what was not used for longest until they fit.

    Raises ``NotKept``.
    """
    check_size(need, budget)
    used = _used(folder, now)
    if used is not None and used + need > budget:
        used = _evict_oldest(folder, used, need, budget)
    if used is None or used + need > budget:
        used = _look(folder, need, budget, now)
    if used + need > budget:
        raise NotKept(f"files that are being fetched have {used} of the {budget} bytes for copies (pull_budget)")
    count(folder, need)


def take_room(folder: Folder, need: int, now: float) -> None:
    """Have ``need`` more bytes count, whatever the budget: of a file that is to be one of the upper."""
    if _used(folder, now) is None:
        _look(folder, 0, sys.maxsize, now)  # sweeps what killed processes left, and evicts nothing
    count(folder, need)


def count(folder: Folder, size: int) -> None:
    """Have so many bytes more count, or less if it is negative. Before a file is made, and after it is removed: who is
    killed in between leaves a number that is too large.
    """
    found = _read_room(folder)
    if found is not None:
        _write_room(folder, found[0] + size, found[1])


def _used(folder: Folder, now: float) -> int | None:
    """Return how many bytes count; None if nobody has looked for a while, or can tell."""
    found = _read_room(folder)
    return None if found is None or found[0] < 0 or not 0 <= now - found[1] < LOOK_SECONDS else found[0]


def _evict_oldest(folder: Folder, used: int, need: int, budget: int) -> int:
    """Evict those that were the oldest when somebody looked, less those that were used since: they are not any more."""
    try:
        oldest = [_Copy(at, size, tuple(names)) for at, size, names in from_json(read_file(folder, _OLDEST, _MOST))]
    except (OSError, ValueError, TypeError):
        return used
    before = used
    while oldest and used + need > budget:
        copy = oldest.pop(0)
        with contextlib.suppress(FileNotFoundError):
            if stat_of(folder, copy.names[0]).st_mtime == copy.used and _evict(folder, copy.names):
                used -= copy.size
    write_file(folder, _OLDEST, to_json(oldest))
    count(folder, used - before)
    return used


def _look(folder: Folder, need: int, budget: int, now: float) -> int:
    """Look at every file: sweep, evict, and write down what counts and which are the oldest. Return what counts."""
    copies = sorted(_copies(folder, now - SWEEP_SECONDS))
    used = sum(copy.size for copy in copies)
    left = []
    for copy in copies:
        if used + need > budget and _evict(folder, copy.names):
            used -= copy.size
        else:
            left.append(copy)
    write_file(folder, _OLDEST, to_json(left[:OLDEST]))
    _write_room(folder, used, now)
    return used


def _read_room(folder: Folder) -> tuple[int, float] | None:
    try:
        used, at = from_json(read_file(folder, _ROOM))
        return int(used), float(at)
    except (OSError, ValueError, TypeError):  # none yet, or a process was killed while it wrote it
        return None


def _write_room(folder: Folder, used: int, at: float) -> None:
    write_file(folder, _ROOM, to_json([used, at]))


def _copies(folder: Folder, old: float) -> Iterator[_Copy]:
    """Yield the copies and parts; remove what is neither, and parts from before ``old`` that nobody holds.

    Records are read only where two versions have one: to read all would take seconds of thousands of copies.
    """
    found = dict(folder.scan())
    parsed = re.compile(_NAME).fullmatch  # here, for those who pull
    versions = Counter(match["record"] for match in map(parsed, found) if match and _is_bytes(match))
    named = set()
    for name, status in found.items():
        match = parsed(name)
        if match is None:
            if name.endswith(".tmp") and status.st_mtime < old:
                remove(folder, name)
        elif match["size"] is not None:
            if status.st_mtime > old or not _evict(folder, (name,)):
                yield _Copy(status.st_mtime, max(int(match["size"]), status.st_size), (name,))
        elif match["bytes"] is not None:
            record = found.get(match["record"])
            if record is None or (versions[match["record"]] > 1 and not _names(folder, match["record"], name)):
                remove(folder, name)
                continue
            named.add(match["record"])
            yield _Copy(record.st_mtime, status.st_size, (match["record"], name))
    for name in found:
        if name not in named and (match := parsed(name)) is not None and match["bytes"] is None:
            remove(folder, name)


def _is_bytes(match: re.Match[str]) -> bool:
    return match["bytes"] is not None and match["size"] is None


def _names(folder: Folder, record: str, name: str) -> bool:
    """Say whether a record names these bytes. Its key and source are not known here: they stand in it."""
    try:
        text = read_file(folder, record)
        said = from_json(text)
        version = read_record(text, said["source"], Key(said["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return version is not None and version.bytes == name


def _evict(folder: Folder, names: tuple[str, ...]) -> bool:
    """Remove a copy, the record first, or a part; False if somebody holds that."""
    if names[0].endswith(".part"):
        fd = open_file(folder, names[0])
        if fd is not None and not (part := File(fd, is_whole=False)).lock():
            return False
        if fd is not None:
            remove(folder, names[0])
            part.unlock()
        return True
    for name in names:
        remove(folder, name)
    return True
