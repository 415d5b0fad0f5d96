"""A directory as DEPOT keeps it, ``<root>/<id>/file`` and ``<root>/<id>/metadata.json``, and the storage over it.

A file is its folder: both parts are opened by the descriptor of one folder, which never gets other parts
(``staging.py``). So who reads has the bytes, the name and the type of one upload, whoever replaces it at the moment.

The state of a stack lies in ``<root>/.mediamw``, as in every directory. DEPOT's own ``list`` would show it, and nothing
else of DEPOT's minds it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

from ....backends.again import Beside
from ....backends.base import Content, Entry
from ....backends.beneath import LinkRefused, Root
from ....backends.folder import Folder
from ....backends.local import LocalBackend, LocalHandle, meta_of
from ....backends.local_put import LocalDraft
from ....backends.openat2 import FILE_FLAGS
from ....core.errors import BackendUnavailable, NotServable
from ....core.keys import Key, is_state
from ....core.model import Meta
from ....stack.stack import MediaStack
from . import utils
from .ids import is_file_id
from .interfaces import FileStorage
from .metadata import MAX_METADATA_BYTES, InvalidMetadata, Metadata, read_metadata
from .staging import FILE, METADATA, DepotDraft, delete

_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_TRIES: Final = 100


class DepotHandle(LocalHandle):
    """An open file, of which another one said what it is."""

    __slots__ = ("_beside", "_mtime_ns")

    def __init__(self, fd: int, meta: Meta, beside: Beside, metadata: Metadata) -> None:
        mtime_ns = metadata.mtime_ns
        self._beside, self._mtime_ns = beside, meta.mtime_ns
        super().__init__(
            fd,
            meta._replace(
                mtime_ns=meta.mtime_ns if mtime_ns is None else mtime_ns,
                content_type=metadata.content_type,
                filename=metadata.filename,
            ),
        )

    def lies(self, key: Key) -> tuple[str, int | None, Beside | None]:
        """See ``LocalHandle``."""
        return f"{key}/{FILE}", self._mtime_ns, self._beside


class DepotDirectory:
    """The files of a DEPOT directory, as a backend whose keys are their ids. Made when the first file is put there.

    What is no UUID is missing, and cannot be stored. The options are those of ``LocalBackend``. Raises ``ConfigError``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "local",
        follow_links_to: Sequence[str | os.PathLike[str]] = (),
        exclude: Sequence[str] = (),
        only: Sequence[str] = (),
        file_mode: int | None = None,
        directory_mode: int | None = None,
    ) -> None:
        self._local = LocalBackend(
            path,
            name=name,
            follow_links_to=follow_links_to,
            exclude=exclude,
            only=only,
            file_mode=file_mode,
            directory_mode=directory_mode,
        )
        self.name = name
        self.root = self._local.root
        self.rules = self._local.rules
        self.copies = self._local.copies
        self.has_copies = self._local.has_copies
        self.close = self._local.close
        self.use_modes = self._local.use_modes

    def __repr__(self) -> str:
        return f"DepotDirectory({self.root!r}, name={self.name!r})"

    @property
    def whereabouts(self) -> tuple[str, ...]:
        """Where the files are, links resolved, from the outermost folder to the innermost."""
        return self._local.whereabouts

    @property
    def reaches(self) -> tuple[tuple[str, ...], ...]:
        """Where else its links may lead."""
        return self._local.reaches

    def plain_root(self) -> Root | None:
        """See ``again.LiesBeneath``."""
        return self._local.beneath if type(self).open is DepotDirectory.open else None

    # -- reading -------------------------------------------------------------------------------------------------------

    def open(self, key: Key) -> LocalHandle | None:
        """Open a file, with its name and type; None if there is none.

        Raises ``InvalidMetadata`` if its metadata.json cannot be read, ``NotServable`` if it has none, or what lies
        there may not be read, ``BackendUnavailable``.
        """
        if is_state(key):
            return self._local.open(key)
        if not is_file_id(key):
            return None
        root, seen = self._local.beneath, None
        for _ in range(_TRIES):
            try:
                folder = root.open_folder_if_any(key)
                if folder is None:
                    return None
                with folder:
                    if root.may_differ(key) and not root.is_exact(f"{key}/"):
                        return None
                    handle, lacks = self._opened(folder, key)
                    found = None if handle is not None else os.stat(folder.at("."), dir_fd=folder.fd)
            except OSError as error:
                self._local.raise_unless_missing(error, key)
                return None
            if handle is not None:
                return handle
            if seen is not None and found is not None and os.path.samestat(seen, found):
                break
            seen = found  # else it was emptied since it was opened: replaced, and the new one has all its parts
        if lacks == FILE:
            return None
        raise NotServable(
            f"there is no {self._path(key, METADATA)}: DEPOT writes it last, so this upload never came to its end",
            backend=self.name,
            key=key,
            operation="open",
        )

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield entries sorted by id, without reading what the files are called."""
        if is_state(prefix):
            yield from self._local.list(prefix, recursive=recursive)
        elif "/" not in prefix:
            for entry in self._local.list(prefix, recursive=False):
                key = Key(entry.key.removesuffix("/"))
                meta = self._listed(key) if entry.is_folder and is_file_id(key) else None
                if meta is not None:
                    yield Entry(key, meta, self.name)

    def _opened(self, folder: Folder, key: Key) -> tuple[LocalHandle | None, str]:
        """Return the open file, or None and the part that is missing. Raises ``OSError``."""
        opened = self._open_part(folder, key, FILE)
        if opened is None:
            return None, FILE
        fd, status = opened
        try:
            found = self._metadata(folder, key)
        except BaseException:
            os.close(fd)
            raise
        if found is None:
            os.close(fd)
            return None, METADATA
        return DepotHandle(fd, meta_of(status), *found), ""

    def _metadata(self, folder: Folder, key: Key) -> tuple[Beside, Metadata] | None:
        opened = self._open_part(folder, key, METADATA)
        if opened is None:
            return None
        fd, status = opened
        text = b""
        try:
            while len(text) <= MAX_METADATA_BYTES and (piece := os.read(fd, MAX_METADATA_BYTES + 1)):
                text += piece
        finally:
            os.close(fd)
        beside = Beside(f"{key}/{METADATA}", status.st_mtime_ns, status.st_size, status.st_ino)
        try:
            return beside, read_metadata(text)
        except ValueError as error:
            path = self._path(key, METADATA)
            raise InvalidMetadata(
                f"{path} is no metadata of DEPOT's: {error}", backend=self.name, key=key, operation="open"
            ) from None

    def _open_part(self, folder: Folder, key: Key, part: str) -> tuple[int, os.stat_result] | None:
        """Open a regular file of the folder; None if there is none."""
        try:
            fd = os.open(folder.at(part), FILE_FLAGS | _NOFOLLOW, dir_fd=folder.fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            fd = self._local.beneath.open_file(f"{key}/{part}")  # which says whether the link may be followed
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return fd, status
        os.close(fd)
        raise NotServable(f"{self._path(key, part)} is no regular file", backend=self.name, key=key, operation="open")

    def _listed(self, key: Key) -> Meta | None:
        """Return what a listing tells of a file, None if it has not both of its parts.

        Raises ``BackendUnavailable`` for a folder that cannot be read: a listing without its file would be no listing.
        """
        try:
            with self._local.beneath.open_folder(key) as folder:
                found, beside = (
                    os.stat(folder.at(part), dir_fd=folder.fd, follow_symlinks=False) for part in (FILE, METADATA)
                )
            if stat.S_ISREG(found.st_mode) and stat.S_ISREG(beside.st_mode):
                return meta_of(found)._replace(mtime_ns=None)
            handle = self.open(key)  # links
        except (FileNotFoundError, NotADirectoryError, LinkRefused, NotServable):  # deleted meanwhile, or never served
            return None
        except OSError as error:
            raise BackendUnavailable(
                f"{error.strerror} ({os.path.join(self.root, key)})", backend=self.name, key=key, operation="list"
            ) from error
        if handle is None:
            return None
        handle.close()
        return handle.meta._replace(mtime_ns=None)

    def _path(self, key: Key, part: str) -> str:
        return os.path.join(self.root, key, part)

    # -- writing -------------------------------------------------------------------------------------------------------

    def is_taken(self, key: Key) -> bool:
        """Say whether the disk folds names and has ``key`` in another spelling. Raises ``BackendUnavailable``."""
        return self._local.is_taken(key)

    def draft(self, data: Content, *, content_type: str | None = None) -> DepotDraft:
        """Write the bytes of a file that gets its id later, and sync them to disk."""
        return self.draft_called(data, utils.DEFAULT_NAME, content_type=content_type)

    def draft_called(self, data: Content, filename: str, *, content_type: str | None = None) -> DepotDraft:
        """The same, of a file that is called ``filename``."""
        return DepotDraft(self._local, self._local.draft(data), _described(filename, content_type))

    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        """Store a file: synced to disk, then published whole. Raises ``NameTaken`` unless ``replace``."""
        if is_state(key):
            self._local.put(key, data, replace=replace)
            return
        with closing(self.draft(data, content_type=content_type)) as draft:
            draft.publish(key, replace=replace)

    def delete(self, key: Key) -> bool:
        """Remove a file with its folder; False if there is none."""
        if is_state(key):
            return self._local.delete(key)
        return is_file_id(key) and delete(self._local, key)

    def publish_copy(
        self, name: str, key: Key, *, content_type: str | None = None, filename: str | None = None
    ) -> None:
        """Have the file ``name`` of the folder of the copies be ``key``. Raises as ``put``; then it stays there."""
        with self.copies() as folder:
            bytes_of_it = LocalDraft.of(self._local.place, self.copies(), name)
            with closing(DepotDraft(self._local, bytes_of_it, _described(filename, content_type))) as draft:
                try:
                    draft.publish(key)
                except BaseException:
                    draft.give_back(folder, name)
                    bytes_of_it.stay()
                    raise


def _described(filename: str | None, content_type: str | None) -> Metadata:
    return Metadata(filename or utils.DEFAULT_NAME, content_type or utils.DEFAULT_CONTENT_TYPE, utils.timestamp())


class LocalFileStorage(FileStorage):
    """DEPOT's storage in a directory."""

    def __init__(self, storage_path: str | os.PathLike[str]) -> None:
        self.storage_path = storage_path
        super().__init__(MediaStack([DepotDirectory(storage_path)]))
