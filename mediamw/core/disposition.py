"""What a file is called when it is saved: ``Content-Disposition`` (RFC 6266), for keys that are no names, like ids."""

from __future__ import annotations

import string
import unicodedata

MAX_FILENAME_CHARACTERS = 255
"""More than that no disk takes."""

_PLAIN = frozenset(f"{string.ascii_letters}{string.digits}!#$&+-.^_`|~".encode())
"""``attr-char`` (RFC 8187, 3.2.1)."""


def content_disposition(filename: str) -> str:
    """Return ``inline`` with both forms of the name: one for old clients, in ASCII, and one that is right (4.3)."""
    name = _short("".join(filter(str.isprintable, filename)))
    name = name.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent
    plain = "".join(map(_ascii, unicodedata.normalize("NFKD", name)))
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    encoded = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in name.encode())
    return f"inline; filename=\"{escaped}\"; filename*=utf-8''{encoded}"


def _short(name: str) -> str:
    """Cut off what is too much, before the extension, which says what opens the file."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > MAX_FILENAME_CHARACTERS // 2:
        stem, dot, extension = name, "", ""
    return stem[: MAX_FILENAME_CHARACTERS - len(dot) - len(extension)] + dot + extension


def _ascii(char: str) -> str:
    if char.isascii():
        return char
    return "" if unicodedata.combining(char) else "_"
