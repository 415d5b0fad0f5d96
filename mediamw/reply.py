"""What a middleware sends: a plan, and the open file that its slices are read from."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from typing import Any, Final, cast

from .backends.base import CHUNK_BYTES, INLINE_BYTES, READ_BYTES
from .core.errors import ContentChanged
from .core.head import Head
from .core.model import TO_END, Handle, Part, Plan, Slice, body_length
from .stack.steps import Pool

__all__ = ("PIECE_BYTES", "READ_BYTES", "Reply", "Stream", "joined")

PIECE_BYTES: Final = 96 * 1024
"""The pieces in which a large body is sent: what a download holds in memory is a multiple of them.

Of a stalled client uvicorn holds two or three, granian a dozen, under WSGI too. 128 KiB are more than 1 MiB a download
on granian; 64 KiB cost up to a third more CPU time under ASGI (``benchmarks/run.py large``; ``docs/design.md``).
"""


class Reply:
    """A plan and its file. ``data`` is the whole body if it is small, else read ``stream``, on a thread of ``pool``."""

    __slots__ = ("_pool", "data", "handle", "plan")

    def __init__(
        self, plan: Plan, handle: Handle | None = None, data: bytes | None = None, pool: Pool | None = None
    ) -> None:
        self.plan = plan
        self.handle = handle
        self.data = data
        self._pool = pool

    @property
    def head(self) -> Head:
        """Return what is sent before the body."""
        return Head(self.plan)

    @property
    def pool(self) -> Pool:
        """The threads that may wait for the file; only a reply that holds one has them."""
        assert self._pool is not None
        return self._pool

    @property
    def is_small(self) -> bool:
        """True if the body is to be read before the answer starts."""
        length = body_length(self.plan.body)
        return length is not None and length <= INLINE_BYTES

    def stream(self, piece_bytes: int) -> Stream:
        """Return the body in pieces. Whoever does not read it to its end closes it: it may hold a connection."""
        return Stream(self.plan.body, self.handle, piece_bytes)

    def read(self) -> bytes:
        """Return the whole body. May wait."""
        return b"".join(self.stream(CHUNK_BYTES))

    def read_and_close(self) -> bytes:
        """Return the whole body and close the file."""
        try:
            return self.read()
        finally:
            self.close()

    def read_now(self) -> bytes | None:
        """Return the whole body if reading it waits for nothing, else None."""
        pieces: list[bytes] = []
        read_now = getattr(self.handle, "read_now", None)
        for part in self.plan.body:
            if isinstance(part, bytes):
                pieces.append(part)
                continue
            data = read_now(part.start, part.stop) if read_now is not None and part is not TO_END else None
            if data is None or part is TO_END or len(data) != part.length:
                return None
            pieces.append(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def arrival(self) -> Future[None] | None:
        """Return what has to be waited for before reading on waits for nobody; None if there is nothing of the kind.

        A file that is being pulled grows as slowly as its origin is: no thread is held meanwhile.
        """
        arrival = getattr(self.handle, "arrival", None)
        return None if arrival is None else arrival()

    def joined(self) -> Future[None] | None:
        """Have a file that is to be pulled be pulled. Return what is done when ``begin``, or ``read`` of a small body,
        will wait for nothing but the disk; None if there is nothing of the kind."""
        join = getattr(self.handle, "join", None)
        part = self.plan.body[0]
        return join(part, to_end=self.is_small) if join is not None and isinstance(part, Slice) else None

    def begin(self) -> None:
        """Fetch the first bytes of a remote file. May wait."""
        part = next(part for part in self.plan.body if not isinstance(part, bytes))
        cast("Any", self.handle).begin(None if part is TO_END else part)

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self.handle is not None:
            self.handle.close()


class Stream:
    """A plan's body in pieces, as many bytes as it says. ``next`` may wait; ``ContentChanged`` if they end early.

    A handle with ``read_now`` is read anywhere at no more cost than further on: of such a one the entrance says how
    many bytes a piece has at most. Of others, which may be requests to an origin, pieces are taken as they come.
    """

    def __init__(self, body: Sequence[Part], handle: Handle | None, piece_bytes: int) -> None:
        self._parts = deque(body)
        self._handle = cast("Any", handle)
        self._piece_bytes = piece_bytes
        self._reads_anywhere = hasattr(handle, "read_now")
        self._at = self._stop = 0  # what is left of the slice that is read, of a handle that reads anywhere
        self._coming: Generator[bytes, None, None] | None = None  # the same of others

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> bytes:
        while self._at == self._stop:
            if self._coming is not None:
                for piece in self._coming:
                    return piece
            if not self._parts:
                raise StopIteration
            if literal := self._turn():
                return literal
        stop = min(self._at + self._piece_bytes, self._stop)
        return self._moved(next(self._handle.chunks(self._at, stop), b""), stop)

    def now(self, piece_bytes: int) -> bytes | None:
        """Return the next piece, ``b""`` at the end, if it waits for nothing; None if it may wait."""
        if not self._reads_anywhere:
            return None
        while self._at == self._stop:
            if not self._parts:
                return b""
            if literal := self._turn():
                return literal
        stop = min(self._at + piece_bytes, self._stop)
        data: bytes | None = self._handle.read_now(self._at, stop)
        return self._moved(data, stop) if data else None  # what is missing is for ``next`` to say

    def close(self) -> None:
        """Let go of what is still to come."""
        if self._coming is not None:
            self._coming.close()
        self._parts.clear()
        self._at = self._stop

    def _turn(self) -> bytes:
        """Turn to the next part; return it if it is bytes: they are not read."""
        part = self._parts.popleft()
        if isinstance(part, bytes):
            return part
        if part is TO_END:
            self._coming = _rest(self._handle)
        elif self._reads_anywhere:
            self._at, self._stop = part.start, part.stop
        else:
            self._coming = _exactly(self._handle, part)
        return b""

    def _moved(self, data: bytes, stop: int) -> bytes:
        if not data:
            raise _shorter(self._stop - self._at)
        data = data[: stop - self._at]  # a third party's handle may give more than it was asked for; else no copy
        self._at += len(data)
        return data


def joined(plan: Plan) -> bytes:
    """Return the body of a plan that has no slices."""
    return b"".join(cast("tuple[bytes, ...]", plan.body))


def _rest(handle: Any) -> Generator[bytes, None, None]:
    yield from filter(None, handle.whole())


def _exactly(handle: Handle, part: Slice) -> Generator[bytes, None, None]:
    rest = part.length
    for piece in handle.chunks(part.start, part.stop):
        # A third party's handle may give more than it was asked for, or nothing; the length that was promised counts.
        data = piece if len(piece) <= rest else piece[:rest]
        rest -= len(data)
        if data:
            yield data
        if not rest:
            return
    if rest:
        raise _shorter(rest)


def _shorter(rest: int) -> ContentChanged:
    return ContentChanged(f"the file ended {rest} bytes early while it was sent")
