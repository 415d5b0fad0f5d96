"""Listing a part of a folder by one signed GET (ListObjectsV2), over the connections that look-ups use.

botocore's listing (``s3.list``) is for people and for code that wants all; this one answers look-ups, so it has to be
cheap, and is believed only if nothing about it is strange: keys in the order of their bytes, all below the prefix and
behind the start. Source: Amazon S3 API Reference, "ListObjectsV2".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from ..core.errors import BackendUnavailable, Unreachable
from .origin_failures import retry_after
from .pages import Listed, Page
from .s3_answers import strong_etag

if TYPE_CHECKING:
    from xml.etree import ElementTree

MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
"""A thousand keys of 1,024 bytes, each byte as ``%FF``, and what stands around them, are 3.5 MiB."""

PAGE_KEYS = 1000
"""The most that S3 gives at once."""

# Which of these have been restored, or moved to an archive, only a HEAD tells.
_MAYBE_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING")
# S3 Express: their listings are in no order.
_UNSORTED_BUCKETS = ("--x-s3", "--xa-s3")


def is_sorted(bucket: str) -> bool:
    """False for a bucket whose listings are in no order."""
    return not bucket.endswith(_UNSORTED_BUCKETS)


def page_query(prefix: str, after: str | None) -> Iterator[tuple[str, str]]:
    """Yield the parameters of the request, sorted by name."""
    # Deeper folders must not fill the page; and names that XML cannot hold come encoded.
    yield from (("delimiter", "/"), ("encoding-type", "url"), ("list-type", "2"), ("max-keys", str(PAGE_KEYS)))
    if prefix:
        yield "prefix", prefix
    if after:
        yield "start-after", after


def read_page(body: bytes, prefix: str, folder: str, after: str | None) -> Page | None:
    """Return what the answer tells of ``folder``, whose objects start with ``prefix``; None if it is not believed."""
    # No listing has a document type: what could be declared there is not for us.
    if len(body) >= MAX_PAGE_BYTES or b"<!" in body or b"\0" in body:
        return None
    from urllib.parse import unquote_plus
    from xml.etree import ElementTree  # for those whose first folder is listed

    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - bounded, and no entity can be declared in it
    except (ElementTree.ParseError, ValueError, LookupError):  # the last two: encodings
        return None
    name_space = root.tag[: root.tag.rfind("}") + 1]
    is_truncated = root.findtext(f"{name_space}IsTruncated")
    if root.tag != f"{name_space}ListBucketResult" or is_truncated not in ("true", "false"):
        return None
    is_encoded = root.findtext(f"{name_space}EncodingType") == "url"
    files: list[Listed] = []
    before = last = ""
    for item in root.iter(f"{name_space}Contents"):
        object_key = item.findtext(f"{name_space}Key") or ""
        if is_encoded:
            try:
                object_key = unquote_plus(object_key, errors="strict")
            except UnicodeDecodeError:  # no text: no key of ours
                continue
        if not object_key.startswith(prefix) or object_key <= before:
            return None
        before = object_key
        name = object_key[len(prefix) :]
        last = folder + name
        if name and "/" not in name:  # the folder's own marker; and a server that knows no delimiter
            files.append(_listed(item, name_space, name))
    try:
        return Page(folder, after, last if is_truncated == "true" else None, files)
    except ValueError:
        return None


def page_error(status: int, headers: Mapping[str, str], bucket: str, backend: str) -> BackendUnavailable:
    """Make the error for an answer that is no listing."""
    is_down = status == 429 or status >= 500
    return (Unreachable if is_down else BackendUnavailable)(
        f"bucket {bucket} answered {status} to a listing",
        backend=backend,
        operation="list",
        retry_after=retry_after(headers),
        answered=True,
    )


def _listed(item: ElementTree.Element, name_space: str, name: str) -> Listed:
    size = item.findtext(f"{name_space}Size") or ""
    etag = strong_etag(item.findtext(f"{name_space}ETag"))  # None of rclone, whose has no quotes
    is_told = (
        size.isascii()
        and size.isdigit()
        and len(size) < 19
        and item.findtext(f"{name_space}StorageClass") not in _MAYBE_ARCHIVED
    )
    return Listed(name, int(size) if is_told else 0, etag, is_told)
