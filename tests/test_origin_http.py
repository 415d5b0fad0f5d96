"""OriginHTTP: when it gives up and what it says then, whose bytes it yields, and what travels over the wire."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from botocore.endpoint import EndpointCreator
from botocore.httpsession import ProxyConfiguration
from botocore.utils import get_environ_proxies

from mediamw.backends import origin_body, origin_http, watchdog
from mediamw.backends.network import ca_bundle, proxy_for, proxy_parts
from mediamw.backends.origin_failures import retry_after
from mediamw.backends.origin_http import OriginHTTP
from mediamw.core.errors import BackendUnavailable, ConfigError, ContentChanged, Unreachable

from .descriptors import descriptors
from .fakes import until
from .raw_origin import RawOrigin, certificate, dripping, status

SIGNED = "/a%20b/~%2Bc//d'e?X-Amz-Signature=s3cr3t%2F&x=%7E"
HEAD = status(200, "Content-Length: 10")
MakeOrigin = Callable[..., RawOrigin]
Connect = Callable[..., OriginHTTP]


@pytest.fixture
def origin() -> Iterator[MakeOrigin]:
    with contextlib.ExitStack() as stack:

        def make(*script: Any, **options: Any) -> RawOrigin:
            made = RawOrigin(*script, **options)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def connect() -> Iterator[Connect]:
    with contextlib.ExitStack() as stack:

        def make(url: str, **options: Any) -> OriginHTTP:
            made = OriginHTTP(url, "prod", **options)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return certificate(tmp_path_factory.mktemp("tls"))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def failure(ask: Callable[[], object]) -> str:
    with pytest.raises(Unreachable) as caught:
        ask()
    said = str(caught.value)
    assert "s3cr3t" not in said
    assert "Signature" not in said
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return said


# -- the time that a look-up may take ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-Long: ", b"HTTP/1.1 100 Continue\r\nX: "],
)
def test_a_dripping_head_ends_at_its_deadline(
    origin: MakeOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr(origin_http, "HEAD_SECONDS", 0.2)
    server = origin(dripping(start), HEAD)
    for ask in ("head", "probe"):
        http = connect(server.url)
        server.script[0] = dripping(start)
        began = time.monotonic()
        assert "no whole answer within 0.2 s" in failure(
            lambda ask=ask, http=http: getattr(http, ask)(http.origin + SIGNED)
        )
        assert time.monotonic() - began < 4  # one read may take 5 s, and none of these waits that long
        server.script.insert(0, b"")
    assert len(server.requests) == 2  # not sent once more


def test_a_connection_that_was_kept_alive_is_watched_too(
    origin: MakeOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin_http, "HEAD_SECONDS", 0.3)
    server = origin(HEAD, dripping())
    http = connect(server.url)
    http.head(server.url + "/")
    assert "no whole answer within 0.3 s" in failure(lambda: http.head(server.url + SIGNED))
    assert server.connections == 1


def test_other_waits_that_end_at_the_deadline(
    origin: MakeOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch, tls: Any
) -> None:
    """The body that get_start reads, a TLS handshake, a proxy's answer to CONNECT, and the head of a read."""
    monkeypatch.setattr(origin_http, "HEAD_SECONDS", 0.2)
    bundle, _ = tls
    body = dripping(b"HTTP/1.1 404 X\r\nContent-Length: 9999\r\n\r\n<Error>")
    handshake = dripping(b"\x16\x03\x03\x40\x00\x02")
    plain, greeting, proxy = origin(body), origin(greets=handshake), origin(dripping(b"HTTP/1.1 200 OK\r\nX:"))
    tls_url = f"https://127.0.0.1:{greeting.port}"
    asks: list[Callable[[], object]] = [
        lambda: connect(plain.url).get_start(plain.url + SIGNED, 4096),
        lambda: connect(tls_url, verify=str(bundle)).head(tls_url + SIGNED),
        lambda: connect("https://127.0.0.1:1", proxy=proxy.url, verify=str(bundle)).head("https://127.0.0.1:1/"),
    ]
    for ask in asks:
        assert "no whole answer within 0.2 s" in failure(ask)
    dripped = origin(dripping(b"HTTP/1.1 206 "))
    assert "no whole answer" in failure(lambda: list(connect(dripped.url).get_range(dripped.url + SIGNED, 0, 1, None)))


