"""What S3Backend needs of AWS's own library, and asks it seldom: credentials, the region, hosts, and listing.

botocore is imported here, inside the functions that need it: a backend with explicit keys and a plain host never does
before it lists. Nothing of the environment reaches a backend that it did not ask for: endpoints set by
``AWS_ENDPOINT_URL*`` or in profile files are ignored always (they would turn production into a test server), and
``AWS_PROFILE`` and the keys in the environment by those with explicit keys or a profile.
"""

from __future__ import annotations

import re
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..core.errors import BackendUnavailable
from .origin_http import keep_secrets_out_of_logs
from .sigv4 import Credentials

if TYPE_CHECKING:
    import botocore.session

# Regions of the partition "aws", whose hosts are known without asking: one form, no exceptions.
_PLAIN_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]")
_PLAIN_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# At DEBUG they say what is signed and sent, token and all, and what STS and the metadata services answer.
_LOGGERS = ("auth", "credentials", "endpoint", "hooks", "httpsession", "parsers", "retryhandler", "utils")
# Names with a meaning of their own get their hosts from botocore's rules: S3 Express, Object Lambda, Outposts.
_SPECIAL_SUFFIXES = ("--x-s3", "--xa-s3", "--ol-s3", "--op-s3")
_ENDPOINT = re.compile(
    r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?((?:/[a-z0-9._~-]+)*)/*", re.IGNORECASE
)


def plain_host(bucket: str, region: str, style: str) -> tuple[str, str] | None:
    """Return (origin, path before the key) on AWS if no rule but the common one applies, else None."""
    if not _PLAIN_REGION.fullmatch(region) or not _PLAIN_BUCKET.fullmatch(bucket) or bucket.endswith(_SPECIAL_SUFFIXES):
        return None
    if style == "path":
        return f"https://s3.{region}.amazonaws.com", f"/{bucket}/"
    return f"https://{bucket}.s3.{region}.amazonaws.com", "/"


def endpoint_host(bucket: str, endpoint: str, style: str) -> tuple[str, str] | None:
    """Return (origin, path before the key) at ``endpoint``; None if that is not the URL of a server.

    The origin is what clients send in Host, since that is signed: lower case, no port that goes without saying.
    """
    match = _ENDPOINT.fullmatch(endpoint)
    if match is None or not {".", ".."}.isdisjoint(match[4].split("/")):
        return None
    scheme, host, port = match[1].lower(), match[2].lower(), int(match[3] or 0)
    if match[3] and not 0 < port < 65536:
        return None
    if port and port != {"http": 80, "https": 443}[scheme]:
        host = f"{host}:{port}"
    if style == "virtual":
        return f"{scheme}://{bucket}.{host}", f"{match[4]}/"
    return f"{scheme}://{host}", f"{match[4]}/{bucket}/"


class AWSAccount:
    """The session of one backend: where its credentials and its region come from. Threads may share it."""

    def __init__(
        self,
        backend: str,
        *,
        profile: str | None,
        static: Credentials | None,
        region: str | None,
        endpoint: str | None,
    ) -> None:
        self._backend = backend
        self._profile = profile
        self._static = static
        self._region = region
        self._endpoint = endpoint
        self._of_profile = f" (profile={profile})" if profile is not None else ""
        self._lock = threading.Lock()
        self._session: botocore.session.Session | None = None
        self._source: Any = None  # botocore's credentials object, which renews itself

    def credentials(self) -> Credentials:
        """Return the credentials as they are now, renewing them if they near their end. May wait for a network."""
        if self._static is not None:
            return self._static
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with self._lock:  # all of it, so that keys and expiry are of one credential
                if self._source is None:
                    self._source = self._open_session().get_credentials()
                frozen = None if self._source is None else self._source.get_frozen_credentials()
                # botocore keeps the expiry to itself; permanent credentials have none.
                expiry = getattr(self._source, "_expiry_time", None)
        except (BotoCoreError, ClientError, RuntimeError) as error:  # RuntimeError: renewed, and still expired
            raise BackendUnavailable(f"AWS credentials{self._of_profile}: {error}", backend=self._backend) from None
        if frozen is None:
            raise BackendUnavailable(
                "no AWS credentials found: give profile=NAME, or keys, or set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or run where there is a role",
                backend=self._backend,
            )
        expires = None if expiry is None else expiry.timestamp()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token, expires)

    def region(self) -> str:
        """Return the region: the given one, else the given profile's or (on the chain) botocore's, else us-east-1."""
        if self._region is not None or self._static is not None:
            return self._region or "us-east-1"
        from botocore.exceptions import BotoCoreError

        try:
            with self._lock:
                session = self._open_session()
                if self._profile is not None:  # AWS_DEFAULT_REGION would win over it
                    return session.get_scoped_config().get("region") or "us-east-1"
                return session.get_config_variable("region") or "us-east-1"
        except BotoCoreError as error:
            raise BackendUnavailable(f"AWS configuration{self._of_profile}: {error}", backend=self._backend) from None

    def host(self, bucket: str, style: str) -> tuple[str, str]:
        """Return (origin, path before the key) by botocore's endpoint rules: China, dotted names, special buckets."""
        from urllib.parse import urlsplit

        from botocore.exceptions import BotoCoreError

        try:
            # "virtual" as far as can be: over https botocore takes path style for a dotted name, which no
            # wildcard certificate covers.
            with closing(
                self._client("path" if style == "path" else "virtual", Credentials("unused", "unused"))
            ) as client:
                url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
        except (BotoCoreError, ValueError) as error:
            raise BackendUnavailable(f"no host for bucket {bucket!r}: {error}", backend=self._backend) from None
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}", parts.path[: -len("k")]

    def read_only_client(self, style: str) -> Any:
        """Return a botocore client whose every operation but Head, Get and List is refused before it leaves."""
        client = self._client("path" if style == "auto" and self._endpoint else style, self.credentials())
        client.meta.events.register_first("before-parameter-build.s3", _refuse_writes)
        return client

    def _client(self, style: str, credentials: Credentials) -> Any:
        from botocore.config import Config

        config = Config(
            signature_version="s3v4",
            # Spelled out, so that neither AWS_USE_DUALSTACK_ENDPOINT and its like nor a profile has a say.
            s3={
                "addressing_style": style,
                "us_east_1_regional_endpoint": "regional",
                "use_accelerate_endpoint": False,
            },
            use_dualstack_endpoint=False,
            use_fips_endpoint=False,
            ignore_configured_endpoint_urls=True,
            connect_timeout=2,
            read_timeout=5,
            retries={"total_max_attempts": 2, "mode": "standard"},
        )
        region = self.region()
        with self._lock:
            return self._open_session().create_client(
                "s3",
                region_name=region,
                endpoint_url=self._endpoint,
                aws_access_key_id=credentials.access_key_id,
                aws_secret_access_key=credentials.secret_access_key,
                aws_session_token=credentials.session_token,
                config=config,
            )

    def _open_session(self) -> botocore.session.Session:
        if self._session is None:
            import botocore.session

            keep_secrets_out_of_logs(*(f"botocore.{name}" for name in _LOGGERS))
            if self._static is not None:
                # No profile, not even the environment's: (config name, variable, default, conversion) all empty.
                self._session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
            else:
                self._session = botocore.session.Session(profile=self._profile)
            # Not for S3 alone: a role is assumed at STS, whose endpoint is AWS's too.
            self._session.set_config_variable("ignore_configured_endpoint_urls", True)
        return self._session


def _refuse_writes(model: Any, **_: Any) -> None:
    if not model.name.startswith(("Head", "Get", "List")) or model.http["method"] not in ("GET", "HEAD"):
        raise PermissionError(f"{model.name} is not a read: this client only heads, gets and lists")
