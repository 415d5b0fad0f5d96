"""What came over the wire, and what S3 answers instead: shared by all that stands before moto."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape

QUERY_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)

AuthKind = Literal["header", "query", "none"]


class S3Error(Exception):
    """What S3 answers instead: an HTTP status, an error code, a message, more XML elements (details) and headers."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message
        self.details, self.headers = dict(details or {}), dict(headers or {})

    def xml(self, request_id: str) -> bytes:
        """The error document as S3 writes it."""
        elements = {"Code": self.code, "Message": self.message, **self.details, "RequestId": request_id}
        inner = "".join(f"<{name}>{escape(_printable(text))}</{name}>" for name, text in elements.items())
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came over the wire: ``target`` is the request line's, undecoded; strings are Latin-1."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    @property
    def raw_path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def raw_query(self) -> str:
        return self.target.partition("?")[2]

    @cached_property
    def query(self) -> tuple[tuple[bytes, bytes], ...]:
        """The decoded parameters in their order; ``+`` is a space, as S3 and moto read it."""
        pairs = (part.partition("=") for part in self.raw_query.split("&") if part)
        return tuple((decoded(name.replace("+", " ")), decoded(value.replace("+", " "))) for name, _, value in pairs)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The query as text; of a repeated parameter the first."""
        return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in self.query[::-1]}

    @cached_property
    def header_map(self) -> dict[str, str]:
        """Lower-case names; the values of a repeated header are joined by commas, as the signature wants them."""
        joined: dict[str, str] = {}
        for name, value in self.headers:
            name = name.lower()
            joined[name] = f"{joined[name]},{value}" if name in joined else value
        return joined

    @property
    def auth(self) -> AuthKind:
        """Where the request says its signature is, right or wrong."""
        if "authorization" in self.header_map:
            return "header"
        return "query" if any(name in self.parameters for name in (*QUERY_PARAMETERS, "AWSAccessKeyId")) else "none"


def decoded(text: str) -> bytes:
    """Undo percent-encoding; the text is Latin-1, as it came."""
    return unquote_to_bytes(text.encode("latin-1"))


def _printable(text: str) -> str:
    """XML 1.0 cannot hold most control characters, not even escaped."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", text)
