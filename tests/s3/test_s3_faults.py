"""An origin that misbehaves, made of a socket of the test's own: what is said then, and what is never said."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from mediamw.backends import origin_http, s3_errors
from mediamw.backends.base import Remote
from mediamw.backends.origin_http import OriginHTTP
from mediamw.backends.s3 import S3Backend
from mediamw.core.errors import BackendUnavailable, ContentChanged

from ..faults.scripted import CLOSE, Origin, error, status
from .s3_world import ID, SECRET, TOKEN, key, unavailable

PHOTO = key("a/b c.jpg")
OK_HEAD = b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "1"\r\n\r\n'


@pytest.fixture
def connect() -> Iterator[Callable[[str], S3Backend]]:
    with contextlib.ExitStack() as stack:

        def make(url: str) -> S3Backend:
            made = S3Backend("prod", endpoint_url=url, access_key_id=ID, secret_access_key=SECRET, session_token=TOKEN)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin_http, "READ_SECONDS", 0.05)


Connect = Callable[[str], S3Backend]
MakeOrigin = Callable[..., Origin]


@pytest.mark.parametrize("number", [201, 204, 206, 302, 307, 400, 403, 405, 410, 429, 500, 503])
def test_what_is_neither_200_nor_404_cannot_tell(origin: MakeOrigin, connect: Connect, number: int) -> None:
    server = origin(*[status(number, "Location: /elsewhere")] * 2)
    said = unavailable(lambda: connect(server.url).open(PHOTO))
    assert str(number) in said
    assert "prod" in said
    asked = [request.partition(b" ")[0] for request in server.requests]
    assert asked == ([b"HEAD", b"GET"] if number in (400, 403) else [b"HEAD"])  # neither followed nor repeated


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            status(404, body=b"<html><h1>Not Found</h1>"),
            "answered 404 for bucket prod, but not as S3 does: check endpoint",
        ),
        (status(404, body=b"<Code>NoSuchKey</Code>"), "not as S3 does"),
        (status(404, body=b" " * 5000 + b"<Error><Code>NoSuchKey</Code></Error>"), "not as S3 does"),
        (error(404, "NoSuchBucket"), "there is no bucket prod at http://127.0.0.1"),
        (error(404, "NoSuchAccessPoint"), "404 (NoSuchAccessPoint) to HEAD and 404 to GET"),
        (error(503, "SlowDown"), "404 (SlowDown) to HEAD and 503 to GET"),
        (error(404, "secret-words" * 20), "not as S3 does"),
    ],
)
def test_a_404_that_is_not_a_missing_file(origin: MakeOrigin, connect: Connect, answer: bytes, expected: str) -> None:
    server = origin(*[status(404), answer] * 2)
    prod = connect(server.url)
    for _ in range(2):  # it is asked again each time
        assert expected in unavailable(lambda: prod.open(PHOTO))
    assert [request.partition(b" ")[0] for request in server.requests] == [b"HEAD", b"GET"] * 2
    assert b"Range: bytes=0-0\r\n" in server.requests[1]


def test_a_failure_has_the_next_404_asked_again(origin: MakeOrigin, connect: Connect) -> None:
    missing = error(404, "NoSuchKey")
    server = origin(status(404), missing, status(404), status(502), status(404), status(404, body=b"default backend"))
    prod = connect(server.url)
    assert prod.open(PHOTO) is prod.open(PHOTO) is None
    assert "502" in unavailable(lambda: prod.open(PHOTO))
    assert "not as S3 does" in unavailable(lambda: prod.open(PHOTO))
    assert len(server.requests) == 6


def test_a_404_of_somebody_else_is_asked_again(origin: MakeOrigin, connect: Connect) -> None:
    """A load balancer that answers in S3's place, right after S3 said that another file is missing."""
    from_s3 = status(404, "Server: AmazonS3", "x-amz-request-id: 1")
    missing = error(404, "NoSuchKey")
    nobody = status(404, "Server: nginx"), status(404, body=b"404 page not found")
    server = origin(from_s3, missing, status(404, "x-amz-request-id: 2", "Server: AmazonS3"), *nobody, from_s3, missing)
    prod = connect(server.url)
    assert prod.open(PHOTO) is prod.open(PHOTO) is None
    assert "not as S3 does" in unavailable(lambda: prod.open(PHOTO))
    assert prod.open(PHOTO) is None
    assert len(server.requests) == 7