def test_a_body_may_take_longer_than_a_look_up(
    origin: MakeOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin_http, "HEAD_SECONDS", 0.2)
    goes_on = threading.Event()

    def slowly(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\na")
        goes_on.wait(10)
        connection.sendall(b"b")

    pieces = connect((server := origin(slowly)).url).get_whole(server.url + "/", None)
    got = [next(pieces)] if hasattr(urllib3.HTTPResponse, "read1") else []
    time.sleep(0.3)  # past the deadline: nothing may happen then
    goes_on.set()
    assert b"".join([*got, *pieces]) == b"ab"


def test_the_watchdog_leaves_nothing_behind(origin: MakeOrigin, connect: Connect) -> None:
    http = connect((server := origin(*[HEAD] * 20)).url)
    http.head(server.url + "/")
    before = descriptors()
    for _ in range(10):
        http.head(server.url + "/")
    assert descriptors() == before
    assert not watchdog._dog._watched
    assert [thread.name for thread in threading.enumerate()].count("mediamw-watchdog") == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_a_watchdog_of_its_own(
    origin: MakeOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin_http, "HEAD_SECONDS", 0.2)
    server = origin(HEAD, dripping())
    http = connect(server.url)
    http.head(server.url + "/")
    with watchdog._dog._changed:  # as if another thread had been in it at the fork
        child = os.fork()
        if child == 0:
            with contextlib.suppress(Unreachable):
                http.head(server.url + "/")
                os._exit(1)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_deadline_that_is_over_ends_what_it_is_given() -> None:
    one, other = socket.socketpair()
    with one, other:
        deadline = watchdog.Deadline(time.monotonic() - 1)
        deadline.watch(one)
        other.settimeout(10)
        assert other.recv(1) == b""
        deadline.watch(one)
        until(lambda: deadline.is_over)
        deadline.release()
        deadline.release()


# -- why it failed -----------------------------------------------------------------------------------------------------


def test_refused_and_unknown_hosts(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    said = failure(
        lambda: connect(f"http://127.0.0.1:{port}", hint=" (check x)").head(f"http://127.0.0.1:{port}{SIGNED}")
    )
    assert said.endswith(
        f"http://127.0.0.1:{port} could not be reached: connection refused: nothing listens there (check x)"
    )

    too_long = f"http://{'a' * 64}.example"  # UnicodeError, before anybody is asked
    assert "is not known: check" in failure(lambda: connect(too_long).head(too_long + SIGNED))

    def nobody(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    for url in ("http://media.example.invalid", "https://media.example.invalid"):
        assert "the host name media.example.invalid is not known: check" in failure(
            lambda url=url: connect(url).head(url + SIGNED)
        )
    said = failure(
        lambda: connect("http://a.example", proxy="http://u:s3cr3t@proxy.invalid:1").head("http://a.example/")
    )
    assert "the proxy proxy.invalid:1 is not known" in said


def test_time_outs_name_their_seconds(origin: MakeOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin_http, "READ_SECONDS", 0.05)
    monkeypatch.setattr(origin_http, "CONNECT_SECONDS", 0.07)
    silent = origin(lambda connection: connection.recv(1))  # never
    assert "no answer within 0.05 s" in failure(lambda: connect(silent.url).head(silent.url + SIGNED))
    mute = origin(greets=lambda connection: [None for _ in iter(lambda: connection.recv(9999), b"")] and None)
    url = f"https://127.0.0.1:{mute.port}"
    assert "no connection within 0.07 s" in failure(lambda: connect(url).head(url + SIGNED))  # in the TLS handshake


def test_certificates(origin: MakeOrigin, connect: Connect, tls: Any, tmp_path: Path) -> None:
    bundle, context = tls
    server = origin(*[HEAD] * 9, tls=context)
    for verify in (str(bundle), False):
        assert connect(server.url, verify=verify).head(server.url + SIGNED)[0] == 200
    said = failure(lambda: connect(server.url).head(server.url + SIGNED))
    assert "its certificate is not trusted" in said
    assert "verify=PATH or AWS_CA_BUNDLE" in said
    other_bundle, other = certificate(tmp_path, "other.example")
    stranger = origin(HEAD, tls=other)
    assert "certificate is" in failure(
        lambda: connect(stranger.url, verify=str(other_bundle)).head(stranger.url + SIGNED)
    )
    plain = origin(
        b"HTTP/1.0 400 Bad Request\r\n\r\n" * 9, greets=lambda connection: connection.sendall(b"HTTP/1.0 400")
    )
    url = f"https://127.0.0.1:{plain.port}"
    assert "TLS failed" in failure(lambda: connect(url).head(url + SIGNED))


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_ca_bundle_that_is_none(connect: Connect, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "corp.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BackendUnavailable, match=r"corp\.pem.*AWS_CA_BUNDLE"):
        connect("https://127.0.0.1:1", verify=str(path)).head("https://127.0.0.1:1/")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1",  # of 10
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n",
        b"HTTP/1.1 20",
        b"ssh-2.0\r\n\r\n",
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
)
def test_a_head_that_breaks_off(origin: MakeOrigin, connect: Connect, answer: bytes) -> None:
    server = origin(answer)
    failure(lambda: connect(server.url).head(server.url + SIGNED))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, 10), ("", 10), ("0", 1), ("7", 7), ("60", 60), ("61", 60), ("9" * 5000, 60), ("-5", 10), ("soon", 10),
     ("Thu, 01 Jan 1970 00:00:00 GMT", 1), ("Fri, 01 Jan 2100 00:00:00 GMT", 60)],
)  # fmt: skip
def test_retry_after(value: str | None, seconds: int) -> None:
    assert retry_after({} if value is None else {"Retry-After": value}) == seconds


