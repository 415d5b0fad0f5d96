"""Under which hosts a bucket is asked and shown: what is known without botocore, and the URLs of a domain before it.

On AWS the host is ours to say only for plain bucket names in regions of the partition "aws"; botocore's endpoint rules
have every other case (``aws.py``). At an endpoint the bucket stands in the path, unless the style is ``virtual`` and
the host has a name: nothing stands before an IP address.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Protocol

from .base import SignedURL
from .sigv4 import plain_url

# Regions of the partition "aws", whose hosts are known without asking: one form, no exceptions.
_PLAIN_REGION = r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]"
_PLAIN_BUCKET = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"
# Names with a meaning of their own get their hosts from botocore's rules: S3 Express, Object Lambda, Outposts.
_SPECIAL_SUFFIXES = ("--x-s3", "--xa-s3", "--ol-s3", "--op-s3")
_ENDPOINT = r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?((?:/[a-z0-9._~-]+)*)/*"
_IP = r"\[|[0-9]{1,3}(\.[0-9]{1,3}){3}(:|$)"
_DOMAIN: Final = r"[a-z0-9-]+(\.[a-z0-9-]+)+([:/].*)?"


class Place(NamedTuple):
    """Where a bucket is asked: ``path`` stands before the key; ``region`` is "" if that is not known yet."""

    origin: str
    path: str
    region: str = ""
    service: str = "s3"


class SignsURLs(Protocol):
    """Turns a plain URL into one that a CDN accepts until ``expires``."""

    def sign(self, url: str, expires: int) -> str:
        """Return the URL with its signature."""


class Domain:
    """A CDN's domain before the bucket. Without ``signer`` everybody may read there, and URLs are good for ever."""

    def __init__(self, origin: str, path: str, signer: SignsURLs | None = None) -> None:
        self._origin, self._path = origin, path
        self._signer = signer

    def url(self, object_key: str, expires: int) -> SignedURL:
        """Return the URL of an object."""
        url = plain_url(self._origin, self._path + object_key)
        if self._signer is None:
            return SignedURL(url, None)
        return SignedURL(self._signer.sign(url, expires), expires)


def plain_host(bucket: str, region: str, style: str, *, dualstack: bool = False) -> tuple[str, str] | None:
    """Return (origin, path before the key) on AWS if no rule but the common one applies, else None."""
    is_plain = re.fullmatch(_PLAIN_REGION, region) and re.fullmatch(_PLAIN_BUCKET, bucket)
    if not is_plain or bucket.endswith(_SPECIAL_SUFFIXES):
        return None
    host = f"s3.dualstack.{region}.amazonaws.com" if dualstack else f"s3.{region}.amazonaws.com"
    if style == "path":
        return f"https://{host}", f"/{bucket}/"
    return f"https://{bucket}.{host}", "/"


def endpoint_host(bucket: str, endpoint: str, style: str) -> tuple[str, str] | None:
    """Return (origin, path before the key) at ``endpoint``; None if that is not the URL of a server."""
    parts = _server(endpoint)
    if parts is None:
        return None
    scheme, host, path = parts
    if style == "virtual" and not re.match(_IP, host):
        return f"{scheme}://{bucket}.{host}", f"{path}/"
    return f"{scheme}://{host}", f"{path}/{bucket}/"


def domain_host(domain: str) -> tuple[str, str] | None:
    """Return (origin, path before the key) of ``cdn.example.com`` or ``https://cdn.example.com/path``, else None."""
    parts = _server(f"https://{domain}" if re.fullmatch(_DOMAIN, domain, re.IGNORECASE | re.DOTALL) else domain)
    return None if parts is None else (f"{parts[0]}://{parts[1]}", f"{parts[2]}/")


def _server(url: str) -> tuple[str, str, str] | None:
    """Return (scheme, host and port, path without a slash at its end).

    The host is what clients send in Host, since that is signed: lower case, no port that goes without saying.
    """
    match = re.fullmatch(_ENDPOINT, url, re.IGNORECASE)
    if match is None or not {".", ".."}.isdisjoint(match[4].split("/")):
        return None
    scheme, host, port = match[1].lower(), match[2].lower(), int(match[3] or 0)
    if match[3] and not 0 < port < 65536:
        return None
    if port and port != {"http": 80, "https": 443}[scheme]:
        host = f"{host}:{port}"
    return scheme, host, match[4]
