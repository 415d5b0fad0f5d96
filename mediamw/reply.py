"""What a middleware sends: a plan, and the open file that its slices are read from."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future
from typing import Any, cast

from .backends.base import INLINE_BYTES
from .core.errors import ContentChanged
from .core.head import Head
from .core.model import TO_END, Handle, Plan, Slice, body_length
from .stack.steps import Pool


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

    def stream(self) -> Generator[bytes, None, None]:
        """Yield the body in pieces, as many bytes as the plan says. Raises ``ContentChanged`` if they end early.

        Whoever does not read it to its end closes it: it may hold a connection.
        """
        for part in self.plan.body:
            if isinstance(part, bytes):
                yield part
            elif part is TO_END:
                yield from filter(None, cast("Any", self.handle).whole())
            elif self.handle is not None:
                yield from _exactly(self.handle, part)

    def read(self) -> bytes:
        """Return the whole body. May wait."""
        return b"".join(self.stream())

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


def joined(plan: Plan) -> bytes:
    """Return the body of a plan that has no slices."""
    return b"".join(cast("tuple[bytes, ...]", plan.body))


def _exactly(handle: Handle, part: Slice) -> Iterator[bytes]:
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
        raise ContentChanged(f"the file ended {rest} bytes early while it was sent")