@pytest.mark.parametrize("number", [429, 500, 502, 503, 599])
def test_an_overloaded_origin_is_unreachable(origin: MakeOrigin, connect: Connect, number: int) -> None:
    server = origin(*[status(number, "Retry-After: 33")] * 2)
    http = connect(server.url)
    for ask in (lambda: http.get_range(server.url + "/", 0, 1, None), lambda: http.get_whole(server.url + "/", None)):
        with pytest.raises(Unreachable, match=str(number)) as caught:
            list(ask())
        assert caught.value.retry_after == 33


# -- bodies ------------------------------------------------------------------------------------------------------------

BODY = bytes(range(256)) * 4


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


CHUNKED = "Transfer-Encoding: chunked"
PART = "Content-Range: bytes 10-19/1024"


@pytest.mark.parametrize("arrives", [BODY, chunked(BODY), chunked(BODY[:7], BODY[7:])])
def test_a_whole_file_is_asked_for_without_range(origin: MakeOrigin, connect: Connect, arrives: bytes) -> None:
    head = status(200, 'ETag: "1"', "Content-Length: 1024" if arrives == BODY else CHUNKED)
    server = origin(head + arrives, head + arrives, status(206, "Content-Range: bytes 0-1023/1024", body=BODY))
    http = connect(server.url)
    assert b"".join(http.get_range(server.url + "/", 0, 1024, '"1"', size=1024)) == BODY
    assert b"".join(http.get_whole(server.url + "/", '"1"')) == BODY
    for request in server.requests:
        assert b"Range" not in request
        assert b'If-Match: "1"\r\n' in request
    assert b"".join(http.get_range(server.url + "/", 0, 1024, None)) == BODY
    assert b"Range: bytes=0-1023\r\n" in server.requests[2]


@pytest.mark.skipif(not hasattr(urllib3.HTTPResponse, "read1"), reason="this urllib3 waits for full pieces")
@pytest.mark.parametrize("framing", ["Content-Length: 6", CHUNKED, "Connection: close"])
def test_pieces_go_on_as_they_arrive(origin: MakeOrigin, connect: Connect, framing: str) -> None:
    seen = threading.Event()

    def in_two(connection: socket.socket) -> None:
        pack = chunked if framing == CHUNKED else lambda *pieces, end=b"": b"".join(pieces)
        connection.sendall(f"HTTP/1.1 200 X\r\n{framing}\r\n\r\n".encode() + pack(b"one", end=b""))
        assert seen.wait(10)
        connection.sendall(pack(b"two"))

    server = origin(in_two)
    pieces = connect(server.url).get_whole(server.url + "/", None)
    assert next(pieces) == b"one"
    seen.set()
    assert list(pieces) == [b"two"]


