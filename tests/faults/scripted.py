"""Origins that misbehave in HTTP: one that says what it is given, and one that spoils what a sound server says.

``Origin`` answers with given bytes, one answer for each request. ``Scripted`` stands before a server (StrictS3) and
passes requests and answers on, whole; ``script`` has the behaviours of the next requests, one each (None: sound),
``always`` that of all others. A behaviour is a function of the request and of ``ask``, which asks the server.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from .listener import Server, read_head

CLOSE = None  # in a script of Origin: the end of the connection


class Origin(Server):
    """Answers the requests of all connections with ``script``, one after the other; None closes the connection.

    When the script has ended, nothing is answered.
    """

    def __init__(self, *script: bytes | None) -> None:
        self.script = list(script)
        self.requests: list[bytes] = []
        self._lock = threading.Lock()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        rest = b""
        while (read := read_head(connection, rest)) is not None:
            request, rest = read
            with self._lock:
                self.requests.append(request)
                answer = self.script.pop(0) if self.script else b""
                closes = bool(self.script) and self.script[0] is CLOSE and answer is not CLOSE
                if closes:
                    self.script.pop(0)
            if answer is CLOSE:
                return
            connection.sendall(answer)
            if closes:
                return


def status(number: int, *headers: str, body: bytes = b"") -> bytes:
    """An answer of ``Origin``, with the body's Content-Length unless one is given."""
    lines = [f"HTTP/1.1 {number} X", *headers]
    if not any(header.lower().startswith("content-length") for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def error(number: int, code: str, message: str = "") -> bytes:
    """An answer of ``Origin`` that is S3's error document."""
    return status(number, "Content-Type: application/xml", body=error_xml(code, message))


def error_xml(code: str, message: str = "") -> bytes:
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


@dataclass(frozen=True)
class Asked:
    """A request: the target as it came, headers by lower-case name."""

    method: str
    target: str
    headers: dict[str, str]

    def without(self, *names: str) -> Asked:
        return replace(self, headers={name: text for name, text in self.headers.items() if name not in names})


@dataclass(frozen=True)
class Said:
    """An answer: headers by lower-case name, but for the two of framing, which follow from the rest.

    ``length``: what Content-Length says if not the body's; for HEAD the length of what GET would send. ``chunked``
    sends the body as one chunk without the chunk that ends it. ``then``: ``hang`` is to send nothing more.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    chunked: bool = False
    then: Literal["keep", "close", "hang"] = "keep"

    def head(self) -> bytes:
        framing = (
            ("transfer-encoding", "chunked")
            if self.chunked
            else ("content-length", str(len(self.body) if self.length is None else self.length))
        )
        lines = [f"{name}: {text}\r\n" for name, text in (*self.headers.items(), framing)]
        return f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, 'X')}\r\n{''.join(lines)}\r\n".encode(
            "latin-1"
        )

    def sent_body(self) -> bytes:
        return b"%x\r\n%s\r\n" % (len(self.body), self.body) if self.chunked else self.body


Ask = Callable[[Asked], Said]
Behaviour = Callable[[Asked, Ask], Said]


class Scripted(Server):
    """GET and HEAD to ``upstream_port`` on 127.0.0.1, as ``script`` and ``always`` spoil them; they may be changed at
    any time. ``requests`` holds all that came. The Host stays the client's, so that signatures hold."""

    def __init__(self, upstream_port: int, *script: Behaviour | None, always: Behaviour | None = None) -> None:
        self.upstream_port = upstream_port
        self.script = list(script)
        self.always = always
        self.requests: list[Asked] = []
        self._lock = threading.Lock()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        rest = b""
        while (read := read_head(connection, rest)) is not None:
            head, rest = read
            asked = parse(head)
            with self._lock:
                self.requests.append(asked)
                behaviour = self.script.pop(0) if self.script else self.always
            said = self._ask(asked) if behaviour is None else behaviour(asked, self._ask)
            connection.sendall(said.head() + (b"" if asked.method == "HEAD" else said.sent_body()))
            if said.then == "hang":
                self.listener.closing.wait()
            if said.then != "keep":
                return

    def _ask(self, asked: Asked) -> Said:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=10)) as upstream:
            upstream.putrequest(asked.method, asked.target, skip_host=True, skip_accept_encoding=True)
            for name, text in asked.headers.items():
                upstream.putheader(name, text)
            upstream.endheaders()
            with upstream.getresponse() as answer:
                headers = {name.lower(): text for name, text in answer.getheaders()}
                body = answer.read()
                length = headers.pop("content-length", None)
                for name in ("transfer-encoding", "connection"):
                    headers.pop(name, None)
                said_length = int(length) if asked.method == "HEAD" and length is not None else None
                return Said(answer.status, headers, body, said_length)


def parse(head: bytes) -> Asked:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return Asked(method, target, {name.strip().lower(): text.strip() for name, _, text in pairs})


# -- behaviours --------------------------------------------------------------------------------------------------------


def says(number: int, code: str, headers: dict[str, str] | None = None, *, message: str = "") -> Behaviour:
    """S3's error document with this status, which may be 200."""
    said = Said(number, {"content-type": "application/xml", **(headers or {})}, error_xml(code, message))
    return lambda asked, ask: said


def slow_down(retry_after: str | None = None) -> Behaviour:
    """503 SlowDown."""
    return says(503, "SlowDown", {} if retry_after is None else {"retry-after": retry_after})


def error_in_200(code: str = "InternalError") -> Behaviour:
    return says(200, code)


def to_get(behaviour: Behaviour) -> Behaviour:
    """HEAD is answered soundly, and GET by ``behaviour``."""
    return lambda asked, ask: ask(asked) if asked.method == "HEAD" else behaviour(asked, ask)


def wrong_length(more: int) -> Behaviour:
    """Content-Length is so many bytes too many, and the connection ends behind the body; or too few (negative)."""

    def behave(asked: Asked, ask: Ask) -> Said:
        said = ask(asked)
        length = (len(said.body) if said.length is None else said.length) + more
        return replace(said, length=length, then="close" if more > 0 and asked.method != "HEAD" else "keep")

    return behave


def wrong_content_range(text: str) -> Behaviour:
    """A 206 says that it is another range, such as ``bytes 1-10/200``."""

    def behave(asked: Asked, ask: Ask) -> Said:
        said = ask(asked)
        return replace(said, headers=said.headers | {"content-range": text}) if said.status == 206 else said

    return behave


def range_ignored(asked: Asked, ask: Ask) -> Said:
    """200 with the whole file (RFC 9110, 14.2 allows it)."""
    return ask(asked.without("range", "if-range"))


def changed_etag(etag: str = '"changed"', *, heeds_if_match: bool = True) -> Behaviour:
    """The file has another version meanwhile: 412 to If-Match with any other, or, if it is not heeded, the new one."""

    def behave(asked: Asked, ask: Ask) -> Said:
        condition = asked.headers.get("if-match")
        if heeds_if_match and condition not in (None, etag, "*"):
            return Said(412, {"content-type": "application/xml"}, error_xml("PreconditionFailed"))
        said = ask(asked.without("if-match"))
        return replace(said, headers=said.headers | {"etag": etag}) if said.status in (200, 206) else said

    return behave


def endless_chunks(then: Literal["close", "hang"] = "close") -> Behaviour:
    """The whole body in a chunk, and then not the empty chunk that ends it."""
    return lambda asked, ask: replace(ask(asked), chunked=True, then=then)
