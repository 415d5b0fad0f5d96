"""CloudFront's signed URLs: a canned policy (this URL, until then), signed with the private key of a key group.

Source: AWS, "Create a signed URL using a canned policy" (Amazon CloudFront Developer Guide). The URLs are equal to
those of botocore's ``CloudFrontSigner``. SHA-1 is CloudFront's choice. ECDSA is deterministic here, so that all workers
make the same URL. A signature costs a millisecond of processor time and is good for a whole window: it is kept.

Rule: nothing of the private key is ever repeated, in no error and no ``repr``.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable
from typing import Final

from cachetools import LRUCache

from ..core.errors import ConfigError
from .per_process import PerProcess

MAX_SIGNATURES: Final = 4096
"""How many signed URLs are kept: at most some 2 KiB each."""

_KEY_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_LETTERS = bytes.maketrans(b"+=/", b"-_~")


class CloudFrontSigner:
    """Signs for one key. Threads may share it. Raises ``ConfigError`` if the key is none that CloudFront takes."""

    def __init__(self, key_id: str, pem: str | bytes, backend: str) -> None:
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
            raise ConfigError(
                "cloudfront_key_id: give the public key's ID as CloudFront shows it, such as K2JCJMDEHXQW5F",
                backend=backend,
            )
        self._key_id = key_id
        self._sign = _load(pem, backend)
        self._kept: LRUCache[tuple[str, int], str] = LRUCache(MAX_SIGNATURES)
        self._lock = PerProcess(threading.Lock)  # the cache is none of threads'

    def __repr__(self) -> str:
        return f"CloudFrontSigner({self._key_id!r})"

    def sign(self, url: str, expires: int) -> str:
        """Return ``url`` (encoded, without a query) as CloudFront accepts it until ``expires``."""
        known = (url, expires)
        with self._lock.get():
            signed = self._kept.get(known)
        if signed is None:
            policy = (
                f'{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}'
            )
            signature = base64.b64encode(self._sign(policy.encode())).translate(_LETTERS).decode()
            signed = f"{url}?Expires={expires}&Signature={signature}&Key-Pair-Id={self._key_id}"
            with self._lock.get():
                self._kept[known] = signed
        return signed


def _load(pem: str | bytes, backend: str) -> Callable[[bytes], bytes]:
    """Return what signs with the private key ``pem``."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise ConfigError(
            "cloudfront_key needs cryptography: pip install 'mediamw[cloudfront]'", backend=backend
        ) from None
    try:
        key = load_pem_private_key(pem.encode() if isinstance(pem, str) else pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password, or is no text
        raise ConfigError(
            "cloudfront_key: it is no private key in PEM without a password: give the text of the file, "
            "-----BEGIN ... PRIVATE KEY----- and all",
            backend=backend,
        ) from None
    sha1 = hashes.SHA1()  # noqa: S303 - what CloudFront checks
    if isinstance(key, rsa.RSAPrivateKey):
        return lambda policy: key.sign(policy, padding.PKCS1v15(), sha1)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError("cloudfront_key: CloudFront takes RSA keys, and EC keys of the curve P-256", backend=backend)
    try:
        algorithm = ec.ECDSA(sha1, deterministic_signing=True)
    except UnsupportedAlgorithm:
        raise ConfigError(
            "cloudfront_key: an EC key needs a cryptography with OpenSSL 3.2 or newer: use an RSA key, or upgrade",
            backend=backend,
        ) from None
    return lambda policy: key.sign(policy, algorithm)
