"""The gallery in Django: started as its README says, driven as a browser would, again under other servers."""

from __future__ import annotations

import html
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest

from mediamw.cli.demo.catalogue import ASSETS, all_media

from .test_examples import ROOT, command_of, environment, fetch, form, images_of, started

FOLDER = ROOT / "examples" / "django_app"
README = FOLDER / "README.md"
PICTURES = {file.key: file for _, file in all_media() if file.kind == "image" and file.asset is not None}
JPEG = b"\xff\xd8" + b"x" * 1000
SAYS = "(?:Starting (?:WSGI )?development server at|Uvicorn running on|Listening at:)"


class Browser:
    """A browser with cookies, at one site."""

    def __init__(self, site: str) -> None:
        self.site = site
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def get(self, path: str) -> tuple[int, str, bytes]:
        """Return status, path after redirects (a whole URL if it is elsewhere), and body."""
        status, url, body = fetch(self.site + path, opener=self._opener)
        return status, url.removeprefix(self.site), body

    def status(self, path: str) -> int:
        """Return the status alone."""
        try:
            return self.get(path)[0]
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def submit(self, path: str, **fields: tuple[str, bytes]) -> tuple[str, str]:
        """Fill in the form at ``path`` and send it, with its token; return the path after redirects, and the page."""
        page = self.get(path)[2].decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token is not None, page
        sent, content_type = form(csrfmiddlewaretoken=("", token[1].encode()), **fields)
        _, url, body = fetch(self.site + path, sent, content_type, self._opener)
        return url.removeprefix(self.site), html.unescape(body.decode())

    def pages(self) -> Iterator[bytes]:
        """Go through the gallery as its links lead."""
        path: str | None = "/"
        while path is not None:
            page = self.get(path)[2]
            yield page
            more = re.search(r'rel="next" href="([^"]+)"', page.decode())
            path = f"/{more[1]}" if more else None

    def images(self) -> list[str]:
        return [image for page in self.pages() for image in images_of(page)]


@contextmanager
def gallery(program: str, data: Path, *arguments: str) -> Iterator[Browser]:
    """Run the README's command for ``program``."""
    command = [*command_of(README, program), *arguments]
    with started(command, data, SAYS, GALLERY_DATA=str(data)) as (url, process):
        yield Browser(url)
        assert process.poll() is None


