"""What every answer is held to, besides what its row says."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import HTTP
from email.utils import formatdate, parsedate_to_datetime

from .callers import Response
from .files import FILES, SECRET
from .row import Pairs, Row, Want

HELD = (200, 206, 304)


@dataclass(frozen=True)
class Facts:
    """What a server says of a file when it is asked for plainly: what ``{etag}`` and the like stand for in a row."""

    etag: str
    modified: str

    @classmethod
    def of(cls, response: Response) -> Facts:
        """Take them from a 200."""
        return cls(response.get("etag") or "", response.get("last-modified") or "")

    def fill(self, headers: Pairs) -> Pairs:
        """Put the facts into the headers of a row."""
        return tuple((name, self._filled(value)) for name, value in headers)

    def _filled(self, value: str) -> str:
        if "{" not in value:
            return value
        etag = self.etag
        filled = {"{etag}": etag, "{opaque}": etag.removeprefix("W/").strip('"'), "{etag-open}": etag.removesuffix('"')}
        for size in (8192, 8193):
            # The tag comes last: whoever reads a part of it only does not find it.
            filled[f"{{padding{size}}}"] = '"p",' + " " * (size - 4 - len(etag)) + etag
        if self.modified:
            second = int(parsedate_to_datetime(self.modified).timestamp())
            for offset in (-1, 0, 1):
                moment = time.gmtime(second + offset)
                shift = f"{offset:+}" if offset else ""
                filled[f"{{modified{shift}}}"] = formatdate(second + offset, usegmt=True)
                filled[f"{{modified850{shift}}}"] = time.strftime("%A, %d-%b-%y %H:%M:%S GMT", moment)
                filled[f"{{modified-asc{shift}}}"] = time.asctime(moment)
            filled["{modified-utc}"] = formatdate(second, usegmt=True).replace("GMT", "UTC")
        for name, text in filled.items():
            value = value.replace(name, text)
        assert "{" not in value, f"unknown name in {value!r}"
        return value


def faults(row: Row, got: Response) -> list[str]:
    """Say everything that is wrong with the answer to ``row``; nothing if it is right."""
    found = _matches(row, got)
    if got.status != row.status:
        return [f"status {got.status}, not {row.status}", *found]
    found += sound(row.method, got)
    if row.app:
        found += [] if got.get("x-app") == "yes" else ["it is not the wrapped app's answer"]
        return found
    if got.get("x-content-type-options") != "nosniff":
        found.append("no nosniff")
    if got.status in HELD:
        found += _held(row, got)
    elif got.status != 302:
        found += _error(row, got)
    return found


def sound(method: str, got: Response) -> list[str]:
    """Say what is wrong with an answer whatever the request was: framing and syntax."""
    found = []
    names = [name for name, _ in got.headers]
    found += [f"{name} stands twice" for name in {n for n in names if names.count(n) > 1}]
    found += [f"control character in {name}" for name, value in got.headers if any(c < " " for c in value)]
    length = got.get("content-length")
    if got.status == 304 or method == "HEAD":
        found += ["a body where there is none (RFC 9110 9.3.2, 15.4.5)"] if got.body else []
    elif length != str(len(got.body)):
        found.append(f"Content-Length {length}, body of {len(got.body)} bytes")
    date, modified = got.get("date"), got.get("last-modified")
    # Servers make Date once a second, and on a busy machine later: what a clock that runs on would be tells as much.
    if date and modified and (parsedate_to_datetime(modified) - parsedate_to_datetime(date)).total_seconds() > 10:
        found.append("Last-Modified is later than Date (RFC 9110 8.8.2.1)")
    if SECRET.strip() in got.body:
        found.append("it shows what lies outside of the root")
    return found


def byte_ranges(got: Response) -> list[tuple[int, int, int, bytes]]:
    """Read a 206: first, last + 1, size and bytes of each part. Raises ``AssertionError``."""
    content_type = got.get("content-type") or ""
    if not content_type.startswith("multipart/byteranges"):
        content_range = got.get("content-range")
        assert content_range is not None, "206 without Content-Range (15.3.7.1)"
        return [(*_content_range(content_range), got.body)]
    assert got.get("content-range") is None, "Content-Range beside parts (15.3.7.2)"
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + got.body, policy=HTTP)
    boundary = message.get_boundary()
    assert boundary
    # Once by the email package, for the headers, and once by hand: for the email package line ends are all alike.
    first, *pieces, last = (b"\r\n" + got.body).split(b"\r\n--" + boundary.encode())
    assert first in (b"", b"\r\n"), "something before the first part"
    assert last in (b"--\r\n", b"--"), "no end"
    parts = list(message.iter_parts())
    assert len(parts) == len(pieces)
    result = []
    for part, piece in zip(parts, pieces, strict=True):
        head, blank, content = piece.partition(b"\r\n\r\n")
        assert blank
        assert head.startswith(b"\r\n")
        assert part["content-range"] is not None, "a part without Content-Range (15.3.7.2)"
        assert part["content-type"] is not None or got.status != 206
        result.append((*_content_range(part["content-range"]), content))
    return result


def _content_range(value: str) -> tuple[int, int, int]:
    unit, _, rest = value.partition(" ")
    positions, _, size = rest.partition("/")
    first, _, last = positions.partition("-")
    assert unit == "bytes", f"Content-Range {value!r}"
    return int(first), int(last) + 1, int(size)


def _matches(row: Row, got: Response) -> list[str]:
    found = []
    wanted: dict[str, Want] = {**row.expect, **row.ours}
    for name, want in wanted.items():
        value = got.get(name)
        if value != want if want is None or isinstance(want, str) else value is None or not want(value):
            found.append(f"{name}: {value!r}, not {want if isinstance(want, str) or want is None else 'as wanted'}")
    if row.body is not None and got.body != (b"" if row.method == "HEAD" else row.body):
        found.append(f"body {got.body[:60]!r}, not {row.body[:60]!r}")
    return found


def _held(row: Row, got: Response) -> list[str]:
    found = []
    if "cache-control" not in row.ours and "add-headers" not in row.site:
        want = "private, max-age=3600" if row.site == "max-age" else None
        if want is None and got.get("cache-control") != "private, no-cache" and "max-age" not in row.site:
            found.append(f"Cache-Control {got.get('cache-control')!r}")
    if not (got.get("etag") or "").startswith('"'):
        found.append("no strong ETag")
    if got.status == 304:
        # 15.4.5: with an ETag a cache needs nothing else that describes the file.
        unwanted = ("content-type", "content-length", "content-range", "content-encoding", "accept-ranges")
        return found + [f"304 with {name}" for name in (*unwanted, "last-modified") if got.get(name) is not None]
    if got.get("last-modified") is None and "last-modified" not in row.ours:
        found.append("no Last-Modified")
    if got.get("accept-ranges") != "bytes":
        found.append("no Accept-Ranges")
    if row.file is None or row.method == "HEAD":
        return found
    data = FILES[row.file]
    if got.status == 200:
        return found + ([] if got.body == data else ["another body than the file's"])
    try:
        parts = byte_ranges(got)
    except AssertionError as error:
        return [*found, f"206 that cannot be read: {error}"]
    if tuple((first, stop) for first, stop, _, _ in parts) != row.parts:
        found.append(f"parts {[part[:2] for part in parts]}, not {row.parts}")
    found += [f"size {size}, not {len(data)}" for _, _, size, _ in parts if size != len(data)]
    found += [f"other bytes from {first}" for first, stop, _, body in parts if body != data[first:stop]]
    return found


def _error(row: Row, got: Response) -> list[str]:
    found = []
    if "content-type" not in row.ours and got.get("content-type") != "text/plain; charset=utf-8":
        found.append(f"Content-Type {got.get('content-type')!r}")
    if got.get("cache-control") != "no-store":
        found.append(f"Cache-Control {got.get('cache-control')!r}: an error of ours is not stored")
    found += [f"{got.status} with {name}" for name in ("etag", "last-modified", "accept-ranges") if got.get(name)]
    if got.status == 416:
        want = f"bytes */{len(FILES[row.file or ''])}"
        found += [] if got.get("content-range") == want else [f"Content-Range {got.get('content-range')!r}"]
    elif got.get("content-range") is not None:
        found.append("Content-Range on an error")
    if got.status == 503 and not (got.get("retry-after") or "").isdigit():
        found.append("503 without Retry-After")
    return found
