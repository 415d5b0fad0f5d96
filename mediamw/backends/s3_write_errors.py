"""What an S3 means when it refuses a PUT or a DELETE, and what to do about it.

Source: Amazon S3 API Reference, "Error responses" (List of error codes), "PutObject", "CompleteMultipartUpload".
"""

from __future__ import annotations

from typing import Any, Final

from ..core.errors import BackendUnavailable, MediaError, NotServable, TooLarge, Unreachable
from .origin_failures import retry_after
from .s3_errors import KEY_OR_CLOCK, NO_ANSWER, no_bucket

_RIGHTS: Final = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
}
OVERLOADED: Final = frozenset(("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "503", "500"))


def failures(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """Return what botocore raises when a request fails, and ``more``."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError  # no BotoCoreError, and what old botocores raise for HTML

    return BotoCoreError, ClientError, ResponseParserError, *more


def code_of(error: Exception) -> str:
    """Return S3's word for what is wrong, "" if S3 has said nothing."""
    return str(_answer(error).get("Error", {}).get("Code", ""))


def status_of(error: Exception) -> int:
    """Return the status of S3's answer, 0 if there was none."""
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def has_no_answer(error: Exception) -> bool:
    """True if nobody knows whether the request was obeyed: the connection failed, or was lost."""
    return bool({kind.__name__ for kind in type(error).__mro__} & NO_ANSWER)


def is_overload(error: Exception) -> bool:
    """True if S3 says that it cannot just now, or somebody before it does, with a page for people."""
    is_page = type(error).__name__ == "ResponseParserError"
    return (status_of(error) >= 500 and status_of(error) != 501) or code_of(error) in OVERLOADED or is_page


def write_error(error: Exception, bucket: str, origin: str, *, backend: str, key: str, operation: str) -> MediaError:
    """Make the error for what botocore raises when it writes."""
    where: dict[str, Any] = {"backend": backend, "key": key, "operation": operation}
    if has_no_answer(error):
        text = f"{origin} could not be reached, or broke off: {type(error).__name__} (check the network and the proxy)"
        return Unreachable(text, **where)
    code, status = code_of(error), status_of(error)
    asked = getattr(error, "operation_name", "")
    said = f"bucket {bucket} answered {status} ({code}) to {asked}" if status else str(error).partition("\n")[0]
    if is_overload(error):
        headers = _answer(error).get("ResponseMetadata", {}).get("HTTPHeaders", {})
        after = retry_after({"Retry-After": headers.get("retry-after", "")})
        return Unreachable(f"{said}: it is overloaded or out of order", **where, retry_after=after, answered=True)
    if code == "EntityTooLarge":
        return TooLarge(f"{said}: the file is longer than the bucket takes", **where)
    if code == "KeyTooLongError":
        return NotServable(f"{said}: the name is longer than S3's can be", **where)
    ways_out = {
        **KEY_OR_CLOCK,
        "AccessDenied": f"the key may not do that: allow {_RIGHTS.get(asked, 'it')}, or, if the bucket demands an "
        "encryption or an owner for uploads, change its policy",
        "NoSuchBucket": no_bucket(bucket, origin),
        "AuthorizationHeaderMalformed": "set region= to the bucket's",
        "PermanentRedirect": "set region= to the bucket's",
        "NotImplemented": "the server cannot do that",
    }
    way_out = f": {ways_out[code]}" if code in ways_out else ""
    return BackendUnavailable(f"{said}{way_out}", **where)


def _answer(error: Exception) -> dict[str, Any]:
    answer = getattr(error, "response", None)
    return answer if isinstance(answer, dict) else {}
