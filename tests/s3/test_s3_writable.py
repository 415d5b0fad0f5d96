"""A bucket as the upper: what is sent, what is kept, what goes wrong. Faults are the server's own (``Faulty``)."""

from __future__ import annotations

import errno
import logging
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.test import Client

from mediamw import (
    BackendUnavailable,
    ConfigError,
    MediaStack,
    NameTaken,
    NotServable,
    NotWritable,
    S3Backend,
    TooLarge,
    Unreachable,
    WritableS3Backend,
    build_stack,
)
from mediamw.backends import s3_writer
from mediamw.backends.base import Deletes, Puts
from mediamw.core.keys import MAX_KEY_BYTES, Key
from mediamw.core.model import Hidden, Missing, Redirect
from mediamw.specs import build_backend
from mediamw.testing import SAMPLE_FILES, check_backend
from mediamw.testing.http_server import Answer
from mediamw.testing.s3_request import HttpRequest, S3Error
from mediamw.testing.strict_s3 import StrictS3
from mediamw.wsgi import MediaMiddleware

from .s3_world import ID, NO_LIST_ID, NO_LIST_SECRET, SECRET, TEMPORARY_ID, TEMPORARY_SECRET, TOKEN, fetch, unavailable

WRITER_ID = "AKWRITER"
UPPER, LOWER = "qa-media", "prod"
A = "homes/1/a.jpg"
PROBE = re.compile(r"(.*/)?\.mediamw/probe/[0-9a-f]{24}")

Fault = Callable[[HttpRequest, Callable[[HttpRequest], Answer]], Answer]


class Faulty(StrictS3):
    """``faults``: what becomes of the next writes, None for nothing; ``heeds`` False: conditions are not looked at."""

    heeds = True

    def __init__(self, **options: Any) -> None:
        self.faults: list[Fault | None] = []
        super().__init__(**options)

    def _answer(self, request: HttpRequest) -> Answer:
        fault = self.faults.pop(0) if self.faults and request.method in ("PUT", "POST", "DELETE") else None
        return super()._answer(request) if fault is None else fault(request, super()._answer)

    def _ask_moto(self, request: HttpRequest, bucket: str, raw_key: str) -> Answer:
        if not self.heeds:
            headers = tuple(pair for pair in request.headers if pair[0].lower() != "if-none-match")
            request = HttpRequest(request.method, request.target, headers, request.body)
        return super()._ask_moto(request, bucket, raw_key)


def says(status: int, code: str) -> Fault:
    return lambda *_: (status, [("Content-Type", "application/xml")], S3Error(status, code, "no").xml("1"))


def lost(_request: HttpRequest, _answer: Any) -> Answer:
    """The connection breaks before anything is done."""
    raise ConnectionResetError


def lost_when_done(request: HttpRequest, answer: Callable[[HttpRequest], Answer]) -> Answer:
    answer(request)
    raise ConnectionResetError


@pytest.fixture
def s3() -> Iterator[Faulty]:
    writers = {WRITER_ID: SECRET, TEMPORARY_ID: TEMPORARY_SECRET}
    readers = {ID: SECRET, NO_LIST_ID: NO_LIST_SECRET}
    tokens = {TEMPORARY_ID: TOKEN}
    with Faulty(keys=writers, read_only_keys=readers, no_list_keys=[NO_LIST_ID], session_tokens=tokens) as server:
        server.create_bucket(UPPER)
        server.create_bucket(LOWER)
        yield server
        assert [call for call in server.writes if call.bucket == LOWER] == []
        assert [key for key in server.objects(UPPER) if PROBE.fullmatch(key)] == []


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_writer, "PAUSE_SECONDS", 0)


def upper(s3: StrictS3, **options: Any) -> WritableS3Backend:
    given: dict[str, Any] = {"access_key_id": WRITER_ID, "secret_access_key": SECRET, "name": "qa"}
    return WritableS3Backend(UPPER, endpoint_url=s3.endpoint, **(given | options))


def stack_of(s3: StrictS3, first: WritableS3Backend | None = None, **options: Any) -> MediaStack:
    lower = S3Backend(LOWER, endpoint_url=s3.endpoint, access_key_id=ID, secret_access_key=SECRET, name="prod")
    return MediaStack([first or upper(s3), lower], **({"base_url": "/media/"} | options))


def bytes_of(stack: MediaStack, key: str) -> bytes:
    with stack.open(key) as file:
        return file.read()


# -- the contract ------------------------------------------------------------------------------------------------------


