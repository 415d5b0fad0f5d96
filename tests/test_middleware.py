"""The two entrances themselves: what passes through, where they are mounted, and which thread does the work."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from mediamw import BackendUnavailable, ConfigError, ConfigErrors, LocalBackend, MediaStack, MemoryBackend, S3Backend
from mediamw import asgi as asgi_side
from mediamw import wsgi as wsgi_side
from mediamw.backends.base import Remote, SignedURL
from mediamw.core.keys import Key
from mediamw.core.model import Meta
from mediamw.stack.steps import Pool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "big.bin").write_bytes(b"x" * 200_000)
    return tmp_path


class Recorder:
    """An app of either kind that keeps what reached it."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def wsgi(self, environ: Any, start_response: Any) -> list[bytes]:
        self.calls.append((environ, dict(environ), start_response))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"the app"]

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls.append((scope, dict(scope), receive, send))


class Bucket:
    """A remote backend in memory that notes which thread asked it."""

    name = "bucket"

    def __init__(self, *keys: str, broken: bool = False) -> None:
        self.keys = set(keys)
        self.broken = broken
        self.threads: list[str] = []

    def open(self, key: Key) -> Remote | None:
        self.threads.append(threading.current_thread().name)
        if self.broken:
            raise BackendUnavailable("gone fishing", backend=self.name)
        return Remote(Meta(5)) if key in self.keys else None

    def can_sign(self, now: float) -> bool:
        return True

    def prepare(self) -> None:
        raise AssertionError("not needed")

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        return SignedURL(f"https://bucket.test/{key}?signed-for={method}", now + 60)


NOT_OURS = [
    ("POST", "/media/a.txt"),
    ("GET", "/media"),
    ("GET", "/mediax/a.txt"),
    ("GET", "/"),
    ("OPTIONS", "/media/a.txt"),
]


@pytest.mark.parametrize(("method", "path"), [*NOT_OURS, ("GET", "/media/missing.txt"), ("HEAD", "/media/missing.txt")])
def test_wsgi_passes_on_what_is_not_ours_untouched(folder: Path, method: str, path: str) -> None:
    app = Recorder()
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "HTTP_RANGE": "bytes=0-1"}
    before = dict(environ)

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        return lambda data: None

    body = wsgi_side.MediaMiddleware(app.wsgi, [str(folder)])(environ, start_response)
    assert body == [b"the app"]
    [(seen, content, called)] = app.calls
    assert seen is environ
    assert content == before
    assert called is start_response


@pytest.mark.parametrize(("method", "path"), [*NOT_OURS, ("GET", "/media/missing.txt")])
def test_asgi_passes_on_what_is_not_ours_untouched(folder: Path, method: str, path: str) -> None:
    _asgi_passes(folder, {"type": "http", "method": method, "path": path, "headers": [(b"range", b"bytes=0-1")]})


@pytest.mark.parametrize("kind", ["lifespan", "websocket", "something-new"])
def test_asgi_passes_on_other_scopes_untouched(folder: Path, kind: str) -> None:
    _asgi_passes(folder, {"type": kind, "path": "/media/a.txt", "headers": []})


def _asgi_passes(folder: Path, scope: dict[str, Any]) -> None:
    app = Recorder()
    before = dict(scope)

    async def receive() -> Any:
        raise AssertionError("the middleware has no business reading what is the app's")

    async def send(message: Any) -> None:
        raise AssertionError("nothing was sent by the app")

    asyncio.run(asgi_side.MediaMiddleware(app.asgi, [str(folder)])(scope, receive, send))
    [(seen, content, seen_receive, seen_send)] = app.calls
    assert seen is scope
    assert content == before
    assert (seen_receive, seen_send) == (receive, send)


def test_not_enabled_is_a_pure_pass_through(folder: Path) -> None:
    app = Recorder()
    middleware = wsgi_side.MediaMiddleware(app.wsgi, ["no-such-kind://at-all"], enabled=False)
    assert Client(middleware).get("/media/a.txt").data == b"the app"
    assert asgi_side.MediaMiddleware(app.asgi, ["no-such-kind://at-all"], enabled=False).service is None


def test_wsgi_mounts(folder: Path) -> None:
    """The prefix counts from SCRIPT_NAME: the app that is wrapped is the one that lives there."""
    inner = wsgi_side.MediaMiddleware(Recorder().wsgi, [str(folder)])
    client = Client(DispatcherMiddleware(Recorder().wsgi, {"/shop": inner}))
    assert client.get("/shop/media/a.txt").data == b"hello"
    assert client.get("/media/a.txt").data == b"the app"


