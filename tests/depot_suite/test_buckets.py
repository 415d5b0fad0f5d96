"""DEPOT's tests of its storages in buckets."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import pytest

pytest.importorskip("moto")

from mediamw.ext.depot.io import awss3, boto3

from .buckets import KEYS, Buckets, buckets
from .loader import expecting, load

_INTERFACE = load("test_storage_interface")


class _OnStrictS3:
    """The tests of the interface, with another way to come by a storage."""

    kind: ClassVar[Any]
    prefix = ""
    server: ClassVar[Buckets]

    @classmethod
    def get_storage(cls, bucket_name: str) -> Any:
        return cls.server.storage(cls.kind, bucket_name, cls.prefix)

    @classmethod
    def delete_storage(cls, storage: Any) -> None:
        storage.stack.close()

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = buckets()
        cls.fs = cls.get_storage(f"fdtest-{uuid.uuid1()}")

    def tearDown(self) -> None:
        self.server.empty(self.fs)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.delete_storage(cls.fs)
        cls.server.s3.close()


class TestS3FileStorage(_OnStrictS3, _INTERFACE.TestS3FileStorage):  # type: ignore[misc] - a module made at run time
    kind = awss3.S3Storage


class TestS3FileStorageWithPrefix(_OnStrictS3, _INTERFACE.TestS3FileStorageWithPrefix):  # type: ignore[misc]
    kind = awss3.S3Storage
    prefix = "my-prefix/"


class TestBoto3FileStorage(_OnStrictS3, _INTERFACE.TestBoto3FileStorage):  # type: ignore[misc]
    kind = boto3.S3Storage


class TestBoto3FileStorageWithoutSlash(_OnStrictS3, _INTERFACE.TestBoto3FileStorage):  # type: ignore[misc]
    kind = boto3.S3Storage
    prefix = "my-prefix-"


class _Buckets:
    """The tests of what lies in a bucket."""

    kind: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = buckets()
        cls.cred = KEYS
        cls.bucket = f"filedepot-testfs-{uuid.uuid1()}"
        cls.fs = cls.server.storage(cls.kind, cls.bucket)
        load(cls.vendored).S3Storage = cls.make

    @classmethod
    def make(cls, key: str, secret: str, bucket: str = "default", **options: Any) -> Any:
        assert (key, secret) == KEYS
        return cls.server.storage(cls.kind, bucket, **options)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.fs.stack.close()
        cls.server.s3.close()


class TestBoto3Bucket(_Buckets, load("test_boto3_storage").TestS3FileStorage):  # type: ignore[misc]
    kind, vendored = boto3.S3Storage, "test_boto3_storage"


class TestAwss3Bucket(_Buckets, load("test_awss3_storage").TestS3FileStorage):  # type: ignore[misc]
    kind, vendored = awss3.S3Storage, "test_awss3_storage"


for _case in [value for name, value in vars().copy().items() if name.startswith("Test")]:
    expecting(_case, f"test_buckets.{_case.__name__}")
del _case