def test_pieces_are_bounded(origin: MakeOrigin, connect: Connect) -> None:
    big = os.urandom(3_000_000)
    server = origin(status(200, body=big), status(200, CHUNKED) + chunked(big))
    http = connect(server.url)
    for read in (
        http.get_range(server.url + "/", 0, len(big), None, size=len(big)),
        http.get_whole(server.url + "/", None),
    ):
        pieces = list(read)
        assert b"".join(pieces) == big
        assert 0 < min(map(len, pieces)) <= max(map(len, pieces)) <= 256 * 1024


def reset(connection: socket.socket, start: bytes) -> None:
    connection.sendall(start)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


LONG = b"HTTP/1.1 200 X\r\nContent-Length: 1024\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        LONG + BODY[:500],
        LONG,
        CHUNKS,
        CHUNKS + chunked(BODY[:500], end=b""),
        CHUNKS + chunked(BODY, end=b""),  # all bytes, and no end
        CHUNKS + chunked(BODY[:500], end=b"20"),
        CHUNKS + b"400\r\n" + BODY[:500],
        CHUNKS + b"400\r\n" + BODY,
        CHUNKS + b"zz\r\n" + BODY,
        lambda connection: reset(connection, LONG + BODY[:500]),
        lambda connection: reset(connection, CHUNKS + chunked(BODY[:500], end=b"")),
        lambda connection: reset(connection, b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n" + BODY[:500]),
    ],
)
def test_what_breaks_off_is_an_error(origin: MakeOrigin, connect: Connect, answer: Any) -> None:
    server = origin(answer)
    http = connect(server.url)
    with pytest.raises((ContentChanged, Unreachable)):
        list(http.get_whole(server.url + "/", None))
    server = origin(answer)
    http = connect(server.url)
    if answer != CHUNKS + chunked(BODY, end=b"") and answer != CHUNKS + b"400\r\n" + BODY:  # has what it needs
        with pytest.raises((ContentChanged, Unreachable)):
            list(http.get_range(server.url + "/", 0, 1024, None, size=1024))


CHANGED = [
    (status(206, "Content-Range: bytes 10-14/15", body=BODY[10:15]), {}),
    (status(206, PART, body=BODY[10:15]), {}),  # its own length is too short
    (status(206, "Content-Range: bytes 10-14/1024", body=BODY[10:20]), {}),
    (status(200, CHUNKED) + chunked(BODY[:15]), {}),
    (status(206, "Content-Range: bytes 10-19/1023", body=BODY[10:20]), {"size": 1024}),
    (status(200, body=BODY[:-1]), {"size": 1024}),
    (status(200, body=BODY[:19]), {}),
    (status(206, PART, "Content-Encoding: gzip", body=BODY[10:20]), {"coding": None}),
    (status(206, PART, body=BODY[10:20]), {"coding": "gzip"}),
    (status(206, PART, "Content-Encoding: br", body=BODY[10:20]), {"coding": "gzip"}),
]
FITS = [
    (status(206, PART, body=BODY[10:20]), {"size": 1024, "coding": None}),
    (status(206, "Content-Range: bytes 10-19/*", body=BODY[10:20]), {"size": 1024}),
    (status(206, PART, "Content-Encoding: identity", body=BODY[10:20]), {"coding": None}),
    (status(206, PART, "Content-Encoding: GZIP", body=BODY[10:20]), {"coding": "gzip"}),
    (status(206, PART, "Content-Encoding: gzip", body=BODY[10:20]), {}),  # not known: not checked
    (status(200, body=BODY), {"size": 1024}),
]


@pytest.mark.parametrize(("answer", "known"), CHANGED)
def test_another_file_is_not_mixed_in(origin: MakeOrigin, connect: Connect, answer: bytes, known: Any) -> None:
    server = origin(answer)
    pieces = connect(server.url).get_range(server.url + "/", 10, 20, None, **known)
    if CHUNKED.encode() in answer:  # whose length shows at their end only
        next(pieces)
    with pytest.raises(ContentChanged):
        next(pieces)


