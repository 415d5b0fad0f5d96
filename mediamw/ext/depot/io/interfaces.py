"""FileStorage and StoredFile: what programs written for DEPOT see of a stack whose keys are ids.

1. A storage is a ``MediaStack``, and so may have layers: what is stored, replaced or deleted is the upper's, whatever
   the lowers are, and a file that only a lower has can be replaced and deleted here.
2. A stored file is opened when it is first read, as with DEPOT: until then it costs no descriptor and no download.
3. ``public_url`` is asked for anew each time. A signed URL is never stripped of its signature, and never to be stored.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from datetime import datetime
from io import IOBase
from typing import IO, TYPE_CHECKING, Any, Self

from ....core.errors import NotServable
from ....core.model import Held, Meta, Redirect
from ....stack.stack import MediaStack
from ..utils import utcfromtimestamp_naive
from . import utils
from .ids import is_file_id

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class StoredFile(IOBase):
    """A file of a storage, to be read. To change it replace it in its storage.

    ``file_id``; ``filename`` and ``content_type`` as they were given; ``last_modified`` in UTC without a time zone,
    None if it is not known; ``content_length`` in bytes. ``open`` and ``url`` are called when they are needed.
    """

    def __init__(
        self,
        file_id: str,
        filename: str | None = None,
        content_type: str | None = None,
        last_modified: datetime | None = None,
        content_length: int | None = None,
        *,
        open: Callable[[], IO[bytes]] | None = None,
        url: Callable[[], str | None] | None = None,
    ) -> None:
        self.file_id = file_id
        self.filename = filename
        self.content_type = content_type
        self.last_modified = last_modified
        self.content_length = content_length
        self._open, self._url = open, url
        self._file: IO[bytes] | None = None

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}:{self.file_id} filename={self.filename} content_type={self.content_type} "
            f"last_modified={self.last_modified}>"
        )

    @property
    def name(self) -> str | None:
        """What the file is called; ``unnamed`` if nobody said."""
        return self.filename

    @property
    def public_url(self) -> str | None:
        """A URL that clients can fetch the file from now, signed if that is needed; None if only we serve it."""
        return None if self._url is None else self._url()

    def read(self, n: int | None = -1) -> bytes:
        """Return up to ``n`` bytes, or all the rest. Raises ``ValueError`` for a closed file."""
        return self._opened().read(-1 if n is None else n)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into a buffer and return the number of bytes."""
        data = self.read(len(memoryview(buffer).cast("B")))
        memoryview(buffer).cast("B")[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line."""
        return self._opened().readline(-1 if size is None else size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place of the file, and return where that is."""
        return self._opened().seek(offset, whence)

    def tell(self) -> int:
        """Return where the next byte is read."""
        self._check_open()
        return 0 if self._file is None else self._file.tell()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True. DEPOT's files are not."""
        return True

    def writable(self) -> bool:
        """Return False."""
        return False

    def close(self, *_args: object, **_options: object) -> None:
        """Close the file. May be called twice."""
        super().close()
        file, self._file = getattr(self, "_file", None), None  # none if making it failed
        if file is not None:
            file.close()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def _opened(self) -> IO[bytes]:
        self._check_open()
        if self._file is None:
            if self._open is None:
                raise OSError(f"file {self.file_id} cannot be read: nobody said how")
            self._file = self._open()
        return self._file

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("cannot read from a closed file")


class FileStorage:
    """A storage over ``stack``, whose keys are the ids of the files. Threads may share it.

    Ids are UUIDs: others raise ``ValueError``. Whatever takes one takes a ``StoredFile`` too. Raises besides what the
    stack raises: ``BackendUnavailable`` if one cannot tell, ``NotWritable``.
    """

    def __init__(self, stack: MediaStack) -> None:
        self.stack = stack

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.stack!r})"

    @staticmethod
    def fileid(file_or_id: Any) -> Any:
        """Return the id of a stored file; what is one already as it is."""
        return getattr(file_or_id, "file_id", file_or_id)

    @staticmethod
    def fileinfo(
        fileobj: Any, filename: str | None = None, content_type: str | None = None, existing: Any = None
    ) -> tuple[Any, str, str]:
        """Return bytes or a file, its name and its type, from what is given and what ``fileobj`` tells itself.

        Where nothing tells the name both are those of ``existing``, a file or what returns one.
        """
        return utils.fileinfo(fileobj, filename, content_type, existing)

    def create(self, content: Any, filename: str | None = None, content_type: str | None = None) -> str:
        """Store a file and return its id.

        ``content``: bytes, a binary file (read from where it stands), a ``FileIntent``, or an upload such as Werkzeug's
        ``FileStorage``, Starlette's ``UploadFile``, ``multipart.MultipartPart`` and ``cgi.FieldStorage``. What it does
        not tell is taken from ``filename`` and ``content_type``. Raises ``TypeError`` for text.
        """
        return self._save(str(uuid.uuid1()), *self.fileinfo(content, filename, content_type))

    def get(self, file_or_id: Any) -> StoredFile:
        """Return a file. Raises ``FileNotFoundError``, an ``IOError``, if there is none.

        ``OSError`` too if a part of it is missing, ``ValueError`` if what DEPOT wrote of it cannot be read.
        """
        file_id = self._checked(file_or_id)
        try:
            meta = self.stack.stat(file_id)
        except FileNotFoundError as error:
            raise FileNotFoundError(error.errno, f"file {file_id} does not exist", file_id) from None
        except NotServable as error:
            if isinstance(error, ValueError):  # InvalidMetadata
                raise
            raise OSError(str(error)) from error
        return StoredFile(
            file_id,
            meta.filename or utils.DEFAULT_NAME,
            meta.content_type or utils.DEFAULT_CONTENT_TYPE,
            _last_modified(meta),
            meta.size,
            open=lambda: self.stack.open(file_id),
            url=lambda: self._public_url(file_id),
        )

    def replace(
        self, file_or_id: Any, content: Any, filename: str | None = None, content_type: str | None = None
    ) -> str:
        """Replace a file, and return its id. Raises ``FileNotFoundError`` if there is none.

        Name and type are those of before if neither ``filename`` nor ``content`` tells a name. A ``StoredFile`` in the
        place of itself, ``replace(file, file)``, is stored under its id whether there is one or not: so files are
        copied into another storage.
        """
        file_id = self._checked(file_or_id)
        is_copy = isinstance(file_or_id, StoredFile) and file_or_id is content
        if is_copy:
            content.seek(0)
        elif not self.exists(file_id):
            raise FileNotFoundError(f"file {file_id} does not exist")
        return self._save(file_id, *self.fileinfo(content, filename, content_type, lambda: self.get(file_id)))

    def delete(self, file_or_id: Any) -> None:
        """Delete a file, if there is one. Where a lower has it it is hidden, and stays there."""
        self.stack.delete(self._checked(file_or_id))

    def exists(self, file_or_id: Any) -> bool:
        """Say whether there is such a file."""
        try:
            return self.stack.exists(self._checked(file_or_id))
        except NotServable:  # there is, and it is broken: it can be replaced and deleted
            return True

    def list(self) -> list[str]:
        """Return the ids of all files, sorted."""
        return [entry.key for entry in self.stack.list() if is_file_id(entry.key)]

    def _save(self, file_id: str, content: Any, filename: str, content_type: str) -> str:
        if isinstance(content, str):
            raise TypeError("Only bytes can be stored, not unicode")
        # An id is made for one file: nobody has it, unless it is to be replaced. So no lower has to be asked.
        return self.stack.save(file_id, content, content_type=content_type, names="replace", filename=filename)

    def _public_url(self, file_id: str) -> str | None:
        found = self.stack.find(file_id)
        if isinstance(found, Held):
            found.handle.close()
        return found.url if isinstance(found, Redirect) else None

    def _checked(self, file_or_id: Any) -> str:
        file_id = str(self.fileid(file_or_id))
        if not is_file_id(file_id):
            raise ValueError(f"invalid file id {file_id[:100]!r}: it is no UUID")
        return file_id


def _last_modified(meta: Meta) -> datetime | None:
    return None if meta.mtime_ns is None else utcfromtimestamp_naive(meta.mtime_ns // 1_000_000_000)