async def _ask(app: Any, path: str, root_path: str = "") -> tuple[int, bytes]:
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "root_path": root_path, "headers": []}
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize(
    ("path", "root_path", "status"),
    [
        ("/media/a.txt", "", 200),
        ("/shop/media/a.txt", "/shop", 200),  # as the ASGI document has it
        ("/media/a.txt", "/shop", 200),  # as some servers and proxies have it
        ("/shop/media/a.txt", "", 404),
        ("/shopmedia/a.txt", "/shop", 404),
        ("/media/a.txt", "/media", 404),  # mounted at /media: there is no /media/media/a.txt here
        ("/media/media/a.txt", "/media", 200),
    ],
)
def test_asgi_mounts(folder: Path, path: str, root_path: str, status: int) -> None:
    app = asgi_side.MediaMiddleware(None, [str(folder)])
    assert asyncio.run(_ask(app, path, root_path))[0] == status


def test_starlette_s_own_middleware_and_mount(folder: Path) -> None:
    def home(request: Any) -> PlainTextResponse:
        return PlainTextResponse("home")

    shop = Starlette(
        routes=[Route("/", home)], middleware=[Middleware(asgi_side.MediaMiddleware, backends=[str(folder)])]
    )
    assert asyncio.run(_ask(shop, "/media/a.txt")) == (200, b"hello")
    assert asyncio.run(_ask(shop, "/")) == (200, b"home")
    assert asyncio.run(_ask(shop, "/media/none.txt"))[0] == 404
    mounted = Starlette(routes=[Mount("/shop", shop)])
    assert asyncio.run(_ask(mounted, "/shop/media/a.txt")) == (200, b"hello")
    assert asyncio.run(_ask(mounted, "/media/a.txt"))[0] == 404


