"""Names for what is saved, found as every Django storage finds them: by ``get_available_name``, one after the other.

1. Each name that is tried is asked of the backends once. If a lower cannot tell, the name gets a suffix, and nobody is
   asked again: an upload works while production is away.
2. That no upload replaces another is decided when it is published: of two that found one name free, the second gets
   another (``stack/writing.py``).
3. What counts as taken is the stack's policy, or the storage's own (``core/names.py``): under ``shadow`` what the upper
   has, under ``replace`` nothing; under ``error`` there is no other name.
4. Where the server of the upper cannot keep two uploads of one name apart, only a name by chance is free: the first
   that is tried is none, the next is taken without asking, and no longer than it may be.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from django.core.files.storage import Storage

from ...core.errors import BackendUnavailable, NameTaken
from ...core.names import NamePolicy
from ...stack.stack import MediaStack
from .storage_errors import as_django_has_them


class _Search:
    """What is known while a name is looked for."""

    def __init__(self) -> None:
        self.unsure: list[BackendUnavailable] = []
        """Why one could not tell of those tried so far."""
        self.by_chance = False


_search: ContextVar[_Search | None] = ContextVar("mediamw_search", default=None)
_chosen: ContextVar[str | None] = ContextVar("mediamw_chosen", default=None)
"""The name by chance that was found last, until it is stored."""


def takes_chosen(name: Any) -> bool:
    """Say whether ``name`` is the one by chance that was found just before; once."""
    chosen = _chosen.get()
    _chosen.set(None)
    return chosen is not None and str(name) == chosen


class StackStorage(Storage):  # type: ignore[misc]  # Django has no types
    """A storage over a stack: what of it has to do with free names."""

    @property
    def stack(self) -> MediaStack:
        """The stack."""
        raise NotImplementedError

    @property
    def names(self) -> NamePolicy:
        """What is done with a name that is taken."""
        raise NotImplementedError

    def key_of(self, name: Any) -> str:
        """Return what the stack calls ``name``."""
        raise NotImplementedError

    def get_available_name(self, name: Any, max_length: int | None = None) -> str:
        """Return a name that is free; under ``error`` this one, or raise ``NameTaken``."""
        search = _Search()
        token = _search.set(search)
        try:
            free: str = super().get_available_name(name, max_length=max_length)
            _chosen.set(str(free) if search.by_chance else None)
            for error in search.unsure:
                self.stack.say(f"name {error.backend}", f"{error}: so the upload {str(name)!r} is stored as {free!r}")
            return free
        finally:
            _search.reset(token)

    def is_name_available(self, name: Any, max_length: int | None = None) -> bool:
        """Say whether a file can be saved under this very name; False if one cannot tell."""
        if max_length and len(str(name)) > max_length:
            return False
        search = _search.get()
        if self.names == "replace" or (search is not None and (search.unsure or search.by_chance)):
            return True  # another name than the one of which nobody could tell: publishing decides
        key = self.key_of(name)
        with as_django_has_them():
            if search is not None and self.names == "suffix" and self.stack.names_by_chance():
                search.by_chance = True
                return False
            try:
                is_free = self.stack.is_free(key, names=self.names)
            except BackendUnavailable as error:
                if error.backend == self.stack.upper.name or self.names == "error":
                    raise
                if search is not None:
                    search.unsure.append(error)
                return False
        if not is_free and search is not None and self.names == "error":
            raise NameTaken("a backend has this name", key=key, operation="save")
        return is_free

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        """Return another name; the same one if files may be replaced."""
        if self.names == "replace":
            return f"{file_root}{file_ext}"
        other: str = super().get_alternative_name(file_root, file_ext)
        return other
