"""Names for what is saved, found as every Django storage finds them: by ``get_available_name``, one after the other.

1. Each name that is tried is asked of the backends once. If a lower cannot tell, the name gets a suffix, and nobody is
   asked again: an upload works while production is away.
2. That no upload replaces another is decided when it is published: of two that found one name free, the second gets
   another (``stack/writing.py``).
3. What counts as taken is the stack's policy, or the storage's own (``core/names.py``): under ``shadow`` what the upper
   has, under ``replace`` nothing; under ``error`` there is no other name.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from django.core.files.storage import Storage

from ...core.errors import BackendUnavailable, NameTaken
from ...core.names import NamePolicy
from ...stack.stack import MediaStack
from .storage_errors import as_django_has_them

_unsure: ContextVar[list[BackendUnavailable] | None] = ContextVar("mediamw_unsure", default=None)
"""While a name is looked for: why one could not tell of those tried so far."""


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
        token = _unsure.set([])
        try:
            free: str = super().get_available_name(name, max_length=max_length)
            for error in _unsure.get() or ():
                self.stack.say(f"name {error.backend}", f"{error}: so the upload {str(name)!r} is stored as {free!r}")
            return free
        finally:
            _unsure.reset(token)

    def is_name_available(self, name: Any, max_length: int | None = None) -> bool:
        """Say whether a file can be saved under this very name; False if one cannot tell."""
        if max_length and len(str(name)) > max_length:
            return False
        unsure = _unsure.get()
        if unsure or self.names == "replace":
            return True  # another name than the one of which nobody could tell: publishing decides
        key = self.key_of(name)
        with as_django_has_them():
            try:
                is_free = self.stack.is_free(key, names=self.names)
            except BackendUnavailable as error:
                if error.backend == self.stack.upper.name or self.names == "error":
                    raise
                if unsure is not None:
                    unsure.append(error)
                return False
        if not is_free and unsure is not None and self.names == "error":
            raise NameTaken("a backend has this name", key=key, operation="save")
        return is_free

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        """Return another name; the same one if files may be replaced."""
        if self.names == "replace":
            return f"{file_root}{file_ext}"
        other: str = super().get_alternative_name(file_root, file_ext)
        return other
