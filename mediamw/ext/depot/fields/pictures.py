"""Pillow, where it is needed: pictures made smaller. It is the extra ``depot``."""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from ....core.errors import ConfigError
from ..io.utils import INMEMORY_FILESIZE

if TYPE_CHECKING:
    from PIL import Image

_WITHOUT_ALPHA = ("JPEG", "JPG", "BMP", "PPM")


def opened(file: IO[bytes]) -> Image.Image:
    """Return a picture, turned as its camera was held: smaller ones are saved without saying how.

    Raises ``ConfigError`` without Pillow, and what Pillow raises for what is none.
    """
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "PIL":
            raise
        raise ConfigError("pictures need Pillow, an extra: pip install 'mediamw[depot]'") from error
    picture = Image.open(file)
    kind = picture.format
    turned = ImageOps.exif_transpose(picture)
    turned.format = kind
    return turned


def written(picture: Image.Image, kind: str) -> IO[bytes]:
    """Return a file, which the caller closes, with the picture as ``kind``, a format of Pillow's."""
    output: Any = SpooledTemporaryFile(INMEMORY_FILESIZE)  # noqa: SIM115 - the caller's
    try:
        picture.save(output, kind)
        output.seek(0)
    except BaseException:
        output.close()
        raise
    made: IO[bytes] = output
    return made


def thumbnail(picture: Image.Image, size: tuple[int, int], kind: str) -> IO[bytes]:
    """Return a file, which the caller closes, with a copy that fits into ``size``, width and height in pixels."""
    from PIL import Image

    small = picture.copy()
    small.thumbnail(size, Image.Resampling.LANCZOS)
    return written(small.convert("RGB" if kind.upper() in _WITHOUT_ALPHA else "RGBA"), kind)
