"""All storages below one prefix: answered as by a middleware of that storage alone, at both entrances."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from mediamw import ConfigError, ConfigErrors, InvalidKey, MediaStack, MemoryBackend, storages
from mediamw import asgi as plain_asgi
from mediamw import wsgi as plain_wsgi
from mediamw.service import MediaService
from mediamw.storages import Registry, Stored
from mediamw.storages import asgi as storages_asgi
from mediamw.storages import wsgi as storages_wsgi

from .fakes import Bucket, Local
from .http_table import ROWS, Row
from .http_table.callers import Response, acall_asgi, call_wsgi
from .http_table.check import Facts, faults
from .http_table.files import NOW, write_files
from .http_table.sites import SITES, local_files, memory_files, wrapped_asgi, wrapped_wsgi


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.clear()


class Both:
    """The two middlewares over one registry, with an app behind each unless ``app`` is False."""

    def __init__(self, registry: Registry | None, *, app: bool = True, **options: Any) -> None:
        self.wsgi = storages_wsgi.StoragesMiddleware(wrapped_wsgi if app else None, registry, **options)
        self.asgi = storages_asgi.StoragesMiddleware(wrapped_asgi if app else None, registry, **options)

    def __call__(self, target: str, method: str = "GET", headers: Any = (), mount: str = "") -> Response:
        by_wsgi = call_wsgi(self.wsgi, method, target, headers, mount=mount)
        by_asgi = asyncio.run(acall_asgi(self.asgi, method, target, headers, mount=mount))
        assert by_asgi == by_wsgi
        return by_wsgi


def with_files(**files: bytes) -> MediaStack:
    return MediaStack([MemoryBackend({name.replace("_", "."): data for name, data in files.items()})])


# -- the HTTP table ----------------------------------------------------------------------------------------------------

BELOW = [row for row in ROWS if row.path.startswith(SITES[row.site]().options.get("prefix", "/media/"))]
NAMES = ("shop", "faces", "prod~x")
"""A storage, an alias of it, and a name that it answers for."""


class House:
    """Every site of the table as one of several storages, and alone."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.runner = asyncio.Runner()
        self._made: dict[tuple[str, bool], Any] = {}

    def of(self, site: str, *, on_disk: bool) -> tuple[Both, dict[str, Any], dict[str, Any]]:
        """Return the middlewares of all storages, and by name those of that storage alone."""
        if (site, on_disk) not in self._made:
            self._made[site, on_disk] = self._new(site, on_disk)
        made: tuple[Both, dict[str, Any], dict[str, Any]] = self._made[site, on_disk]
        return made

    def _new(self, name: str, on_disk: bool) -> tuple[Both, dict[str, Any], dict[str, Any]]:
        site = SITES[name]()
        stack = MediaStack(site.backends(local_files(self._root) if on_disk else memory_files))
        registry = Registry()
        registry.configure("other", "memory:")
        registry.configure("shop", stack)
        registry.alias("faces", "shop")
        registry.remap({"prod~x": "faces"})
        rest = {option: value for option, value in site.options.items() if option != "prefix"}
        prefix = site.options.get("prefix", "/media/")
        wsgi, asgi = {}, {}
        for called in NAMES:
            own = {"prefix": f"{prefix}{called}/", **rest}
            wsgi[called] = plain_wsgi.MediaMiddleware(wrapped_wsgi if site.app else None, stack, **own)
            asgi[called] = plain_asgi.MediaMiddleware(wrapped_asgi if site.app else None, stack, **own)
        return Both(registry, app=site.app, **site.options), wsgi, asgi


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(write_files(tmp_path_factory.mktemp("table")))
    yield made
    made.runner.close()


def without_timings(got: Response) -> Response:
    """Timings are measured, so no two are alike."""
    headers = tuple((name, "..." if name == "server-timing" else value) for name, value in got.headers)
    return Response(got.status, headers, got.body)


