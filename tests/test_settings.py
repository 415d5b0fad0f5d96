"""Settings: which source counts, how each is read, and that every option can come from each of them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from mediamw import LocalBackend, MediaStack, MemoryBackend, S3Backend, asgi, wsgi
from mediamw.backends.http_origin import HTTPOriginBackend
from mediamw.backends.sigv4 import Credentials
from mediamw.config import Options
from mediamw.core.errors import ConfigErrors, Fault
from mediamw.core.plan import Policy
from mediamw.service import MediaService
from mediamw.settings import read_settings
from mediamw.settings.options import OPTIONS
from mediamw.stack.stack import StackOptions

SECRET = "the-secret-of-it"


def may_see(request: object, key: str) -> bool:
    return True


def add(key: str, status: int) -> dict[str, str]:
    return {"X-Key": key}


class Rules:
    may_see = staticmethod(may_see)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(environ: dict[str, str] | None = None, toml: str = "", **given: Any) -> Any:
    if toml:
        Path("mediamw.toml").write_text(toml)
    settings = read_settings(given, environ=environ or {})
    assert settings.faults == ()
    return settings


# -- which source counts -----------------------------------------------------------------------------------------------

TEMPLATE = {"STORAGE_BUCKET_NAME": "acme"}


@pytest.mark.parametrize(
    ("given", "environ", "toml", "prefix", "source"),
    [
        ({"prefix": "/a/"}, {"MEDIAMW_PREFIX": "/b/"}, "prefix = '/c/'", "/a/", "MEDIAMW['prefix']"),
        ({}, {"MEDIAMW_PREFIX": "/b/"}, "prefix = '/c/'", "/b/", "environment variable MEDIAMW_PREFIX"),
        ({}, {}, "prefix = '/c/'", "/c/", "mediamw.toml: prefix"),
        ({}, {}, "debug = true", "/media/", "default"),
        # What is wrong and does not count is nobody's trouble.
        ({"prefix": "/a/"}, {"MEDIAMW_PREFIX": "b"}, "prefix = 1", "/a/", "MEDIAMW['prefix']"),
    ],
)
def test_precedence(given: Any, environ: Any, toml: str, prefix: str, source: str) -> None:
    settings = read({**environ, "MEDIAMW_BACKENDS": "./media"}, toml, **given)
    assert (settings.value("prefix"), settings.source("prefix")) == (prefix, source)


@pytest.mark.parametrize("highest", ["code", "environment", "file", "default"])
@pytest.mark.parametrize("option", OPTIONS)
def test_precedence_of_every_option(option: str, highest: str, tmp_path: Path) -> None:
    """What is lower is of no use here: if it were read, or judged, there would be a fault or another value."""
    (tmp_path / "none.png").write_bytes(b"\x89PNG")
    text, toml, value = WAYS[option]
    variable = f"MEDIAMW_{option.upper()}"
    given: dict[str, Any] = {option: value} if highest == "code" else {}
    environ = {"code": {variable: "no use: \\"}, "environment": {variable: text}}.get(highest, {})
    file = {"file": f"{option} = {toml}", "default": "backends = 5"}.get(highest, f"{option} = [[5]]")
    settings = read({**environ, "MEDIAMW_BACKENDS": "./a"}, file, **given)
    expected = OPTIONS[option].default if highest == "default" else value
    source = {
        "code": f"MEDIAMW['{option}']",
        "environment": f"environment variable {variable}",
        "file": f"mediamw.toml: {option}",
    }.get(highest, "default")
    assert (settings.value(option), settings.source(option)) == (expected, source)


@pytest.mark.parametrize(
    ("given", "environ", "toml", "names", "source"),
    [
        ({"backends": ["a=./a"]}, {"MEDIAMW_BACKENDS": "b=./b"}, "backends = ['c=./c']", ["a"], "MEDIAMW['backends']"),
        ({}, {"MEDIAMW_BACKENDS": "b=./b"}, "backends = ['c=./c']", ["b"], "environment variable MEDIAMW_BACKENDS"),
        ({}, {}, "backends = ['c=./c']", ["c"], "mediamw.toml: backends"),
        ({}, {}, "", ["local", "s3"], "default"),
    ],
)
def test_precedence_of_backends(given: Any, environ: Any, toml: str, names: list[str], source: str) -> None:
    settings = read({**TEMPLATE, **environ}, toml, **given)
    assert [backend.name for backend in settings.stack().backends] == names
    assert settings.source("backends") == source


def test_a_byte_order_mark() -> None:
    Path("mediamw.toml").write_bytes(b"\xef\xbb\xbfprefix = '/m/'")
    assert read({"MEDIAMW_BACKENDS": "./a"}).value("prefix") == "/m/"


def test_the_file_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.toml").write_text("prefix = '/o/'")
    settings = read({"MEDIAMW_CONFIG": "other.toml", "MEDIAMW_BACKENDS": "./a"}, "prefix = '/c/'")
    assert (settings.value("prefix"), settings.source("prefix")) == ("/o/", "other.toml: prefix")
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = read({"MEDIAMW_CONFIG": "~/other.toml", "MEDIAMW_BACKENDS": "./a"}, "prefix = '/c/'")
    assert (settings.value("prefix"), settings.source("prefix")) == ("/o/", f"{tmp_path}/other.toml: prefix")


# -- every option from every source ------------------------------------------------------------------------------------

WAYS: dict[str, tuple[str, str, Any]] = {
    "enabled": ("0", "false", False),
    "prefix": ("/m/", "'/m/'", "/m/"),
    "on_miss": ("404", "'404'", "404"),
    "placeholder": ("none.png", "'none.png'", "none.png"),
    "max_age": ("60", "60", 60),
    "redirect_max_age": ("0", "0", 0),
    "allow_dotfiles": (".thumbs/ '.my thumbs/'", "['.thumbs/', '.my thumbs/']", [".thumbs/", ".my thumbs/"]),
    "media_types": (".usdz=model/usd .x=a/b", "{'.usdz'='model/usd', '.x'='a/b'}", {".usdz": "model/usd", ".x": "a/b"}),
    "authorize": ("tests.test_settings:Rules.may_see", "'tests.test_settings:may_see'", may_see),
    "add_headers": ("tests.test_settings:add", "'tests.test_settings:add'", add),
    "debug": ("YES", "true", True),
    "base_url": ("/m/", "'/m/'", "/m/"),
    "found_ttl": ("0.5", "0.5", 0.5),
    "missing_ttl": ("5", "5", 5),
    "stale_if_error": ("0", "0", 0),
    "deadline": ("2", "2.0", 2),
    "names": ("error", "'error'", "error"),
    "misses_a_minute": ("10", "10", 10),
    "pull_budget": ("5000000000", "5000000000", 5_000_000_000),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option(option: str, tmp_path: Path) -> None:
    (tmp_path / "none.png").write_bytes(b"\x89PNG")
    text, toml, value = WAYS[option]
    backends = {"backends": ["./a"]}
    assert read({f"MEDIAMW_{option.upper()}": text}, **backends).value(option) == value
    assert read({}, **backends, **{option: value}).value(option) == value
    assert read({}, f"{option} = {toml}", **backends).value(option) == value


def test_no_option_is_forgotten() -> None:
    assert set(OPTIONS) == {*Options.__annotations__, *StackOptions.__annotations__}
    assert {name for name, option in OPTIONS.items() if option.of_stack} == set(StackOptions.__annotations__)


def test_the_defaults_are_the_code_s() -> None:
    for function in (MediaStack.__init__, MediaService.__init__):
        for parameter in inspect.signature(function).parameters.values():
            if parameter.name in OPTIONS:
                assert OPTIONS[parameter.name].default == parameter.default, parameter.name
    policy = Policy()
    for name in ("on_miss", "max_age", "redirect_max_age", "debug", "add_headers"):
        assert OPTIONS[name].default == getattr(policy, name)


def test_only_what_is_given_is_given_on() -> None:
    settings = read({"MEDIAMW_BACKENDS": "./a", "MEDIAMW_DEBUG": "1", "MEDIAMW_DEADLINE": "3"}, prefix="/m/")
    assert settings.options() == {"prefix": "/m/", "debug": True}
    assert settings.stack().base_url == "/m/"
    assert settings.stack() is settings.stack()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", True),
        ("true", True),
        ("Yes", True),
        ("ON", True),
        ("0", False),
        ("False", False),
        ("no", False),
        ("off", False),
    ],
)
def test_booleans_of_the_environment(text: str, value: bool) -> None:
    assert read({"MEDIAMW_DEBUG": text, "MEDIAMW_BACKENDS": "./a"}).value("debug") is value


# -- backends ----------------------------------------------------------------------------------------------------------


def test_backends_are_split_as_a_shell_does(tmp_path: Path) -> None:
    text = (
        """'./my media' old=./b\\ c "prod=s3://acme/up?region=eu-west-1&exclude=a%20b" https://h.example/#check=false"""
    )
    settings = read({"MEDIAMW_BACKENDS": text})
    local, old, prod, site = settings.stack().backends
    assert (local.root, old.root) == (str(tmp_path / "my media"), str(tmp_path / "b c"))
    assert [backend.name for backend in (local, old, prod, site)] == ["local", "old", "prod", "http"]
    assert repr(prod) == "S3Backend('s3://acme/up', name='prod')"


