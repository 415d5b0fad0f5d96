"""``UploadedFileField``: DEPOT's column, over the same plumbing as ``mediamw.ext.sqlalchemy``'s ``MediaField``.

New files go when their transaction or savepoint is rolled back, old ones after the commit. As in DEPOT a file is of one
row: of an ``UploadedFile`` that two rows hold, the first that is deleted takes the file with it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ....core.errors import ConfigError

try:
    import sqlalchemy as _sqlalchemy  # noqa: F401 - only whether it is there
except ModuleNotFoundError as error:
    raise ConfigError("mediamw.ext.depot.fields.sqlalchemy needs SQLAlchemy: pip install 'mediamw[depot]'") from error

from sqlalchemy import VARCHAR, ColumnElement, Dialect, String, Unicode, or_, type_coerce
from sqlalchemy.types import TypeEngine

from ....storages.bookkeeping import Placed, stored_for_nobody
from ....storages.registry import Registry, Stored
from ...sqlalchemy import FileType
from ...sqlalchemy.uploads import warn_if_on_event_loop
from ..errors import DepotError
from .interfaces import DepotFileInfo, FileFilter
from .upload import UploadedFile

COLUMN_CHARACTERS = 4000
_NOTED = "_mediamw_noted"


class UploadedFileField(FileType):
    """The type of a column of ``upload_type``, in JSON as DEPOT writes it.

    What is assigned is stored at once, in the storage or alias ``upload_storage`` (None: the default one), and then
    given to the ``filters``. The rest is for the column itself, a ``VARCHAR(4000)``.
    """

    impl = Unicode
    cache_ok = True

    def __init__(
        self,
        filters: Sequence[FileFilter] = (),
        upload_type: type[UploadedFile] = UploadedFile,
        upload_storage: str | None = None,
        *args: Any,
        **kw: Any,
    ) -> None:
        super().__init__(*args, **kw)
        self.filters, self.upload_type, self.upload_storage = tuple(filters), upload_type, upload_storage

    @property
    def names(self) -> Registry:
        """The registry of the manager that the rows are of."""
        return self.upload_type.depot_manager.registry

    def coming(self, value: Any, what: str) -> Any:
        """Return the value of the column for what is assigned; filters run here."""
        if value is None:
            return None
        if not isinstance(value, DepotFileInfo):
            warn_if_on_event_loop(what, f"await asyncio.to_thread({self.upload_type.__name__}, data)")
            value = self.upload_type(value, self.upload_storage)
            value._apply_filters(self.filters)
        # Not those that a row had: they are no new files, whatever becomes of the transaction.
        if value.original_content is not None and not getattr(value, _NOTED, False):
            object.__setattr__(value, _NOTED, True)
            for file in self.files_of(value):
                stored_for_nobody(file)
        return value

    def files_of(self, value: Any) -> Iterable[Placed]:
        """Return all files of a row, thumbnails among them."""
        if not value:
            return []
        if not isinstance(value, DepotFileInfo):
            raise TypeError(f"a column of files has {self.upload_type.__name__}, got {type(value).__name__}")
        paths: Any = value.files
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise DepotError("the row's files are no list of 'storage/id': a column of files did not write it")
        return [Placed.of(self.names, Stored.of(path)) for path in dict.fromkeys(paths)]

    def naming(self, column: ColumnElement[Any], files: Collection[Placed]) -> ColumnElement[bool]:
        """Return the condition for rows whose JSON has the path of one of ``files``, by whatever name."""
        text, every = type_coerce(column, String), self.names.names()
        paths = {
            str(Stored(name, file.stored.key))
            for file in files
            for name in (file.stored.storage, *(name for name, real in every.items() if real == file.stored.storage))
        }
        return or_(*(text.contains(json.dumps(path), autoescape=True) for path in sorted(paths)))

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return what the column is in the database."""
        return dialect.type_descriptor(VARCHAR(COLUMN_CHARACTERS))

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Return the text of the column. Raises ``ValueError`` for what is of another type."""
        if not value:
            return None
        if not isinstance(value, self.upload_type):
            raise ValueError(f"the column takes {self.upload_type.__name__}, got {type(value).__name__}")
        encoded: str = value.encode()
        return encoded

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return the value of a row. Raises ``DepotError`` if it is no JSON object."""
        return self.upload_type.decode(value) if value else None
