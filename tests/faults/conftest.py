"""For the fault tests: certificates, and a sound server with one file that anybody may read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mediamw.testing.strict_s3 import StrictS3

from .certificates import Certificates, make_certificates

BODY = bytes(range(256)) * 800  # 204,800 bytes: more than one piece
PATH = "/prod/photo.jpg"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def sound() -> Iterator[StrictS3]:
    with StrictS3(keys={}, public_buckets=["prod"]) as server:
        server.create_bucket("prod")
        server.put("prod", "photo.jpg", BODY, content_type="image/jpeg")
        yield server
