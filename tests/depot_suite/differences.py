"""Where we differ from DEPOT on purpose: tests of DEPOT's that must fail with us, and the reason of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SEEKABLE: Final = "our files are seekable: image libraries and uploads to S3 need that"
_NO_BUCKET: Final = "no bucket is ever made or listed: a missing one is an error (tests/test_depot_bucket.py)"
_LAST_MODIFIED: Final = "the bucket says since when the object is there: None would say less"
_DISPOSITION: Final = (
    "RFC 6266's own spelling, with blanks behind the semicolons; and names are encoded once, not twice"
)
_HOST: Final = "DEPOT's test takes it that it talks to AWS; our URLs have the region's host"
_INSIDE: Final = "it looks for an attribute of DEPOT's own class; tests/test_depot_directory.py has what it is about"
_MOCK: Final = "it replaces what DEPOT calls inside boto3, which we do not; tests/test_depot_bucket.py asks a server"

EXPECTED_DIFFERENCES: Final[Mapping[str, str]] = {
    "test_storage_interface.TestLocalFileStorage.test_stored_files_are_only_readable": _SEEKABLE,
    "test_storage_interface.TestMemoryFileStorage.test_stored_files_are_only_readable": _SEEKABLE,
    "test_buckets.TestS3FileStorage.test_stored_files_are_only_readable": _SEEKABLE,
    "test_buckets.TestS3FileStorageWithPrefix.test_stored_files_are_only_readable": _SEEKABLE,
    "test_buckets.TestBoto3FileStorage.test_stored_files_are_only_readable": _SEEKABLE,
    "test_buckets.TestBoto3FileStorageWithoutSlash.test_stored_files_are_only_readable": _SEEKABLE,
    "test_storage_interface.TestMemoryFileStorage.test_creation_metadata": (
        "the date of a file in memory is when it was stored, to the nanosecond, and not a text made by a function of ours"
    ),
    "test_local_storage.TestLocalFileStorage.test_corrupted_metadata": _INSIDE,
    "test_buckets.TestBoto3Bucket.test_bucket_failure": _NO_BUCKET,
    "test_buckets.TestBoto3Bucket.test_creates_bucket_when_missing": _NO_BUCKET,
    "test_buckets.TestBoto3Bucket.test_client_receives_extra_args": _MOCK,
    "test_buckets.TestBoto3Bucket.test_get_key_failure": _MOCK,
    "test_buckets.TestBoto3Bucket.test_content_disposition": _DISPOSITION,
    "test_buckets.TestBoto3Bucket.test_invalid_modified": _LAST_MODIFIED,
    "test_buckets.TestBoto3Bucket.test_public_url": _HOST,
    "test_buckets.TestAwss3Bucket.test_creates_bucket_when_missing": _NO_BUCKET,
    "test_buckets.TestAwss3Bucket.test_default_bucket_name": _MOCK,
    "test_buckets.TestAwss3Bucket.test_content_disposition": _DISPOSITION,
    "test_buckets.TestAwss3Bucket.test_invalid_modified": _LAST_MODIFIED,
    "test_buckets.TestAwss3Bucket.test_public_url": _HOST,
}
"""``file.class.test`` to the reason."""
