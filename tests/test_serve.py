"""`mediamw serve`: a real server in a process of its own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mediamw.cli import main
from mediamw.cli.loading import interface_of, load_app
from mediamw.core.errors import ConfigError

pytest.importorskip("granian", reason="pip install 'mediamw[serve]'")

APPS = """
    import asyncio

    started = []

    def wsgi(environ, start_response):
        if environ["PATH_INFO"] == "/boom":
            raise RuntimeError("the app broke")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"wsgi {environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()]

    async def asgi(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                started.append(message["type"])
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        body = f"asgi {scope['method']} {scope['path']} {','.join(started)}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    class Site:
        def __call__(self, environ, start_response):
            return wsgi(environ, start_response)

    class AsyncSite:
        async def __call__(self, scope, receive, send):
            await asgi(scope, receive, send)

    def make():
        return AsyncSite()

    number = 3
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an app and some media, as the working directory."""
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.txt").write_text("hello")
    (tmp_path / "serve_apps.py").write_text(textwrap.dedent(APPS))
    (tmp_path / "serve_broken.py").write_text("import a_module_that_nobody_has\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def serving(
    *args: str, stop: int = signal.SIGTERM, backends: tuple[str, ...] = ("--backend", "./media")
) -> Iterator[tuple[str, int]]:
    """Run the command, give (the line it printed, the port), and see it exit with 0 at the end."""
    command = [sys.executable, "-m", "mediamw", "serve", "--port", "0", *backends, *args]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate(timeout=10)[1]
        yield line, int(line.split("http://")[1].split("/")[0].rpartition(":")[2])
        process.send_signal(stop)
        rest, errors = process.communicate(timeout=10)
        assert process.returncode == 0, errors
        assert rest == "", "one line, and no more"
    finally:
        process.kill()
        process.wait()


def get(port: int, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_standing_alone(project: Path) -> None:
    with serving("--debug") as (line, port):
        assert line == f"mediamw serve: http://127.0.0.1:{port}/ (no app; media below /media/, from local)\n"
        status, headers, body = get(port, "/media/a.txt")
        assert (status, body, headers["x-media-backend"]) == (200, b"hello", "local")
        assert get(port, "/media/none.txt")[0] == 404
        assert get(port, "/elsewhere")[0] == 404
        status, headers, _ = get(port, "/media/a.txt", "DELETE")
        assert (status, headers["allow"]) == (405, "GET, HEAD")
        assert (project / "media" / "a.txt").exists()


@pytest.mark.parametrize("target", ["serve_apps:wsgi", "serve_apps:asgi"])
def test_by_the_settings(project: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    """The worker is a process of its own, and reads them too."""
    (project / "mediamw.toml").write_text("prefix = '/m/'\nadd_headers = 'serve_rules:add'")
    (project / "serve_rules.py").write_text("def add(key, status):\n    return {'X-Key': key}\n")
    monkeypatch.setenv("MEDIAMW_BACKENDS", "disk=./media memory:")
    with serving("--debug", target, backends=()) as (line, port):
        assert line == f"mediamw serve: http://127.0.0.1:{port}/ (media below /m/, from disk, then memory)\n"
        status, headers, body = get(port, "/m/a.txt")
        assert (status, body, headers["x-media-backend"], headers["x-key"]) == (200, b"hello", "disk", "a.txt")
        assert get(port, "/media/a.txt")[2].startswith(target[-4:].encode() + b" GET /media/a.txt")
    with serving("--prefix", "/n/", target, backends=()) as (line, port):
        assert get(port, "/n/a.txt")[2] == b"hello"


def test_switched_off(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMW_ENABLED", "0")
    with serving("serve_apps:wsgi") as (line, port):
        assert line == f"mediamw serve: http://127.0.0.1:{port}/ (mediamw is switched off by its settings)\n"
        assert get(port, "/media/a.txt")[2].startswith(b"wsgi GET /media/a.txt")


@pytest.mark.parametrize(
    ("target", "speaks"),
    [("serve_apps:wsgi", b"wsgi"), ("serve_apps:Site()", b"wsgi"), ("serve_apps:asgi", b"asgi")],
)
def test_around_an_app(project: Path, target: str, speaks: bytes) -> None:
    with serving("--backend", "memory:", "--prefix", "/files/", target) as (line, port):
        assert line == f"mediamw serve: http://127.0.0.1:{port}/ (media below /files/, from local, then memory)\n"
        assert get(port, "/files/a.txt")[2] == b"hello"
        assert get(port, "/files/none.txt")[2].startswith(speaks + b" GET /files/none.txt")
        assert get(port, "/", "POST")[2].startswith(speaks + b" POST /")
        if speaks == b"asgi":
            assert get(port, "/")[2].endswith(b"lifespan.startup"), "the app's lifespan was passed through"


def test_an_error_of_the_app_is_told(project: Path) -> None:
    command = [sys.executable, "-m", "mediamw", "serve", "--port", "0", "--backend", "./media", "serve_apps:wsgi"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2].split("/")[0])
        assert get(port, "/boom")[0] == 500
        process.terminate()
        assert "the app broke" in process.communicate(timeout=15)[1]
    finally:
        process.kill()
        process.wait()


def test_ctrl_c_is_a_clean_exit(project: Path) -> None:
    with serving(stop=signal.SIGINT) as (_, port):
        assert get(port, "/media/a.txt")[0] == 200


def test_exit_with_a_connection_kept_open(project: Path) -> None:
    connection = None
    try:
        with serving() as (_, port):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/media/a.txt")
            assert connection.getresponse().read() == b"hello"
    finally:
        if connection is not None:
            connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("target", [[], ["serve_apps:wsgi"], ["serve_apps:asgi"]], ids=["alone", "wsgi", "asgi"])
def test_exit_while_a_client_stalls(project: Path, target: list[str]) -> None:
    """A browser that sleeps in the middle of a download must not keep the server from stopping."""
    with (project / "media" / "big.bin").open("wb") as big:
        big.truncate(100_000_000)
    stalled = None
    try:
        with serving(*target) as (_, port):
            stalled = socket.create_connection(("127.0.0.1", port), timeout=10)
            stalled.sendall(b"GET /media/big.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stalled.recv(4096).startswith(b"HTTP/1.1 200 ")
    finally:
        if stalled is not None:
            stalled.close()


def test_a_host_by_its_name(project: Path) -> None:
    with serving("--host", "localhost") as (line, port):
        assert line.startswith(f"mediamw serve: http://127.0.0.1:{port}/ ")
        assert get(port, "/media/a.txt")[2] == b"hello"


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_host_that_is_not_known(
    project: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown(*args: object, **kwargs: object) -> list[object]:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert main(["serve", "--backend", "./media", "--port", "0", "--host", "no.such.host.invalid"]) == 2
    said = capsys.readouterr().err
    assert "no.such.host.invalid" in said
    assert "127.0.0.1" in said


def test_an_address_that_is_not_ours(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """192.0.2.1 is TEST-NET-1: no machine has it."""
    assert main(["serve", "--backend", "./media", "--port", "0", "--host", "192.0.2.1"]) == 2
    assert "cannot listen on 192.0.2.1" in capsys.readouterr().err


def test_a_directory_that_is_missing_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be made by the first upload; it may as well be mistyped. (The app named ends the command early.)"""
    args = ["--backend", "./media", "--backend", "old=./meida", "--port", "0", "nowhere:app"]
    assert main(["serve", *args]) == 2
    assert capsys.readouterr().err.splitlines()[:-1] == [
        f"mediamw serve: old: {project / 'meida'} does not exist yet",
    ]


def test_taken_port(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--backend", "./media", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert f"127.0.0.1 port {port}" in error
    assert "--port 0" in error


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the port cannot be held")
def test_a_free_port_stays_ours_until_the_server_has_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Server:
        def on_startup(self, hook: object) -> None:
            pass

        def serve(self, **options: object) -> None:
            with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
                other.bind(("127.0.0.1", seen[0]))

    def server(host: str, port: int, *rest: str) -> Server:
        seen.append(port)
        return Server()

    monkeypatch.setattr("mediamw.cli.serve._granian", server)
    assert main(["serve", "--backend", "./media", "--port", "0"]) == 0
    assert seen


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--backend", "s3://b?regoin=x"], "did you mean region?"),
        (["--backend", "ftp://b"], "ftp: is no kind of backend"),
        (["--backend", "./media", "--prefix", "media"], "prefix"),
        (["--backend", "./media", "--prefix", "/", "serve_apps:wsgi"], "leaves nothing to the app"),
        (["--backend", "./media", "serve_apps"], "MODULE:APP"),
        (["--backend", "./media", "nowhere:app"], "no module 'nowhere'"),
        (["--backend", "./media", "--interface", "asgi", "nowhere:app"], "no module 'nowhere'"),
        (["--backend", "./media", "serve_apps:nothing"], "has no 'nothing'"),
        (["--backend", "./media", "serve_apps:number"], "int is not an app"),
    ],
)
def test_mistakes_are_told_at_once(
    project: Path, args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--port", "0", *args]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize("port", ["-1", "65536", "http", "٣"])
def test_bad_port(project: Path, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["serve", "--backend", "./media", f"--port={port}"])
    assert stopped.value.code == 2
    assert "is not a port" in capsys.readouterr().err


def test_missing_server(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "granian", None)
    assert main(["serve", "--backend", "./media", "--port", "0"]) == 2
    assert "pip install 'mediamw[serve]'" in capsys.readouterr().err


def test_what_the_app_imports_and_lacks_is_its_own_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project))
    with pytest.raises(ModuleNotFoundError, match="a_module_that_nobody_has"):
        load_app("serve_broken:app")


@pytest.mark.parametrize("interface", ["auto", "wsgi"])
def test_an_app_that_breaks_when_imported(project: Path, interface: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--backend", "./media", "--interface", interface, "serve_broken:app"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "import a_module_that_nobody_has" in "\n".join(lines), "the traceback says where"
    assert lines[-1].startswith("mediamw: serve_broken:app could not be imported")


def test_interfaces(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project))
    spoken = {
        name: interface_of(load_app(f"serve_apps:{name}"))
        for name in ("wsgi", "asgi", "Site()", "AsyncSite()", "make()")
    }
    assert spoken == {"wsgi": "wsgi", "asgi": "asgi", "Site()": "wsgi", "AsyncSite()": "asgi", "make()": "asgi"}
    with pytest.raises(ConfigError, match=r"'serve_apps:make': .* write 'serve_apps:make\(\)'"):
        load_app("serve_apps:make")
    with pytest.raises(ConfigError, match="no module 'serve_nothing'"):
        load_app("serve_nothing.deeper:app")
    del sys.modules["serve_apps"]
    assert os.getcwd() in sys.path
