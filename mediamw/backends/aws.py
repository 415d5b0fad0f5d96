"""What S3Backend needs of AWS's own library, and asks it seldom: credentials, the region, hosts, and listing.

botocore is imported here, inside the functions that need it: a backend with explicit keys and a plain host never does
before it lists. Nothing of the environment reaches a backend that it did not ask for: endpoints set by
``AWS_ENDPOINT_URL*`` or in profile files are ignored always (they would turn production into a test server), and
``AWS_PROFILE`` and the keys in the environment by those with explicit keys or a profile. Proxies and certificates are
the machine's: they apply to all, unless ``proxies`` and ``verify`` say otherwise, and to STS and SSO as to S3.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import BackendUnavailable
from .network import ca_bundle
from .per_process import PerProcess
from .s3_errors import account_error
from .s3_hosts import Place
from .sigv4 import Credentials

if TYPE_CHECKING:
    import botocore.session

# At DEBUG they say what is signed and sent, token and all, and what STS and the metadata services answer.
_LOGGERS = ("auth", "credentials", "endpoint", "hooks", "httpsession", "parsers", "retryhandler", "utils")
_NETWORK: Final = {"connect_timeout": 2, "read_timeout": 5, "retries": {"total_max_attempts": 2, "mode": "standard"}}


class _Session:
    """What one process has of botocore: a fork would copy its locks as they are held."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.session: botocore.session.Session | None = None
        self.source: Any = None  # botocore's credentials object, which renews itself


