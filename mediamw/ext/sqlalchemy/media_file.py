"""MediaFile: the value of a ``MediaField``. It says where a file is, and asks the storage for the rest."""

from __future__ import annotations

from typing import Any, BinaryIO

from ...core.keys import Key, parse_key
from ...core.model import Meta
from ...stack.stack import MediaStack
from ...storages import registry as default_registry
from ...storages.registry import Registry, Stored


class MediaFile:
    """A stored file: the name of its storage and its key. Never changed; equal to another that names the same.

    Its text is ``storage/key``. What it asks the storage for may wait for a network, and raises as ``MediaStack`` does.
    """

    __slots__ = ("_registry", "_stored")

    def __init__(self, storage: str, key: str, registry: Registry | None = None) -> None:
        self._stored = Stored(storage, parse_key(key))
        self._registry = default_registry if registry is None else registry

    @property
    def stored(self) -> Stored:
        """Storage and key as one value."""
        return self._stored

    @property
    def registry(self) -> Registry:
        """Where its storage has its name. What was pickled comes back with the process's own."""
        return self._registry

    @property
    def storage(self) -> str:
        """The name of the storage, as the row has it."""
        return self._stored.storage

    @property
    def key(self) -> Key:
        """The name of the file in its storage."""
        return self._stored.key

    @property
    def stack(self) -> MediaStack:
        """The storage. Raises ``ConfigError`` if nothing has that name."""
        return self._registry.get(self.storage)

    @property
    def filename(self) -> str:
        """What the file was called where it came from, if the storage keeps that, else how its key ends."""
        return self.stat().filename or self.key.rpartition("/")[2]

    @property
    def url(self) -> str:
        """A URL for clients, as ``MediaStack.url`` has it. Raises ``NoURL``."""
        return self.stack.url(self.key)

    def open(self) -> BinaryIO:
        """Open for reading. Raises ``FileNotFoundError``."""
        return self.stack.open(self.key)

    def read(self) -> bytes:
        """Return all bytes. Raises ``FileNotFoundError``."""
        with self.open() as file:
            return file.read()

    def stat(self) -> Meta:
        """Return size, date, type and such. Raises ``FileNotFoundError``."""
        return self.stack.stat(self.key)

    def exists(self) -> bool:
        """Say whether the storage has it. Raises ``BackendUnavailable`` if one cannot tell."""
        return self.stack.exists(self.key)

    def __str__(self) -> str:
        return str(self._stored)

    def __repr__(self) -> str:
        return f"MediaFile({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MediaFile):
            return NotImplemented
        return self._stored == other._stored and self._registry is other._registry

    def __hash__(self) -> int:
        return hash(self._stored)

    def __copy__(self) -> MediaFile:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> MediaFile:
        return self

    def __reduce__(self) -> tuple[type[MediaFile], tuple[str, str]]:
        return MediaFile, (self.storage, self.key)
