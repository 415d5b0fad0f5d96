"""Wagtail's start project with a dump of production's database, and no file of its media: those are in the bucket.

What is not the project's stands beside it, in ``wagtail_outside/``: the gallery, a settings module, an ASGI module.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from .environment import Environment
from .serving import fetch

OUTSIDE = Path(__file__).with_name("wagtail_outside")


@dataclass(frozen=True)
class Dump:
    """The project, what stands beside it, and what production has."""

    project: Path
    outside: Path
    generated: dict[str, bytes]  # the files of `wagtail start`
    media: dict[str, bytes]  # key -> content
    pages: list[str]
    editor: dict[str, str]  # who may see the admin's pages

    def variables(self, settings: str) -> dict[str, str]:
        return {"PYTHONPATH": f"{self.outside}:{self.project}", "DJANGO_SETTINGS_MODULE": settings}


def make_dump(folder: Path, environment: Environment) -> Dump:
    """Start a project, fill it, and take its media away."""
    project, outside = folder / "project", folder / "outside"
    project.mkdir(parents=True)
    environment.run("wagtail", "start", "shop", project, folder=folder)
    generated = files(project)
    shutil.copytree(OUTSIDE, outside, ignore=shutil.ignore_patterns("__pycache__"))
    dump = Dump(project, outside, generated, {}, [], {})

    def run(*arguments: str | Path) -> str:
        return environment.run("python", *arguments, folder=project, **dump.variables("gallery_settings"))

    run("manage.py", "makemigrations", "-v0", "gallery")
    run("manage.py", "migrate", "-v0")
    said: dict[str, Any] = json.loads(run(outside / "make_dump.py"))
    media = files(project / "media")
    shutil.rmtree(project / "media")
    return Dump(project, outside, generated, media, said.pop("pages"), said)


def files(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder, by their names in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class _Images(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.urls: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attributes if value}
        if tag in ("img", "source"):
            self.urls |= {values["src"]} if "src" in values else set()
            self.urls |= {one.split()[0] for one in values.get("srcset", "").split(",") if one.strip()}
        if tag == "a" and values.get("href", "").startswith("/media/"):
            self.urls.add(values["href"])
        self.urls |= set(re.findall(r"url\(['\"]?([^)'\"]+)['\"]?\)", values.get("style", "")))


def images_of(page: str, html: str) -> set[str]:
    """Return the URLs of all images of a page, of its own host: others (Gravatar's) are not asked."""
    parser = _Images()
    parser.feed(html)
    urls = {urljoin(page, url) for url in parser.urls}
    return {url for url in urls if urlsplit(url).netloc == urlsplit(page).netloc}


def log_in(url: str, editor: dict[str, str]) -> str:
    """Log in at the admin; return the cookies of who is logged in."""
    form = fetch(f"{url}/admin/login/")
    (token,) = set(re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form.body.decode()))
    cookie = re.search(r"csrftoken=\w+", form.headers["set-cookie"])
    assert cookie is not None
    body = urlencode({**editor, "csrfmiddlewaretoken": token, "next": "/admin/"}).encode()
    headers = {"Cookie": cookie[0], "Content_Type": "application/x-www-form-urlencoded"}
    answer = fetch(f"{url}/admin/login/", "POST", body, **headers)
    session = re.search(r"sessionid=\w+", answer.headers.get("set-cookie", ""))
    assert session is not None, answer
    return session[0]
