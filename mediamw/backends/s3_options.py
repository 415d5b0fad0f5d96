"""The options of S3Backend: what each may be, and which exclude each other.

Every fault is a ``ConfigError`` that names the option and the way out. Values that might be or hold a secret (keys,
endpoints, proxies) are not repeated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace

from ..core.errors import ConfigError
from ..core.keys import refusal
from .network import proxies_fault
from .s3_hosts import Domain, Place, domain_host, endpoint_host, plain_host
from .sigv4 import MAX_LIFE_SECONDS, Credentials

LEAST_REST_SECONDS = 300
"""A URL is handed out only while it has this long to live: a page that loads slowly still gets its images."""

# Not compiled before they are needed: few stacks need them all, and compiling takes longer than importing the rest.
_ARN = r"arn:aws[a-z-]*:s3(?:-[a-z-]+)?:[A-Za-z0-9.:/_-]{1,200}"
# Old buckets have capitals.
_BUCKET = rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,254}}|{_ARN}"
_HOST_BUCKET = r"[a-z0-9][a-z0-9.:-]*"
_REGION = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
# Every region of AWS has this form: an area, where in it, and a number.
_AWS_REGION = (
    r"[a-z]{2,4}(-[a-z]{2,4})?-(central|north|south|(north|south)?(east|west))-[1-9][0-9]?|aws(-[a-z-]+)?-global"
)
_AWS_HOST = r"(?:[a-z0-9.-]+\.)?s3[.-](?:dualstack\.)?([a-z-]+-[0-9]+)\.amazonaws\.com(?:\.cn)?"
_AWS_ANY_HOST = r"https?://(?:[a-z0-9.-]+\.)?amazonaws\.com(?:\.cn)?(?::[0-9]+)?"
_SPACES_REGION = r"[a-z]{3}[0-9]"
_SPACES_HOST = rf"(?:[a-z0-9-]+\.)*({_SPACES_REGION})(?:\.cdn)?\.digitaloceanspaces\.com"
_SERVER = "give scheme, host, port and path alone, such as https://s3.example.com:9000"


_PROVIDERS = (".amazonaws.com", ".amazonaws.com.cn", ".digitaloceanspaces.com", ".r2.cloudflarestorage.com")


def holds_bucket(url: str, bucket: str) -> bool:
    """Say whether an endpoint is the bucket's own URL, as the consoles of Spaces and R2 show it."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.path.rstrip("/").rpartition("/")[2] == bucket:
        return True
    before = f"{bucket.lower()}."
    return host.startswith(before) and host.removeprefix(before).endswith(_PROVIDERS)


