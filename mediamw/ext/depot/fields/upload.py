"""``UploadedFile``: a file of a storage, as a row of a database holds it, in JSON that DEPOT reads too.

``_public_url`` of a row is what DEPOT knew when it stored the file, in production perhaps, and a signature that it had
is long over. So ``url`` never is that of a row whose storage is known: it is the storage's own where that needs no
signature, else the middleware's, which sends clients on with a signature that is alive. What is written there is a URL
that stays, or None; DEPOT serves either.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import Any, Self, TypeGuard

from ....backends.base import Signs
from ....core.errors import BackendUnavailable, NoURL
from ....core.keys import parse_key
from ....stack.stack import MediaStack
from ..errors import DepotError
from ..utils import utcnow_naive
from .interfaces import DepotFileInfo


class UploadedFile(DepotFileInfo):
    """A stored file. Its items: ``depot_name``, ``file_id``, ``path`` (``storage/id``), ``filename``, ``content_type``,
    ``uploaded_at`` (UTC, ``YYYY-MM-DD HH:MM:SS``), ``files``, and what filters add.

    ``process_content`` may be extended, ``store_content`` called for more files of the same row.
    """

    def process_content(self, content: Any, filename: str | None = None, content_type: str | None = None) -> None:
        """Store ``content`` and note what is known of it."""
        self["path"], self["file_id"] = self.store_content(content, filename, content_type)
        with closing(self.file) as stored:
            self["filename"] = stored.filename
            self["content_type"] = stored.content_type
            self["uploaded_at"] = (stored.last_modified or utcnow_naive()).strftime("%Y-%m-%d %H:%M:%S")
        self["_public_url"] = self.lasting_url(self["file_id"])

    def store_content(
        self, content: Any, filename: str | None = None, content_type: str | None = None
    ) -> tuple[str, str]:
        """Store a file in the storage of this one, and return its path and its id; it is one of ``files``."""
        file_id = self.depot.create(content, filename, content_type)
        path = f"{self['depot_name']}/{file_id}"
        self["files"].append(path)
        return path, file_id

    def encode(self) -> str:
        """Return the row's text."""
        return json.dumps(self)

    @classmethod
    def decode(cls, data: str | bytes) -> Self:
        """Read a row's text. Raises ``DepotError``, a ``ValueError``, if it is no JSON object; keys that DEPOT does not
        know are kept."""
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:  # the text is not repeated: names of files are in it
            raise DepotError(f"a row of {len(data)} characters is no JSON, as a column of files has it") from error
        if not isinstance(found, dict):
            raise DepotError(f"a row holds {type(found).__name__}, not the JSON object that a column of files has")
        return cls(found)

    @property
    def files(self) -> list[str]:
        """All that was stored for it, as ``storage/id``; of a row that does not say the file itself."""
        listed = self.get("files")
        if listed is None:
            return [self._path()] if "file_id" in self else []
        found: list[str] = listed  # itself: classes of the user's append to it, as DEPOT's do
        return found

    @property
    def depot(self) -> Any:
        """The storage of the file. Raises ``DepotError``."""
        name = self._needed("depot_name")
        found = self.depot_manager.get(name)
        if found is None:
            raise DepotError(f"the row names a storage {name!r}, which there is not: configure it, or remap() it")
        return found

    @property
    def file(self) -> Any:
        """The stored file, opened. Raises ``OSError`` if there is none."""
        return self.depot.get(self._needed("file_id"))

    @property
    def url(self) -> str:
        """Where clients get the file. Raises ``DepotError`` if there is neither a URL of its own nor a middleware."""
        return self.url_of(self._needed("file_id"), self._path(), self.get("_public_url"))

    def url_of(self, file_id: str, path: str, public_url: str | None) -> str:
        """Return where clients get a file of this row: the other arguments are what the row holds of it."""
        manager, name = self.depot_manager, self._needed("depot_name")
        storage = manager.get(name)
        stack = getattr(storage, "stack", None)
        if not isinstance(stack, MediaStack):  # none, or a class of the user's: what the row says is all there is
            if _is_url(public_url) and not manager.registry.is_remapped(name):
                return public_url
        elif lasting := self.lasting_url(file_id):
            return lasting
        try:
            return manager.url_for(path)
        except DepotError as error:
            if not isinstance(stack, MediaStack):
                raise
            try:
                return stack.url(file_id)
            except NoURL:
                raise error from None

    def lasting_url(self, file_id: str) -> str | None:
        """Return a URL of a file of this storage that stays as it is; None if there is none, or it needs a signature.

        Nobody is asked whether the file exists.
        """
        storage = self.depot
        stack = getattr(storage, "stack", None)
        if not isinstance(stack, MediaStack):
            with closing(storage.get(file_id)) as stored:
                found: str | None = getattr(stored, "public_url", None)
            return found
        now, backend = time.time(), stack.upper
        # Below an upper another may have the file, or it may be hidden: the middleware tells.
        if len(stack.backends) > 1 or not stack.redirects or not isinstance(backend, Signs):
            return None
        try:
            if not backend.can_sign(now):
                backend.prepare()
        except BackendUnavailable:  # no keys at this moment: the middleware will say so, or have them by then
            return None
        signed = backend.sign(parse_key(file_id), "GET", now)
        return signed.url if signed.expires is None else None

    def _path(self) -> str:
        path: str = self.get("path") or f"{self._needed('depot_name')}/{self._needed('file_id')}"
        return path

    def _needed(self, name: str) -> str:
        value = self.get(name)
        if not isinstance(value, str) or not value:
            raise DepotError(f"the row holds no {name}: it was not written by a column of files, or cut off")
        return value


def _is_url(text: object) -> TypeGuard[str]:
    """Say whether pages can link to it: a row may come from anywhere, and ``javascript:`` is a URL too."""
    return isinstance(text, str) and text.lower().startswith(("https://", "http://", "/"))
