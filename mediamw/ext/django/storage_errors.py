"""The stack's errors as code that uses a Django storage knows them. Each stays what it is, and is one of Django's too.

- a name that can be no key: ``SuspiciousFileOperation``, which a view answers with 400;
- a backend that cannot tell, or does not take a file: ``StorageUnavailable``, an ``OSError``, and a ``PermissionError``
  if that is what the disk said;
- a name that is taken: ``FileExistsError``, as it is; a file that nobody has: ``FileNotFoundError``, as it is.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from django.core.exceptions import SuspiciousFileOperation

from ...core.errors import BackendUnavailable, InvalidKey, MediaError, NotServable
from ...stack.reader import BUFFER_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class StorageUnavailable(BackendUnavailable, OSError):
    """A backend cannot tell whether it has the file, cannot give its bytes, or does not take it."""

    __str__ = MediaError.__str__


class StoragePermissionError(StorageUnavailable, PermissionError):
    """The first backend may not be written to, or read."""

    __str__ = MediaError.__str__


class StorageRefused(NotServable, PermissionError):
    """What has this name is no file that may be read, or the disk has no such name."""

    __str__ = MediaError.__str__


@contextmanager
def as_django_has_them() -> Iterator[None]:
    """Raise the stack's errors as Django's."""
    try:
        yield
    except InvalidKey as error:
        raise SuspiciousFileOperation(str(error)) from error
    except (StorageUnavailable, StorageRefused):
        raise
    except NotServable as error:
        raise StorageRefused(error.reason, **_where(error)) from error
    except BackendUnavailable as error:
        cause = error.__cause__
        kind = StoragePermissionError if isinstance(cause, PermissionError) else StorageUnavailable
        made = kind(error.reason, **_where(error), retry_after=error.retry_after, answered=error.answered)
        made.errno = cause.errno if isinstance(cause, OSError) else None
        raise made from error


def _where(error: MediaError) -> dict[str, Any]:
    return {"backend": error.backend, "key": error.key, "operation": error.operation}


class _Raw(io.RawIOBase):
    """A file of the stack, whose errors are Django's."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        with as_django_has_them():
            count: int | None = self._file.readinto(buffer)
            return count

    def readall(self) -> bytes:
        with as_django_has_them():
            data: bytes = self._file.readall()
            return data

    def close(self) -> None:
        self._file.close()
        super().close()


def reader(file: BinaryIO) -> BinaryIO:
    """Return an open file of the stack whose errors are Django's."""
    if not isinstance(file, io.BufferedReader):  # a copy of a file of unknown length: it is all here
        return file
    return cast("BinaryIO", io.BufferedReader(_Raw(file.detach()), BUFFER_BYTES))