@pytest.mark.parametrize("row", BELOW, ids=lambda row: row.id)
def test_the_whole_table(row: Row, house: House) -> None:
    prefix = SITES[row.site]().options.get("prefix", "/media/")
    for on_disk in (True,) if row.disk_only else (True, False):
        both, wsgi, asgi = house.of(row.site, on_disk=on_disk)
        for name in NAMES:
            path = f"{prefix}{name}/{row.path[len(prefix) :]}"
            with mock.patch("time.time", return_value=NOW + 0.5):
                facts = Facts.of(call_wsgi(wsgi[name], "GET", path))
                headers = facts.fill(row.headers)
                answer = call_wsgi(wsgi[name], row.method, path, headers)
                assert faults(row, answer) == [], "the row is of another prefix"
                wanted = without_timings(answer)
                for _ in range(2):  # the plan may be kept
                    assert without_timings(call_wsgi(both.wsgi, row.method, path, headers)) == wanted
                for app in (asgi[name], both.asgi):
                    got = house.runner.run(acall_asgi(app, row.method, path, headers))
                    assert without_timings(got) == wanted


def test_only_an_event_loop_may_not_wait(registry: Registry) -> None:
    registry.configure("shop", with_files(a_jpg=b"a"))
    both, waited = Both(registry), []
    both("/media/shop/a.jpg")

    def at_once(_: Any, *arguments: Any, waits: bool) -> None:
        waited.append(waits)

    with mock.patch.object(MediaService, "at_once", at_once):
        both("/media/shop/a.jpg")
    assert waited == [True, False], "by WSGI, by ASGI"


# -- names -------------------------------------------------------------------------------------------------------------


def test_an_alias_counts_at_once(registry: Registry) -> None:
    registry.configure("local", with_files(a_txt=b"of local"))
    registry.configure("s3", with_files(a_txt=b"of s3"))
    registry.alias("docs", "local")
    both = Both(registry)
    for _ in range(3):
        for target in ("local", "s3"):
            registry.alias("docs", target)
            assert both("/media/docs/a.txt").body == f"of {target}".encode()
            registry.remap({"prod": target})
            assert both("/media/prod/a.txt").body == f"of {target}".encode()
            assert both("/media/local/a.txt").body == b"of local", "what rows name stays where it is"


def test_storages_that_come_and_go(registry: Registry) -> None:
    both = Both(registry)
    assert both("/media/late/a.txt").status == 404
    registry.configure("late", with_files(a_txt=b"late"))
    assert both("/media/late/a.txt").body == b"late"
    registry.clear()
    assert both("/media/late/a.txt").status == 404
    registry.configure("late", with_files(a_txt=b"another"))
    assert both("/media/late/a.txt").body == b"another"


def test_a_placeholder_is_read_when_the_middleware_is_made(registry: Registry, tmp_path: Path) -> None:
    """Services are made by the requests that need them first: no file may be read there, and be missing."""
    image = tmp_path / "none.png"
    image.write_bytes(b"an image")
    ask = Both(registry, on_miss="placeholder", placeholder=image)
    image.unlink()
    registry.configure("local", with_files(a_txt=b"a"))
    assert ask("/media/local/a.txt").body == b"a"
    assert ask("/media/local/nobody.png").body == b"an image"


@pytest.mark.parametrize(
    "path",
    ["nobody/a.txt", "Local/a.txt", "local", "nobody", "", "local/", "loc%61l%2500/a", "%2e%2e/local/a.txt",
     "/local/a.txt",
     "%ff/a.txt", "local%00/a.txt", "%6cocal", "nobody/"],
)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"on_miss": "placeholder"}, {"app": False}])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_is_nobody_is_404(path: str, options: dict[str, Any], method: str, registry: Registry) -> None:
    registry.configure("local", with_files(a_txt=b"here"))
    got = Both(registry, **options)(f"/media/{path}", method)
    assert got.status == 404
    assert got.get("x-app") is None, "the app is not asked"
    assert got.get("cache-control") == "no-store"
    assert got.get("content-type") == "text/plain; charset=utf-8", "no picture either: it is refused, not missing"


