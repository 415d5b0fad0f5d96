"""A third party's project, wrapped without touching its code: Wagtail's start project with a gallery beside it.

The case is the dump: the database knows originals and renditions, and all of them lie in the bucket, none here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import pytest

from mediamw.testing import StrictS3

from .fresh.environment import Environment, aws_profile
from .fresh.readme import BUCKET, LOCATION, at, from_outside, quickstart
from .fresh.serving import fetch, serving
from .fresh.wagtail_dump import Dump, files, images_of, log_in, make_dump

pytestmark = pytest.mark.slow

ID, SECRET, REGION = "AKREADONLY", "the secret of the read-only key", "eu-west-1"
LISTING = "/admin/images/"


@dataclass(frozen=True)
class Way:
    """One way of wrapping it. What `mediamw serve` is told it is told by options, or by variables."""

    server: str
    target: str
    settings: str = "gallery_settings"
    told_by: str = ""


WAYS = {
    "serve, WSGI": Way("serve", "shop.wsgi:application", told_by="options"),
    "serve, ASGI": Way("serve", "shop_asgi:application", told_by="variables"),
    "a wrapper, WSGI": Way("gunicorn", "wrapped_wsgi:app"),
    "a wrapper, ASGI": Way("uvicorn", "wrapped_asgi:app"),
    "settings, WSGI": Way("gunicorn", "shop.wsgi:application", "media_settings"),
    "settings, ASGI": Way("uvicorn", "shop_asgi:application", "media_settings"),
    "settings, runserver": Way("runserver", "", "media_settings"),
}


@pytest.fixture(scope="module")
def dump(new_environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Dump:
    new_environment.install("wagtail")
    return make_dump(tmp_path_factory.mktemp("wagtail"), new_environment)


@pytest.fixture(scope="module")
def production(dump: Dump) -> Iterator[StrictS3]:
    with StrictS3(keys={"AKADMIN": "another"}, read_only_keys={ID: SECRET}, region=REGION) as made:
        made.create_bucket(BUCKET)
        for key, data in dump.media.items():
            made.put(BUCKET, f"{LOCATION}/{key}", data)
        yield made


@pytest.fixture(scope="module")
def variables(dump: Dump, production: StrictS3) -> dict[str, str]:
    """Write what wraps the project, README's quickstarts, beside it."""
    for interface, module in (("WSGI", "shop.wsgi"), ("ASGI", "shop_asgi")):
        wrapper = f"from {module} import application as app\n\n"
        wrapper += at(production.endpoint, quickstart(f"Any {interface} app"))
        (dump.outside / f"wrapped_{interface.lower()}.py").write_text(wrapper)
    lines = at(production.endpoint, quickstart("Django")).splitlines(keepends=True)
    typed = [line for line in lines if "unless they are there already" not in line and "likewise" not in line]
    assert len(typed) == len(lines) - 2
    (dump.outside / "media_settings.py").write_text("from gallery_settings import *\n\n" + "".join(typed))
    return aws_profile(dump.outside, ID, SECRET, REGION)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_every_image_is_there(
    way: Way, new_environment: Environment, dump: Dump, production: StrictS3, variables: dict[str, str]
) -> None:
    outside = {name: at(production.endpoint, value) for name, value in from_outside()[0].items()}
    backends = [word for spec in outside["MEDIAMW_BACKENDS"].split() for word in ("--backend", spec)]
    options = backends if way.told_by == "options" else []
    given = dump.variables(way.settings) | variables | (outside if way.told_by == "variables" else {})
    production.clear_calls()
    with serving(new_environment, way.server, way.target, dump.project, *options, **given) as url:
        seen = {image for page in dump.pages for image in see_images(f"{url}{page}", dump, production)}
        cookies = log_in(url, dump.editor)
        seen |= see_images(f"{url}{LISTING}", dump, production, Cookie=cookies)
        assert fetch(f"{url}/media/images/none.jpg").status == 404
    assert seen == dump.media.keys(), "every file of production was shown, through this project"
    assert production.writes == []
    assert {call.access_key_id for call in production.calls} == {ID}
    untouched(dump)


def see_images(page: str, dump: Dump, production: StrictS3, **headers: str) -> set[str]:
    """Look at a page and at all of its images; return the keys of those that came from the bucket."""
    shown = fetch(page, **headers)
    assert shown.status == 200, page
    keys = set()
    for image in images_of(page, shown.body.decode()):
        path = unquote(urlsplit(image).path)
        answer = fetch(image)
        if not path.startswith("/media/"):
            assert answer.status == 200, image  # its static files
            continue
        key = path.removeprefix("/media/")
        assert answer.status == 302, (image, answer)
        assert answer.headers["location"].startswith(f"{production.endpoint}/{BUCKET}/{LOCATION}/")
        medium = fetch(answer.headers["location"])
        assert (medium.status, medium.body) == (200, dump.media[key]), image
        keys.add(key)
    return keys


def untouched(dump: Dump) -> None:
    """See that the project is what `wagtail start` made, its database, and no medium."""
    now = files(dump.project)
    assert {name: now.get(name) for name in dump.generated} == dump.generated
    added = {name for name in now.keys() - dump.generated.keys() if not name.endswith(".log")}
    assert {name for name in added if not name.startswith(".")} == {"db.sqlite3"}


def test_the_dump_is_one(new_environment: Environment, dump: Dump) -> None:
    """Originals and renditions in every format; without mediamw each of them is missing."""
    assert len(dump.pages) == 3
    assert sum(key.startswith("original_images/") for key in dump.media) == 8
    assert {key.rpartition(".")[2] for key in dump.media} == {"jpg", "jpeg", "png", "webp", "gif"}
    untouched(dump)
    target = WAYS["settings, WSGI"].target
    with serving(new_environment, "gunicorn", target, dump.project, **dump.variables("gallery_settings")) as url:
        page = fetch(f"{url}{dump.pages[-1]}").body.decode()
        images = [image for image in images_of(f"{url}/", page) if "/media/" in image]
        assert {fetch(image).status for image in images} == {404}