TABLES = """
[[backends]]
spec = "./media"

[[backends]]
name = "prod"
spec = "s3://acme/up?region=eu-west-1"
url_life = 4000
exclude = ["invoices/"]
delivery_by = {"*.svg" = "proxy"}
missing_on_403 = true

[[backends]]
spec = "site=https://h.example/"
check = false
proxies = {https = "http://proxy.example.com:3128"}
"""


def test_tables(tmp_path: Path) -> None:
    settings = read(
        {"MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID": "AK", "MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY": SECRET}, TABLES
    )
    local, prod, site = settings.stack().backends
    assert (local.root, local.name) == (str(tmp_path / "media"), "local")
    assert isinstance(prod, S3Backend)
    assert isinstance(site, HTTPOriginBackend)
    assert (prod._life, prod._missing_on_403, prod.location) == (4000, True, "up")
    assert not prod.rules.lets("invoices/1")  # type: ignore[arg-type]
    assert prod.rules.delivery_of("a.svg", None) == "proxy"  # type: ignore[arg-type]
    assert (site.name, site.rules.check) == ("site", False)
    assert prod.sign("a", "GET", 0).url.startswith("https://acme.s3.eu-west-1.amazonaws.com/up/a?X-Amz-")  # type: ignore[arg-type]
    assert [made.source for made in settings.backends][1] == "mediamw.toml: backends[1]"
    assert settings.backends[1].secrets == {
        "access_key_id": "MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID",
        "secret_access_key": "MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY",
    }


