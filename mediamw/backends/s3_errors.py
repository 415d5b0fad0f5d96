"""What an S3 means by a refusal, and what to do about it, in words that name the setting.

A HEAD's answer has no body: its 404 is the same for a missing file, a misspelt bucket and a web server that never was
an S3, its 403 the same for a wrong secret and a file that is not there. A GET of the same key tells them apart by the
code in S3's XML. Of that body nothing but the code is kept or shown.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ..core.errors import BackendUnavailable, Unreachable
from ..core.http_dates import parse_http_date
from .origin_failures import retry_after
from .per_process import PerProcess
from .sigv4 import Signer

OWN_URL_LIFE_SECONDS: Final = 900
"""Of the URLs that we ask ourselves and show nobody: a clock that is a quarter of an hour off still works."""

REASON_BYTES: Final = 4096
"""How much of an error's body is read: S3's are below 1 KiB."""

REASON_SECONDS: Final = 5.0
"""For how long a GET's answer explains the HEADs of all keys, so that few missing files cost a second request. A bucket
that is deleted meanwhile has only missing files for so long."""

_WAIT_SECONDS = 2.0
_CODE = rb"<Error[\s>].*?<Code>\s*([A-Za-z0-9._]{1,64})\s*</Code>"
_REGION = rb"<Error[\s>].*?<Region>\s*([A-Za-z0-9-]{1,64})\s*</Region>"
_OUT_OF_TIME = rb"<Message>\s*Request (?:has expired|is not (?:yet valid|valid yet))"

KEY_OR_CLOCK = {
    "InvalidAccessKeyId": "the access key id is unknown there",
    "SignatureDoesNotMatch": "the secret access key is wrong",
    "RequestTimeTooSkewed": "this machine's clock is off",
    "OutOfTime": "this machine's clock is off",
    "ExpiredToken": "the session token has expired",
    "TokenRefreshRequired": "the session token has expired",
    "InvalidToken": "the session token is malformed, or it is not of this key",
}
_NO_RIGHT = (
    "the key may not read there, or it may not list the bucket, in which case S3 says 403 for every missing file "
    "(allow s3:ListBucket, or give missing_on_403=true in its spec, S3Backend(..., missing_on_403=True) in code)"
)


_NOT_PUBLIC = (
    "anonymous=True, but not everybody may read there: give credentials instead, or, if the bucket is public but may "
    "not be listed, in which case S3 says 403 for every missing file, missing_on_403=true in its spec, "
    "S3Backend(..., missing_on_403=True) in code"
)
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
NO_ANSWER = {"HTTPClientError", "ConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "SSLError"}


class Reason(NamedTuple):
    """What a GET said of the key that a HEAD did not find: its status, S3's code ("" if it is not S3's XML), and the
    region that S3 wants."""

    status: int
    code: str
    region: str = ""

    @property
    def is_found(self) -> bool:
        """True if the GET finds the file; 416 is what an empty one answers to a range."""
        return self.status in (200, 206, 416)


_Look = tuple[object, ...]
NOT_ASKED: Final = Reason(0, "")


class Reasons:
    """Why HEADs of one backend were refused, kept for a while by status. Threads may share it.

    A refusal is explained by what was said of one that looked the same: not by S3, if a load balancer answers now.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[float, _Look, Reason]] = {}  # until when, on the monotonic clock
        self._lock = PerProcess(threading.Lock)

    def find(
        self,
        status: int,
        headers: Mapping[str, str],
        ask: Callable[[], tuple[int, bytes]],
        *,
        is_signed: bool = True,
    ) -> Reason:
        """Return why HEAD answered 400, 403 or 404. ``ask`` is a GET of the same key: status and start of the body."""
        is_told = is_signed and ((status != 404 and clock_is_off(headers)) or _region(headers))
        if status not in (400, 403, 404) or is_told:
            return NOT_ASKED
        look = _look(headers)
        # Of many that are refused at once one asks. The others wait for it, but not for long: it may hang.
        lock = self._lock.get()
        mine = lock.acquire(timeout=_WAIT_SECONDS)
        try:
            until, kept, reason = self._kept.get(status, (0.0, look, NOT_ASKED))
            if time.monotonic() < until and kept == look:
                return reason
            reason = _read(*ask())
            if reason.status == status:
                self._kept[status] = (time.monotonic() + REASON_SECONDS, look, reason)
            return reason
        finally:
            if mine:
                lock.release()

    def doubt(self) -> None:
        """Have the next 404 asked for its reason again: who has failed may be another S3 by now, or none."""
        self._kept.pop(404, None)


