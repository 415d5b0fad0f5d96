"""DEPOT's tests of buckets, against ``StrictS3``: what they do to the bucket behind a storage's back goes there."""

from __future__ import annotations

from typing import Any

from mediamw.testing import StrictS3

KEYS = ("AKDEPOT", "secret")


class Object:
    """An object of the bucket, as boto and boto3 have it."""

    def __init__(self, s3: StrictS3, bucket: str, name: str) -> None:
        self._s3, self._bucket, self.name = s3, bucket, name
        self._metadata: dict[str, str] = {}

    def put(self, Body: bytes, Metadata: dict[str, str] | None = None) -> None:
        """Store it (boto3)."""
        self._s3.put(self._bucket, self.name, Body, metadata=Metadata)

    def set_metadata(self, name: str, text: str) -> None:
        """Have it be stored with this (boto)."""
        self._metadata[name] = text

    def set_contents_from_string(self, data: bytes) -> None:
        """Store it (boto)."""
        self.put(data, self._metadata)

    @property
    def storage_class(self) -> str:
        """What it was stored as."""
        found = [call for call in self._s3.calls if call.method == "PUT" and call.key == self.name]
        return found[-1].headers["x-amz-storage-class"]


class Driver:
    """What DEPOT calls the bucket driver of a storage."""

    def __init__(self, s3: StrictS3, bucket: str, prefix: str) -> None:
        self._s3, self._bucket, self._prefix = s3, bucket, prefix

    def new_key(self, file_id: str) -> Object:
        """Return an object that is not stored yet."""
        return Object(self._s3, self._bucket, self._prefix + file_id)

    get_key = new_key


class Buckets:
    """A running server, and storages of its buckets."""

    def __init__(self, s3: StrictS3) -> None:
        self.s3 = s3

    def storage(self, kind: Any, bucket: str, prefix: str = "", **options: Any) -> Any:
        """Make a bucket, unless it is there, and a storage of it. ``kind``: one of our classes ``S3Storage``."""
        if bucket not in self.s3._s3.buckets:
            self.s3.create_bucket(bucket)
        where = {"host" if kind.__module__.endswith("awss3") else "endpoint_url": self.s3.endpoint}
        made = kind(*KEYS, bucket, prefix=prefix, **where, **options)
        made._bucket_driver = Driver(self.s3, bucket, prefix)
        return made

    def empty(self, storage: Any) -> None:
        """Remove all files of a storage."""
        for name in self.s3.objects(storage.bucket_name):
            self.s3.delete(storage.bucket_name, name)


def buckets() -> Buckets:
    """Start a server; ``s3.close()`` it."""
    return Buckets(StrictS3(keys=dict([KEYS])).start())
