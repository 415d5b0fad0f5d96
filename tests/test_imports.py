"""The house's rules that stand in the source itself: who imports whom, what is loaded when, where HTTP is decided."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mediamw

ROOT = Path(mediamw.__file__).parent

# A module imports from lower floors, or from its own folder. One name: a file or a folder directly in mediamw/.
FLOORS = {
    "lazy": 0,  # loads by name what a package lists; knows none of them
    "core": 0,
    "backends": 1,
    "stack": 2,
    "config": 2,
    "specs": 3,
    "spec_options": 2,
    "reply": 3,
    "kept_plans": 3,
    "service": 4,
    "settings": 4,
    "wsgi_answers": 5,
    "wsgi": 6,
    "asgi": 6,
    "testing": 6,
    "storages": 7,
    "ext": 8,
    "inspector": 8,
    "cli": 9,
    "ext.django.management": 10,  # `manage.py mediamw`, which calls the command line
    "__main__": 10,  # `python -m mediamw`, which calls the command line
}

# core/ decides and does nothing else: it cannot read a clock, a disk or a socket.
NOT_IN_CORE = {
    "asyncio",
    "concurrent",
    "ctypes",
    "glob",
    "http",
    "importlib",
    "io",
    "logging",
    "mmap",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
}


def modules(root: Path) -> Iterator[tuple[str, ast.Module]]:
    """The dotted name below the package, and the tree, of each module but the package's own ``__init__``."""
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts != ("__init__",):
            yield ".".join(parts), ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of all that a module imports, wherever it does: in functions, for type checkers."""
    package = ["mediamw", *name.split(".")[:-1]]  # the same for a/__init__.py and a/b.py, as Python has it
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{start}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                text = str(node.args[0].value)
                base = package[: len(package) - (len(text) - len(text.lstrip("."))) + 1] if text[0] == "." else []
                yield node.lineno, ".".join([*base, text.lstrip(".")])


def floor_faults(root: Path) -> list[str]:
    faults = []
    for name, tree in modules(root):
        home = "ext.django.management" if name.startswith("ext.django.management") else name.split(".")[0]
        if home not in FLOORS:
            faults.append(f"{name}: {home!r} is on no floor")
            continue
        for line, target in imported(name, tree):
            parts = target.split(".")
            if parts[0] == "mediamw":
                other = parts[1] if len(parts) > 1 else ""
                # `from mediamw import X`: the public names, which are those of the stack; nothing below may.
                floor = FLOORS.get(other, FLOORS["config"])
                if other != home and floor >= FLOORS[home]:
                    faults.append(f"{name}:{line}: imports {target}, which is not on a lower floor")
            elif home == "core" and parts[0] in NOT_IN_CORE:
                faults.append(f"{name}:{line}: core/ imports {parts[0]}")
            elif home == "core" and parts[0] not in sys.stdlib_module_names and parts[0] != "pathspec":
                faults.append(f"{name}:{line}: core/ imports {parts[0]}, which is not Python's own")
    return faults


def test_imports_go_down() -> None:
    assert floor_faults(ROOT) == []


def test_integrations_do_not_know_each_other() -> None:
    for name, tree in modules(ROOT):
        if name.startswith("ext."):
            own = {name.split(".")[1]}
            if name == "ext.depot.fields.sqlalchemy":  # DEPOT's column is one more type of ours
                own.add("sqlalchemy")
            for line, target in imported(name, tree):
                assert not (target.startswith("mediamw.ext.") and target.split(".")[2] not in own), f"{name}:{line}"


@pytest.mark.parametrize(
    ("path", "source", "said"),
    [
        ("core/keys.py", "import os", "core/ imports os"),
        ("core/keys.py", "def f():\n    from time import time", "core/ imports time"),
        ("core/keys.py", "import os.path as p", "core/ imports os"),
        ("core/keys.py", "import requests", "not Python's own"),
        ("core/keys.py", "from ..backends.base import Entry", "not on a lower floor"),
        ("core/keys.py", "import mediamw.stack", "not on a lower floor"),
        ("core/keys.py", "from .. import MediaStack", "not on a lower floor"),
        ("core/keys.py", "from mediamw import config", "not on a lower floor"),
        ("core/__init__.py", "from ..wsgi import MediaMiddleware", "not on a lower floor"),
        ("core/keys.py", "import importlib", "core/ imports importlib"),
        ("backends/s3.py", "def f():\n    from ..stack.stack import MediaStack", "not on a lower floor"),
        ("backends/s3.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .. import service", "lower"),
        ("backends/deep/s3.py", "from ...config import build_stack", "not on a lower floor"),
        ("backends/s3.py", "from importlib import import_module\nimport_module('mediamw.wsgi')", "mediamw.wsgi"),
        ("backends/s3.py", "import importlib\nimportlib.import_module('..stack', __package__)", "mediamw.stack"),
        ("wsgi.py", "from .asgi import MediaMiddleware", "not on a lower floor"),
        ("config.py", "from . import service", "not on a lower floor"),
        ("ext/flask.py", "from ..cli import main", "not on a lower floor"),
        ("testing/x.py", "from ..wsgi import MediaMiddleware", "not on a lower floor"),
        ("attic.py", "", "'attic' is on no floor"),
    ],
)
def test_a_bad_tree_is_found(tmp_path: Path, path: str, source: str, said: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(source)
    faults = floor_faults(tmp_path)
    assert len(faults) == 1
    assert said in faults[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/plan.py", "from .keys import Key\nimport re\nfrom dataclasses import dataclass"),
        ("backends/s3.py", "from ..core.keys import Key\nfrom . import sigv4\nimport os"),
        ("backends/deep/s3.py", "from ..base import Entry\nfrom ...core import keys"),
        ("stack/__init__.py", "from ..backends import base\nfrom .stack import MediaStack"),
        ("cli/demo.py", "from .. import MediaStack\nfrom ..testing.strict_s3 import StrictS3"),
        ("__init__.py", "from .cli import main"),
    ],
)
def test_a_good_tree_is_not(tmp_path: Path, path: str, source: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(source)
    assert floor_faults(tmp_path) == []


# -- what is loaded ----------------------------------------------------------------------------------------------------

HEAVY = (
    *("boto3", "botocore", "urllib3", "starlette", "asyncio", "django", "flask", "werkzeug", "pathspec", "moto"),
    *("ssl", "socket", "http.client", "urllib.request", "email", "xml", "pydantic", "requests", "importlib.metadata"),
    *("inspect", "dataclasses", "json", "tempfile", "secrets", "datetime", "unicodedata", "difflib", "pathlib"),
    *("subprocess", "multiprocessing", "tomllib", "shlex", "concurrent.futures.thread"),
)
"""What none of these needs, of others and of Python's own: together it is more than all that they load."""
OURS = (
    *("asgi", "cli", "ext", "testing", "settings.django_storages"),
    *(f"backends.{name}" for name in ("connections", "http_origin", "origin_http", "s3_writable", "cloudfront")),
)
FRONT = "import mediamw.wsgi as w; w.MediaMiddleware; w.MediaApp"
SIGNED = "access_key_id='a', secret_access_key='b'"
STACK = (
    "from mediamw import MediaStack, LocalBackend, S3Backend;"
    f"s = MediaStack([LocalBackend('media'), S3Backend('acme', {SIGNED})]);"
    "assert s.backends[1].can_sign(0); s.backends[1].sign('a.jpg', 'GET', 0)"
)
FIRST_URL = (
    "from mediamw import MediaStack, LocalBackend, S3Backend;"
    "s = MediaStack([LocalBackend('media'), S3Backend('acme', {more} check=False, " + SIGNED + ")]);"
    "assert 'X-Amz-Signature=' in s.url('homes/42/a.jpg')"
)
SPECS = "from mediamw import build_stack; build_stack(['./media', 'p=s3://acme?endpoint_url=http://h&profile=x'])"
LOCAL = "import mediamw.wsgi as w; a = w.MediaMiddleware(None, ['.'])"
SERVES = (
    "import mediamw.wsgi as w;"
    "a = w.MediaMiddleware(None, ['.', 'memory:']);"
    "list(a({'REQUEST_METHOD': 'GET', 'PATH_INFO': '/media/a.jpg'}, lambda *_: None))"
)