class AWSAccount:
    """The session of one backend: where its credentials and its region come from. Threads may share it.

    ``static``: the explicit keys, or those of ``anonymous`` access, which are none. The environment's profile and keys
    are not looked at then.
    """

    def __init__(
        self,
        backend: str,
        *,
        profile: str | None,
        static: Credentials | None,
        region: str | None,
        endpoint: str | None,
        dualstack: bool = False,
        proxies: Mapping[str, str] | None = None,
        verify: bool | str | None = None,
    ) -> None:
        self._backend = backend
        self._profile = profile
        self._static = static
        self._region = region
        self._endpoint = endpoint
        self._dualstack = dualstack
        self._proxies = proxies
        self._verify = verify
        self._mine = PerProcess(_Session)

    def credentials(self) -> Credentials:
        """Return the credentials as they are now, renewing them if they near their end. May wait for a network."""
        if self._static is not None:
            return self._static
        mine = self._mine.get()
        try:
            with mine.lock:  # all of it, so that keys and expiry are of one credential
                if mine.source is None:
                    mine.source = self._open_session().get_credentials()
                frozen = None if mine.source is None else mine.source.get_frozen_credentials()
                # botocore keeps the expiry to itself; permanent credentials have none.
                expiry = getattr(mine.source, "_expiry_time", None)
        except _troubles() as error:
            raise account_error(error, self._backend, self._profile) from None
        if frozen is None:
            of_it = f"MEDIAMW_BACKEND_{self._backend.upper().replace('-', '_')}"
            raise BackendUnavailable(
                "no AWS credentials found: give profile=NAME, or keys, or set AWS_ACCESS_KEY_ID and "
                f"AWS_SECRET_ACCESS_KEY, or {of_it}_ACCESS_KEY_ID and {of_it}_SECRET_ACCESS_KEY for a spec, or "
                "run where there is a role; if anybody may read the bucket "
                "anonymous=true in its spec, S3Backend(..., anonymous=True) in code",
                backend=self._backend,
                answered=False,
            )
        expires = None if expiry is None else expiry.timestamp()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token, expires)

    def region(self) -> str:
        """Return the region: the given one, else the given profile's or (on the chain) botocore's, else us-east-1."""
        if self._region is not None or self._static is not None:
            return self._region or "us-east-1"
        try:
            with self._mine.get().lock:
                session = self._open_session()
                if self._profile is not None:  # AWS_DEFAULT_REGION would win over it
                    return session.get_scoped_config().get("region") or "us-east-1"
                return session.get_config_variable("region") or "us-east-1"
        except _troubles() as error:
            raise account_error(error, self._backend, self._profile) from None

    def place(self, bucket: str, style: str) -> Place:
        """Return where the bucket is by botocore's endpoint rules: China, dotted names, access points."""
        from urllib.parse import parse_qs, urlsplit

        try:
            # "virtual" as far as can be: over https botocore takes path style for a dotted name, which no
            # wildcard certificate covers.
            with closing(
                self._client("path" if style == "path" else "virtual", Credentials("unused", "unused"))
            ) as client:
                url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
        except _troubles() as error:
            raise BackendUnavailable(
                f"no host for bucket {bucket!r}: {error}", backend=self._backend, answered=False
            ) from None
        parts = urlsplit(url)
        # An access point is signed for the region in its ARN, and Outposts and Object Lambda are services of their own.
        _, _, region, service, _ = parse_qs(parts.query)["X-Amz-Credential"][0].split("/")
        return Place(f"{parts.scheme}://{parts.netloc}", parts.path[: -len("k")], region, service)

    def verify(self) -> bool | str:
        """Return whose certificates are believed: True for everybody's authorities, False for anybody's, or a path."""
        of_profile = None
        if self._static is None:
            try:
                with self._mine.get().lock:
                    of_profile = self._open_session().get_scoped_config().get("ca_bundle")
            except _troubles() as error:
                raise account_error(error, self._backend, self._profile) from None
        return ca_bundle(self._verify, of_profile)

    def read_only_client(self, style: str, credentials: Credentials | None = None) -> Any:
        """Return a botocore client whose every operation but Head, Get and List is refused before it leaves."""
        client = self._client(self._style_of(style), credentials or self.credentials())
        client.meta.events.register_first("before-parameter-build.s3", _refuse_writes)
        return client

    def _style_of(self, style: str) -> str:
        return "path" if style == "auto" and self._endpoint else style

    def _client(self, style: str, credentials: Credentials, **config_options: Any) -> Any:
        from botocore import UNSIGNED
        from botocore.config import Config

        config = Config(
            signature_version="s3v4" if credentials.access_key_id else UNSIGNED,
            # Spelled out, so that neither AWS_USE_DUALSTACK_ENDPOINT and its like nor a profile has a say.
            s3={
                "addressing_style": style,
                "us_east_1_regional_endpoint": "regional",
                "use_accelerate_endpoint": False,
                "use_arn_region": True,
            },
            use_dualstack_endpoint=self._dualstack,
            use_fips_endpoint=False,
            ignore_configured_endpoint_urls=True,
            **config_options,
        )
        region = self.region()
        verify = self.verify()
        with self._mine.get().lock:
            return self._open_session().create_client(
                "s3",
                region_name=region,
                endpoint_url=self._endpoint,
                aws_access_key_id=credentials.access_key_id or None,
                aws_secret_access_key=credentials.secret_access_key or None,
                aws_session_token=credentials.session_token,
                verify=verify,
                config=config,
            )

    def _open_session(self) -> botocore.session.Session:
        mine = self._mine.get()
        if mine.session is None:
            import botocore.session
            from botocore.config import Config

            from .redaction import keep_secrets_out_of_logs

            keep_secrets_out_of_logs(*(f"botocore.{name}" for name in _LOGGERS))
            if self._static is not None:
                # No profile, not even the environment's: (config name, variable, default, conversion) all empty.
                session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
            else:
                session = botocore.session.Session(profile=self._profile)
            # Not for S3 alone: a role is assumed at STS, whose endpoint is AWS's too, and reached in the same way.
            session.set_config_variable("ignore_configured_endpoint_urls", True)
            session.set_default_client_config(Config(proxies=self._proxies, **_NETWORK))
            if self._static is None:
                verify = ca_bundle(self._verify, session.get_scoped_config().get("ca_bundle"))
                session.set_config_variable("ca_bundle", verify)
            mine.session = session
        return mine.session


def _troubles() -> tuple[type[Exception], ...]:
    """What botocore raises when an account is wrong or out of reach.

    RuntimeError: renewed, and still expired. The others are what a credential_process meets: no such program, no JSON.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    return (BotoCoreError, ClientError, RuntimeError, OSError, ValueError, KeyError)


def _refuse_writes(model: Any, **_: Any) -> None:
    if not model.name.startswith(("Head", "Get", "List")) or model.http["method"] not in ("GET", "HEAD"):
        raise PermissionError(f"{model.name} is not a read: this client only heads, gets and lists")
