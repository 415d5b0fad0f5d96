"""Content types of files in a directory, where the name does not tell them: a record below ``.mediamw/types`` for each.

A record holds for the very file whose ETag it names, and has a name of its own: that of one who lost a race for a name,
or was killed before he got it, takes nobody else's place. It is written before the file has its name, so that nobody
sees the file without it; one that was replaced since, by whatever program, is told by its name again.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from ..core.keys import STATE_FOLDER, Key, state_key
from . import local_put
from .beneath import Root
from .openat2 import prepared

_FOLDER: Final = "types"
_PASSING: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE))
_PREPARED: Final = prepared(f"{STATE_FOLDER}/{_FOLDER}")
MAX_RECORD_BYTES: Final = 16 * 1024
"""More than a key and a content type can have."""


class Types:
    """The records of one directory."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._folder = os.path.join(root.path, STATE_FOLDER, _FOLDER)

    def has_any(self) -> bool:
        """Say whether there may be any: mostly there are none, and then it costs no more than this."""
        return os.access(self._folder, os.F_OK)

    def has_none_now(self) -> bool:
        """Say whether it is known, without waiting, that there are none."""
        return self._root.are_missing_again((_PREPARED,), ())

    def of(self, key: Key, etag: str) -> str | None:
        """Return the type of the file that has ``etag``, None if its name tells.

        Raises ``OSError`` if one cannot tell now: what is made of a type may be kept for as long as the file.
        """
        if not self.has_any():
            return None
        try:
            fd = self._root.open_file(_record_key(key, etag))
            try:
                text = os.read(fd, MAX_RECORD_BYTES)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno in _PASSING:
                raise
            return None
        import json

        try:
            record = json.loads(text)
            return str(record["content_type"]) if (record["key"], record["etag"]) == (key, etag) else None
        except (ValueError, KeyError, TypeError):  # whatever it is, it is no record of ours
            return None

    def keep(self, place: local_put.Place, key: Key, etag: str, content_type: str) -> None:
        """Write down a type. Raises as ``local_put.put`` does."""
        import json

        record = {"key": key, "etag": etag, "content_type": content_type}
        local_put.put(place, _record_key(key, etag), json.dumps(record).encode())

    def drop(self, place: local_put.Place, key: Key, etag: str) -> None:
        """Forget the type of a file that is not there any more."""
        local_put.delete(place, _record_key(key, etag))


def _record_key(key: Key, etag: str) -> Key:
    return state_key(_FOLDER, f"{etag}\n{key}")
