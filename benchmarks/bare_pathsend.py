"""A bare ASGI app that looks at a file and hands its path to the server: no look-up, no conditions, no descriptor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

ROOT = Path(os.environ["BENCH_FOLDER"], "media")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with ``http.response.pathsend``."""
    if scope["type"] == "http":
        path = str(ROOT / scope["path"].rpartition("/")[2])
        length = str(os.stat(path).st_size).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.pathsend", "path": path})
