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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from functools import cached_property
from typing import Literal
from urllib.parse import quote, unquote_to_bytes
from xml.sax.saxutils import escape

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW_S = 15 * 60
MAX_EXPIRES_S = 7 * 24 * 3600
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
STREAMING_PAYLOADS = frozenset(
    {
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    }
)
QUERY_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)

AuthKind = Literal["header", "query", "none"]


class S3Error(Exception):
    """What S3 answers instead: an HTTP status, an error code, a message, more XML elements (details) and headers."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message
        self.details, self.headers = dict(details or {}), dict(headers or {})

    def xml(self, request_id: str) -> bytes:
        """The error document as S3 writes it."""
        elements = {"Code": self.code, "Message": self.message, **self.details, "RequestId": request_id}
        inner = "".join(f"<{name}>{escape(_printable(text))}</{name}>" for name, text in elements.items())
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came over the wire: ``target`` is the request line's, undecoded; strings are Latin-1."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    @property
    def raw_path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def raw_query(self) -> str:
        return self.target.partition("?")[2]

    @cached_property
    def query(self) -> tuple[tuple[bytes, bytes], ...]:
        """The decoded parameters in their order; ``+`` is a space, as S3 and moto read it."""
        pairs = (part.partition("=") for part in self.raw_query.split("&") if part)
        return tuple((_decode(name.replace("+", " ")), _decode(value.replace("+", " "))) for name, _, value in pairs)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query as text; of a repeated parameter the first."""
        return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in self.query[::-1]}

    @cached_property
    def header_map(self) -> dict[str, str]:
        """Lower-case names; the values of a repeated header are joined by commas, as the signature wants them."""
        joined: dict[str, str] = {}
        for name, value in self.headers:
            name = name.lower()
            joined[name] = f"{joined[name]},{value}" if name in joined else value
        return joined

    @property
    def auth(self) -> AuthKind:
        """Where the request says its signature is, right or wrong."""
        if "authorization" in self.header_map:
            return "header"
        return "query" if any(name in self.parameters for name in (*QUERY_PARAMETERS, "AWSAccessKeyId")) else "none"


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


def _decode(text: str) -> bytes:
    return unquote_to_bytes(text.encode("latin-1"))


def _printable(text: str) -> str:
    """XML 1.0 cannot hold most control characters, not even escaped."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", text)


def _seconds(amz_date: str) -> float | None:
    """Seconds since the epoch of yyyymmddThhmmssZ, None for anything else."""
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", amz_date):
        return None
    try:
        return datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:  # the 31st of February
        return None


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


def _not_v4() -> S3Error:
    message = f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}."
    return S3Error(400, "InvalidRequest", message)


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
            quote(_decode(request.raw_path), safe="/"),
            "&".join(f"{name}={value}" for name, value in pairs),
            "".join(headers),
            ";".join(claim.signed_headers),
            payload,
        )
    )


def _trimmed(value: str) -> str:
    return re.sub(" +", " ", value.strip(" \t"))
