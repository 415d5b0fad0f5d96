"""Hostile request targets: nothing from outside the root, no dot file, no 5xx, no hang, for both middlewares.

Behind them stands the worst neighbour: an app with a media route of its own, on the same directory, that opens
whatever the URL names and follows every link. What is refused here must not be served there; only what is missing may
reach it, and a missing name is one it cannot open either.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediamw import LocalBackend, MediaStack
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from .servers import COMMANDS, running

CANARY = b"CANARY-4711-must-never-be-served"
PUBLIC = {b"a": b"public a", b"b": b"public b", b"u": "public ü".encode(), b"s": b"public blank"}
FORMS = ("plain", "link", "relative", "slash")

# -- the world -----------------------------------------------------------------------------------------------------


def build_world(base: Path) -> Path:
    """Make a root with public files, with what must not be served in it, and with secrets around it."""
    root = base / "root"
    secrets: list[Path | bytes] = [base / "secret.txt", base / "outside/secret.txt", base / "root-beside/secret.txt"]
    secrets += [root / name for name in (".env", ".git/config", "sub/.hidden", ".thumbs/x", ".../x", "..../secret.txt")]
    secrets += [root / name for name in (".mediamw/pulled/x", ".mediamw/tmp/x", ".mediamw-123", "..;/secret.txt")]
    # Names that are no keys: an app that opens what the URL names would find them.
    secrets += [root / "line\nbreak.txt", root / "sub\\b.txt", root / "\x7f.txt", root / (("d" * 200 + "/") * 6 + "x")]
    secrets += [os.fsencode(root) + b"/\xff.txt"]
    for secret in secrets:
        path = Path(os.fsdecode(secret))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CANARY)
    for name, data in (("a.txt", b"a"), ("sub/b.txt", b"b"), ("Küche.jpg", b"u"), ("a b.txt", b"s")):
        (root / name).write_bytes(PUBLIC[data])
    for name, target in {
        "in.txt": "sub/b.txt",
        "in-folder": "sub",
        "out.txt": "../secret.txt",
        "out-absolute": base / "secret.txt",
        "out-folder": "../outside",
        "out-beside": "../root-beside",
        "passwd": "/etc/passwd",
        "etc-link": "/etc",
        "environ": "/proc/self/environ",
        "stdin": "/proc/self/fd/0",
        "loop": "loop",
        "dangling": "nowhere",
        "fifo-link": "fifo",
        "parent": "..",
    }.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    here = os.getcwd()
    os.chdir(root)  # a socket's path has 108 bytes at most
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    os.chdir(here)
    try:
        os.mknod(root / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        (root / "zero").symlink_to("/dev/zero")
    (base / "link").symlink_to("root")
    return root


def neighbour_file(root: Path, path: bytes) -> bytes | None:
    """Return what the worst neighbour would serve: whatever opens, from wherever."""
    if not path.startswith(b"/media/"):
        return None
    try:
        fd = os.open(os.path.join(os.fsencode(root), path[len(b"/media/") :]), os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        return os.read(fd, 65536)
    except OSError:
        return None
    finally:
        os.close(fd)


def wsgi_neighbour(root: Path) -> Callable[[Any, Any], list[bytes]]:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        data = neighbour_file(root, environ["PATH_INFO"].encode("latin-1"))
        start_response("404 Not Found" if data is None else "200 OK", [("X-Served-By", "app")])
        return [b"the app has no such page" if data is None else data]

    return app


def asgi_neighbour(root: Path) -> Callable[[Any, Any, Any], Coroutine[Any, Any, None]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("HTTP only")  # a server takes that for "no lifespan"
        data = neighbour_file(root, unquote_to_bytes(scope["raw_path"]))
        status = 404 if data is None else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-served-by", b"app")]})
        body = b"the app has no such page" if data is None else data
        await send({"type": "http.response.body", "body": body})

    return app


def wsgi_app(root: Path, given: str) -> WSGIMiddleware:
    return WSGIMiddleware(wsgi_neighbour(root), MediaStack([LocalBackend(given)]))


def asgi_app(root: Path, given: str) -> ASGIMiddleware:
    return ASGIMiddleware(asgi_neighbour(root), MediaStack([LocalBackend(given)]))


class Answer(NamedTuple):
    status: int
    by_app: bool
    body: bytes
    head: bytes = b""


def ask_wsgi(app: WSGIMiddleware, method: str, target: bytes) -> Answer:
    """As a server would: the path is decoded once, and its bytes are Latin-1 (PEP 3333)."""
    raw, _, query = target.partition(b"?")
    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": unquote_to_bytes(raw).decode("latin-1")}
    environ["QUERY_STRING"] = query.decode("latin-1")
    seen: list[Any] = []
    body = app(environ, lambda status, headers, exc_info=None: seen.append((status, headers)) or (lambda data: None))
    data = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    [(status, headers)] = seen
    return Answer(int(status[:3]), ("X-Served-By", "app") in headers, data, repr(headers).encode())


async def ask_asgi(app: ASGIMiddleware, method: str, target: bytes) -> Answer:
    """As a server would: UTF-8, with U+FFFD in the place of what is none, and the raw path beside it."""
    raw, _, query = target.partition(b"?")
    path = unquote_to_bytes(raw).decode("utf-8", "replace")
    scope = {"type": "http", "method": method, "path": path, "raw_path": raw, "query_string": query, "headers": []}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"} if sent and not sent[-1].get("more_body") else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), 10)
    headers = sent[0]["headers"]
    data = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], (b"x-served-by", b"app") in headers, data, repr(headers).encode())


Ask = Callable[[str, bytes], Answer]


class Sides:
    """Both middlewares on one root, asked from one thread."""

    def __init__(self, root: Path, given: str) -> None:
        self._wsgi, self._asgi = wsgi_app(root, given), asgi_app(root, given)
        self._loop = asyncio.new_event_loop()

    def wsgi(self, method: str, target: bytes) -> Answer:
        return ask_wsgi(self._wsgi, method, target)

    def asgi(self, method: str, target: bytes) -> Answer:
        return self._loop.run_until_complete(ask_asgi(self._asgi, method, target))

    def close(self) -> None:
        for app in (self._wsgi, self._asgi):
            assert app.service is not None
            app.service.stack.close()
        self._loop.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform != "linux":
        pytest.skip("the names of this world are Linux's")
    return build_world(tmp_path_factory.mktemp("world"))


def form_of(root: Path, form: str) -> str:
    """Return the root as a user may give it; the relative one is meant from where the process is."""
    forms = {"plain": str(root), "link": str(root.parent / "link"), "slash": f"{root}/"}
    return forms.get(form) or os.path.relpath(root)


@pytest.fixture(scope="module")
def plain(root: Path) -> Iterator[Sides]:
    sides = Sides(root, str(root))
    yield sides
    sides.close()


# -- the targets ---------------------------------------------------------------------------------------------------

LONG = b"n" * 255

US = [  # below /media/; refused, or there and not servable: our own 404
    # up, plain and in every encoding
    *(b"../secret.txt", b"..%2fsecret.txt", b"..%2Fsecret.txt", b"%2e%2e/secret.txt", b"%2E%2E%2Fsecret.txt"),
    *(b".%2e/secret.txt", b"%2e./secret.txt", b"sub/../../secret.txt", b"sub/%2e%2e/%2e%2e/secret.txt", b".."),
    *(b"../" * 20 + b"etc/passwd", b"sub/../a.txt", b"sub/%2e%2e/a.txt", b"./a.txt", b"sub/./b.txt", b"sub/%2e/b.txt"),
    *(b"..%5csecret.txt", b"..\\secret.txt", b"%2e%2e%5csecret.txt", b"sub\\b.txt", b"sub%5cb.txt", b"..%5c..%5cx"),
    *(b".", b"%2e", b"..%00/secret.txt", b".%00./secret.txt", b"....//secret.txt", b"..../secret.txt", b".../x"),
    *(b"..;/secret.txt", b"..;x=1/secret.txt", b"%2e%2e;/secret.txt", b".;/a.txt"),
    # overlong and broken UTF-8
    *(b"%c0%ae%c0%ae/secret.txt", b"..%c0%afsecret.txt", b"%c0%ae%c0%ae%c0%afsecret.txt", b"%e0%80%ae%e0%80%ae/x"),
    *(b"%f0%80%80%ae/x", b"%ff.txt", b"%fe%ff.txt", b"a.txt%c3", b"%ed%a0%80.txt", b"%c1%9c", b"%f4%90%80%80"),
    # absolute, empty segments, trailing slashes
    *(b"/etc/passwd", b"//etc/passwd", b"%2fetc/passwd", b"%2f%2fetc%2fpasswd", b"/", b"", b"sub/", b"sub//b.txt"),
    *(b"a.txt/", b"a.txt%2f", b"sub%2f%2fb.txt", b"/a.txt", b"in-folder/"),
    # NUL and controls
    *(b"%00", b"a.txt%00", b"a.txt%00.jpg", b"%00a.txt", b"a%0a.txt", b"line%0abreak.txt", b"a.txt%0d%0aX:%20y"),
    *(b"%7f.txt", b"%c2%80.txt", b"%c2%9f", b"a%09.txt", b"%1b[31m", b"a.txt%08"),
    # Windows
    *(b"C:%5cWindows%5cwin.ini", b"%5c%5chost%5cshare%5cx", b"\\\\host\\share", b"%5c", b"a.txt%5c"),
    # too long
    *(LONG + b"n", b"sub/" + LONG + b"n", b"%C3%BC" * 128, b"/".join([b"n" * 127] * 8) + b"nn"),
    *(b"n" * 1025, b"n" * 8000, b"n/" * 4000, (b"d" * 200 + b"/") * 6 + b"x", b"../" * 2600),
    # dot files and our own state
    *(b".env", b"%2eenv", b".git/config", b".git", b"sub/.hidden", b"in-folder/.hidden", b".thumbs/x", b".htaccess"),
    *(b".mediamw/pulled/x", b".mediamw/tmp/x", b".MEDIAMW/tmp/x", b".mediamw", b".mediamw-123", b"%2emediamw/tmp/x"),
    *(b"sub/.mediamw-1", b"..hidden", b".\xc3\xbc", b"sub/.%20"),
    # links that lead out, and what is no file
    *(b"out.txt", b"out-absolute", b"out-folder/secret.txt", b"out-folder", b"out-beside/secret.txt", b"passwd"),
    *(b"etc-link/passwd", b"environ", b"loop", b"loop/x", b"parent/secret.txt", b"parent/outside/secret.txt"),
    *(b"parent", b"in-folder/../../secret.txt", b"fifo", b"fifo-link", b"socket", b"zero", b"out%2etxt", b"o%75t.txt"),
]
APPS = [  # a fit name that nobody has: the app is asked
    *(b"nothing.txt", b"sub", b"in-folder", b"dangling", b"a.txt/x", b"sub/b.txt/x", LONG),
    *(b"%252e%252e%252fsecret.txt", b"%252e%252e/secret.txt", b"%25252e%25252e/secret.txt", b"a%252etxt"),
    *(b"%ef%bc%8e%ef%bc%8e/secret.txt", b"%ef%bc%8e%ef%bc%8e%ef%bc%8fsecret.txt", b"%e2%80%a5/secret.txt"),
    *(
        b"C:/Windows/win.ini",
        b"C:",
        b"a.txt%20",
        b"a.txt.",
        b"a.txt...",
        b"sub%20/b.txt",
        b"sub./b.txt",
        b"a.txt::$DATA",
    ),
    *(b"con", b"nul.txt", b"a.txt;x=1", b"%u002e%u002e/secret.txt", b"~root/x", b"~", b"$HOME", b"%60id%60", b"*"),
    *(b"K%75%CC%88che.jpg", b"A.TXT", b"%EF%BB%BFa.txt", b"a.txt%E2%80%8B", b"parent/root/nothing", b"a%3ftxt", b"%"),
]
SERVED = {
    b"a.txt": b"a",
    b"%61.txt": b"a",
    b"a%2Etxt": b"a",
    b"a.txt?../../x=%00": b"a",
    b"parent/root/a.txt": b"a",  # out and back: where it ends counts
    b"parent/link/a.txt": b"a",
    b"sub/b.txt": b"b",
    b"sub%2fb.txt": b"b",
    b"in.txt": b"b",
    b"in-folder/b.txt": b"b",
    b"a%20b.txt": b"s",
    b"K%C3%BCche.jpg": b"u",
}
ELSEWHERE = [  # not below the prefix: not ours to judge, and no media route takes them
    *(b"/", b"/media", b"/mediax/.env", b"/MEDIA/.env", b"//media/.env", b"/./media/.env", b"/x/../media/.env"),
    *(b"/../secret.txt", b"/%2e%2e/secret.txt", b"/.env", b"/media%5c.env", b"\\media\\.env", b"/media;/.env", b"*"),
]
PREFIXED = [
    b"/med%69a/.env",
    b"/%6dedia/../secret.txt",
    b"/media%2f.env",
    b"/media%2f..%2fsecret.txt",
    b"/media/?/.env",
]


def faults_of(ask: Ask, method: str, target: bytes, *, us: bool | None, data: bytes | None = None) -> list[str]:
    """Ask, and return in words what is wrong with the answer. ``us``: who must have answered, None if either may."""
    answer = ask(method, target)
    what = f"{method} {target[:80]!r} -> {answer.status}{' by the app' if answer.by_app else ''} {answer.body[:60]!r}"
    faults = []
    if CANARY in answer.body or CANARY in answer.head:
        faults.append(f"{what}: a secret")
    if answer.status >= 500:
        faults.append(f"{what}: a server error")
    if answer.status == 200 and answer.by_app:
        faults.append(f"{what}: the app served what we did not")
    if data is not None and (answer.status != 200 or answer.body != (b"" if method == "HEAD" else data)):
        faults.append(f"{what}: {data!r} was to be served")
    if data is None and answer.status != 404:
        faults.append(f"{what}: 404 is right")
    if us is not None and answer.by_app is us:
        faults.append(f"{what}: {'we' if us else 'the app'} had to answer")
    return faults


def test_the_neighbour_is_as_bad_as_it_is_said(root: Path) -> None:
    """Else that it serves nothing would prove nothing."""
    stolen = [name for name in US if CANARY in (neighbour_file(root, b"/media/" + unquote_to_bytes(name)) or b"")]
    assert {b"../secret.txt", b".env", b".mediamw/tmp/x", b"out.txt", b"line%0abreak.txt", b"%ff.txt"} <= set(stolen)
    assert len(stolen) > 35
    assert neighbour_file(root, b"/media//etc/passwd") is not None
    assert neighbour_file(root, b"/media/zero") is not None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("side", ["wsgi", "asgi"])
def test_hostile_targets(root: Path, mode: str, side: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    sides = Sides(root, form_of(root, form))
    monkeypatch.chdir("/")
    ask: Ask = getattr(sides, side)
    faults = []
    for method in ("GET", "HEAD"):
        for target in (b"/media/" + name for name in US):
            faults += faults_of(ask, method, target, us=True)
        for target in (b"/media/" + name for name in APPS):
            faults += faults_of(ask, method, target, us=False)
        for name, data in SERVED.items():
            faults += faults_of(ask, method, b"/media/" + name, us=True, data=PUBLIC[data])
        for target in ELSEWHERE:
            faults += faults_of(ask, method, target, us=False)
        for target in PREFIXED:
            faults += faults_of(ask, method, target, us=True)
    sides.close()
    assert faults == []


def test_all_dot_files_are_allowed(root: Path) -> None:
    """Then what is refused is refused for what it is, not for its dot: the way up, and our own state."""
    app = WSGIMiddleware(None, MediaStack([LocalBackend(root)]), allow_dotfiles=["*"])
    for name in (b".env", b".git/config", b"sub/.hidden", b"..../secret.txt"):
        assert ask_wsgi(app, "GET", b"/media/" + name).status == 200, name
    refused = [name for name in US if {b".", b".."} & set(unquote_to_bytes(name).split(b"/"))]
    assert len(refused) > 15
    refused += [b".mediamw/tmp/x", b".MEDIAMW/tmp/x", b".mediamw-123", b"sub/.mediamw-1"]
    for name in refused:
        assert ask_wsgi(app, "GET", b"/media/" + name).status == 404, name


def test_dot_files_that_are_allowed(root: Path) -> None:
    """One folder, and nothing besides it."""
    app = WSGIMiddleware(None, MediaStack([LocalBackend(root)]), allow_dotfiles=[".thumbs/"])
    assert ask_wsgi(app, "GET", b"/media/.thumbs/x").status == 200
    for name in (b".env", b".git/config", b".thumbs/../.env", b".thumbs/.env", b".mediamw/tmp/x", b"sub/.hidden"):
        assert ask_wsgi(app, "GET", b"/media/" + name).status == 404, name


# -- generated -----------------------------------------------------------------------------------------------------

PIECES = [b"..", b".", b"", b"sub", b"a.txt", b"b.txt", b"secret.txt", b"outside", b"out-folder", b"root", b"parent"]
PIECES += [
    b".git",
    b"config",
    b".env",
    b"etc",
    b"passwd",
    b"\x00",
    b"\xc0\xae",
    b"\xff",
    "．．".encode(),
    b";",
    b"....",
]
PIECES += [
    b" ",
    b"~",
    b"C:",
    b"fifo",
    b"loop",
    b"in-folder",
    b".mediamw",
    b"tmp",
    b"x",
    b"\\",
    b"%",
    b"out.txt",
    b"in.txt",
]
PIECES += [b"environ", b"zero", b"socket", b"\n", b"n" * 255, b"etc-link", b".hidden", b"link", "ü".encode()]
SEPARATORS = [b"/", b"/", b"/", b"//", b"\\", b"", b"/./", b"/../", b";/"]
STYLES: list[Callable[[bytes], bytes]] = [
    lambda data: data,
    lambda data: data,
    lambda data: b"".join(b"%%%02x" % byte for byte in data),
    lambda data: b"".join(b"%%%02X" % byte if byte in b"./\\%" else bytes([byte]) for byte in data),
    lambda data: b"".join(b"%%25%02x" % byte for byte in data),
]
TARGETS = st.lists(
    st.tuples(st.sampled_from(PIECES), st.sampled_from(SEPARATORS), st.sampled_from(STYLES), st.sampled_from(STYLES)),
    min_size=1,
    max_size=7,
).map(lambda parts: b"/media/" + b"".join(style(piece) + other(sep) for piece, sep, style, other in parts))


@settings(max_examples=400, deadline=None, database=None)
@given(target=TARGETS, method=st.sampled_from(["GET", "HEAD"]))
def test_generated_targets(plain: Sides, root: Path, target: bytes, method: str) -> None:
    wsgi, asgi = plain.wsgi(method, target), plain.asgi(method, target)
    for answer in (wsgi, asgi):
        assert CANARY not in answer.body
        assert answer.status in (200, 404)
        if answer.status == 200:
            assert not answer.by_app
            assert answer.body in (PUBLIC.values() if method == "GET" else (b"",))
            # What was served is what the name means after one decoding, and no more than one.
            name = unquote_to_bytes(target.partition(b"?")[0])[len(b"/media/") :]
            real = os.path.realpath(os.path.join(os.fsencode(root), name))
            assert real.startswith(os.fsencode(root) + b"/")
    assert (wsgi.status, wsgi.by_app, wsgi.body) == (asgi.status, asgi.by_app, asgi.body)


@settings(max_examples=300, deadline=None, database=None)
@given(name=st.binary(max_size=40), method=st.sampled_from(["GET", "HEAD"]))
def test_generated_bytes(plain: Sides, name: bytes, method: str) -> None:
    target = b"/media/" + b"".join(b"%%%02x" % byte for byte in name)
    for answer in (plain.wsgi(method, target), plain.asgi(method, target)):
        assert CANARY not in answer.body
        assert answer.status in (200, 404)
        assert not (answer.status == 200 and answer.by_app)


# -- over real servers ---------------------------------------------------------------------------------------------

RAW = [  # what only a socket can send
    *(b"/media/\x01.txt", b"/media/\x00", b"/media/a b.txt", b"/media/\xff.txt", b"/media/\xc0\xae\xc0\xae/secret.txt"),
    *(b"/media/K\xc3\xbcche.jpg", b"/media/a.txt#/../.env", b"/media/.env#", b"/media/#/../secret.txt", b"/media/%"),
    *(b"http://127.0.0.1/media/.env", b"http://127.0.0.1/media/../secret.txt", b"http://evil.test/media/a.txt"),
    *(b"http://127.0.0.1/media//etc/passwd", b"file:///etc/passwd", b"127.0.0.1:80", b"media/.env", b"../secret.txt"),
    *(
        b"/media/%zz",
        b"/media/%2",
        b"/media/\t.env",
        b"/media/a.txt\t",
        b"?/media/.env",
        b"#/media/.env",
        b"@/media/.env",
    ),
    *(b"//127.0.0.1/media/.env", b"///media/.env", b"/media/..\xc0\xaf", b"/" + b"media/../" * 500 + b"secret.txt"),
]

MODULE = """
import pathlib
from tests.test_hostile import asgi_app, asgi_neighbour, wsgi_app, wsgi_neighbour
root, given = pathlib.Path({root!r}), {given!r}
if {bare!r}:  # `mediamw serve` puts the middleware around it
    asgi, wsgi = asgi_neighbour(root), wsgi_neighbour(root)
