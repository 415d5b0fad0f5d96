"""What the tests of the S3 backend share: keys, a clock, a client, and the search for secrets in what is shown."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from mediamw.backends.s3 import S3Backend
from mediamw.core.errors import BackendUnavailable
from mediamw.core.keys import Key
from mediamw.testing.strict_s3 import StrictS3

ID, SECRET = "AKREADONLY", "read-only-secret"
TEMPORARY_ID, TEMPORARY_SECRET, TOKEN = "AKTEMPORARY", "temporary-secret", "session/token+of=the&test"
NO_LIST_ID, NO_LIST_SECRET = "AKNOLIST", "no-list-secret"
BUCKET = "prod"
DATA = bytes(range(256)) * 4

_SHOWS_SECRET = re.compile(
    "|".join(map(re.escape, (SECRET, TEMPORARY_SECRET, TOKEN, NO_LIST_SECRET)))
    + r"|Signature[=:]\s*[0-9a-f]{64}|Security-Token=(?!REDACTED)",
    re.IGNORECASE,
)


class Clock:
    """The server's clock: the real one plus an offset."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset_s


@contextmanager
def s3_server(clock: Clock, **options: Any) -> Iterator[StrictS3]:
    """A server where every key is read-only, with one object, and where nothing was written when it ends."""
    with StrictS3(
        keys={},
        read_only_keys={ID: SECRET, TEMPORARY_ID: TEMPORARY_SECRET, NO_LIST_ID: NO_LIST_SECRET},
        no_list_keys=[NO_LIST_ID],
        session_tokens={TEMPORARY_ID: TOKEN},
        clock=clock,
        **options,
    ) as server:
        server.create_bucket(BUCKET)
        server.put(BUCKET, "a/b c.jpg", DATA, content_type="image/jpeg")
        yield server
        assert server.writes == []


def backend(server: StrictS3, **options: Any) -> S3Backend:
    given: dict[str, Any] = {
        "access_key_id": ID,
        "secret_access_key": SECRET,
        "endpoint_url": server.endpoint,
        "name": "prod",
    }
    return S3Backend(BUCKET, **(given | options))


def fetch(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """What a browser gets: one request, exactly the URL."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=10)) as connection:
        connection.request(method, url.removeprefix(f"{parts.scheme}://{parts.netloc}"), headers=headers or {})
        with connection.getresponse() as response:
            return response.status, response.read()


def unavailable(call: Callable[[], Any]) -> str:
    """The text of the BackendUnavailable that ``call`` raises, which shows no secret in any form."""
    with pytest.raises(BackendUnavailable) as caught:
        call()
    error: BaseException | None = caught.value
    while error is not None:  # a traceback prints the causes too
        for text in (str(error), repr(error), str(error.args)):
            assert not _SHOWS_SECRET.search(text), text
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return str(caught.value)


def assert_logs_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Not at DEBUG either, and not in what botocore and urllib3 log."""
    for record in caplog.get_records("call"):
        assert not _SHOWS_SECRET.search(record.getMessage() + repr(record.args)), record.getMessage()


def key(name: str) -> Key:
    return Key(name)
