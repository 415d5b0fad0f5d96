"""docs/depot.md is true: its blocks run, its classes and options are the code's."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediamw.ext.depot.configuration import DEFAULT_BACKEND
from mediamw.ext.depot.io.boto3 import ReadOnlyDepotBucket
from mediamw.ext.depot.manager import DepotManager
from mediamw.ext.depot.middleware import MAX_AGE_SECONDS, DepotASGIMiddleware, DepotMiddleware
from mediamw.settings.options import OPTIONS

from .http_table.callers import call_wsgi
from .http_table.sites import wrapped_wsgi

PAGE = (Path(__file__).parents[1] / "docs" / "depot.md").read_text("utf-8")


@pytest.fixture(autouse=True)
def manager() -> Iterator[None]:
    DepotManager._clear()
    yield
    DepotManager._clear()


def test_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"app": wrapped_wsgi}
    exec(first, names)
    assert call_wsgi(names["app"], "GET", names["avatar"].url).body == b"a picture"
    monkeypatch.setenv("MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY", "secret")
    exec(second, names)
    lower = DepotManager.get("s3_avatars").stack.backends[1]
    assert isinstance(lower, ReadOnlyDepotBucket)
    assert (lower.bucket, lower.prefix, lower.name) == ("acme-avatars", "media/", "prod")


def test_the_classes_and_options() -> None:
    classes = re.findall(r"`(depot\.io\.\w+\.\w+)`", PAGE)
    assert classes[0] == DEFAULT_BACKEND
    for name in classes:
        if name.endswith("MemoryFileStorage"):
            DepotManager.from_config({"depot.backend": name})
            continue
        with pytest.raises(RuntimeError, match="needs it, and it is not given"):
            DepotManager.from_config({"depot.backend": name})
    assert all(OPTIONS[name].of_stack for name in ("found_ttl", "deadline"))
    assert MAX_AGE_SECONDS == 7 * 24 * 3600
    for made, more in ((DepotMiddleware, ["replace_wsgi_filewrapper"]), (DepotASGIMiddleware, [])):
        expected = ["app", "mountpoint", "cache_max_age", *more, "registry", "options"]
        assert list(inspect.signature(made).parameters) == expected
