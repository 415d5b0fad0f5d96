"""docs/fallback_storage.md is true: its settings stand in a project, and its recipe for hybrid storage is played whole.

Production is a bucket whose keys may only read: whatever is uploaded and deleted, by forms and in a real browser, it is
asked to write nothing, and is byte for byte as before.
"""

from __future__ import annotations

import os
import re
import shutil
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.test import Client

from mediamw.ext.django.checks import check_settings
from mediamw.testing import StrictS3

from .ext_django.conftest import folder_of_the_project, media, project

__all__ = ["folder_of_the_project", "media", "project"]

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "fallback_storage.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SETTINGS = ("INSTALLED_APPS", "MIDDLEWARE", "STORAGES", "FALLBACK_STORAGES", "MEDIAMW", "MEDIA_ROOT", "MEDIA_URL")
ID, SECRET, BUCKET = "AKREADONLY", "the-secret-of-it", "acme-prod-media"
PROFILE = '"session_profile": "acme-ro"'
IMAGE = (ROOT / "mediamw" / "cli" / "demo" / "assets" / "tatami.png").read_bytes()
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture
def s3() -> Iterator[StrictS3]:
    with StrictS3(keys={}, read_only_keys={ID: SECRET}) as server:
        server.create_bucket(BUCKET)
        server.put(BUCKET, "homes/kitchen.png", IMAGE, content_type="image/png")
        server.put(BUCKET, "homes/garden.png", IMAGE, content_type="image/png")
        server.put(BUCKET, "plans/ground floor", b"plan", content_type="image/webp")
        server.put(BUCKET, "plans/rooms.csv", b"plan", content_type="text/csv", headers={"Content-Encoding": "gzip"})
        before = server.objects(BUCKET)
        yield server
        assert server.writes == []
        assert [call for call in server.calls if call.method not in ("GET", "HEAD")] == []
        assert server.objects(BUCKET) == before


def settings_of(start: str, names: dict[str, Any], s3: StrictS3 | None = None) -> dict[str, Any]:
    (code,) = [block for block in BLOCKS if start in block]
    if s3 is not None:
        assert PROFILE in code
        keys = f"'access_key': {ID!r}, 'secret_key': {SECRET!r}, 'endpoint_url': {s3.endpoint!r}"
        code = code.replace(PROFILE, f"{keys}, 'region_name': 'us-east-1'")
    exec(compile(code, "docs/fallback_storage.md", "exec"), names)
    return {name: names[name] for name in SETTINGS if name in names}


@pytest.fixture
def hybrid(project: Any, s3: StrictS3, tmp_path: Path, media: Path) -> dict[str, Any]:
    """The settings of the recipe, in a project with a gallery; the names of its block."""
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.staticfiles"]
    names: dict[str, Any] = {"BASE_DIR": tmp_path, "INSTALLED_APPS": apps, "MIDDLEWARE": [], "__name__": "shop"}
    project(
        **settings_of('FALLBACK_STORAGES = ["environment"', names, s3), ROOT_URLCONF="tests.ext_django.gallery_urls"
    )
    return names


def test_every_block_is_run() -> None:
    source = Path(__file__).read_text("utf-8")
    starts = ['"storages.backends.s3.S3Storage",\n]', 'FALLBACK_STORAGES = ["environment"', "class HybridMedia"]
    assert [[start in block for start in starts].index(True) for block in BLOCKS] == [0, 1, 2]
    assert all(start.split('"')[0] in source for start in starts)


def test_the_settings(project: Any, media: Path, s3: StrictS3) -> None:
    options = {"AWS_STORAGE_BUCKET_NAME": BUCKET, "AWS_S3_ENDPOINT_URL": s3.endpoint, "AWS_S3_REGION_NAME": "us-east-1"}
    keys = {"AWS_S3_ACCESS_KEY_ID": ID, "AWS_S3_SECRET_ACCESS_KEY": SECRET}
    project(**settings_of('"storages.backends.s3.S3Storage",\n]', {}), **options, **keys)
    with default_storage.open("homes/kitchen.png") as file:
        assert file.read() == IMAGE
    assert default_storage.size("homes/kitchen.png") == len(IMAGE)
    assert default_storage.url("homes/kitchen.png").startswith(f"{s3.endpoint}/{BUCKET}/homes/kitchen.png?X-Amz-")
    assert default_storage.url("nobody.png").startswith(f"{s3.endpoint}/{BUCKET}/nobody.png?X-Amz-")
    assert default_storage.get_created_time("homes/kitchen.png") == default_storage.get_modified_time(
        "homes/kitchen.png"
    )
    with pytest.raises(AttributeError):
        default_storage.get_accessed_time("homes/kitchen.png")
    assert default_storage.url("a.txt") == "/media/a.txt"
    for name in ("", ".", ".mediamw/a"):  # signed, the first two would list the bucket
        with pytest.raises(SuspiciousFileOperation):
            default_storage.url(name)


