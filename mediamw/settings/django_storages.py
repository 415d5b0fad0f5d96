"""django-storages' S3 settings, as they are, to an ``S3Backend``: a project names its production storage once.

Source: ``S3Storage.get_default_settings`` of django-storages 1.14.6, whose names these are, in their two forms: the
OPTIONS of an entry of ``STORAGES`` (``custom_domain``), which come first, and settings (``AWS_S3_CUSTOM_DOMAIN``). What
only concerns writing is known and left aside. Three things are not as there: requests are always signed with version 4,
AWS is always asked over TLS, and at the bucket's own host in its region (not the global one, FIPS's or an accelerated
one). ``tests/test_django_storages_urls.py`` holds the URLs to those that django-storages makes.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from typing import Any, Final

from ..backends.aws import AWSAccount
from ..backends.s3 import URL_WINDOW_SECONDS, S3Backend
from ..backends.s3_hosts import endpoint_host, plain_host
from ..backends.s3_options import LEAST_REST_SECONDS, holds_bucket
from ..backends.sigv4 import MAX_LIFE_SECONDS, Credentials
from ..core.errors import BackendUnavailable, ConfigError, ConfigErrors, Fault, unknown_option
from .faults import STORAGES, STORAGES_UNKNOWN

LEAST_LIFE_SECONDS: Final = 2 * LEAST_REST_SECONDS
"""A shorter ``querystring_expire`` is made this long: URLs here are the same for a while, for the browser's cache.

