"""What each trouble is called, which error it is (the breaker opens for some alone), and the way out in its text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email.utils import formatdate
from time import time
from typing import Any

import pytest

from mediamw.backends.base import Remote
from mediamw.backends.s3 import S3Backend
from mediamw.core.errors import BackendUnavailable, NotServable, Unreachable

from ..faults.scripted import Origin
from .s3_world import ID, SECRET, key
from .test_s3_faults import error, status

PHOTO = key("a/b c.jpg")
MakeOrigin = Callable[..., Origin]


@pytest.fixture
def connect() -> Iterator[Callable[..., S3Backend]]:
    backends: list[S3Backend] = []

    def make(server: Origin, **options: Any) -> S3Backend:
        keys: dict[str, Any] = {} if options.get("anonymous") else {"access_key_id": ID, "secret_access_key": SECRET}
        made = S3Backend("prod", endpoint_url=server.url, name="prod", **keys, **options)
        backends.append(made)
        return made

    yield make
    for made in backends:
        made.close()


def caught(call: Callable[[], Any]) -> BackendUnavailable:
    with pytest.raises(BackendUnavailable) as info:
        call()
    return info.value


@pytest.mark.parametrize(
    ("answers", "opens_the_breaker", "said"),
    [
        ([status(500)], True, "answered 500 to HEAD: it is overloaded or out of order"),
        ([status(502)], True, "answered 502"),
        ([status(503, "Retry-After: 7")], True, "answered 503"),
        ([status(404), error(503, "SlowDown")], True, "404 (SlowDown) to HEAD and 503 to GET"),
        ([status(403), error(500, "InternalError")], True, "403 (InternalError)"),
        ([status(400), status(400)], False, "answered 400 to HEAD"),
        (
            [
                status(400),
                status(
                    400, body=b"<Error><Code>AuthorizationQueryParametersError</Code><Region>eu-west-1</Region></Error>"
                ),
            ],
            False,
            "bucket prod is in eu-west-1, not in us-east-1: set region=eu-west-1",
        ),
        ([status(200, "Content-Length: 82")], False, "answered 200 for bucket prod, but not as S3 does (no ETag)"),
        ([status(429)], False, "answered 429 to HEAD"),
        ([status(301, "x-amz-bucket-region: eu-west-1")], False, "is in eu-west-1, not in us-east-1: set region="),
        ([status(403), error(403, "AccessDenied")], False, "allow s3:ListBucket"),
        ([status(403), error(403, "SignatureDoesNotMatch")], False, "the secret access key is wrong"),
        ([status(403), error(403, "RequestTimeTooSkewed")], False, "this machine's clock is off"),
        ([status(404), error(404, "NoSuchBucket")], False, "or leave it out if it was deleted"),
    ],
)
def test_refusals_and_outages(
    origin: MakeOrigin, connect: Callable[..., S3Backend], answers: list[bytes], opens_the_breaker: bool, said: str
) -> None:
    raised = caught(lambda: connect(origin(*answers)).open(PHOTO))
    assert isinstance(raised, Unreachable) == opens_the_breaker
    assert said in raised.reason
    assert (raised.backend, raised.key, raised.operation) == ("prod", PHOTO, "open")
    assert raised.retry_after == (7 if b"Retry-After" in answers[0] else 10)


def test_what_anonymous_access_may_not(origin: MakeOrigin, connect: Callable[..., S3Backend]) -> None:
    late = f"Date: {formatdate(time() - 5000, usegmt=True)}"  # nothing is signed: a clock is nobody's trouble
    server = origin(status(403, late), error(403, "AccessDenied"))
    said = caught(lambda: connect(server, anonymous=True).open(PHOTO)).reason
    assert "403 (AccessDenied): anonymous=True, but not everybody may read there: give credentials instead" in said


RESTORED = 'x-amz-restore: ongoing-request="false", expiry-date="Fri, 21 Dec 2027 00:00:00 GMT"'


@pytest.mark.parametrize(
    ("headers", "tier"),
    [
        (["x-amz-storage-class: GLACIER"], "GLACIER"),
        (["x-amz-storage-class: DEEP_ARCHIVE"], "DEEP_ARCHIVE"),
        (["x-amz-storage-class: GLACIER", 'x-amz-restore: ongoing-request="true"'], "GLACIER"),
        (["x-amz-storage-class: INTELLIGENT_TIERING", "x-amz-archive-status: ARCHIVE_ACCESS"], "ARCHIVE_ACCESS"),
        (["x-amz-storage-class: GLACIER", RESTORED], None),
        (["x-amz-storage-class: DEEP_ARCHIVE", RESTORED], None),
        (["x-amz-storage-class: GLACIER_IR"], None),
        (["x-amz-storage-class: STANDARD_IA"], None),
        (["x-amz-storage-class: INTELLIGENT_TIERING"], None),
        ([], None),
    ],
)
def test_archived_objects(
    origin: MakeOrigin, connect: Callable[..., S3Backend], headers: list[str], tier: str | None
) -> None:
    server = origin(status(200, *headers, "Content-Length: 5", 'ETag: "1"'))
    made = connect(server)
    if tier is None:
        assert isinstance(made.open(PHOTO), Remote)
        return
    with pytest.raises(NotServable) as info:
        made.open(PHOTO)
    assert f"archived ({tier})" in info.value.reason
    assert "aws s3api restore-object" in info.value.reason
    assert ("is being restored" in info.value.reason) == ("true" in str(headers))
    assert (info.value.backend, info.value.key) == ("prod", PHOTO)


@pytest.mark.parametrize(
    ("answer", "opens_the_breaker", "said"),
    [
        (error(503, "SlowDown"), True, "SlowDown"),
        (error(500, "InternalError"), True, "InternalError"),
        (error(403, "AccessDenied"), False, "allow s3:ListBucket"),
        (error(404, "NoSuchBucket"), False, "there is no bucket prod at http://127.0.0.1"),
        (error(403, "RequestTimeTooSkewed"), False, "this machine's clock is off"),
        (error(403, "SignatureDoesNotMatch"), False, "the secret access key is wrong"),
        (None, True, "could not be reached: "),
    ],
)
def test_listings(
    origin: MakeOrigin,
    connect: Callable[..., S3Backend],
    answer: bytes | None,
    opens_the_breaker: bool,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pause before it asks again
    made = connect(origin(*[answer] * 4))
    raised = caught(lambda: list(made.list("", recursive=True)))
    assert isinstance(raised, Unreachable) == opens_the_breaker
    assert "listing failed: " in raised.reason
    assert said in raised.reason
    assert (raised.backend, raised.operation) == ("prod", "list")
