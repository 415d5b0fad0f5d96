"""LocalBackend: a directory. Reading beneath its root, whatever lies there; putting new files is in local_put.py.

What an ``OSError`` means, so that no answer of the kernel becomes a traceback:

- missing (ask the next backend): ENOENT, ENOTDIR, EISDIR and folders, ENAMETOOLONG, EINVAL and EILSEQ (a name that
  this file system cannot hold);
- not servable (404, nobody else is asked): a link that leads out, EACCES, EPERM, and whatever is not a regular file;
- unavailable (503): everything else, such as EMFILE, EIO, ESTALE.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ..core.errors import BackendUnavailable, ConfigError, MediaError, NotServable
from ..core.keys import COPIES_FOLDER, STATE_FOLDER, Key, is_state, refusal, windows_refusal
from ..core.model import Meta
from . import local_put
from .base import LATER, Content, Entry, Later
from .beneath import LinkRefused, Root
from .folder import Folder
from .local_handle import LocalHandle as LocalHandle
from .local_put import LocalDraft, Named, Place
from .local_types import Types
from .rules import Rules

_MISSING = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ))
_NOT_SERVABLE = frozenset((errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP, errno.ELOOP))


class LocalBackend:
    """A directory, made when the first file is put into it; missing or empty, it has no files.

    ``root`` may be relative (to where the process is now), a link, and end in ``/``. Links inside it are followed if
    they end below the root or below one of the directories ``follow_links_to``. ``exclude`` and ``only`` are patterns
    of keys: see ``Rules``; the first backend of a stack has none. ``file_mode`` and ``directory_mode`` are those of
    what is made, such as 0o644; without them the umask tells. Raises ``ConfigError``.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        name: str = "local",
        follow_links_to: Sequence[str | os.PathLike[str]] = (),
        exclude: Sequence[str] = (),
        only: Sequence[str] = (),
        file_mode: int | None = None,
        directory_mode: int | None = None,
    ) -> None:
        _check_modes(name, file_mode=file_mode, directory_mode=directory_mode)
        if isinstance(follow_links_to, (str, os.PathLike)):
            raise ConfigError("follow_links_to takes a list of directories", backend=name)
        path = os.fspath(root)
        if not path:
            raise ConfigError("the directory's path is empty", backend=name)
        self.name = name
        self.rules = Rules(name, exclude=exclude, only=only)
        self.root = os.path.abspath(os.path.expanduser(path))
        if os.path.lexists(self.root) and not os.path.isdir(self.root):
            raise ConfigError(f"{self.root} is not a directory: name the directory of the media", backend=name)
        follow = tuple(os.path.abspath(os.path.expanduser(os.fspath(folder))) for folder in follow_links_to)
        self._beneath = Root(self.root, follow)
        self._follow = follow
        self._modes = (file_mode, directory_mode)
        self._place = Place(self._beneath, name, file_mode, directory_mode)
        self._types = Types(self._beneath)

    def __repr__(self) -> str:
        return f"LocalBackend({self.root!r}, name={self.name!r})"

    @property
    def beneath(self) -> Root:
        """Where its files are opened."""
        return self._beneath

    @property
    def place(self) -> Place:
        """Where and how its files are written."""
        return self._place

    @property
    def whereabouts(self) -> tuple[str, ...]:
        """Where the files are, links resolved, from the outermost folder to the innermost."""
        return _whereabouts(self.root)

    @property
    def reaches(self) -> tuple[tuple[str, ...], ...]:
        """Where else its links may lead: below these it is as much at work as below its root."""
        return tuple(map(_whereabouts, self._follow))

    def plain_root(self) -> Root | None:
        """See ``again.LiesBeneath``."""
        is_ours = (type(self).open, type(self).open_now) == (LocalBackend.open, LocalBackend.open_now)
        return self._beneath if is_ours else None

    def open(self, key: Key) -> LocalHandle | None:
        """Open a regular file beneath the root; None if there is none. Errors as at the top of this file."""
        if os.name == "nt" and windows_refusal(key) is not None:
            return None
        try:
            fd = self._beneath.open_file_if_any(key)
            return None if fd is None else self._held(fd, key)
        except UnicodeEncodeError:  # under a locale that is not UTF-8 Python cannot say this name
            return None
        except OSError as error:
            self.raise_unless_missing(error, key)
            return None

    def open_now(self, key: Key) -> LocalHandle | Later | None:
        """Like ``open``, but ``LATER`` if the disk would have to be waited for."""
        if os.name == "nt":
            return LATER
        try:
            fd = self._beneath.open_file_now(key)
            if fd is None:
                return LATER
            has_none = self._beneath.is_quick and self._types.has_none_now()
            if self._beneath.is_quick and not has_none and not is_state(key):
                os.close(fd)
                return LATER  # a record of its type would have to be read
            return self._held(fd, key, has_none=has_none)
        except UnicodeEncodeError:  # under a locale that is not UTF-8 Python cannot say this name
            return None
        except OSError as error:
            self.raise_unless_missing(error, key)
            return None

    def is_taken(self, key: Key) -> bool:
        """Say whether the disk folds names and has ``key`` in another spelling. Raises ``BackendUnavailable``."""
        try:
            return self._beneath.is_taken(key)
        except OSError as error:
            raise self._unavailable(error, key, "put") from error

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield entries sorted by key. Links to folders are shown, not descended into; FIFOs and the like are not."""
        folder = prefix.rpartition("/")[0]
        if not folder or refusal(folder) is None or is_state(prefix):
            yield from self._list(folder, prefix, recursive)

    def draft(self, data: Content, *, content_type: str | None = None) -> LocalDraft:
        """Write the bytes of a file that gets its name later, and sync them to disk."""
        return LocalDraft(self._place, data, self._namer(content_type))

    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        """Store a file: synced to disk, then published whole. Raises ``NameTaken`` unless ``replace``."""
        self._check_name(key)
        if not replace:  # spares reading an upload that cannot be kept; publishing decides
            local_put.check_free(self._place, key)
        try:
            with self.draft(data, content_type=content_type) as draft:
                draft.publish(key, replace=replace)
        except MediaError as error:
            error.key = error.key or key
            raise

    def copies(self) -> Folder:
        """Open the folder of the copies, made if need be. Raises ``BackendUnavailable``."""
        self._place.make_root()
        with self._place.errors(""):
            return self._place.folder(f"{STATE_FOLDER}/{COPIES_FOLDER}")

    def has_copies(self) -> bool:
        """Say whether that folder has been made."""
        return os.path.lexists(os.path.join(self.root, STATE_FOLDER, COPIES_FOLDER))

    def publish_copy(
        self, name: str, key: Key, *, content_type: str | None = None, filename: str | None = None
    ) -> None:
        """Have the file ``name`` of that folder be ``key``. Raises as ``put`` does; then it stays where it was."""
        with LocalDraft.of(self._place, self.copies(), name, self._namer(content_type)) as draft:
            draft.publish(key)

    def delete(self, key: Key) -> bool:
        """Remove a file; False if there is none. Its folder stays."""
        before = self._typed(key)
        is_there = local_put.delete(self._place, key)
        if is_there and before is not None:
            self._types.drop(self._place, key, before)
        return is_there

    def _typed(self, key: Key) -> str | None:
        """Return the ETag of a file of which there may be a record; None if there is none."""
        if is_state(key) or not self._types.has_any():
            return None
        try:
            fd = self._beneath.open_file(key)
        except (OSError, UnicodeEncodeError):
            return None
        try:
            return _etag(os.fstat(fd))
        finally:
            os.close(fd)

    def _namer(self, content_type: str | None) -> Named:
        """Return what is to be done when a new file gets its name."""

        @contextmanager
        def named(key: Key, status: os.stat_result) -> Iterator[None]:
            self._check_name(key)
            before, etag = self._typed(key), _etag(status)
            if content_type is not None:
                self._types.keep(self._place, key, etag, content_type)
            try:
                yield
            except BaseException:
                if content_type is not None:
                    with suppress(MediaError):  # what was wrong at first is told
                        self._types.drop(self._place, key, etag)
                raise
            if before not in (None, etag):
                with suppress(MediaError):  # it is nobody's any more
                    self._types.drop(self._place, key, str(before))

        return named

    def use_modes(self, file_mode: int | None, directory_mode: int | None) -> None:
        """Give these modes to what is made from now on, where none was given before. Raises ``ConfigError``."""
        _check_modes(self.name, file_mode=file_mode, directory_mode=directory_mode)
        own_file, own_directory = self._modes
        self._place = self._place._replace(
            file_mode=file_mode if own_file is None else own_file,
            directory_mode=directory_mode if own_directory is None else own_directory,
        )

    def _check_name(self, key: Key) -> None:
        if os.name == "nt" and (reason := windows_refusal(key)) is not None:
            raise NotServable(f"Windows has no such name: {reason}", backend=self.name, key=key, operation="put")

    def close(self) -> None:
        """Let go of the directory."""
        self._beneath.close()

    def _held(self, fd: int, key: Key, *, has_none: bool = False) -> LocalHandle | None:
        """Return the open file, with its type. ``has_none``: it is known that no type is recorded."""
        try:
            found = os.fstat(fd)
        except BaseException:
            os.close(fd)
            raise
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            if stat.S_ISDIR(found.st_mode):
                return None
            raise NotServable("not a regular file", backend=self.name, key=key, operation="open")
        meta = meta_of(found)
        handle = LocalHandle(fd, meta)
        try:
            content_type = None if has_none or is_state(key) else self._types.of(key, str(meta.etag))
        except BaseException:
            handle.close()
            raise
        if content_type is not None:
            handle.meta = meta._replace(content_type=content_type)
        return handle

    def raise_unless_missing(self, error: OSError, key: Key) -> None:
        """Raise what an error of the disk means while ``key`` was opened, unless it means that there is no file."""
        if error.errno == errno.EACCES and not os.access(self.root, os.X_OK):  # not this file's fault: an outage
            raise self._unavailable(error, key, "open") from error
        if isinstance(error, LinkRefused) or error.errno in _NOT_SERVABLE:
            reason = f"{error.strerror} ({os.path.join(self.root, key)})"
            raise NotServable(reason, backend=self.name, key=key, operation="open") from error
        if error.errno not in _MISSING:
            raise self._unavailable(error, key, "open") from error

    def _unavailable(self, error: OSError, key: str, operation: str) -> MediaError:
        return BackendUnavailable(f"{error.strerror} ({self.root})", backend=self.name, key=key, operation=operation)

    def _list(self, folder: str, prefix: str, recursive: bool) -> Iterator[Entry]:
        try:
            with self._beneath.open_folder(folder) as opened:
                found = opened.scan() if self._beneath.is_exact(f"{folder}/") else []
        except OSError as error:
            # A folder that may not be read is left out (lost+found of a volume); a root that may not is an error, and
            # so is the state: without its whiteouts deleted files would be listed.
            may_be_left_out = folder and not is_state(f"{folder}/")
            is_refused = isinstance(error, LinkRefused) or error.errno in _NOT_SERVABLE
            if error.errno in _MISSING or (is_refused and may_be_left_out):
                return
            raise self._unavailable(error, folder, "list") from error
        names = []
        for name, status in found:
            key = f"{folder}/{name}" if folder else name
            if refusal(key) is None or is_state(f"{folder}/"):
                linked_folder = stat.S_ISLNK(status.st_mode) and self._is_folder(key)
                names.append((key + "/" if stat.S_ISDIR(status.st_mode) or linked_folder else key, status))
        for key, status in sorted(names, key=lambda pair: pair[0]):
            if key.endswith("/") and recursive:
                if not stat.S_ISLNK(status.st_mode) and key.startswith(prefix):
                    yield from self._list(key[:-1], prefix, recursive)
            elif key.startswith(prefix):
                meta = None if key.endswith("/") else self._listed(Key(key), status)
                if meta is not None or key.endswith("/"):
                    yield Entry(key, meta, self.name)

    def _is_folder(self, key: str) -> bool:
        try:
            with self._beneath.open_folder(key):
                return True
        except OSError:  # a file, dangling, or leading out: not a folder that can be listed
            return False

    def _listed(self, key: Key, status: os.stat_result) -> Meta | None:
        """Return the meta of what would be served under this name, None if nothing would."""
        if stat.S_ISREG(status.st_mode):
            return meta_of(status)
        if not stat.S_ISLNK(status.st_mode):
            return None
        try:
            handle = self.open(key)
        except NotServable:
            return None
        if handle is None:
            return None
        handle.close()
        return handle.meta


def _whereabouts(path: str) -> tuple[str, ...]:
    with suppress(ValueError):  # half a surrogate pair: nothing is there, ever
        path = os.path.realpath(path)
    return ("file:", *filter(None, path.split(os.sep)))


def _check_modes(backend: str, **modes: int | None) -> None:
    for option, mode in modes.items():
        if mode is not None and (not isinstance(mode, int) or isinstance(mode, bool) or not 0 < mode <= 0o7777):
            raise ConfigError(f"{option}: {mode!r} is no mode, such as 0o644", backend=backend)


def meta_of(found: os.stat_result) -> Meta:
    """Return what is known of a file of a disk."""
    return Meta(found.st_size, found.st_mtime_ns, _etag(found))


def _etag(found: os.stat_result) -> str:
    """A strong ETag from what was opened: a file replaced has another inode, one written in place another time."""
    return f'"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"'