def test_asgi_standing_alone_has_a_lifespan(folder: Path) -> None:
    messages = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> Any:
        return {"type": next(messages)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(asgi_side.MediaMiddleware(None, [str(folder)])({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.usefixtures("roots_believed")
def test_a_small_warm_file_costs_no_thread_under_asgi(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = asgi_side.MediaMiddleware(None, [str(folder)])
    asyncio.run(_ask(app, "/media/a.txt"))  # warm; and the first file tells whether the disk folds names

    def submit(*args: Any) -> Any:
        raise AssertionError("a thread was asked")

    with monkeypatch.context() as patch:
        patch.setattr(Pool, "submit", submit)
        assert asyncio.run(_ask(app, "/media/a.txt")) == (200, b"hello")
        memory = asgi_side.MediaMiddleware(None, MediaStack([MemoryBackend({"a.txt": b"hello"})]))
        assert asyncio.run(_ask(memory, "/media/a.txt")) == (200, b"hello")
    status, body = asyncio.run(_ask(app, "/media/big.bin"))
    assert (status, len(body)) == (200, 200_000)


def test_what_may_wait_is_done_by_threads_under_asgi(folder: Path) -> None:
    """A network by its own pool; a backend that does not say that it can answer at once by the disk's."""
    main = threading.current_thread().name
    bucket = Bucket("b.txt")
    slow = Bucket("a.txt")
    slow.name = "slow"

    class Plain:
        name = "plain"

        def open(self, key: Key) -> Any:
            slow.threads.append(threading.current_thread().name)
            return LocalBackend(folder).open(key)

    app = asgi_side.MediaMiddleware(None, MediaStack([Plain(), bucket]))
    assert asyncio.run(_ask(app, "/media/b.txt"))[0] == 302
    assert asyncio.run(_ask(app, "/media/a.txt")) == (200, b"hello")
    assert [name.rpartition("_")[0] for name in bucket.threads] == ["mediamw-network-bucket"]
    assert {name.rpartition("_")[0] for name in slow.threads} == {"mediamw-disk"}
    assert main not in slow.threads


def test_cold_files_are_read_by_threads_under_asgi(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the dentry or the page cache does not have comes from the disk pool, and is the same answer."""
    from mediamw.backends.base import LATER
    from mediamw.backends.local import LocalHandle

    app = asgi_side.MediaMiddleware(None, [str(folder)])
    threads: list[str] = []
    chunks, opened = LocalHandle.chunks, LocalBackend.open
    monkeypatch.setattr(LocalHandle, "read_now", lambda self, start, stop: None)

    def noted_chunks(self: LocalHandle, start: int, stop: int) -> Any:
        threads.append(threading.current_thread().name)
        return chunks(self, start, stop)

    def noted_open(self: LocalBackend, key: Key) -> Any:
        threads.append(threading.current_thread().name)
        return opened(self, key)

    monkeypatch.setattr(LocalHandle, "chunks", noted_chunks)
    assert asyncio.run(_ask(app, "/media/a.txt")) == (200, b"hello")
    monkeypatch.setattr(LocalBackend, "open", noted_open)
    monkeypatch.setattr(LocalBackend, "open_now", lambda self, key: LATER)
    assert asyncio.run(_ask(app, "/media/a.txt")) == (200, b"hello")
    assert len(threads) == 3
    assert all(name.startswith("mediamw-disk") for name in threads)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_outage_is_503_and_one_line_a_minute(method: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Client(wsgi_side.MediaMiddleware(None, MediaStack([MemoryBackend(), Bucket(broken=True)])))
    for _ in range(3):
        answer = app.open("/media/x.jpg", method=method)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert answer.headers["Cache-Control"] == "no-store"
    assert [record.getMessage() for record in caplog.records] == ["backend 'bucket': gone fishing"]


def test_a_mistake_of_ours_is_503_and_a_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        name = "broken"

        def open(self, key: Key) -> Any:
            raise ZeroDivisionError("a mistake")

    answer = Client(wsgi_side.MediaMiddleware(None, MediaStack([Broken()]))).get("/media/x.jpg")
    assert (answer.status_code, answer.data) == (503, b"503 Service Unavailable\n")
    status, body = asyncio.run(_ask(asgi_side.MediaMiddleware(None, MediaStack([Broken()])), "/media/x.jpg"))
    assert (status, body) == (503, b"503 Service Unavailable\n")
    assert len(caplog.records) == 2
    assert all(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


class Gate(Bucket):
    """A bucket whose answers wait until the gate is opened."""

    def __init__(self, *keys: str, broken: bool = False) -> None:
        super().__init__(*keys, broken=broken)
        self.asked, self.gate = threading.Event(), threading.Event()

    def open(self, key: Key) -> Remote | None:
        self.asked.set()
        assert self.gate.wait(10)
        return super().open(key)


async def _until(event: threading.Event) -> None:
    while not event.is_set():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("broken", [False, True])
def test_a_client_that_leaves_takes_nobody_s_answer_along(broken: bool, caplog: pytest.LogCaptureFixture) -> None:
    bucket = Gate("a.jpg", broken=broken)
    app = asgi_side.MediaMiddleware(None, MediaStack([MemoryBackend(), bucket]))

    async def run() -> tuple[int, bytes]:
        leaves = asyncio.ensure_future(_ask(app, "/media/a.jpg"))
        stays = asyncio.ensure_future(_ask(app, "/media/a.jpg"))
        await _until(bucket.asked)
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        bucket.gate.set()
        return await stays

    assert asyncio.run(run())[0] == (503 if broken else 302)
    assert len(bucket.threads) == 1
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_a_file_that_is_opened_for_a_client_that_left_is_closed(folder: Path) -> None:
    opened: list[Any] = []
    asked, gate, closed = threading.Event(), threading.Event(), threading.Event()

    class Slow:
        name = "slow"

        def open(self, key: Key) -> Any:
            asked.set()
            assert gate.wait(10)
            handle: Any = LocalBackend(folder).open(key)
            opened.append(handle)
            close = handle.close

            class Noted:
                meta = handle.meta

                def close(self) -> None:
                    close()
                    closed.set()

            return Noted()

    app = asgi_side.MediaMiddleware(None, MediaStack([Slow()]))

    async def run() -> None:
        leaves = asyncio.ensure_future(_ask(app, "/media/a.txt"))
        await _until(asked)
        leaves.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaves
        gate.set()
        await asyncio.wait_for(_until(closed), 10)

    asyncio.run(run())
    assert len(opened) == 1


def test_a_queued_look_up_that_nobody_waits_for_is_never_made() -> None:
    """A flood of clients that give up leaves nothing behind: not for the origin, and not for the end of the process."""
    bucket = Gate()
    stack = MediaStack([MemoryBackend(), bucket])
    app = asgi_side.MediaMiddleware(None, stack)

    async def run() -> None:
        tasks = [asyncio.ensure_future(_ask(app, f"/media/{number}.jpg")) for number in range(100)]
        await _until(bucket.asked)
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        bucket.gate.set()

    asyncio.run(run())
    stack.close()
    assert len(bucket.threads) <= 16


def test_a_dead_lower_does_not_take_the_threads_of_a_healthy_one() -> None:
    """Each backend has its own: staging hangs until the deadline, and production answers all the same."""
    staging, production = Gate(), Bucket(*(f"{number}.jpg" for number in range(40)))
    staging.name = "staging"
    app = asgi_side.MediaMiddleware(None, MediaStack([MemoryBackend(), staging, production], deadline=0.2))

    async def run() -> list[tuple[int, bytes]]:
        return await asyncio.gather(*(_ask(app, f"/media/{number}.jpg") for number in range(40)))

    try:
        assert {status for status, _ in asyncio.run(run())} == {302}
    finally:
        staging.gate.set()


def test_a_remote_backend_that_answers_an_open_file_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    """Its answers are shared by all who wait: the first to finish would close the file of the others."""

    class Confused(Bucket):
        def open(self, key: Key) -> Any:
            return MemoryBackend({"a.txt": b"hello"}).open(key)

    app = asgi_side.MediaMiddleware(None, MediaStack([MemoryBackend(), Confused()]))
    assert asyncio.run(_ask(app, "/media/a.txt"))[0] == 503
    assert "has to answer Remote or None" in caplog.text


def test_empty_pieces_of_a_handle_do_not_end_the_body() -> None:
    from mediamw.core.model import Meta

    class Handle:
        meta = Meta(200_000, None, '"a"')

        def chunks(self, start: int, stop: int) -> Any:
            yield from (b"x" * 100_000, b"", b"x" * 100_000, b"")

        def close(self) -> None:
            pass

    class Pieces:
        name = "pieces"

        def open(self, key: Key) -> Any:
            return Handle()

    stack = MediaStack([Pieces()])
    assert Client(wsgi_side.MediaMiddleware(None, stack)).get("/media/a.bin").data == b"x" * 200_000
    assert asyncio.run(_ask(asgi_side.MediaMiddleware(None, stack), "/media/a.bin")) == (200, b"x" * 200_000)


def test_the_root_as_prefix_is_for_media_alone(folder: Path) -> None:
    """For mounting: ``Mount("/media", MediaMiddleware(None, ["./media"], prefix="/"))``."""
    alone = asgi_side.MediaMiddleware(None, [str(folder)], prefix="/")
    mounted = Starlette(routes=[Mount("/files", alone)])
    assert asyncio.run(_ask(mounted, "/files/a.txt")) == (200, b"hello")
    assert asyncio.run(_ask(mounted, "/files/"))[0] == 404
    assert Client(wsgi_side.MediaMiddleware(None, [str(folder)], prefix="/")).get("/a.txt").data == b"hello"
    with pytest.raises(ConfigError, match="prefix: '/' leaves nothing to the app"):
        wsgi_side.MediaMiddleware(Recorder().wsgi, [str(folder)], prefix="/")


def test_alone_a_missing_file_says_who_was_asked(folder: Path) -> None:
    answer = Client(wsgi_side.MediaMiddleware(None, [str(folder)], debug=True)).get("/media/none.txt")
    assert (answer.status_code, answer.headers["X-Media-Backend"]) == (404, "none")
    assert "local;dur=" in answer.headers["Server-Timing"]


def test_a_placeholder_stands_for_what_cannot_be_told_too() -> None:
    app = wsgi_side.MediaMiddleware(None, MediaStack([MemoryBackend(), Bucket(broken=True)]), on_miss="placeholder")
    answer = Client(app).get("/media/x.jpg")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert Client(app).get("/media/x.pdf").headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((["./media"],), {"on_mis": "404"}, "did you mean on_miss"),
        ((["./media"],), {"enabled": "false"}, "mediamw.E006 enabled (keyword enabled): 'false' is neither"),
        ((["./media"],), {"debug": 1}, "debug (keyword debug): 1 is neither"),
        ((["./media"],), {"nonsense": 1}, "mediamw.E001 nonsense (keyword nonsense): unknown setting 'nonsense'"),
        ((["./media"],), {"allow_dotfiles": ".x/"}, "allow_dotfiles (keyword allow_dotfiles): give a list"),
        ((["./media"],), {"prefix": None}, "prefix (keyword prefix): None"),
        ((["./media"],), {"media_types": {1: "a/b"}}, "media_types (keyword media_types): 1"),
        ((["./media"],), {"media_types": {".x": None}}, "media_types (keyword media_types): None"),
        (("./media",), {}, "mediamw.E007 backends (keyword backends): str is no list: give a list, such as"),
        ((MemoryBackend(),), {}, "MemoryBackend is no list: give a list, such as"),
        ((None,), {}, "backends (not set): there are none: give a list, "),
        ((), {}, "backends (not set): there are none: give a list, "),
        ((lambda environ, start_response: [],), {}, "function is no list: give a list, such as"),
        (([],), {}, "mediamw.E004 backends (keyword backends): the list is empty: name at least one"),
    ],
)
def test_mistakes_are_named(arguments: Any, options: Any, said: str) -> None:
    app: Any
    middleware: Any
    for middleware, app in ((wsgi_side, Recorder().wsgi), (asgi_side, Recorder().asgi)):
        with pytest.raises(ConfigError, match=re.escape(said)):
            middleware.MediaMiddleware(app, *arguments, **options)


class Callable3:
    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return Recorder().asgi(scope, receive, send)


def test_apps_that_cannot_be_wrapped() -> None:
    wrap_wsgi: Any = wsgi_side.MediaMiddleware
    wrap_asgi: Any = asgi_side.MediaMiddleware
    for app in (Recorder().asgi, Starlette(), wrap_asgi(None, ["memory:"])):
        with pytest.raises(ConfigError, match=r"it speaks ASGI, .*: from mediamw.asgi import MediaMiddleware"):
            wrap_wsgi(app, ["memory:"])
    for app in (Recorder().wsgi, Flask("x"), wrap_wsgi(None, ["memory:"])):
        with pytest.raises(ConfigError, match=r"it speaks WSGI, .*: from mediamw.wsgi import MediaMiddleware"):
            wrap_asgi(app, ["memory:"])
    for wrap in (wrap_wsgi, wrap_asgi):
        for missing in (["memory:"], MediaStack([MemoryBackend()])):
            with pytest.raises(ConfigError, match="the app comes first"):
                wrap(missing)
    for app in (Callable3(), Callable3().__call__, lambda *_: None, min):  # which may be ASGI
        wrap_asgi(app, ["memory:"])


def test_all_mistakes_are_told_at_once() -> None:
    sides: Any = ((wsgi_side.MediaMiddleware, Recorder().wsgi), (asgi_side.MediaMiddleware, Recorder().asgi))
    for middleware, app in sides:
        with pytest.raises(ConfigErrors) as caught:
            middleware(app, ["./media", "ftp://x", "s3://acme?regoin=eu"], prefix="/media", max_aeg=1)
        found = [(fault.id[-4:], fault.setting, fault.source) for fault in caught.value.faults]
        assert sorted(found) == [
            ("E001", "max_aeg", "keyword max_aeg"),
            ("E006", "prefix", "keyword prefix"),
            ("E007", "backends.ftp", "keyword backends[1]"),
            ("E007", "backends.s3", "keyword backends[2]"),
        ]


def test_with_backends_in_code_their_secrets_count_and_no_other_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = {"MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID": "AKPROD", "MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY": "its-secret"}
    others = {"MEDIAMW_BACKEND_QA_ACCESS_KEY_ID": "AK", "MEDIAMW_PREFIX": "media", "MEDIAMW_NONSENSE": "1"}
    for name, text in {**secret, **others}.items():
        monkeypatch.setenv(name, text)
    for middleware in (wsgi_side.MediaMiddleware, asgi_side.MediaMiddleware):
        app = middleware(None, ["memory:", "prod=s3://acme?region=eu-west-1"])
        assert app.service is not None
        assert app.service.prefix == "/media/"
        prod = app.service.stack.backends[1]
        assert isinstance(prod, S3Backend)
        assert "AKPROD" in prod.sign(Key("a.jpg"), "GET", 1e9).url
        with pytest.raises(ConfigErrors, match=r"E009.*MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID.*takes no such secret"):
            middleware(None, ["memory:", "prod=https://www.example.com/"])
    monkeypatch.delenv("MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigErrors, match=r"E007 backends\.prod .*one is missing"):
        wsgi_side.MediaMiddleware(None, ["memory:", "prod=s3://acme?region=eu-west-1"])


def test_a_generator_of_specs_is_a_list_too(folder: Path) -> None:
    app = wsgi_side.MediaMiddleware(None, (spec for spec in [str(folder)]))
    assert Client(app).get("/media/a.txt").data == b"hello"


@pytest.mark.parametrize(
    "options", [{"base_url": "/media"}, {"found_ttl": "x"}, {"missing_ttl": -1}, {"deadline": float("inf")}]
)
def test_mistakes_of_a_stack_are_named(options: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{next(iter(options))}: "):
        MediaStack([MemoryBackend()], **options)