def test_the_table_of_methods_has_them_all() -> None:
    from .ext_django.test_fallback import THIRTEEN

    table = PAGE[PAGE.index("## What is the same") : PAGE.index("## What is different")]
    told = {name for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told >= {name.lstrip("_") for name in THIRTEEN}


# -- hybrid storage ----------------------------------------------------------------------------------------------------


def test_the_hybrid_story_by_forms(hybrid: dict[str, Any], s3: StrictS3, media: Path) -> None:
    assert [message for message in check_settings() if message.id in ("mediamw.E102", "mediamw.W004")] == []
    client = Client()
    upload = ContentFile(b"a kitchen of our own", name="kitchen.png")
    assert client.post("/", {"file": upload}).status_code == 302
    (name,) = [name for name in default_storage.listdir("homes")[1] if name.startswith("kitchen_")]
    assert (media / "homes" / name).read_bytes() == b"a kitchen of our own"
    assert client.get(f"/media/homes/{name}").content == b"a kitchen of our own"
    assert client.get("/media/homes/kitchen.png").status_code == 302, "production's"
    with urlopen(default_storage.url("homes/kitchen.png"), timeout=20) as answer:
        assert answer.read() == IMAGE
    for gone in ("homes/kitchen.png", f"homes/{name}"):
        client.post("/", {"delete": gone})
    assert default_storage.listdir("homes") == ([], ["garden.png"])
    assert client.get("/media/homes/kitchen.png").status_code == 404
    client.post("/", {"file": ContentFile(b"the name is free", name="kitchen.png")})
    with default_storage.open("homes/kitchen.png") as file:
        assert file.read() == b"the name is free"
    with default_storage.open("homes/garden.png", "ab") as file:
        file.write(b"!")
    assert (media / "homes" / "garden.png").read_bytes() == IMAGE + b"!"
    assert storages["environment"].exists("homes/garden.png")


def test_migration_brings_the_type_along_and_leaves_encoded_files(
    hybrid: dict[str, Any], s3: StrictS3, media: Path, project: Any
) -> None:
    project(FALLBACK_DATA_MIGRATION=True)
    for name in ("plans/ground floor", "plans/rooms.csv"):
        with default_storage.open(name) as file:
            assert file.read() == b"plan"
    assert [path.name for path in (media / "plans").iterdir()] == ["ground floor"]
    assert Client().get("/media/plans/ground%20floor")["Content-Type"] == "image/webp"


def play(names: dict[str, Any], *scenes: Callable[[Any], None]) -> None:
    """Run the page's test case, with each scene as a test of it."""
    settings_of("class HybridMedia", names)
    case = names["HybridMedia"]
    for number, scene in enumerate(scenes):
        setattr(case, f"test_{number}", scene)
    case.available_apps = None
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert (result.testsRun, result.errors, result.failures) == (len(scenes), [], [])


def test_each_test_has_a_directory_of_its_own(hybrid: dict[str, Any], media: Path) -> None:
    def scene(case: Any) -> None:
        name = default_storage.save("homes/new.png", ContentFile(b"mine"))
        assert name == "homes/new.png", "no other test's"
        with urlopen(f"{case.live_server_url}{default_storage.url(name)}", timeout=20) as answer:
            assert answer.read() == b"mine"
        with urlopen(f"{case.live_server_url}/media/homes/garden.png", timeout=20) as answer:
            assert answer.read() == IMAGE

    play(hybrid, scene, scene)
    assert sorted(path.name for path in media.iterdir()) == ["a.txt", "large.bin"]


@pytest.mark.slow
@pytest.mark.skipif(not os.access(CHROMIUM, os.X_OK), reason="no browser: apt-get install chromium")
def test_the_hybrid_story_in_a_browser(
    hybrid: dict[str, Any], s3: StrictS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # playwright runs an event loop on this thread
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    painted = "() => Object.fromEntries([...document.images].map(i => [i.alt, i.complete && i.naturalWidth > 0]))"

    def scene(case: Any) -> None:
        page.goto(case.live_server_url)
        page.wait_for_load_state("networkidle")
        assert page.evaluate(painted) == {"homes/garden.png": True, "homes/kitchen.png": True}
        file = {"name": "kitchen.png", "mimeType": "image/png", "buffer": IMAGE}
        page.get_by_label("File").set_input_files(file)
        page.get_by_role("button", name="Upload").click()
        sync_api.expect(page.locator("img")).to_have_count(3)
        page.wait_for_load_state("networkidle")
        shown = page.evaluate(painted)
        assert all(shown.values()), shown
        (own,) = set(shown) - {"homes/garden.png", "homes/kitchen.png"}
        assert re.fullmatch(r"homes/kitchen_\w{7}\.png", own)
        assert page.get_by_alt_text(own).get_attribute("src") == f"/media/{own}"
        page.get_by_role("button", name="Delete homes/garden.png").click()
        sync_api.expect(page.locator("img")).to_have_count(2)
        page.wait_for_load_state("networkidle")
        assert page.evaluate(painted) == {own: True, "homes/kitchen.png": True}

    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=arguments, headless=True
        )
        try:
            page = context.new_page()
            play(hybrid, scene)
        finally:
            context.close()
    assert {call.key for call in s3.gets if call.status == 200} >= {"homes/garden.png", "homes/kitchen.png"}
