"""What a file is called when it is saved (RFC 6266)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from mediamw import LocalBackend, MediaStack, MemoryBackend, asgi, wsgi
from mediamw.core.disposition import MAX_FILENAME_CHARACTERS, content_disposition

from .http_table.callers import Pairs, Response, acall_asgi, call_wsgi


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("a.jpg", "inline; filename=\"a.jpg\"; filename*=utf-8''a.jpg"),
        ("Kraï €.pdf", "inline; filename=\"Krai _.pdf\"; filename*=utf-8''Kra%C3%AF%20%E2%82%AC.pdf"),
        (
            '"quoted" \\ back.txt',
            'filename="\\"quoted\\" \\\\ back.txt"; filename*=utf-8\'\'%22quoted%22%20%5C%20back.txt',
        ),
        ("two\r\nSet-Cookie: a=b", "filename=\"twoSet-Cookie: a=b\"; filename*=utf-8''twoSet-Cookie%3A%20a%3Db"),
        ("half\ud800.txt", "filename=\"half.txt\"; filename*=utf-8''half.txt"),
    ],
)
def test_both_forms(filename: str, header: str) -> None:
    assert content_disposition(filename).endswith(header)


@given(st.text())
def test_it_is_always_a_header_and_tells_the_name(filename: str) -> None:
    header = content_disposition(filename)
    assert header.isascii()
    assert header.isprintable()
    printable = "".join(char for char in filename if char.isprintable())
    assert unquote(header.rpartition("''")[2]) == printable
    if printable:
        disposition, options = parse_options_header(header)
        assert (disposition, options["filename"]) == ("inline", printable)


def by_wsgi(stack: MediaStack, target: str, headers: Pairs = ()) -> Response:
    return call_wsgi(wsgi.MediaMiddleware(None, stack), "GET", target, headers)


def by_asgi(stack: MediaStack, target: str, headers: Pairs = ()) -> Response:
    return asyncio.run(acall_asgi(asgi.MediaMiddleware(None, stack), "GET", target, headers))


@pytest.mark.parametrize(
    ("filename", "told"),
    [
        ("a" * 300 + ".jpg", "a" * 251 + ".jpg"),
        ("a" * 300, "a" * 255),
        ("." + "a" * 300, "." + "a" * 254),
        ("a." + "b" * 300, "a." + "b" * 253),
    ],
)
def test_a_long_name_keeps_its_extension(filename: str, told: str) -> None:
    assert len(told) == MAX_FILENAME_CHARACTERS
    assert content_disposition(filename).endswith(f"''{told}")


@pytest.mark.parametrize("ask", [by_wsgi, by_asgi])
@pytest.mark.parametrize(
    ("headers", "status"),
    [((), 200), ([("Range", "bytes=0-0")], 206), ([("Range", "bytes=0-0,2-2")], 206), ([("If-None-Match", "*")], 304)],
)
def test_clients_are_told(ask: Any, headers: Pairs, status: int) -> None:
    stack = MediaStack([MemoryBackend()])
    stack.save("0a1b", b"abc", content_type="image/png", filename="mö.png")
    answer = ask(stack, "/media/0a1b", headers)
    assert answer.status == status
    assert answer.get("content-disposition") == (None if status == 304 else content_disposition("mö.png"))
    assert stack.stat("0a1b").filename == "mö.png"


def test_without_a_name_nothing_is_said() -> None:
    stack = MediaStack([MemoryBackend()])
    stack.save("a.png", b"abc")
    assert stack.stat("a.png").filename is None
    assert by_wsgi(stack, "/media/a.png").get("content-disposition") is None


def test_where_it_cannot_be_kept_the_file_is(tmp_path: Path) -> None:
    stack = MediaStack([LocalBackend(tmp_path)])
    stack.save("a.png", b"abc", filename="other.png")
    assert (tmp_path / "a.png").read_bytes() == b"abc"
    assert stack.stat("a.png").filename is None
