"""Where the servers do otherwise than S3, all in one table.

A test asks ``expected(server, feature, usual)``: what S3 answers, unless a row of that server says what comes instead.
So a deviation is asserted too, and a server that gets better fails the test and loses its row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Deviation:
    """``server`` does ``instead`` what S3 does for ``feature``; ``why`` says it in words."""

    server: str
    feature: str
    instead: object
    why: str


_BOTH = "If-None-Match: another, and a date, the status"
_EXCLUSIVE = "If-None-Match: * on PUT is honoured"
_EXCLUSIVE_PARTS = "If-None-Match: * on the end of parts is honoured"
_NOT_BOTH = "If-Modified-Since counts beside If-None-Match too, against RFC 9110, 13.1.3"
_NO_RIGHT = "answered 403 (AccessDenied): the key may not read there, or it may not list the bucket"
_IF_RANGE = "If-Range is ignored: a part of one version is sent to who holds another"

DEVIATIONS: tuple[Deviation, ...] = (
    Deviation("strict", _BOTH, 304, f"moto: {_NOT_BOTH}"),
    Deviation("strict", "If-None-Match: *, the status", 200, "moto: the asterisk is taken for an ETag"),
    Deviation("strict", "If-Modified-Since: no date, the status", 500, "moto: an exception"),
    Deviation("strict", "If-Range: another, the status", 206, f"moto: {_IF_RANGE}"),
    Deviation("strict", "If-Range: another, only a part", True, f"moto: {_IF_RANGE}"),
    Deviation("swift", _BOTH, 304, _NOT_BOTH),
    Deviation("swift", "If-Range: another, the status", 206, _IF_RANGE),
    Deviation("swift", "If-Range: another, only a part", True, _IF_RANGE),
    Deviation(
        "swift", "an unknown key", "(SignatureDoesNotMatch): the secret access key is wrong", "it does not say which"
    ),
    Deviation("swift", "no bucket", _NO_RIGHT, "who has no rights anywhere does not learn which buckets there are"),
    Deviation("swift", "no bucket, to a listing", "AccessDenied", "the same"),
    Deviation("swift", "no bucket, to who takes 403 for missing", "missing", "the same"),
    Deviation("swift", "a fast clock is heeded", False, "only the end of a URL's life is looked at"),
    Deviation("swift", "status of many ranges", 206, "it sends multipart/byteranges, S3 the whole file"),
    Deviation("swift", "status of a URL of the future", 200, "only the end of a URL's life is looked at"),
    Deviation("swift", "GET URL for POST", 501, "POST of an object is not implemented, and that is looked at first"),
    Deviation(
        "swift", "status of an unsigned GET", 400, "without a signature it is no S3 request: /BUCKET is no account"
    ),
    Deviation("swift", _EXCLUSIVE, False, "501 NotImplemented"),
    Deviation("rclone", _EXCLUSIVE, False, "it is ignored: the object is overwritten"),
    Deviation("rclone", _EXCLUSIVE_PARTS, False, "it is ignored: the object is overwritten"),
    Deviation("rclone", "x-amz-meta of an upload is kept", False, "an upload whose answer was lost is not known again"),
    Deviation("rclone", "the region is heeded", False, "any region will do"),
    Deviation("rclone", "a fast clock is heeded", False, "only the end of a URL's life is looked at"),
    Deviation("rclone", "If-None-Match: *, the status", 200, "the asterisk is taken for an ETag"),
    Deviation("rclone", "If-Modified-Since: its date", 200, "it is ignored"),
    Deviation("rclone", "If-Match", 200, "it is ignored: the backend has to compare the ETag that comes along"),
    Deviation("rclone", "If-Range: another, only a part", True, _IF_RANGE),
    Deviation("rclone", "status of a range", 200, "but with Content-Range, and the part alone"),
    Deviation("rclone", "status of many ranges", 501, "NotImplemented"),
    Deviation("rclone", "etag in a listing", None, "listings leave ETags out"),
    Deviation("rclone", "names no file system has", 400, "InvalidArgument: empty and dot segments are refused"),
    Deviation("rclone", "status of an expired URL", 400, "with the code RequestTimeTooSkewed"),
    Deviation("rclone", "status of a URL of the future", 200, "only the end of a URL's life is looked at"),
    Deviation("rclone", "status of an unsigned GET", 400, "UnsupportedAlgorithm: no signature is none that it knows"),
)


_BY_NAME = {(row.server, row.feature): row for row in DEVIATIONS}


def expected(server: str, feature: str, usual: T) -> T:
    """What ``server`` answers where S3 answers ``usual``. Raises ``ValueError`` for a row that deviates in nothing."""
    row = _BY_NAME.get((server, feature))
    if row is None:
        return usual
    if row.instead == usual:
        raise ValueError(f"{row}: that is what S3 does")
    return row.instead  # type: ignore[return-value] # the table is of all types
