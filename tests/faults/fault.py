"""The faults of ``FaultProxy``, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong; several things may, as ``Fault(first_byte_s=1, piece_bytes=7)``. The default is nothing.

    ``refuse``: nobody listens. ``connect_hangs``: nobody answers a SYN (Linux). ``silent``: bytes vanish both ways.
    ``reset``: RST after accept, after the request's head, or amid the answer's head. ``first_byte_s``: wait before an
    answer. ``piece_delay_s``: wait before each piece of at most ``piece_bytes``, which is one TCP segment if it is
    small. ``bytes_per_s``: bandwidth of answers. ``drip_s``: instead of the upstream's answer a head that never ends,
    one byte each so many seconds. ``cut_after``: end the connection by ``cut_by`` after so many bytes of a body.
    """

    refuse: bool = False
    connect_hangs: bool = False
    silent: bool = False
    reset: Literal["accept", "request", "head"] | None = None
    first_byte_s: float = 0
    piece_delay_s: float = 0
    piece_bytes: int | None = None
    bytes_per_s: int | None = None
    drip_s: float | None = None
    cut_after: int | None = None
    cut_by: Literal["fin", "rst"] = "fin"


HEALTHY = Fault()
REFUSE = Fault(refuse=True)
BLACK_HOLE = Fault(silent=True)
CONNECT_HANGS = Fault(connect_hangs=True, silent=True)


def reset(at: Literal["accept", "request", "head"]) -> Fault:
    return Fault(reset=at)


def slow_first_byte(seconds: float) -> Fault:
    return Fault(first_byte_s=seconds)


def latency(seconds: float, piece_bytes: int = PIECE_BYTES) -> Fault:
    """Wait before each piece of an answer."""
    return Fault(piece_delay_s=seconds, piece_bytes=piece_bytes)


def bandwidth(bytes_per_s: int) -> Fault:
    return Fault(bytes_per_s=bytes_per_s)


def sliced(piece_bytes: int) -> Fault:
    """Send answers in pieces, each in a segment of its own."""
    return Fault(piece_bytes=piece_bytes)


def drip(seconds: float) -> Fault:
    """Answer with a head that never ends, one byte each ``seconds``."""
    return Fault(drip_s=seconds)


def truncated(after: int, by: Literal["fin", "rst"] = "fin") -> Fault:
    """End the connection after so many bytes of a body; 0 is right behind the head."""
    return Fault(cut_after=after, cut_by=by)
