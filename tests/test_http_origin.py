"""HTTPOriginBackend: a real web server passes the suite, misbehaving ones are told apart, circles end."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextvars import copy_context
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import urllib3
from werkzeug.test import Client

from mediamw import HTTPOriginBackend, build_stack
from mediamw.backends import http_origin
from mediamw.backends.base import Remote
from mediamw.backends.http_origin import VIA
from mediamw.core.errors import BackendUnavailable, ConfigError, ContentChanged, Unreachable
from mediamw.core.keys import Key
from mediamw.core.media_types import guess
from mediamw.testing import SAMPLE_FILES, check_backend

from .raw_origin import RawOrigin, status
from .test_lookups_limits import forks, in_a_child, may_be_threaded

PAGE = Path(__file__).parents[1] / "docs" / "http_origin.md"
PHOTO = Key("homes/1 a.jpg")


class Site(ThreadingHTTPServer):
    """Serves ``files`` below /media/ as a web server does: ETags, ranges, If-Match."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes], *, refuses_head: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.refuses_head = files, refuses_head
        self.seen: list[tuple[str, str, Any]] = []
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def server_bind(self) -> None:
        super(ThreadingHTTPServer.__mro__[2], self).server_bind()  # HTTPServer's asks DNS for the host's name
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/media/"

    def stop(self) -> None:
        self.shutdown()
        self.thread.join(10)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.path, self.headers))
        data = self.server.files.get(unquote(self.path.removeprefix("/media/")))
        if self.command == "HEAD" and self.server.refuses_head:
            self.answer(405, b"", {})
            return
        if data is None:
            self.answer(404, b"<h1>not here</h1>", {"Content-Type": "text/html"})
            return
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        headers = {
            "ETag": etag,
            "Last-Modified": formatdate(1_700_000_000, usegmt=True),
            "Content-Type": guess(unquote(self.path))[0],
        }
        if self.headers.get("If-Match", etag) != etag:
            self.answer(412, b"", {})
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is None or self.command == "HEAD":
            self.answer(200, data, headers)
            return
        start, stop = int(asked[1]), min(int(asked[2]) + 1, len(data))
        if start >= stop:
            self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        self.answer(206, data[start:stop], {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"})

    do_HEAD = do_GET

    def answer(self, number: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(number)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Callable[..., Site]]:
    with contextlib.ExitStack() as stack:

        def make(files: Mapping[str, bytes], **options: Any) -> Site:
            made = Site(files, **options)
            stack.callback(made.stop)
            return made

        yield make


@pytest.fixture
def raw() -> Iterator[Callable[..., RawOrigin]]:
    with contextlib.ExitStack() as stack:

        def make(*script: Any) -> RawOrigin:
            made = RawOrigin(*script)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def connect() -> Iterator[Callable[..., HTTPOriginBackend]]:
    with contextlib.ExitStack() as stack:

        def make(url: str, **options: Any) -> HTTPOriginBackend:
            made = HTTPOriginBackend(url, **options)
            stack.callback(made.close)
            return made

        yield make


Make = Callable[..., Any]


def fetch(method: str, url: str) -> tuple[int, Mapping[str, str], bytes]:
    with urllib3.PoolManager() as pool:
        response = pool.request(method, url)
        return response.status, response.headers, response.data


@pytest.mark.parametrize("refuses_head", [False, True])
def test_it_passes_the_suite(site: Make, connect: Make, refuses_head: bool) -> None:
    server = site(SAMPLE_FILES, refuses_head=refuses_head)
    backend = connect(server.url)
    check_backend(backend, SAMPLE_FILES, fetch=None if refuses_head else fetch)
    methods = [method for method, _, _ in server.seen]
    assert set(methods) == {"GET", "HEAD"}
    if refuses_head:
        assert methods.count("HEAD") == 1  # it is remembered
    for _, _, headers in server.seen[:20]:
        assert headers["Via"] == f"1.1 {backend.via}"


def test_what_is_known_of_a_file(site: Make, connect: Make) -> None:
    meta = connect(site(SAMPLE_FILES).url).open(Key("names/Küche.jpg")).meta
    data = SAMPLE_FILES["names/Küche.jpg"]
    assert (meta.size, meta.mtime_ns, meta.content_type) == (len(data), 1_700_000_000 * 10**9, "image/jpeg")
    assert meta.etag == f'"{hashlib.md5(data).hexdigest()}"'


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (401, BackendUnavailable, "HTTPOriginBackend takes headers, username and password"),
        (403, BackendUnavailable, "HTTPOriginBackend takes headers, username and password"),
        (400, BackendUnavailable, "answered 400"),
        (204, BackendUnavailable, "answered 204"),
        (429, Unreachable, "answered 429"),
        (500, Unreachable, "answered 500"),
        (503, Unreachable, "answered 503"),
    ],
)
def test_who_cannot_tell(raw: Make, connect: Make, number: int, kind: type[Exception], said: str) -> None:
    server = raw(*[status(number, "Retry-After: 44")] * 2)
    with pytest.raises(BackendUnavailable, match=said) as caught:
        connect(server.url).open(PHOTO)
    assert type(caught.value) is kind
    assert caught.value.retry_after == (44 if kind is Unreachable else 10)
    assert server.requests[0].startswith(b"HEAD /homes/1%20a.jpg HTTP/1.1\r\n")
    assert len(server.requests) == 1


