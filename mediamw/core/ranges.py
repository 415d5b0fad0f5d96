"""Range (RFC 9110, 14): a header and a size in, slices out.

Rules: only GET has ranges (14.2, seen to in plan.py); a header that is malformed, of another unit, over 8 KiB or over
16 ranges is ignored, never an error (14.2: "MAY ignore"); numbers are ASCII digits and nothing else (no sign, no
underscore, no full-width digits: Python's ``int`` takes all of them); the work is linear in the header.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from .model import Slice

MAX_RANGES = 16
MAX_HEADER_BYTES = 8 * 1024
# No file is larger (an exabyte); a longer number means "as far as there is" and must not cost its square to convert.
_MAX_DIGITS = 18
_BEYOND = 10**_MAX_DIGITS


class Ranges(Enum):
    """The two answers that are not a list of slices."""

    IGNORED = "ignored"
    UNSATISFIABLE = "unsatisfiable"


IGNORED: Final = Ranges.IGNORED
UNSATISFIABLE: Final = Ranges.UNSATISFIABLE


def slices_of(header: str, size: int) -> list[Slice] | Ranges:
    """Return the slices of a body of ``size`` bytes that ``header`` asks for, in the order asked, overlaps merged.

    ``IGNORED``: send the whole. ``UNSATISFIABLE``: every range is well formed, and none of them lies in the body (416).
    """
    if len(header) > MAX_HEADER_BYTES:
        return IGNORED
    unit, equals, rest = header.partition("=")
    if not equals or unit.strip(" \t").lower() != "bytes" or unit[-1:] in (" ", "\t"):
        return IGNORED
    slices: list[Slice] = []
    count = 0
    for spec in rest.split(","):
        spec = spec.strip(" \t")
        if not spec:  # 5.6.1.2: a recipient ignores empty list elements
            continue
        count += 1
        if count > MAX_RANGES:
            return IGNORED
        part = _one(spec, size)
        if part is None:
            return IGNORED
        if part.stop > part.start:
            slices.append(part)
        elif size == 0 and spec[0] == "-" and spec.strip("-0"):
            # 14.1.2: "-5" of an empty body is satisfiable, but no Content-Range can say so; the whole is the answer.
            return IGNORED
    if count == 0:
        return IGNORED
    return _merged(slices) if slices else UNSATISFIABLE


def _one(spec: str, size: int) -> Slice | None:
    """One range-spec: a slice, an empty slice if it is not satisfiable, None if it is malformed (14.1.1)."""
    first, dash, last = spec.partition("-")
    if not dash:
        return None
    if not first:
        length = _number(last)
        return None if length is None else Slice(max(size - length, 0), size)
    start = _number(first)
    if start is None:
        return None
    if not last:
        return Slice(start, size) if start < size else Slice(0, 0)
    end = _number(last)
    if end is None or end < start:
        return None
    return Slice(start, min(end + 1, size)) if start < size else Slice(0, 0)


def _number(digits: str) -> int | None:
    if not (digits.isascii() and digits.isdigit()):
        return None
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MAX_DIGITS else _BEYOND


def _merged(slices: list[Slice]) -> list[Slice]:
    """Merge slices that overlap or touch (15.3.7.2 allows it); each merged one stands where its first part stood.

    Without this, sixteen times "0-" makes one request cost sixteen bodies.
    """
    merged: list[Slice] = []
    for part in slices:
        start, stop = part
        position = len(merged)
        # Widening can make the slice touch one that it did not touch before; at most 16, so look again.
        again = True
        while again:
            again = False
            for index, other in enumerate(merged):
                if start <= other.stop and other.start <= stop:
                    start, stop = min(start, other.start), max(stop, other.stop)
                    del merged[index]
                    position = min(position, index)
                    again = True
                    break
        merged.insert(position, Slice(start, stop))
    return merged
