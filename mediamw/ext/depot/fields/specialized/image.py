"""``UploadedImageWithThumb``: a picture of bounded size, and its thumbnail."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, ClassVar

from ...io.interfaces import FileStorage
from ...io.utils import file_from_content
from ..pictures import opened, thumbnail, written
from ..upload import UploadedFile


class UploadedImageWithThumb(UploadedFile):
    """A picture that is made smaller if a side has ``max_size`` pixels or more, and a thumbnail of it.

    The thumbnail fits into ``thumbnail_size``, width and height in pixels, and is a ``thumbnail_format`` of Pillow's:
    subclasses say others. The row gets ``thumb_id`` and ``thumb_path``; ``thumb_file`` and ``thumb_url`` are as
    ``file`` and ``url``. A file that is no picture raises what Pillow does, and nothing is stored.
    """

    max_size: ClassVar[int] = 1024
    thumbnail_format: ClassVar[str] = "PNG"
    thumbnail_size: ClassVar[tuple[int, int]] = (128, 128)

    def process_content(self, content: Any, filename: str | None = None, content_type: str | None = None) -> None:
        """Store the picture, then its thumbnail."""
        _, filename, content_type = FileStorage.fileinfo(content, filename, content_type)
        with ExitStack() as open_files:
            is_ours, file = file_from_content(content)
            if is_ours:
                open_files.callback(file.close)
            picture = opened(file)
            kind = picture.format
            if max(picture.size) >= self.max_size:
                picture.thumbnail((self.max_size, self.max_size))
                file = open_files.enter_context(written(picture, kind or self.thumbnail_format))
            # All that Pillow may refuse comes before the first file is stored.
            small = open_files.enter_context(thumbnail(picture, self.thumbnail_size, self.thumbnail_format))
            file.seek(0)
            super().process_content(file, filename, content_type)
            path, file_id = self.store_content(small, f"thumb.{self.thumbnail_format.lower()}")
        self["thumb_id"] = file_id
        self["thumb_path"] = path
        self["_thumb_public_url"] = self.lasting_url(file_id)

    @property
    def thumb_file(self) -> Any:
        """The thumbnail, opened. Raises ``OSError`` if there is none."""
        return self.depot.get(self._needed("thumb_id"))

    @property
    def thumb_url(self) -> str:
        """Where clients get the thumbnail; see ``url``."""
        return self.url_of(self._needed("thumb_id"), self._needed("thumb_path"), self.get("_thumb_public_url"))
