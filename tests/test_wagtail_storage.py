"""Wagtail's admin on ``MediaStorage``: what editors do to images of which only the bucket has the files.

The project is that of ``test_wagtail.py``, with README's quickstart for Django in its settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from PIL import Image as Picture

from mediamw.testing import StrictS3

from .fresh.environment import Environment
from .fresh.readme import BUCKET
from .fresh.serving import serving
from .fresh.wagtail_dump import Dump
from .test_example_django import Browser
from .test_wagtail import ID, dump, production, variables

__all__ = ["dump", "production", "variables"]

pytestmark = pytest.mark.slow


@dataclass
class Editor:
    """Somebody who is logged in at the admin."""

    browser: Browser
    media: Path
    production: Mapping[str, bytes]

    def images(self) -> list[str]:
        """Return the paths of the pages of all images."""
        page = self.browser.get("/admin/images/")[2].decode()
        return list(dict.fromkeys(re.findall(r'href="(/admin/images/\d+/)[?"]', page)))

    def shown(self, path: str) -> tuple[str, set[str]]:
        """Return the key of the original of an image, and those of the renditions that its page shows."""
        page = self.browser.get(path)[2].decode()
        renditions = {unquote(key) for key in re.findall(r'(?:src|href)="/media/(images/[^"]+)"', page)}
        (stem,) = {Path(key).name.partition(".")[0] for key in renditions}
        # If both have one it is that of this project: names are never taken twice.
        keys = [key for key in (*self.kept(), *self.production) if key.startswith(f"original_images/{stem}.")]
        return keys[0], renditions

    def get(self, key: str) -> tuple[bool, bytes]:
        """Return whether a file came from this project, and its bytes."""
        _, came_from, body = self.browser.get(f"/media/{quote(key)}")
        return came_from.startswith("/media/"), body

    def is_gone(self, *keys: str) -> bool:
        return {self.browser.status(f"/media/{quote(key)}") for key in keys} == {404}

    def submit(self, path: str, title: str, file: bytes = b"") -> str:
        """Fill in the form of an image; return the path after redirects."""
        name = f"{title}.png" if file else ""
        fields = {"title": ("", title.encode()), "tags": ("", b""), "description": ("", b"")}
        arrived, page = self.browser.submit(path, **fields, file=(name, file))
        assert arrived == "/admin/images/", page
        return arrived

    def kept(self) -> set[str]:
        """Return the keys of the files in the project's media folder."""
        files = [path for path in self.media.rglob("*") if path.is_file() and ".mediamw" not in path.parts]
        return {str(path.relative_to(self.media)) for path in files}


def png(color: str) -> bytes:
    file = BytesIO()
    Picture.new("RGB", (900, 600), color).save(file, "png")
    return file.getvalue()


@pytest.fixture
def editor(
    new_environment: Environment, dump: Dump, production: StrictS3, variables: dict[str, str]
) -> Iterator[Editor]:
    given = dump.variables("media_settings") | variables
    before = production.objects(BUCKET)
    production.clear_calls()
    with serving(new_environment, "gunicorn", "shop.wsgi:application", dump.project, **given) as url:
        browser = Browser(url)
        fields = {name: ("", value.encode()) for name, value in dump.editor.items()}
        assert browser.submit("/admin/login/", **fields, next=("", b"/admin/"))[0] == "/admin/"
        yield Editor(browser, dump.project / "media", dump.media)
    assert production.writes == []
    assert {call.access_key_id for call in production.calls} == {ID}
    assert production.objects(BUCKET) == before, "byte for byte"


def test_what_editors_do(editor: Editor, dump: Dump) -> None:
    browser, paths = editor.browser, editor.images()
    assert len(paths) == 8
    assert editor.kept() == set()

    # New renditions of an image that only production has.
    first, renditions = editor.shown(paths[0])
    new = renditions - dump.media.keys()
    assert editor.kept() == new, "those that production has are not made again"
    (shown,) = [key for key in new if "max-800x600" in key]
    is_here, body = editor.get(shown)
    assert (is_here, Picture.open(BytesIO(body)).width) == (True, 800)
    assert editor.get(first) == (False, dump.media[first])

    # An upload, under a name that production has.
    taken = next(key for key in dump.media if re.fullmatch(r"original_images/Plan[^.]*\.png", key))
    editor.submit("/admin/images/add/", Path(taken).stem, png("red"))
    (added,) = set(editor.images()) - set(paths)
    uploaded, _ = editor.shown(added)
    assert uploaded not in dump.media
    assert editor.get(uploaded) == (True, png("red"))
    assert editor.get(taken) == (False, dump.media[taken])

    # A replacement: Wagtail deletes the file that was there, and its renditions.
    replaced, old = editor.shown(paths[1])
    assert replaced in dump.media
    editor.submit(paths[1], "Replaced", png("blue"))
    assert editor.is_gone(replaced, *old)
    assert editor.get(editor.shown(paths[1])[0]) == (True, png("blue"))

    # A delete.
    deleted, its = editor.shown(paths[2])
    assert editor.get(deleted) == (False, dump.media[deleted])
    assert browser.submit(f"{paths[2]}delete/")[0] == "/admin/images/"
    assert paths[2] not in editor.images()
    assert editor.is_gone(deleted, *its)

    for page in dump.pages:  # one of which has lost an image
        assert browser.get(page)[0] == 200
