"""The demo's page in a real browser: what it shows is painted, plays and seeks, and an upload appears.

Needs ``pip install playwright`` (no ``playwright install``: Debian's chromium does the driving).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PLAYWRIGHT = "no playwright to drive a browser with: pip install playwright"

sync_api: Any = pytest.importorskip("playwright.sync_api", reason=PLAYWRIGHT)
pytest.importorskip("moto")
pytest.importorskip("flask_cors")

from mediamw.cli.demo.catalogue import ASSETS, all_media  # noqa: E402 - after the importorskips
from mediamw.cli.demo.production import BUCKET  # noqa: E402 - as above
from mediamw.cli.demo.running import Demo, running  # noqa: E402 - as above

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.access(CHROMIUM, os.X_OK), reason="no browser: apt-get install chromium"),
]

ROWS = [file for _, file in all_media()]
MISSING = next(file for file in ROWS if file.asset is None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Look:
    """A page in a browser, and what its console said."""

    def __init__(self, demo: Demo, page: Any) -> None:
        self.demo, self.page = demo, page
        self.complaints: list[tuple[str, str]] = []
        page.on("console", lambda said: self.complaints.append((said.text, said.location.get("url", ""))))
        page.on("pageerror", lambda error: self.complaints.append((str(error), "")))
        page.goto(demo.url)
        self.wait_for_badges()

    def wait_for_badges(self) -> None:
        # By locator: wait_for_function needs eval, which the page's Content-Security-Policy forbids.
        sync_api.expect(self.page.get_by_text("not asked yet")).to_have_count(0)

    def images(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate(
            """() => [...document.images].map(i => (
                {src: decodeURIComponent(new URL(i.src).pathname), painted: i.complete && i.naturalWidth > 0}))"""
        )
        return found


@pytest.fixture
def look(tmp_path: Path) -> Iterator[Look]:
    with running() as demo, sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=ARGUMENTS, headless=True
        )
        try:
            yield Look(demo, context.new_page())
        finally:
            context.close()


def test_every_image_is_painted_and_nothing_complains_but_the_missing_one(look: Look) -> None:
    images = look.images()
    assert {image["src"] for image in images} == {f"/media/{file.key}" for file in ROWS if file.kind == "image"}
    assert [image["src"] for image in images if not image["painted"]] == []
    assert {Path(image["src"]).suffix.lower() for image in images} >= {".avif", ".webp", ".svg", ".png", ".gif", ".jpg"}
    # The missing one is the placeholder, with its 404.
    ((text, url),) = look.complaints
    assert "404" in text
    assert url == f"{look.demo.url}media/homes/77/the%20view%20from%20the%20crane.jpg"


def test_the_badges_and_the_box_tell_the_truth(look: Look) -> None:
    badges = dict(
        look.page.evaluate("() => [...document.querySelectorAll('[data-key]')].map(b => [b.dataset.key, b.innerText])")
    )
    assert badges == {
        file.key: "missing" if file.asset is None else "local" if file.local else "production" for file in ROWS
    }
    assert look.page.locator("#writes").inner_text() == "0"
    assert look.page.locator("#refused").inner_text() == "0"
    assert int(look.page.locator("#answered").inner_text()) >= sum(not file.local for file in ROWS)
    counts = {name: look.page.locator(f"[data-count={name}]").inner_text() for name in ("local", "production")}
    assert counts == {
        "local": str(sum(file.local for file in ROWS)),
        "production": str(sum(file.asset is not None and not file.local for file in ROWS)),
    }


def test_videos_seek_and_sounds_load(look: Look) -> None:
    found = look.page.evaluate(
        """async () => {
            const loaded = media => media.readyState > 0 ? null : new Promise((done, fail) => {
                media.addEventListener('loadedmetadata', done);
                media.addEventListener('error', () => fail(media.error));
            });
            const found = [];
            for (const media of document.querySelectorAll('video, audio')) {
                await loaded(media);
                const wanted = media.duration * 0.7;
                const seeked = new Promise(done => media.addEventListener('seeked', done, {once: true}));
                media.currentTime = wanted;
                await seeked;
                found.push([media.tagName, media.duration, media.currentTime - wanted, media.videoWidth || 0]);
            }
            return found;
        }"""
    )
    assert [row[0] for row in found] == ["VIDEO", "AUDIO", "VIDEO"]
    for tag, duration, off, width in found:
        assert duration > 5
        assert abs(off) < 0.1
        assert (width > 0) == (tag == "VIDEO")
    ranges = [call for call in look.demo.s3.gets if "range" in call.headers and call.status == 206]
    assert {call.key for call in ranges} == {file.key for file in ROWS if file.kind in ("video", "audio")}


def test_an_upload_is_painted_from_here_and_leaves_production_alone(look: Look) -> None:
    before = look.demo.s3.objects(BUCKET)
    look.page.locator("input[type=file]").set_input_files(
        {"name": "Küche #2.png", "mimeType": "image/png", "buffer": (ASSETS / "tatami.png").read_bytes()}
    )
    look.page.get_by_label("What does it show?").fill('A "new" kitchen')
    look.page.get_by_role("button", name="Upload").click()
    image = look.page.get_by_alt_text('A "new" kitchen')
    sync_api.expect(image).to_be_visible()
    look.wait_for_badges()
    assert [i["painted"] for i in look.images() if i["src"] == "/media/uploads/Küche #2.png"] == [True]
    assert look.page.locator("figure").filter(has=image).locator(".badge").inner_text() == "local"
    assert look.page.locator("#writes").inner_text() == "0"
    assert look.demo.s3.objects(BUCKET) == before
    assert {text for text, _ in look.complaints if "404" not in text} == set()


def test_a_file_over_the_bound_is_refused_in_words(look: Look, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(60 * 1024 * 1024)
    look.page.locator("input[type=file]").set_input_files(large)
    look.page.get_by_role("button", name="Upload").click()
    sync_api.expect(look.page.get_by_role("alert")).to_have_text(re.compile("larger than 20 MiB"))


def test_a_document_opens(look: Look) -> None:
    with look.page.expect_response(lambda response: ".txt" in response.url and response.status == 200) as opened:
        look.page.get_by_role("link", name="Terms and conditions").click()
    assert opened.value.url.startswith(look.demo.s3.endpoint)
    sync_api.expect(look.page.locator("body")).to_contain_text("Homes - terms")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out(look: Look, width: int) -> None:
    look.page.set_viewport_size({"width": width, "height": 844})
    assert look.page.evaluate("document.documentElement.scrollWidth") == width


def test_every_image_has_a_text_and_every_control_a_name(look: Look) -> None:
    assert (
        look.page.evaluate(
            """() => [...document.images].filter(i => !i.alt)
                .concat([...document.querySelectorAll('video, audio')].filter(m => !m.getAttribute('aria-label')))
                .concat([...document.querySelectorAll('input')].filter(i => !i.labels.length)).length"""
        )
        == 0
    )


def test_a_local_file_that_was_removed_is_painted_from_production(look: Look) -> None:
    """Chromium sends the conditions of what it kept on to production, where moto heeds If-Modified-Since even beside
    If-None-Match and would answer 304 to who has nothing: so our answers must not hold a date (see plan.py)."""
    gone = next(file for file in ROWS if file.local and file.key.startswith("homes/3/"))
    (look.demo.folder / gone.key).unlink()
    look.page.reload()
    assert all(image["painted"] for image in look.images())