def test_a_404_is_asked_again_after_a_while(
    origin: MakeOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_errors, "REASON_SECONDS", 0.0)
    server = origin(status(404), error(404, "NoSuchKey"), status(404), error(404, "NoSuchBucket"))
    prod = connect(server.url)
    assert prod.open(PHOTO) is None
    assert "there is no bucket prod" in unavailable(lambda: prod.open(PHOTO))


@pytest.mark.parametrize("there", [status(206, "Content-Range: bytes 0-0/10", body=b"x"), status(200), status(416)])
def test_a_file_that_appears_between_head_and_get(origin: MakeOrigin, connect: Connect, there: bytes) -> None:
    assert isinstance(connect(origin(status(404), there, OK_HEAD).url).open(PHOTO), Remote)
    said = unavailable(lambda: connect(origin(*[status(404), there] * 2).url).open(PHOTO))
    assert "it cannot be told whether the file is there" in said


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error(403, "AccessDenied", "Request has expired"), "this machine's clock is off"),
        (error(403, "RequestTimeTooSkewed"), "this machine's clock is off"),
        (error(403, "ExpiredToken"), "the session token has expired"),
        (error(403, "InvalidToken"), "the session token is malformed"),
        (
            error(403, "AllAccessDisabled"),
            "403 (AllAccessDisabled): the secret or the access key id is wrong, or the key",
        ),
        (
            status(403, body=b"Forbidden by the gateway"),
            "403: the secret or the access key id is wrong, or the key may",
        ),
    ],
)
def test_a_403_is_explained_and_missing_only_if_it_is_access_denied(
    origin: MakeOrigin, answer: bytes, expected: str
) -> None:
    keys = {"access_key_id": ID, "secret_access_key": SECRET}
    made = S3Backend("prod", endpoint_url=origin(status(403), answer).url, missing_on_403=True, **keys)
    said = unavailable(lambda: made.open(PHOTO))
    assert expected in said
    assert "gateway" not in said  # the body is not repeated
    made.close()
    denied = origin(status(403), error(403, "AccessDenied", "Access Denied"), status(403))
    made = S3Backend("prod", endpoint_url=denied.url, missing_on_403=True, **keys)
    assert made.open(PHOTO) is made.open(key("b")) is None
    assert len(denied.requests) == 3
    made.close()


