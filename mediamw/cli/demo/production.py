"""The demo's two places for media: "production", an S3 server in this process, and the developer's own folder.

The key that the site gets is read-only, and nobody has another one. It is made anew at each start, so that no secret
stands in the source, and it is given to the backend outright, so that no ``AWS_*`` variable has a say.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mediamw.backends.local import LocalBackend
from mediamw.backends.s3 import S3Backend
from mediamw.stack.stack import MediaStack
from mediamw.testing.strict_s3 import StrictS3

from .catalogue import ASSETS, all_media

BUCKET = "homes-production-media"
ACCESS_KEY_ID = "DEMO-READ-ONLY"


class CannotStart(Exception):
    """The demo cannot start; the text is the way out."""


@contextmanager
def production(secret: str, clock: Callable[[], float] = time.time) -> Iterator[StrictS3]:
    """Serve the bucket with all files of the dump. Raises ``CannotStart`` if what the server is made of is missing."""
    s3 = StrictS3(keys={}, read_only_keys={ACCESS_KEY_ID: secret}, clock=clock)
    try:
        s3.start()
    except ModuleNotFoundError as error:
        raise CannotStart(f"{error.name} is not installed: pip install 'mediamw[demo]'") from error
    except RuntimeError as error:  # a setting of moto's that would mix up accounts; the text names it
        raise CannotStart(str(error)) from error
    try:
        s3.create_bucket(BUCKET)
        for _, file in all_media():
            if file.asset is not None:
                s3.put(BUCKET, file.key, (ASSETS / file.asset).read_bytes(), content_type=file.content_type)
        yield s3
    finally:
        s3.close()


def new_secret() -> str:
    """Return a secret access key that nobody has had before."""
    return secrets.token_urlsafe(30)


def fill(folder: Path) -> None:
    """Put into ``folder`` the files of which the developer has a copy already."""
    for _, file in all_media():
        if file.local and file.asset is not None:
            path = folder / file.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((ASSETS / file.asset).read_bytes())


def make_stack(folder: Path, s3: StrictS3, secret: str) -> MediaStack:
    """Return the overlay: the folder first, production below it."""
    local = LocalBackend(folder)
    lower = S3Backend(
        BUCKET,
        endpoint_url=s3.endpoint,
        region=s3.region,
        access_key_id=ACCESS_KEY_ID,
        secret_access_key=secret,
        proxies={},  # production is on this machine
        name="production",
    )
    return MediaStack([local, lower], base_url="/media/")
