"""WritableS3Backend: a bucket as the upper, for containers that share no disk. Never production's.

1. It reads as ``S3Backend`` does and is none: whoever takes an ``S3Backend`` cannot be given this. What it sends
   besides GET and HEAD stands in ``s3_writer.py``.
2. A file is one object: whole, or not there. A new one is written with ``If-None-Match: *``, so that of two uploads of
   one name the second fails. Servers that do not honour it are found out before the first upload (``is_exclusive``);
   with them only uploads of one process are kept apart.
3. S3 has no folders and takes ``a`` beside ``a/b``; a stack does not, since no directory can hold both. So a new name
   is looked for as a folder and its folders as files first: a race of two such uploads is not noticed.
4. ``delete`` asks before it deletes, since S3 does not tell: two at once may both say that they did it.
"""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any, Final, cast

from ..core.errors import ConfigError, NameTaken, NotServable
from ..core.keys import MAX_KEY_BYTES, Key, is_state
from ..core.media_types import guess
from .base import Content, Entry
from .per_process import PerProcess
from .s3 import S3Reader
from .s3_draft import S3Draft
from .s3_writer import BucketWriter, WritingAccount
from .sigv4 import Credentials

_LOCKS: Final = 64


def _locks() -> tuple[threading.Lock, ...]:
    return tuple(threading.Lock() for _ in range(_LOCKS))


class WritableS3Backend(S3Reader):
    """The files of ``bucket`` below ``location``, for reading and writing; the first backend of a stack only.

    The options are those of ``S3Reader``, less ``anonymous``, ``missing_on_403`` and ``check``. Keys need
    ``s3:GetObject``, ``s3:PutObject``, ``s3:DeleteObject``, ``s3:AbortMultipartUpload`` and ``s3:ListBucket``.
    """

    _account_type = WritingAccount
    _is_upper = True
    is_only_first: Final = True
    """Below another backend it would be a lower that can be written to."""

    def _made(self) -> None:
        if not self.rules.check:
            raise ConfigError("check: a bucket that takes uploads is asked each time, leave it out", backend=self.name)
        self._writer = BucketWriter(
            cast("WritingAccount", self._account),
            self.bucket,
            self._object_key(""),
            style=self._style,
            where=self._credentials,
            name=self.name,
        )
        self._locks = PerProcess(_locks)

    def is_exclusive(self) -> bool:
        """Say whether the server honours ``If-None-Match: *``: tried once in each process, with our own object."""
        return self._writer.honours_conditions("put")

    def draft(self, data: Content, *, content_type: str | None = None) -> S3Draft:
        """Take the bytes of a file that gets its name later; ``s3_draft.py`` has the bounds."""
        return S3Draft(data, content_type, self._store, backend=self.name)

    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        """Store a file. Raises ``NameTaken`` if the name is a folder or below a file, or a file unless ``replace``."""
        with closing(self.draft(data, content_type=content_type)) as draft:
            draft.publish(key, replace=replace)

    def delete(self, key: Key) -> bool:
        """Remove an object; False if there is none."""
        if not self._has(key):
            return False
        self._writer.delete(self._object_key(key), key)
        return True

    def close(self) -> None:
        """Close all connections, and end the renewal of credentials."""
        super().close()
        self._writer.close()

    def _store(self, draft: S3Draft, key: Key, replace: bool) -> None:
        object_key = self._object_key(key)
        if len(object_key.encode()) > MAX_KEY_BYTES:
            raise NotServable(
                f"with the location the name has more than {MAX_KEY_BYTES} bytes",
                backend=self.name,
                key=key,
                operation="put",
            )
        if not is_state(key):
            self._check_place(key)
        if replace:
            self._writer.put(object_key, draft, exclusive=False, headers=self._headers(draft, key), key=key)
        elif self.is_exclusive():
            self._writer.put(object_key, draft, exclusive=True, headers=self._headers(draft, key), key=key)
        else:
            with self._locks.get()[hash(key) % _LOCKS]:
                if self._has(key):
                    raise NameTaken("a file has this name", backend=self.name, key=key, operation="put")
                self._writer.put(object_key, draft, exclusive=False, headers=self._headers(draft, key), key=key)

    def _check_place(self, key: Key) -> None:
        """Refuse what no directory could hold."""
        if self._writer.has_below(self._object_key(f"{key}/"), key):
            raise NameTaken("a folder has this name", backend=self.name, key=key, operation="put")
        for slash in (index for index, char in enumerate(key) if char == "/"):
            if self._has(Key(key[:slash])):
                raise NameTaken(
                    "one of its folders is a file", backend=self.name, key=key, operation="put", is_final=True
                )

    def _has(self, key: Key) -> bool:
        try:
            return self.open(key) is not None
        except NotServable:  # archived: it is there
            return True

    def _is_listed(self, entry: Entry, prefix: str) -> bool:
        return is_state(entry.key) if is_state(prefix) else super()._is_listed(entry, prefix)

    def _credentials(self) -> tuple[Credentials, str]:
        signer, place = self._asked()
        return signer.credentials, place.origin

    def _headers(self, draft: S3Draft, key: Key) -> dict[str, Any]:
        """What is stored with an object for those who are sent to it: its type, and that it may be another one soon."""
        headers = {"CacheControl": "no-cache", "ContentType": draft.content_type or guess(key)[0]}
        coding = None if draft.content_type is not None else guess(key)[1]
        return headers if coding is None else {**headers, "ContentEncoding": coding}
