"""DEPOT's older storage in a bucket, for configurations that name it: the same objects, by the same code.

boto, which DEPOT needs for it, is not.
"""

from __future__ import annotations

import re
from typing import Final

from ....stack.stack import MediaStack
from .boto3 import CANNED_ACL_PRIVATE as CANNED_ACL_PRIVATE
from .boto3 import CANNED_ACL_PUBLIC_READ as CANNED_ACL_PUBLIC_READ
from .boto3 import DepotBucket
from .interfaces import FileStorage

_OF_AWS: Final = re.compile(r"https?://s3[.-]([a-z]{2}(?:-[a-z]+)+-[0-9])\.amazonaws\.com(?:\.cn)?/?")


class S3Storage(FileStorage):
    """DEPOT's storage in a bucket, which has to be there; ``host`` is the name of another S3 than AWS's, or its URL.

    ``encrypt_key`` asks for what S3 does anyway: every object is encrypted (SSE-S3, since 2023). The others are those
    of ``boto3.S3Storage``. Raises ``ConfigError``.
    """

    def __init__(
        self,
        access_key_id: str,
        secret_access_key: str,
        bucket: str | None = None,
        host: str | None = None,
        policy: str | None = None,
        encrypt_key: bool = False,
        prefix: str = "",
    ) -> None:
        self.bucket_name = bucket or f"filedepot-{access_key_id.lower()}"
        endpoint_url, region = _endpoint(host)
        made = DepotBucket(
            self.bucket_name,
            prefix=prefix,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            policy=policy or CANNED_ACL_PUBLIC_READ,
            endpoint_url=endpoint_url,
            region=region,
        )
        super().__init__(MediaStack([made]))


def _endpoint(host: str | None) -> tuple[str | None, str | None]:
    """Return ``endpoint_url`` and the region: boto signs for the one that stands in the name of a host of AWS's."""
    if host in (None, "", "s3.amazonaws.com"):
        return None, None
    url = host if host is not None and "://" in host else f"https://{host}"
    of_aws = _OF_AWS.fullmatch(url)
    if of_aws is None:
        return url, None
    return None, of_aws[1]