One longer than the seven days that version 4 allows is made those.
"""

READ: Final[Mapping[str, tuple[str, ...]]] = {
    "bucket_name": ("AWS_STORAGE_BUCKET_NAME",),
    "access_key": ("AWS_S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"),
    "secret_key": ("AWS_S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"),
    "security_token": ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
    "session_profile": ("AWS_S3_SESSION_PROFILE",),
    "location": ("AWS_LOCATION",),
    "region_name": ("AWS_S3_REGION_NAME",),
    "endpoint_url": ("AWS_S3_ENDPOINT_URL",),
    "addressing_style": ("AWS_S3_ADDRESSING_STYLE",),
    "custom_domain": ("AWS_S3_CUSTOM_DOMAIN",),
    "url_protocol": ("AWS_S3_URL_PROTOCOL",),
    "cloudfront_key_id": ("AWS_CLOUDFRONT_KEY_ID",),
    "cloudfront_key": ("AWS_CLOUDFRONT_KEY",),
    "querystring_auth": ("AWS_QUERYSTRING_AUTH",),
    "querystring_expire": ("AWS_QUERYSTRING_EXPIRE",),
    "signature_version": ("AWS_S3_SIGNATURE_VERSION",),
    "proxies": ("AWS_S3_PROXIES",),
    "verify": ("AWS_S3_VERIFY",),
    "client_config": ("AWS_S3_CLIENT_CONFIG",),
}
"""The options that are taken over, and the settings that each has, first to last."""
LEFT_ASIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "default_acl": ("AWS_DEFAULT_ACL",),
    "file_name_charset": ("AWS_S3_FILE_NAME_CHARSET",),
    "file_overwrite": ("AWS_S3_FILE_OVERWRITE",),
    "gzip": ("AWS_IS_GZIPPED",),
    "gzip_content_types": ("GZIP_CONTENT_TYPES",),
    "max_memory_size": ("AWS_S3_MAX_MEMORY_SIZE",),
    "object_parameters": ("AWS_S3_OBJECT_PARAMETERS",),
    "transfer_config": ("AWS_S3_TRANSFER_CONFIG",),
    "use_ssl": ("AWS_S3_USE_SSL",),
    "use_threads": ("AWS_S3_USE_THREADS",),
}
"""The options that concern writing alone, or what is decided otherwise here."""

_NAMES: Final = {**READ, **LEFT_ASIDE}
_SETTINGS: Final = frozenset(name for names in _NAMES.values() for name in names)
_TEXTS: Final = (
    *("bucket_name", "access_key", "secret_key", "security_token", "session_profile", "location", "region_name"),
    *("endpoint_url", "addressing_style", "custom_domain", "url_protocol", "cloudfront_key_id"),
)


def s3_of_django_storages(
    settings: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    name: str = "s3",
    named: str = "OPTIONS",
    environ: Mapping[str, str] | None = None,
    **rules: Any,
) -> S3Backend:
    """Make the read-only backend of a storage. ``settings`` are the project's, ``options`` the storage's own.

    ``environ``, by default that of the process, is where django-storages looks for keys that no setting has. ``rules``
    are given to ``S3Backend`` too (``delivery``, ``exclude``, ...). ``named`` is how faults call
    ``options``. Raises ``ConfigErrors``.
    """
    reader = _Reader(settings or {}, options or {}, named, os.environ if environ is None else environ)
    bucket, keywords = reader.read()
    if not reader.faults:
        try:
            return S3Backend(bucket, name=name, **{**keywords, **rules})
        except ConfigError as error:
            reader.faults.append(Fault(STORAGES, f"backends.{name}", reader.source_of(error.reason), error.reason))
    raise ConfigErrors(reader.faults)


class _Reader:
    """The options of one storage, and what is wrong with them."""

    def __init__(
        self, settings: Mapping[str, Any], options: Mapping[str, Any], named: str, environ: Mapping[str, str]
    ) -> None:
        self.faults: list[Fault] = []
        self._settings, self._options, self._named, self._environ = settings, options, named, environ
        self._check_names()
        self._values = {option: self._value(option) for option in READ}
        for option in _TEXTS:
            if (value := self._values[option]) is not None and not isinstance(value, str):
                self._wrong(option, f"{type(value).__name__} is no text: give one")
                self._values[option] = None

    def source(self, option: str, otherwise: str = "") -> str:
        """Say where an option stands."""
        if option not in _NAMES and option not in self._options:
            option = otherwise
        if option in self._options:
            return f"{self._named}[{option!r}]"
        return f"setting {next((name for name in _NAMES[option] if name in self._settings), _NAMES[option][0])}"

    def source_of(self, reason: str) -> str:
        """Say where that stands which a fault of ``S3Backend`` begins with, else where the bucket does."""
        word = reason.partition(" ")[0].rstrip(":")
        return self.source({"region": "region_name", "url_life": "querystring_expire"}.get(word, word), "bucket_name")

    def read(self) -> tuple[str, dict[str, Any]]:
        """Return the bucket and the keywords of ``S3Backend``."""
        given, bucket = self._values, self._values["bucket_name"] or ""
        if not bucket and not self.faults:
            self._wrong("bucket_name", "it is missing or empty: name the bucket")
        location = given["location"] or ""
        if location.startswith("/"):
            self._wrong(
                "location", f"django-storages takes none that begins with a slash: write {location.lstrip('/')!r}"
            )
        if (proxies := given["proxies"]) is not None and not isinstance(proxies, Mapping):
            self._wrong("proxies", "give a mapping, such as {'https': 'http://proxy.example.com:3128'}")
        keywords: dict[str, Any] = {
            "location": location,
            "region": given["region_name"],
            "endpoint_url": given["endpoint_url"],
            "addressing_style": given["addressing_style"] or "auto",
            "proxies": proxies,
            "verify": given["verify"],
            **self._lives(),
        }
        self._read_client_config(keywords)
        if keywords["endpoint_url"] is not None and keywords["addressing_style"] != "virtual":
            keywords |= _without_bucket(bucket, keywords["endpoint_url"], location)
        keywords |= self._credentials(keywords)
        keywords |= self._shown(bucket, keywords)
        return bucket, {option: value for option, value in keywords.items() if value is not None}

    def _check_names(self) -> None:
        for option in self._options:
            if option == "cloudfront_signer":  # None there says that nothing is signed, whatever keys there are
                if self._options[option] is not None:
                    self._wrong(option, "a signer cannot be taken over: give cloudfront_key_id and cloudfront_key")
            elif option not in _NAMES:
                reason = unknown_option(str(option), tuple(_NAMES))
                self.faults.append(Fault(STORAGES_UNKNOWN, str(option), f"{self._named}[{option!r}]", reason))
        for name in self._settings:
            # Projects have settings of their own beside these, such as AWS_SES_REGION: only slips are faults.
            if not name.startswith("AWS_") or name in _SETTINGS:
                continue
            close = difflib.get_close_matches(name, _SETTINGS - set(self._settings), 1, 0.88)
            if close:
                reason = unknown_option(name, close, "setting of django-storages")
                self.faults.append(Fault(STORAGES_UNKNOWN, name, f"setting {name}", reason))

    def _value(self, option: str) -> Any:
        """Return what an option has; to django-storages what is empty is not given."""
        if option in self._options:
            value = self._options[option]
        else:
            value = next((self._settings[name] for name in READ[option] if self._settings.get(name) is not None), None)
        if option == "querystring_auth" and value is not None:
            return bool(value)
        if option == "verify" and value is False:
            return False
        return value or None  # False too: how a storage's own custom_domain is taken back

    def _wrong(self, option: str, reason: str) -> None:
        self.faults.append(Fault(STORAGES, option, self.source(option), reason))

    def _lives(self) -> dict[str, int]:
        expire = self._values["querystring_expire"]
        if expire is None:
            return {}
        if isinstance(expire, str) and re.fullmatch("[0-9]{1,9}", expire):  # as environment variables have it
            expire = int(expire)
        if not isinstance(expire, int) or isinstance(expire, bool) or expire < 0:
            self._wrong("querystring_expire", f"{expire!r} is not a whole number of seconds")
            return {}
        life = min(max(expire, LEAST_LIFE_SECONDS), MAX_LIFE_SECONDS)
        return {"url_life": life, "url_window": min(URL_WINDOW_SECONDS, life - LEAST_REST_SECONDS)}

    def _credentials(self, keywords: Mapping[str, Any]) -> dict[str, Any]:
        given = self._values
        if keywords.get("anonymous"):
            return {}
        if given["session_profile"] is not None:
            if given["access_key"] is not None or given["secret_key"] is not None:
                self._wrong("session_profile", "it stands beside access_key or secret_key: give one of the two")
            return {"profile": given["session_profile"]}
        # AWS_ACCESS_KEY_ID and the like are found by botocore, with the region that belongs to them.
        key = given["access_key"] or self._of_environ("AWS_S3_ACCESS_KEY_ID")
        secret = given["secret_key"] or self._of_environ("AWS_S3_SECRET_ACCESS_KEY")
        if key is None and secret is None:
            profile = self._of_environ("AWS_S3_SESSION_PROFILE")
            return {} if profile is None else {"profile": profile}
        its_key = self._of_environ("AWS_S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID")
        key, secret = key or its_key, secret or self._of_environ("AWS_SECRET_ACCESS_KEY")
        if key is None or secret is None:
            self._wrong("secret_key" if secret is None else "access_key", "it is missing: the other half is given")
        token = given["security_token"]
        if token is None and its_key in (None, key):  # else it is that of another key
            token = self._of_environ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
        return {
            "access_key_id": key,
            "secret_access_key": secret,
            "region": self._region(keywords),
            "session_token": token,
        }

    def _of_environ(self, *names: str) -> str | None:
        return next((self._environ[name] for name in names if self._environ.get(name)), None)

    def _region(self, keywords: Mapping[str, Any]) -> str | None:
        return keywords["region"] or self._of_environ("AWS_DEFAULT_REGION")

    def _read_client_config(self, keywords: dict[str, Any]) -> None:
        """Take over what a ``botocore.config.Config`` says; django-storages then asks none of the three options."""
        config = self._values["client_config"]
        signature = self._values["signature_version"]
        if config is not None and not hasattr(config, "signature_version"):
            self._wrong("client_config", f"{type(config).__name__} is no botocore.config.Config: give one")
        elif config is not None:
            s3 = getattr(config, "s3", None) or {}
            keywords["addressing_style"] = s3.get("addressing_style") or "auto"
            dualstack = s3.get("use_dualstack_endpoint") or getattr(config, "use_dualstack_endpoint", None)
            keywords["dualstack"] = dualstack or None
            keywords["proxies"] = getattr(config, "proxies", None)
            keywords["region"] = keywords["region"] or getattr(config, "region_name", None)
            signature = getattr(config, "signature_version", None)
        if signature is not None and not isinstance(signature, str):  # botocore.UNSIGNED, the only other value
            keywords["anonymous"] = True

    def _shown(self, bucket: str, keywords: Mapping[str, Any]) -> dict[str, Any]:
        """Return what browsers see: a domain, with CloudFront's signatures or without, or plain URLs of the bucket."""
        given = self._values
        protocol, is_signed = given["url_protocol"] or "https:", given["querystring_auth"] is not False
        if protocol not in ("https:", "http:"):
            self._wrong("url_protocol", f"{protocol!r}: write https: or http:")
        key_id, key = given["cloudfront_key_id"], given["cloudfront_key"]
        if (key_id is None) != (key is None):
            self._wrong("cloudfront_key" if key is None else "cloudfront_key_id", "it is missing: both belong together")
        if given["custom_domain"] is not None:
            is_signed = is_signed and self._options.get("cloudfront_signer", True) is not None
            keys = {"cloudfront_key_id": key_id, "cloudfront_key": key} if is_signed else {}
            return {"custom_domain": f"{protocol}//{given['custom_domain'].strip('/')}", **keys}
        if is_signed or keywords.get("anonymous") or self.faults:
            return {}
        host = self._plain_host(bucket, keywords)
        return {} if host is None else {"custom_domain": f"{host[0]}{host[1]}".rstrip("/")}

    def _plain_host(self, bucket: str, keywords: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return (origin, path before the key) of a bucket that is shown unsigned, None if S3Backend says why not."""
        style, region, dualstack = keywords["addressing_style"], self._region(keywords), bool(keywords.get("dualstack"))
        if keywords["endpoint_url"] is not None:
            return endpoint_host(bucket, keywords["endpoint_url"], style)
        host = plain_host(bucket, region or "us-east-1", style, dualstack=dualstack)
        if region is None and host is not None and style != "path" and not dualstack:
            return f"https://{bucket}.s3.amazonaws.com", "/"  # leads to whichever region it is in
        if host is not None:
            return host
        nobody = Credentials("", "")
        account = AWSAccount("", profile=None, static=nobody, region=region, endpoint=None, dualstack=dualstack)
        try:
            return account.place(bucket, style)[:2]
        except BackendUnavailable:
            return None


def _without_bucket(bucket: str, endpoint: str, location: str) -> dict[str, Any]:
    """Take the bucket out of an endpoint that is its own URL, as the consoles of Spaces and R2 show it.

    django-storages puts the bucket before each key once more, so that with these settings the files of a project lie in
    a folder of the bucket's name: that folder is where they are looked for.
    """
    if not bucket or not holds_bucket(endpoint, bucket):
        return {}
    scheme, _, rest = endpoint.partition("://")
    below = f"{bucket}/{location}"
    if rest.lower().startswith(f"{bucket.lower()}."):
        return {
            "endpoint_url": f"{scheme}://{rest[len(bucket) + 1 :]}",
            "addressing_style": "virtual",
            "location": below,
        }
    return {"endpoint_url": endpoint.rstrip("/").removesuffix(f"/{bucket}"), "location": below}
