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
_PRIVATE: Final = "a class inside DEPOT's middleware, which ours has no use for"
_PATH: Final = "it opens the path of DEPOT's own class: ours are files of any backend (tests/test_sqlalchemy_depot.py)"
_PUBLIC_URL: Final = "a URL that a row holds may be production's: the storage says what it is (fields/upload.py)"

EXPECTED_DIFFERENCES: Final[Mapping[str, str]] = {
    "test_storage_interface.TestLocalFileStorage.test_stored_files_are_only_readable": _SEEKABLE,
    "test_storage_interface.TestMemoryFileStorage.test_stored_files_are_only_readable": _SEEKABLE,
    "test_buckets.TestS3FileStorage.test_stored_files_are_only_readable": _SEEKABLE,
    "test_buckets.TestS3FileStorageWithPrefix.test_stored_files_are_only_readable": _SEEKABLE,
    "test_buckets.TestBoto3FileStorage.test_stored_files_are_only_readable": _SEEKABLE,
    "test_buckets.TestBoto3FileStorageWithoutSlash.test_stored_files_are_only_readable": _SEEKABLE,
    "test_storage_interface.TestMemoryFileStorage.test_creation_metadata": (
        "the date of a file in memory is when it was stored, to the nanosecond, and no text of our making"
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
    "test_wsgi_middleware.TestWSGIMiddleware.test_invalid_unmodified_header": (
        "RFC 9110, 13.1.3: a date that is none is ignored, and no 400: the file is sent"
    ),
    "test_wsgi_middleware.TestWSGIMiddleware.test_headers_are_there": (
        "text says its charset; and no Expires: Cache-Control with max-age says the same, and wins (RFC 9111, 5.3)"
    ),
    "test_wsgi_middleware.TestWSGIMiddleware.test_serving_files_content_disposition": (
        "RFC 6266's own spelling, and no transliteration: what is beyond ASCII is in filename*, which all clients read"
    ),
    "test_wsgi_middleware.TestWSGIMiddleware.test_serving_files_with_wsgifilewrapper": _PRIVATE,
    "test_wsgi_middleware.TestWSGIMiddleware.test_wsgi_file_wrapper_is_an_iterator": _PRIVATE,
    "test_wsgi_middleware.TestWSGIMiddleware.test_parse_date_returns_naive_utc_time": _PRIVATE,
    "test_fields_sqlalchemy.TestSQLAImageAttachments.test_maximum_size": _PATH,
    "test_fields_sqlalchemy.TestSQLAImageAttachments.test_thumbnail": _PATH,
    "test_fields_sqlalchemy.TestSQLAImageAttachments.test_public_url": _PUBLIC_URL,
    "test_fields_sqlalchemy.TestSQLAImageAttachmentsNoFlush.test_maximum_size": _PATH,
    "test_fields_sqlalchemy.TestSQLAImageAttachmentsNoFlush.test_thumbnail": _PATH,
    "test_fields_sqlalchemy.TestSQLAImageAttachmentsNoFlush.test_public_url": _PUBLIC_URL,
    "test_fields_sqlalchemy.TestSQLAThumbnailFilter.test_thumbnail": _PATH,
    "test_fields_sqlalchemy.TestSQLAThumbnailFilter.test_public_url": _PUBLIC_URL,
    "test_fields_sqlalchemy.TestSQLAThumbnailFilterNoFlush.test_thumbnail": _PATH,
    "test_fields_sqlalchemy.TestSQLAThumbnailFilterNoFlush.test_public_url": _PUBLIC_URL,
}
"""``file.class.test`` to the reason."""
