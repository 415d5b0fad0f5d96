"""Versions of lowers' files that are pulled, the names of their copies, and the records that speak of them.

Copies lie in ``.mediamw/pulled`` of the upper, named by hashes: a key may be longer than a name. ``pulled.py`` has the
rules of that folder.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

from ..backends.base import Backend
from ..core.keys import COPIES_FOLDER, STATE_FOLDER, Key, state_key
from ..core.media_types import guess
from ..core.model import Meta

MAX_RECORD_BYTES: Final = 16 * 1024
"""More than a key, its source and what is known of a file have."""


class NotKept(Exception):
    """Here no copy can be made, which says nothing of the origin: whoever reads goes on without one."""


class NoLocks(NotKept):
    """The disk has no locks for files, without which processes cannot share copies."""


class Vanished(NotKept):
    """The copy was evicted, or kept by another, since it was made."""


class Version(NamedTuple):
    """One version of a key of one source; ``meta`` is the source's and has a strong ETag and a size."""

    key: Key
    source: str
    meta: Meta

    @property
    def size(self) -> int:
        """The number of its bytes."""
        return cast("int", self.meta.size)

    @property
    def is_plain(self) -> bool:
        """True if a file of a directory can be this: its bytes are not encoded, or its name tells how."""
        return self.meta.content_encoding in (None, guess(self.key)[1])

    @property
    def told_type(self) -> str | None:
        """The content type, if the name does not tell it."""
        told = self.meta.content_type
        return None if told == guess(self.key)[0] else told

    @property
    def record(self) -> str:
        """The name of its record, which all versions share."""
        return record_key(self.source, self.key).rpartition("/")[2]

    @property
    def bytes(self) -> str:
        """The name of its bytes once they are whole."""
        text = f"{self.meta.etag} {self.meta.size}"
        from hashlib import blake2b

        return f"{self.record}-{blake2b(text.encode(), digest_size=8).hexdigest()}"

    @property
    def part(self) -> str:
        """The name of its bytes until then."""
        return f"{self.bytes}.{self.size}.part"


def source_of(backend: Backend) -> str:
    """Return what tells the origin of ``backend`` from others: a bucket that took its name must not have its copies."""
    return "/".join(getattr(backend, "whereabouts", ()) or (backend.name,))


def record_key(source: str, key: Key) -> Key:
    """Return where the record of a copy lies in the upper."""
    return state_key(COPIES_FOLDER, f"{source}\n{key}")


def bytes_key(version: Version) -> Key:
    """Return where the bytes of a copy lie in the upper."""
    return Key(f"{STATE_FOLDER}/{COPIES_FOLDER}/{version.bytes}")


def from_json(text: bytes) -> Any:
    """Read what ``to_json`` wrote. Raises ``ValueError``."""
    import json  # here and below: those who pull nothing need not load it

    return json.loads(text)


def to_json(value: object) -> bytes:
    """Return the text in which records and what goes with them are kept."""
    import json

    return json.dumps(value).encode()


def read_record(text: bytes, source: str, key: Key) -> Version | None:
    """Return the version that a record speaks of, None if it is no record of this key."""
    try:
        record = from_json(text)
        if (record["source"], record["key"]) != (source, key):
            return None
        meta = Meta(**record["meta"])
    except (ValueError, KeyError, TypeError):  # whatever it is, it is none of ours
        return None
    is_sound = isinstance(meta.size, int) and isinstance(meta.etag, str)
    return Version(key, source, meta) if is_sound else None
