"""The proof by another's log: with a key that may only read all goes well, and it asks for nothing but GET and HEAD."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from mediamw import LocalBackend, MediaStack, asgi, wsgi
from mediamw.testing import SAMPLE_FILES, check_backend

from ..http_table.callers import acall_asgi, call_wsgi
from .sites import Site, ask, client, fetch
from .swift import READER_ID, READER_SECRET, Asked, Swift
from .test_middleware import asgi_app, wsgi_app

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


class Log:
    """The access log from now on: whoever asked, signed or not, for whichever target."""

    def __init__(self, swift: Swift) -> None:
        self._swift = swift
        self._start = len(self._up_to_now())

    def since(self) -> list[Asked]:
        """What was asked since this was made, but for the marker."""
        return self._up_to_now()[self._start : -1]

    def _up_to_now(self) -> list[Asked]:
        # A request of our own, unsigned, is waited for: what was answered before it is in the log before it.
        marker = f"marker-{next(_MARKERS)}-"
        ask("GET", f"{self._swift.endpoint}/{marker}")
        return self._swift.wait_for(marker)


_MARKERS = itertools.count()


def a_full_session(site: Site, bucket: str, upper: Path) -> None:
    """All that mediamw can do with a bucket."""
    with site.backend(bucket) as backend:
        check_backend(backend, SAMPLE_FILES, writable=False, fetch=fetch)
    with site.backend(bucket) as backend, closing(MediaStack([LocalBackend(upper), backend])) as stack:
        callers = wsgi.MediaMiddleware(wsgi_app, stack), asgi.MediaMiddleware(asgi_app, stack)
        for method in METHODS:
            for target in ("/media/a.txt", "/media/nobody.jpg", "/media/", "/media/../a.txt"):
                one = call_wsgi(callers[0], method, target)
                other = asyncio.run(acall_asgi(callers[1], method, target))
                assert one.status == other.status
                if target == "/media/a.txt":
                    assert one.status == (302 if method in ("GET", "HEAD") else 299)  # 299: it is the app's
        location = call_wsgi(callers[0], "GET", "/media/a.txt").get("location")
        assert location is not None
        assert ask("GET", location).body == b"a"
        with stack.open("big.bin") as file:
            assert file.read() == SAMPLE_FILES["big.bin"]
        assert stack.stat("a.txt").size == 1
        assert not stack.exists("nobody.jpg")
        assert {entry.key for entry in stack.list(recursive=True)} == set(SAMPLE_FILES)
        assert stack.url("a.txt").startswith(site.endpoint)


def test_nothing_but_get_and_head_is_ever_asked(swift: Swift, swift_as_site: Site, admin: Any, tmp_path: Path) -> None:
    bucket = swift_as_site.new_bucket(SAMPLE_FILES)
    before = listing(admin, bucket)
    log = Log(swift)
    a_full_session(swift_as_site, bucket, tmp_path)
    session = log.since()
    assert {row.user for row in session} == {READER_ID}
    assert {row.method for row in session} == {"GET", "HEAD"}
    counts = Counter(row.method for row in session)
    assert min(counts.values()) > len(SAMPLE_FILES), "the log has not all of it"
    assert listing(admin, bucket) == before


def listing(admin: Any, bucket: str) -> list[tuple[str, str, Any]]:
    found = admin.list_objects_v2(Bucket=bucket)
    assert not found["IsTruncated"]
    return [(item["Key"], item["ETag"], item["LastModified"]) for item in found["Contents"]]


WRITES: dict[str, tuple[str, dict[str, Any]]] = {
    "put_object": ("PUT", {"Bucket": "B", "Key": "a.txt", "Body": b"overwritten"}),
    "delete_object": ("DELETE", {"Bucket": "B", "Key": "a.txt"}),
    "copy_object": ("PUT", {"Bucket": "B", "Key": "copy.txt", "CopySource": "B/a.txt"}),
    "create_multipart_upload": ("POST", {"Bucket": "B", "Key": "a.txt"}),
    "create_bucket": ("PUT", {"Bucket": "B-mine"}),
}


@pytest.mark.parametrize("operation", WRITES)
def test_a_write_with_that_key_is_refused_and_logged(
    swift: Swift, swift_as_site: Site, admin: Any, operation: str
) -> None:
    """Else the test above would prove nothing: the log does hold what else that key is used for."""
    bucket = swift_as_site.new_bucket({"a.txt": b"a"})
    before = listing(admin, bucket)
    log = Log(swift)
    method, template = WRITES[operation]
    given = {
        name: text.replace("B", bucket) if name in ("Bucket", "CopySource") else text for name, text in template.items()
    }
    with (
        client(swift.endpoint, (READER_ID, READER_SECRET)) as theirs,
        pytest.raises(botocore.exceptions.ClientError) as caught,
    ):
        getattr(theirs, operation)(**given)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    rows = log.since()
    assert listing(admin, bucket) == before
    assert [(row.method, row.status, row.user) for row in rows] == [(method, 403, READER_ID)]
