"""``DepotFileInfo``, what a row holds of a file, and ``FileFilter``, what is done when one is stored."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from ..errors import DepotError
from ..manager import DepotManager

log = logging.getLogger("mediamw")


class FileFilter(ABC):
    """Called with each file that is stored for a column, after that: to add what the row is to hold of it."""

    @abstractmethod
    def on_save(self, uploaded_file: Any) -> None:
        """Change ``uploaded_file``, a ``DepotFileInfo``. What it raises undoes the upload."""


class DepotFileInfo(dict[str, Any]):
    """What a row holds of a file: a dict whose items are attributes too. It is frozen once the file is stored.

    ``content``: what is to be stored, or the dict of a row. ``depot_name``: the storage or alias, by default the
    default; the row gets the name of the real storage. If storing fails half way, nothing that was stored stays.
    ``files`` has all that was stored for it, as ``storage/id``: what a transaction is to remove.

    Raises ``DepotError``, a ``ValueError``, if there is no such storage.
    """

    depot_manager: ClassVar[type[DepotManager]] = DepotManager
    """Whose storages they are; a subclass may name another."""

    original_content: Any
    _frozen: bool

    def __init__(self, content: Any, depot_name: str | None = None) -> None:
        super().__init__()
        self._thaw()
        object.__setattr__(self, "original_content", None if isinstance(content, dict) else content)
        if isinstance(content, dict):
            self.update(content)
        else:
            wanted = self.depot_manager.get_default() if depot_name is None else depot_name
            found = self.depot_manager.resolve_alias(wanted)
            if found is None:
                raise DepotError(f"there is no storage {wanted!r}: configure it, or alias it to another")
            self["depot_name"] = found
            self["files"] = []
            try:
                self.process_content(content)
            except BaseException:
                self._discard()
                raise
        self._freeze()

    # Abstract by its error alone: a dict's own ``__new__`` asks for nothing.
    def process_content(self, content: Any, filename: str | None = None, content_type: str | None = None) -> None:
        """Store ``content`` and note in ``self`` what the row is to hold."""
        raise TypeError(f"{type(self).__name__} does not say how files are stored: derive it from UploadedFile")

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return type(self), (dict(self),)  # a copy is what the row holds, as frozen as that

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        self._check_thawed()
        super().__setitem__(name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delitem__(self, name: str) -> None:
        self._check_thawed()
        super().__delitem__(name)

    def __delattr__(self, name: str) -> None:
        self._check_thawed()
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None

    def _apply_filters(self, filters: Iterable[FileFilter]) -> None:
        """Call the filters for what was just stored; if one fails all that was stored is removed."""
        if self.original_content is None:
            return
        self._thaw()
        try:
            for one in filters:
                one.on_save(self)
        except BaseException:
            self._discard()
            raise
        finally:
            self._freeze()

    def _discard(self) -> None:
        """Remove what was stored: no row will ever name it."""
        for path in self["files"]:
            try:
                self.depot_manager.get(self["depot_name"]).delete(path.partition("/")[2])
            except Exception:  # what undid the upload is to be heard, not this
                log.exception("%s: stored for an upload that failed, and could not be removed", path)

    def _check_thawed(self) -> None:
        if self._frozen:
            raise TypeError(
                "it is stored: assign a new file to the column instead of changing what the row holds of it"
            )

    def _freeze(self) -> None:
        object.__setattr__(self, "_frozen", True)

    def _thaw(self) -> None:
        object.__setattr__(self, "_frozen", False)