def fetched(method: str, url: str) -> tuple[int, dict[str, str], bytes]:
    status, body = fetch(url, method)
    return status, {}, body


@pytest.mark.parametrize(
    ("heeds", "location"),
    [
        pytest.param(True, "", marks=pytest.mark.slow),
        pytest.param(True, "up loads/ü", marks=pytest.mark.slow),
        pytest.param(False, "up loads/ü", marks=pytest.mark.slow),
    ],
)
def test_the_conformance_suite(s3: Faulty, heeds: bool, location: str) -> None:
    """Also at a server that silently overwrites: within one process uploads of one name are kept apart all the same."""
    s3.heeds = heeds
    for name, data in SAMPLE_FILES.items():
        s3.put(UPPER, f"{location}/{name}" if location else name, data)
    backend = upper(s3, location=location)
    check_backend(backend, SAMPLE_FILES, writable=True, fetch=fetched)
    assert backend.is_exclusive() is heeds
    assert len([call for call in s3.writes if PROBE.fullmatch(call.key)]) == 3  # once: PUT, PUT, DELETE


def test_it_is_no_read_only_bucket_and_no_read_only_bucket_is_it(s3: Faulty) -> None:
    made = upper(s3)
    assert isinstance(made, Puts)
    assert isinstance(made, Deletes)
    assert not isinstance(made, S3Backend)
    assert not issubclass(S3Backend, (Puts, Deletes))
    assert repr(made) == f"WritableS3Backend('s3://{UPPER}', name='qa', endpoint_url='{s3.endpoint}')"
    read_only = S3Backend(LOWER, endpoint_url=s3.endpoint, access_key_id=ID, secret_access_key=SECRET)
    assert not hasattr(read_only._account, "writing_client")


def test_specs() -> None:
    stack = build_stack(["qa=s3://qa-media/up?writable=true&region=eu-west-1", "s3://acme?writable=false"])
    assert [type(backend) for backend in stack.backends] == [WritableS3Backend, S3Backend]
    assert [backend.name for backend in stack.backends] == ["qa", "s3"]
    with pytest.raises(ConfigError, match="the first backend takes all writes"):
        MediaStack([S3Backend("acme"), WritableS3Backend("qa-media", name="qa")])
    with pytest.raises(ConfigError, match="writable: 'yes' is neither True nor False"):
        build_backend("s3://acme", "s3", {"writable": "yes"})


# -- what is stored ----------------------------------------------------------------------------------------------------


def test_an_upload_and_what_clients_are_told_of_it(s3: Faulty) -> None:
    stack = stack_of(s3)
    assert stack.save(A, b"new") == A
    assert stack.save("b", b"x", content_type="image/webp") == "b"
    assert stack.save("c.svgz", b"x") == "c.svgz"
    told = {}
    for key in (A, "b", "c.svgz"):
        [put] = [call for call in s3.writes if call.key == key]
        told[key] = tuple(put.headers.get(name) for name in ("content-type", "content-encoding", "cache-control"))
        assert put.headers["if-none-match"] == "*"
    assert told == {
        A: ("image/jpeg", None, "no-cache"),
        "b": ("image/webp", None, "no-cache"),
        "c.svgz": ("image/svg+xml", "gzip", "no-cache"),
    }
    found = stack.find(A)
    assert isinstance(found, Redirect)
    assert fetch(found.url) == (200, b"new")
    assert fetch(stack.url(A)) == (200, b"new")
    assert stack.stat(A).size == 3


def test_a_round_of_save_delete_restore(s3: Faulty) -> None:
    s3.put(LOWER, A, b"production")
    stack, other = stack_of(s3), stack_of(s3)
    assert bytes_of(other, A) == b"production"
    assert stack.save(A, b"new", names="shadow") == A
    assert bytes_of(other, A) == b"new"  # at once: nothing of the upper is remembered
    assert [entry.key for entry in other.shadowed()] == [A]
    assert stack.delete(A)
    assert isinstance(other.find(A), Hidden)
    assert list(other.hidden()) == [A]
    assert list(other.list("", recursive=True)) == []
    assert list(other.list("homes/")) == []
    assert other.explain(A).said == "hidden"
    assert not stack.delete(A)
    assert other.restore(A)
    assert bytes_of(stack, A) == b"production"
    assert [entry.backend for entry in stack.list("", recursive=True)] == ["prod"]
    assert set(s3.objects(LOWER)) == {A}
    assert s3.objects(UPPER) == {}


