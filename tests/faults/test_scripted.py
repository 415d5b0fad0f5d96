"""Scripted: each of its behaviours as a plain client sees it, the server behind it being sound."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from mediamw.testing.strict_s3 import StrictS3

from .conftest import BODY, PATH
from .scripted import (
    Origin,
    Scripted,
    changed_etag,
    endless_chunks,
    error,
    error_in_200,
    range_ignored,
    slow_down,
    status,
    wrong_content_range,
    wrong_length,
)

TEN = {"Range": "bytes=10-19"}


@pytest.fixture
def origin(sound: StrictS3) -> Iterator[Scripted]:
    with Scripted(sound.port) as made:
        yield made


@pytest.fixture
def client(origin: Scripted) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", origin.port, timeout=10)) as made:
        yield made


class Got:
    """An answer, read to its end or as far as it came."""

    def __init__(self, client: http.client.HTTPConnection, method: str = "GET", headers: dict[str, str] | None = None):
        client.request(method, PATH, headers=headers or {})
        with client.getresponse() as answer:
            self.status = answer.status
            self.headers = answer.headers
            self.broken = False
            try:
                self.body = answer.read()
            except http.client.IncompleteRead as error:
                self.body, self.broken = error.partial, True


def test_sound(origin: Scripted, client: http.client.HTTPConnection) -> None:
    assert Got(client).body == BODY
    head = Got(client, "HEAD")
    assert (head.status, head.headers["content-length"], head.headers["etag"][:1]) == (200, str(len(BODY)), '"')
    part = Got(client, headers=TEN)
    assert (part.status, part.body) == (206, BODY[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(BODY)}"
    assert Got(client, headers={"If-Match": '"other"'}).status == 412
    assert origin.connections == 1
    assert [(asked.method, asked.target) for asked in origin.requests[:2]] == [("GET", PATH), ("HEAD", PATH)]


def test_slow_down_once_and_always(origin: Scripted, client: http.client.HTTPConnection) -> None:
    origin.script = [slow_down("7"), None, slow_down()]
    got = Got(client)
    assert (got.status, got.headers["retry-after"]) == (503, "7")
    assert b"<Code>SlowDown</Code>" in got.body
    assert [Got(client).status for _ in range(3)] == [200, 503, 200]
    origin.always = slow_down()
    assert [Got(client, method).status for method in ("GET", "HEAD", "GET")] == [503] * 3
    assert got.headers.get("connection") is None


def test_an_error_in_a_200(origin: Scripted, client: http.client.HTTPConnection) -> None:
    origin.always = error_in_200()
    got = Got(client)
    assert (got.status, got.headers["content-type"]) == (200, "application/xml")
    assert b"<Error><Code>InternalError</Code>" in got.body


def test_wrong_length(origin: Scripted, client: http.client.HTTPConnection) -> None:
    origin.always = wrong_length(10)
    assert Got(client, "HEAD").headers["content-length"] == str(len(BODY) + 10)
    got = Got(client)
    assert (got.body, got.broken) == (BODY, True)
    client.close()
    origin.always = wrong_length(-10)
    assert Got(client).body == BODY[:-10]
    with socket.create_connection(("127.0.0.1", origin.port), 10) as connection:
        connection.sendall(f"GET {PATH} HTTP/1.1\r\n\r\n".encode())
        data = b""
        while not data.endswith(BODY):  # what is too much is sent all the same
            data += connection.recv(65536)


def test_wrong_content_range(origin: Scripted, client: http.client.HTTPConnection) -> None:
    origin.always = wrong_content_range("bytes 11-20/500")
    got = Got(client, headers=TEN)
    assert (got.status, got.headers["content-range"], got.body) == (206, "bytes 11-20/500", BODY[10:20])
    assert Got(client).headers.get("content-range") is None


def test_range_ignored(origin: Scripted, client: http.client.HTTPConnection) -> None:
    origin.always = range_ignored
    got = Got(client, headers=TEN)
    assert (got.status, got.body) == (200, BODY)
    assert got.headers.get("content-range") is None


def test_changed_etag(origin: Scripted, client: http.client.HTTPConnection) -> None:
    old = {"If-Match": Got(client, "HEAD").headers["etag"]}
    assert Got(client, headers=old | TEN).status == 206
    origin.always = changed_etag('"2"')
    assert Got(client, headers=old | TEN).status == 412
    assert Got(client, headers={"If-Match": '"2"'} | TEN).status == 206
    assert Got(client, "HEAD").headers.get_all("etag") == ['"2"']
    origin.always = changed_etag('"3"', heeds_if_match=False)
    got = Got(client, headers=old | TEN)
    assert (got.status, got.headers["etag"], got.body) == (206, '"3"', BODY[10:20])


def test_chunks_without_an_end(origin: Scripted, client: http.client.HTTPConnection) -> None:
    origin.script = [endless_chunks(), endless_chunks("hang")]
    got = Got(client)
    assert (got.headers.get("content-length"), got.headers["transfer-encoding"]) == (None, "chunked")
    assert (got.body, got.broken) == (BODY, True)
    client.close()
    client.timeout = 0.1
    with pytest.raises(TimeoutError):
        Got(client)


def test_the_raw_origin() -> None:
    with Origin(error(404, "NoSuchKey"), status(200, body=b"ten bytes!"), None) as origin:
        with closing(http.client.HTTPConnection("127.0.0.1", origin.port, timeout=10)) as client:
            missing, found = Got(client), Got(client)
            assert client.sock is not None
            assert client.sock.recv(1) == b""
        assert (missing.status, b"<Code>NoSuchKey</Code>" in missing.body) == (404, True)
        assert (found.status, found.body) == (200, b"ten bytes!")
        assert (origin.connections, len(origin.requests)) == (1, 2)
        with socket.create_connection(("127.0.0.1", origin.port), 0.1) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(TimeoutError):  # the script has ended
                connection.recv(1)
