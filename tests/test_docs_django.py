"""docs/django.md is true: its blocks run, as the settings, the wsgi.py, the asgi.py and the tests of a project."""

from __future__ import annotations

import asyncio
import re
import unittest
from pathlib import Path
from typing import Any

import django.conf
import pytest
from django.test import Client, override_settings

from .ext_django.conftest import folder_of_the_project, media, project
from .ext_django.middlewares import OURS, lowered
from .http_table.callers import acall_asgi, call_wsgi

__all__ = ["folder_of_the_project", "media", "project"]

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "django.md").read_text("utf-8")
OF_STARTPROJECT = re.findall(
    r"['\"](django[a-zA-Z.]+Middleware)['\"]",
    (Path(django.conf.__file__).parent / "project_template/project_name/settings.py-tpl").read_text("utf-8"),
)
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SETTINGS = ("MEDIA_URL", "MEDIA_ROOT", "INSTALLED_APPS", "MIDDLEWARE", "MEDIAMW", "STORAGES")


@pytest.fixture
def names(tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What stands in a settings.py before the blocks."""
    config = tmp_path / "aws"
    config.write_text("[profile acme-ro]\nregion = eu-west-1\naws_access_key_id = AK\naws_secret_access_key = SK\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    (media / "homes" / "42").mkdir(parents=True)
    (media / "homes" / "42" / "kitchen.jpg").write_bytes(b"kitchen")
    django_s_own = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"]
    return {
        "BASE_DIR": tmp_path,
        "MEDIA_ROOT": media,
        "DEBUG": True,
        "INSTALLED_APPS": [*django_s_own, "django.contrib.staticfiles"],
        "MIDDLEWARE": ["django.middleware.common.CommonMiddleware"],
        "__name__": "shop",
    }


def block(start: str) -> str:
    (found,) = [block for block in BLOCKS if start in block]
    return found


def run(code: str, names: dict[str, Any]) -> None:
    exec(compile(code, "docs/django.md", "exec"), names)


def settings_of(code: str, names: dict[str, Any]) -> dict[str, Any]:
    run(code, names)
    return {name: names[name] for name in SETTINGS if name in names}


def found_by_checks() -> list[str]:
    from mediamw.ext.django.checks import check_settings

    return [str(message) for message in check_settings()]


def production_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediamw.backends.s3.S3Backend.open", lambda *_: None)


@pytest.mark.parametrize("start", ["INSTALLED_APPS +=", '"production": {', "def may_see"])
def test_settings(start: str, names: dict[str, Any], project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = settings_of(block("INSTALLED_APPS +="), names)
    if start != "INSTALLED_APPS +=":
        values |= settings_of(block(start), names)
    project(**values)
    assert found_by_checks() == []
    if start == "def may_see":
        assert OF_STARTPROJECT
        assert set(OF_STARTPROJECT) <= set(values["MIDDLEWARE"]), "the admin asks for some of them"
    assert Client().get("/media/homes/42/kitchen.jpg").content == b"kitchen"
    if start == "INSTALLED_APPS +=":
        run(block("media_stack().open("), names)
        production_has_nothing(monkeypatch)
        run(block("default_storage.save("), names)
        assert re.fullmatch(r"homes/42/kitchen_\w{7}\.jpg", names["name"])
    from mediamw.ext.django import media_stack

    assert [backend.name for backend in media_stack().backends] == ["local", "prod"]


def test_authorize_of_the_page(names: dict[str, Any], project: Any, media: Path) -> None:
    (media / "invoices").mkdir()
    (media / "invoices" / "1.txt").write_text("secret")
    project(
        **settings_of(block("def may_see"), names), SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"
    )
    assert Client().get("/media/a.txt").status_code == 200
    assert Client().get("/media/invoices/1.txt").status_code == 403


def test_wraps(names: dict[str, Any], project: Any) -> None:
    project(MIDDLEWARE=[])
    run(block("get_wsgi_application()"), names)
    assert call_wsgi(names["application"], "GET", "/media/a.txt").body == b"hello"
    run(block("get_asgi_application()"), names)
    got = asyncio.run(acall_asgi(lowered(names["application"]), "GET", "/media/a.txt"))
    assert got.body == b"hello"


@pytest.mark.parametrize("debug", [True, False])
def test_production(debug: bool, names: dict[str, Any], project: Any) -> None:
    names["DEBUG"] = debug
    run(block('{"enabled": DEBUG}'), names)
    project(MEDIAMW=names["MEDIAMW"])
    assert (Client().get("/media/a.txt").get("X-App") is None) is debug


@pytest.mark.parametrize("start", ["class NoMedia", "class LiveMedia"])
def test_tests(start: str, names: dict[str, Any], project: Any) -> None:
    project(MIDDLEWARE=[OURS])
    run(block(start), names)
    case = names[start.removeprefix("class ")]
    if start == "class LiveMedia":
        case.test_it = asks_the_live_server
        case.available_apps = None
    else:
        assert case.test_nothing_is_there
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


def asks_the_live_server(case: Any) -> None:
    """What lies in no MEDIA_ROOT, which Django's own handler for media would call missing."""
    from urllib.request import urlopen

    with override_settings(MEDIAMW={"backends": ["./other"]}):
        Path("other").mkdir()
        (Path("other") / "b.txt").write_text("other")
        with urlopen(f"{case.live_server_url}/media/b.txt", timeout=20) as answer:
            assert answer.read() == b"other"
        with urlopen(f"{case.live_server_url}/elsewhere", timeout=20) as answer:
            assert answer.read() == b"app: GET\n"


def test_names_with_a_dot(media: Path, project: Any) -> None:
    """An upload named ``.env`` is stored, and its link answered by nobody, but for the two ways out of the page."""
    from django.core.exceptions import ValidationError
    from django.core.files.base import ContentFile
    from django.core.validators import RegexValidator

    from mediamw.ext.django import MediaStorage

    (code,) = re.findall(r"^`(RegexValidator\(.*\))`\.", PAGE, re.MULTILINE)
    validator = eval(code, {"RegexValidator": RegexValidator})
    for name in ("uploads/.env", ".env"):
        with pytest.raises(ValidationError, match="may not start with a dot"):
            validator(name)
    validator("uploads/a.env")
    ours = {"MEDIA_ROOT": media, "MEDIA_URL": "/media/", "MIDDLEWARE": [OURS]}
    for allowed, status in (([], 404), ([".env"], 200)):
        project(**ours, MEDIAMW={"backends": [media], "allow_dotfiles": allowed, "on_miss": "404"})
        name = MediaStorage(names="replace").save("uploads/.env", ContentFile(b"x"))
        assert (name, Client().get(f"/media/{name}").status_code) == ("uploads/.env", status)


def test_every_block_is_run() -> None:
    source = Path(__file__).read_text("utf-8")
    starts = ["INSTALLED_APPS +=", "media_stack().open(", "default_storage.save(", '"production": {', "def may_see"]
    starts += ["get_wsgi_application()"]
    starts += ["get_asgi_application()", '{"enabled": DEBUG}', "class NoMedia", "class LiveMedia"]
    assert all(start in source for start in starts)
    assert [block(start) for start in starts] == BLOCKS