def test_what_code_gives() -> None:
    ready = MemoryBackend(name="mem")
    secrets = {"access_key_id": "AK", "secret_access_key": SECRET, "region": None}
    settings = read(
        {}, backends=[Path("a=b"), ready, {"spec": "s3://acme", **secrets}, {"spec": Path("s3:x"), "name": "p"}]
    )
    path, mem, s3, other = settings.stack().backends
    assert isinstance(path, LocalBackend)
    assert path.root.endswith("/a=b")
    assert mem is ready
    assert s3.sign("a", "GET", 0).url.startswith("https://acme.s3.us-east-1.amazonaws.com/a?")
    assert (other.name, other.root.rpartition("/")[2]) == ("p", "s3:x")


def test_a_stack_of_code() -> None:
    stack = MediaStack([MemoryBackend()])
    settings = read({"MEDIAMW_FOUND_TTL": "3"}, backends=stack)  # the environment's does not reach it
    assert settings.stack() is stack
    assert [made.backend.name for made in settings.backends] == ["memory"]


def test_kinds_of_a_framework() -> None:
    seen = []

    def make(rest: str, name: str, **options: Any) -> MemoryBackend:
        seen.append((rest, name, options))
        return MemoryBackend(name=name)

    settings = read_settings(
        {"backends": ["./a", "django:default", {"spec": "prod=django:prod", "check": False}]},
        environ={},
        schemes={"django": make},
    )
    assert settings.faults == ()
    assert [backend.name for backend in settings.stack().backends] == ["local", "django", "prod"]
    assert seen == [("default", "django", {}), ("prod", "prod", {"check": False})]


