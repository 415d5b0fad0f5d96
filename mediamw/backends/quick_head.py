"""A HEAD over a connection that is open already, for a quarter of the CPU that urllib3 and http.client need for it.

1. It has no body either way: the request is one write, the answer ends with its head. So what these two do for bodies,
   URLs and their own bookkeeping is left out. The connection stays theirs: made, wrapped in TLS and pooled by them.
2. Only what is beyond doubt is read: HTTP/1.1, a final status, lines that are ``name: value``, at most 64 KiB and a
   hundred of them. Whatever else comes is for the ordinary way, which asks again and knows what to say of it; a server
   that answers so is not asked in this way any more.
3. Each read and write has the time of a read, and all together the time that the caller gives.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_LINES: Final = 100

_STATUS = re.compile(r"HTTP/1\.1 ([2-5][0-9][0-9])(?: [^\r\n]*)?")
_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)")


class HeadLines(dict[str, str]):
    """The headers of an answer, found by any case of their name; those that come twice are joined by commas."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def request_of(target: str, host: str, headers: Mapping[str, str]) -> bytes | None:
    """Return the request for ``target``; None if it, or a header, is not plain text on one line."""
    lines = [f"HEAD {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {text}" for name, text in headers.items())]
    text = "\r\n".join(lines)
    if not text.isascii() or " " in target or not "".join(lines).isprintable():
        return None
    return f"{text}\r\n\r\n".encode("ascii")


def quick_head(
    pool: HTTPConnectionPool, request: bytes, until: float, read_seconds: float
) -> tuple[bool, tuple[int, HeadLines] | None]:
    """Ask over a connection of ``pool`` that is open; return if there was one, and what ``converse`` does."""
    connection = pool._get_conn()  # it has looked if the other side has closed it, or says what nobody asked for
    sock = getattr(connection, "sock", None)
    is_kept = sock is None
    try:
        if sock is None:
            return False, None
        said = converse(sock, request, until, read_seconds)
        if said is None:
            return True, None
        is_kept = said[2]
        return True, said[:2]
    finally:
        if not is_kept:
            connection.close()
        pool._put_conn(connection)


def converse(
    sock: socket.socket, request: bytes, until: float, read_seconds: float
) -> tuple[int, HeadLines, bool] | None:
    """Send ``request`` and return status, headers, and whether the connection can be used again.

    None if the answer breaks off. Raises ``TimeoutError`` if nothing came in ``read_seconds``, or not all until
    ``until`` (on the monotonic clock), and ``ValueError`` for an answer that is not plain.
    """
    try:
        sock.settimeout(_seconds(until, read_seconds))
        sock.sendall(request)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > MAX_HEAD_BYTES:
                raise ValueError("the head has no end")
            if b"\n\n" in data or b"\n\r\n" in data:  # an end that http.client takes for one: no more will come
                raise ValueError("the lines do not end plainly")
            if data:
                sock.settimeout(_seconds(until, read_seconds))
            piece = sock.recv(MAX_HEAD_BYTES)
            if not piece:
                return None
            data += piece
    except TimeoutError:
        raise
    except OSError:  # ssl.SSLError among them
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    status = _STATUS.fullmatch(first)
    if status is None or len(lines) > MAX_LINES:
        raise ValueError("the status is not plain, or there are too many lines")
    headers = HeadLines()
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError("a line is not plain")
        name, text = match[1].lower(), match[2].rstrip(" \t")
        headers[name] = f"{dict.__getitem__(headers, name)}, {text}" if dict.__contains__(headers, name) else text
    # More than the head is a body that no HEAD has: it is not to be read as the next answer.
    is_kept = end + 4 == len(data) and "close" not in headers.get("connection", "").lower()
    return int(status[1]), headers, is_kept


def _seconds(until: float, read_seconds: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(left, read_seconds)
