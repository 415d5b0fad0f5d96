"""One client's connection through a ``FaultProxy``, and what its fault does to it. ``proxy.py`` has the rules."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Literal, Protocol

from .fault import PIECE_BYTES, Fault
from .listener import JOIN_SECONDS, readable, reset, shut

_TLS = b"\x16"  # the first byte of a handshake


class Owner(Protocol):
    """What a connection asks its proxy."""

    upstream_port: int
    closing: bool

    @property
    def fault(self) -> Fault: ...
    def saw_request(self, line: str) -> Fault | None: ...
    def gone(self, connection: Connection) -> None: ...


class End(Exception):
    """The connection is over, by FIN or by RST."""

    def __init__(self, by: Literal["fin", "rst"]) -> None:
        self.by = by


class Connection:
    """One client's connection and its own to the upstream; ``run`` is its thread."""

    def __init__(self, proxy: Owner, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._upstream: socket.socket | None = None
        self._waiting, self._waker = socket.socketpair()
        self._own: Fault | None = None  # for the request under way alone
        self._tls: bool | None = None  # not known yet
        self._head = b""  # of a request, as far as it came
        self._held = b""  # what came from the client and is not forwarded yet
        self._asked = False  # a whole request was forwarded, nothing of its answer came
        self._answer_head: bytes | None = None  # as far as it came; None: in the body
        self._body_bytes = 0
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wake(self) -> None:
        with suppress(OSError):  # gone
            self._waker.send(b"x")

    def shut(self) -> None:
        for each in (self._client, self._upstream):
            if each is not None:
                shut(each)

    def run(self) -> None:
        try:
            while True:
                self._step()
        except End as end:
            with suppress(OSError):
                if end.by == "rst":
                    reset(self._client)
                else:
                    shut(self._client)
        except OSError:  # one of both hung up
            pass
        finally:
            for each in (self._client, self._upstream, self._waiting, self._waker):
                if each is not None:
                    each.close()
            self._proxy.gone(self)

    @property
    def _fault(self) -> Fault:
        """The fault that counts now. Raises End if it is the end of all connections."""
        if self._proxy.closing:
            raise End("fin")
        fault = self._proxy.fault
        if fault.refuse or fault.reset == "accept":
            raise End("rst")
        return self._own or fault

    def _step(self) -> None:
        fault = self._fault
        if not fault.silent and self._held:
            self._forward(fault)
        watched = [self._waiting, self._client]
        if self._upstream is not None and not fault.silent:
            watched.append(self._upstream)
        ready = readable(*watched)
        if self._waiting in ready:
            self._waiting.recv(4096)
        elif self._client in ready:
            data = self._client.recv(PIECE_BYTES)
            if not data:
                raise End("fin")
            self._came(data)
        else:
            self._answer(self._fault)

    # -- requests ------------------------------------------------------------------------------------------------------

    def _came(self, data: bytes) -> None:
        if self._tls is None:
            self._tls = data.startswith(_TLS)
        self._held += data
        if self._tls:
            self._asked, self._answer_head, self._body_bytes = True, None, 0
            return
        *heads, self._head = (self._head + data).split(b"\r\n\r\n")
        for head in heads:
            line = head.lstrip(b"\r\n").partition(b"\r\n")[0].decode("latin-1")
            self._own = self._proxy.saw_request(line)
            self._asked, self._answer_head, self._body_bytes = True, b"", 0

    def _forward(self, fault: Fault) -> None:
        if self._asked and fault.reset == "request":
            raise End("rst")
        if self._asked and fault.drip_s is not None:
            self._drip(fault, fault.drip_s)
            return
        if self._upstream is None:
            try:
                self._upstream = socket.create_connection(("127.0.0.1", self._proxy.upstream_port), JOIN_SECONDS)
            except OSError:
                raise End("rst") from None
            self._upstream.settimeout(None)
            self._upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._upstream.sendall(self._held)
        self._held = b""

    # -- answers -------------------------------------------------------------------------------------------------------

    def _drip(self, fault: Fault, seconds: float) -> None:
        self._held = b""  # the upstream does not see this request, not later either
        text = b"HTTP/1.1 200 OK\r\nX-Drip: "
        while self._fault == fault:
            self._client.sendall(text[:1])
            text = text[1:] or b"a"
            self._pause(seconds, fault)
        raise End("rst")  # its head is spoiled

    def _answer(self, fault: Fault) -> None:
        assert self._upstream is not None
        size = min(PIECE_BYTES, fault.piece_bytes or PIECE_BYTES)
        if fault.bytes_per_s is not None:
            size = min(size, max(1, fault.bytes_per_s // 20))
        data = self._upstream.recv(size)
        if not data:
            raise End("fin")
        wait = fault.piece_delay_s + (len(data) / fault.bytes_per_s if fault.bytes_per_s else 0)
        if self._asked:
            self._asked = False
            wait += fault.first_byte_s
        if wait:
            self._pause(wait, fault)
        while (fault := self._fault).silent:  # switched meanwhile
            readable(self._waiting)
            self._waiting.recv(4096)
        ended = self._body_of(data)
        if fault.reset == "head" and self._body_bytes < len(data):  # something of the head is in here
            self._client.sendall(data[: max(1, (len(data) - self._body_bytes) // 2)])
            raise End("rst")
        if fault.cut_after is not None and ended and self._body_bytes >= fault.cut_after:
            surplus = min(self._body_bytes - fault.cut_after, len(data))
            self._client.sendall(data[: len(data) - surplus])
            raise End(fault.cut_by)
        self._client.sendall(data)

    def _body_of(self, data: bytes) -> bool:
        """Count the bytes of the body; return whether the head has ended."""
        if self._answer_head is None:
            self._body_bytes += len(data)
            return True
        self._answer_head += data
        end = self._answer_head.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._body_bytes = len(self._answer_head) - end - 4
        self._answer_head = None
        return True

    def _pause(self, seconds: float, fault: Fault) -> None:
        """Wait, until the fault is another at most."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0 and self._fault == fault:
            if readable(self._waiting, timeout_s=rest):
                self._waiting.recv(4096)
