"""Key: the checked name of a file below the media root. This module is the only judge of names.

A key is unrooted and ``/``-separated (S3 says key, Django says name). It is kept as it came, letter for letter: no
Unicode normalisation, no case folding, no second decoding. Refused, for everybody:

- the empty name, a leading or trailing ``/``, an empty, ``.`` or ``..`` segment;
- NUL and the other control characters (Unicode category Cc), ``\\``, text that is not valid Unicode;
- more than 1,024 bytes of UTF-8 (the limit of S3, "Naming Amazon S3 objects"), or 255 in one segment (NAME_MAX);
- ``.mediamw`` as the first segment, where the state of the overlay lives, and ``.mediamw-...`` as the last, the name
  of a temporary.

Over HTTP also every segment that starts with a dot, unless ``allow_dotfiles`` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NewType

from .errors import InvalidKey

Key = NewType("Key", str)

MAX_KEY_BYTES = 1024
MAX_SEGMENT_BYTES = 255
STATE_FOLDER = ".mediamw"
COPIES_FOLDER = "pulled"
"""Where in the state folder the copies of lowers' files lie."""

_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", *(name + n for name in ("com", "lpt") for n in "0123456789¹²³")]
)


def refusal(name: str) -> str | None:
    """Say why ``name`` cannot be a key, or None if it can."""
    if not name:
        return "it is empty"
    if name.isascii():
        size = len(name)
        controls = not name.isprintable()
    else:
        try:
            size = len(name.encode())
        except UnicodeEncodeError:
            return "it is not valid Unicode"
        controls = any(char < " " or "\x7f" <= char <= "\x9f" for char in name)
    if size > MAX_KEY_BYTES:
        return f"it has {size} bytes, more than {MAX_KEY_BYTES}"
    if controls:
        return "it holds a control character"
    if "\\" in name:
        return "it holds a backslash"
    segments = name.split("/")
    for segment in segments:
        if segment in ("", ".", ".."):
            return _at_the_end(name) or f"it holds the segment {segment!r}"
        if len(segment) > MAX_SEGMENT_BYTES or len(segment.encode()) > MAX_SEGMENT_BYTES:
            return f"a segment has more than {MAX_SEGMENT_BYTES} bytes"
    # casefold: on a case-folding disk it is the same folder
    if segments[0].casefold() == STATE_FOLDER or segments[-1].casefold().startswith(f"{STATE_FOLDER}-"):
        return f"{STATE_FOLDER} names mediamw's own state"
    return None


def is_state(name: str) -> bool:
    """Say whether a name lies where the overlay keeps its state: no key, and yet a file of the upper."""
    return name.startswith(f"{STATE_FOLDER}/")


def state_key(folder: str, key: str) -> Key:
    """Return where the overlay keeps what it knows of ``key``: named by a hash, as a key may be longer than a name."""
    from hashlib import blake2b  # OpenSSL comes with it, which a stack of one directory never needs

    return Key(f"{STATE_FOLDER}/{folder}/{blake2b(key.encode(), digest_size=16).hexdigest()}")


def _at_the_end(name: str) -> str | None:
    return "it starts with '/'" if name[0] == "/" else "it ends with '/'" if name[-1] == "/" else None


def parse_key(name: str) -> Key:
    """Check a name that code gives. Raises ``InvalidKey`` with the reason."""
    if not isinstance(name, str):
        raise InvalidKey(f"not a usable name: {name!r} is no str, but {type(name).__name__}")
    reason = refusal(name)
    if reason is not None:
        raise InvalidKey(f"not a usable name: {reason}", key=name)
    return Key(name)


class DotfileRule:
    """Which dot segments HTTP may see: ``allow_dotfiles`` as gitignore patterns, such as ``.thumbs/``.

    Each dot segment needs a pattern of its own: ``.thumbs/`` opens ``.thumbs/a.jpg``, not ``.thumbs/.git/config``.
    """

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._matches: Callable[[str], bool] | None = None
        if allow:
            import pathspec  # not needed by those who give no pattern

            self._matches = pathspec.GitIgnoreSpec.from_lines(allow).match_file

    def refuses(self, key: str) -> bool:
        """True if a segment of ``key`` starts with a dot and no pattern allows that segment."""
        if not (key.startswith(".") or "/." in key):
            return False
        if self._matches is None:
            return True
        segments = key.split("/")
        for index, segment in enumerate(segments):
            if not segment.startswith("."):
                continue
            # The parents stand without their dots, so that a pattern which allows a parent does not allow this too.
            parents = [parent.lstrip(".") or "_" for parent in segments[:index]]
            folder = "/" if index < len(segments) - 1 else ""
            if not self._matches("/".join([*parents, segment]) + folder):
                return True
        return False


def parse_http_key(name: str, dotfiles: DotfileRule) -> Key:
    """Check the part of a URL path behind the prefix, already percent-decoded once. Raises ``InvalidKey``."""
    key = parse_key(name)
    if dotfiles.refuses(key):
        raise InvalidKey("dot files are not served over HTTP (see allow_dotfiles)", key=name)
    return key


def windows_refusal(key: str) -> str | None:
    """Say why Windows would not open ``key`` as that very file, or None. The lexical rules of Win32 file naming.

    Source: Microsoft, "Naming Files, Paths, and Namespaces": reserved characters (``:`` also opens alternate data
    streams), device names with any extension, and the trailing dots and spaces that Windows drops.
    """
    if any(char in '<>:"|?*' for char in key):
        return 'it holds one of < > : " | ? *'
    for segment in key.split("/"):
        if segment[-1] in ". ":
            return "a segment ends in a dot or a space"
        if segment.split(".")[0].rstrip(" ").casefold() in _WINDOWS_DEVICES:
            return "a segment is the name of a device"
    return None
