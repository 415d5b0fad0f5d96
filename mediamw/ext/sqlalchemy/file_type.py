"""FileType: what a column type needs so that its files come and go with transactions (``tracking.py``)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.types import TypeDecorator

from ...storages.bookkeeping import Placed
from ...storages.registry import Registry


class FileType(TypeDecorator[Any]):
    """The base of ``MediaField`` and of ``mediamw.ext.depot``'s ``UploadedFileField``."""

    __abstract__ = True
    cache_ok = True
    shared = False
    """Several rows may name one file, so that the database is asked before one is removed."""

    @property
    @abstractmethod
    def names(self) -> Registry:
        """The registry in which the storages of its files have their names."""

    @abstractmethod
    def coming(self, value: Any, what: str) -> Any:
        """Return the value of the column for what is assigned; what is no stored file yet is stored at once.

        ``what`` is the attribute, such as ``User.photo``, for messages. New files are ``stored_for_nobody``.
        """

    @abstractmethod
    def files_of(self, value: Any) -> Iterable[Placed]:
        """Return the files that a value of the column names; none for None. Raises ``MediaError``."""

    @abstractmethod
    def naming(self, column: ColumnElement[Any], files: Collection[Placed]) -> ColumnElement[bool]:
        """Return the condition for rows in which ``column`` names one of ``files``, and perhaps for some more."""
