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


_tracked: WeakKeyDictionary[Mapper[Any], tuple[Tracked, ...]] = WeakKeyDictionary()


def tracked(mapper: Mapper[Any]) -> tuple[Tracked, ...]:
    """Return the attributes with files of a mapped class, those of its bases among them."""
    found = _tracked.get(mapper)
    if found is None:
        found = tuple(
            Tracked(prop.key, column, column.type)
            for prop in mapper.column_attrs
            if isinstance(column := prop.columns[0], Column) and isinstance(column.type, FileType)
        )
        _tracked[mapper] = found
    return found
