"""Who may do what: the keys, tokens, regions and rights that StrictS3 was given, applied to each request.

What is not true of a request, or not allowed, is an ``S3Error`` in S3's own words.
"""

from collections.abc import Callable, Collection, Mapping

from .s3_request import HttpRequest, S3Error
from .sigv4_check import verify
from .sigv4_claim import Claim

READS = ("GET", "HEAD")
# Parts of an object that "anybody may read the object" does not cover.
OBJECT_SUBRESOURCES = frozenset({"acl", "attributes", "legal-hold", "retention", "tagging", "torrent", "uploadId"})


class Guard:
    """Verifies and authorizes. The arguments are those of ``StrictS3``; raises ValueError if they contradict."""

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        read_only_keys: Mapping[str, str],
        no_list_keys: Collection[str],
        session_tokens: Mapping[str, str],
        region: str,
        regions: Mapping[str, str],
        public_buckets: Collection[str],
        clock: Callable[[], float],
    ) -> None:
        self._read_only = frozenset(read_only_keys)
        self._secrets = {**keys, **read_only_keys}
        self._no_list = frozenset(no_list_keys)
        self._tokens = dict(session_tokens)
        if both := self._read_only.intersection(keys):
            raise ValueError(f"in keys and in read_only_keys: {sorted(both)}")
        if unknown := (self._no_list | set(self._tokens)).difference(self._secrets):
            raise ValueError(f"neither in keys nor in read_only_keys: {sorted(unknown)}")
        self._region = region
        self._regions = dict(regions)
        self._public = frozenset(public_buckets)
        self._clock = clock

    def region_of(self, bucket: str) -> str:
        """Return where a bucket lives."""
        return self._regions.get(bucket, self._region)

    def verify(self, claim: Claim, request: HttpRequest, bucket: str) -> None:
        """Return if the claim is true, else raise S3Error."""
        secret = self._secrets.get(claim.access_key_id)
        if secret is None:
            message = "The AWS Access Key Id you provided does not exist in our records."
            raise S3Error(403, "InvalidAccessKeyId", message, details={"AWSAccessKeyId": claim.access_key_id})
        home = self.region_of(bucket)
        if claim.region not in (home, self._region):
            wrong = f"the region '{claim.region}' is wrong; expecting '{home}'"
            code, message = {
                "header": ("AuthorizationHeaderMalformed", f"The authorization header is malformed; {wrong}"),
                "query": (
                    "AuthorizationQueryParametersError",
                    f"Error parsing the X-Amz-Credential parameter; {wrong}",
                ),
            }[claim.auth]
            raise S3Error(400, code, message, details={"Region": home}, headers={"x-amz-bucket-region": home})
        token = self._tokens.get(claim.access_key_id, "")
        verify(claim, request, secret=secret, token=token, now=self._clock())
        if claim.region != home:
            # Signed for this endpoint's region, but the bucket lives elsewhere.
            message = "The bucket you are attempting to access must be addressed using the specified endpoint."
            details = {"Endpoint": f"s3.{home}.amazonaws.com", "Bucket": bucket}
            raise S3Error(301, "PermanentRedirect", message, details=details, headers={"x-amz-bucket-region": home})

    def authorize(self, claim: Claim | None, request: HttpRequest, bucket: str, key: str, *, cors: bool) -> None:
        """Return if it may be done, else raise S3Error. ``cors``: the bucket is there and has a CORS configuration."""
        method, sent = request.method, request.parameters
        if method == "OPTIONS":
            if not cors:
                raise S3Error(403, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.")
        elif claim is None:
            if bucket not in self._public or method not in READS or not key or OBJECT_SUBRESOURCES.intersection(sent):
                raise denied()
            if any(name.startswith("response-") for name in sent):
                message = "Request specific response headers cannot be used for anonymous GET requests."
                raise S3Error(400, "InvalidRequest", message)
        elif (method not in READS and claim.access_key_id in self._read_only) or (not key and self.unlisting(claim)):
            raise denied()

    def unlisting(self, claim: Claim | None) -> bool:
        """True if these hands may not list: who may not learn what is missing."""
        return claim is None or claim.access_key_id in self._no_list


def denied() -> S3Error:
    """What S3 says to whoever lacks a right."""
    return S3Error(403, "AccessDenied", "Access Denied")
