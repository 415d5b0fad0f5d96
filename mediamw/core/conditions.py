"""Conditional requests: RFC 9110, 13.2.2, step by step, for GET and HEAD.

Own parsing, since a condition that is read wrongly sends the wrong bytes: entity tags are compared as opaque quoted
strings (8.8.3.2) and a list with anything malformed in it matches nothing, which is the safe side of both headers:
If-None-Match then sends the body, If-Match then answers 412.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

from .http_dates import parse_http_date
from .model import Meta

MAX_HEADER_BYTES = 8 * 1024
MAX_REMEMBERED_CHARS = 256
"""Of a header with which a plan is kept."""
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class Verdict(Enum):
    """What the preconditions come to."""

    PASS = "pass"  # noqa: S105 - not a password
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


def is_entity_tag(text: str) -> bool:
    """True for what may stand in ETag (8.8.3); a backend of somebody else may hand out anything."""
    return _ENTITY_TAG.fullmatch(text) is not None


def last_modified(meta: Meta, now: int) -> int | None:
    """Return the second for Last-Modified, never later than Date (8.8.2.1), None if the time is unknown."""
    return None if meta.mtime_ns is None else max(0, min(meta.mtime_ns // 1_000_000_000, now))


def evaluate(headers: Mapping[str, str], meta: Meta, now: int) -> Verdict:
    """Evaluate steps 1 to 4 of 13.2.2; step 5, If-Range, is ``range_applies``. ``now`` in seconds since 1970."""
    modified = last_modified(meta, now)
    # 1. If-Match, by strong comparison.
    header = headers.get("if-match")
    if header is not None:
        if not _any_match(header, meta.etag, weak=False):
            return Verdict.FAILED
    # 2. If-Unmodified-Since, only without If-Match; ignored if no date, or no modification date (13.1.4).
    else:
        header = headers.get("if-unmodified-since")
        since = parse_http_date(header, now) if header is not None else None
        if since is not None and modified is not None and modified > since:
            return Verdict.FAILED
    # 3. If-None-Match, by weak comparison.
    header = headers.get("if-none-match")
    if header is not None:
        return Verdict.NOT_MODIFIED if _any_match(header, meta.etag, weak=True) else Verdict.PASS
    # 4. If-Modified-Since, only without If-None-Match.
    header = headers.get("if-modified-since")
    since = parse_http_date(header, now) if header is not None else None
    if since is not None and modified is not None and modified <= since:
        return Verdict.NOT_MODIFIED
    return Verdict.PASS


def range_applies(if_range: str, meta: Meta, now: int) -> bool:
    """Step 5 of 13.2.2: True if the Range header counts, False if the whole is to be sent (13.1.5)."""
    value = if_range.strip(" \t")
    if value.startswith(('"', "W/")):
        # One tag, no list, by strong comparison: a weak one never makes two partial bodies the same.
        return value == meta.etag and not value.startswith("W/")
    since = parse_http_date(value, now)
    modified = last_modified(meta, now)
    # 8.8.2.2: a date is a strong validator only if the file cannot have changed twice in that second, that is if the
    # second is over. Exact match, not "not later than".
    return since is not None and since == modified and modified < now


def is_timeless(headers: Mapping[str, str]) -> bool:
    """Say whether these make of one file what they will make of it tomorrow, and are short enough to be remembered.

    A date with two digits for the year is another one some day (5.6.7), and the second that is not over is no strong
    validator yet. If-Modified-Since counts only without If-None-Match. Whom a request came through is none of the file.
    """
    dated = {"if-range", "if-unmodified-since", "via"} | (
        set() if "if-none-match" in headers else {"if-modified-since"}
    )
    return dated.isdisjoint(headers) and all(len(value) <= MAX_REMEMBERED_CHARS for value in headers.values())


def _any_match(header: str, etag: str | None, *, weak: bool) -> bool:
    if header.strip(" \t") == "*":  # the file exists, or nobody would be here
        return True
    if etag is None:
        return False
    tags = _tags(header)
    if tags is None:
        return False
    if weak:
        return _opaque(etag) in (_opaque(tag) for tag in tags)
    return not etag.startswith("W/") and etag in tags


def _opaque(tag: str) -> str:
    return tag[2:] if tag.startswith("W/") else tag


def _tags(header: str) -> list[str] | None:
    """Split ``1#entity-tag`` (8.8.3); None if anything in it is not an entity tag. A tag may hold commas."""
    if len(header) > MAX_HEADER_BYTES:
        return None
    tags: list[str] = []
    position, end = 0, len(header)
    separated = True
    while position < end:
        if header[position] in " \t,":
            separated = separated or header[position] == ","
            position += 1
            continue
        if not separated:
            return None
        start = position
        if header.startswith("W/", position):  # case-sensitive: 8.8.3
            position += 2
        if not header.startswith('"', position):
            return None
        closing = header.find('"', position + 1)
        if closing < 0 or not _is_etagc(header[position + 1 : closing]):
            return None
        position = closing + 1
        tags.append(header[start:position])
        separated = False
    return tags


def _is_etagc(text: str) -> bool:
    return all(char > " " and char != "\x7f" for char in text)
