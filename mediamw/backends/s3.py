"""S3Backend: a bucket that is read and never written. It has no put and no delete.

All that reads stands in ``S3Reader``, which ``WritableS3Backend`` (``s3_writable.py``) has too: so that whoever is
given an ``S3Backend`` is never given one that writes.

Existence is one HEAD, presigned by our own signer, over a pooled connection that sends GET and HEAD only; of many files
of a folder one listing tells, asked in the same way (``s3_pages.py``). Browsers are
sent to presigned URLs, whose signing time is rounded down to a window: the same key has the same URL in every worker
for a quarter of an hour, and the browser's cache works. ``custom_domain`` sends them to a CDN instead. What is signed
is signed with a snapshot of the credentials, which is replaced in the background before they end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Final, Unpack

from ..core.errors import BackendUnavailable, NotServable
from ..core.keys import MAX_KEY_BYTES, Key, refusal
from ..core.model import Meta
from .aws import AWSAccount
from .base import Entry, Remote, SignedURL
from .pages import Page
from .per_process import PerProcess
from .renewal import Renewal
from .rules import RuleOptions, Rules
from .s3_answers import head_meta, listed
from .s3_errors import OWN_URL_LIFE_SECONDS, REASON_BYTES, Reasons, archived, listing_error, refused
from .s3_hosts import Place, plain_host
from .s3_options import LEAST_REST_SECONDS, Options
from .s3_pages import MAX_PAGE_BYTES, is_sorted, page_error, page_query, read_page
from .signed_urls import WindowURLs
from .sigv4 import Credentials, NoSigner, Signer

if TYPE_CHECKING:
    from typing import Literal

    from .origin_http import OriginHTTP

URL_LIFE_SECONDS = 3600
URL_WINDOW_SECONDS = 900


class S3Reader:
    """Reads the files of ``bucket`` below ``location``. ``bucket`` may be an access point's ARN or alias.

    Credentials: ``access_key_id`` and ``secret_access_key`` (with ``session_token`` for temporary ones), else
    ``profile``, else botocore's whole chain; with ``anonymous`` none at all. ``region`` defaults to the profile's, then
    us-east-1. ``endpoint_url`` is the URL of another S3 than AWS's, ``public_endpoint_url`` the one that browsers see
    of it; ``addressing_style`` is how the bucket stands in URLs: ``virtual``, ``path``, or ``auto`` (virtual on AWS,
    path at an endpoint). ``dualstack``: AWS over IPv6 too.

    ``custom_domain``: the CDN that browsers are sent to, with plain URLs, or with CloudFront's signed ones if there are
    ``cloudfront_key_id`` and ``cloudfront_key`` (a private key in PEM). ``url_life`` and ``url_window`` in seconds.
    With ``missing_on_403`` S3's 403 AccessDenied counts as missing: S3 says so to those who may not list the bucket.

    ``proxies`` (scheme to URL) and ``verify`` (False, or the path of a CA bundle) are for our own requests and default
    to what botocore takes from the environment. ``rules`` are those of every remote backend (``backends/rules.py``).
    Raises ``ConfigError``.
    """

    _account_type: type[AWSAccount] = AWSAccount
    _rules_type: type[Rules] = Rules
    _is_upper: bool = False

    def __init__(
        self,
        bucket: str,
        *,
        location: str = "",
        region: str | None = None,
        endpoint_url: str | None = None,
        public_endpoint_url: str | None = None,
        custom_domain: str | None = None,
        cloudfront_key_id: str | None = None,
        cloudfront_key: str | bytes | None = None,
        addressing_style: Literal["auto", "virtual", "path"] = "auto",
        dualstack: bool = False,
        anonymous: bool = False,
        profile: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        session_token: str | None = None,
        url_life: int = URL_LIFE_SECONDS,
        url_window: int = URL_WINDOW_SECONDS,
        missing_on_403: bool = False,
        proxies: Mapping[str, str] | None = None,
        verify: bool | str | None = None,
        name: str = "s3",
        **rules: Unpack[RuleOptions],
    ) -> None:
        self.location = location.strip("/")
        # The stack does not ask for what no bucket can have, and so takes it neither for a miss nor for a sign of life.
        longest = MAX_KEY_BYTES - len(self._object_key("").encode(errors="replace"))  # what is no text is refused below
        self.rules: Final = self._rules_type(name, owner=type(self), longest_key_bytes=longest, **rules)
        given = Options(
            name=name,
            bucket=bucket,
            location=location,
            region=region,
            endpoint_url=endpoint_url,
            public_endpoint_url=public_endpoint_url,
            custom_domain=custom_domain,
            cloudfront_key_id=cloudfront_key_id,
            cloudfront_key=cloudfront_key,
            addressing_style=addressing_style,
            dualstack=dualstack,
            anonymous=anonymous,
            profile=profile,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            url_life=url_life,
            url_window=url_window,
            missing_on_403=missing_on_403,
            proxies=proxies,
            verify=verify,
            takes_writes=self._is_upper,
        )
        given.check()
        self.name = name
        self.bucket = bucket
        self._style = addressing_style
        self._life, self._window = url_life, url_window
        self._missing_on_403 = missing_on_403
        self._anonymous, self._dualstack = anonymous, dualstack
        self.endpoint_url = endpoint_url
        self._proxies = proxies
        self._domain = given.domain()
        self._public = given.endpoint("public_endpoint_url")
        self._reasons = Reasons()
        self._preparing = PerProcess(threading.Lock)
        self._signer: Signer | None = None
        self._urls = WindowURLs()
        self._http: OriginHTTP | None = None
        self.whereabouts = (given.server(), bucket, *filter(None, self.location.split("/")))
        static = given.credentials()
        self._place = given.place(is_static=static is not None)
        self._account = self._account_type(
            name,
            profile=profile,
            static=static,
            region=region,
            endpoint=endpoint_url,
            dualstack=dualstack,
            proxies=proxies,
            verify=verify,
        )
        self._renewal = Renewal(self._renew, name) if static is None else None
        if self._place is not None and static is not None:
            self._signer = self._new_signer(static, self._place.region, self._place.service)
        self._made()

    def _made(self) -> None:
        """For what a backend has besides reading."""

    def __repr__(self) -> str:
        where = f"/{self.location}" if self.location else ""
        endpoint = f", endpoint_url={self.endpoint_url!r}" if self.endpoint_url is not None else ""
        return f"{type(self).__name__}('s3://{self.bucket}{where}', name={self.name!r}{endpoint})"

    def open(self, key: Key) -> Remote | None:
        """Ask the bucket by a signed HEAD. Raises ``BackendUnavailable`` with the way out if it cannot tell."""
        object_key = self._object_key(key)
        if len(object_key.encode()) > MAX_KEY_BYTES:
            return None
        from . import origin_http

        signer, place, http = self._ready()
        until = time.monotonic() + origin_http.HEAD_SECONDS

        def get() -> tuple[int, bytes]:
            return http.get_start(_own_url(signer, place, object_key, "GET"), REASON_BYTES, until=until)

        try:
            for _ in range(2):  # the second time if a GET found what HEAD did not: the file appeared in between
                status, headers = http.head(_own_url(signer, place, object_key, "HEAD"), until=until)
                if status == 200 and (meta := self._head_meta(headers)) is not None:
                    if (why := archived(headers)) is not None:
                        raise NotServable(why, backend=self.name, key=key, operation="open")
                    return Remote(meta)
                reason = self._reasons.find(status, headers, get, is_signed=not self._anonymous)
                if reason[:2] == (404, "NoSuchKey") or (self._missing_on_403 and reason[:2] == (403, "AccessDenied")):
                    return None
                if not reason.is_found:
                    break
            raise refused(self.bucket, place.origin, signer, status, headers, reason, backend=self.name, key=key)
        except BackendUnavailable:
            self._reasons.doubt()
            raise

    def can_sign(self, now: float) -> bool:
        """True if credentials are at hand and live long enough for a useful URL; a ``custom_domain`` needs none."""
        return self._domain is not None or self._can_ask(now)

    def prepare(self) -> None:
        """Fetch or renew the credentials and find the host. May wait for a network."""
        with self._preparing.get():
            place = self._place
            if place is None:
                region = self._account.region()
                host = plain_host(self.bucket, region, self._style, dualstack=self._dualstack)
                place = Place(*host, region) if host is not None else self._account.place(self.bucket, self._style)
                self._place = place
            credentials = self._account.credentials()
            if self._signer is None or self._signer.credentials != credentials:
                self._signer = self._new_signer(credentials, place.region or self._account.region(), place.service)

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        """Return the URL of ``key`` for ``method``, presigned or the CDN's; the same one for a whole window."""
        signer = self._signer
        known = self._urls.get(key, method, signer, now)
        if known is None:
            start = int(now) - int(now) % self._window
            known = self._signed(key, method, start, now)
            self._urls.put(key, method, signer, (start, start + self._window), known)
        if self._renewal is not None and signer is not None and self._domain is None:
            self._note_use(signer)
        return known

    def _signed(self, key: Key, method: str, start: int, now: float) -> SignedURL:
        object_key = self._object_key(key)
        if self._domain is not None:
            return self._domain.url(object_key, start + self._life)
        signer, place = self._signer, self._place
        if signer is None or place is None:
            raise BackendUnavailable("sign was called before prepare", backend=self.name, key=key, operation="sign")
        life = self._life
        expires = signer.credentials.expires
        if expires is not None:
            life = min(life, int(expires) - start)
            if start + life <= now:
                raise BackendUnavailable(
                    "the AWS credentials have expired", backend=self.name, key=key, operation="sign"
                )
        origin, path = self._public or place[:2]
        url = signer.presign(method, origin, path + object_key, at=start, life=life)
        return SignedURL(url, None if self._anonymous else start + life)

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        """Yield a part of the version ``etag``, of an object that has ``size`` bytes if that is given."""
        signer, place, http = self._ready()
        return http.get_range(_own_url(signer, place, self._object_key(key), "GET"), start, stop, etag, size=size)

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield entries sorted by key, page by page. Objects whose names are no keys are left out."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError  # no BotoCoreError, and what old botocores raise for HTML

        signer, place = self._asked()
        start = self._object_key("")
        try:
            with closing(self._account.read_only_client(self._style, signer.credentials)) as client:
                entries = listed(client, self.bucket, start, prefix, recursive=recursive, backend=self.name)
                yield from (entry for entry in entries if self._is_listed(entry, prefix))
        # ValueError, KeyError: XML that is no listing. RecursionError: botocore asks whoever redirects it where the
        # bucket is, whose answer may be the same redirect.
        except (BotoCoreError, ClientError, ResponseParserError, ValueError, KeyError, RecursionError) as error:
            raise listing_error(error, self.bucket, place.origin, self.name) from None

    def list_page(self, folder: str, after: str | None = None) -> Page | None:
        """Tell of the objects of ``folder`` by one signed GET; None where listings are in no order, or not believed."""
        if not is_sorted(self.bucket):
            return None
        signer, place, http = self._ready()
        prefix = self._object_key(folder)
        url = signer.presign(
            "GET",
            place.origin,
            place.path,
            at=int(time.time()),
            life=OWN_URL_LIFE_SECONDS,
            query=page_query(prefix, self._object_key(after) if after else None),
        )
        status, headers, body = http.get_document(url, MAX_PAGE_BYTES)
        if status != 200:
            raise page_error(status, headers, self.bucket, self.name)
        return read_page(body, prefix, folder, after)

    def close(self) -> None:
        """Close the connections and end the renewal of credentials."""
        if self._renewal is not None:
            self._renewal.close()
        if self._http is not None:
            self._http.close()

    def _can_ask(self, now: float) -> bool:
        signer = self._signer
        if signer is None or self._place is None:
            return False
        expires = signer.credentials.expires
        return expires is None or expires - now >= LEAST_REST_SECONDS

    def _asked(self) -> tuple[Signer, Place]:
        """Return the snapshot that this request signs with. Waits only if there is none yet, or it is at its end."""
        if not self._can_ask(time.time()):
            self.prepare()
        signer, place = self._signer, self._place
        assert signer is not None
        assert place is not None
        self._note_use(signer)
        return signer, place

    def _ready(self) -> tuple[Signer, Place, OriginHTTP]:
        signer, place = self._asked()
        if self._http is None:  # not before it is needed: the proxy and the CA bundle are botocore's to tell
            wrong = f"endpoint_url={self.endpoint_url}" if self.endpoint_url is not None else f"region={place.region}"
            hint = f" (check {wrong})"
            from .network import proxy_for
            from .origin_http import OriginHTTP  # nor loaded: a URL is signed without a request

            with self._preparing.get():
                if self._http is None:
                    proxy = proxy_for(place.origin, self._proxies)
                    verify = self._account.verify()
                    self._http = OriginHTTP(place.origin, self.name, hint, proxy=proxy, verify=verify)
        return signer, place, self._http

    def _note_use(self, signer: Signer) -> None:
        if self._renewal is not None:
            self._renewal.used(signer.credentials.expires)

    def _renew(self) -> float | None:
        self.prepare()
        return None if self._signer is None else self._signer.credentials.expires

    def _new_signer(self, credentials: Credentials, region: str, service: str) -> Signer:
        return NoSigner(region) if self._anonymous else Signer(credentials, region, service)

    def _is_listed(self, entry: Entry, prefix: str) -> bool:
        """Say whether something belongs into a listing of ``prefix``: what has a key for its name does."""
        return refusal(entry.key.removesuffix("/") if entry.is_folder else entry.key) is None

    def _head_meta(self, headers: Mapping[str, str]) -> Meta | None:
        """Return what the answer to a HEAD tells of an object, None if it is none of an S3."""
        return head_meta(headers)

    def object_name(self, key: str) -> str:
        """Return what the object is called that has the file ``key``; of "" what the names of all begin with."""
        return self._object_key(key)

    def _object_key(self, key: str) -> str:
        return f"{self.location}/{key}" if self.location else key


class S3Backend(S3Reader):
    """The files of ``bucket`` below ``location``, read-only by type; the options are those of ``S3Reader``.

    Nothing that it has can send a write, and nobody who is given one has to ask whether this one can.
    """


def _own_url(signer: Signer, place: Place, object_key: str, method: str) -> str:
    return signer.presign(method, place.origin, place.path + object_key, at=int(time.time()), life=OWN_URL_LIFE_SECONDS)
