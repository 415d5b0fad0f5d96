"""Folders that are listed instead of asked for key by key, against three implementations of S3."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from mediamw import LocalBackend, MediaStack
from mediamw.backends import s3_pages
from mediamw.backends.pages import just_before
from mediamw.core.model import Missing, Redirect

from .sites import Site

NAMES = [
    "a b.jpg",
    "a+b.jpg",
    "a.jpg",
    "b.jpg",
    "b/deep.jpg",
    "c%41.jpg",
    "d.jpg",
    "é.jpg",
    "\ufb01.jpg",
    "\U0001f600.jpg",
]


@pytest.mark.parametrize("location", ["", "up loads/ü"])
def test_a_page_of_images(site: Site, location: str) -> None:
    """Of all names, there or not, what is said is so; and the folder was listed."""
    start = f"{location}/" if location else ""
    bucket = site.new_bucket({f"{start}f/{name}": b"x" * 5 for name in NAMES})
    keys = [f"f/{name}" for name in NAMES] + [f"f/nobody-{number}" for number in range(20)]
    with site.backend(bucket, location=location) as backend, tempfile.TemporaryDirectory() as folder:
        stack = MediaStack([LocalBackend(folder), backend])
        with ThreadPoolExecutor(6) as browser:
            found = list(browser.map(stack.find, keys))
        assert [type(each) for each in found] == [Redirect] * len(NAMES) + [Missing] * 20
        assert "listed" in {stack.explain(key).looks[-1].source for key in keys}
        stack.close()


def test_parts_of_a_folder(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any key on, in parts of three: what a part says is so."""
    monkeypatch.setattr(s3_pages, "PAGE_KEYS", 3)
    bucket = site.new_bucket({f"f/{name}": b"x" * 5 for name in NAMES})
    files = sorted(f"f/{name}" for name in NAMES if "/" not in name)
    told = set()
    with site.backend(bucket) as backend:
        for after in (None, *map(just_before, files)):
            page = backend.list_page("f/", after)
            for key in (*files, "f/0", "f/a", "f/b", "f/c", "f/e", "f/ê"):
                if page is not None and page.tells(key):
                    meta = page.get(key)
                    assert (meta is not None) is (key in files), (after, key)
                    assert meta is None or meta.size == 5
                    told.add(key)
    assert told >= set(files[:-2])  # of names behind U+E000 a part tells nothing
