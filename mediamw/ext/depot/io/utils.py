"""What is given to a storage, as bytes or a file with a name and a type: the inputs that DEPOT takes.

1. An upload is whatever has a ``filename`` and a ``file``, such as ``cgi.FieldStorage``, ``multipart.MultipartPart``
   and Starlette's ``UploadFile``; or, as Werkzeug's ``FileStorage``, a ``stream``.
2. A file is read from where it stands, as DEPOT does it.
3. A ``FileIntent`` is what it says: names and types given beside it count for nothing.
"""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Callable
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final, Protocol

from ..utils import utcnow_naive

INMEMORY_FILESIZE: Final = 1024 * 1024
"""How many bytes ``file_from_content`` keeps in memory; more go into a temporary file."""

TIMESTAMP_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
_PADDED: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
DEFAULT_NAME: Final = "unnamed"
DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"


def timestamp() -> str:
    """Return the time now as DEPOT writes it down: UTC, in seconds."""
    return utcnow_naive().strftime(TIMESTAMP_FORMAT)


def parse_timestamp(text: object) -> datetime | None:
    """Return what ``timestamp`` has written, in UTC without a time zone; None if it is no such text."""
    if not isinstance(text, str) or len(text) > len("2024-01-02 03:04:05"):
        return None
    try:
        if _PADDED.fullmatch(text):  # as nearly all are: a tenth of strptime's time
            return datetime.fromisoformat(text)
        return datetime.strptime(text, TIMESTAMP_FORMAT)  # noqa: DTZ007 - DEPOT's dates say no time zone
    except ValueError:
        return None


class Described(Protocol):
    """What has a name and a type: a stored file."""

    filename: str | None
    content_type: str | None


class FileIntent:
    """Something to be stored, what it is called and its type.

    ``fileobj`` is bytes or a file. A name or type of None is made up for as if it came with no intent.
    """

    def __init__(self, fileobj: Any, filename: str | None, content_type: str | None) -> None:
        self._fileobj = fileobj
        self._filename = filename
        self._content_type = content_type

    @property
    def fileinfo(self) -> tuple[Any, str | None, str | None]:
        """What is to be stored, its name, its type."""
        return self._fileobj, self._filename, self._content_type


def file_from_content(content: Any) -> tuple[bool, IO[bytes]]:
    """Return whether the file that follows has to be closed, and a file of ``content``, at its start."""
    if isinstance(content, FileIntent):
        content = content.fileinfo[0]
    must_close = isinstance(content, bytes)
    if must_close:
        made = SpooledTemporaryFile(INMEMORY_FILESIZE)  # noqa: SIM115 - the caller closes it: that is what is returned
        made.write(content)
        content = made
    else:
        content = upload_of(content)
    content.seek(0)
    return must_close, content


def upload_of(fileobj: Any) -> Any:
    """Return the file of an upload; what is none as it is."""
    if not hasattr(fileobj, "filename"):  # a named temporary file has a file in it too
        return fileobj
    for name in ("file", "stream"):
        file = getattr(fileobj, name, None)
        if file is not None and file is not False:
            return file
    return fileobj


def fileinfo(
    fileobj: Any,
    filename: str | None = None,
    content_type: str | None = None,
    existing: Described | Callable[[], Described] | None = None,
) -> tuple[Any, str, str]:
    """Return bytes or a file, its name and its type, from what is given and what ``fileobj`` tells itself.

    Where nothing tells the name both are those of ``existing``, a file or what returns one.
    """
    if isinstance(fileobj, FileIntent):
        content, filename, content_type = fileobj.fileinfo
    else:
        content = upload_of(fileobj)
        filename = filename or _name_of(fileobj)
        content_type = content_type or _type_of(fileobj)
        if content_type is None and filename is not None:
            content_type = mimetypes.guess_type(filename, strict=False)[0]
    if filename is None and existing is not None:
        before = existing() if callable(existing) else existing
        filename, content_type = before.filename, before.content_type
    return content, filename or DEFAULT_NAME, content_type or DEFAULT_CONTENT_TYPE


def _name_of(fileobj: Any) -> str | None:
    filename = getattr(fileobj, "filename", None)
    if isinstance(filename, str):
        return filename
    name = getattr(fileobj, "name", None)  # of a file that was opened by a descriptor it is a number
    return os.path.basename(os.fsdecode(name)) if isinstance(name, (str, bytes, os.PathLike)) else None


def _type_of(fileobj: Any) -> str | None:
    for name in ("content_type", "type"):
        told = getattr(fileobj, name, None)
        if isinstance(told, str):
            return told
    return None
