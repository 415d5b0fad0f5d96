"""Room for copies: what is swept, what is evicted. All under the folder's lock; ``pulled.py`` has its rules."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ..backends.folder import Folder
from ..backends.local_put import SWEEP_SECONDS
from ..core.keys import Key
from .pull_files import File, open_file, read_file, remove
from .pull_version import NotKept, read_record

_NAME = re.compile(r"(?P<record>[0-9a-f]{32})(?:(?P<bytes>-[0-9a-f]{16})(?:\.(?P<size>[0-9]{1,19})\.part)?)?")


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
    """Sweep, and evict what was not used for longest until ``need`` more bytes fit. Raises ``NotKept``."""
    check_size(need, budget)
    copies = sorted(_copies(folder, now - SWEEP_SECONDS))
    used = sum(copy.size for copy in copies)
    for copy in copies:
        if used + need <= budget:
            return
        if _evict(folder, copy.names):
            used -= copy.size
    if used + need > budget:
        raise NotKept(f"files that are being fetched have {used} of the {budget} bytes for copies (pull_budget)")


def _copies(folder: Folder, old: float) -> Iterator[_Copy]:
    """Yield the copies and parts; remove what is neither, and parts from before ``old`` that nobody holds.

    Records are read only where two versions have one: to read all would take seconds of thousands of copies.
    """
    found = dict(folder.scan())
    versions = Counter(match["record"] for match in map(_NAME.fullmatch, found) if match and _is_bytes(match))
    named = set()
    for name, status in found.items():
        match = _NAME.fullmatch(name)
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
        if name not in named and (match := _NAME.fullmatch(name)) is not None and match["bytes"] is None:
            remove(folder, name)


def _is_bytes(match: re.Match[str]) -> bool:
    return match["bytes"] is not None and match["size"] is None


def _names(folder: Folder, record: str, name: str) -> bool:
    """Say whether a record names these bytes. Its key and source are not known here: they stand in it."""
    try:
        text = read_file(folder, record)
        said = json.loads(text)
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
