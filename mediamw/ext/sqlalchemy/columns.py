"""Which attributes of a mapped class have files."""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Column
from sqlalchemy.orm import Mapper

from .file_type import FileType


class Tracked(NamedTuple):
    """An attribute of a mapped class whose column has files."""

    key: str
    column: Column[Any]
    type: FileType


# With how many attributes there were: a class may get more when it is mapped already.
_tracked: WeakKeyDictionary[Mapper[Any], tuple[int, tuple[Tracked, ...]]] = WeakKeyDictionary()


def tracked(mapper: Mapper[Any]) -> tuple[Tracked, ...]:
    """Return the attributes with files of a mapped class, those of its bases among them."""
    attributes = mapper.column_attrs
    count, found = _tracked.get(mapper, (-1, ()))
    if count != len(attributes):
        found = tuple(
            Tracked(prop.key, column, column.type)
            for prop in attributes
            if isinstance(column := prop.columns[0], Column) and isinstance(column.type, FileType)
        )
        _tracked[mapper] = len(attributes), found
    return found
