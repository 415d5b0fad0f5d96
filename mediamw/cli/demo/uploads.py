"""Taking an upload: a name that is safe, a size that is bounded, and the local folder as the only place it can go."""

from __future__ import annotations

import re
from typing import BinaryIO, Final, cast

from mediamw.backends.base import Puts
from mediamw.core.errors import NameTaken
from mediamw.core.keys import parse_key
from mediamw.stack.stack import MediaStack

MAX_UPLOAD_BYTES: Final = 20 * 1024 * 1024
MAX_NAME_BYTES: Final = 200
"""Less than a file system takes, so that there is room for a suffix."""
MAX_SUFFIX: Final = 99

FOLDER: Final = "uploads/"


class Refused(Exception):
    """The upload is not taken: the HTTP status, and a text for the person who uploads."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def too_large() -> Refused:
    """Return the refusal of a file over the bound."""
    return Refused(413, f"That file is larger than {MAX_UPLOAD_BYTES // 1024**2} MiB, the most that this demo takes.")


def store(stack: MediaStack, filename: str, data: BinaryIO) -> str:
    """Store an upload under its own name, or with a number behind it if that is taken, and return the key.

    Raises ``Refused``, and what the local folder raises when it cannot take the file.
    """
    if data.seek(0, 2) > MAX_UPLOAD_BYTES:
        raise too_large()
    stem, extension = safe_name(filename)
    upper = cast("Puts", stack.upper)
    for number in range(1, MAX_SUFFIX + 1):
        key = parse_key(f"{FOLDER}{stem}{f'-{number}' if number > 1 else ''}{extension}")
        if stack.exists(key):  # in production too: a new file should not hide an old one
            continue
        data.seek(0)
        try:
            upper.put(key, data)
        except NameTaken:  # by another request, a moment ago
            continue
        return key
    raise Refused(409, f"There are {MAX_SUFFIX} files of that name already; please choose another.")


def safe_name(filename: str) -> tuple[str, str]:
    """Return stem and extension of a name that is one segment of a key and looks like what it is.

    Letters of any script stay. What goes: folders, control characters and invisible ones (which could turn the reading
    direction), leading dots, and the end of what is too long.
    """
    name = re.split(r"[/\\]", filename)[-1]
    name = "".join(letter for letter in name if letter.isprintable()).strip(" .")
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name or "file", "", ""
    extension = _cut(extension, 20)
    return _cut(stem, MAX_NAME_BYTES - len(extension.encode()) - 1), dot + extension


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