def test_faults_of_a_kind_of_a_framework() -> None:
    """They keep their ids, settings and sources."""
    faults = [Fault("mediamw.E015", option, f"OPTIONS[{option!r}]", "give another") for option in ("a", "b")]

    def make(rest: str, name: str, **options: Any) -> MemoryBackend:
        raise ConfigErrors(faults)

    settings = read_settings({"backends": ["./a", "django:default"]}, environ={}, schemes={"django": make})
    assert list(settings.faults) == faults


def test_secrets_by_variables() -> None:
    environ = {
        "MEDIAMW_BACKENDS": "./m s3-eu=s3://acme?region=eu-west-1 https://h.example/ other=https://o.example/",
        "MEDIAMW_BACKEND_S3_EU_ACCESS_KEY_ID": "AK",
        "MEDIAMW_BACKEND_S3_EU_SECRET_ACCESS_KEY": SECRET,
        "MEDIAMW_BACKEND_S3_EU_SESSION_TOKEN": "session/token+of",
        "MEDIAMW_BACKEND_HTTP_USERNAME": "qa",
        "MEDIAMW_BACKEND_HTTP_PASSWORD": SECRET,
        "MEDIAMW_BACKEND_OTHER_HEADERS": json.dumps({"Authorization": "Bearer x"}),
    }
    settings = read(environ)
    _, s3, site, other = settings.stack().backends
    assert s3._signer.credentials == Credentials("AK", SECRET, "session/token+of")
    assert site._http._headers["Authorization"].startswith("Basic ")
    assert other._http._headers["Authorization"] == "Bearer x"


def test_what_code_gives_comes_before_the_variable() -> None:
    table = {"spec": "s3://acme?region=eu-west-1", "access_key_id": "AK", "secret_access_key": SECRET}
    settings = read({"MEDIAMW_BACKEND_S3_ACCESS_KEY_ID": "OTHER"}, backends=[table])
    assert settings.stack().backends[0]._signer.credentials.access_key_id == "AK"


def test_the_key_of_cloudfront_in_one_line() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for text in (pem, pem.replace("\n", "\\n")):
        settings = read(
            {
                "MEDIAMW_BACKENDS": "./m cdn=s3://acme?custom_domain=cdn.example.com",
                "MEDIAMW_BACKEND_CDN_CLOUDFRONT_KEY_ID": "K2JCJMDEHXQW5F",
                "MEDIAMW_BACKEND_CDN_CLOUDFRONT_KEY": text,
            }
        )
        url = settings.stack().backends[1].sign("a.jpg", "GET", 0).url
        assert url.startswith("https://cdn.example.com/a.jpg?Expires=")


def test_variables_of_backends_that_code_replaced_are_no_mistake() -> None:
    environ = {
        "MEDIAMW_BACKENDS": "./m qa=s3://acme",
        "MEDIAMW_BACKEND_QA_ACCESS_KEY_ID": "AK",
        "MEDIAMW_BACKEND_QA_SECRET_ACCESS_KEY": SECRET,
    }
    assert [made.backend.name for made in read(environ, backends=["./m"]).backends] == ["local"]


# -- the middlewares ---------------------------------------------------------------------------------------------------