def manage(data: Path, *words: str) -> str:
    """Run ``manage.py`` as a developer has it who has no bucket; return what it said."""
    command = [sys.executable, str(FOLDER / "manage.py"), *words]
    ran = subprocess.run(command, env=environment(GALLERY_DATA=str(data)), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


def row_of(browser: Browser, image: str) -> str:
    """Return the path of the page of a picture that the gallery shows."""
    for page in browser.pages():
        found = re.search(rf'<a href="([^"]+)"><img src="{re.escape(html.escape(image))}"', page.decode())
        if found:
            return found[1]
    raise AssertionError(f"{image} is not shown")


def check_dump(browser: Browser) -> None:
    """Check that each picture of the dump is shown, from where its file lies."""
    shown = {unquote(image.removeprefix("/media/")): image for image in browser.images()}
    assert {key for key in shown if not key.startswith("uploads/")} == set(PICTURES)
    for key, file in PICTURES.items():
        status, came_from, body = browser.get(shown[key])
        assert file.asset is not None
        assert (status, body) == (200, (ASSETS / file.asset).read_bytes()), key
        assert came_from.startswith("/media/") == file.local, key
    assert browser.get("/static/admin/css/base.css")[0] == 200


def upload(browser: Browser, path: str) -> str:
    """Upload a picture with the form at ``path``; return its URL."""
    before = browser.images()
    arrived, page = browser.submit(path, title=("", b"Mine"), file=("my hall.jpg", JPEG))
    (image,) = set(browser.images()) - set(before)
    assert browser.get(image) == (200, image, JPEG)
    if path.startswith("/admin/"):
        assert arrived == "/admin/gallery/picture/"
        assert "was added successfully" in page
    else:
        assert images_of(page.encode()) == [image]
        assert "held by backend 'local'" in page
    return image


def test_the_gallery_in_django(tmp_path: Path) -> None:
    media = tmp_path / "media"
    with gallery("python", tmp_path, "0") as browser:
        check_dump(browser)

        page = browser.get(row_of(browser, "/media/homes/42/living%20room.jpg"))[2].decode()
        assert "/homes-production-media/homes/42/living%20room.jpg?..." in page
        uploaded = upload(browser, "/pictures/upload/")
        stored = media / unquote(uploaded.removeprefix("/media/"))
        assert stored.read_bytes() == JPEG
        arrived, page = browser.submit("/pictures/upload/", title=("", b"Notes"), file=("notes.html", b"<p>"))
        assert arrived == "/pictures/upload/"
        assert "“html” is not allowed" in page

        assert browser.get("/admin/")[1] == "/admin/login/?next=/admin/"
        arrived, page = browser.submit("/admin/login/?next=/admin/", username=("", b"admin"), password=("", b"admin"))
        assert (arrived, "Pictures" in page) == ("/admin/", True)
        by_admin = upload(browser, "/admin/gallery/picture/add/")
        listed = images_of(browser.get("/admin/gallery/picture/?p=2")[2])
        assert by_admin in listed
        for image in listed:
            assert browser.get(image)[0] == 200
        number = row_of(browser, by_admin).split("/")[2]
        change = html.unescape(browser.get(f"/admin/gallery/picture/{number}/change/")[2].decode())
        assert f'<a href="{by_admin}">' in change  # Django's own widget
        assert "held by backend 'local'" in change

        # What is deleted is gone here, also what only production has.
        arrived, page = browser.submit(f"/admin/gallery/picture/{number}/delete/", post=("", b"yes"))
        assert "was deleted successfully" in page
        assert [path.name for path in (media / "uploads").iterdir()] == [stored.name]
        removed = ["/media/homes/42/living%20room.jpg", "/media/homes/42/harbour%20cottage.jpg"]
        for image in removed:
            path = row_of(browser, image)
            assert "Production keeps what it has" in browser.get(f"{path}delete/")[2].decode()
            assert browser.submit(f"{path}delete/")[0] == "/"
            assert browser.status(image) == 404  # though production has both
        shown = browser.images()
        assert (len(shown), set(removed) & set(shown)) == (len(PICTURES) - 1, set())
        assert not (media / "homes" / "42" / "harbour cottage.jpg").exists()

    with gallery("python", tmp_path, "0") as browser:  # a second start loads nothing anew
        assert browser.images() == shown
        assert browser.get(uploaded) == (200, uploaded, JPEG)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the database and the files that ``demo`` makes at its first start."""
    made = tmp_path_factory.mktemp("gallery")
    manage(made, "migrate", "--verbosity", "0")
    assert f"{len(PICTURES)} rows" in manage(made, "load_dump")
    return made


@pytest.mark.parametrize(
    ("program", "port"),
    [("uvicorn", ["--port", "0"]), pytest.param("gunicorn", ["--bind", "127.0.0.1:0"], marks=pytest.mark.slow)],
    ids=["asgi", "wsgi"],
)
def test_under_other_servers(data: Path, program: str, port: list[str]) -> None:
    with gallery(program, data, *port) as browser:
        check_dump(browser)
        upload(browser, "/pictures/upload/")


def test_what_manage_says(tmp_path: Path) -> None:
    """Without a bucket: the settings are those of mediamw's checks all the same."""
    assert manage(tmp_path, "check") == "System check identified no issues (0 silenced).\n"
    assert "mediamw" not in manage(tmp_path, "check", "--deploy")
    assert manage(tmp_path, "makemigrations", "--check", "--dry-run") == "No changes detected\n"
