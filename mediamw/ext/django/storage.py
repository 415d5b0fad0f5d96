"""MediaStorage: the stack as a Django storage, so that code sees what the browser sees.

1. It reads the stack of ``settings.MEDIAMW``, which the middleware reads, or one of its own: ``storage_options.py``.
2. All writes go into the upper: see ``stack/writing.py``.
3. Of a name ``.`` and ``//`` are taken out, ``\\`` is ``/``, and a full path below a local upper is the name below it.
   How a free name is found stands in ``storage_names.py``, what is written in ``storage_files.py``.
"""

from __future__ import annotations

import errno
import os
import posixpath
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.utils.deconstruct import deconstructible
from django.utils.encoding import filepath_to_uri

from ...backends.base import Lists, ReadsRanges, Signs
from ...backends.local import LocalBackend
from ...core.errors import BackendUnavailable, InvalidKey, NameTaken, NotServable
from ...core.model import Held
from ...core.names import NamePolicy
from .storage_errors import as_django_has_them, reader
from .storage_files import MediaFile, check_mode, in_bytes, length_of
from .storage_names import takes_chosen
from .storage_options import ConfiguredStorage


@deconstructible(path="mediamw.ext.django.MediaStorage")
class MediaStorage(ConfiguredStorage):
    """A Django storage over a stack: in STORAGES, or as the ``storage`` of a field.

    ``backends``: those of a stack of its own, as in MEDIAMW. ``names``: what is done with a name that is taken, if not
    what the stack says; ``allow_overwrite`` is ``names="replace"``. ``base_url``: what ``url`` puts before a name, if
    not MEDIA_URL. ``direct_urls``: ``url`` asks who has the file, and returns a presigned or CDN link if that is a
    bucket. ``file_permissions_mode``, ``directory_permissions_mode``: with backends of its own, the modes of what it
    makes, if not those of FILE_UPLOAD_PERMISSIONS and FILE_UPLOAD_DIRECTORY_PERMISSIONS. Raises ``ConfigError``.
    """

    def key_of(self, name: Any) -> str:
        """Return what the stack calls ``name``. Raises ``SuspiciousFileOperation`` if it leads out."""
        text = os.fspath(name) if isinstance(name, os.PathLike) else str(name)
        upper = self.stack.upper
        if os.path.isabs(text) and isinstance(upper, LocalBackend):
            below = os.path.relpath(text, upper.root)
            text = text if below.split(os.sep)[0] == os.pardir else below
        key = posixpath.normpath(text.replace("\\", "/")) if text else ""
        if key.startswith("/") or key.split("/")[0] == "..":
            raise SuspiciousFileOperation(f"The name {text!r} leads out of the storage.")
        return "" if key == "." else key

    # -- what Django calls -----------------------------------------------------------------------------------------

    def _open(self, name: Any, mode: str = "rb") -> MediaFile:
        check_mode(mode)
        return MediaFile(self, self.key_of(name), mode)

    def _save(self, name: Any, content: Any) -> str:
        # Whether production has the name was asked by get_available_name: here only the upper counts.
        policy: NamePolicy = "shadow" if self.names in ("suffix", "shadow") else self.names
        key, is_chosen = self.key_of(name), takes_chosen(name)
        with as_django_has_them():
            if self.names == "suffix" and self.stack.names_by_chance():
                policy = "replace" if is_chosen else "suffix"
            try:
                saved = self.stack.save(key, in_bytes(content.chunks()), names=policy)
            except NameTaken as error:
                if error.is_final:
                    raise self._not_a_directory(key) from error
                raise
        if hasattr(content, "temporary_file_path"):  # Django's storages take it over, so nobody else removes it
            with suppress(OSError):  # stored it is all the same
                os.remove(content.temporary_file_path())
        return saved

    def _not_a_directory(self, key: str) -> FileExistsError:
        folder = key.rpartition("/")[0]
        upper = self.stack.upper
        where = os.path.join(upper.root, folder) if isinstance(upper, LocalBackend) else folder
        return FileExistsError(errno.EEXIST, f"{where} exists and is not a directory.")

    def delete(self, name: Any) -> None:
        """Remove the upper's file, and hide what the lowers have. A missing file is no error."""
        if not name:
            raise ValueError("The name must be given to delete().")
        key = self.key_of(name)
        with as_django_has_them():
            self.stack.delete(key)

    def exists(self, name: Any) -> bool:
        """Say whether somebody has the file, or the upper a folder of that name.

        Raises ``StorageUnavailable`` if nobody is known to have it and one cannot tell.
        """
        key = self.key_of(name)
        with as_django_has_them():
            return not key or self.stack.exists(key) or self._is_folder(key)

    def _is_folder(self, key: str) -> bool:
        upper = self.stack.upper
        if isinstance(upper, (Signs, ReadsRanges)) or not isinstance(upper, Lists):
            return False  # there are none, and asking would cost a request
        return any(True for _ in upper.list(f"{key}/", recursive=False))

    def listdir(self, path: Any) -> tuple[list[str], list[str]]:
        """Return the names of the folders and files in a folder, of all backends; none if there is no such folder."""
        key = self.key_of(path)
        prefix = f"{key}/" if key else ""
        folders: list[str] = []
        files: list[str] = []
        with as_django_has_them():
            for entry in self.stack.list(prefix):
                (folders if entry.is_folder else files).append(entry.key.removeprefix(prefix).removesuffix("/"))
        return folders, files

    def size(self, name: Any) -> int:
        """Return the number of bytes. Raises ``FileNotFoundError``."""
        key = self.key_of(name)
        with as_django_has_them():
            size = self.stat(key).size
            return length_of(self.stack.open(key)) if size is None else size

    def url(self, name: Any) -> str:
        """Return MEDIA_URL and the quoted name, asking nobody; with ``direct_urls`` the bucket's link if it has it."""
        if self.base_url is None:
            raise ValueError("This file is not accessible via a URL.")
        direct = self._direct_url(name) if self._direct_urls and name else None
        if direct is not None:
            return direct
        path = filepath_to_uri(None if name is None else str(name))
        url: str = urljoin(self.base_url, None if path is None else path.lstrip("/"))
        return url

    def _direct_url(self, name: Any) -> str | None:
        """Return the link to the bucket that has the file; None if none does, or one cannot tell."""
        try:
            found = self.stack.find(self.key_of(name))
        except (BackendUnavailable, InvalidKey, NotServable, SuspiciousFileOperation):
            return None
        if isinstance(found, Held):
            found.handle.close()
        return getattr(found, "url", None)

    def path(self, name: Any) -> str:
        """Return where the upper has the file on the local disk, or would have it.

        ``NotImplementedError`` if it is not there: also of a lower that is a directory, which nobody is to write to.
        """
        stack, key = self.stack, self.key_of(name)
        upper = stack.upper
        if not isinstance(upper, LocalBackend):
            raise NotImplementedError(f"{name}: the first backend, {upper.name!r}, is not a directory.")
        with as_django_has_them():
            if len(stack.backends) > 1 and key and self._is_elsewhere(key):
                raise NotImplementedError(f"{name}: the file is not in {upper.root}, but in a read-only backend.")
        return os.path.join(upper.root, *key.split("/")) if key else upper.root

    def _is_elsewhere(self, key: str) -> bool:
        upper = self.stack.upper
        assert isinstance(upper, LocalBackend)
        if Path(upper.root, key).is_file():
            return False
        return self.stack.exists(key)

    def get_modified_time(self, name: Any) -> datetime:
        """Return when the file was changed; aware if USE_TZ."""
        mtime_ns = self.stat(self.key_of(name)).mtime_ns
        if mtime_ns is None:
            raise NotImplementedError(f"{name}: the backend that has it does not say when it was changed.")
        seconds, nanoseconds = divmod(mtime_ns, 10**9)
        return _time(seconds + 1e-9 * nanoseconds)  # as os.stat rounds it

    def get_created_time(self, name: Any) -> datetime:
        """Return when the file was made; of one that is not in a local upper, when it was changed last."""
        status = self._status(name)
        return self.get_modified_time(name) if status is None else _time(status.st_ctime)

    def get_accessed_time(self, name: Any) -> datetime:
        """Return when the file was last read, of one in a local upper; else ``NotImplementedError``."""
        status = self._status(name)
        if status is None:
            raise NotImplementedError(f"{name}: the backend that has it does not say when it was read.")
        return _time(status.st_atime)

    def _status(self, name: Any) -> os.stat_result | None:
        try:
            path = self.path(name)
        except NotImplementedError:
            return None
        return os.stat(path)

    # -- for its open files ----------------------------------------------------------------------------------------

    def stat(self, key: str) -> Any:
        """Return what is known of a file, by its key. Raises ``FileNotFoundError``."""
        with as_django_has_them():
            return self.stack.stat(key)

    def reader(self, key: str) -> BinaryIO:
        """Open a file for reading, by its key. Raises ``FileNotFoundError``."""
        with as_django_has_them():
            return reader(self.stack.open(key))

    def put(self, key: str, data: BinaryIO, *, is_exclusive: bool) -> None:
        """Store a file in the upper under its very key, in the place of what is there unless ``is_exclusive``."""
        with as_django_has_them():
            self.stack.save(key, data, names="error" if is_exclusive else "replace")

    def check_writable(self) -> None:
        """Raise ``NotWritable`` if the first backend takes no writes."""
        self.stack.names  # noqa: B018 - asks the writer, which there is none of


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC if settings.USE_TZ else None)