def test_nothing_of_it_is_remembered_and_no_file_costs_a_miss(s3: Faulty) -> None:
    s3.put(LOWER, A, b"production")
    stack = stack_of(s3, misses_a_minute=1)
    for _ in range(3):
        assert stack.exists(A)
    heads = [call.key for call in s3.heads if call.bucket == UPPER]
    assert heads.count(A) == 6  # two rounds each time
    s3.put(UPPER, A, b"by somebody else")
    assert bytes_of(stack, A) == b"by somebody else"


def test_by_proxy(s3: Faulty) -> None:
    stack = stack_of(s3, upper(s3, delivery="proxy"))
    stack.save(A, b"0123456789")
    client = Client(MediaMiddleware(NotFound(), stack))
    answer = client.get(f"/media/{A}", headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.data) == (206, b"234")
    stack.save(A, b"another", names="replace")
    assert client.get(f"/media/{A}").data == b"another"
    stack.delete(A)
    assert client.get(f"/media/{A}", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 404


def test_a_key_that_is_too_long_for_its_location(s3: Faulty) -> None:
    key = "/".join(["d" * 200] * 5) + "/x.jpg"
    assert len(key) <= MAX_KEY_BYTES < len(f"{'up' * 20}/{key}")
    s3.put(LOWER, key, b"production")
    stack = stack_of(s3, upper(s3, location="up" * 20))
    with pytest.raises(NotServable, match="more than 1024 bytes"):
        stack.save(key, b"new", names="shadow")
    assert bytes_of(stack, key) == b"production"
    assert stack.delete(key)  # its whiteout fits
    assert isinstance(stack.find(key), Hidden)


def test_an_upload_that_the_temporary_file_does_not_take(s3: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, *_: Any) -> None: ...

        def write(self, _: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self) -> None: ...

    stack = stack_of(s3)
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Full)
    with pytest.raises(BackendUnavailable, match=r"No space left on device \(.*where an upload to a bucket waits"):
        upper(s3).draft(b"x")
    assert stack.find(A) == Missing()


@pytest.mark.slow
def test_fifty_pairs_of_uploads_of_one_name(s3: Faulty) -> None:
    stacks = [stack_of(s3), stack_of(s3)]  # two backends share nothing but the bucket
    for stack in stacks:
        stack.save("warm", b"x")
    start = threading.Barrier(2)

    def upload(stack: MediaStack) -> list[str]:
        return [(start.wait(60), stack.save(f"race/{number}.jpg", b"x"))[1] for number in range(50)]

    with ThreadPoolExecutor(2) as pool:
        got = [name for names in pool.map(upload, stacks) for name in names]
    assert len(set(got)) == 100
    assert len(list(stacks[0].list("race/"))) == 100


# -- servers that do not know conditions -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["overwrites", "does not know it", "does not take it", "refuses it always"])
def test_a_server_that_cannot_keep_uploads_apart(s3: Faulty, how: str, caplog: pytest.LogCaptureFixture) -> None:
    s3.heeds = False
    refusals = {"does not know it": says(501, "NotImplemented"), "does not take it": says(400, "InvalidArgument")}
    refusals["refuses it always"] = says(412, "PreconditionFailed")
    if how in refusals:
        s3.faults = [refusals[how]]
    stack = stack_of(s3)
    got = [stack.save(A, b"new") for _ in range(3)]
    assert all(re.fullmatch(r"homes/1/a_[A-Za-z0-9]{7}\.jpg", name) for name in got)
    assert len(set(got)) == 3
    names: Any
    for names in ("error", "shadow"):
        before = len(s3.writes)
        with pytest.raises(NotWritable, match=r"does not honour If-None-Match.*give names='suffix', or 'replace'"):
            stack.save(A, iter(lambda: pytest.fail("nothing is read"), None), names=names)
        assert len(s3.writes) == before
    assert stack.save(A, b"new", names="replace") == A
    assert [record.getMessage() for record in caplog.records if "If-None-Match (put)" in record.getMessage()] != []


def test_whether_a_server_knows_is_asked_once_and_not_believed_after_a_failure(s3: Faulty) -> None:
    stack = stack_of(s3)
    s3.faults = [says(500, "InternalError")] * 5
    with pytest.raises(Unreachable):
        stack.save(A, b"new")
    assert s3.objects(UPPER) == {}
    stack.save(A, b"new")
    stack.save("b", b"new")
    assert len([call for call in s3.writes if PROBE.fullmatch(call.key)]) == 4  # PUT, PUT, DELETE; and the first DELETE


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.fixture
def warm(s3: Faulty) -> MediaStack:
    """A stack that knows its server."""
    stack = stack_of(s3)
    stack.save("warm", b"x")
    return stack