def test_an_answer_without_a_length_cannot_tell(origin: MakeOrigin, connect: Connect) -> None:
    for headers in (b"", b"Content-Length: ten\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n"):
        server = origin(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n")
        assert "Content-Length" in unavailable(lambda server=server: connect(server.url).open(PHOTO))


@pytest.mark.parametrize(
    ("etag", "kept"),
    [
        ('"abc"', '"abc"'),
        ('W/"abc"', None),
        ("abc", None),
        ('""', None),
        ('"a"b"', None),
        ('"a b"', None),
        ('"é"', None),
        ('"', None),
    ],
)
def test_only_a_strong_etag_is_kept(origin: MakeOrigin, connect: Connect, etag: str, kept: str | None) -> None:
    server = origin(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: " + etag.encode() + b"\r\n\r\n")
    found = connect(server.url).open(PHOTO)
    assert isinstance(found, Remote)
    assert found.meta.etag == kept


def test_connection_refused(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    said = unavailable(lambda: connect(endpoint).open(PHOTO))
    assert f"{endpoint} could not be reached: " in said
    assert f"(check endpoint_url={endpoint})" in said


def test_listing_without_a_server(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    prod = connect(f"http://127.0.0.1:{port}")
    assert "listing failed" in unavailable(lambda: list(prod.list("", recursive=True)))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Sign in to the hotel's network",
        b"<html><body>Sign in to the hotel's network</body></html>",
        b"",
        b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><LastModified>now</LastModified>"
        b"<Size>1</Size></Contents></ListBucketResult>",
    ],
)
def test_a_listing_that_is_no_listing(origin: MakeOrigin, connect: Connect, body: bytes) -> None:
    server = origin(*[status(200, body=body)] * 3)
    assert "listing failed" in unavailable(lambda: list(connect(server.url).list("", recursive=True)))


def test_a_listing_before_a_site_that_redirects_everything(origin: MakeOrigin, connect: Connect) -> None:
    server = origin(*[status(302, "Location: /login")] * 400)
    said = unavailable(lambda: list(connect(server.url).list("", recursive=True)))
    assert f"listing failed: {server.url} redirects whatever is asked of bucket prod: check endpoint_url" in said


@pytest.mark.usefixtures("impatient")
def test_silence(origin: MakeOrigin, connect: Connect) -> None:
    server = origin(b"")
    assert "no answer within 0.05 s" in unavailable(lambda: connect(server.url).open(PHOTO))
    assert len(server.requests) == 1  # a time-out is not repeated


@pytest.mark.parametrize("answer", [b"HTTP/1.1 2", b"not HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_gibberish(origin: MakeOrigin, connect: Connect, answer: bytes) -> None:
    server = origin(answer, CLOSE, answer, CLOSE)
    unavailable(lambda: connect(server.url).open(PHOTO))


def test_a_kept_alive_connection_that_was_closed_is_made_anew(origin: MakeOrigin, connect: Connect) -> None:
    server = origin(OK_HEAD, CLOSE, OK_HEAD, None, OK_HEAD)
    prod = connect(server.url)
    for _ in range(3):
        assert isinstance(prod.open(PHOTO), Remote)
    assert server.connections == 3


def test_a_request_is_sent_twice_and_not_thrice(origin: MakeOrigin, connect: Connect) -> None:
    server = origin(None, OK_HEAD)
    assert isinstance(connect(server.url).open(PHOTO), Remote)
    assert len(server.requests) == 2
    server = origin(None, None, OK_HEAD)
    unavailable(lambda: connect(server.url).open(PHOTO))
    assert len(server.requests) == 2


def test_connections_are_kept_and_closed(origin: MakeOrigin, connect: Connect) -> None:
    server = origin(OK_HEAD, OK_HEAD, OK_HEAD)
    prod = connect(server.url)
    prod.open(PHOTO)
    prod.open(PHOTO)
    assert server.connections == 1
    prod.close()
    prod.open(PHOTO)
    assert server.connections == 2


# -- bodies ------------------------------------------------------------------------------------------------------------

BODY = bytes(range(200))
RANGE = ["Content-Range: bytes 10-19/200", 'ETag: "1"']


def read(prod: S3Backend, start: int = 10, stop: int = 20, etag: str | None = '"1"') -> bytes:
    return b"".join(prod.read_range(PHOTO, start, stop, etag))


def test_the_request_of_a_range(origin: MakeOrigin, connect: Connect) -> None:
    server = origin(status(206, *RANGE, body=BODY[10:20]))
    assert read(connect(server.url)) == BODY[10:20]
    assert server.requests[0].startswith(b"GET ")
    for header in (b"Range: bytes=10-19\r\n", b'If-Match: "1"\r\n', b"Accept-Encoding: identity\r\n"):
        assert header in server.requests[0]


@pytest.mark.parametrize(
    "answer",
    [
        status(200, 'ETag: "1"', body=BODY),  # Range ignored
        status(200, *RANGE, body=BODY[10:20]),  # a range with the wrong status
        status(206, *RANGE, body=BODY[10:25]),  # more than was asked for
    ],
)
def test_answers_that_do(origin: MakeOrigin, connect: Connect, answer: bytes) -> None:
    assert read(connect(origin(answer).url)) == BODY[10:20]


def test_a_body_that_is_skipped_in_pieces(origin: MakeOrigin, connect: Connect) -> None:
    big = os.urandom(300_000)
    prod = connect(origin(status(200, body=big)).url)
    assert b"".join(prod.read_range(PHOTO, 150_000, 280_001, None)) == big[150_000:280_001]


@pytest.mark.parametrize(
    "answer",
    [
        status(404),
        status(412),
        status(416),
        status(206, "Content-Range: bytes 10-19/200", 'ETag: "2"', body=BODY[10:20]),  # If-Match ignored
        status(200, 'ETag: "2"', body=BODY),
        status(200, body=BODY),  # who has ETags says them
        status(206, "Content-Range: bytes 10-19/200", body=BODY[10:20]),
        status(200, 'ETag: W/"1"', body=BODY),
        status(200, 'ETag: "1"', body=BODY[:15]),
        status(206, "Content-Range: bytes 10-14/15", 'ETag: "1"', body=BODY[10:15]),
    ],
)
def test_another_version(origin: MakeOrigin, connect: Connect, answer: bytes) -> None:
    prod = connect(origin(answer).url)
    with pytest.raises(ContentChanged):
        read(prod)


@pytest.mark.parametrize(
    "answer",
    [
        status(206, "Content-Range: bytes 0-9/200", body=BODY[:10]),  # another range
        status(206, body=BODY[10:20]),  # several parts, or none
        status(302, "Location: /"),
        status(403),
        status(500),
    ],
)
def test_answers_that_do_not(origin: MakeOrigin, connect: Connect, answer: bytes) -> None:
    prod = connect(origin(answer).url)
    unavailable(lambda: read(prod))
    with pytest.raises(BackendUnavailable) as caught:
        read(connect(origin(answer).url))
    assert not isinstance(caught.value, ContentChanged)


def test_a_body_that_breaks_off(origin: MakeOrigin, connect: Connect) -> None:
    server = origin(status(206, *RANGE, "Content-Length: 10", body=BODY[10:15]), CLOSE)
    assert "the body broke off" in unavailable(lambda: read(connect(server.url)))


@pytest.mark.usefixtures("impatient")
def test_a_body_that_stops(origin: MakeOrigin, connect: Connect) -> None:
    server = origin(status(206, *RANGE, "Content-Length: 10", body=BODY[10:15]))
    assert "the body broke off" in unavailable(lambda: read(connect(server.url)))


def test_a_body_that_is_left_gives_its_connection_back(origin: MakeOrigin, connect: Connect) -> None:
    # No more than is read: the origin is slow with the rest, and so nothing tells that the connection is in use.
    big = status(206, "Content-Range: bytes 0-999999/1000000", "Content-Length: 1000000", body=bytes(65536))
    server = origin(big, OK_HEAD, OK_HEAD)
    prod = connect(server.url)
    pieces = prod.read_range(PHOTO, 0, 1_000_000, None)
    next(pieces)
    pieces.close()
    # What is left of that body must not be taken for the next answer.
    assert isinstance(prod.open(PHOTO), Remote)
    assert isinstance(prod.open(PHOTO), Remote)
    assert server.connections == 2


# -- processes ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_opens_its_own_connections(origin: MakeOrigin, connect: Connect) -> None:
    """Two processes on one socket would read each other's answers: one's "found" for the other's missing file."""
    server = origin(*[OK_HEAD] * 8)
    prod = connect(server.url)
    prod.open(PHOTO)
    child = os.fork()
    if child == 0:
        os._exit(0 if isinstance(prod.open(PHOTO), Remote) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert server.connections == 2
    prod.open(PHOTO)
    assert server.connections == 2


def test_threads_that_start_at_once_share_the_connections(origin: MakeOrigin) -> None:
    http = OriginHTTP(origin().url, "prod")
    pools: list[object] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait(10)
        pools.append(http._connections())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert all(one is other for one, other in pairwise(pools))
    assert len(pools) == 8
    http.close()
