"""``WithThumbnailFilter``: a small picture beside each that is stored."""

from __future__ import annotations

from ...io.utils import file_from_content
from ..interfaces import FileFilter
from ..pictures import opened, thumbnail
from ..upload import UploadedFile


class WithThumbnailFilter(FileFilter):
    """Stores a thumbnail that fits into ``size``, width and height in pixels, as ``format``, one of Pillow's.

    The row gets ``thumb_WxH_id``, ``thumb_WxH_path`` and ``thumb_WxH_url``. Several filters may stand beside each
    other. A file that is no picture raises what Pillow does, and nothing of the upload stays.
    """

    def __init__(self, size: tuple[int, int] = (128, 128), format: str = "PNG") -> None:
        self.thumbnail_size = size
        self.thumbnail_format = format

    def on_save(self, uploaded_file: UploadedFile) -> None:
        """Store the thumbnail of what was stored."""
        name = "thumb_{}x{}".format(*self.thumbnail_size)
        is_ours, content = file_from_content(uploaded_file.original_content)
        try:
            small = thumbnail(opened(content), self.thumbnail_size, self.thumbnail_format)
        finally:
            if is_ours:
                content.close()
        with small:
            path, file_id = uploaded_file.store_content(small, f"{name}.{self.thumbnail_format.lower()}")
        uploaded_file[f"{name}_id"] = file_id
        uploaded_file[f"{name}_path"] = path
        uploaded_file[f"{name}_url"] = uploaded_file.depot_manager.url_for(path)
