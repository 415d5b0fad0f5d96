"""The signer: presigned S3 URLs, AWS Signature Version 4 in the query string.

Source: AWS, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" and "Create a signed AWS API
request". The URLs are equal, byte for byte, to botocore's (``s3v4``) for the same moment; tests/test_sigv4.py holds
them to it. botocore's own signer builds a request and runs its events for each URL; this one derives the day's key
once, writes what is the same for all keys of a window once, and hashes twice.

Rules for S3: the path is encoded once, never normalised; only ``host`` is signed; the payload is not.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from ..core.model import Secretive

MAX_FRAMES = 8
_NEEDS_NO_QUOTING = re.compile("[A-Za-z0-9_.~/-]*").fullmatch
MAX_LIFE_SECONDS = 604800  # seven days, the most that X-Amz-Expires may say


class Credentials(Secretive):
    """An AWS key: ``session_token`` and ``expires`` (seconds since 1970) are None for permanent ones."""

    __slots__ = ("access_key_id", "expires", "secret_access_key", "session_token")

    def __init__(
        self,
        access_key_id: str,
        secret_access_key: str,
        session_token: str | None = None,
        expires: float | None = None,
    ) -> None:
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self.session_token = session_token
        self.expires = expires

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r}, expires={self.expires!r})"


class _Frame:
    """What is the same for all keys signed for one origin, moment and life: what stands around the path."""

    __slots__ = ("inner", "outer", "query", "request")

    def __init__(self, request: str, inner: Any, outer: Any, query: str) -> None:
        self.request = request
        self.inner = inner
        self.outer = outer
        self.query = query

    def __repr__(self) -> str:
        return "_Frame(...)"  # the key signs whatever one wants for a day


class Signer:
    """Signs for one credential, one region and one service (access points of some kinds are none of S3's).

    Threads may share it.
    """

    def __init__(self, credentials: Credentials, region: str, service: str = "s3") -> None:
        self.credentials = credentials
        self.region = region
        self.service = service
        self._frames: dict[tuple[str, int, int], _Frame] = {}
        self._day: tuple[str, bytes] = ("", b"")  # the date, and the key derived for it

    def __repr__(self) -> str:
        return f"Signer({self.credentials!r}, {self.region!r})"

    def presign(
        self,
        method: str,
        origin: str,
        path: str,
        *,
        at: int,
        life: int,
        query: Iterable[tuple[str, str]] = (),
    ) -> str:
        """Return the URL of ``origin`` + ``path`` that ``method`` may use for ``life`` seconds from ``at``.

        ``origin`` is ``scheme://host[:port]`` as clients send it in Host: lower case, no port that goes without saying.
        ``path`` starts with ``/`` and is not encoded yet, ``at`` is in seconds
        since 1970; ``query`` holds further parameters to sign, such as ``response-content-type``,
        but none that starts with ``X-Amz-``.
        """
        extra = [f"{_encode(name)}={_encode(value)}" for name, value in query] if query else []
        frame = self._frames.get((origin, at, life)) if not extra else None
        if frame is None:
            frame = self._frame(origin, at, life, extra)
            if not extra:
                if len(self._frames) >= MAX_FRAMES:
                    self._frames = {}
                self._frames[origin, at, life] = frame
        encoded_path = _quoted(path)
        request = f"{method}\n{encoded_path}{frame.request}"
        inner, outer = frame.inner.copy(), frame.outer.copy()
        inner.update(sha256(request.encode()).hexdigest().encode())
        outer.update(inner.digest())
        signature = outer.hexdigest()
        return f"{origin}{encoded_path}{frame.query}{signature}"

    def _frame(self, origin: str, at: int, life: int, extra: list[str]) -> _Frame:
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        day = moment[:8]
        scope = f"{day}/{self.region}/{self.service}/aws4_request"
        auth = (
            f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={_encode(f'{self.credentials.access_key_id}/{scope}')}"
            f"&X-Amz-Date={moment}&X-Amz-Expires={life}"
        )
        # Sorted by name, as the canonical query wants it: Security-Token stands before SignedHeaders there, and after
        # it in botocore's URL.
        token = self.credentials.session_token
        token_part = "" if token is None else f"&X-Amz-Security-Token={_encode(token)}"
        headers = "&X-Amz-SignedHeaders=host"
        # By name, not by "name=value": "=" sorts after "-".
        canonical_query = "&".join(sorted([f"{auth}{token_part}{headers}", *extra], key=_name))
        host = origin.partition("://")[2]
        inner, outer = _pads(self._key(day))
        inner.update(f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n".encode())  # what is signed begins with it
        return _Frame(
            f"\n{canonical_query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD",
            inner,
            outer,
            "?" + "&".join([*extra, f"{auth}{headers}{token_part}&X-Amz-Signature="]),
        )

    def _key(self, day: str) -> bytes:
        known, key = self._day
        if known != day:
            key = ("AWS4" + self.credentials.secret_access_key).encode()
            for part in (day, self.region, self.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day = (day, key)  # one assignment: another thread sees the old pair or the new one
        return key


class NoSigner(Signer):
    """Stands where a signer does for a bucket that anybody may read: its URLs are plain, and good for ever."""

    def __init__(self, region: str) -> None:
        super().__init__(Credentials("", ""), region)

    def presign(
        self,
        method: str,
        origin: str,
        path: str,
        *,
        at: int,
        life: int,
        query: Iterable[tuple[str, str]] = (),
    ) -> str:
        """Return the URL of ``origin`` + ``path``, with no signature."""
        parameters = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in query)
        return plain_url(origin, path) + (f"?{parameters}" if parameters else "")


def plain_url(origin: str, path: str) -> str:
    """Return ``origin`` + ``path``, encoded as S3 and signatures have it: once, and never normalised."""
    return origin + _quoted(path)


def _quoted(path: str) -> str:
    return path if _NEEDS_NO_QUOTING(path) else _quote(path, "/~")


def _pads(key: bytes) -> tuple[Any, Any]:
    """Return HMAC's two hashes after their pads (RFC 2104, 4, "implementation note"): half of its work, done once."""
    block = key.ljust(64, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))


def _encode(text: str) -> str:
    return text.replace("/", "%2F") if _NEEDS_NO_QUOTING(text) else _quote(text, "-._~")


def _quote(text: str, safe: str) -> str:
    from urllib.parse import quote  # slow to load, and many names never need it

    return quote(text, safe=safe)


def _name(pair: str) -> str:
    return pair.partition("=")[0]