def run(code: str, folder: Path) -> str:
    """What ``code`` prints in a process of its own, with the same mediamw."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout


@pytest.mark.parametrize(
    ("code", "and_not"),
    [
        ("import mediamw", ("typing", "re", "hashlib", "logging", "ctypes")),
        (FRONT, ("typing", "re", "hashlib", "logging", "ctypes")),
        ("import mediamw.config", ("hashlib", "logging", "ctypes")),
        (LOCAL, ("hashlib", "urllib.parse", "cachetools", "mediamw.backends.s3", "mediamw.backends.memory")),
        (SERVES, ()),
        (STACK, ("urllib.parse", "cachetools")),
        (FIRST_URL.format(more=""), ("urllib.parse", "cachetools", "random")),
        (FIRST_URL.format(more="endpoint_url='https://s3.example.com:9000',"), ()),
        (SPECS, ()),
    ],
    ids=["package", "front", "config", "local", "answers", "stack", "first URL", "first URL of an endpoint", "specs"],
)
def test_nothing_heavy_is_loaded(tmp_path: Path, code: str, and_not: tuple[str, ...]) -> None:
    unwanted = {*HEAVY, *(f"mediamw.{name}" for name in OURS), *and_not}
    if sys.version_info >= (3, 12) and "typing" not in and_not:
        unwanted.discard("inspect")  # Python's own isinstance with a protocol needs it since 3.12
    code += f";import sys; print([m for m in {unwanted!r} if m in sys.modules])"
    assert run(code, tmp_path).strip() == "[]"


def test_the_package_itself_loads_nothing_but_what_loads_the_rest(tmp_path: Path) -> None:
    code = "import mediamw, sys; print([m for m in sys.modules if m.startswith('mediamw.')])"
    assert run(code, tmp_path).strip() == "['mediamw.lazy']"


def test_the_wsgi_front_loads_nothing_before_there_is_a_middleware(tmp_path: Path) -> None:
    code = f"{FRONT}; import sys; print([m for m in sys.modules if m.startswith('mediamw.')])"
    assert run(code, tmp_path).strip() == "['mediamw.lazy', 'mediamw.wsgi']"


TOUCHED = """
import sys
from mediamw.wsgi import MediaMiddleware
seen = []
sys.addaudithook(lambda event, args: seen.append((event, str(args[:1]))))
for _ in range(2):
    del seen[:]  # the first time modules are imported
    MediaMiddleware(None, ["./media", "s3=s3://acme?region=eu-west-1&profile=x"])
    MediaMiddleware(None, ["./media", "memory:"]).service.stack.url("homes/42/a.jpg")
