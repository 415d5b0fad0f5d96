"""S3Backend: a bucket that is read and never written. It has no put and no delete.

Existence is one HEAD, presigned by our own signer, over a pooled connection that sends GET and HEAD only. Browsers are
sent to presigned URLs, whose signing time is rounded down to a window: the same key has the same URL in every worker
for a quarter of an hour, and the browser's cache works.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..core.errors import BackendUnavailable, ConfigError
from ..core.http_dates import parse_http_date
from ..core.keys import MAX_KEY_BYTES, Key, refusal
from ..core.model import Meta
from .aws import AWSAccount, endpoint_host, plain_host
from .base import Entry, Remote, SignedURL
from .origin_http import OriginHTTP
from .s3_errors import OWN_URL_LIFE_SECONDS, REASON_BYTES, Reasons, explain
from .sigv4 import MAX_LIFE_SECONDS, Credentials, Signer

if TYPE_CHECKING:
    from typing import Literal

URL_LIFE_SECONDS = 3600
URL_WINDOW_SECONDS = 900
LEAST_REST_SECONDS = 300
"""A URL is handed out only while it has this long to live: a page that loads slowly still gets its images."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,254}")  # old buckets have capitals; ":" is of access points' ARNs
_HOST_BUCKET = re.compile(r"[a-z0-9][a-z0-9.:-]*")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class S3Backend:
    """The files of ``bucket`` below ``location``, read-only by type.

    Credentials: ``access_key_id`` and ``secret_access_key`` (with ``session_token`` for temporary ones), else
    ``profile``, else botocore's whole chain. ``region`` defaults to the profile's, then us-east-1. ``endpoint_url`` is
    the URL of another S3 than AWS's; ``addressing_style`` is how the bucket stands in URLs: ``virtual``, ``path``, or
    ``auto`` (virtual on AWS, path at an endpoint). ``url_life`` and ``url_window`` in seconds. With ``missing_on_403``
    S3's 403 AccessDenied counts as missing: S3 says so to those who may not list the bucket. Raises ``ConfigError``.
    """

    def __init__(
        self,
        bucket: str,
        *,
        location: str = "",
        region: str | None = None,
        endpoint_url: str | None = None,
        addressing_style: Literal["auto", "virtual", "path"] = "auto",
        profile: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        url_life: int = URL_LIFE_SECONDS,
        url_window: int = URL_WINDOW_SECONDS,
        missing_on_403: bool = False,
        name: str = "s3",
    ) -> None:
        self.name = name
        self.bucket = bucket
        self.location = location.strip("/")
        self._style = addressing_style
        self._life, self._window = url_life, url_window
        self._missing_on_403 = missing_on_403
        self._check(location, region, profile)
        static = self._static_credentials(access_key_id, secret_access_key, session_token, profile)
        self._account = AWSAccount(name, profile=profile, static=static, region=region, endpoint=endpoint_url)
        self._endpoint = endpoint_url
        self._reasons = Reasons()
        self._prepare_lock = threading.Lock()
        self._signer: Signer | None = None
        self._http: OriginHTTP | None = None
        self._path = ""
        host = self._known_host(endpoint_url, region, static)
        if host is not None:
            self._set_host(host)
            if static is not None:
                self._signer = Signer(static, region or "us-east-1")

    def __repr__(self) -> str:
        where = f"/{self.location}" if self.location else ""
        endpoint = f", endpoint_url={self._endpoint!r}" if self._endpoint is not None else ""
        return f"S3Backend('s3://{self.bucket}{where}', name={self.name!r}{endpoint})"

    def open(self, key: Key) -> Remote | None:
        """Ask the bucket by a signed HEAD. Raises ``BackendUnavailable`` with the way out if it cannot tell."""
        object_key = self._object_key(key)
        if len(object_key.encode()) > MAX_KEY_BYTES:
            return None
        signer, http = self._ready()

        def get() -> tuple[int, bytes]:
            return http.get_start(self._own_url(signer, http, object_key, "GET"), REASON_BYTES)

        try:
            for _ in range(2):  # the second time if a GET found what HEAD did not: the file appeared in between
                status, headers = http.head(self._own_url(signer, http, object_key, "HEAD"))
                if status == 200 and (meta := _meta(headers)) is not None:
                    return Remote(meta)
                reason = self._reasons.find(status, headers, get)
                if reason == (404, "NoSuchKey") or (self._missing_on_403 and reason == (403, "AccessDenied")):
                    return None
                if not reason.is_found:
                    break
            why = explain(self.bucket, http.origin, signer, status, headers, reason)
            raise BackendUnavailable(why, backend=self.name, key=key, operation="open")
        except BackendUnavailable:
            self._reasons.doubt()
            raise

    def can_sign(self, now: float) -> bool:
        """True if credentials are at hand and live long enough for a useful URL."""
        signer = self._signer
        if signer is None or self._http is None:
            return False
        expires = signer.credentials.expires
        return expires is None or expires - now >= LEAST_REST_SECONDS

    def prepare(self) -> None:
        """Fetch or renew the credentials and find the host. May wait for a network."""
        with self._prepare_lock:
            region = self._account.region()
            if self._http is None:
                self._set_host(
                    plain_host(self.bucket, region, self._style) or self._account.host(self.bucket, self._style)
                )
            credentials = self._account.credentials()
            if self._signer is None or self._signer.credentials != credentials:
                self._signer = Signer(credentials, region)

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        """Return the presigned URL of ``key`` for ``method``; the same one for a whole window."""
        signer, http = self._signer, self._http
        if signer is None or http is None:
            raise BackendUnavailable("sign was called before prepare", backend=self.name, key=key, operation="sign")
        start = int(now) - int(now) % self._window
        life = self._life
        expires = signer.credentials.expires
        if expires is not None:
            life = min(life, int(expires) - start)
            if start + life <= now:
                raise BackendUnavailable(
                    "the AWS credentials have expired", backend=self.name, key=key, operation="sign"
                )
        url = self._presign(signer, http, self._object_key(key), method, start, life)
        return SignedURL(url, start + life)

    def read_range(self, key: Key, start: int, stop: int, etag: str | None) -> Iterator[bytes]:
        """Yield a part of the version ``etag``."""
        signer, http = self._ready()
        url = self._own_url(signer, http, self._object_key(key), "GET")
        return http.get_range(url, start, stop, etag)

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield entries sorted by key, page by page. Objects whose names are no keys are left out."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError  # no BotoCoreError, and what old botocores raise for HTML

        start = f"{self.location}/" if self.location else ""
        arguments = {"Bucket": self.bucket, "Prefix": start + prefix}
        if not recursive:
            arguments["Delimiter"] = "/"
        try:
            with closing(self._account.read_only_client(self._style)) as client:
                for page in client.get_paginator("list_objects_v2").paginate(**arguments):
                    if "IsTruncated" not in page:  # some other XML parses too, as an empty page
                        raise ValueError("the answer is no listing")
                    found = [
                        *((item["Prefix"][len(start) :], None) for item in page.get("CommonPrefixes", ())),
                        *((item["Key"][len(start) :], _listed(item)) for item in page.get("Contents", ())),
                    ]
                    for name, meta in sorted(found, key=lambda pair: pair[0]):
                        if refusal(name.removesuffix("/") if meta is None else name) is None:
                            yield Entry(name, meta, self.name)
        # ValueError, KeyError: XML that is no listing.
        except (BotoCoreError, ClientError, ResponseParserError, ValueError, KeyError) as error:
            raise BackendUnavailable(f"listing failed: {error}", backend=self.name, operation="list") from None

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()

    def _ready(self) -> tuple[Signer, OriginHTTP]:
        if not self.can_sign(time.time()):
            self.prepare()
        assert self._signer is not None
        assert self._http is not None
        return self._signer, self._http

    def _own_url(self, signer: Signer, http: OriginHTTP, object_key: str, method: str) -> str:
        return self._presign(signer, http, object_key, method, int(time.time()), OWN_URL_LIFE_SECONDS)

    def _presign(self, signer: Signer, http: OriginHTTP, object_key: str, method: str, at: int, life: int) -> str:
        return signer.presign(method, http.origin, self._path + object_key, at=at, life=life)

    def _object_key(self, key: str) -> str:
        return f"{self.location}/{key}" if self.location else key

    def _set_host(self, host: tuple[str, str]) -> None:
        origin, self._path = host
        hint = f" (check endpoint_url={self._endpoint})" if self._endpoint is not None else ""
        self._http = OriginHTTP(origin, self.name, hint)

    def _known_host(
        self, endpoint: str | None, region: str | None, static: Credentials | None
    ) -> tuple[str, str] | None:
        """Return (origin, path before the key) if nobody has to be asked for it."""
        if endpoint is None:
            if region is None and static is None:
                return None  # the profile or the environment may name a region
            return plain_host(self.bucket, region or "us-east-1", self._style)
        host = endpoint_host(self.bucket, endpoint, self._style)
        if host is None:  # not repeated: keys may stand in it
            raise self._wrong(
                "endpoint_url: give scheme, host, port and path alone, such as https://s3.example.com:9000"
            )
        return host

    def _check(self, location: str, region: str | None, profile: str | None) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise self._wrong(f"bucket {self.bucket!r}: give the bucket's name alone, such as acme-media")
        if self.bucket.endswith(("--x-s3", "--xa-s3")):
            raise self._wrong(f"bucket {self.bucket!r}: S3 Express needs sessions, which are not supported")
        if location.strip("/") and (reason := refusal(location.strip("/"))) is not None:
            raise self._wrong(f"location {location!r}: {reason}")
        if region is not None and not _REGION.fullmatch(region):
            raise self._wrong(f"region {region!r}: give a region's name, such as eu-west-1")
        if self._style not in ("auto", "virtual", "path"):
            raise self._wrong(f"addressing_style {self._style!r}: it is auto, virtual or path")
        if self._style == "virtual" and not _HOST_BUCKET.fullmatch(self.bucket):
            raise self._wrong(
                f"addressing_style 'virtual': bucket {self.bucket!r} cannot stand in a host name, use path"
            )
        if profile == "":
            raise self._wrong("profile is empty: give its name, or leave it out for botocore's chain")
        for option, seconds in (("url_life", self._life), ("url_window", self._window)):
            if type(seconds) is not int:
                raise self._wrong(f"{option} {seconds!r}: give a whole number of seconds")
        if not 0 < self._window <= self._life - LEAST_REST_SECONDS:
            raise self._wrong(
                f"url_window {self._window}: it is at least 1 second, and url_life ({self._life}) is at least "
                f"{LEAST_REST_SECONDS} seconds longer"
            )
        if self._life > MAX_LIFE_SECONDS:
            raise self._wrong(f"url_life {self._life}: S3 allows at most {MAX_LIFE_SECONDS} seconds")

    def _static_credentials(
        self, access_key_id: str | None, secret: str | None, token: str | None, profile: str | None
    ) -> Credentials | None:
        if access_key_id is None and secret is None:
            if token is not None:
                raise self._wrong("session_token without access_key_id and secret_access_key")
            return None
        if not access_key_id or not secret:
            raise self._wrong("access_key_id and secret_access_key belong together: one is missing")
        given = {"access_key_id": access_key_id, "secret_access_key": secret, "session_token": token}
        for option, value in given.items():
            if value is not None and not re.fullmatch("[!-~]+", value):
                raise self._wrong(f"{option} is empty, or holds white space or what else no key holds")
        if profile is not None:
            raise self._wrong("profile and access_key_id are two sources of credentials: give one of them")
        return Credentials(access_key_id, secret, token)

    def _wrong(self, reason: str) -> ConfigError:
        return ConfigError(reason, backend=self.name)


def _meta(headers: Mapping[str, str]) -> Meta | None:
    """What a HEAD tells of an object; None if it does not tell its length."""
    length = headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit()):
        return None
    modified = parse_http_date(headers.get("Last-Modified", ""), 0)
    return Meta(
        size=int(length),
        mtime_ns=None if modified is None else modified * 1_000_000_000,
        etag=_etag(headers.get("ETag")),
        content_type=headers.get("Content-Type"),
        content_encoding=headers.get("Content-Encoding"),
    )


def _listed(item: Mapping[str, Any]) -> Meta:
    """What a listing tells of an object: no content type."""
    return Meta(item["Size"], int(item["LastModified"].timestamp()) * 1_000_000_000, _etag(item.get("ETag")))


def _etag(text: str | None) -> str | None:
    """The ETag if it is a strong one and safe in a header."""
    if text and len(text) > 2 and text[0] == text[-1] == '"' and text.isascii() and '"' not in text[1:-1]:
        return text if text.isprintable() and " " not in text else None
    return None
