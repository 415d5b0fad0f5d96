"""A remote backend that lists folders, and counts what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mediamw.backends.pages import Listed, Page, folder_of

from .fakes import Bucket


class ListingBucket(Bucket):
    """A ``Bucket`` that tells of ``page_keys`` files of a folder at once. ``listing`` is called before each answer.

    ``unlisted`` are files that its listings do not know of yet.
    """

    def __init__(
        self, *args: Any, page_keys: int = 1000, listing: Callable[[], object] = lambda: None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.page_keys = page_keys
        self.listing = listing
        self.unlisted: set[str] = set()
        self.is_believed = True
        self.pages: list[tuple[str, str | None]] = []

    @property
    def calls(self) -> int:
        return len(self.asked) + len(self.pages)

    def list_page(self, folder: str, after: str | None = None) -> Page | None:
        with self.lock:
            self.pages.append((folder, after))
        self._note("list_page")
        names = sorted(
            key[len(folder) :]
            for key in set(self.files) - self.unlisted
            if folder_of(key) == folder and key > (after or "")
        )
        bodies = [self.files[folder + name] for name in names]  # a broken file is listed too
        told = [
            Listed(name, len(body), self._etag(body)) if isinstance(body, bytes) else Listed(name, 1, '"broken"')
            for name, body in zip(names, bodies, strict=True)
        ]
        self.listing()  # as slow as it is, it tells of what was there when it began
        if not self.is_believed:
            return None
        page = told[: self.page_keys]
        return Page(folder, after, folder + page[-1].name if len(page) < len(told) else None, page)
