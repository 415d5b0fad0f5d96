"""A web site as a lower: the production site itself serves its media, and nobody needs a key of its bucket.

Rules:

1. GET and HEAD only, to one origin and below one path. Redirects are followed there and nowhere else, so that
   credentials go to nobody else.
2. A site answers 200 to what it does not have: with a login page, or a single-page app. HTML for a name that is not
   HTML's is therefore no file, and an error rather than a miss.
3. Sites that stand behind each other must not ask in circles. Every request carries ``Via: 1.1 mediamw-<id>``, ``id``
   being that of the asked base URL, and behind whose request it is made (``via.py``) with it. A site that finds the id
   of its own backend in a request has asked that backend for it already, and does not ask again.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final, NoReturn, Unpack
from urllib.parse import quote, urljoin, urlsplit

from ..core.errors import BackendUnavailable, ConfigError, Unreachable
from ..core.http_dates import parse_http_date
from ..core.keys import Key
from ..core.media_types import guess, is_content_coding, type_of_origin
from ..core.model import Meta
from . import origin_http
from .base import Remote, SignedURL
from .http_origin_options import base_url_parts, basic, check_headers, check_rules, has_dot_segment
from .network import ca_bundle, ca_fault, proxies_fault, proxy_for, proxy_parts
from .origin_body import coding_of, is_page, length_of, total_of
from .origin_failures import retry_after
from .origin_http import OriginHTTP
from .per_process import PerProcess
from .rules import RuleOptions, Rules
from .via import VIA, our_entries

MAX_VIA_BYTES: Final = 1024
CONFIRM_SECONDS: Final = 60.0
"""How long a 404 to HEAD is believed after a GET was asked too, so that misses do not cost two requests each."""

_MAX_CODINGS = 4096


class HTTPOriginBackend:
    """The files below ``base_url``, read-only by type.

    ``headers`` go with each request, ``username`` and ``password`` as Basic authentication; both stay with this origin,
    and clients could not send them, so that with either ``delivery`` is ``proxy`` and otherwise ``redirect``.
    ``proxies`` maps schemes to proxies and ``verify`` is the path of a CA bundle, or False; None is the environment's,
    as botocore reads it. Raises ``ConfigError``.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        username: str | None = None,
        password: str | None = None,
        proxies: Mapping[str, str] | None = None,
        verify: bool | str | None = None,
        name: str = "http",
        **rules: Unpack[RuleOptions],
    ) -> None:
        self.name = name
        origin, self._path = base_url_parts(base_url, name)
        self.base_url: Final = origin + self._path
        self.whereabouts: Final = (origin, *filter(None, self._path.split("/")))
        self.via: Final = f"mediamw-{sha256(self.base_url.encode()).hexdigest()[:12]}"
        """The entry of this backend in Via: a request that carries it has been at ``base_url`` already."""
        sent = check_headers(headers or {}, name)
        if username is not None or password is not None:
            if "authorization" in {header.lower() for header in sent}:
                raise self._wrong("headers: Authorization stands there, and username is given too: drop one")
            sent["Authorization"] = basic(username, password, name)
        self._has_credentials = bool(sent)
        self.rules: Final = Rules(name, owner=type(self), default="proxy" if sent else "redirect", **rules)
        if self._has_credentials:
            check_rules(self.rules, name)
        if (fault := proxies_fault(proxies)) is not None:
            raise self._wrong(fault)
        proxy = proxy_for(self.base_url, proxies)
        verified = ca_bundle(verify)
        if (verify is not None or origin.startswith("https:")) and (fault := ca_fault(verified)) is not None:
            raise self._wrong(fault)
        if proxy is not None:
            try:
                proxy_parts(proxy)
            except ValueError as error:
                raise self._wrong(f"{error}: correct HTTP_PROXY or HTTPS_PROXY") from None
        self._http = OriginHTTP(
            origin,
            name,
            f" (check base_url {self.base_url})",
            proxy=proxy,
            verify=verified,
            headers=sent,
            follow=self._next,
        )
        self._head_is_wrong = False
        self._missing_is_believed_until = float("-inf")
        # The few files with a Content-Encoding, for reads to be held to it. Who is dropped is looked up anew.
        self._codings: dict[Key, str] = {}
        self._lock = PerProcess(threading.Lock)

    def __repr__(self) -> str:
        return f"HTTPOriginBackend({self.base_url!r}, name={self.name!r})"

    def open(self, key: Key) -> Remote | None:
        """Ask the site by HEAD. Raises ``BackendUnavailable`` with the way out if it cannot tell."""
        until = time.monotonic() + origin_http.HEAD_SECONDS
        if not self._head_is_wrong:
            status, headers = self._http.head(self._url(key), until=until, headers=self._via(key))
            size = length_of(headers.get("Content-Length"))
            if status in (404, 410):
                return self._confirm_missing(key, until)
            if status not in (405, 501):
                found = self._judge(key, status, headers, size)
                return found if size != 0 else self._confirm_empty(key, until, found)
        answer = self._probe(key, until)
        self._head_is_wrong = self._head_is_wrong or answer is not None
        return answer

    def _confirm_empty(self, key: Key, until: float, found: Remote | None) -> Remote | None:
        """Ask by GET what HEAD says is empty: frameworks that make no body to answer HEAD say so of every file."""
        answer = self._probe(key, until, is_empty=True)
        if answer is not None and answer.meta.size == 0:
            return found
        self._head_is_wrong = True
        return answer

    def _confirm_missing(self, key: Key, until: float) -> Remote | None:
        """Ask by GET what HEAD says is missing, once in a while: some sites say so to every HEAD."""
        now = time.monotonic()
        if now < self._missing_is_believed_until:
            return None
        self._missing_is_believed_until = now + CONFIRM_SECONDS
        try:
            answer = self._probe(key, until)
        except BackendUnavailable:  # such as a page of an app that answers everything: no file that HEAD denies
            return None
        self._head_is_wrong = self._head_is_wrong or answer is not None
        return answer

    def _probe(self, key: Key, until: float, *, is_empty: bool = False) -> Remote | None:
        """Ask by GET for one byte. ``is_empty``: as HEAD says, so that the site need not say it to a GET too."""
        status, headers = self._http.probe(self._url(key), until=until, headers=self._via(key))
        content_range = headers.get("Content-Range")
        if status == 206:
            return self._judge(key, 200, headers, total_of(content_range))
        total = total_of(content_range)
        if status == 416 and (total == 0 or (is_empty and total is None)):  # no byte of an empty file can be had
            return self._judge(key, 200, {}, 0)  # the headers are those of the error
        return self._judge(key, status, headers, length_of(headers.get("Content-Length")))

    def can_sign(self, now: float) -> bool:
        """True: there is nothing to sign, and the URLs are known."""
        return True

    def prepare(self) -> None:
        """Do nothing."""

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        """Return the URL of ``key`` at the site, which lasts. It holds no credentials."""
        return SignedURL(self._url(key), None)

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        """Yield a part of the version ``etag``, of a file that has ``size`` bytes if that is given."""
        url, coding, may_be_page = self._url(key), self._codings.get(key), _may_be_page(key)
        return self._http.get_range(
            url, start, stop, etag, size=size, coding=coding, may_be_page=may_be_page, headers=self._via(key)
        )

    def read_whole(self, key: Key, etag: str | None) -> Iterator[bytes]:
        """Yield all of the version ``etag``, for files whose ``size`` is None."""
        url, coding, may_be_page = self._url(key), self._codings.get(key), _may_be_page(key)
        return self._http.get_whole(url, etag, coding=coding, may_be_page=may_be_page, headers=self._via(key))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _url(self, key: str) -> str:
        return self.base_url + quote(key, safe="/")

    def _via(self, key: Key) -> dict[str, str]:
        ours = dict.fromkeys([*our_entries(VIA.get()), self.via])
        text = ", ".join(f"1.1 {entry}" for entry in ours)
        if len(text) > MAX_VIA_BYTES:
            raise BackendUnavailable(
                "the request came through too many sites with mediamw: do they ask each other in a circle?",
                backend=self.name,
                key=key,
                answered=False,
            )
        return {"Via": text}

    def _judge(self, key: Key, status: int, headers: Mapping[str, str], size: int | None) -> Remote | None:
        if status in (404, 410):
            return None
        if status == 429 or status >= 500:
            raise Unreachable(
                f"{self.base_url} answered {status}",
                backend=self.name,
                key=key,
                operation="open",
                retry_after=retry_after(headers),
                answered=True,
            )
        if status in (401, 403):
            what = "headers or username and password do not fit" if self._has_credentials else "it wants credentials"
            way_out = (
                "correct them" if self._has_credentials else "HTTPOriginBackend takes headers, username and password"
            )
            if "x-amz-request-id" in headers:
                way_out = "a bucket answers there: write s3://NAME, with a profile or keys"
            self._cannot_tell(key, f"{self.base_url} answered {status}: {what}: {way_out}")
        if status != 200:
            self._cannot_tell(key, f"{self.base_url} answered {status}")
        content_type = headers.get("Content-Type")
        if is_page(content_type) and not _may_be_page(key):
            self._cannot_tell(
                key,
                f"{self.base_url} answered with an HTML page: a login page, or an app that answers 200 to everything; "
                "set base_url to where the files are, and give headers or username if it wants a login",
            )
        coding = coding_of(headers.get("Content-Encoding"))
        self._remember(key, coding)
        modified = parse_http_date(headers.get("Last-Modified", ""), 0)
        return Remote(
            Meta(
                size=size,
                mtime_ns=None if modified is None else modified * 1_000_000_000,
                etag=_strong(headers.get("ETag")),
                content_type=type_of_origin(content_type),
                content_encoding=coding if coding and is_content_coding(coding) else None,
            )
        )

    def _remember(self, key: Key, coding: str | None) -> None:
        if coding is None and key not in self._codings:
            return
        with self._lock.get():
            self._codings.pop(key, None)
            if coding is not None:
                self._codings[key] = coding
                if len(self._codings) > _MAX_CODINGS:
                    del self._codings[next(iter(self._codings))]

    def _next(self, url: str, location: str) -> str:
        """Return where a redirect leads, if that is this site's business."""
        try:
            parts = urlsplit(urljoin(url, location))
            port = parts.port
        except ValueError:
            raise BackendUnavailable(f"{self.base_url} redirects to no URL", backend=self.name) from None
        host = (parts.hostname or "").encode("ascii", "backslashreplace").decode()
        place = f"[{host}]" if ":" in host else host
        if port is not None and port != {"http": 80, "https": 443}.get(parts.scheme):
            place = f"{place}:{port}"
        origin, path = f"{parts.scheme}://{place}", quote(parts.path, safe="/%:@!$&'()*+,;=~")
        is_below = path.startswith(self._path) and not has_dot_segment(path)
        if origin != self._http.origin or not is_below or parts.username is not None:
            raise BackendUnavailable(
                f"{self.base_url} redirects to {origin}{path}, which is not below it: a login page? If the files are "
                "there, set base_url to it",
                backend=self.name,
            )
        query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
        return f"{origin}{path}{query}"

    def _cannot_tell(self, key: Key, reason: str) -> NoReturn:
        raise BackendUnavailable(reason, backend=self.name, key=key, operation="open")

    def _wrong(self, reason: str) -> ConfigError:
        return ConfigError(reason, backend=self.name)


def _may_be_page(key: Key) -> bool:
    return is_page(guess(key)[0])


def _strong(etag: str | None) -> str | None:
    """The ETag if it is a strong one and safe in a header."""
    return etag if etag is not None and re.fullmatch(r'"[!#-~]{1,512}"', etag) else None