@pytest.mark.parametrize(("path", "is_app"), [("/", True), ("/media", True), ("/mediax/local/a.txt", True)])
def test_what_is_the_app_s(path: str, is_app: bool, registry: Registry) -> None:
    registry.configure("local", with_files(a_txt=b"here"))
    both = Both(registry)
    assert both(path).get("x-app") == "yes"
    assert both("/media/local/a.txt", "POST").get("x-app") == "yes"
    assert both("/media/nobody/a.txt", "PUT").get("x-app") == "yes"
    assert both("/media/local/missing.txt").get("x-app") == "yes", "on_miss is 'app'"
    assert Both(registry, on_miss="404")("/media/local/missing.txt").status == 404
    assert Both(registry, app=False)("/media/local/missing.txt").status == 404


def test_without_a_registry_it_is_the_process_s_own() -> None:
    storages.configure("own", with_files(a_txt=b"own"))
    try:
        assert Both(None)("/media/own/a.txt").body == b"own"
    finally:
        storages.clear()


NAME_TEXTS = ["local", "a.b", "bücher", "a%2Fb", "what?", "no#1", "写真", "~x", "a+b", "a&b;c"]


@pytest.mark.parametrize("name", NAME_TEXTS)
@pytest.mark.parametrize("key", ["a.txt", "ünï çødé.jpg", "100%25.jpg", "dir/what?.jpg", "a+b#c.jpg"])
@pytest.mark.parametrize("mount", ["", "/shop"])
def test_urls(name: str, key: str, mount: str, registry: Registry) -> None:
    registry.configure(name, MediaStack([MemoryBackend({key: b"found"})]))
    both = Both(registry)
    text = str(Stored.of(f"{name}/{key}"))
    path = both.wsgi.url_for(text)
    assert path == both.asgi.url_for(Stored.of(text)) == both.wsgi.url_for(Stored.of(text))
    assert path.isascii()
    assert both(path, mount=mount).body == b"found"


def test_urls_of_other_prefixes_and_of_what_is_switched_off(registry: Registry) -> None:
    assert Both(registry, prefix="/files/m/").wsgi.url_for("a/b c.txt") == "/files/m/a/b%20c.txt"
    assert Both(registry, enabled=False).asgi.url_for("a/b.txt") == "/media/a/b.txt"


@pytest.mark.parametrize(("text", "error"), [("a b/c", ConfigError), ("name", InvalidKey), ("a/../b", InvalidKey)])
def test_no_urls(text: str, error: type[Exception], registry: Registry) -> None:
    with pytest.raises(error):
        Both(registry).wsgi.url_for(text)


# -- options -----------------------------------------------------------------------------------------------------------