@pytest.mark.parametrize(("answer", "known"), FITS)
def test_what_fits_is_yielded(origin: MakeOrigin, connect: Connect, answer: bytes, known: Any) -> None:
    server = origin(answer)
    assert b"".join(connect(server.url).get_range(server.url + "/", 10, 20, None, **known)) == BODY[10:20]


def test_an_origin_that_ignores_range_is_read_up_to_a_bound(
    origin: MakeOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert origin_body.MAX_SKIPPED_BYTES == 8 * 1024 * 1024
    monkeypatch.setattr(origin_body, "MAX_SKIPPED_BYTES", 10)
    server = origin(*[status(200, body=BODY)] * 2)
    http = connect(server.url)
    assert b"".join(http.get_range(server.url + "/", 10, 20, None)) == BODY[10:20]
    with pytest.raises(BackendUnavailable, match="the origin ignores Range: 11 bytes"):
        list(http.get_range(server.url + "/", 11, 20, None))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (status(404), ContentChanged),
        (status(412), ContentChanged),
        (status(200, 'ETag: "2"', body=b"x"), ContentChanged),
        (status(206, "Content-Range: bytes 0-4/10", body=b"12345"), BackendUnavailable),
        (status(302, "Location: /"), BackendUnavailable),
    ],
)
def test_get_whole_refuses(origin: MakeOrigin, connect: Connect, answer: bytes, kind: Any) -> None:
    server = origin(answer)
    with pytest.raises(kind):
        list(connect(server.url).get_whole(server.url + "/", '"1"'))


def test_nothing_is_left_of_a_read_that_is_given_up(origin: MakeOrigin, connect: Connect) -> None:
    def half(connection: socket.socket) -> None:
        connection.sendall(LONG + BODY[:9])
        connection.recv(1)

    servers = [origin(half) for _ in range(6)]
    https = [connect(server.url) for server in servers]
    before = descriptors()
    for index, (server, http) in enumerate(zip(servers, https, strict=True)):
        pieces = http.get_range(server.url + "/", 0, 9, None)
        next(pieces)
        if index % 2:
            pieces.close()  # type: ignore[attr-defined]
        del pieces
        until(lambda server=server: server._open[0].fileno() < 0)  # the other side has seen its end
    # Not equal: what tests before this one left is closed at any time.
    until(lambda: descriptors() <= before and not watchdog._dog._watched)


# -- proxies -----------------------------------------------------------------------------------------------------------


def test_the_bytes_on_the_wire_are_those_that_were_signed(origin: MakeOrigin, connect: Connect, tls: Any) -> None:
    bundle, context = tls
    target = SIGNED.encode()
    plain = origin(HEAD)
    connect(plain.url, headers={"X-Own": "1"}).head(plain.url + SIGNED)
    assert plain.requests[0].startswith(b"HEAD " + target + b" HTTP/1.1\r\n")
    assert b"X-Own: 1\r\n" in plain.requests[0]
    proxy = origin(HEAD)
    connect("http://files.example", proxy=f"http://us%40er:p%3Aw@127.0.0.1:{proxy.port}").head(
        "http://files.example" + SIGNED
    )
    (request,) = proxy.requests
    assert request.startswith(b"HEAD http://files.example" + target + b" HTTP/1.1\r\n")
    assert b"Host: files.example\r\n" in request
    assert b"roxy-authorization: Basic " + b64encode(b"us@er:p:w").lower() in request.lower().replace(
        b"basic", b"Basic"
    )
    server = origin(HEAD, tls=context)

    def tunnel(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port)) as onward:
            threading.Thread(target=pump, args=(onward, connection), daemon=True).start()
            pump(connection, onward)

    through = origin(tunnel)
    http = connect(server.url, proxy=f"http://u:pw@127.0.0.1:{through.port}", verify=str(bundle))
    assert http.head(server.url + SIGNED)[0] == 200
    assert through.requests[0].startswith(b"CONNECT 127.0.0.1:%d " % server.port)
    assert b"Basic " + b64encode(b"u:pw") in through.requests[0]
    assert server.requests[0].startswith(b"HEAD " + target + b" HTTP/1.1\r\n")
    assert b"Basic" not in server.requests[0]


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