def test_a_bucket_is_no_site(raw: Make, connect: Make) -> None:
    with pytest.raises(BackendUnavailable, match="it wants credentials: a bucket answers there: write s3://NAME"):
        connect(raw(status(403, "x-amz-request-id: 4442587FB7D0A2F9")).url).open(PHOTO)


@pytest.mark.parametrize("number", [404, 410])
def test_missing(raw: Make, connect: Make, number: int) -> None:
    assert connect(raw(status(number, "Content-Type: text/html")).url).open(PHOTO) is None


@pytest.mark.parametrize(
    ("name", "content_type", "is_file"),
    [
        ("a.jpg", "text/html", False),
        ("a.jpg", "TEXT/HTML; charset=utf-8", False),
        ("a.pdf", "application/xhtml+xml", False),
        ("a", "text/html", False),
        ("a.html", "text/html; charset=utf-8", True),
        ("a.xhtml", "text/html", True),
        ("a.jpg", "image/png", True),
        ("a.jpg", "text/plain", True),
    ],
)
def test_a_page_is_no_file(raw: Make, connect: Make, name: str, content_type: str, is_file: bool) -> None:
    backend = connect(raw(status(200, f"Content-Type: {content_type}", "Content-Length: 5")).url)
    if is_file:
        assert backend.open(Key(name)).meta.size == 5
    else:
        with pytest.raises(BackendUnavailable, match="a login page, or an app that answers 200 to everything"):
            backend.open(Key(name))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("image/png", "image/png"),
        ("application/octet-stream", None),
        ("application/octet-stream2", "application/octet-stream2"),
        ("nonsense", None),
    ],
)
def test_a_type_that_tells_nothing_is_the_names(raw: Make, connect: Make, said: str, meant: str | None) -> None:
    backend = connect(raw(status(200, f"Content-Type: {said}", "Content-Length: 5")).url)
    assert backend.open(PHOTO).meta.content_type == meant


@pytest.mark.parametrize("headers", [["Transfer-Encoding: chunked"], ["Content-Length: ten"], ["Content-Length: -1"]])
def test_a_length_that_is_not_said(raw: Make, connect: Make, headers: list[str]) -> None:
    backend = connect(raw(status(200, *headers)).url)
    assert backend.open(PHOTO) == Remote(http_origin.Meta(size=None))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (status(206, "Content-Range: bytes 0-0/77", body=b"x"), 77),
        (status(206, "Content-Range: bytes 0-0/*", body=b"x"), None),
        (status(416, "Content-Range: bytes */0"), 0),
        (status(200, body=b"all of it"), 9),
    ],
)
@pytest.mark.parametrize("refusal", [405, 501])
def test_sites_that_refuse_head(raw: Make, connect: Make, refusal: int, answer: bytes, expected: int | None) -> None:
    server = raw(status(refusal), answer)
    assert connect(server.url).open(PHOTO).meta.size == expected
    assert server.requests[1].startswith(b"GET ")
    assert b"Range: bytes=0-0\r\n" in server.requests[1]


