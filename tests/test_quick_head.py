"""A HEAD over a connection that is open: what is sent, what is read, and what is left to the ordinary way."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediamw.backends import origin_http
from mediamw.backends.origin_http import OriginHTTP
from mediamw.backends.quick_head import MAX_HEAD_BYTES, MAX_LINES, HeadLines, converse, request_of
from mediamw.core.errors import Unreachable

from .faults.scripted import CLOSE, Origin, status

PLAIN = b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "1"\r\n\r\n'


def said(answer: bytes, *, ends: bool = True) -> tuple[int, HeadLines, bool] | None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        if ends:
            theirs.shutdown(socket.SHUT_WR)
        return converse(ours, b"HEAD", time.monotonic() + 5, 5)


def test_the_request_is_what_http_client_sends() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = http.client.HTTPConnection("origin.test", 8080)
        connection.sock = ours
        connection.request("HEAD", "/a%20b?x=%7E", headers={"User-Agent": "mediamw"})
        sent = theirs.recv(4096)
    headers = {"Accept-Encoding": "identity", "User-Agent": "mediamw"}
    assert request_of("/a%20b?x=%7E", "origin.test:8080", headers) == sent


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/ä", "/\x7f"])
def test_what_is_no_plain_request_is_not_sent(target: str) -> None:
    assert request_of(target, "origin.test", {}) is None
    assert request_of("/", "origin.test", {"X": target[1:] + "\n"}) is None


def test_a_plain_answer() -> None:
    answer = said(b'HTTP/1.1 404 Not Found\r\nX-One: a\r\netag:\t"b" \r\nx-one: c\r\nEmpty:\r\n\r\n', ends=False)
    assert answer is not None
    number, headers, is_kept = answer
    assert (number, is_kept) == (404, True)
    assert (headers["X-ONE"], headers["ETag"], headers.get("empty")) == ("a, c", '"b"', "")
    assert "Etag" in headers
    assert "Date" not in headers
    assert headers.get("Date", "?") == "?"


@pytest.mark.parametrize(
    ("answer", "is_kept"),
    [
        (PLAIN, True),
        (PLAIN.replace(b"ETag", b"Connection: keep-alive\r\nETag"), True),
        (PLAIN.replace(b"ETag", b"Connection: Close\r\nETag"), False),
        (PLAIN + b"0123456789", False),
        (PLAIN + PLAIN, False),
    ],
)
def test_whether_the_connection_can_be_used_again(answer: bytes, is_kept: bool) -> None:
    found = said(answer)
    assert found is not None
    assert (found[0], found[2]) == (200, is_kept)


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b"200 OK", b"100 Continue"),
        PLAIN.replace(b"200 OK", b"2000"),
        PLAIN.replace(b"200 OK", b"20x"),
        PLAIN.replace(b"HTTP", b"ICY"),
        PLAIN.replace(b"ETag:", b"ETag :"),
        PLAIN.replace(b"ETag:", b" ETag:"),
        PLAIN.replace(b"ETag:", b"ETag"),
        PLAIN.replace(b"ETag:", b":"),
        PLAIN.replace(b'"1"', b'"\n1"'),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN[:-4] + b"\n\r\n",
        PLAIN.replace(b'"1"', b'"\r1"'),
        b"\r\n" + PLAIN,
    ],
)
def test_what_is_not_plain_is_left_to_the_ordinary_way(answer: bytes) -> None:
    with pytest.raises(ValueError, match="plain"):
        said(answer)


@pytest.mark.parametrize("answer", [b"", PLAIN[:-1], PLAIN[:20]])
def test_what_breaks_off_is_no_answer(answer: bytes) -> None:
    assert said(answer) is None


def test_lines_are_bounded() -> None:
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(MAX_LINES))
    assert said(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n") is not None
    with pytest.raises(ValueError, match="too many lines"):
        said(b"HTTP/1.1 200 OK\r\n" + lines + b"X: y\r\n\r\n")


def test_bytes_are_bounded() -> None:
    assert said(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (MAX_HEAD_BYTES - 30) + b"\r\n\r\n") is not None
    with pytest.raises(ValueError, match="no end"):
        said(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2 * MAX_HEAD_BYTES)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_no_answer_is_another_exception(noise: bytes, where: int) -> None:
    with contextlib.suppress(ValueError):
        said(PLAIN[:where] + noise + PLAIN[where:])


def test_a_reset_is_left_to_the_ordinary_way() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        assert converse(ours, b"HEAD", time.monotonic() + 5, 5) is None


@pytest.mark.parametrize(("left", "read"), [(0.05, 5.0), (5.0, 0.05), (0.0, 5.0)])
def test_it_does_not_wait_for_ever(left: float, read: float) -> None:
    ours, theirs = socket.socketpair()
    started = time.monotonic()
    theirs.sendall(PLAIN[:30])
    with ours, theirs, pytest.raises(TimeoutError):
        converse(ours, b"HEAD", time.monotonic() + left, read)
    assert time.monotonic() - started < 1


# -- as OriginHTTP uses it ---------------------------------------------------------------------------------------------


@pytest.fixture
def asked() -> Iterator[Callable[..., tuple[Origin, OriginHTTP]]]:
    with contextlib.ExitStack() as stack:

        def make(*script: bytes | None) -> tuple[Origin, OriginHTTP]:
            origin = Origin(PLAIN, *script)
            stack.callback(origin.close)
            http_ = OriginHTTP(origin.url, "prod")
            stack.callback(http_.close)
            assert http_.head(f"{origin.url}/first")[0] == 200  # by urllib3, which connects
            return origin, http_

        yield make


Asked = Callable[..., tuple[Origin, OriginHTTP]]


def test_the_second_head_takes_the_first_s_connection(asked: Asked) -> None:
    origin, http_ = asked(PLAIN, PLAIN)
    for _ in range(2):
        number, headers = http_.head(f"{origin.url}/a?b=c", headers={"X": "y"})
        assert (number, headers["etag"]) == (200, '"1"')
        assert type(headers) is HeadLines
    first, second, _ = origin.requests
    assert second == first.replace(b"/first", b"/a?b=c").replace(b"\r\n\r\n", b"\r\nX: y\r\n\r\n")
    assert http_._connections().num_connections == 1


def test_what_breaks_off_is_asked_again_once(asked: Asked) -> None:
    origin, http_ = asked(PLAIN[:20], CLOSE, PLAIN, PLAIN)
    assert [type(http_.head(f"{origin.url}/{name}")[1]) is HeadLines for name in "ab"] == [False, True]
    assert len(origin.requests) == 4


def test_who_does_not_answer_plainly_is_not_asked_in_this_way_again(asked: Asked) -> None:
    origin, http_ = asked(PLAIN.replace(b"ETag", b"\xe9: 1\r\nETag"), *[PLAIN] * 3)
    assert [type(http_.head(f"{origin.url}/{name}")[1]) is HeadLines for name in "abc"] == [False] * 3
    assert len(origin.requests) == 5


def test_lines_without_a_carriage_return_are_not_waited_for(asked: Asked) -> None:
    origin, http_ = asked(*[PLAIN.replace(b"\r\n", b"\n")] * 3)
    started = time.monotonic()
    assert [http_.head(f"{origin.url}/{name}")[1]["etag"] for name in "ab"] == ['"1"'] * 2
    assert time.monotonic() - started < 2


def test_a_pool_that_is_closed_at_this_moment(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    origin, http_ = asked(PLAIN)
    real = http_._connections

    def connections() -> Any:
        pool = real()
        monkeypatch.undo()
        http_.close()
        return pool

    monkeypatch.setattr(http_, "_connections", connections)
    assert http_.head(f"{origin.url}/a")[0] == 200


def test_the_ordinary_way_says_what_is_wrong(asked: Asked) -> None:
    origin, http_ = asked(b"what?\r\n\r\n", b"what?\r\n\r\n", CLOSE, PLAIN)
    with pytest.raises(Unreachable, match="could not be reached"):
        http_.head(f"{origin.url}/a")
    assert len(origin.requests) == 3


def test_a_body_that_no_head_has_is_not_the_next_answer(asked: Asked) -> None:
    origin, http_ = asked(PLAIN + b"HTTP/1.1 404 No\r\n\r\n", PLAIN)
    assert [http_.head(f"{origin.url}/{number}")[0] for number in range(2)] == [200, 200]


def test_silence_is_told_as_ever(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    origin, http_ = asked(b"")
    monkeypatch.setattr(origin_http, "READ_SECONDS", 0.05)
    with pytest.raises(Unreachable, match=r"no answer|0\.05"):
        http_.head(f"{origin.url}/a")
    assert len(origin.requests) == 2
    # What it says too late must not be the next one's answer.
    assert [one.sock for one in list(http_._connections().pool.queue) if one is not None] == [None]  # type: ignore[union-attr]
    with pytest.raises(Unreachable, match="no whole answer within"):
        http_.head(f"{origin.url}/a", until=time.monotonic() - 1)


def test_a_redirect_is_an_answer(asked: Asked) -> None:
    origin, http_ = asked(status(302, "Location: /elsewhere"))
    assert http_.head(f"{origin.url}/a")[0] == 302
    assert len(origin.requests) == 2