print([pair for pair in seen if pair[0].startswith(("os.", "open", "glob.", "shutil.", "socket."))])
"""


def test_nothing_at_the_start_grows_with_the_number_of_files(tmp_path: Path) -> None:
    """What Python opens, lists and looks at is the same, and the same often, for an empty folder and a full one."""
    none, many = tmp_path / "none", tmp_path / "many"
    for folder, count in ((none, 0), (many, 10_000)):
        (folder / "media/homes/42").mkdir(parents=True)
        for number in range(count):
            os.close(os.open(folder / f"media/homes/42/{number}.jpg", os.O_CREAT | os.O_WRONLY))
    touched = [run(TOUCHED, folder) for folder in (none, many)]
    assert touched[0].replace(str(none), "") == touched[1].replace(str(many), "")
    assert "'open'" in touched[0]  # the folder itself: what Python does is seen
    assert "os.listdir" not in touched[0]
    assert "os.scandir" not in touched[0]


@pytest.mark.parametrize("name", mediamw.__all__)
def test_public_names(name: str) -> None:
    assert getattr(mediamw, name).__name__ == name
    assert name in dir(mediamw)


def test_there_are_no_other_names() -> None:
    with pytest.raises(AttributeError, match="Nobody"):
        mediamw.Nobody  # noqa: B018 - asking for it is what is tested


# -- decide once -------------------------------------------------------------------------------------------------------

HEADER_NAMES = {
    *("accept-ranges", "age", "allow", "cache-control", "connection", "content-disposition", "content-encoding"),
    *("content-length", "content-range", "content-security-policy", "content-type", "date", "etag", "expires"),
    *("last-modified", "link", "location", "pragma", "referrer-policy", "refresh", "retry-after", "server-timing"),
    *("set-cookie", "transfer-encoding", "vary", "via", "warning", "x-content-type-options", "x-media-backend"),
}
MADE_BY_PLAN = {"Plan", "Redirected", "Response", "HTTPResponse"}


def is_status(value: object) -> bool:
    return type(value) is int and 100 <= value <= 599


def spells_http(value: object) -> str | None:
    """Say what a literal would be in an answer: a header's name, a status line; None if nothing."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return None
    lower = text.lower()
    if lower in HEADER_NAMES:
        return f"the header {text!r}"
    if text[:3].isdigit() and is_status(int(text[:3])) and (text[3:4] == " " or len(text) == 3):
        return f"the status {text!r}"
    first = lower.partition(":")[0]
    return f"the header {text!r}" if ":" in text and first in HEADER_NAMES else None