def test_a_refusal_of_head_is_not_remembered_if_get_fails_too(raw: Make, connect: Make) -> None:
    server = raw(status(405), status(405), status(200, "Content-Length: 3"))
    backend = connect(server.url)
    with pytest.raises(BackendUnavailable, match="405"):
        backend.open(PHOTO)
    assert backend.open(PHOTO).meta.size == 3
    assert server.requests[2].startswith(b"HEAD ")


# -- redirects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("/media/b.jpg", b"/media/b.jpg"),
        ("b.jpg?v=2", b"/media/homes/b.jpg?v=2"),
        ("{url}/media/c%20d.jpg", b"/media/c%20d.jpg"),
        ("/media/a%2F..b%5C.c;.jpg", b"/media/a%2F..b%5C.c;.jpg"),
    ],
)
def test_redirects_below_the_base_are_followed(raw: Make, connect: Make, location: str, asked: bytes) -> None:
    server = raw(b"", status(200, "Content-Length: 4"), b"", status(206, "Content-Range: bytes 0-3/4", body=b"data"))
    server.script[0] = server.script[2] = status(302, f"Location: {location.replace('{url}', server.url)}")
    backend = connect(f"{server.url}/media/", headers={"X-Key": "s3cr3t"})
    assert backend.open(PHOTO).meta.size == 4
    assert b"".join(backend.read_range(PHOTO, 0, 4, None)) == b"data"
    for request in server.requests[1::2]:
        assert request.split()[1] == asked
        assert b"X-Key: s3cr3t\r\n" in request


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://login.example/sso?ticket=s3cr3t", "https://login.example/sso"),
        ("//other.example/media/a.jpg", "http://other.example/media/a.jpg"),
        ("/login?next=s3cr3t", "/login"),
        ("/media/../secret", "/secret"),
        ("/media/%2e%2e/secret", "/media/%2e%2e/secret"),
        ("/media/..%2f..%2fadmin", "/media/..%2f..%2fadmin"),
        ("/media/x/%2E%2e%5C..%2Fadmin", "/media/x/%2E%2e%5C..%2Fadmin"),
        ("/media/..\\admin", "/media/..%5Cadmin"),
        ("/media/..;x/admin", "/media/..;x/admin"),
        ("/mediator/a.jpg", "/mediator/a.jpg"),
        ("http://127.0.0.1:1/media/a.jpg", "http://127.0.0.1:1/media/a.jpg"),
        ("http://u:s3cr3t@127.0.0.1:{port}/media/a.jpg", "/media/a.jpg"),
        ("http://127.0.0.1:{port}x/", "no URL"),
        ("ftp://127.0.0.1:{port}/media/a", "ftp://127.0.0.1"),
    ],
)
def test_redirects_elsewhere_are_not(raw: Make, connect: Make, location: str, named: str) -> None:
    server = raw(b"", status(200))
    server.script[0] = status(302, f"Location: {location.replace('{port}', str(server.port))}")
    with pytest.raises(BackendUnavailable) as caught:
        connect(f"{server.url}/media/").open(PHOTO)
    assert named in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert not isinstance(caught.value, Unreachable)
    assert len(server.requests) == 1


def test_redirects_end(raw: Make, connect: Make) -> None:
    server = raw(*[status(302, "Location: x.jpg")] * 9)
    with pytest.raises(BackendUnavailable, match="redirects more than 3 times"):
        connect(server.url).open(PHOTO)
    assert len(server.requests) == 4
    with pytest.raises(BackendUnavailable, match="answered 302"):
        connect(raw(status(302)).url).open(PHOTO)


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_whole_files(site: Make, raw: Make, connect: Make) -> None:
    server = site(SAMPLE_FILES)
    backend = connect(server.url)
    big = Key("big.bin")
    etag = backend.open(big).meta.etag
    assert b"".join(backend.read_whole(big, etag)) == SAMPLE_FILES[big]
    assert (
        b"".join(backend.read_range(big, 0, len(SAMPLE_FILES[big]), etag, size=len(SAMPLE_FILES[big])))
        == SAMPLE_FILES[big]
    )
    assert all("Range" not in headers for method, _, headers in server.seen if method == "GET")
    with pytest.raises(ContentChanged):
        list(backend.read_whole(big, '"other"'))
    with pytest.raises(ContentChanged):
        list(backend.read_whole(Key("not-there"), None))


