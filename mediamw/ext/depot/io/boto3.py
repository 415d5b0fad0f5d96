"""Buckets as DEPOT keeps them, and the storage over one: an object ``<prefix><id>`` for each file.

1. Its metadata say what the file is called (``x-depot-filename``, percent-encoded UTF-8) and since when it is there
   (``x-depot-modified``). Both are read as they lie, and written as DEPOT writes them.
2. No bucket is ever made, and none is listed to see whether there is one: keys that may do so are worth more than a
   storage needs. A bucket that is missing is an error that names it.
3. ``ReadOnlyDepotBucket`` can only read, by type (``backends/s3.py``): it is what stands below a directory of a
   developer's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final
from urllib.parse import unquote

from ....backends.base import Content, Entry, Remote, SignedURL
from ....backends.pages import Page
from ....backends.rules import Rules
from ....backends.s3 import S3Backend, S3Reader
from ....backends.s3_draft import S3Draft
from ....backends.s3_writable import WritableS3Backend
from ....core.errors import ConfigError, NotServable
from ....core.keys import Key, is_state
from ....core.model import Meta
from ....stack.stack import MediaStack
from ..utils import make_content_disposition, percent_encoded
from . import utils
from .ids import is_file_id
from .interfaces import FileStorage
from .metadata import nanoseconds

CANNED_ACL_PUBLIC_READ: Final = "public-read"
CANNED_ACL_PRIVATE: Final = "private"
_POLICIES: Final = (CANNED_ACL_PUBLIC_READ, CANNED_ACL_PRIVATE)

MAX_FILENAME_BYTES: Final = 1024
"""How long a percent-encoded name may be: S3 takes 2 KiB of metadata in all (User Guide, "Object metadata")."""

_FILENAME: Final = "x-depot-filename"
_MODIFIED: Final = "x-depot-modified"


class _IdRules(Rules):
    """The rules of a bucket of which the stack speaks of ids alone: with ``check=False`` it is not even asked, and
    clients would be sent to whatever else lies there."""

    def lets(self, key: Key) -> bool:
        return (is_file_id(key) or is_state(key)) and super().lets(key)


class _DepotObjects(S3Reader):
    """What both buckets are: keys are ids, and of what is no UUID there is nothing."""

    _rules_type = _IdRules

    def __init__(self, bucket: str, *, prefix: str = "", **options: Any) -> None:
        if not isinstance(prefix, str) or not prefix.isprintable():
            raise ConfigError("prefix is no text, or holds what cannot be printed", backend=options.get("name", ""))
        if options.get("location"):
            raise ConfigError(
                f"location: a bucket of DEPOT's has a prefix: give prefix={options['location'].strip('/') + '/'!r}",
                backend=options.get("name", ""),
            )
        self.prefix = prefix
        super().__init__(bucket, **options)
        # A prefix need not end in "/". The stack compares places by their parts, and ids never make one of another.
        self.whereabouts = (*self.whereabouts, *filter(None, prefix.split("/")))

    def __repr__(self) -> str:
        endpoint = f", endpoint_url={self.endpoint_url!r}" if self.endpoint_url is not None else ""
        return f"{type(self).__name__}({self.bucket!r}, prefix={self.prefix!r}, name={self.name!r}{endpoint})"

    def open(self, key: Key) -> Remote | None:
        """Ask the bucket by a signed HEAD. Raises ``BackendUnavailable`` with the way out if it cannot tell."""
        return super().open(key) if is_file_id(key) or is_state(key) else None

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield entries sorted by id, page by page."""
        for entry in super().list(prefix, recursive=recursive):
            # Of a listing's dates none is the one that the metadata have.
            yield entry if entry.meta is None else entry._replace(meta=entry.meta._replace(mtime_ns=None))

    def list_page(self, folder: str, after: str | None = None) -> Page | None:
        """Return None: ids have no order that would tell of others, so each is asked for."""
        return None

    def _head_meta(self, headers: Mapping[str, str]) -> Meta | None:
        meta = super()._head_meta(headers)
        if meta is None:
            return None
        filename = headers.get(f"x-amz-meta-{_FILENAME}")
        modified = nanoseconds(utils.parse_timestamp(headers.get(f"x-amz-meta-{_MODIFIED}")))
        return meta._replace(
            filename=unquote(filename) if filename else None,
            mtime_ns=meta.mtime_ns if modified is None else modified,
        )

    def _object_key(self, key: str) -> str:
        return self.prefix + key

    def _is_listed(self, entry: Entry, prefix: str) -> bool:
        return is_state(entry.key) if is_state(prefix) else is_file_id(entry.key)


