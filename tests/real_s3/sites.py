"""One way to speak of three servers: what each is asked with, and how its buckets are filled.

A bucket is filled by other means than the reader's key, which may read and list it and nothing else: StrictS3 through
moto's memory, Swift with an administrator's key, rclone through the directory that it serves read-only.
"""

from __future__ import annotations

import http.client
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config

from mediamw.backends.s3 import S3Backend
from mediamw.backends.sigv4 import Credentials, Signer
from mediamw.testing.strict_s3 import StrictS3

from . import rclone as rclones
from . import swift as swifts
from .rclone import Rclone
from .swift import Swift

REGION = "us-east-1"
Put = Callable[[str, str, bytes, str], None]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    @property
    def code(self) -> str:
        """S3's word for an error, "" if there is none."""
        match = re.search(rb"<Code>([^<]*)</Code>", self.body)
        return match[1].decode() if match else ""


@dataclass
class Site:
    """A server: ``name`` is its name in the table of deviations."""

    name: str
    endpoint: str
    reader: tuple[str, str]
    make_bucket: Callable[[str], None] = field(repr=False)
    put_typed: Put = field(repr=False)
    delete: Callable[[str, str], None] = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def new_bucket(self, files: Mapping[str, bytes] | None = None) -> str:
        """Make a bucket that nobody else has, holding ``files``, and return its name."""
        bucket = f"media-{next(self._numbers)}"
        self.make_bucket(bucket)
        for name, data in (files or {}).items():
            self.put(bucket, name, data)
        return bucket

    def put(self, bucket: str, key: str, data: bytes, content_type: str = "binary/octet-stream") -> None:
        """Write an object, by other means than the reader's key."""
        self.put_typed(bucket, key, data, content_type)

    def signer(self, secret: str | None = None, region: str = REGION) -> Signer:
        """The signer of the reader's key."""
        return Signer(Credentials(self.reader[0], secret or self.reader[1]), region)

    @contextmanager
    def backend(self, bucket: str, **options: Any) -> Iterator[S3Backend]:
        """Our backend for ``bucket``, with the reader's key."""
        given: dict[str, Any] = {
            "access_key_id": self.reader[0],
            "secret_access_key": self.reader[1],
            "endpoint_url": self.endpoint,
            "name": self.name,
        }
        made = S3Backend(bucket, **(given | options))
        try:
            yield made
        finally:
            made.close()


def ask(method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
    """Send one request to exactly this URL, as a browser does: nothing is normalised, nothing is followed."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=20)) as connection:
        connection.request(method, url.removeprefix(f"{parts.scheme}://{parts.netloc}"), body, dict(headers or {}))
        with connection.getresponse() as response:
            return Answer(response.status, response.headers, response.read())


def fetch(method: str, url: str) -> tuple[int, Mapping[str, str], bytes]:
    """``ask``, in the form that the conformance suite wants."""
    answer = ask(method, url)
    return answer.status, dict(answer.headers.items()), answer.body


@contextmanager
def client(endpoint: str, key: tuple[str, str], style: str = "path") -> Iterator[Any]:
    """botocore's client, which can do all that S3 can: what our backend has not got."""
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": style},
        retries={"total_max_attempts": 1, "mode": "standard"},
        ignore_configured_endpoint_urls=True,
    )
    made = session.create_client(
        "s3",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=config,
    )
    with closing(made):
        yield made


def strict_site(server: StrictS3, reader: tuple[str, str]) -> Site:
    """Our own stand-in, for comparison: what it says must be what S3 says."""
    return Site(
        name="strict",
        endpoint=server.endpoint,
        reader=reader,
        make_bucket=server.create_bucket,
        put_typed=lambda bucket, key, data, kind: void(server.put(bucket, key, data, content_type=kind)),
        delete=lambda bucket, key: void(server.delete(bucket, key)),
    )


def swift_site(server: Swift, admin: Any) -> Site:
    """``admin`` is a client of the administrator."""

    def make_bucket(bucket: str) -> None:
        admin.create_bucket(Bucket=bucket)
        server.let_read(bucket)

    return Site(
        name="swift",
        endpoint=server.endpoint,
        reader=(swifts.READER_ID, swifts.READER_SECRET),
        make_bucket=make_bucket,
        put_typed=lambda bucket, key, data, kind: void(
            admin.put_object(Bucket=bucket, Key=key, Body=data, ContentType=kind)
        ),
        delete=lambda bucket, key: void(admin.delete_object(Bucket=bucket, Key=key)),
    )


def rclone_site(server: Rclone) -> Site:
    """A directory: the content type follows from the name."""

    def put(bucket: str, key: str, data: bytes, _kind: str) -> None:
        path = server.root / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return Site(
        name="rclone",
        endpoint=server.endpoint,
        reader=(rclones.READER_ID, rclones.READER_SECRET),
        make_bucket=lambda bucket: (server.root / bucket).mkdir(),
        put_typed=put,
        delete=lambda bucket, key: (server.root / bucket / key).unlink(),
    )


def void(_: object) -> None:
    """Drop what a server's own method returns."""
