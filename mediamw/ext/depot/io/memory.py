"""DEPOT's storage in memory, for tests: gone with the process."""

from __future__ import annotations

from ....backends.memory import MemoryBackend
from ....stack.stack import MediaStack
from .interfaces import FileStorage


class MemoryFileStorage(FileStorage):
    """Files in memory. What is given is for other storages, as with DEPOT."""

    def __init__(self, **_options: object) -> None:
        super().__init__(MediaStack([MemoryBackend()]))