class ReadOnlyDepotBucket(_DepotObjects, S3Backend):
    """The files of a DEPOT bucket whose names begin with ``prefix``; it can only be read.

    The other options are those of ``S3Backend``, less ``location``. Raises ``ConfigError``.
    """


class DepotBucket(_DepotObjects, WritableS3Backend):
    """The files of a DEPOT bucket whose names begin with ``prefix``, for reading and writing; never below another.

    ``policy``: with ``public-read`` new files get that ACL, and the URLs of all files are plain ones that do not end; a
    bucket that was made since 2023 takes no ACL unless it is told to. Without one, or with ``private``, URLs are
    signed. ``storage_class`` such as ``STANDARD_IA``. The other options are those of ``WritableS3Backend``, less
    ``location``. Raises ``ConfigError``.
    """

    def __init__(
        self, bucket: str, *, policy: str | None = None, storage_class: str | None = None, **options: Any
    ) -> None:
        if policy is not None and policy not in _POLICIES:
            raise ConfigError(
                f"policy: {policy!r} is none of {', '.join(_POLICIES)}", backend=str(options.get("name", "s3"))
            )
        self.policy, self.storage_class = policy, storage_class
        super().__init__(bucket, **options)

    def draft(self, data: Content, *, content_type: str | None = None) -> S3Draft:
        """Take the bytes of a file that gets its id later."""
        return self.draft_called(data, utils.DEFAULT_NAME, content_type=content_type)

    def draft_called(self, data: Content, filename: str, *, content_type: str | None = None) -> S3Draft:
        """The same, of a file that is called ``filename``."""
        draft = super().draft(data, content_type=content_type)
        draft.filename = filename
        return draft

    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        """Store a file. Raises ``NameTaken`` if there is one, unless ``replace``."""
        with closing(self.draft(data, content_type=content_type)) as draft:
            draft.publish(key, replace=replace)

    def _check_place(self, key: Key) -> None:
        if not is_file_id(key):
            raise NotServable(
                "files of DEPOT are stored under UUIDs alone, and this is none",
                backend=self.name,
                key=key,
                operation="put",
            )

    def _headers(self, draft: S3Draft, key: Key) -> dict[str, Any]:
        headers = super()._headers(draft, key)
        if is_state(key):
            return headers
        filename = fitting(draft.filename or utils.DEFAULT_NAME)
        headers["Metadata"] = {_FILENAME: percent_encoded(filename), _MODIFIED: utils.timestamp()}
        headers["ContentDisposition"] = make_content_disposition("inline", filename)
        if self.policy == CANNED_ACL_PUBLIC_READ:  # private is what there is without one, and what every bucket takes
            headers["ACL"] = self.policy
        if self.storage_class is not None:
            headers["StorageClass"] = self.storage_class
        return headers

    def _signed(self, key: Key, method: str, start: int, now: float) -> SignedURL:
        signed = super()._signed(key, method, start, now)
        if self.policy != CANNED_ACL_PUBLIC_READ or self._domain is not None:
            return signed
        return SignedURL(signed.url.partition("?")[0], None)


def fitting(filename: str) -> str:
    """Return a file name that metadata have room for: the end of what stands before its extension is cut off."""
    stem, extension = os.path.splitext(filename)
    if len(percent_encoded(extension)) > MAX_FILENAME_BYTES // 2:
        stem, extension = filename, ""
    room = MAX_FILENAME_BYTES - len(percent_encoded(extension))
    stem = stem[:room]
    while len(percent_encoded(stem)) > room:
        stem = stem[:-1]
    return stem + extension


class S3Storage(FileStorage):
    """DEPOT's storage in a bucket, which has to be there; without a name it is the one that DEPOT would have made.

    ``policy``: DEPOT's default is ``public-read``. ``bucket_name`` and ``stack`` say what it is made of.
    Raises ``ConfigError``.
    """

    def __init__(
        self,
        access_key_id: str,
        secret_access_key: str,
        bucket: str | None = None,
        region_name: str | None = None,
        policy: str | None = None,
        storage_class: str | None = None,
        endpoint_url: str | None = None,
        prefix: str = "",
    ) -> None:
        self.bucket_name = bucket or f"filedepot-{access_key_id.lower()}"
        made = DepotBucket(
            self.bucket_name,
            prefix=prefix,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            region=region_name,
            policy=policy or CANNED_ACL_PUBLIC_READ,
            storage_class=storage_class,
            endpoint_url=endpoint_url,
        )
        super().__init__(MediaStack([made]))