class Options(SimpleNamespace):
    """What ``S3Backend`` was given, to be checked as a whole. No tuple, as there are secrets in it (``Secretive``)."""

    name: str
    bucket: str
    location: str
    region: str | None
    endpoint_url: str | None
    public_endpoint_url: str | None
    custom_domain: str | None
    cloudfront_key_id: str | None
    cloudfront_key: str | bytes | None
    addressing_style: str
    dualstack: bool
    anonymous: bool
    profile: str | None
    access_key_id: str | None
    secret_access_key: str | None
    session_token: str | None
    url_life: int
    url_window: int
    missing_on_403: bool
    proxies: Mapping[str, str] | None
    verify: bool | str | None
    takes_writes: bool = False

    def __repr__(self) -> str:
        return f"Options(name={self.name!r}, bucket={self.bucket!r})"  # of the others some are secrets

    def check(self) -> None:
        """Raise ``ConfigError`` for what can be told without asking anybody."""
        wrong: list[ConfigError] = []
        checks: tuple[Callable[[], object], ...] = (
            *(self._check_bucket, self._check_region, self._check_switches, self._check_lives, self._check_network),
            *(self._check_hosts, self._check_domain, self.credentials, self._check_writing),
        )
        for check in checks:
            try:
                check()
            except ConfigError as error:
                wrong.append(error)
        if wrong:
            raise ConfigError.of(wrong)

    def credentials(self) -> Credentials | None:
        """Return the explicit keys; empty ones for anonymous access; None if botocore is to be asked."""
        given = {
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            "session_token": self.session_token,
        }
        if self.anonymous:
            for option, value in {"profile": self.profile, **given}.items():
                if value is not None:
                    raise self._wrong(f"anonymous and {option} contradict each other: give one of them")
            return Credentials("", "")
        if self.access_key_id is None and self.secret_access_key is None:
            if self.session_token is not None:
                raise self._wrong("session_token without access_key_id and secret_access_key")
            return None
        if not self.access_key_id or not self.secret_access_key:
            missing = "secret_access_key" if self.access_key_id else "access_key_id"
            raise self._wrong(f"access_key_id and secret_access_key belong together: one is missing, {missing}")
        for option, value in given.items():
            if value is not None and not re.fullmatch("[!-~]+", value):
                raise self._wrong(f"{option} is empty, or holds white space or what else no key holds")
        if self.profile is not None:
            raise self._wrong("profile and access_key_id are two sources of credentials: give one of them")
        return Credentials(self.access_key_id, self.secret_access_key, self.session_token)

    def endpoint(self, option: str) -> tuple[str, str] | None:
        """Return (origin, path before the key) of ``endpoint_url`` or ``public_endpoint_url``, None if not given."""
        url: str | None = getattr(self, option)
        if url is None:
            return None
        if self.bucket.startswith("arn:"):
            raise self._wrong(f"{option}: access points (an ARN as bucket) are AWS's, leave {option} out")
        host = endpoint_host(self.bucket, url, self.addressing_style)
        if host is None:  # not repeated: keys may stand in it
            raise self._wrong(f"{option}: {_SERVER}")
        if holds_bucket(url, self.bucket):
            raise self._wrong(
                f"{option}: the bucket stands in it, and again before each key: give it without the bucket"
            )
        return host

    def place(self, *, is_static: bool) -> Place | None:
        """Return where the bucket is if nobody has to be asked for it."""
        endpoint = self.endpoint("endpoint_url")
        region = self.region or ("us-east-1" if is_static else "")
        if endpoint is not None:
            return Place(*endpoint, region)
        # Without a region the profile or the environment may name one.
        host = plain_host(self.bucket, region, self.addressing_style, dualstack=self.dualstack)
        return None if host is None else Place(*host, region)

    def server(self) -> str:
        """Return whose bucket it is, in one spelling: AWS's, whichever of its hosts is given, or an endpoint."""
        endpoint = self.endpoint("endpoint_url")
        if endpoint is None or re.fullmatch(_AWS_ANY_HOST, endpoint[0]):
            return "s3:"
        origin, path = endpoint
        virtual = f"//{self.bucket}."
        return origin.replace(virtual, "//", 1) + path.removesuffix(f"/{self.bucket}/").rstrip("/")

    def domain(self) -> Domain | None:
        """Return the domain that browsers see, with its signer if there is one."""
        host = self._check_domain()
        if host is None:
            return None
        if self.cloudfront_key is None or self.cloudfront_key_id is None:
            return Domain(*host)
        from .cloudfront import CloudFrontSigner

        return Domain(*host, CloudFrontSigner(self.cloudfront_key_id, self.cloudfront_key, self.name))

    def _check_domain(self) -> tuple[str, str] | None:
        if (self.cloudfront_key_id is None) != (self.cloudfront_key is None):
            raise self._wrong("cloudfront_key_id and cloudfront_key belong together: one is missing")
        if self.custom_domain is None:
            if self.cloudfront_key is not None:
                raise self._wrong("cloudfront_key without custom_domain: give the domain of the distribution")
            return None
        host = domain_host(self.custom_domain)
        if host is None:  # not repeated: keys may stand in it
            raise self._wrong("custom_domain: give cdn.example.com, or https://cdn.example.com/path")
        return host

    def _check_bucket(self) -> None:
        bucket, location = self.bucket, self.location.strip("/")
        if not re.fullmatch(_BUCKET, bucket):
            raise self._wrong(
                f"bucket {bucket!r}: give the bucket's name alone, such as acme-media, or an access point's ARN"
            )
        if bucket.endswith(("--x-s3", "--xa-s3")):
            raise self._wrong(f"bucket {bucket!r}: S3 Express needs sessions, which are not supported")
        if bucket.endswith(".mrap"):
            raise self._wrong(
                f"bucket {bucket!r}: multi-region access points need SigV4A, which is not supported; "
                "give the bucket or an access point of one region"
            )
        if location and (reason := refusal(location)) is not None:
            raise self._wrong(f"location {self.location!r}: {reason}")
        if self.addressing_style not in ("auto", "virtual", "path"):
            raise self._wrong(f"addressing_style {self.addressing_style!r}: it is auto, virtual or path")
        if self.addressing_style == "virtual" and not (re.fullmatch(_HOST_BUCKET, bucket) or bucket.startswith("arn:")):
            raise self._wrong(f"addressing_style 'virtual': bucket {bucket!r} cannot stand in a host name, use path")

    def _check_region(self) -> None:
        region = self.region
        if region is None:
            return
        if not re.fullmatch(_REGION, region):
            said = repr(region) if re.fullmatch(r"[\w ().'\"-]{0,40}", region) else "is no name"  # it may be a key
            raise self._wrong(f"region {said}: give a region's name, such as eu-west-1")
        if self.endpoint_url is None:
            if not re.fullmatch(_AWS_REGION, region):
                raise self._wrong(
                    f"region {region!r}: AWS has none of this form: write it as eu-west-1 is written, or give the "
                    "endpoint_url of the S3 that has it"
                )
            return
        host = endpoint_host("", self.endpoint_url, "path")
        name = "" if host is None else host[0].partition("//")[2].partition(":")[0]
        aws, spaces = re.fullmatch(_AWS_HOST, name), re.fullmatch(_SPACES_HOST, name)
        # Spaces takes us-east-1 too, as boto3's users write it.
        of_host = aws[1] if aws else spaces[1] if spaces and re.fullmatch(_SPACES_REGION, region) else region
        if region != of_host:
            raise self._wrong(f"region {region!r} contradicts endpoint_url, which is in {of_host}: correct one of them")

    def _check_switches(self) -> None:
        if self.profile == "":
            raise self._wrong("profile is empty: give its name, or leave it out for botocore's chain")
        for option in ("dualstack", "anonymous", "missing_on_403"):
            if not isinstance(value := getattr(self, option), bool):
                raise self._wrong(f"{option}: {value!r} is neither True nor False")

    def _check_writing(self) -> None:
        if not self.takes_writes:
            return
        if self.anonymous is True:
            raise self._wrong("anonymous: nobody writes into a bucket without credentials, give some")
        if self.missing_on_403 is True:
            raise self._wrong(
                "missing_on_403: of a bucket that takes uploads it must be known what it has, else an upload that it "
                "does not show would be covered by an older file: allow s3:ListBucket instead"
            )

    def _check_hosts(self) -> None:
        for option in ("endpoint_url", "public_endpoint_url"):
            self.endpoint(option)
        if self.dualstack and self.endpoint_url is not None:
            raise self._wrong("dualstack is AWS's: with endpoint_url, give the URL of the server that you mean")
        if self.public_endpoint_url is not None and self.custom_domain is not None:
            raise self._wrong("public_endpoint_url and custom_domain both say what browsers see: give one of them")

    def _check_lives(self) -> None:
        for option, seconds in (("url_life", self.url_life), ("url_window", self.url_window)):
            if type(seconds) is not int:
                raise self._wrong(f"{option} {seconds!r}: give a whole number of seconds")
        if not 0 < self.url_window <= self.url_life - LEAST_REST_SECONDS:
            raise self._wrong(
                f"url_window {self.url_window}: it is at least 1 second, and url_life ({self.url_life}) is at least "
                f"{LEAST_REST_SECONDS} seconds longer"
            )
        if self.url_life > MAX_LIFE_SECONDS:
            raise self._wrong(f"url_life {self.url_life}: S3 allows at most {MAX_LIFE_SECONDS} seconds")

    def _check_network(self) -> None:
        if (fault := proxies_fault(self.proxies)) is not None:
            raise self._wrong(fault)
        if not isinstance(self.verify, (bool, str, type(None))):
            raise self._wrong("verify: it is False, or the path of a CA bundle")
        if isinstance(self.verify, str) and not os.path.exists(self.verify):
            raise self._wrong(f"verify: there is no CA bundle {self.verify!r}: correct the path")

    def _wrong(self, reason: str) -> ConfigError:
        return ConfigError(reason, backend=self.name)