def test_a_coding_is_held_to(raw: Make, connect: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_origin, "_MAX_CODINGS", 1)
    zipped, plain = (status(200, *coding, body=b"data") for coding in (["Content-Encoding: gzip"], []))
    head = b"HTTP/1.1 200 X\r\nContent-Length: 4\r\nContent-Encoding: gzip\r\n\r\n"
    bare = b"HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\n"
    backend = connect(raw(head, plain, zipped, plain, zipped, bare, zipped, plain).url)
    assert backend.open(PHOTO).meta.content_encoding == "gzip"
    with pytest.raises(ContentChanged, match="Content-Encoding"):
        list(backend.read_range(PHOTO, 0, 4, None))
    read = lambda: b"".join(backend.read_whole(PHOTO, None))  # noqa: E731
    assert read() == b"data"
    with pytest.raises(ContentChanged, match="Content-Encoding"):
        read()
    backend._remember(Key("other"), "br")  # there is room for one
    with pytest.raises(ContentChanged):
        read()
    assert backend.open(PHOTO).meta.content_encoding is None
    with pytest.raises(ContentChanged):
        read()
    assert read() == b"data"


@forks
@may_be_threaded
def test_a_lock_that_is_held_over_a_fork(connect: Make) -> None:
    backend = connect("http://127.0.0.1:1/")
    with backend._lock.get():
        assert in_a_child(lambda: backend._remember(PHOTO, "br") is None)