@pytest.mark.parametrize("names", ["suffix", "replace"])
@pytest.mark.parametrize(
    "faults",
    [
        [lost],
        [lost_when_done],
        [says(503, "SlowDown")] * 3,
        [says(500, "InternalError"), lost_when_done],
        [says(409, "ConditionalRequestConflict")] * 2,
    ],
    ids=["lost", "lost when done", "slow down", "both", "conflict"],
)
def test_what_passes(s3: Faulty, warm: MediaStack, names: Any, faults: list[Fault]) -> None:
    """One upload is one file, under the name that was asked for."""
    s3.faults = list(faults)
    assert warm.save(A, b"new", names=names) == A
    assert s3.faults == []
    assert {key: data for key, data in s3.objects(UPPER).items() if key != "warm"} == {A: b"new"}


def test_an_answer_that_is_lost_while_somebody_else_has_the_name(s3: Faulty, warm: MediaStack) -> None:
    def other_then_lost(*_: Any) -> Answer:
        s3.put(UPPER, A, b"somebody else's")
        raise ConnectionResetError

    s3.faults = [other_then_lost]
    assert warm.save(A, b"new") != A
    assert bytes_of(warm, A) == b"somebody else's"


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (lost, Unreachable, "could not be reached, or broke off"),
        (says(503, "SlowDown"), Unreachable, r"answered 503 \(SlowDown\) to PutObject: it is overloaded"),
        (says(403, "AccessDenied"), BackendUnavailable, r"\(AccessDenied\) to PutObject: .* allow s3:PutObject"),
        (says(400, "ExpiredToken"), BackendUnavailable, "the session token has expired"),
        (says(403, "SignatureDoesNotMatch"), BackendUnavailable, "the secret access key is wrong"),
        (says(403, "RequestTimeTooSkewed"), BackendUnavailable, "this machine's clock is off"),
        (says(400, "EntityTooLarge"), TooLarge, "longer than the bucket takes"),
        (says(400, "KeyTooLongError"), NotServable, "longer than S3's can be"),
        (says(404, "NoSuchBucket"), BackendUnavailable, f"there is no bucket {UPPER}"),
        (lambda *_: (200, [], b"<html>"), Unreachable, "it is overloaded or out of order"),
        (lambda *_: (403, [], b"<html>"), BackendUnavailable, "answered 403"),
    ],
    ids=["lost", "slow down", "denied", "expired", "secret", "clock", "large", "long", "bucket", "html", "html 403"],
)
def test_what_does_not_pass(s3: Faulty, warm: MediaStack, fault: Fault, kind: type[Exception], said: str) -> None:
    s3.put(LOWER, A, b"production")
    s3.faults = [fault] * 8
    with pytest.raises(kind, match=said) as caught:
        warm.save(A, b"new", names="shadow")
    assert SECRET not in str(caught.value)
    assert set(s3.objects(UPPER)) == {"warm"}
    s3.faults = []
    assert bytes_of(warm, A) == b"production"


def test_keys_that_may_not_write(s3: Faulty) -> None:
    s3.put(UPPER, A, b"x")
    reader = upper(s3, access_key_id=ID)
    assert "allow s3:PutObject" in unavailable(lambda: stack_of(s3, reader).save("b", b"x"))
    assert "allow s3:DeleteObject" in unavailable(lambda: reader.delete(Key(A)))
    assert "the access key id is unknown" in unavailable(
        lambda: upper(s3, access_key_id="AKNOBODY").put(Key("b"), b"x")
    )
    blind = upper(s3, access_key_id=NO_LIST_ID, secret_access_key=NO_LIST_SECRET)
    assert "allow s3:ListBucket" in unavailable(lambda: blind.put(Key("b"), b"x"))
    assert s3.objects(UPPER) == {A: b"x"}
    temporary = upper(s3, access_key_id=TEMPORARY_ID, secret_access_key=TEMPORARY_SECRET, session_token=TOKEN)
    temporary.put(Key("b"), b"x")
    assert temporary.delete(Key("b"))


