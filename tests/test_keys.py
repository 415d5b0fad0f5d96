"""What may be a key, as a table: the bounds at the bound and one past it, the state folder, dot files, Windows."""

from __future__ import annotations

import pytest

from mediamw import InvalidKey
from mediamw.core.keys import DotfileRule, parse_http_key, parse_key, refusal, windows_refusal

FINE = [
    "a", "a.jpg", "homes/42/living room.jpg", "ü/居間.png", "2+1 rooms.jpg", "100%.png", "%2e%2e/x", "a:b", "~", "...",
    "a..b", ".thumbs/a.jpg", "x/.mediamw/y", "mediamw/x", ".mediamwx", "a" * 255, "ü" * 127, "/".join(["a" * 255] * 4),
    "a b ", "C:x", "\u2028", "\U0001f600.png",
]  # fmt: skip
REFUSED = {
    "": "empty",
    "/a": "starts with '/'",
    "a/": "ends with '/'",
    "a//b": "segment ''",
    ".": "segment '.'",
    "a/../b": "segment '..'",
    "a\0b": "control character",
    "a\nb": "control character",
    "ü\x7f": "control character",
    "ü\x85": "control character",
    "a\\b": "backslash",
    "\ud800": "not valid Unicode",
    "a" * 256: "more than 255 bytes",
    "ü" * 128: "more than 255 bytes",
    "/".join(["a" * 255] * 4) + "/a": "1025 bytes, more than 1024",
    ".mediamw": "mediamw's own state",
    ".mediamw/tmp/x": "mediamw's own state",
    ".MediaMW/tmp/x": "mediamw's own state",
    "a/.mediamw-123": "mediamw's own state",
    "a/.MEDIAMW-123": "mediamw's own state",
}


@pytest.mark.parametrize("name", FINE)
def test_fine(name: str) -> None:
    assert parse_key(name) == name


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    assert REFUSED[name] in str(refusal(name))
    with pytest.raises(InvalidKey):
        parse_key(name)


@pytest.mark.parametrize(
    ("allow", "key", "refused"),
    [
        ([], "a/b.c", False),
        ([], ".env", True),
        ([], "a/.git/config", True),
        ([".thumbs/"], ".thumbs/a.jpg", False),
        ([".thumbs/"], "homes/.thumbs/a.jpg", False),
        ([".thumbs/"], ".thumbs", True),  # a folder's pattern opens no file
        ([".thumbs/"], ".thumbs/.git/config", True),
        ([".thumbs/", ".small/"], ".thumbs/.small/a.jpg", False),
        (["/.thumbs/"], "homes/.thumbs/a.jpg", True),
        ([".*"], ".a/.b/.c", False),
        ([".*"], ".mediamw/tmp/x", True),
    ],
)
def test_dot_files(allow: list[str], key: str, refused: bool) -> None:
    rule = DotfileRule(allow)
    if refused:
        with pytest.raises(InvalidKey):
            parse_http_key(key, rule)
    else:
        assert parse_http_key(key, rule) == key


@pytest.mark.parametrize(
    ("key", "refused"),
    [
        ("a/b.jpg", False), ("console.jpg", False), ("a.con", False), (".com1x", False), ("com10", False),
        ("a:b", True), ("a/b:stream", True), ("what?.jpg", True), ("a*", True), ('a"b', True), ("a<b", True),
        ("a|b", True),
        ("a./b", True), ("a /b", True), ("a.jpg.", True), ("a.jpg ", True),
        ("con", True), ("a/NUL", True), ("nul.tar.gz", True), ("Com1.txt", True), ("lpt9 .txt", True), ("aux/b", True),
        ("com¹.txt", True), ("LPT³", True), ("conin$", True), ("CONOUT$.x", True),
    ],
)  # fmt: skip
def test_windows(key: str, refused: bool) -> None:
    assert (windows_refusal(key) is not None) is refused
