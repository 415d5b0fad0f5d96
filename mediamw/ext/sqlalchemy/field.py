"""MediaField: a column that names one stored file, as ``storage/key``.

The file is stored when it is assigned: then its storage is known to take it, and the row to name what is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, Dialect, String
from sqlalchemy.orm import InstrumentedAttribute, QueryableAttribute

from ...core.errors import ConfigError
from ...core.keys import MAX_KEY_BYTES
from ...storages import registry as default_registry
from ...storages.bookkeeping import Placed, stored_for_nobody
from ...storages.registry import MAX_NAME_CHARACTERS, Registry, Stored
from .file_type import FileType
from .media_file import MediaFile
from .uploads import Upload, check_key, key_of, upload_of, warn_if_on_event_loop

MAX_TEXT_CHARACTERS: Final = MAX_NAME_CHARACTERS + 1 + MAX_KEY_BYTES


class MediaField(FileType):
    """The type of a column of files. Its values are ``MediaFile``.

    ``storage``: a storage or alias, into which new files go (None: the default one's); rows remember the storage, never
    the alias. ``key``: a folder, which may have ``strftime``'s codes and in which files are called by a UUID and their
    extension; or a function that gets the upload's name without folders ("" if it has none) and returns the key.
    A name that is taken gets a suffix. ``max_bytes``: of a new file. ``length``: of the column, in characters.
    ``shared``: False if no two rows ever name the same file: then the database is not asked, before a file is
    removed, whether another row has it. ``registry``: the process's own if None.
    """

    impl = String
    cache_ok = True

    def __init__(
        self,
        storage: str | None = None,
        *,
        key: str | Callable[[str], str] = "",
        max_bytes: int | None = None,
        length: int = MAX_TEXT_CHARACTERS,
        shared: bool = True,
        registry: Registry | None = None,
    ) -> None:
        if storage is not None and not isinstance(storage, str):
            raise ConfigError(f"storage: {storage!r} is no name of a storage")
        check_key(key)
        for option, number in (("max_bytes", 0 if max_bytes is None else max_bytes), ("length", length)):
            if not isinstance(number, int) or isinstance(number, bool) or number < (option == "length"):
                raise ConfigError(f"{option}: {number!r} is not a whole number, 1 or more")
        if registry is not None and not isinstance(registry, Registry):
            raise ConfigError(f"registry: {type(registry).__name__} is no Registry")
        super().__init__(length=length)
        self.storage, self.key, self.max_bytes, self.length = storage, key, max_bytes, length
        self.shared, self.registry = shared, registry

    @property
    def names(self) -> Registry:
        """The registry in which the storages of its files have their names."""
        return default_registry if self.registry is None else self.registry

    def store(self, data: Any, *, filename: str | None = None, content_type: str | None = None) -> MediaFile:
        """Store a new file and return its value; whoever assigns it has it in his transaction.

        ``data`` as for an assignment. Raises as ``MediaStack.save``.
        """
        upload = upload_of(data)
        name = upload.filename if filename is None else filename
        storage, stack = self.names.target(self.storage)
        key = stack.save(
            key_of(self.key, name),
            upload.data,
            content_type=content_type or upload.content_type,
            max_bytes=self.max_bytes,
            # Whatever the stack does: a rollback must not take with it what had the name before, here or below.
            names="suffix",
            filename=name or None,
        )
        made = MediaFile(storage, key, self.names)
        stored_for_nobody(Placed(self.names, made.stored))
        return made

    def coming(self, value: Any, what: str) -> Any:
        """Return the value of the column for what is assigned."""
        if value is None:
            return None
        if isinstance(value, MediaFile):
            return value if value.registry is self.names else MediaFile(value.storage, value.key, self.names)
        if isinstance(value, Stored):
            self.names.resolve(value.storage)  # raises: written by hand, it may be misspelt
            return MediaFile(value.storage, value.key, self.names)
        upload = upload_of(value)  # before the warning: what cannot be stored is no upload
        warn_if_on_event_loop(what, f"await store_async({what}, data)")
        return self.store(upload)

    def files_of(self, value: Any) -> Iterable[Placed]:
        """Return the file that a value names."""
        return () if value is None else (Placed.of(self.names, Stored.of(_text_of(value))),)

    def naming(self, column: ColumnElement[Any], files: Collection[Placed]) -> ColumnElement[bool]:
        """Return the condition for rows that name one of ``files``, by whatever name of its storage."""
        every = self.names.names()
        texts: dict[MediaFile, None] = {}
        for file in files:
            storage, key = file.stored
            for name in {storage, *(name for name, real in every.items() if real == storage)}:
                if len(name) + 1 + len(key) <= self.length:  # else no row can have it
                    texts[MediaFile(name, key, self.names)] = None
        return column.in_(list(texts))

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Return the text of the column."""
        if value is None:
            return None
        text = str(Stored.of(_text_of(value)))
        if len(text) > self.length:
            raise ValueError(f"{text!r} has {len(text)} characters, and the column takes {self.length}: see length=")
        return text

    def process_result_value(self, value: Any, dialect: Dialect) -> MediaFile | None:
        """Return the value of a row. Raises ``ConfigError`` or ``InvalidKey`` if its text names no file."""
        return MediaFile(*Stored.of(value), self.names) if value else None


def _text_of(value: Any) -> str:
    if not isinstance(value, (MediaFile, Stored, str)):
        raise TypeError(
            f"a column of files has MediaFile, got {type(value).__name__}: statements store no file; "
            "assign it to an object's attribute, or store() it first"
        )
    return str(value)


def store(
    attribute: InstrumentedAttribute[Any] | QueryableAttribute[Any] | MediaField,
    data: Any,
    *,
    filename: str | None = None,
    content_type: str | None = None,
) -> MediaFile:
    """Store a new file as an assignment to ``attribute``, such as ``User.photo``, would, and return its value.

    It is nobody's until it is assigned; what never is, ``mediamw storages orphans`` lists.
    """
    return _field_of(attribute).store(data, filename=filename, content_type=content_type)


async def store_async(
    attribute: InstrumentedAttribute[Any] | QueryableAttribute[Any] | MediaField,
    data: Any,
    *,
    filename: str | None = None,
    content_type: str | None = None,
) -> MediaFile:
    """``store`` in a thread: for event loops, where assigning bytes would upload them in the loop's own."""
    field = _field_of(attribute)
    return await asyncio.to_thread(field.store, data, filename=filename, content_type=content_type)


def _field_of(attribute: Any) -> MediaField:
    if isinstance(attribute, MediaField):
        return attribute
    found = getattr(getattr(attribute, "property", None), "columns", [None])[0]
    if found is None or not isinstance(found.type, MediaField):
        raise TypeError(f"{attribute!r} is no attribute with a MediaField, such as User.photo")
    return found.type


__all__ = ["MAX_TEXT_CHARACTERS", "MediaField", "Upload", "store", "store_async"]
