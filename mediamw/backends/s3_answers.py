"""What an S3's answers tell of objects: the headers of a HEAD, and listings, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.http_dates import parse_http_date
from ..core.media_types import type_of_origin
from ..core.model import Meta
from .base import Entry


def head_meta(headers: Mapping[str, str]) -> Meta | None:
    """What a HEAD tells of an object; None if it does not tell its length, or has no ETag, which every S3 gives."""
    length = headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit()) or "ETag" not in headers:
        return None
    modified = parse_http_date(headers.get("Last-Modified", ""), 0)
    return Meta(
        size=int(length),
        mtime_ns=None if modified is None else modified * 1_000_000_000,
        etag=strong_etag(headers.get("ETag")),
        content_type=type_of_origin(headers.get("Content-Type")),
        content_encoding=headers.get("Content-Encoding"),
    )


def listed(client: Any, bucket: str, start: str, prefix: str, *, recursive: bool, backend: str) -> Iterator[Entry]:
    """Yield what is below ``start`` + ``prefix``, sorted by key; keys count from ``start``.

    All that is there, be its name a key or not. Raises what botocore raises, and ``ValueError`` or ``KeyError`` for an
    answer that is no listing.
    """
    arguments = {"Bucket": bucket, "Prefix": start + prefix}
    if not recursive:
        arguments["Delimiter"] = "/"
    for page in client.get_paginator("list_objects_v2").paginate(**arguments):
        if "IsTruncated" not in page:  # some other XML parses too, as an empty page
            raise ValueError("the answer is no listing")
        found = [
            *((item["Prefix"][len(start) :], None) for item in page.get("CommonPrefixes", ())),
            *((item["Key"][len(start) :], _listed_meta(item)) for item in page.get("Contents", ())),
        ]
        for name, meta in sorted(found, key=lambda pair: pair[0]):
            yield Entry(name, meta, backend)


def _listed_meta(item: Mapping[str, Any]) -> Meta:
    """What a listing tells of an object: no content type."""
    return Meta(item["Size"], int(item["LastModified"].timestamp()) * 1_000_000_000, strong_etag(item.get("ETag")))


def strong_etag(text: str | None) -> str | None:
    """The ETag if it is a strong one and safe in a header."""
    if text and len(text) > 2 and text[0] == text[-1] == '"' and text.isascii() and '"' not in text[1:-1]:
        return text if text.isprintable() and " " not in text else None
    return None
