"""Every fault of the settings that is no typical mistake (tests/test_mistakes.py): id, setting, source, way out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediamw import LocalBackend, MediaStack, MemoryBackend
from mediamw.core.errors import ConfigErrors
from mediamw.settings import read_settings
from mediamw.settings.faults import IDS
from mediamw.settings.sources import MAX_FILE_BYTES

SECRET = "the-secret-of-it"
ENV = "environment variable MEDIAMW_"
TABLE = "[[backends]]\nname = 'prod'\nspec = 's3://acme'\n"
SITE = "./m site=https://h.example/"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_module.py").write_text(f"raise OSError('{SECRET}')")
    monkeypatch.syspath_prepend(str(tmp_path))


Row = tuple[dict[str, Any], dict[str, str], str, list[tuple[str, str, str, str]]]

ROWS: dict[str, Row] = {
    "key of the mapping": (
        {"backends": ["./m"], "prefx": 1, 5: 1},  # type: ignore[dict-item]
        {},
        "",
        [
            ("E001", "prefx", "MEDIAMW['prefx']", "did you mean prefix?"),
            ("E001", "5", "MEDIAMW[5]", "unknown setting '5'; there are backends, enabled"),
        ],
    ),
    "no such variable": (
        {},
        {"MEDIAMW_BACKENDS": "./m", "MEDIAMW_ZZZZ": SECRET},
        "",
        [("E001", "MEDIAMW_ZZZZ", f"{ENV}ZZZZ", "there are MEDIAMW_BACKENDS, MEDIAMW_ENABLED")],
    ),
    "no such secret": (
        {},
        {"MEDIAMW_BACKENDS": "./m", "MEDIAMW_BACKEND_LOCAL_ZZZZ": SECRET},
        "",
        [("E001", "MEDIAMW_BACKEND_LOCAL_ZZZZ", f"{ENV}BACKEND_LOCAL_ZZZZ", "MEDIAMW_BACKEND_NAME_ACCESS_KEY_ID")],
    ),
    "texts that cannot be read": (
        {},
        {
            "MEDIAMW_BACKENDS": "./m",
            "MEDIAMW_FOUND_TTL": "-1",
            "MEDIAMW_MISSES_A_MINUTE": "1.5",
            "MEDIAMW_ALLOW_DOTFILES": "'.x",
            "MEDIAMW_MEDIA_TYPES": "usdz",
            "MEDIAMW_CONFIG": "",
        },
        "",
        [
            ("E002", "MEDIAMW_CONFIG", f"{ENV}CONFIG", "give it a value, or do not set it"),
            ("E002", "allow_dotfiles", f"{ENV}ALLOW_DOTFILES", "a quote is opened and not closed"),
            ("E002", "media_types", f"{ENV}MEDIA_TYPES", "write EXTENSION=TYPE, such as .usdz=model/usd"),
            ("E002", "found_ttl", f"{ENV}FOUND_TTL", "write digits, such as 8 or 0.5"),
            ("E002", "misses_a_minute", f"{ENV}MISSES_A_MINUTE", "write digits alone"),
        ],
    ),
    "empty secret": (
        {},
        {"MEDIAMW_BACKENDS": SITE, "MEDIAMW_BACKEND_SITE_PASSWORD": " ", "MEDIAMW_BACKEND_SITE_USERNAME": "u"},
        "",
        [
            ("E002", "backends.site.password", f"{ENV}BACKEND_SITE_PASSWORD", "give it a value, or do not set it"),
        ],
    ),
    "headers that are no JSON": (
        {},
        {"MEDIAMW_BACKENDS": SITE, "MEDIAMW_BACKEND_SITE_HEADERS": f"Authorization: {SECRET}"},
        "",
        [("E002", "backends.site.headers", f"{ENV}BACKEND_SITE_HEADERS", 'write {"Authorization": "Bearer ..."}')],
    ),
    "not UTF-8": (
        {"backends": ["./m"]},
        {"MEDIAMW_CONFIG": "latin.toml"},
        "",
        [("E003", "latin.toml", "latin.toml", "is not UTF-8, which TOML is: save it as that")],
    ),
    "a directory": (
        {"backends": ["./m"]},
        {"MEDIAMW_CONFIG": "."},
        "",
        [("E003", ".", f"{ENV}CONFIG", "cannot be read (Is a directory): correct the path")],
    ),
    "large": (
        {"backends": ["./m"]},
        {"MEDIAMW_CONFIG": "large.toml"},
        "",
        [("E003", "large.toml", f"{ENV}CONFIG", "has more than 1048576 bytes: is it the right file?")],
    ),
    "deep": (
        {"backends": ["./m"]},
        {},
        "a = " + "[" * 100_000,
        [("E003", "mediamw.toml", "mediamw.toml", "it is nested too deeply")],
    ),
    "a long number": (
        {"backends": ["./m"]},
        {},
        f"max_age = {'1' * 5000}",
        [("E003", "mediamw.toml", "mediamw.toml", "a number in it is too long")],
    ),
    "a file's name of blanks": (
        {"backends": ["./m"]},
        {"MEDIAMW_CONFIG": " "},
        "",
        [("E002", "MEDIAMW_CONFIG", f"{ENV}CONFIG", "give it a value, or do not set it")],
    ),
    "all that is wrong with one backend": (
        {
            "backends": [
                "./m",
                "a=s3://Acme!/x?region=eu-west1&url_life=100&endpoint_url=x",
                "b=s3://acme?regoin=x&secret_key=y&verify=&check=no&region=a&region=b",
                {"spec": "s3://acme", "name": "c", "region": 5, "profile": 5, "verify": 5},
                {"spec": "s3://acme", "name": "d", "regoin": 5, "writable": True},
            ]
        },
        {},
        "",
        [
            ("E007", "backends.a", "MEDIAMW['backends'][1]", "bucket 'Acme!'"),
            ("E007", "backends.a", "MEDIAMW['backends'][1]", "url_window 900"),
            ("E007", "backends.a", "MEDIAMW['backends'][1]", "endpoint_url: give scheme"),
            ("E007", "backends.b", "MEDIAMW['backends'][2]", "unknown option 'regoin'; did you mean region?"),
            ("E008", "backends.b", "MEDIAMW['backends'][2]", "secret_key does not belong into a spec"),
            ("E007", "backends.b", "MEDIAMW['backends'][2]", "option verify has no value"),
            ("E007", "backends.b", "MEDIAMW['backends'][2]", "check: 'no' is neither true nor false"),
            ("E007", "backends.b", "MEDIAMW['backends'][2]", "option region stands twice"),
            ("E007", "backends.c", "MEDIAMW['backends'][3]", "region: int is of the wrong type"),
            ("E007", "backends.c", "MEDIAMW['backends'][3]", "profile: int is of the wrong type"),
            ("E007", "backends.c", "MEDIAMW['backends'][3]", "verify: int is of the wrong type"),
            ("E007", "backends.d", "MEDIAMW['backends'][4]", "did you mean region?"),
        ],
    ),
    "what may be a secret is not repeated": (
        {
            "backends": [
                "./m",
                f"./m,s3://AK:{SECRET}@acme",
                f"s3://AK:{SECRET}",
                f"s3://acme?{SECRET}%2F=1",
                f"s3://acme?region=AK:{SECRET}",
                f"s3://acme?endpoint_url=http://AK:{SECRET}@h&custom_domain=http://AK:{SECRET}@h",
            ],
        },
        {"MEDIAMW_BASE_URL": f"https://qa:{SECRET}@cdn"},
        f"[[backends]]\nspec = 'prod=s3://acme'\nsecret_access_key = '{SECRET}'",
        [
            (
                "E008",
                "backends.prod.secret_access_key",
                "mediamw.toml: backends[0]",
                "set MEDIAMW_BACKEND_PROD_SECRET_ACC",
            ),
            ("E006", "base_url", f"{ENV}BASE_URL", "leave them out"),
            ("E007", "backends.local_2", "MEDIAMW['backends'][1]", "one spec stands here, not several"),
            ("E008", "backends.s3", "MEDIAMW['backends'][2]", "use profile=NAME or the environment"),
            ("E008", "backends.s3_2", "MEDIAMW['backends'][3]", "use profile=NAME or the environment"),
            ("E007", "backends.s3_3", "MEDIAMW['backends'][4]", "give a region's name"),
            ("E007", "backends.s3_4", "MEDIAMW['backends'][5]", "endpoint_url: give scheme, host"),
            ("E007", "backends.s3_4", "MEDIAMW['backends'][5]", "custom_domain: give cdn.example.com"),
        ],
    ),
    "empty lists": ({"backends": []}, {}, "", [("E004", "backends", "MEDIAMW['backends']", "name at least one")]),
    "values of options": (
        {"backends": ["./m"], "media_types": 5, "allow_dotfiles": 5, "placeholder": 5, "on_miss": "ap", "authorize": 5},
        {"MEDIAMW_BASE_URL": "/m", "MEDIAMW_MISSES_A_MINUTE": "0"},
        "deadline = 'x'\nprefix = 5\nmax_age = true",
        [
            ("E006", "prefix", "mediamw.toml: prefix", "must start and end with '/'"),
            ("E006", "on_miss", "MEDIAMW['on_miss']", "'ap' is none of 'app', '404', 'placeholder'"),
            ("E006", "placeholder", "MEDIAMW['placeholder']", "int is not what it takes: see docs/configuration.md"),
            ("E006", "max_age", "mediamw.toml: max_age", "True is not a whole number of seconds"),
            ("E006", "allow_dotfiles", "MEDIAMW['allow_dotfiles']", "int is not what it takes: see docs/config"),
            ("E006", "media_types", "MEDIAMW['media_types']", "int is not what it takes: see docs/configuration.md"),
            ("E006", "authorize", "MEDIAMW['authorize']", "it is a function of request and key"),
            ("E006", "base_url", f"{ENV}BASE_URL", "must end with '/', such as /media/"),
            ("E006", "deadline", "mediamw.toml: deadline", "'x' is not a number of seconds, 0 or more"),
            ("E006", "misses_a_minute", f"{ENV}MISSES_A_MINUTE", "0 is not a whole number, 1 or more"),
        ],
    ),
    "no list": (
        {"backends": "./m"},
        {},
        "",
        [("E007", "backends", "MEDIAMW['backends']", "str is no list: give a li")],
    ),
    "a table of tables": (
        {},
        {},
        "[backends.prod]\nspec = 's3://acme'",
        [("E007", "backends", "mediamw.toml: backends", "in TOML tables are written [[backends]]")],
    ),
    "no backends at all": (
        {"backends": [None, 5, {"name": "x"}, {"spec": ""}, {"spec": 5}]},
        {},
        "",
        [
            ("E007", "backends", "MEDIAMW['backends'][0]", "give a spec, a table with one, or a backend"),
            ("E007", "backends", "MEDIAMW['backends'][1]", "give a spec, a table with one, or a backend"),
            *(
                ("E007", "backends", f"MEDIAMW['backends'][{n}]", "has no spec: give one, such as spec = 's3://")
                for n in (2, 3, 4)
            ),
        ],
    ),
    "names of tables": (
        {"backends": ["./m", {"spec": "a=s3://acme", "name": "b"}, {"spec": "s3://acme", "name": "1 2"}]},
        {"MEDIAMW_BACKEND_B_SESSION_TOKEN": SECRET},  # perhaps the first one's: nothing is said of it yet
        "",
        [
            ("E007", "backends", "MEDIAMW['backends'][1]", "it is named twice, 'b' and, in its spec, 'a': leave one"),
            ("E007", "backends", "MEDIAMW['backends'][2]", "name '1 2': a name has ASCII letters, digits, '-'"),
        ],
    ),
    "options of tables": (
        {
            "backends": [
                {"spec": "./m", "only": "x", "name": "a"},
                {"spec": "./m", "follow_links_to": [5], "name": "b"},
                {"spec": "./m", "region": "x", "name": "c"},
                {"spec": "memory:", "only": ["x"], "name": "d"},
                {"spec": "s3://acme?region=a", "region": "b", "name": "e"},
                {"spec": "s3://acme", "region": 5, "name": "f"},
                {"spec": "s3://acme", "verify": 5, "name": "g"},
                {"spec": "https://h.example/", "verify": 5, "name": "h"},
                {"spec": "s3://acme", "cloudfront_key": 5, "name": "i"},
                {"spec": "s3://acme", "regoin": "x", "name": "j"},
                {"spec": "s3://acme", "check": "no", "name": "k"},
            ]
        },
        {},
        "",
        [
            ("E007", "backends.a", "MEDIAMW['backends'][0]", "only: give a list of patterns"),
            ("E007", "backends.b", "MEDIAMW['backends'][1]", "give a list of directories"),
            ("E007", "backends.c", "MEDIAMW['backends'][2]", "unknown option 'region'; there are directory_mode"),
            ("E007", "backends.d", "MEDIAMW['backends'][3]", "unknown option 'only'"),
            ("E007", "backends.e", "MEDIAMW['backends'][4]", "option region stands twice, in the spec and beside it"),
            ("E007", "backends.f", "MEDIAMW['backends'][5]", "region: int is of the wrong type: give a text"),
            ("E007", "backends.g", "MEDIAMW['backends'][6]", "give False, or the path of a CA bundle"),
            ("E007", "backends.h", "MEDIAMW['backends'][7]", "give False, or the path of a CA bundle"),
            ("E007", "backends.i", "MEDIAMW['backends'][8]", "give the text of a private key in PEM"),
            ("E007", "backends.j", "MEDIAMW['backends'][9]", "did you mean region?"),
            ("E007", "backends.k", "MEDIAMW['backends'][10]", "check: 'no' is neither True nor False"),
        ],
    ),
    "secrets in the file": (
        {},
        {},
        f"secret_access_key = '{SECRET}'\npassword = '{SECRET}'\n{TABLE}aws_token = '{SECRET}'\nname = 'x'".replace(
            "name = 'prod'\n", ""
        )
        + f"\nproxies = {{https = 'http://u:{SECRET}@proxy:3128'}}",
        [
            ("E008", "secret_access_key", "mediamw.toml: secret_access_key", "set MEDIAMW_BACKEND_<NAME>_..."),
            ("E008", "password", "mediamw.toml: password", "set MEDIAMW_BACKEND_<NAME>_..."),
            ("E008", "backends.x.aws_token", "mediamw.toml: backends[0]", "remove it and set it in the environment"),
            ("E008", "backends.x.proxies", "mediamw.toml: backends[0]", "remove it and set HTTPS_PROXY"),
        ],
    ),
    "a secret in a table's spec": (
        {"backends": [{"spec": f"s3://AK:{SECRET}@acme", "name": "prod"}]},
        {},
        "",
        [("E008", "backends.prod", "MEDIAMW['backends'][0]", "MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY")],
    ),
    "secrets of nobody": (
        {"backends": [MemoryBackend(name="mem"), "./m", "a-b=s3://acme", "a_b=s3://acme", SITE.partition(" ")[2]]},
        {
            "MEDIAMW_BACKEND_MEM_PASSWORD": SECRET,
            "MEDIAMW_BACKEND_LOCAL_PASSWORD": SECRET,
            "MEDIAMW_BACKEND_SITE_SESSION_TOKEN": SECRET,
            "MEDIAMW_BACKEND_A_B_SESSION_TOKEN": SECRET,
        },
        "",
        [
            ("E009", "backends.a-b.session_token", f"{ENV}BACKEND_A_B_SESSION_TOKEN", "name one of them otherwise"),
            ("E009", "backends.a_b.session_token", f"{ENV}BACKEND_A_B_SESSION_TOKEN", "name one of them otherwise"),
            ("E009", "backends.mem", f"{ENV}BACKEND_MEM_PASSWORD", "is made in code: give it there"),
            ("E009", "backends.local", f"{ENV}BACKEND_LOCAL_PASSWORD", "takes no such secret: remove the variable"),
            ("E009", "backends.site", f"{ENV}BACKEND_SITE_SESSION_TOKEN", "there are MEDIAMW_BACKEND_SITE_USERNAME"),
        ],
    ),
    "no stack": (
        {"backends": ["./m", "s3://acme?check=false", "memory:"]},
        {},
        "",
        [("E010", "backends.s3", "MEDIAMW['backends']", "check=False: it is for the last backend")],
    ),
    "a stack that is made": (
        {"backends": MediaStack([MemoryBackend()]), "found_ttl": 5},
        {},
        "",
        [("E010", "found_ttl", "MEDIAMW['found_ttl']", "give it to MediaStack or build_stack")],
    ),
    "functions": (
        {"backends": ["./m"], "authorize": "shop"},
        {"MEDIAMW_ADD_HEADERS": "broken_module:add"},
        "",
        [
            ("E011", "authorize", "MEDIAMW['authorize']", "give module:name, such as shop.media:may_see"),
            ("E011", "add_headers", f"{ENV}ADD_HEADERS", "raised OSError: see that `python -c 'import broken_module'`"),
        ],
    ),
    "what is no function": (
        {"backends": ["./m"], "authorize": "tests.test_settings_faults:SECRET", "add_headers": "nobody_has:this"},
        {},
        "",
        [
            ("E011", "authorize", "MEDIAMW['authorize']", "it is a function of request and key"),
            ("E011", "add_headers", "MEDIAMW['add_headers']", "importing nobody_has raised ModuleNotFoundError"),
        ],
    ),
}


@pytest.mark.parametrize("what", ROWS)
def test_faults(what: str) -> None:
    Path("latin.toml").write_bytes("prefix = '/é/'".encode("latin-1"))
    Path("large.toml").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    mapping, environ, toml, expected = ROWS[what]
    if toml:
        Path("mediamw.toml").write_text(toml)
    read = read_settings(mapping, environ=environ)
    found = [(fault.id.partition(".")[2], fault.setting, fault.source) for fault in read.faults]
    assert found == [row[:3] for row in expected]
    for fault, row in zip(read.faults, expected, strict=True):
        assert row[3] in fault.reason
    for use in (read.stack, read.options):
        with pytest.raises(ConfigErrors) as caught:
            use()
        assert SECRET not in f"{caught.value} {caught.value!r}"
        assert len(str(caught.value).splitlines()) == len(expected)
    assert read.backends == ()


def test_the_largest_file() -> None:
    Path("mediamw.toml").write_bytes(b"#" * MAX_FILE_BYTES)
    assert read_settings({"backends": ["./m"]}, environ={}).faults == ()


def test_every_id_has_a_row() -> None:
    sources = [Path(__file__).with_name(f"test_{name}.py").read_text() for name in ("mistakes", "settings_template")]
    sources += [Path(__file__).with_name("test_storages_configuration.py").read_text()]
    sources += [Path(__file__).with_name("test_django_storages.py").read_text(), Path(__file__).read_text()]
    assert [id_ for id_ in IDS if not any(f'"{id_.partition(".")[2]}"' in source for source in sources)] == []


def test_what_was_made_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr("mediamw.backends.local.LocalBackend.close", lambda self: closed.append(self.name))
    for last in ("gopher://x", "b=memory: b=memory:", "s3://acme?check=false memory:", "memory:"):
        closed.clear()
        assert read_settings(environ={"MEDIAMW_BACKENDS": f"a=./m {last}", "MEDIAMW_PREFIX": "m"}).faults != ()
        assert closed == ["a"]
    closed.clear()
    ready = MediaStack([LocalBackend("./m")])
    assert read_settings({"backends": ready, "prefix": "m"}, environ={}).faults != ()
    assert closed == []


texts = st.text(max_size=20)
NAMES = """MEDIAMW_BACKENDS MEDIAMW_PREFIX MEDIAMW_MEDIA_TYPES MEDIAMW_ALLOW_DOTFILES MEDIAMW_CONFIG MEDIAMW_DEADLINE
MEDIAMW_BACKEND_S3_SESSION_TOKEN MEDIAMW_LOCAL_DIR STORAGES_MODE STORAGE_BUCKET_NAME STORAGE_MAKE_FILES_PUBLIC
AWS_S3_CUSTOM_DOMAIN AWS_ACCESS_KEY_ID AWS_REGION DO_REGION"""
names = st.sampled_from(NAMES.split())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.sampled_from(["./m", "s3://acme", "memory:"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["spec", "name", "region", "verify", "only", "check", "proxies"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300)
@given(
    st.dictionaries(names, texts, max_size=5),
    st.dictionaries(st.sampled_from(["backends", "prefix", "placeholder", "media_types", "add_headers"]), values),
)
def test_whatever_is_given_is_settings_or_faults(environ: dict[str, str], mapping: dict[str, Any]) -> None:
    read = read_settings(mapping, environ=environ)
    if not read.faults:
        read.stack().close()
    assert "m" not in os.listdir()
