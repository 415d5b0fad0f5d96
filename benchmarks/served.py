"""The app of one contender, for servers: ``benchmarks.served:app``. The environment says which (``serving.py``)."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.contenders import LISTS
from benchmarks.setting import Media

which, interface, name = os.environ["BENCH_CONTENDER"].split("/")
app = LISTS[which][interface][name].make(Media(Path(os.environ["BENCH_FOLDER"])))