def _read(status: int, body: bytes) -> Reason:
    match = re.search(_CODE, body, re.DOTALL)
    code = match[1].decode() if match else ""
    region = re.search(_REGION, body, re.DOTALL)
    # S3 says AccessDenied to this too, which would make it a lack of rights.
    is_late = code == "AccessDenied" and re.search(_OUT_OF_TIME, body)
    return Reason(status, "OutOfTime" if is_late else code, region[1].decode() if region else "")


def _look(headers: Mapping[str, str]) -> _Look:
    """What tells one server's answers from another's, and is the same in all answers of one."""
    named = tuple(headers.get(name) for name in ("Server", "Content-Type", "Via"))
    return (*named, "x-amz-request-id" in headers, "x-amz-id-2" in headers)


def _region(headers: Mapping[str, str]) -> str:
    return headers.get("x-amz-bucket-region", "")


def clock_is_off(headers: Mapping[str, str]) -> bool:
    """True if the origin's clock says that what was signed just now is long past, or yet to come."""
    there = parse_http_date(headers.get("Date", ""), 0)
    return there is not None and abs(there - time.time()) > OWN_URL_LIFE_SECONDS


def refused(
    bucket: str,
    origin: str,
    signer: Signer,
    status: int,
    headers: Mapping[str, str],
    reason: Reason = NOT_ASKED,
    *,
    backend: str = "",
    key: str = "",
) -> BackendUnavailable:
    """Make the error for an answer to a HEAD that tells nothing of the key: overloaded, or refused and why."""
    is_down = status >= 500 or reason.status >= 500 or reason.code == "SlowDown"
    kind = Unreachable if is_down else BackendUnavailable
    why = explain(bucket, origin, signer, status, headers, reason)
    return kind(why, backend=backend, key=key, operation="open", retry_after=retry_after(headers), answered=True)


def explain(
    bucket: str, origin: str, signer: Signer, status: int, headers: Mapping[str, str], reason: Reason = NOT_ASKED
) -> str:
    """Say what the answer to a HEAD means and what to do."""
    region = _region(headers) or reason.region
    said = f"bucket {bucket} answered {status}" + (f" ({reason.code})" if reason.code else "")
    if status in (301, 307, 400) and region and region != signer.region:
        return f"bucket {bucket} is in {region}, not in {signer.region}: set region={region}"
    if status == 200 and not headers.get("Content-Length", "").isdigit():
        return f"bucket {bucket} did not say how long the file is (no Content-Length)"
    if status == 200:
        return f"{origin} answered 200 for bucket {bucket}, but not as S3 does (no ETag): check endpoint_url"
    if status in (400, 403) and signer.credentials.access_key_id and clock_is_off(headers):
        return f"bucket {bucket} answered {status}: this machine's clock is off, there it is {headers['Date']}"
    if status == 400 and signer.credentials.session_token is not None:
        return f"{said}: the session token has expired, or it is not of this key"
    if status == 403 and not signer.credentials.access_key_id:
        return f"{said}: {_NOT_PUBLIC}"
    if status == 403 and reason.code in KEY_OR_CLOCK:
        return f"{said}: {KEY_OR_CLOCK[reason.code]}"
    if status == 403:
        wrong_key = "" if reason.code == "AccessDenied" else "the secret or the access key id is wrong, or "
        return f"{said}: {wrong_key}{_NO_RIGHT}"
    if status == 404 and reason.code == "NoSuchBucket":
        return no_bucket(bucket, origin)
    if status == 404 and reason[:2] == (404, ""):
        return f"{origin} answered 404 for bucket {bucket}, but not as S3 does: check endpoint_url"
    if status == 404:
        return f"{said} to HEAD and {reason.status} to GET: it cannot be told whether the file is there"
    if status >= 500:
        return f"{said} to HEAD: it is overloaded or out of order, and is asked again later"
    return f"{said} to HEAD"