@pytest.fixture
def media(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.txt").write_text("hello")
    return tmp_path


def their_app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"the app"]


@pytest.mark.parametrize("by", ["environment", "file", "template"])
def test_nothing_but_the_settings(media: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    if by == "environment":
        monkeypatch.setenv("MEDIAMW_BACKENDS", "./media memory:")
        monkeypatch.setenv("MEDIAMW_PREFIX", "/files/")
    elif by == "file":
        Path("mediamw.toml").write_text("prefix = '/files/'\nbackends = ['./media']")
    else:
        monkeypatch.setenv("STORAGE_BUCKET_NAME", "acme")
        monkeypatch.setenv("MEDIAMW_PREFIX", "/files/")
    app = wsgi.MediaMiddleware(their_app)
    assert Client(app).get("/files/a.txt").data == b"hello"
    assert Client(app).get("/media/a.txt").data == b"the app"
    service = asgi.MediaMiddleware(None).service
    assert service is not None
    assert (service.prefix, service.stack.base_url, service.stack.backends[0].name) == ("/files/", "/files/", "local")


def test_keywords_come_first(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMW_BACKENDS", "./media")
    monkeypatch.setenv("MEDIAMW_PREFIX", "/files/")
    assert Client(wsgi.MediaMiddleware(their_app, prefix="/m/")).get("/m/a.txt").data == b"hello"


def test_with_backends_only_the_switch_is_read(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMW_PREFIX", "/files/")
    monkeypatch.setenv("MEDIAMW_NONSENSE", "1")
    Path("mediamw.toml").write_text("nonsense")
    assert Client(wsgi.MediaMiddleware(their_app, ["./media"])).get("/media/a.txt").data == b"hello"
    monkeypatch.setenv("MEDIAMW_ENABLED", "0")
    assert Client(wsgi.MediaMiddleware(their_app, ["./media"])).get("/media/a.txt").data == b"the app"
    assert Client(wsgi.MediaMiddleware(their_app, ["./media"], enabled=True)).get("/media/a.txt").data == b"hello"
    monkeypatch.setenv("MEDIAMW_ENABLED", "perhaps")
    with pytest.raises(
        ConfigErrors, match=r"mediamw\.E002 enabled \(environment variable MEDIAMW_ENABLED\): 'perhaps'"
    ):
        wsgi.MediaMiddleware(their_app, ["./media"])


@pytest.mark.parametrize("backends", [None, ["gopher://x"]])
def test_off_is_off(monkeypatch: pytest.MonkeyPatch, backends: Any) -> None:
    """Whatever else is wrong: nothing is looked at, and no module of the project is imported."""
    monkeypatch.setenv("MEDIAMW_ENABLED", "off")
    monkeypatch.setenv("MEDIAMW_AUTHORIZE", "nobody.has:this")
    assert wsgi.MediaMiddleware(their_app, backends).service is None
    monkeypatch.delenv("MEDIAMW_ENABLED")
    assert wsgi.MediaMiddleware(their_app, backends, enabled=False).service is None


def test_all_faults_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMW_BACKENDS", "./media gopher://x s3://")
    monkeypatch.setenv("MEDIAMW_PREFIX", "media")
    monkeypatch.setenv("MEDIAMW_DEBGU", "1")
    Path("mediamw.toml").write_text("max_age = -1\ndedline = 3")
    with pytest.raises(ConfigErrors) as caught:
        wsgi.MediaMiddleware(their_app)
    ids = [(fault.id, fault.setting) for fault in caught.value.faults]
    assert ids == [
        ("mediamw.E001", "MEDIAMW_DEBGU"),
        ("mediamw.E001", "dedline"),
        ("mediamw.E006", "prefix"),
        ("mediamw.E006", "max_age"),
        ("mediamw.E007", "backends.gopher"),
        ("mediamw.E007", "backends.s3"),
    ]
    assert len(str(caught.value).splitlines()) == 6
