"""Reading an AWS Signature Version 4, from the Authorization header or the query: what the request claims of itself.

Nothing is believed here: ``sigv4_check`` says whether it is true. Sources: see there.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .s3_request import QUERY_PARAMETERS, AuthKind, HttpRequest, S3Error

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_EXPIRES_S = 7 * 24 * 3600


@dataclass(frozen=True)
class Claim:
    """What a signed request says of itself, well-formed but not yet believed."""

    auth: AuthKind
    access_key_id: str
    region: str
    scope: str = field(repr=False)  # DATE/REGION/s3/aws4_request
    amz_date: str  # as sent: yyyymmddThhmmssZ
    signed_at: float  # the same, seconds since the epoch
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)
    token: str = field(repr=False)  # "" if none was sent
    expires_s: int = 0  # X-Amz-Expires; meaningless for header signing


def read_claim(request: HttpRequest) -> Claim | None:
    """The request's claim, or None if it is unsigned. Raises S3Error (400 or 403) if the claim is malformed."""
    if request.auth == "none":
        return None
    if request.auth == "query":
        return _read_query(request)
    if any(name in request.parameters for name in ("X-Amz-Algorithm", "X-Amz-Signature", "Signature")):
        raise S3Error(400, "InvalidArgument", "Only one auth mechanism allowed")
    return _read_header(request)


def _read_header(request: HttpRequest) -> Claim:
    def malformed(message: str) -> S3Error:
        return S3Error(400, "AuthorizationHeaderMalformed", f"The authorization header is malformed; {message}")

    scheme, _, rest = request.header_map["authorization"].partition(" ")
    if scheme == "AWS":
        raise _not_v4()
    if scheme != ALGORITHM:
        raise S3Error(400, "InvalidArgument", "Unsupported Authorization Type")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if set(fields) != {"Credential", "SignedHeaders", "Signature"}:
        raise malformed("it needs Credential, SignedHeaders and Signature, each once.")
    amz_date = request.header_map.get("x-amz-date", "")
    if _seconds(amz_date) is None:
        raise S3Error(403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
    token = request.header_map.get("x-amz-security-token", "")
    return _claim(
        "header", fields["Credential"], amz_date, fields["SignedHeaders"], fields["Signature"], token, malformed
    )


def _read_query(request: HttpRequest) -> Claim:
    def malformed(message: str) -> S3Error:
        return S3Error(400, "AuthorizationQueryParametersError", message)

    sent = request.parameters
    if "AWSAccessKeyId" in sent and "X-Amz-Algorithm" not in sent:
        raise _not_v4()
    names = [name for name, _ in request.query]
    if any(names.count(name.encode()) != 1 for name in QUERY_PARAMETERS):
        raise malformed(
            f"Query-string authentication version 4 requires the {', '.join(QUERY_PARAMETERS)} parameters, each once."
        )
    if sent["X-Amz-Algorithm"] != ALGORITHM:
        raise malformed(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    if _seconds(sent["X-Amz-Date"]) is None:
        raise malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    expires = sent["X-Amz-Expires"]
    if not re.fullmatch(r"-?[0-9]{1,18}", expires):
        raise malformed("X-Amz-Expires should be a number")
    if int(expires) < 0:
        raise malformed("X-Amz-Expires must be non-negative")
    if int(expires) > MAX_EXPIRES_S:
        raise malformed(
            "X-Amz-Expires must be less than a week (in seconds); "
            f"that is, the given X-Amz-Expires must be less than {MAX_EXPIRES_S} seconds"
        )
    return _claim(
        "query",
        sent["X-Amz-Credential"],
        sent["X-Amz-Date"],
        sent["X-Amz-SignedHeaders"],
        sent["X-Amz-Signature"],
        sent.get("X-Amz-Security-Token", ""),
        malformed,
        int(expires),
    )


def _claim(
    auth: AuthKind,
    credential: str,
    amz_date: str,
    signed_headers: str,
    signature: str,
    token: str,
    malformed: Callable[[str], S3Error],
    expires_s: int = 0,
) -> Claim:
    """The part of reading that both ways of signing share."""
    parts = credential.split("/")
    if len(parts) != 5 or not all(parts) or not credential.isascii():
        raise malformed('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request".')
    access_key_id, day, region, service, terminator = parts
    if (service, terminator) != ("s3", "aws4_request"):
        raise malformed('incorrect service or terminator. This endpoint belongs to "s3" and uses "aws4_request".')
    if day != amz_date[:8]:
        raise malformed(f'Invalid credential date "{day}". This date is not the same as X-Amz-Date: "{amz_date}".')
    names = tuple(signed_headers.split(";"))
    if not signed_headers.isascii() or list(names) != sorted({name.lower() for name in names}):
        raise malformed("SignedHeaders must be lower case, sorted and each once.")
    if not re.fullmatch(r"[0-9a-f]{64}", signature):
        # S3 does not say more of a signature of the wrong form than of a wrong one.
        signature = ""
    signed_at = _seconds(amz_date)
    assert signed_at is not None
    scope = "/".join(parts[1:])
    return Claim(auth, access_key_id, region, scope, amz_date, signed_at, names, signature, token, expires_s)


def _seconds(amz_date: str) -> float | None:
    """Seconds since the epoch of yyyymmddThhmmssZ, None for anything else."""
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", amz_date):
        return None
    try:
        return datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:  # the 31st of February
        return None


def _not_v4() -> S3Error:
    message = f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}."
    return S3Error(400, "InvalidRequest", message)