def test_proxies_that_fail_are_named_without_their_credentials(origin: MakeOrigin, connect: Connect) -> None:
    port = closed_port()
    for scheme in ("http", "https"):
        url = f"{scheme}://files.example"
        said = failure(lambda url=url: connect(url, proxy=f"http://u:s3cr3t@127.0.0.1:{port}").head(url + SIGNED))
        assert f"no connection through the proxy 127.0.0.1:{port}" in said
        denies = origin(status(407))
        proxy = f"http://u:s3cr3t@127.0.0.1:{denies.port}"
        said = failure(lambda url=url, proxy=proxy: connect(url, proxy=proxy).head(url + SIGNED))
        assert f"the proxy 127.0.0.1:{denies.port} answered 407" in said
        assert "check its user and password" in said
        assert len(denies.requests) == 1
    with pytest.raises(BackendUnavailable, match="correct HTTP_PROXY") as caught:
        connect("http://a.example", proxy="socks5://u:s3cr3t@127.0.0.1:1").head("http://a.example/")
    assert "s3cr3t" not in str(caught.value)
    assert "s3cr3t" not in repr(connect("http://a.example", proxy="http://u:s3cr3t@h"))


@pytest.mark.parametrize(
    ("proxy", "parts"),
    [
        ("http://p.example:3128", ("http://p.example:3128", "p.example:3128", None)),
        ("https://u@P.example/", ("https://p.example", "p.example", "u:")),
        ("http://[::1]:80", ("http://[::1]:80", "[::1]:80", None)),
    ],
)
def test_the_parts_of_a_proxy(proxy: str, parts: Any) -> None:
    assert proxy_parts(proxy) == parts


URLS = [
    "http://files.example/a", "https://files.example/a", "https://files.example:9000/a", "http://127.0.0.1:9000/a",
    "http://localhost:1/", "https://a.b.example/", "http://[::1]:9000/",
]  # fmt: skip
ENVIRONMENTS: list[dict[str, str]] = [
    {},
    {"HTTP_PROXY": "http://p:1"},
    {"https_proxy": "p:1"},
    {"HTTPS_PROXY": "//p:1", "http_proxy": ""},
    {"ALL_PROXY": "http://p:1"},
    *({"http_proxy": "http://p:1", "https_proxy": "http://q:2", "no_proxy": skip} for skip in (
        "*", "files.example", ".example", "example:9000", "127.0.0.1", "localhost,127.0.0.1", "127.0.0.0/8", "[::1]",
    )),
]  # fmt: skip


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
def test_proxies_of_the_environment_are_botocore_s(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for url in URLS:
        assert proxy_for(url, None) == (ProxyConfiguration(get_environ_proxies(url)).proxy_url_for(url) or None), url
        for given in ({}, {"http": "p:1"}, {"https": "http://x"}):
            assert proxy_for(url, given) == ProxyConfiguration(given).proxy_url_for(url), url


def test_the_ca_bundle_is_botocore_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import itertools

    import botocore.session

    config = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    creator = EndpointCreator(None)
    for verify, aws, profile, requests in itertools.product(
        (None, False, True, "v"), (None, "a"), (None, "p"), (None, "r")
    ):
        for name, value in (("AWS_CA_BUNDLE", aws), ("REQUESTS_CA_BUNDLE", requests)):
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)
        config.write_text(f"[default]\nca_bundle = {profile}\n" if profile else "[default]\n")
        session = botocore.session.Session()
        theirs = session.get_config_variable("ca_bundle") if verify is None else verify
        assert ca_bundle(verify, profile) == creator._get_verify_value(theirs)


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_ca_bundle_does_not_switch_the_check_off(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    with pytest.raises(ConfigError, match="verify is empty"):
        ca_bundle(empty)
    monkeypatch.setenv("AWS_CA_BUNDLE", empty)
    with pytest.raises(ConfigError, match="AWS_CA_BUNDLE is empty"):
        ca_bundle(None)