def no_bucket(bucket: str, origin: str) -> str:
    return (
        f"there is no bucket {bucket} at {origin}: correct the bucket's name, or set endpoint_url and region, "
        "or leave it out if it was deleted"
    )


def archived(headers: Mapping[str, str]) -> str | None:
    """Say why an object that a HEAD finds cannot be read all the same: it is in an archive and not restored."""
    storage = headers.get("x-amz-storage-class", "")
    tier = storage if storage in _ARCHIVES else headers.get("x-amz-archive-status", "")
    restore = headers.get("x-amz-restore", "")
    if not tier or 'ongoing-request="false"' in restore:
        return None
    wait = "is being restored, which takes hours" if "true" in restore else "has to be restored first"
    return f"it is archived ({tier}) and {wait}: aws s3api restore-object, or copy it to another storage class"


def account_error(error: Exception, backend: str, profile: str | None) -> BackendUnavailable:
    """Make the error for what botocore raises when it looks for credentials or configuration.

    The bucket has not answered then. A service for credentials that refuses has: how often it is asked is bounded too.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    of_profile = f" (profile={profile})" if profile is not None else ""
    if names & {"SSOError", "TokenRetrievalError"}:
        option = f" --profile {profile}" if profile is not None else ""
        return BackendUnavailable(
            f"AWS credentials{of_profile}: the SSO session has expired, or nobody has logged in: "
            f"run aws sso login{option}",
            backend=backend,
            answered=False,
        )
    if "ProfileNotFound" in names:
        return BackendUnavailable(
            f"AWS configuration{of_profile}: {error}: correct profile= or AWS_PROFILE, or add it to ~/.aws/config",
            backend=backend,
            answered=False,
        )
    if names & NO_ANSWER:
        return Unreachable(
            f"AWS credentials{of_profile}: {_server(error)} could not be reached: {type(error).__name__} "
            "(check the network, HTTPS_PROXY, proxies= and verify=)",
            backend=backend,
        )
    if names & {"ConfigParseError", "ConfigNotFound"}:
        return BackendUnavailable(
            f"AWS configuration{of_profile}: {error}: correct that file", backend=backend, answered=False
        )
    if "ClientError" in names:
        return BackendUnavailable(
            f"AWS credentials{of_profile}: {error}: check role_arn and source_profile, and what the role trusts",
            backend=backend,
        )
    return BackendUnavailable(
        f"AWS credentials{of_profile}: {error}: correct what they come from (the environment, ~/.aws, a program)",
        backend=backend,
        answered=False,
    )


def listing_error(error: Exception, bucket: str, origin: str, backend: str) -> BackendUnavailable:
    """Make the error for what botocore raises when it lists."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & NO_ANSWER:
        text = f"listing failed: {origin} could not be reached: {type(error).__name__}"
        return Unreachable(text, backend=backend, operation="list")
    if "RecursionError" in names:
        text = f"listing failed: {origin} redirects whatever is asked of bucket {bucket}: check endpoint_url"
        return BackendUnavailable(text, backend=backend, operation="list")
    answer = getattr(error, "response", None) if "ClientError" in names else None
    if not isinstance(answer, dict):
        return BackendUnavailable(f"listing failed: {error}", backend=backend, operation="list")
    code = str(answer.get("Error", {}).get("Code", ""))
    about = answer.get("ResponseMetadata", {})
    if about.get("HTTPStatusCode", 0) >= 500 or code == "SlowDown":
        return Unreachable(
            f"listing failed: {error}",
            backend=backend,
            operation="list",
            retry_after=retry_after({"Retry-After": about.get("HTTPHeaders", {}).get("retry-after", "")}),
            answered=True,
        )
    ways_out = {
        **KEY_OR_CLOCK,
        "AccessDenied": "allow s3:ListBucket",
        "NoSuchBucket": no_bucket(bucket, origin),
        "AuthorizationHeaderMalformed": "set region= to the bucket's",
    }
    way_out = f": {ways_out[code]}" if code in ways_out else ""
    return BackendUnavailable(f"listing failed: {error}{way_out}", backend=backend, operation="list")


def _server(error: Exception) -> str:
    """The server that botocore could not reach. Never a proxy's URL, which may hold a password, and no query."""
    url = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "the service that gives them"
