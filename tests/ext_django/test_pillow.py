"""What is read of a bucket's file through the storage: what is needed, and little more."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from django.core.files.images import ImageFile, get_image_dimensions
from django.core.files.storage import default_storage
from PIL import Image

from mediamw.testing import StrictS3

from .test_media_storage import OURS
from .test_storages import ID, SECRET

MEGABYTE = 1024 * 1024


def picture(size: int) -> bytes:
    """Return a PNG of ``size`` bytes at least: its pixels, and a chunk that nobody needs."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8000, 6000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", bytes(size)) + chunk(b"IEND", b"")


def read_of(server: StrictS3) -> int:
    """Return how many bytes the bucket was asked for."""
    total = 0
    for call in server.gets:
        first, last = call.headers["range"].removeprefix("bytes=").split("-")
        total += int(last) - int(first) + 1
    return total


def test_the_size_of_a_large_picture(project: Any) -> None:
    with StrictS3(keys={}, read_only_keys={ID: SECRET}, region="eu-west-1") as server:
        server.create_bucket("acme")
        server.put("acme", "large.png", picture(50 * MEGABYTE))
        bucket = {"spec": "s3://acme", "access_key_id": ID, "secret_access_key": SECRET, "region": "eu-west-1"}
        bucket["endpoint_url"] = server.endpoint
        project(STORAGES={"default": OURS}, MEDIAMW={"backends": ["media", bucket]})
        with default_storage.open("large.png") as file, Image.open(file) as image:
            assert (image.size, file.size) == ((8000, 6000), len(picture(50 * MEGABYTE)))
        assert 0 < read_of(server) < 256 * 1024
        with default_storage.open("large.png") as file:
            assert get_image_dimensions(ImageFile(file)) == (8000, 6000), "as an ImageField has it"
        assert read_of(server) < 2 * 256 * 1024
        assert server.writes == []
        assert {call.access_key_id for call in server.calls} == {ID}
