"""Copies of files whose length nobody said, for whoever needs to know it before the first byte. They have bounds.

A copy goes with whoever reads it: in memory up to 1 MiB, in a nameless temporary file beyond.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, cast

from ..backends.base import READ_BYTES
from ..core.errors import BackendUnavailable
from ..core.model import Meta

MEMORY_BYTES: Final = 1024 * 1024

MAX_COPY_BYTES: Final = 1024 * 1024 * 1024
COPY_SECONDS: Final = 120.0
"""How long a client waits for a copy: a camera's stream has no end."""


class CopiedHandle:
    """An open copy of a remote file, which goes with it."""

    def __init__(self, file: BinaryIO, meta: Meta) -> None:
        self._file = file
        self.meta = meta

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to ``stop``."""
        self._file.seek(start)
        while start < stop:
            piece = self._file.read(min(READ_BYTES, stop - start))
            start += len(piece)
            yield piece

    def close(self) -> None:
        """Remove the copy."""
        self._file.close()


def copy_of(
    pieces: Iterator[bytes], *, seconds: float | None = None, is_wanted: Callable[[], bool] = lambda: True
) -> BinaryIO:
    """Return a file with what ``pieces`` give. Ends early if it is not wanted any more, which is asked at each piece.

    Raises ``BackendUnavailable`` if there are more than ``MAX_COPY_BYTES``, or it takes longer than ``seconds``.
    """
    import tempfile  # with bz2 and lzma behind it, for files whose length nobody said

    until = None if seconds is None else time.monotonic() + seconds
    size = 0
    file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
    try:
        for piece in pieces:
            size += len(piece)
            if size > MAX_COPY_BYTES:
                raise BackendUnavailable(
                    f"the origin does not say how long the file is, and it has more than {MAX_COPY_BYTES} bytes"
                )
            if until is not None and time.monotonic() > until:
                raise BackendUnavailable(
                    f"the origin does not say how long the file is, and did not come to its end in {seconds:g} s"
                )
            if not is_wanted():
                raise BackendUnavailable("nobody waits for it any more")
            file.write(piece)
    except BaseException:
        file.close()
        raise
    finally:
        close_pieces(pieces)
    file.seek(0)
    return cast("BinaryIO", file)


def close_pieces(pieces: Any) -> None:
    """Close a generator, which gives its connection back; other iterators have nothing to give."""
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
