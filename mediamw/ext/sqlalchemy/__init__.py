"""SQLAlchemy: columns that name files of ``mediamw.storages``, and whose files come and go with the transaction.

    photo: Mapped[MediaFile | None] = mapped_column(MediaField("avatars"))

``docs/sqlalchemy.md`` has all of it; ``storages/bookkeeping.py`` has the rules of what is removed when.
"""

from __future__ import annotations

from ...core.errors import ConfigError

try:
    import sqlalchemy as _sqlalchemy  # noqa: F401 - only whether it is there
except ModuleNotFoundError as error:
    raise ConfigError("mediamw.ext.sqlalchemy needs SQLAlchemy: pip install 'mediamw[sqlalchemy]'") from error

from .field import MediaField as MediaField
from .field import store as store
from .field import store_async as store_async
from .file_type import FileType as FileType
from .media_file import MediaFile as MediaFile
from .set_up import set_up as _set_up

_set_up()

__all__ = ["FileType", "MediaField", "MediaFile", "store", "store_async"]
