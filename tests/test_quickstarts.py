"""README's quickstarts, typed into a fresh project of each framework in a new environment, behind real servers.

All that is changed in them is where the bucket is: at a ``StrictS3``, which checks each signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mediamw.testing import StrictS3

from .fresh.environment import Environment, aws_profile
from .fresh.projects import PROJECTS, generate
from .fresh.readme import BUCKET, LOCATION, at, from_outside, quickstart
from .fresh.serving import fetch, serving

pytestmark = pytest.mark.slow

ID, SECRET, REGION = "AKREADONLY", "the secret of the read-only key", "eu-west-1"
LOCAL, PRODUCTION, NOWHERE = "homes/42/kitchen.jpg", "homes/42/living room.jpg", "homes/42/attic.jpg"
LOCAL_BYTES, PRODUCTION_BYTES = b"\xff\xd8 local" * 1000, b"\xff\xd8 production" * 100_000

TYPED_IN = [
    *[("wsgi", server) for server in ("gunicorn", "granian-wsgi")],
    *[("asgi", server) for server in ("uvicorn", "granian-asgi")],
    *[("flask", server) for server in ("gunicorn", "granian-wsgi", "flask-run")],
    *[("starlette", server) for server in ("uvicorn", "granian-asgi")],
    *[("fastapi", server) for server in ("uvicorn", "granian-asgi")],
    *[("django", server) for server in ("gunicorn", "granian-wsgi", "runserver", "uvicorn", "granian-asgi")],
]
BY_ENVIRONMENT = [("wsgi", "gunicorn"), ("asgi", "uvicorn"), ("flask", "flask-run"), ("fastapi", "uvicorn")]
SPEAKS_ASGI = ("uvicorn", "granian-asgi")
WITHOUT_BACKENDS = {
    "wsgi": "from mediamw.wsgi import MediaMiddleware\n\napp = MediaMiddleware(app)\n",
    "asgi": "from mediamw.asgi import MediaMiddleware\n\napp = MediaMiddleware(app)\n",
    "flask": "from mediamw.ext.flask import MediaMW\n\nMediaMW(app)\n",
    "fastapi": "from mediamw.asgi import MediaMiddleware\n\napp.add_middleware(MediaMiddleware)\n",
}


@pytest.fixture
def s3() -> Iterator[StrictS3]:
    """Production: it has what is not here, and what is here too, in a version that nobody is to see."""
    with StrictS3(keys={"AKADMIN": "another"}, read_only_keys={ID: SECRET}, region=REGION) as made:
        made.create_bucket(BUCKET)
        made.put(BUCKET, f"{LOCATION}/{PRODUCTION}", PRODUCTION_BYTES, content_type="image/jpeg")
        made.put(BUCKET, f"{LOCATION}/{LOCAL}", b"production's own", content_type="image/jpeg")
        yield made
        assert made.writes == []
        assert {call.access_key_id for call in made.calls} <= {ID}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the project is made: an empty folder but for the local media."""
    made = tmp_path / "project"
    (made / "media" / LOCAL).parent.mkdir(parents=True)
    (made / "media" / LOCAL).write_bytes(LOCAL_BYTES)
    return made


@pytest.fixture
def profile(tmp_path: Path) -> dict[str, str]:
    return aws_profile(tmp_path, ID, SECRET, REGION)


def target_of(name: str, server: str) -> str:
    project = PROJECTS[name]
    return project.asgi if server in SPEAKS_ASGI else project.wsgi


def check(url: str, name: str, s3: StrictS3) -> None:
    """See all that a quickstart promises."""
    project = PROJECTS[name]
    home = fetch(f"{url}/")
    assert (home.status, project.home in home.body) == (200, True), home

    local = fetch(f"{url}/media/{LOCAL}")
    assert (local.status, local.headers["content-type"], local.body) == (200, "image/jpeg", LOCAL_BYTES)
    assert s3.calls == [], "what lies here is asked of nobody"

    for method in ("GET", "HEAD"):
        redirect = fetch(f"{url}/media/{PRODUCTION.replace(' ', '%20')}", method)
        assert redirect.status == 302, redirect
        location = redirect.headers["location"]
        assert location.startswith(f"{s3.endpoint}/{BUCKET}/{LOCATION}/homes/42/living%20room.jpg?")
        assert "X-Amz-Signature=" in location
        production = fetch(location, method)
        assert (production.status, production.headers["content-type"]) == (200, "image/jpeg")
        assert production.body == (PRODUCTION_BYTES if method == "GET" else b"")

    missing = fetch(f"{url}/media/{NOWHERE}")
    assert (missing.status, project.missing in missing.body) == (404, True), missing
    assert "no-store" not in missing.headers.get("cache-control", ""), "the app's 404, and not ours"
    assert (s3.calls[-1].key, s3.calls[-1].status) == (f"{LOCATION}/{NOWHERE}", 404), "the bucket was asked"


@pytest.mark.parametrize(("name", "server"), TYPED_IN)
def test_typed_in(
    name: str, server: str, new_environment: Environment, folder: Path, s3: StrictS3, profile: dict[str, str]
) -> None:
    generate(PROJECTS[name], folder, new_environment, at(s3.endpoint, quickstart(PROJECTS[name].title)))
    with serving(new_environment, server, target_of(name, server), folder, **profile) as url:
        check(url, name, s3)


def outside(s3: StrictS3, profile: dict[str, str]) -> dict[str, str]:
    """Return the variables of the quickstart from outside, and the profile's."""
    return {name: at(s3.endpoint, value) for name, value in from_outside()[0].items()} | profile


@pytest.mark.parametrize(("name", "server"), BY_ENVIRONMENT)
def test_by_the_environment(
    name: str, server: str, new_environment: Environment, folder: Path, s3: StrictS3, profile: dict[str, str]
) -> None:
    generate(PROJECTS[name], folder, new_environment, WITHOUT_BACKENDS[name])
    with serving(new_environment, server, target_of(name, server), folder, **outside(s3, profile)) as url:
        check(url, name, s3)


@pytest.mark.parametrize("server", ["runserver", "uvicorn"])
def test_django_by_the_environment(
    server: str, new_environment: Environment, folder: Path, s3: StrictS3, profile: dict[str, str]
) -> None:
    *lines, last = quickstart("Django").splitlines(keepends=True)
    assert last.startswith("MEDIAMW = ")
    generate(PROJECTS["django"], folder, new_environment, "".join(lines))
    with serving(new_environment, server, target_of("django", server), folder, **outside(s3, profile)) as url:
        check(url, "django", s3)


@pytest.mark.parametrize(
    ("name", "target"),
    [(name, target) for name, project in PROJECTS.items() for target in (project.wsgi, project.asgi) if target],
)
def test_around_a_project_that_is_not_touched(
    name: str, target: str, new_environment: Environment, folder: Path, s3: StrictS3, profile: dict[str, str]
) -> None:
    assert from_outside()[1] == ["mediamw", "serve", PROJECTS["django"].wsgi]
    generate(PROJECTS[name], folder, new_environment)
    with serving(new_environment, "serve", target, folder, **outside(s3, profile)) as url:
        check(url, name, s3)