def never_sent(tree: ast.AST) -> set[int]:
    """The literals that stand for something else: docstrings, types, such as Literal["app", "404"], and 256 * 1024."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
        if isinstance(node, ast.BinOp):
            found.update((id(node.left), id(node.right)))
        for field in ("annotation", "returns"):
            types = getattr(node, field, None)
            if types is not None:
                found.update(map(id, ast.walk(types)))
    return found


# Integrations that know storages and rows, and no request: 128 is a number of pixels.
NO_ENTRANCES = ("ext.depot.fields.", "ext.depot.io.", "ext.depot.specs", "ext.sqlalchemy.")


def answer_faults(name: str, tree: ast.Module) -> list[str]:
    """What a module builds of an answer by itself. The entrances may not even spell a status or a header."""
    faults = []
    entrance = name in ("wsgi", "wsgi_answers", "asgi", "service", "reply", "kept_plans") or name.startswith("ext.")
    entrance = entrance and not name.startswith(NO_ENTRANCES)
    texts = never_sent(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in MADE_BY_PLAN:
                faults.append(f"{name}:{node.lineno}: makes a {called}")
            if called == "start_response" and ast.unparse(node) != (
                "start_response(head.status_line, list(head.plan.headers))"
            ):
                faults.append(f"{name}:{node.lineno}: start_response is given something else than the plan's")
            if called in ("replace", "_replace") and any(
                word.arg in ("status", "headers", "body") for word in node.keywords
            ):
                faults.append(f"{name}:{node.lineno}: changes a plan")
        if isinstance(node, ast.Dict) and "http.response.start" in map(_literal, node.values):
            status = {_literal(key): ast.unparse(value) for key, value in zip(node.keys, node.values, strict=True)}
            if status.get("status") != "head.plan.status" or status.get("headers") != "list(head.raw_headers)":
                faults.append(f"{name}:{node.lineno}: http.response.start has something else than the plan's")
        if entrance and isinstance(node, ast.Constant) and id(node) not in texts:
            if is_status(node.value):
                faults.append(f"{name}:{node.lineno}: {node.value} is a status")
            elif (spelled := spells_http(node.value)) is not None:
                faults.append(f"{name}:{node.lineno}: spells {spelled}")
    return faults


def _literal(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


# StrictS3 and the demo's app are servers of their own; they answer in nobody's name but theirs.
ANSWERS_BY_ITSELF = ("core.plan", "testing.", "cli.demo")


def test_what_a_client_is_sent_is_made_in_one_place() -> None:
    faults = [
        fault
        for name, tree in modules(ROOT)
        if not name.startswith(ANSWERS_BY_ITSELF)
        for fault in answer_faults(name, tree)
    ]
    assert faults == []


def test_the_place_is_found() -> None:
    """The check sees what it should see: the plan itself breaks it, and often."""
    tree = dict(modules(ROOT))["core.plan"]
    assert len([fault for fault in answer_faults("core.plan", tree) if "makes a Plan" in fault]) > 3
    assert len([fault for fault in answer_faults("wsgi", tree) if "spells" in fault]) > 10
    assert len([fault for fault in answer_faults("wsgi", tree) if "is a status" in fault]) > 5


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = Plan(200, ())", "makes a Plan"),
        ("x = model.Plan(status)", "makes a Plan"),
        ("start_response('200 OK', [])", "start_response"),
        ("start_response(head.status_line, [])", "start_response"),
        ("start_response(head.status_line, list(head.plan.headers) + extra)", "start_response"),
        ("plan = replace(plan, headers=())", "changes a plan"),
        ("plan = plan._replace(headers=())", "changes a plan"),
        ("if status == 404: pass", "404 is a status"),
        ("headers.append((b'Cache-Control', value))", "spells the header"),
        ("x = 'x-content-type-options: nosniff'", "spells the header"),
        ("x = '503 Service Unavailable'", "spells the status"),
        ("x = b'404'", "spells the status"),
        ("m = {'type': 'http.response.start', 'status': status, 'headers': headers}", "http.response.start"),
        ("m = {'type': 'http.response.start', 'status': reply.plan.status, 'headers': []}", "http.response.start"),
    ],
)
def test_a_second_author_is_found(source: str, said: str) -> None:
    assert any(said in fault for fault in answer_faults("asgi", ast.parse(source)))


def test_comments_and_sizes_are_no_answers() -> None:
    source = '"""404 Not Found."""\nSIZE = 256 * 1024\ndef f():\n    """Content-Type: none."""\n    return "content"'
    assert answer_faults("wsgi", ast.parse(source)) == []