def test_switched_off(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.configure("local", with_files(a_txt=b"here"))
    assert Both(registry, enabled=False)("/media/local/a.txt").get("x-app") == "yes"
    monkeypatch.setenv("MEDIAMW_ENABLED", "0")
    assert Both(registry)("/media/local/a.txt").get("x-app") == "yes"


@pytest.mark.parametrize("kind", [storages_wsgi.StoragesMiddleware, storages_asgi.StoragesMiddleware])
def test_mistakes_are_told_when_it_is_made(kind: Any, registry: Registry) -> None:
    app = wrapped_wsgi if kind is storages_wsgi.StoragesMiddleware else wrapped_asgi
    for options, text in (
        ({"max_age": "3"}, "max_age"),
        ({"prefix": "media"}, "prefix"),
        ({"prefix": "/"}, "prefix"),
        ({"on_mis": "app"}, "did you mean on_miss"),
        ({"names": "error"}, "is the stack's"),
        ({"placeholder": "nowhere.png"}, "placeholder"),
    ):
        with pytest.raises(ConfigError, match=text):
            kind(app, registry, **options)
    with pytest.raises(ConfigErrors) as caught:
        kind(app, registry, max_age="3", prefix="media")
    assert len(caught.value.faults) == 2
    with pytest.raises(ConfigError, match="app"):
        kind([], registry)


def test_async_authorize_is_for_asgi(registry: Registry) -> None:
    async def authorize(request: Any, stored: str) -> bool:
        return True

    storages_asgi.StoragesMiddleware(wrapped_asgi, registry, authorize=authorize)
    with pytest.raises(ConfigError, match="WSGI cannot await it"):
        storages_wsgi.StoragesMiddleware(wrapped_wsgi, registry, authorize=authorize)


def judging(answers: dict[str, Any], asked: list[Any]) -> Callable[[Any, str], Any]:
    def authorize(request: Any, stored: str) -> Any:
        asked.append((type(request), stored))
        return answers.get(stored, 403)

    return authorize


def test_authorize_is_told_what_rows_have(registry: Registry) -> None:
    registry.configure("private", with_files(a_txt=b"private"))
    registry.configure("layered", with_files(a_txt=b"layered"))
    registry.alias("docs", "private")
    registry.remap({"prod": "layered"})
    registry.alias("theirs", "prod")
    asked: list[Any] = []
    both = Both(registry, authorize=judging({"layered/a.txt": True, "prod/a.txt": True}, asked))
    for name, status, told in (
        ("private", 403, "private"),
        ("docs", 403, "private"),
        ("layered", 200, "layered"),
        ("prod", 200, "prod"),
        ("theirs", 200, "prod"),
    ):
        assert both(f"/media/{name}/a.txt").status == status
        assert {stored for _, stored in asked} == {f"{told}/a.txt"}
        assert {kind for kind, _ in asked} == {dict}, "the environ, the scope"
        asked.clear()
    assert both("/media/nobody/a.txt").status == both("/media/docs/../a.txt").status == 404
    assert asked == []


def test_authorize_may_be_awaited(registry: Registry) -> None:
    registry.configure("local", with_files(a_txt=b"here", b_txt=b"no"))

    async def authorize(scope: Any, stored: str) -> Any:
        await asyncio.sleep(0)
        return True if stored == "local/a.txt" else 404

    app = storages_asgi.StoragesMiddleware(None, registry, authorize=authorize)
    assert asyncio.run(acall_asgi(app, "GET", "/media/local/a.txt")).body == b"here"
    assert asyncio.run(acall_asgi(app, "GET", "/media/local/b.txt")).status == 404


def test_redirects_and_outages_are_those_of_the_storage(registry: Registry) -> None:
    registry.configure("s3", MediaStack([Local("local"), Bucket("bucket", {"a.jpg": b"x"})]))
    both = Both(registry)
    for _ in range(3):
        got = both("/media/s3/a.jpg")
        assert got.status == 302
        assert "bucket" in (got.get("location") or "")


# -- one service for each stack ----------------------------------------------------------------------------------------


def test_one_service_for_each_stack(registry: Registry) -> None:
    registry.configure("local", with_files(a_txt=b"here"))
    registry.alias("docs", "local")
    both = Both(registry)
    service: Any = both.wsgi.service
    kept = service._found("local/a.txt")[0].service
    assert service._found("docs/a.txt")[0].service is kept
    registry.configure("other", with_files(a_txt=b"there"))
    registry.alias("docs", "other")
    assert service._found("local/a.txt")[0].service is kept, "what it has learned is not forgotten"
    assert service._found("docs/a.txt")[0].service is not kept


def test_while_names_change(registry: Registry) -> None:
    """Whoever asks sees the names before a change or after it, and every stack keeps its one service."""
    stacks = {name: with_files(a_txt=name.encode()) for name in ("one", "two", "three")}
    for name, stack in stacks.items():
        registry.configure(name, stack)
    registry.alias("docs", "one")
    both = Both(registry)
    made: list[MediaStack] = []
    make = both.wsgi.service._make  # type: ignore[union-attr]
    both.wsgi.service._make = lambda stack: (made.append(stack), make(stack))[1]  # type: ignore[union-attr]
    over, wrong = threading.Event(), list[Any]()

    def ask() -> None:
        while not over.is_set():
            for name in (*stacks, "docs"):
                got = call_wsgi(both.wsgi, "GET", f"/media/{name}/a.txt")
                if got.status != 200 or (name != "docs" and got.body != name.encode()):
                    wrong.append((name, got))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(400):
        registry.alias("docs", list(stacks)[number % 3])
        registry.remap({"prod": "docs"} if number % 2 else {})
    over.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(made) == len(set(map(id, made))) == 3


def test_a_registry_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match="registry: list is no Registry"):
        Both(["./media"])  # type: ignore[arg-type]  # that is the test
