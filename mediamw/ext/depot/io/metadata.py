"""``metadata.json``, beside each file of a DEPOT directory: what the file is called, its type and its date.

It may come out of a dump, and is believed as little as any upload: bounded, an object of JSON, of the types that DEPOT
writes. What is not so is an error that names the file, never a guess.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ....core.errors import NotServable
from ....core.media_types import is_media_type
from .utils import DEFAULT_CONTENT_TYPE, DEFAULT_NAME, parse_timestamp

MAX_METADATA_BYTES: Final = 64 * 1024
"""More than a file's name and type have."""


class InvalidMetadata(NotServable, ValueError):
    """There is a file, and what should say what it is cannot be read. A ``ValueError``, as DEPOT raises it."""


class Metadata(NamedTuple):
    """What DEPOT keeps of a file. ``last_modified`` as it is written there, UTC; "" if it is not known."""

    filename: str = DEFAULT_NAME
    content_type: str = DEFAULT_CONTENT_TYPE
    last_modified: str = ""

    @property
    def mtime_ns(self) -> int | None:
        """The date, in nanoseconds since 1970; None if there is none, or one that no header can say."""
        return nanoseconds(parse_timestamp(self.last_modified))

    def to_json(self, content_length: int) -> bytes:
        """Return the text of the file, as DEPOT writes it."""
        return json.dumps(
            {
                "filename": self.filename,
                "content_type": self.content_type,
                "content_length": content_length,
                "last_modified": self.last_modified,
            }
        ).encode()


def read_metadata(text: bytes) -> Metadata:
    """Read what ``to_json`` or DEPOT wrote. Raises ``ValueError`` that says what is wrong."""
    if len(text) > MAX_METADATA_BYTES:
        raise ValueError(f"it has more than {MAX_METADATA_BYTES} bytes")
    try:
        found = json.loads(text.decode())
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it is no object of JSON")
    filename, content_type = _text(found, "filename"), _text(found, "content_type")
    last_modified = _text(found, "last_modified")
    if last_modified and parse_timestamp(last_modified) is None:
        raise ValueError("its last_modified is no date such as 2024-01-31 23:59:59")
    return Metadata(
        filename or DEFAULT_NAME,
        # A header is made of it.
        content_type if content_type and is_media_type(content_type) else DEFAULT_CONTENT_TYPE,
        last_modified or "",
    )


def nanoseconds(moment: datetime | None) -> int | None:
    """Return a time in UTC, without a time zone, in nanoseconds since 1970; None if it is none, or before that."""
    if moment is None or moment.year < 1970:
        return None
    return int(moment.replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def _text(found: dict[str, Any], name: str) -> str | None:
    value = found.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"its {name} is no text")
    return value