else:
    asgi, wsgi = asgi_app(root, given), wsgi_app(root, given)
"""


def send_raw(port: int, method: str, target: bytes) -> Answer:
    """Send the target byte for byte. An answer of status 0 is a connection closed without one: a refusal too."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        request = method.encode() + b" " + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        received = b""
        try:
            connection.sendall(request)
            while data := connection.recv(65536):
                received += data
        except ConnectionError:  # closed while some of the request was still unread
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.") else 0
    return Answer(status, b"x-served-by: app" in head.lower(), body, head)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("server", [name for name in COMMANDS if "-64" not in name and "runserver" not in name])
def test_hostile_targets_over_servers(
    root: Path, server: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers differ in what they refuse and in what they normalise; what may not come out is the same for all."""
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    monkeypatch.chdir(tmp_path)  # where the server will run
    given = form_of(root, form)
    module = MODULE.format(root=str(root), given=given, bare=server.startswith("serve"))
    env = {"PYTHONPATH": path, "SECRET": CANARY.decode()}
    refused = []
    faults = []
    with running(server, module, server.rpartition("-")[2], tmp_path, backend=given, **env) as site:

        def ask(method: str, target: bytes) -> Answer:
            answer = send_raw(site.port, method, target)
            if answer.status in (0, 400, 414, 431):
                refused.append(target)
                return answer._replace(status=404)
            return answer

        hostile = [*(b"/media/" + name for name in [*US, *APPS]), *ELSEWHERE, *PREFIXED]
        for target in hostile:
            faults += faults_of(ask, "GET", target, us=None)
        for target in RAW:
            answer = ask("GET", target)
            if CANARY in answer.body + answer.head or answer.status >= 500 or (answer.status == 200 and answer.by_app):
                faults.append(f"{target[:80]!r} -> {answer.status} {answer.body[:60]!r}")
        for name, data in SERVED.items():
            faults += faults_of(ask, "GET", b"/media/" + name, us=True, data=PUBLIC[data])
        assert b"root:" not in send_raw(site.port, "GET", b"/media//etc/passwd").body
    assert faults == []
    # Nearly all of it reached the middleware: a server that refused everything would prove nothing.
    assert len(refused) < len(hostile) / 4, refused