# -- what it is told ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "normal"),
    [
        ("HTTPS://WWW.Example.com", "https://www.example.com/"),
        ("https://www.example.com:443/media", "https://www.example.com/media/"),
        ("http://h:8000/a%20b/", "http://h:8000/a%20b/"),
        ("http://[::1]:80/", "http://[::1]/"),
    ],
)
def test_base_urls(base_url: str, normal: str) -> None:
    backend = HTTPOriginBackend(base_url)
    assert backend.base_url == normal
    assert backend.via == "mediamw-" + hashlib.sha256(normal.encode()).hexdigest()[:12]
    assert backend.via == HTTPOriginBackend(normal).via
    assert backend.sign(PHOTO, "GET", 0) == (normal + "homes/1%20a.jpg", None)
    assert repr(backend) == f"HTTPOriginBackend({normal!r}, name='http')"
    assert (backend.rules.delivery, backend.can_sign(0)) == ("redirect", True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "ftp://h/"}, "base_url: it does not start with"),
        ({"base_url": "www.example.com/media/"}, "base_url: it does not start with"),
        ({"base_url": "https:///media/"}, "base_url: its host"),
        ({"base_url": "https://h_ß/"}, "base_url: its host"),
        ({"base_url": "https://h/?s3cr3t"}, "base_url: it has a query"),
        ({"base_url": "https://h/#s3cr3t"}, "base_url: it has a query"),
        ({"base_url": "https://u:s3cr3t@h/"}, "give username and password"),
        ({"base_url": "https://h/a/../b/"}, "dot segment"),
        ({"base_url": "https://h/%2E%2e/b/"}, "dot segment"),
        ({"base_url": "https://h/a%2F..%2fb/"}, "dot segment"),
        ({"base_url": "https://h/a%5c.%5Cb/"}, "dot segment"),
        ({"base_url": "https://h/a b/"}, "quote"),
        ({"base_url": "https://h/a\\b/"}, "quote"),
        ({"base_url": "https://h/a\nb/"}, "quote"),
        ({"base_url": "https://h/%zz/"}, "quote"),
        ({"base_url": "https://h:0/"}, "port 0"),
        ({"base_url": "https://h:99999/"}, "base_url: not a URL"),
        ({"base_url": b"https://h/"}, "bytes is no text"),
        ({"headers": {"Host": "s3cr3t"}}, "Host is set for each request"),
        ({"headers": {"if-none-match": "s3cr3t"}}, "if-none-match is set"),
        ({"headers": {"VIA": "s3cr3t"}}, "VIA is set"),
        ({"headers": {"Accept-Encoding": "gzip"}}, "Accept-Encoding is set"),
        ({"headers": {"X": "s3cr3t\r\nHost: x"}}, "headers: the value of X"),
        ({"headers": {"X": 1}}, "headers: the value of X"),
        ({"headers": {"s3cr3t:": "1"}}, "one of the names"),
        ({"headers": {"X": "1", "x": "2"}}, "x stands there twice"),
        ({"headers": [("X", "1")]}, "headers: give a mapping"),
        ({"headers": {"Authorization": "s3cr3t"}, "username": "u"}, "drop one"),
        ({"password": "s3cr3t"}, "password without username"),
        ({"username": "u:s3cr3t"}, "username holds ':'"),
        ({"username": "", "password": "s3cr3t"}, "username is empty"),
        ({"username": "u", "password": "s3cr3t\n"}, "control characters"),
        ({"username": "u", "delivery": "redirect"}, "delivery: redirect cannot be"),
        ({"headers": {"X": "s3cr3t"}, "delivery_by": {"*.svg": "redirect"}}, "delivery_by: redirect cannot be"),
        ({"headers": {"X": "s3cr3t"}, "check": False}, "check: False"),
        ({"delivery": "both"}, "delivery: 'both'"),
        ({"verify": "/missing/ca.pem"}, "/missing/ca.pem cannot be read"),
        ({"base_url": "http://h/", "verify": "/missing/ca.pem"}, "/missing/ca.pem cannot be read"),
        ({"verify": ""}, "verify is empty"),
        ({"delivry": "proxy"}, "unknown option 'delivry'; did you mean delivery?"),
        ({"xyzzy": 1}, "there are headers, username, password, proxies, verify, name, delivery, delivery_by, exclude"),
        ({"proxies": {"https": "socks5://u:s3cr3t@h"}}, "proxies: the value of 'https' is no URL of an HTTP proxy"),
        ({"proxies": ["http://u:s3cr3t@h"]}, "proxies: list is no mapping"),
    ],
)  # fmt: skip
def test_faults(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HTTPOriginBackend(**{"base_url": "https://www.example.com/", **options})
    assert said in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_credentials_travel_and_do_not_show(raw: Make, connect: Make) -> None:
    server = raw(status(200, "Content-Length: 1"), status(403))
    backend = connect(server.url, username="qä", password="s3cr3t", headers={"X-Token": "s3cr3t"})
    backend.open(PHOTO)
    assert b"Authorization: Basic " + b64encode("qä:s3cr3t".encode()) + b"\r\n" in server.requests[0]
    assert b"X-Token: s3cr3t\r\n" in server.requests[0]
    with pytest.raises(BackendUnavailable, match="correct them") as caught:
        backend.open(PHOTO)
    for text in (str(caught.value), repr(backend), repr(vars(backend)), backend.sign(PHOTO, "GET", 0).url):
        assert "s3cr3t" not in text
    assert backend.rules.delivery == "proxy"


# -- specs -------------------------------------------------------------------------------------------------------------


def test_specs() -> None:
    stack = build_stack(
        [
            "https://www.example.com/media/",
            "http://www.example.com/other",
            "prod=https://h/m/#delivery=redirect&exclude=*.pdf&exclude=a/&only=/b%20c&check=false",
        ]
    )
    one, two, prod = stack.backends
    assert [backend.name for backend in stack.backends] == ["http", "http_2", "prod"]
    assert (one.base_url, two.base_url) == ("https://www.example.com/media/", "http://www.example.com/other/")
    assert (prod.base_url, prod.rules.delivery, prod.rules.check) == ("https://h/m/", "redirect", False)
    assert [prod.rules.lets(Key(key)) for key in ("b c", "x.pdf", "a/b", "d")] == [True, False, False, False]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("https://h/m/?delivery=proxy", "options of a web site stand behind '#'"),
        ("https://h/m/?x=1", "it has a query"),
        ("https://u:s3cr3t@h/", "username and password"),
        ("https://h/#password=s3cr3t", "password does not belong into a spec"),
        ("https://h/#username=s3cr3t", "username does not belong into a spec"),
        ("https://h/#delivry=proxy", "did you mean delivery?"),
        ("https://h/#delivery=proxy&delivery=proxy", "stands twice"),
        ("https://h/#delivery=", "has no value"),
        ("https://h/#delivery", "option=value"),
        ("https://h/#check=0", "check: '0' is neither true nor false"),
        ("https://h/#delivery=both", "delivery: 'both'"),
    ],
)
def test_specs_that_are_wrong(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        build_stack([f"prod={spec}"])
    assert "s3cr3t" not in str(caught.value)
    assert "backend 'prod'" in str(caught.value)


# -- circles -----------------------------------------------------------------------------------------------------------


def sent_via(raw: Make, connect: Make, came: str) -> str:
    server = raw(status(404))
    backend = connect(server.url)

    def ask() -> None:
        VIA.set(came)
        backend.open(PHOTO)

    copy_context().run(ask)
    (line,) = re.findall(rb"\r\nVia: (.*?)\r\n", server.requests[0])
    return str(line.decode().replace(backend.via, "OWN"))


OTHER = "mediamw-0123456789ab"


@pytest.mark.parametrize(
    ("came", "sent"),
    [
        ("", "1.1 OWN"),
        (f"1.1 {OTHER}", f"1.1 {OTHER}, 1.1 OWN"),
        (f"1.1 fra1.cdn.example, 1.1 {OTHER} (x), HTTP/2 y", f"1.1 {OTHER}, 1.1 OWN"),
        (f"1.1 {OTHER}, 1.1 {OTHER}", f"1.1 {OTHER}, 1.1 OWN"),
        ("x\r\nHost: evil", "1.1 OWN"),
        ("1.1 mediamw-zz, 1.1 mediamw-0123456789abcdef", "1.1 OWN"),
    ],
)
def test_via_is_carried_on(raw: Make, connect: Make, came: str, sent: str) -> None:
    assert sent_via(raw, connect, came) == sent


def test_via_is_bounded(raw: Make, connect: Make) -> None:
    most = (http_origin.MAX_VIA_BYTES + 2) // len(f"1.1 {OTHER}, ") - 1
    entries = [f"1.1 mediamw-{number:012x}" for number in range(most + 1)]
    assert len(sent_via(raw, connect, ", ".join(entries[:most]))) <= http_origin.MAX_VIA_BYTES
    with pytest.raises(BackendUnavailable, match="in a circle"):
        sent_via(raw, connect, ", ".join(entries))


def test_a_circle_of_two_ends(connect: Make) -> None:
    """A asks B and B asks A, each with the stack's rule: not the backend whose id came in."""
    asked: list[str] = []
    with contextlib.ExitStack() as stack:
        servers = {}
        for name, other in (("a", "b"), ("b", "a")):

            class Answers(_Handler):
                to = other
                me = name

                def do_GET(self) -> None:
                    asked.append(self.me)
                    came = self.headers.get("Via", "")
                    if len(asked) < 9 and backends[self.to].via not in came:
                        VIA.set(came)
                        backends[self.to].open(Key("a.jpg"))
                    self.answer(404, b"", {})

                do_HEAD = do_GET

            servers[name] = Site({})
            servers[name].RequestHandlerClass = Answers
            stack.callback(servers[name].stop)
        backends = {name: connect(server.url) for name, server in servers.items()}
        assert backends["a"].open(Key("a.jpg")) is None
    # b never asks a, whose id came in. Each is asked by HEAD, and once by GET whether it really is missing.
    assert asked == ["a", "b", "b", "a", "b"]


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def their_app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"the app"]

    monkeypatch.chdir(tmp_path)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.txt").write_text("hello")
    text = PAGE.read_text("utf-8")
    names: dict[str, Any] = {"app": their_app}
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/http_origin.md", "exec"), names)
    assert Client(names["app"]).get("/media/a.txt").data == b"hello"
    assert not names["prod"].rules.lets(Key("invoices/1.pdf"))
    assert (names["prod"].rules.delivery, names["staging"].rules.delivery) == ("redirect", "proxy")
    for spec in re.findall(r"(?:prod=|`)(https://www\.example\.com/media/[^\s`%]*)(?:\s|`)", text):
        if "homes" not in spec:
            assert build_stack([spec]).backends[0].base_url == "https://www.example.com/media/"