def test_an_upper_that_is_away_is_never_answered_for(s3: Faulty, caplog: pytest.LogCaptureFixture) -> None:
    s3.put(LOWER, A, b"production")
    away = WritableS3Backend(
        UPPER, endpoint_url="http://127.0.0.1:9", access_key_id=WRITER_ID, secret_access_key=SECRET, name="qa"
    )
    stack = stack_of(s3, away)
    client = Client(MediaMiddleware(lambda *_: [b"app"], stack))
    for _ in range(5):  # the breaker is open by then
        assert client.get(f"/media/{A}").status_code == 503
    for call in (lambda: stack.save(A, b"x"), lambda: stack.delete(A), lambda: stack.exists(A), lambda: stack.url(A)):
        with pytest.raises(Unreachable):
            call()
    assert [call for call in s3.calls if call.bucket == LOWER and call.key == A] == []
    assert stack.explain(A).said == "unavailable"


def test_no_secret_is_logged(s3: Faulty, caplog: pytest.LogCaptureFixture) -> None:
    """The fixture of this folder looks at all that botocore says at DEBUG, of a PUT with a session token too."""
    caplog.set_level(logging.DEBUG)
    stack = stack_of(s3, upper(s3, access_key_id=TEMPORARY_ID, secret_access_key=TEMPORARY_SECRET, session_token=TOKEN))
    stack.save(A, b"x")
    stack.delete(A)
    assert any(record.name == "botocore.auth" for record in caplog.records)


# -- in parts ----------------------------------------------------------------------------------------------------------

MIB = 1024 * 1024


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_writer, "MAX_SINGLE_BYTES", 6 * MIB)
    monkeypatch.setattr(s3_writer, "PART_BYTES", 5 * MIB)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("more", "parts"), [(1, 2), *(pytest.param(*more, marks=pytest.mark.slow) for more in ((0, 0), (5 * MIB, 3)))]
)
def test_how_a_file_goes(s3: Faulty, more: int, parts: int) -> None:
    backend, data = upper(s3), os.urandom(6 * MIB + more)
    backend.put(Key("big"), data)
    assert s3.objects(UPPER)["big"] == data
    assert len([call for call in s3.writes if call.key == "big" and "partNumber" in call.query]) == parts
    with pytest.raises(NameTaken):
        backend.put(Key("big"), data[::-1])
    assert s3.objects(UPPER)["big"] == data
    backend.put(Key("big"), data[::-1], replace=True)
    assert s3.objects(UPPER)["big"] == data[::-1]
    assert s3._s3.buckets[UPPER].multiparts == {}


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("faults", "kept"),
    [
        ([None, lost], True),
        ([None, None, None, lost_when_done], True),
        ([None, None, None, says(409, "ConditionalRequestConflict")], True),
        ([None, says(403, "AccessDenied")], False),
        ([None, lost, lost, None, lost], False),  # a part, twice; the abort; all of it, once more
    ],
    ids=["a part is lost", "the end is lost when done", "conflict", "denied", "away"],
)
def test_parts_that_go_wrong(s3: Faulty, faults: list[Fault | None], kept: bool) -> None:
    backend, data = upper(s3), os.urandom(7 * MIB)
    assert backend.is_exclusive()
    backend.put(Key("warm"), data)  # and knows of parts, too
    s3.faults = list(faults)
    if kept:
        backend.put(Key("big"), data)
    else:
        with pytest.raises(BackendUnavailable):
            backend.put(Key("big"), data)
    assert ("big" in s3.objects(UPPER)) == kept
    assert s3._s3.buckets[UPPER].multiparts == {}


@pytest.mark.usefixtures("small_parts")
def test_nothing_lies_beside_the_location(s3: Faulty) -> None:
    """Nor is tried there: the key may have rights to it alone."""
    s3.put(LOWER, A, b"production")
    stack = stack_of(s3, upper(s3, location="branch-7"))
    stack.save("big", bytes(7 * MIB))
    stack.delete(A)
    stack.delete("big")
    assert list(stack.hidden()) == [A]
    assert [call.key for call in s3.writes if not call.key.startswith("branch-7/")] == []
    assert [
        call for call in s3.calls if call.bucket == UPPER and not call.key.startswith("branch-7/") and call.key
    ] == []
    listed = [call.query["prefix"] for call in s3.calls if call.bucket == UPPER and not call.key]
    assert listed
    assert all(prefix.startswith("branch-7/") for prefix in listed)


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
def test_where_parts_are_not_exclusive_a_file_goes_whole(s3: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, data = upper(s3), os.urandom(7 * MIB)
    assert backend.is_exclusive()
    s3.heeds = False
    assert not backend._writer.honours_conditions("parts")
    s3.heeds = True
    s3.clear_calls()
    backend.put(Key("big"), data)
    assert [call.method for call in s3.writes] == ["PUT"]
    assert s3.objects(UPPER)["big"] == data
