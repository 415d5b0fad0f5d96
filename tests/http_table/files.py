"""The files of the table, with contents in which every position can be told from every other."""

from __future__ import annotations

import os
from pathlib import Path

MTIME_NS = 1_583_392_089_987_654_321
"""Thu, 05 Mar 2020 07:08:09 GMT and a part of a second: a day of one digit, for asctime."""
NOW = 1_777_890_030
"""Mon, 04 May 2026 10:20:30 GMT: the clock of the tests that run in process."""
FUTURE_NS = 4_102_444_800_000_000_000
"""The year 2100: a clock that was wrong when the file was written."""
SECRET = b"outside of the media root\n"


def counted(size: int) -> bytes:
    """Return ``size`` bytes of five-digit numbers."""
    return b"".join(b"%05d" % (number % 100_000) for number in range(size // 5 + 1))[:size]


_SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>\n'

FILES: dict[str, bytes] = {
    "photo.jpg": counted(1000),
    "empty.jpg": b"",
    "one.jpg": b"x",
    "inline.jpg": counted(64 * 1024),
    "streamed.jpg": counted(64 * 1024 + 1),
    "large.bin": counted(300_000),
    "tour.mp4": counted(3 * 1024 * 1024 + 17),
    "future.jpg": b"from the future\n",
    "now.jpg": b"written this second\n",
    "note.txt": "Größe: 42 m²\n".encode(),
    "style.css": b"a { color: red }\n",
    "page.html": b"<!doctype html><script>alert(1)</script>\n",
    "page.htm": b"<p>\n",
    "page.xhtml": b"<html xmlns='http://www.w3.org/1999/xhtml'/>\n",
    "logo.svg": _SVG,
    "feed.xml": b"<?xml version='1.0'?><feed/>\n",
    "script.js": b"alert(1)\n",
    "module.mjs": b"alert(1)\n",
    "data.json": b"{}\n",
    "brochure.pdf": b"%PDF-1.4\n",
    "archive.gz": b"\x1f\x8b not really\n",
    "archive.tar.gz": b"\x1f\x8b not really either\n",
    "logo.svgz": b"\x1f\x8b nor this\n",
    "thing.unknown": b"?\n",
    "noextension": b"?\n",
    "PHOTO2.JPG": b"upper case\n",
    "dir/inner.jpg": b"inner\n",
    "with space.jpg": b"space\n",
    "ünï çødé.jpg": b"two bytes\n",
    "u\u0308.jpg": b"decomposed\n",
    "写真.jpg": b"three bytes\n",
    "🏠.jpg": b"four bytes\n",
    "\ufffd.jpg": b"the replacement character itself\n",
    "a+b.jpg": b"plus\n",
    "100%.jpg": b"percent\n",
    "100%25.jpg": b"percent, twice\n",
    "what?.jpg": b"question mark\n",
    "no#1.jpg": b"hash\n",
    "a;b,c&d=e.jpg": b"delimiters\n",
    'it\'s "it".jpg': b"quotes\n",
    "~tilde-_.!*().jpg": b"unreserved\n",
    "a:b@c$.jpg": b"more delimiters\n",
    "<b>.jpg": b"angle brackets\n",
    "dots..in..name.jpg": b"dots\n",
    "dot.at.end.": b"a dot at the end\n",
    "x" * 251 + ".jpg": b"255 bytes\n",
    ".hidden.jpg": b"dot file\n",
    ".thumbs/a.jpg": b"below a dot folder\n",
}


def mtime_ns(name: str) -> int:
    """Return the time at which the file of that name was written."""
    return {"future.jpg": FUTURE_NS, "now.jpg": NOW * 1_000_000_000}.get(name, MTIME_NS)


def write_files(folder: Path) -> Path:
    """Write all files below ``folder``/root, and around it what must never be served. Return the root."""
    root = folder / "root"
    for name, data in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, ns=(mtime_ns(name), mtime_ns(name)))
    (folder / "secret.txt").write_bytes(SECRET)
    (root / "leads-out.jpg").symlink_to(folder / "secret.txt")
    (root / "folder-out").symlink_to(folder)
    (root / "leads-in.jpg").symlink_to("photo.jpg")
    (root / "dangling.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(root / "fifo.jpg")
    return root
