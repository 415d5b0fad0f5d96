"""The verifier of AWS Signature Version 4 behind ``StrictS3``: was this request signed, by whom, and is it in time?

Pure: no clock, socket, file or thread. It shares no code with botocore or with mediamw's own signer, because it is
here to judge them.

Sources, in the Amazon S3 API Reference: "Authenticating Requests: Using the Authorization Header"
(sig-v4-header-based-auth), "Authenticating Requests: Using Query Parameters" (sigv4-query-string-auth), and
"Error responses" for codes and statuses.

Rules:

1. Path and query are percent-decoded once and encoded again by AWS's UriEncode. Nothing else is done to them: ``//``,
   ``.`` and ``..`` stay. So ``%2f`` and ``%2F`` are one request, and what was verified is what will be served.
2. ``host`` and every ``x-amz-*`` header that is sent must be signed.
3. Header signing has 15 minutes either way. A presigned URL lives from 15 minutes before its date to its date plus
   X-Amz-Expires, at most 7 days.
4. A payload hash is compared with the body. Of a ``STREAMING-AWS4-*`` body only the headers and the seed signature are
   checked, not the signature of each chunk.
"""

import hashlib
import hmac
import re
from email.utils import formatdate
from urllib.parse import quote

from .s3_request import HttpRequest, S3Error, decoded
from .sigv4_claim import ALGORITHM, Claim

MAX_SKEW_S = 15 * 60
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
STREAMING_PAYLOADS = frozenset(
    {
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    }
)


def verify(claim: Claim, request: HttpRequest, *, secret: str, token: str, now: float) -> None:
    """Return if ``claim`` is true, else raise S3Error.

    ``secret`` and ``token`` ("" for a key without one) are the key's own; ``now`` is the server's clock in seconds
    since the epoch. Region and service are the caller's to judge: they depend on the bucket.
    """
    _check_time(claim, now)
    if not hmac.compare_digest(claim.token.encode(), token.encode()):
        raise S3Error(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    _check_all_signed(claim, request)
    payload = _payload_hash(claim, request)
    canonical = _canonical_request(claim, request, payload)
    to_sign = "\n".join(
        (ALGORITHM, claim.amz_date, claim.scope, hashlib.sha256(canonical.encode("latin-1")).hexdigest())
    )
    key = b"AWS4" + secret.encode()
    for part in claim.scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), claim.signature):
        raise S3Error(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            details={
                "AWSAccessKeyId": claim.access_key_id,
                "StringToSign": to_sign,
                "SignatureProvided": claim.signature,
                "CanonicalRequest": canonical,
            },
        )
    _check_body(payload, request)


def _check_time(claim: Claim, now: float) -> None:
    server_time = {"ServerTime": formatdate(now, usegmt=True)}
    if claim.auth == "header":
        if abs(now - claim.signed_at) > MAX_SKEW_S:
            raise S3Error(
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                details={
                    "RequestTime": claim.amz_date,
                    **server_time,
                    "MaxAllowedSkewMilliseconds": str(MAX_SKEW_S * 1000),
                },
            )
        return
    details = {"X-Amz-Expires": str(claim.expires_s), **server_time}
    if claim.signed_at - now > MAX_SKEW_S:
        raise S3Error(403, "AccessDenied", "Request is not yet valid", details=details)
    if now > claim.signed_at + claim.expires_s:
        raise S3Error(403, "AccessDenied", "Request has expired", details=details)


def _check_all_signed(claim: Claim, request: HttpRequest) -> None:
    must = {name for name in request.header_map if name.startswith("x-amz-")} | {"host"}
    if claim.auth == "query":
        must.discard("x-amz-content-sha256")  # unsigned, it says nothing: the payload of a URL is unsigned then
    if missing := must.difference(claim.signed_headers):
        message = "There were headers present in the request which were not signed"
        raise S3Error(403, "AccessDenied", message, details={"HeadersNotSigned": ", ".join(sorted(missing))})


def _payload_hash(claim: Claim, request: HttpRequest) -> str:
    """The last line of the canonical request."""
    sent = request.header_map.get("x-amz-content-sha256")
    if claim.auth == "query" and (sent is None or "x-amz-content-sha256" not in claim.signed_headers):
        return UNSIGNED_PAYLOAD
    if sent is None:
        raise S3Error(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    if sent != UNSIGNED_PAYLOAD and sent not in STREAMING_PAYLOADS and not re.fullmatch(r"[0-9a-f]{64}", sent):
        message = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a valid sha256 value or a STREAMING- value"
        raise S3Error(400, "InvalidArgument", message)
    return sent


def _check_body(payload: str, request: HttpRequest) -> None:
    if payload in STREAMING_PAYLOADS:
        if "x-amz-decoded-content-length" not in request.header_map:
            raise S3Error(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    elif payload != UNSIGNED_PAYLOAD and payload != hashlib.sha256(request.body).hexdigest():
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise S3Error(400, "XAmzContentSHA256Mismatch", message)


def _canonical_request(claim: Claim, request: HttpRequest, payload: str) -> str:
    """Latin-1 text of the six parts, each ended by a newline but the last."""
    skipped = b"X-Amz-Signature" if claim.auth == "query" else None
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in request.query if name != skipped)
    headers = (f"{name}:{_trimmed(request.header_map.get(name, ''))}\n" for name in claim.signed_headers)
    return "\n".join(
        (
            request.method,
            quote(decoded(request.raw_path), safe="/"),
            "&".join(f"{name}={value}" for name, value in pairs),
            "".join(headers),
            ";".join(claim.signed_headers),
            payload,
        )
    )


def _trimmed(value: str) -> str:
    return re.sub(" +", " ", value.strip(" \t"))
