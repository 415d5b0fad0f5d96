"""The middleware in DEPOT's place, at both entrances: what it answers, and where it differs from DEPOT's on purpose."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediamw import ConfigError, MediaStack
from mediamw.ext.depot.errors import DepotError
from mediamw.ext.depot.fields.upload import UploadedFile
from mediamw.ext.depot.io.boto3 import ReadOnlyDepotBucket
from mediamw.ext.depot.io.local import DepotDirectory
from mediamw.ext.depot.manager import DepotManager
from mediamw.ext.depot.middleware import MAX_AGE_SECONDS, DepotASGIMiddleware, DepotMiddleware
from mediamw.testing import StrictS3

from .http_table.callers import Response, acall_asgi, call_wsgi
from .http_table.sites import wrapped_asgi, wrapped_wsgi
from .s3.s3_world import fetch

DATA = b"0123456789"
NOBODY = "0a9c8ee6-3d0c-11f1-9d0e-0242ac120002"


@pytest.fixture(autouse=True)
def storage(tmp_path: Path) -> Iterator[Any]:
    DepotManager._clear()
    yield DepotManager.configure("files", {"depot.storage_path": str(tmp_path / "depot")})
    DepotManager._clear()


class Both:
    """Both middlewares around an app that answers 200 with ``X-App`` in its headers or body."""

    def __init__(self, **options: Any) -> None:
        self.wsgi = DepotMiddleware(wrapped_wsgi, **options)
        self.asgi = DepotASGIMiddleware(wrapped_asgi, **options)

    def __call__(self, target: str, method: str = "GET", headers: Any = (), mount: str = "") -> Response:
        by_wsgi = call_wsgi(self.wsgi, method, target, headers, mount=mount)
        by_asgi = asyncio.run(acall_asgi(self.asgi, method, target, headers, mount=mount))
        assert by_asgi == by_wsgi
        return by_wsgi


APP = call_wsgi(wrapped_wsgi, "GET", "/somewhere")


def test_a_file(storage: Any) -> None:
    file_id = storage.create(DATA, "Крупный план.txt")
    answer = Both()(f"/depot/files/{file_id}")
    assert (answer.status, answer.body) == (200, DATA)
    assert answer.get("content-type") == "text/plain; charset=utf-8"
    assert answer.get("cache-control") == f"private, max-age={MAX_AGE_SECONDS}"
    assert answer.get("expires") is None
    assert answer.get("last-modified") is not None
    encoded = "%D0%9A%D1%80%D1%83%D0%BF%D0%BD%D1%8B%D0%B9%20%D0%BF%D0%BB%D0%B0%D0%BD.txt"
    assert str(answer.get("content-disposition")).endswith(f"; filename*=utf-8''{encoded}")
    head = Both()(f"/depot/files/{file_id}", "HEAD")
    assert (head.headers, head.body) == (answer.headers, b"")


def test_ranges_and_conditions(storage: Any) -> None:
    ask, path = Both(), f"/depot/files/{storage.create(DATA)}"
    whole = ask(path)
    part = ask(path, headers=[("Range", "bytes=2-4")])
    assert (part.status, part.body, part.get("content-range")) == (206, b"234", "bytes 2-4/10")
    assert ask(path, headers=[("Range", "bytes=10-")]).status == 416
    for header in (("If-None-Match", whole.get("etag")), ("If-Modified-Since", whole.get("last-modified"))):
        same = ask(path, headers=[header])
        assert (same.status, same.body) == (304, b"")
    assert ask(path, headers=[("If-None-Match", f'"other", {whole.get("etag")}')]).status == 304, "DEPOT reads one"
    assert ask(path, headers=[("If-Match", '"other"')]).status == 412


@pytest.mark.parametrize("date", ["HELLO WORLD", "", "Thu, 32 Jan 1970 00:00:00 GMT", "9" * 400])
def test_a_date_that_is_none_is_ignored(storage: Any, date: str) -> None:
    answer = Both()(f"/depot/files/{storage.create(DATA)}", headers=[("If-Modified-Since", date)])
    assert (answer.status, answer.body) == (200, DATA)


@pytest.mark.parametrize(
    "target",
    [
        "/depot",
        "/depot/",
        "/depot/files",
        "/depot/files/",
        "/depot/nobody",
        f"/depot/nobody/{NOBODY}",
        f"/depot/files/{NOBODY}",
        "/depot/files/hello",
        f"/depot//files/{NOBODY}",
        "/depot/files/../../etc/passwd",
        "/depot/files/%2e%2e%2fsecret",
        "/depot/../secret",
        "/depot/files/.mediamw/x",
        "/depot/files/{id}/file",
        "/depot/files/{id}/metadata.json",
        "/depot/files/{id}%00",
        "/depot/x/files/{id}",
    ],
)
def test_what_is_not_there_is_404_and_never_the_apps(storage: Any, target: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    answer = Both()(target.replace("{id}", storage.create(DATA)))
    assert answer.status == 404
    assert b"secret" not in answer.body
    assert answer.get("cache-control") == "no-store"


def test_what_is_the_apps(storage: Any) -> None:
    ask, path = Both(), f"/depot/files/{storage.create(DATA)}"
    for target in ("/", "/depotskipped", "/x/depot/files/a"):
        assert ask(target).body == APP.body
    assert ask(path, "POST").body == b"app: POST\n"


def test_a_mountpoint(storage: Any) -> None:
    ask, file_id = Both(mountpoint="/hello/lfs", cache_max_age=60), storage.create(DATA)
    assert ask.wsgi.url_for(f"files/{file_id}") == ask.asgi.url_for(f"files/{file_id}") == f"/hello/lfs/files/{file_id}"
    answer = ask(f"/hello/lfs/files/{file_id}", mount="/site")
    assert (answer.body, answer.get("cache-control")) == (DATA, "private, max-age=60")
    assert ask.wsgi.url_for("f#les?/50%") == "/hello/lfs/f%23les%3F/50%25"
    assert DepotMiddleware(None, "/depot/").url_for("a/b") == "/depot/a/b"
    for mountpoint in ("hello", "", "/"):
        with pytest.raises(ValueError, match="mountpoint"):
            Both(mountpoint=mountpoint)
    for age in ("60", -1, True):
        with pytest.raises(ValueError, match=r"^cache_max_age: .* is not a whole number of seconds"):
            Both(cache_max_age=age)
    with pytest.raises(ConfigError, match="unknown option 'cache_max_agee'; did you mean cache_max_age"):
        Both(cache_max_agee=3)
    with pytest.raises(ConfigError, match="unknown option 'mountpont'; did you mean mountpoint"):
        Both(mountpont="/hello")


@pytest.mark.parametrize("by", ["option", "environment"])
def test_switched_off_it_is_the_apps(storage: Any, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "environment":
        monkeypatch.setenv("MEDIAMW_ENABLED", "0")
    path = f"/depot/files/{storage.create(DATA)}"
    ask = Both(**({"enabled": False} if by == "option" else {}))
    assert ask(path).body == APP.body
    assert ask("/depot").body == APP.body


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prefix": "/x/"}, r"^prefix: .*mountpoint"),
        ({"max_age": 60}, r"^max_age: .*cache_max_age"),
        ({"mountpoint": "/a b"}, "^mountpoint: '/a b/' holds characters that a URL path has to quote"),
        ({"mountpoint": "/a/../b"}, r"^mountpoint: .* a dot segment"),
        ({"mountpoint": "/médias"}, "^mountpoint: "),
    ],
)
def test_options_that_would_be_two_answers_or_none(options: dict[str, Any], says: str) -> None:
    for made, app in ((DepotMiddleware, wrapped_wsgi), (DepotASGIMiddleware, wrapped_asgi)):
        with pytest.raises(DepotError, match=says):
            made(app, **options)  # type: ignore[arg-type]


def test_an_app_that_is_none_or_speaks_the_other_way() -> None:
    for made, other in ((DepotMiddleware, wrapped_asgi), (DepotASGIMiddleware, wrapped_wsgi)):
        for app in ("app", other):
            with pytest.raises(ConfigError, match=r"^app: "):
                made(app)  # type: ignore[arg-type]


def test_aliases_and_names_of_production(storage: Any) -> None:
    ask, file_id = Both(), storage.create(DATA)
    for name in ("avatars", "s3_avatars"):
        assert ask(f"/depot/{name}/{file_id}").status == 404
    DepotManager.alias("avatars", "files")
    DepotManager.remap({"s3_avatars": "files"})
    for name in ("avatars", "s3_avatars"):
        assert ask(f"/depot/{name}/{file_id}").body == DATA


def test_two_managers_in_a_process(storage: Any, tmp_path: Path) -> None:
    class Reports(DepotManager):
        pass

    report = Reports.configure("files", {"depot.storage_path": str(tmp_path / "reports")}).create(b"a report")
    app = Reports.make_middleware(DepotManager.make_middleware(None), mountpoint="/reports")
    assert call_wsgi(app, "GET", Reports.url_for(f"files/{report}")).body == b"a report"
    assert call_wsgi(app, "GET", DepotManager.url_for(f"files/{report}")).status == 404
    assert call_wsgi(app, "GET", DepotManager.url_for(f"files/{storage.create(DATA)}")).body == DATA


def test_asgi_by_the_manager(storage: Any) -> None:
    app = DepotManager.make_middleware(wrapped_asgi, interface="asgi")
    assert isinstance(app, DepotASGIMiddleware)
    path = DepotManager.url_for(f"files/{storage.create(DATA)}")
    assert asyncio.run(acall_asgi(app, "GET", path)).body == DATA


def test_who_may_see_it(storage: Any) -> None:
    file_id = storage.create(DATA)
    DepotManager.alias("avatars", "files")
    asked: list[str] = []

    def authorize(_: object, key: str) -> object:
        asked.append(key)
        return 403

    assert Both(authorize=authorize)(f"/depot/avatars/{file_id}").status == 403
    assert asked == [f"files/{file_id}"] * 2


@pytest.mark.parametrize("replaces", [True, False])
def test_a_servers_file_wrapper(storage: Any, replaces: bool) -> None:
    wrapped: list[Any] = []

    def wrapper(file: Any, _: int = 0) -> Any:
        wrapped.append(file)
        return file

    data = DATA * 20_000  # small ones are in memory
    app = DepotMiddleware(None, replace_wsgi_filewrapper=replaces)
    answer = call_wsgi(app, "GET", f"/depot/files/{storage.create(data)}", file_wrapper=wrapper)
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(data).digest()
    assert bool(wrapped) is not replaces


# Buckets


@pytest.fixture
def s3() -> Iterator[StrictS3]:
    pytest.importorskip("moto")
    with StrictS3(keys={"AKID": "secret"}, read_only_keys={"AKRO": "secret"}) as server:
        server.create_bucket("prod")
        yield server


def options(s3: StrictS3, key: str = "AKID") -> dict[str, Any]:
    return {"access_key_id": key, "secret_access_key": "secret", "endpoint_url": s3.endpoint}


def test_a_bucket_is_a_redirect_with_a_signature_that_is_alive(s3: StrictS3) -> None:
    config = {"backend": "depot.io.boto3.S3Storage", "bucket": "prod", "policy": "private", **options(s3)}
    DepotManager.configure("s3", {f"depot.{name}": value for name, value in config.items()})
    DepotManager.make_middleware(None)
    file = UploadedFile(DATA, "s3")
    answer = Both()(file.url)
    assert (answer.status, answer.body, answer.get("cache-control")) == (302, b"", "no-store")
    location = str(answer.get("location"))
    assert "X-Amz-Signature" in location
    assert fetch(location) == (200, DATA)
    assert s3.calls[-1].auth == "query"
    head = Both()(file.url, "HEAD")
    assert fetch(str(head.get("location")), "HEAD") == (200, b"")
    unsigned = location.partition("?")[0]
    assert fetch(unsigned)[0] == 403, "what DEPOT redirects to"
    assert file["_public_url"] is None
    assert Both()(f"/depot/s3/{NOBODY}").status == 404


def test_a_row_of_production_over_its_bucket(s3: StrictS3, tmp_path: Path) -> None:
    prefix = "avatars/"
    metadata = {"x-depot-filename": "home.jpg", "x-depot-modified": "2020-01-01 00:00:00"}
    s3.put("prod", prefix + NOBODY, b"production's", content_type="image/jpeg", metadata=metadata)
    lower = ReadOnlyDepotBucket("prod", prefix=prefix, **options(s3, "AKRO"))
    stack = MediaStack([DepotDirectory(tmp_path / "dev"), lower])
    DepotManager.registry.configure("layered", stack)
    DepotManager.remap({"s3_avatars": "layered"})
    DepotManager.make_middleware(None)
    row = UploadedFile({"depot_name": "s3_avatars", "file_id": NOBODY, "_public_url": "https://prod.example/x"})
    with row.file as stored:
        assert (stored.read(), stored.filename) == (b"production's", "home.jpg")
    answer = Both()(row.url)
    assert answer.status == 302
    assert fetch(str(answer.get("location"))) == (200, b"production's")
    new = UploadedFile(b"dev's", "s3_avatars")
    assert new.depot_name == "layered"
    assert Both()(new.url).body == b"dev's"
    row.depot.delete(row.file_id)
    assert Both()(row.url).status == 404
    assert s3.writes == []
    assert [*s3.objects("prod")] == [prefix + NOBODY]


def test_a_layered_bucket_by_depots_configuration(
    s3: StrictS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID", "AKRO")
    monkeypatch.setenv("MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY", "secret")
    s3.put("prod", f"avatars/{NOBODY}", b"production's")
    s3.put("prod", f"media-{NOBODY}", b"another's")
    for prefix, data in (("avatars/", b"production's"), ("media-", b"another's")):
        specs = f"depot:{tmp_path}/dev prod=depot+s3://prod/{prefix}?endpoint_url={s3.endpoint}"
        storage = DepotManager.configure(prefix[:5], {"depot.backends": specs})
        with storage.get(NOBODY) as stored:
            assert stored.read() == data
        assert storage.create(b"x") in storage.list()
    assert s3.writes == []
    with pytest.raises(DepotError, match=r"depot.backends: .*writable|upper|lower"):
        DepotManager.configure("bad", {"depot.backends": f"depot:{tmp_path}/dev depot+s3://prod?writable=true"})
