"""What is assigned to a column, and is no stored file yet: bytes, open files, uploads of Werkzeug and Starlette."""

from __future__ import annotations

import posixpath
import re
import sys
import uuid
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ...backends.base import Content
from ...core.errors import ConfigError, InvalidKey
from ...core.keys import parse_key

KeyOf = str | Callable[[str], str]
_EXTENSION: Final = re.compile(r"\.[A-Za-z0-9]{1,16}")


class Upload(NamedTuple):
    """The bytes, and what came with them: the name without folders ("" if none) and the type, if any."""

    data: Content
    filename: str = ""
    content_type: str | None = None


def upload_of(value: Any) -> Upload:
    """Return what is to be stored. Raises ``TypeError`` for what has no bytes, ``ValueError`` if no file was chosen."""
    if isinstance(value, Upload):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Upload(bytes(value))
    # Werkzeug has .stream, Starlette (whose own read() is a coroutine) has .file; both were read by forms, perhaps.
    stream: Any = getattr(value, "stream", None) or getattr(value, "file", None)
    if hasattr(stream, "read") and hasattr(value, "filename"):
        if not value.filename:
            raise ValueError("the upload has no name: no file was chosen; assign None, or its bytes")
        with suppress(AttributeError, OSError):  # a stream of the app's own need not seek
            stream.seek(0)
        return Upload(stream, _plain(value.filename), value.content_type or None)
    if hasattr(value, "read"):
        name = getattr(value, "name", "")
        return Upload(value, _plain(name) if isinstance(name, str) else "")
    raise TypeError(
        f"expected bytes, an open binary file, an upload, or a MediaFile that is stored, got {type(value).__name__}"
    )


def check_key(pattern: object) -> None:
    """Raise ``ConfigError`` for what is no folder and no function."""
    if callable(pattern):
        return
    if not isinstance(pattern, str):
        raise ConfigError(f"key: {pattern!r} is no folder and no function: give such as 'faces/%Y'")
    try:
        parse_key(key_of(pattern, ""))
    except InvalidKey as error:
        raise ConfigError(f"key: {pattern!r} is no folder: {error.reason}") from error


def key_of(pattern: KeyOf, filename: str) -> str:
    """Return the key for a new file: what the function says, or a UUID in a folder (with ``strftime``'s codes)."""
    if callable(pattern):
        return pattern(filename)
    folder = datetime.now(UTC).strftime(pattern).strip("/") if pattern else ""
    extension = posixpath.splitext(filename)[1]
    name = uuid.uuid4().hex + (extension.lower() if _EXTENSION.fullmatch(extension) else "")
    return f"{folder}/{name}" if folder else name


def warn_if_on_event_loop(what: str, instead: str) -> None:
    """Warn if this thread runs an event loop, which would stand still during an upload; ``instead`` is the way out."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return
    warnings.warn(
        f"{what}: the file is uploaded in the event loop's thread, and all else waits for it: "
        f"assign the result of `{instead}`",
        RuntimeWarning,
        stacklevel=8,  # whoever assigns: between are SQLAlchemy's frames,
    )


def _plain(filename: str) -> str:
    return filename.replace("\\", "/").rpartition("/")[2]
