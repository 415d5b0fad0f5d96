"""Puts the demo's pictures where the bucket has its files, and makes the database, before the web containers start.

python prepare.py /srv/production/homes-production-media
"""

from __future__ import annotations

import sys
from pathlib import Path

from mediamw.cli.demo.catalogue import ASSETS, all_media


def fill(bucket: Path) -> None:
    for _, file in all_media():
        if file.asset is not None:
            path = bucket / file.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((ASSETS / file.asset).read_bytes())


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
    sys.path.insert(0, "app")
    from app import create_app

    create_app()  # once, here: two containers that begin at the same time would each load the dump
