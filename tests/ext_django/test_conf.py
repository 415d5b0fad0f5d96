"""What a project's settings come to: sources and their order, defaults, faults, and that it is read once."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, RequestFactory

from mediamw import ConfigError, MediaStack, MemoryBackend
from mediamw.core.errors import ConfigErrors
from mediamw.core.keys import Key
from mediamw.ext.django import MediaMiddleware, conf, media_stack
from mediamw.service import make_service

SYNC = conf.Entrance(can_await=False)
S3 = {
    "BACKEND": "storages.backends.s3.S3Storage",
    "OPTIONS": {"bucket_name": "acme", "access_key": "AK", "secret_key": "SK", "region_name": "eu-west-1"},
}
FILES = {"BACKEND": "django.core.files.storage.FileSystemStorage"}


def backends() -> list[str]:
    return [f"{one.name}={getattr(one, 'bucket', type(one).__name__)}" for one in media_stack().backends]


def faults() -> dict[str, tuple[str, str]]:
    """Return setting -> (source, reason)."""
    return {fault.setting: (fault.source, fault.reason) for fault in conf.configuration().faults}


def prefix() -> str:
    made = conf.service(SYNC)
    assert made is not None
    return made.prefix


def test_what_nobody_says_is_the_projects(project: Any, media: Path) -> None:
    project(MEDIA_URL="/files/")
    assert prefix() == "/files/"
    (backend,) = media_stack().backends
    assert (backend.name, getattr(backend, "root", None)) == ("local", str(media))
    assert media_stack().base_url == "/files/"


@pytest.mark.parametrize("how", ["setting", "environment", "file", "setting wins", "environment wins"])
def test_where_it_comes_from(how: str, project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "setting":
        project(MEDIAMW={"prefix": "/files/", "backends": ["memory:"]})
    elif how in ("environment", "environment wins"):
        monkeypatch.setenv("MEDIAMW_PREFIX", "/files/")
        monkeypatch.setenv("MEDIAMW_BACKENDS", "memory:")
    if how in ("file", "environment wins"):
        wrong = how == "environment wins"
        (tmp_path / "mediamw.toml").write_text(
            f'prefix = "/{"wrong" if wrong else "files"}/"\nbackends = ["{"./w" if wrong else "memory:"}"]\n'
        )
    if how == "setting wins":
        monkeypatch.setenv("MEDIAMW_PREFIX", "/wrong/")
        monkeypatch.setenv("MEDIAMW_BACKENDS", "./wrong")
        project(MEDIAMW={"prefix": "/files/", "backends": ["memory:"]})
    project(MEDIA_URL="/elsewhere/")  # read anew, with all of the above
    assert prefix() == "/files/"
    assert backends() == ["memory=MemoryBackend"]


@pytest.mark.parametrize(
    ("url", "force", "expected"),
    [
        ("/media/", None, "/media/"),
        ("media/", None, "/media/"),
        ("media/", "/shop", "/media/"),
        ("/shop/media/", "/shop", "/media/"),
        ("/shop/media/", "/shop/", "/media/"),
        ("/shopping/media/", "/shop", "/shopping/media/"),
        ("/a/b/", None, "/a/b/"),
        ("https://cdn.example.com/media/", None, "/media/"),
        ("//cdn.example.com/m/", None, "/m/"),
    ],
)
def test_the_prefix_is_that_of_media_url(url: str, force: str | None, expected: str, project: Any) -> None:
    project(MEDIA_URL=url, FORCE_SCRIPT_NAME=force)
    assert prefix() == expected


def test_a_relative_media_url_stays_unread(project: Any) -> None:
    """Django puts the script name before it when it is first read, and keeps that: a request has to be the first."""
    from django.conf import settings
    from django.urls import set_script_prefix

    project(MEDIA_URL="media/", STATIC_URL="static/")
    assert prefix() == "/media/"
    set_script_prefix("/shop/")
    try:
        assert settings.MEDIA_URL == "/shop/media/"
        assert settings.STATIC_URL == "/shop/static/"
    finally:
        set_script_prefix("/")


@pytest.mark.parametrize("url", ["", "https://cdn.example.com/", "/"])
def test_a_media_url_without_a_path_is_told(url: str, project: Any) -> None:
    project(MEDIA_URL=url)
    source, reason = faults()["prefix"]
    assert source == "settings.MEDIA_URL"
    assert "set MEDIA_URL = '/media/'" in reason


@pytest.mark.parametrize("url", ["/größe/", "https://[/media/"])
def test_a_media_url_that_is_no_prefix_is_told(url: str, project: Any) -> None:
    project(MEDIA_URL=url)
    assert faults()["prefix"][0] == "settings.MEDIA_URL"


@pytest.mark.parametrize(
    ("storages", "expected"),
    [
        ({"default": FILES}, ["local=LocalBackend"]),
        ({"default": FILES, "production": S3}, ["local=LocalBackend", "production=acme"]),
        ({"default": S3}, ["local=LocalBackend", "s3=acme"]),
        ({"default": FILES, "backups": S3}, ["local=LocalBackend"]),
        (
            {"default": {**S3, "OPTIONS": {**S3["OPTIONS"], "bucket_name": "dev"}}, "production": S3},
            ["local=LocalBackend", "production=acme"],
        ),
    ],
    ids=["none", "production", "default", "another", "both"],
)
def test_the_bucket_of_storages(storages: Any, expected: list[str], project: Any) -> None:
    project(STORAGES=storages)
    assert backends() == expected


def test_storages_knows_more_of_the_bucket_than_the_template(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_STORAGE_BUCKET_NAME", "acme")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")
    endpoint = "https://s3.example.com"
    project(STORAGES={"default": S3}, AWS_S3_ENDPOINT_URL=endpoint)
    assert getattr(media_stack().backends[1], "endpoint_url", None) == endpoint


def test_the_template_s_bucket_behind_media_root(project: Any, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_BUCKET_NAME", "of-the-template")
    project(MEDIA_URL="/m/")
    assert backends() == ["local=LocalBackend", "s3=of-the-template"]
    assert getattr(media_stack().backends[0], "root", None) == str(media)
    monkeypatch.setenv("MEDIAMW_LOCAL_DIR", "./elsewhere")
    project(MEDIA_URL="/media/")
    assert str(getattr(media_stack().backends[0], "root", None)).endswith("/elsewhere")


def test_a_production_that_cannot_be_loaded_is_told(project: Any) -> None:
    project(STORAGES={"default": FILES, "production": {"BACKEND": "nowhere.to.be.Found"}})
    assert "importing nowhere.to.be.Found raised ModuleNotFoundError" in faults()["backends.production"][1]


def test_without_media_root_there_is_nothing(project: Any) -> None:
    project(MEDIA_ROOT="")
    source, reason = faults()["backends"]
    assert source == "settings.MEDIA_ROOT"
    assert "set MEDIA_ROOT = BASE_DIR / 'media'" in reason


def test_a_media_root_is_a_path_and_no_spec(project: Any, tmp_path: Path) -> None:
    (tmp_path / "s3:").mkdir()
    project(MEDIA_ROOT="s3:/acme")
    assert backends() == ["local=LocalBackend"]


def test_all_faults_at_once(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMW_MAX_AGE", "long")
    project(MEDIAMW={"on_mis": "404", "prefix": "media", "backends": ["ftp://x", {"spec": "django:prod"}]})
    with pytest.raises(ConfigErrors) as caught:
        MediaMiddleware(lambda request: None)
    said = str(caught.value)
    for part in (
        "settings.MEDIAMW['on_mis']",
        "did you mean on_miss?",
        "settings.MEDIAMW['prefix']",
        "settings.MEDIAMW['backends'][0]",
        "environment variable MEDIAMW_MAX_AGE",
        "unknown alias of STORAGES 'prod'",
    ):
        assert part in said


def test_what_is_no_mapping_is_told(project: Any) -> None:
    project(MEDIAMW=["./media"])
    assert "list is no mapping: write MEDIAMW = {'backends'" in faults()["MEDIAMW"][1]


def test_options_reach_the_middleware(project: Any) -> None:
    project(MEDIAMW={"max_age": 60, "debug": True, "found_ttl": 5})
    answer = Client().get("/media/a.txt")
    assert answer["Cache-Control"] == "private, max-age=60"
    assert answer["X-Media-Backend"] == "local"


def test_override_settings_rebuilds_and_closes(project: Any, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[MediaStack] = []
    close = MediaStack.close
    monkeypatch.setattr(MediaStack, "close", lambda self: (closed.append(self), close(self)))
    client, first = Client(), media_stack()
    assert client.get("/media/a.txt").getvalue() == b"hello"
    project(MEDIAMW={"prefix": "/files/"})
    assert closed == [first]
    assert client.get("/files/a.txt").getvalue() == b"hello"
    assert client.get("/media/a.txt").headers["X-App"] == "yes"
    second = media_stack()
    project(MEDIAMW={"enabled": False})
    assert closed == [first, second]
    assert client.get("/media/a.txt").headers["X-App"] == "yes", "it was on when the client was made"
    project(DEBUG=False)
    assert conf._current is not None, "which is none of ours"


def test_a_stack_that_the_project_made_is_not_closed(project: Any) -> None:
    backend = MemoryBackend(name="mine")
    backend.put(Key("b.txt"), b"mine")
    closed: list[str] = []
    stack = MediaStack([backend])
    stack.close = lambda: closed.append("closed")  # type: ignore[method-assign]
    project(MEDIAMW={"backends": stack})
    assert media_stack() is stack
    assert Client().get("/media/b.txt").content == b"mine"
    project(MEDIAMW={"backends": ["memory:"]})
    assert closed == []


def test_it_is_made_once_by_whichever_thread(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    barrier = threading.Barrier(8)
    init = conf.Configuration.__init__

    def counted(self: conf.Configuration) -> None:
        made.append(self)
        init(self)

    def slowly(*args: Any, **kwargs: Any) -> Any:
        made_service = make_service(*args, **kwargs)
        time.sleep(0.05)  # while the others come
        return made_service

    monkeypatch.setattr(conf.Configuration, "__init__", counted)
    monkeypatch.setattr(conf, "make_service", slowly)
    project(MEDIAMW={"backends": ["memory:"]})
    found: list[object] = []

    def ask() -> None:
        barrier.wait(10)
        service = conf.service(SYNC)
        assert service is not None
        found.append((service, service.stack))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1
    assert len(found) == 8
    assert len(set(found)) == 1
    assert found[0] == (conf.service(SYNC), media_stack())


@pytest.mark.parametrize("how", ["setting", "environment"])
def test_switched_off_is_not_even_loaded(how: str, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.exceptions import MiddlewareNotUsed

    monkeypatch.setenv("MEDIAMW_ENABLED", "0" if how == "environment" else "1")
    project(MEDIAMW={"enabled": False, "backends": 5} if how == "setting" else {"backends": ["ftp://wrong"]})
    with pytest.raises(MiddlewareNotUsed):
        MediaMiddleware(lambda request: None)
    assert Client().get("/media/a.txt").headers["X-App"] == "yes"
    with pytest.raises(ConfigError, match="mediamw is switched off"):
        media_stack()


def test_without_the_app_it_says_that_nothing_is_checked(project: Any, caplog: pytest.LogCaptureFixture) -> None:
    MediaMiddleware(lambda request: None)
    assert "W009" not in caplog.text
    project(INSTALLED_APPS=["django.contrib.staticfiles"])
    MediaMiddleware(lambda request: None)
    assert "mediamw.W009: mediamw.ext.django is not in INSTALLED_APPS" in caplog.text


def test_a_bare_request_is_answered(project: Any) -> None:
    """Without a handler, and so without the signal that keeps the path as it was sent."""
    (Path("media") / "ü.txt").write_text("umlaut")
    middleware = MediaMiddleware(lambda request: "the app")
    assert middleware(RequestFactory().get("/media/ü.txt")).content == b"umlaut"
    assert middleware(RequestFactory().get("/")) == "the app"
