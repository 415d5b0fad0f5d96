"""The system checks: each fires when it should, and is silent when it should be; none of them asks a network."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test.utils import setup_test_environment, teardown_test_environment

from mediamw.ext.django.checks import IDS, check_settings
from mediamw.settings.faults import IDS as FAULTS

from .middlewares import OURS

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "django.md").read_text("utf-8")
S3 = {
    "BACKEND": "storages.backends.s3.S3Storage",
    "OPTIONS": {"bucket_name": "acme", "access_key": "AK", "secret_key": "the-secret-of-it"},
}
FILES = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"


def __getattr__(name: str) -> Any:
    from django.contrib.auth.middleware import AuthenticationMiddleware
    from django.middleware.common import CommonMiddleware

    from mediamw.ext.django import MediaMiddleware

    kinds = {"OwnAuth": AuthenticationMiddleware, "OwnCommon": CommonMiddleware, "OwnMedia": MediaMiddleware}
    if name not in kinds:
        raise AttributeError(name)
    return type(name, (kinds[name],), {})


def may_see(request: Any, key: str) -> bool:
    return True


def bucket(**more: Any) -> Any:
    return {"spec": "s3://acme", "name": "prod", "access_key_id": "AK", "secret_access_key": "the-secret-of-it", **more}


FALLBACK = {"default": {"BACKEND": "mediamw.ext.django.FallbackStorage"}}
TO_FILES = {"STORAGES": FALLBACK, "FALLBACK_STORAGES": ["django.core.files.storage.FileSystemStorage"]}


def own_stack(*backends: Any) -> Any:
    return {"default": {**OURS_FIRST["default"], "OPTIONS": {"backends": list(backends)}}}


def ours(**options: Any) -> Any:
    return {"default": {**OURS_FIRST["default"], "OPTIONS": options}}


OURS_FIRST: dict[str, Any] = {"default": {"BACKEND": "mediamw.ext.django.MediaStorage"}}
OTHER = {"backends": ["./other"]}
ASKS = {"authorize": may_see}
RIGHT: dict[str, Any] = {}
# id, settings with which it fires, settings that are near and right
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("E001", {"MEDIAMW": {"on_mis": "404"}}, {"MEDIAMW": {"on_miss": "404"}}),
    ("E001", {"MEDIAMW_PREFIX": "/media/"}, {"MEDIAMW_PREFIX": "/media/", "MEDIAMW": {"prefix": "/media/"}}),
    ("E001", {"MEDIAMW_BACKENDS": ["media", bucket()]}, {"MEDIAMW": {"backends": ["media"]}}),
    ("E004", {"MEDIA_ROOT": ""}, {"MEDIA_ROOT": "media"}),
    ("E006", {"MEDIAMW": {"prefix": "media"}}, {"MEDIAMW": {"prefix": "/media/"}}),
    ("E006", {"MEDIA_URL": ""}, {"MEDIA_URL": "media/"}),
    ("E006", {"MEDIAMW": {"enabled": "yes"}}, {"MEDIAMW": {"enabled": True}}),
    ("E007", {"MEDIAMW": {"backends": ["media", "django:nobody"]}}, {"MEDIAMW": {"backends": ["media", "memory:"]}}),
    ("E011", {"MEDIAMW": {"authorize": "nowhere:f"}}, {"MEDIAMW": {"authorize": "os.path:join"}}),
    (
        "E014",
        {"STORAGES": {"default": FILES, "production": {**S3, "OPTIONS": {"buckt": "x"}}}},
        {"STORAGES": {"default": FILES, "production": S3}},
    ),
    ("E101", {"STATIC_URL": "/media/static/"}, {"STATIC_URL": "/static/"}),
    ("E101", {"STATIC_URL": "/media/"}, {"STATIC_URL": "/mediastatic/"}),
    ("E101", {"STATIC_URL": "/a/", "MEDIA_URL": "/a/media/"}, {"STATIC_URL": "/a/static/", "MEDIA_URL": "/a/media/"}),
    ("E101", {"STATIC_URL": "media/"}, {"STATIC_URL": "static/"}),
    ("E101", {"STATIC_URL": "/shop/media/", "FORCE_SCRIPT_NAME": "/shop"}, {"STATIC_URL": "https://cdn.example.com/media/"}),
    ("E101", {"STATIC_URL": "/media/"}, {"STATIC_URL": None}),
    ("W001", {"MEDIAMW": {"prefix": "/files/"}}, {"MEDIAMW": {"prefix": "/files/"}, "MEDIA_URL": "/files/"}),
    ("W001", {"MEDIAMW": {"prefix": "/m/"}, "MEDIA_URL": ""}, {"MEDIAMW": {"prefix": "/m/"}, "MEDIA_URL": "/shop/m/"}),
    ("W002", {"MEDIA_URL": "https://cdn.example.com/media/"}, {"MEDIA_URL": "/media/"}),
    ("W002", {"MEDIA_URL": "//cdn.example.com/media/"}, {"MEDIA_URL": "media/"}),
    ("W003", {"MEDIAMW": {"backends": [bucket(), "media"]}}, {"MEDIAMW": {"backends": ["media", bucket()]}}),
    ("W003", {"MEDIAMW": {"backends": [bucket()]}, "MEDIA_ROOT": ""}, {"MEDIAMW": {"backends": ["memory:"]}}),
    ("W004", {"MEDIAMW": {"backends": ["./other", "media"]}}, {"MEDIAMW": {"backends": ["./media/../media"]}}),
    ("W004", {"MEDIAMW": {"backends": ["./other"]}}, {"MEDIAMW": {"backends": ["./other"]}, "MEDIA_ROOT": ""}),
    ("W003", {"STORAGES": OURS_FIRST, "MEDIAMW": {"backends": [bucket()]}}, {"STORAGES": OURS_FIRST, "MEDIAMW": OTHER}),
    ("E102", {"STORAGES": FALLBACK, "FALLBACK_STORAGES": []}, TO_FILES),
    ("E103", {"STORAGES": ours(names="sufix")}, {"STORAGES": ours(names="shadow")}),
    ("E103", {"STORAGES": ours(name="shadow")}, {"STORAGES": ours(direct_urls=True)}),
    ("E103", {"STORAGES": ours(names="error", allow_overwrite=True)}, {"STORAGES": ours(allow_overwrite=True)}),
    ("W003", {"STORAGES": own_stack(bucket())}, {"STORAGES": own_stack("media", bucket())}),
    ("W004", {"MEDIAMW": OTHER}, {"STORAGES": OURS_FIRST, "MEDIAMW": OTHER}),
    ("W004", {"STORAGES": own_stack("./other")}, {"STORAGES": own_stack("./media")}),
    ("E007", {"STORAGES": own_stack("django:default")}, {"STORAGES": OURS_FIRST}),
    ("E007", {"STORAGES": OURS_FIRST, "MEDIAMW": {"backends": ["media", "django:default"]}}, {"STORAGES": OURS_FIRST}),
    ("W005", {"MEDIAMW": ASKS, "MIDDLEWARE": [OURS, AUTH]}, {"MEDIAMW": ASKS, "MIDDLEWARE": [AUTH, OURS]}),
    ("W005", {"MEDIAMW": ASKS, "MIDDLEWARE": [OURS, AUTH]}, {"MIDDLEWARE": [OURS, AUTH]}),
    ("W005", {"MEDIAMW": ASKS, "MIDDLEWARE": [OURS, f"{__name__}.OwnAuth"]}, {"MEDIAMW": ASKS, "MIDDLEWARE": [OURS]}),
    (
        "W005",
        {"MEDIAMW": ASKS, "MIDDLEWARE": [AUTH], "WSGI_APPLICATION": "wrapped_shop.wsgi.application"},
        {"MIDDLEWARE": [AUTH], "WSGI_APPLICATION": "wrapped_shop.wsgi.application"},
    ),
    (
        "W006",
        {"STORAGES": {"default": S3}, "MEDIAMW": {"backends": ["media", bucket()]}},
        {"STORAGES": {"default": FILES, "production": S3}, "MEDIAMW": {"backends": ["media", bucket()]}},
    ),
    ("W006", {"STORAGES": {"default": S3}}, {"STORAGES": {"default": FILES, "production": S3}}),
    (
        "W006",
        {"STORAGES": {"default": S3, "production": {**S3, "OPTIONS": {**S3["OPTIONS"], "location": "up"}}}},
        {"STORAGES": {"default": {**S3, "OPTIONS": {**S3["OPTIONS"], "bucket_name": "dev"}}, "production": S3}},
    ),
    (
        "W006",
        {"STORAGES": {"default": S3}, "MEDIAMW": {"backends": ["media", bucket()]}},
        {
            "STORAGES": {"default": {**S3, "OPTIONS": {**S3["OPTIONS"], "endpoint_url": "http://minio:9000"}}},
            "MEDIAMW": {"backends": ["media", bucket()]},
        },
    ),
    ("W007", {"DEBUG": False}, {"DEBUG": True}),
    ("W007", {"DEBUG": False}, {"DEBUG": False, "MEDIAMW": {"enabled": True}}),
    ("W007", {"DEBUG": False}, {"DEBUG": False, "MEDIAMW": {"enabled": False}}),
    ("W008", {"MIDDLEWARE": [COMMON]}, {"MIDDLEWARE": [f"{__name__}.OwnMedia", COMMON]}),
    (
        "W008",
        {"MIDDLEWARE": [], "WSGI_APPLICATION": "plain_shop.wsgi.application", "ROOT_URLCONF": "nowhere.urls"},
        {"MIDDLEWARE": [], "WSGI_APPLICATION": "wrapped_shop.wsgi.application"},
    ),
    ("W008", {"MIDDLEWARE": ["no.such.Thing"]}, {"MIDDLEWARE": [], "ROOT_URLCONF": "wrapped_shop.urls"}),
    *(("W010", {"MIDDLEWARE": [name, OURS]}, {"MIDDLEWARE": [OURS, name]}) for name in (COMMON, CONDITIONAL, LOCALE)),
    ("W011", {"MIDDLEWARE": [OURS, COMMON, f"{__name__}.OwnMedia"]}, {"MIDDLEWARE": [OURS, COMMON]}),
    (
        "W011",
        {"WSGI_APPLICATION": "wrapped_shop.wsgi.application"},
        {"WSGI_APPLICATION": "wrapped_shop.wsgi.application", "MIDDLEWARE": [COMMON]},
    ),
    ("W010", {"MIDDLEWARE": [f"{__name__}.OwnCommon", OURS]}, {"MIDDLEWARE": ["no.such.Thing", GZIP, OURS]}),
]  # fmt: skip


@pytest.fixture(autouse=True)
def shops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project whose wsgi.py wraps, and one whose does not: neither may be imported, only read."""
    for name, source in (("wrapped_shop", "application = mediamw.ext.django.wrap(app)"), ("plain_shop", "app = 1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
        (tmp_path / name / "wsgi.py").write_text(f"raise SystemExit\n{source}\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a check asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def found() -> list[str]:
    return [str(message.id).removeprefix("mediamw.") for message in check_settings()]


def test_a_right_project_is_silent(project: Any) -> None:
    project()
    assert check_settings() == []


@pytest.mark.parametrize(("number", "wrong", "right"), CASES, ids=[f"{at}-{case[0]}" for at, case in enumerate(CASES)])
def test_check(number: str, wrong: dict[str, Any], right: dict[str, Any], project: Any) -> None:
    project(**wrong)
    assert number in found()
    for message in check_settings():
        assert message.hint
        assert "the-secret-of-it" not in f"{message.msg} {message.hint}"
        assert message.is_serious() == message.id.startswith("mediamw.E")
    project(**{"MEDIAMW": {}, "MEDIA_URL": "/media/", "MIDDLEWARE": [OURS], "FORCE_SCRIPT_NAME": None, **right})
    assert number not in found()


def test_all_that_is_wrong_at_once(project: Any) -> None:
    project(MEDIAMW={"on_mis": "404", "prefix": "/files/", "max_age": -1}, MIDDLEWARE=[], DEBUG=False)
    assert set(found()) == {"E001", "E006", "W001", "W007", "W008"}


def test_the_middleware_of_others_in_middlewares_place(project: Any) -> None:
    project(MIDDLEWARE=["mediamw.wsgi.MediaMiddleware"], ROOT_URLCONF="nowhere.urls")
    (message,) = check_settings()
    assert message.hint == f"Write '{OURS}' in the place of 'mediamw.wsgi.MediaMiddleware'."


def test_no_media_root_says_how_it_is_set(project: Any) -> None:
    project(MEDIA_ROOT="")
    (message,) = check_settings()
    assert "set MEDIA_ROOT = BASE_DIR / 'media'" in message.msg


def test_what_is_not_set_comes_from_nowhere(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("STORAGES_MODE", "do"), ("STORAGE_BUCKET_NAME", "acme")):
        monkeypatch.setenv(name, text)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    project()
    hints = {message.hint for message in check_settings() if message.id == "mediamw.E012"}
    assert hints == {"It is not set; docs/configuration.md has every setting."}


def test_switched_off_nothing_is_checked(project: Any) -> None:
    project(MEDIAMW={"enabled": False, "on_mis": 1, "backends": ["ftp://x"]}, MIDDLEWARE=[], MEDIA_URL="")
    assert check_settings() == []


@pytest.mark.parametrize("debug", [True, False])
def test_the_test_runner_takes_debug_back(debug: bool, project: Any) -> None:
    project(DEBUG=debug)
    setup_test_environment(debug=False)
    try:
        assert not settings.DEBUG
        assert found() == ([] if debug else ["W007"])
    finally:
        teardown_test_environment()


def test_manage_py_check_runs_them(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    project(MEDIAMW={"backends": ["media", bucket(region="eu-west-1"), "https://www.example.com/media/"], "on_mis": 1})
    with pytest.raises(SystemCheckError, match=r"mediamw\.E001.*unknown setting 'on_mis'; did you mean on_miss"):
        call_command("check")
    project(SILENCED_SYSTEM_CHECKS=["mediamw.E001"])
    call_command("check")
    assert "1 silenced" in capsys.readouterr().out
    project(MEDIAMW={"backends": ["media", bucket(region="eu-west-1"), "https://www.example.com/media/"]})
    call_command("check", "--deploy", "--tag", "mediamw")
    assert [message.id for message in run_checks(tags=["mediamw"], include_deployment_checks=True)] == []


def test_every_id_is_documented_and_raised_by_a_test() -> None:
    table = dict(re.findall(r"^\| `(mediamw\.[EW]\d+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert table == IDS
    source = (HERE.parents[1] / "mediamw" / "ext" / "django" / "checks.py").read_text("utf-8")
    used = {f"mediamw.{number}" for number in re.findall(r'_warning\("(W\d+)"', source)}
    used |= set(re.findall(r'id="(mediamw\.\w+)"', source))
    assert used | {"mediamw.W009"} == set(IDS), "W009 is logged: see test_conf.py"
    assert not set(IDS) & set(FAULTS)
    assert {f"mediamw.{case[0]}" for case in CASES} >= set(IDS) - {"mediamw.W009"}
    assert "mediamw.W009" in (HERE / "test_conf.py").read_text("utf-8")


def test_fallback_storage_that_uploads_elsewhere(project: Any, media: Path) -> None:
    elsewhere = ["django.core.files.storage.InMemoryStorage", *TO_FILES["FALLBACK_STORAGES"]]
    project(STORAGES=FALLBACK, MEDIAMW={"backends": [str(media)]}, FALLBACK_STORAGES=elsewhere)
    (told,) = [message for message in check_settings() if message.id == "mediamw.W004"]
    assert "begin with the first of FALLBACK_STORAGES" in str(told.hint)
