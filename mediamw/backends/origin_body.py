"""The answer to a GET: whether it is what was asked for, and its bytes as they arrive.

Nothing is yielded that is not of the version asked for, as far as the origin tells: its ETag, the file's size and its
coding. An answer without an ETag is not of a version that has one: so come errors in a 200. ``Content-Length`` may be
larger than what was asked for and never smaller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import EllipsisType
from typing import TYPE_CHECKING, Final, NoReturn

from ..core.errors import BackendUnavailable, ContentChanged, RangeIgnored

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

MAX_PIECE_BYTES: Final = 32 * 1024
"""Granian keeps some fifteen pieces for a client that has stopped reading: fifty of those are to cost little."""

MAX_SKIPPED_BYTES: Final = 8 * 1024 * 1024
"""Of an origin that ignores Range this much is read in vain, and no more."""

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/(\*|[0-9]{1,19})")


def coding_of(headers_value: str | None) -> str | None:
    """Return a Content-Encoding in lower case; None for none, and for identity, which is none."""
    coding = (headers_value or "").strip().lower()
    return None if coding in ("", "identity") else coding


def total_of(content_range: str | None) -> int | None:
    """Return the whole length that a Content-Range tells, if it does."""
    match = re.fullmatch(r"bytes (?:\*|[0-9]{1,19}-[0-9]{1,19})/([0-9]{1,19})", content_range or "")
    return int(match[1]) if match else None


def length_of(text: str | None) -> int | None:
    """Return a Content-Length; None if there is none, or it is no number."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 19 else None


def is_page(content_type: str | None) -> bool:
    """True for HTML: of a name that is not HTML's it is no file, but a login page, an app or an error."""
    essence = (content_type or "").partition(";")[0].strip().lower()
    return essence in ("text/html", "application/xhtml+xml")


def start_in_body(
    response: BaseHTTPResponse,
    backend: str,
    start: int,
    stop: int | None,
    etag: str | None,
    *,
    size: int | None,
    coding: str | EllipsisType | None,
    may_be_page: bool,
) -> int:
    """Return how many bytes of the body stand before ``start``; raise what the answer means otherwise."""

    def changed(how: str) -> ContentChanged:
        return ContentChanged(f"the file changed while it was read ({how})", backend=backend)

    status, headers = response.status, response.headers
    if status in (404, 410, 412, 416):
        raise changed(f"status {status}")
    if status not in (200, 206):
        raise BackendUnavailable(f"the origin answered {status} to GET", backend=backend)
    if not may_be_page and is_page(headers.get("Content-Type")):
        raise BackendUnavailable("the origin answered with an HTML page instead of the file", backend=backend)
    skip, total, length = start, None, length_of(headers.get("Content-Length"))
    if status == 206 or "Content-Range" in headers:  # some servers say 200 to a range
        match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if match is None or int(match[1]) != start:
            raise BackendUnavailable("the origin sent another range than it was asked for", backend=backend)
        skip, total = 0, None if match[3] == "*" else int(match[3])
        end = int(match[2]) + 1
        if stop is None and total != end:
            raise BackendUnavailable("the origin sent a part of the file, not all of it", backend=backend)
        if stop is not None and end < stop:
            raise changed(f"it ends at byte {end}")
    else:  # Range ignored, as RFC 9110, 14.2 allows, or not sent
        total = length
    # If-Match is the origin's to keep; some ignore it, but they do say which version they send.
    if etag is not None and headers.get("ETag") != etag:
        raise changed("another ETag" if "ETag" in headers else "no ETag")
    if size is not None and total is not None and total != size:
        raise changed(f"it had {size} bytes, and has {total}")
    if not isinstance(coding, EllipsisType) and coding_of(headers.get("Content-Encoding")) != coding:
        raise changed("another Content-Encoding")
    if stop is not None and length is not None and length < skip + stop - start:
        raise changed(f"{length} bytes are sent where {skip + stop - start} are needed")
    if skip > MAX_SKIPPED_BYTES:
        raise RangeIgnored(f"the origin ignores Range: {skip} bytes would have to be read for nothing", backend=backend)
    return skip


def body(
    response: BaseHTTPResponse, skip: int, length: int, backend: str, broke_off: Callable[[Exception], NoReturn]
) -> Iterator[bytes]:
    """Yield ``length`` bytes behind the first ``skip``."""
    rest = length
    for data in _pieces(response, broke_off, skip + length):
        if skip:
            dropped = min(skip, len(data))
            skip -= dropped
            data = data[dropped:]
        rest -= len(data)
        if data:
            yield data
    if rest:
        raise ContentChanged(f"the body ended {rest} bytes early", backend=backend)


def rest_of_body(
    response: BaseHTTPResponse, backend: str, broke_off: Callable[[Exception], NoReturn]
) -> Iterator[bytes]:
    """Yield all of the body."""
    promised = length_of(response.headers.get("Content-Length"))
    if response.headers.get("Transfer-Encoding"):  # chunks have their own end
        promised = None
    got = 0
    for data in _pieces(response, broke_off):
        got += len(data)
        yield data
    if promised is not None and got < promised:
        raise ContentChanged(f"the body ended {promised - got} bytes early", backend=backend)


def _pieces(
    response: BaseHTTPResponse, broke_off: Callable[[Exception], NoReturn], wanted: int | None = None
) -> Iterator[bytes]:
    """Yield the body as it arrives, up to ``wanted`` bytes. ``broke_off`` raises for an error on the way."""
    from urllib3.exceptions import HTTPError

    read = getattr(response, "read1", response.read)  # before 2.1 there is only one that waits until a piece is full
    while wanted is None or wanted > 0:
        amount = MAX_PIECE_BYTES if wanted is None else min(MAX_PIECE_BYTES, wanted)
        try:
            data = read(amount)
        except HTTPError as error:
            broke_off(error)
        except (OSError, ValueError) as error:  # what some versions let through: a reset, a chunk's size that is none
            broke_off(error)
        if not data:
            return
        if wanted is not None:
            wanted -= len(data)
        yield data
