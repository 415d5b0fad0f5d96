"""Named storages from mappings and from the environment: what is wrong, and that it is all or nothing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediamw import ConfigError, ConfigErrors, LocalBackend, MediaStack, MemoryBackend, storages
from mediamw.cli.storages_options import add_arguments, registry_of
from mediamw.ext.depot.io.boto3 import DepotBucket, ReadOnlyDepotBucket
from mediamw.ext.depot.io.local import DepotDirectory
from mediamw.ext.depot.specs import SCHEMES
from mediamw.settings import read_settings
from mediamw.storages import Registry, load, load_environment


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MEDIAMW_")]:
        monkeypatch.delenv(name)
    yield
    storages.clear()


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.clear()


ENVIRON = {
    "MEDIAMW_STORAGES": "local avatars-s3",
    "MEDIAMW_STORAGE_LOCAL_BACKENDS": "./media 'old=./old media'",
    "MEDIAMW_STORAGE_LOCAL_NAMES": "error",
    "MEDIAMW_STORAGE_LOCAL_DEADLINE": "2.5",
    "MEDIAMW_STORAGE_AVATARS_S3_BACKENDS": "av=s3://acme-avatars?region=eu-west-1&writable=true",
    "MEDIAMW_BACKEND_AV_ACCESS_KEY_ID": "AKAVATARS",
    "MEDIAMW_BACKEND_AV_SECRET_ACCESS_KEY": "hush",
    "MEDIAMW_STORAGE_ALIASES": "avatars=faces faces=local",
    "MEDIAMW_STORAGE_REMAP": "s3_avatars=avatars",
    "MEDIAMW_STORAGE_DEFAULT": "avatars",
}


def test_the_environment(registry: Registry) -> None:
    assert load_environment(ENVIRON, registry) is registry
    assert registry.names() == {
        "local": "local",
        "avatars-s3": "avatars-s3",
        "faces": "local",
        "avatars": "local",
        "s3_avatars": "local",
    }
    assert registry.resolve() == "local"
    registry.alias("avatars", "avatars-s3")
    assert registry.resolve() == "avatars-s3", "the default is the alias"
    local = registry.get("local")
    assert local.names == "error"
    assert local.base_url is None, "no prefix shows its files by their keys alone"
    assert [Path(backend.root).name for backend in local.backends] == ["media", "old media"]  # type: ignore[attr-defined]
    (bucket,) = registry.get("avatars-s3").backends
    assert bucket.can_sign(0)  # type: ignore[attr-defined]
    assert bucket.name == "av"


def test_the_first_is_the_default(registry: Registry) -> None:
    load({"storages": {"b": "memory:", "a": "memory:"}}, registry)
    assert registry.resolve() == "b"


def test_what_a_mapping_has(registry: Registry, tmp_path: Path) -> None:
    stack, backend = MediaStack([MemoryBackend()]), MemoryBackend(name="mine")
    made = load(
        {
            "storages": {
                "path": tmp_path / "a",
                "spec": "./b",
                "list": ["./c", "prod=s3://acme"],
                "backend": backend,
                "stack": stack,
                "table": {
                    "backends": [{"spec": "./d", "file_mode": 0o600, "name": "own"}],
                    "names": "shadow",
                    "base_url": "/d/",
                },
            },
            "default": "table",
            "aliases": {"x": "y", "y": "list"},
            "remap": {"s3": "table", "path": "spec"},
        },
        registry,
    )
    assert made is registry
    assert registry.get("stack") is stack
    assert registry.get("backend").upper is backend
    table = registry.get("s3")
    assert (table, table.names, table.base_url, table.upper.name) == (registry.get(), "shadow", "/d/", "own")
    assert registry.resolve("x") == "list"
    assert registry.resolve("path") == "spec"
    assert [one.name for one in registry.get("list").backends] == ["local", "prod"]


def test_the_process_s_own_registry_is_the_default() -> None:
    assert load({"storages": {"a": "memory:"}}) is storages.registry
    assert storages.get("a").upper.name == "memory"


def test_secrets_are_the_environment_s(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAMW_BACKEND_S3_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("MEDIAMW_BACKEND_S3_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("MEDIAMW_BACKEND_OTHERS_ACCESS_KEY_ID", "not ours, and code does not say that it is all")
    load({"storages": {"a": "s3://acme?region=eu-west-1", "b": ["./b", "s3://other?region=eu-west-1"]}}, registry)
    for name in ("a", "b"):
        assert registry.get(name).backends[-1].can_sign(0), "both are called s3"  # type: ignore[attr-defined]


def test_secrets_that_one_of_two_takes(registry: Registry) -> None:
    """Of one name, one is a bucket and one is not: then the variable is the bucket's."""
    environ = {
        "MEDIAMW_STORAGES": "a b",
        "MEDIAMW_STORAGE_A_BACKENDS": "x=./a",
        "MEDIAMW_STORAGE_B_BACKENDS": "x=s3://acme?region=eu-west-1",
        "MEDIAMW_BACKEND_X_ACCESS_KEY_ID": "AK",
        "MEDIAMW_BACKEND_X_SECRET_ACCESS_KEY": "hush",
    }
    load_environment(environ, registry)
    assert registry.get("b").upper.can_sign(0)  # type: ignore[attr-defined]


def faults_of(environ: dict[str, str], registry: Registry) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigErrors) as caught:
        load_environment(environ, registry)
    return [(fault.id[-4:], fault.setting, fault.reason) for fault in caught.value.faults]


WRONG = [
    ({"MEDIAMW_STORAGES": ""}, "E017", "storages", "names none"),
    ({"MEDIAMW_STORAGES": "'local"}, "E002", "MEDIAMW_STORAGES", "quote"),
    ({"MEDIAMW_STORAGES": "local lo.cal avatars-s3"}, "E016", "storages", "'lo.cal'"),
    ({"MEDIAMW_STORAGES": "local avatars-s3 local"}, "E016", "storages", "'local' stands twice"),
    ({"MEDIAMW_STORAGES": "local avatars-s3 new"}, "E004", "storages.new", "MEDIAMW_STORAGE_NEW_BACKENDS"),
    (
        {"MEDIAMW_STORAGES": "local avatars-s3 avatars_s3"},
        "E016",
        "storages.avatars_s3",
        "MEDIAMW_STORAGE_AVATARS_S3_BACKENDS is the variable of avatars-s3 too",
    ),
    (
        {"MEDIAMW_STORAGE_LOCAL_BACKEND": "./x"},
        "E001",
        "MEDIAMW_STORAGE_LOCAL_BACKEND",
        "did you mean MEDIAMW_STORAGE_LOCAL_BACKENDS?",
    ),
    ({"MEDIAMW_STORAGE_ALIAS": "a=b"}, "E001", "MEDIAMW_STORAGE_ALIAS", "did you mean MEDIAMW_STORAGE_ALIASES?"),
    ({"MEDIAMW_STORAGE_LOCAL_BACKENDS": " "}, "E002", "MEDIAMW_STORAGE_LOCAL_BACKENDS", "set and empty"),
    ({"MEDIAMW_STORAGE_REMAP": ""}, "E002", "MEDIAMW_STORAGE_REMAP", "set and empty"),
    ({"MEDIAMW_STORAGE_LOCAL_NAMES": "errr"}, "E006", "storages.local.names", "errr"),
    ({"MEDIAMW_STORAGE_LOCAL_DEADLINE": "soon"}, "E002", "storages.local.deadline", "'soon' is not a number"),
    ({"MEDIAMW_STORAGE_LOCAL_BACKENDS": "./a, ./b"}, "E005", "storages.local.backends", "blanks"),
    ({"MEDIAMW_STORAGE_LOCAL_BACKENDS": "ftp://x/"}, "E007", "storages.local.backends.ftp", "no kind of backend"),
    ({"MEDIAMW_STORAGE_LOCAL_BACKENDS": "./a x=./a/b"}, "E010", "storages.local.backends.x", "lies in"),
    (
        {"MEDIAMW_STORAGE_LOCAL_BACKENDS": "s3://acme?secret_access_key=hush"},
        "E008",
        "storages.local.backends.s3",
        "MEDIAMW_BACKEND_S3_SECRET_ACCESS_KEY",
    ),
    ({"MEDIAMW_BACKEND_AV_SECRET_ACCES_KEY": "hush"}, "E001", "MEDIAMW_BACKEND_AV_SECRET_ACCES_KEY", "did you mean"),
    ({"MEDIAMW_BACKEND_OLD_PASSWORD": "hush"}, "E009", "backends.old", "takes no such secret"),
    (
        {"MEDIAMW_BACKEND_NOBODY_PASSWORD": "hush"},
        "E009",
        "MEDIAMW_BACKEND_NOBODY_PASSWORD",
        "no backend has this name",
    ),
    ({"MEDIAMW_STORAGE_ALIASES": "faces=local avatars"}, "E016", "aliases", "'avatars': write NAME=STORAGE"),
    ({"MEDIAMW_STORAGE_ALIASES": "avatars=local avatars=local"}, "E016", "aliases", "'avatars' stands twice"),
    ({"MEDIAMW_STORAGE_ALIASES": "avatars=lokal"}, "E016", "aliases.avatars", "did you mean local?"),
    ({"MEDIAMW_STORAGE_ALIASES": "avatars=a a=avatars"}, "E016", "aliases.a", "point at itself"),
    ({"MEDIAMW_STORAGE_ALIASES": "avatars=local local=local"}, "E016", "aliases.local", "name of a storage"),
    ({"MEDIAMW_STORAGE_REMAP": "s3_avatars=lokal"}, "E016", "remap.s3_avatars", "did you mean local?"),
    ({"MEDIAMW_STORAGE_DEFAULT": "lokal"}, "E016", "default", "did you mean local?"),
]


@pytest.mark.parametrize(("change", "id_", "setting", "text"), WRONG)
def test_what_is_wrong(change: dict[str, str], id_: str, setting: str, text: str, registry: Registry) -> None:
    told = faults_of({**ENVIRON, **change}, registry)
    assert any((id_, setting) == fault[:2] and text in fault[2] for fault in told), told
    assert "hush" not in str(told)
    assert registry.names() == {}


def test_all_faults_at_once_and_no_others(registry: Registry) -> None:
    changes = {
        "MEDIAMW_STORAGE_LOCAL_NAMES": "errr",
        "MEDIAMW_STORAGE_AVATARS_S3_BACKENDS": "av=s3://acme-avatars?regoin=eu-west-1",
        "MEDIAMW_STORAGE_REMAP": "s3_avatars=lokal",
        "MEDIAMW_STORAGE_LOCAL_BACKEND": "./media",
    }
    assert [fault[:2] for fault in faults_of({**ENVIRON, **changes}, registry)] == [
        ("E001", "MEDIAMW_STORAGE_LOCAL_BACKEND"),
        ("E006", "storages.local.names"),
        ("E007", "storages.avatars-s3.backends.av"),
        ("E016", "remap.s3_avatars"),
    ], "what stands for a faulty storage is not wrong too"


def test_options_are_judged_where_backends_are_missing(registry: Registry) -> None:
    environ = {"MEDIAMW_STORAGES": "local", "MEDIAMW_STORAGE_LOCAL_NAMES": "errr"}
    assert [fault[:2] for fault in faults_of(environ, registry)] == [
        ("E004", "storages.local"),
        ("E006", "storages.local.names"),
    ]


def test_none_are_named(registry: Registry) -> None:
    assert [fault[:2] for fault in faults_of({}, registry)] == [("E017", "storages")]


MAPPINGS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"storage": {}}, "E001", "storage", "did you mean storages?"),
    ({"storages": ["./a"]}, "E006", "storages", "list is no mapping"),
    ({"storages": {"a": 3}}, "E007", "storages.a.backends", "int is no list"),
    ({"storages": {"a": []}}, "E004", "storages.a.backends", "empty"),
    ({"storages": {"a": {"names": "error"}}}, "E004", "storages.a", "no backends"),
    ({"storages": {"a": {"backends": "./x", "prefix": "/"}}}, "E001", "storages.a.prefix", "option of a storage"),
    ({"storages": {"a": {"backends": "./x", "deadline": "8"}}}, "E006", "storages.a.deadline", ""),
    ({"storages": {3: "./x"}}, "E016", "storages", "int is no name"),
    ({"storages": {"a b": "./x"}}, "E016", "storages.a b", "no name"),
    ({"storages": {"here": "./x"}}, "E016", "storages.here", "configured already"),
    ({"storages": {"there": "./x"}}, "E016", "storages.there", "is an alias"),
    ({"default": 3}, "E006", "default", "int is no name"),
    ({"aliases": {"a": 3}}, "E016", "aliases.a", "int is no name"),
    ({"aliases": [("a", "here")]}, "E006", "aliases", "list is no mapping"),
    ({"remap": {"a": "nowhere"}}, "E016", "remap.a", "unknown storage"),
]


@pytest.mark.parametrize(("mapping", "id_", "setting", "text"), MAPPINGS)
def test_what_is_wrong_with_a_mapping(
    mapping: dict[str, Any], id_: str, setting: str, text: str, registry: Registry
) -> None:
    registry.configure("here", "memory:")
    registry.alias("there", "here")
    registry.remap({"prod": "there"})
    before = registry.names()
    with pytest.raises(ConfigErrors) as caught:
        load({"storages": {"good": "memory:"}, "aliases": {"there": "good"}, **mapping}, registry)
    told = [(fault.id[-4:], fault.setting, fault.reason) for fault in caught.value.faults]
    assert any((id_, setting) == fault[:2] and text in fault[2] for fault in told), told
    assert registry.names() == before
    assert registry.resolve() == "here"


def test_what_is_no_mapping(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="list is no mapping"):
        load(["./media"], registry)  # type: ignore[arg-type]


class Counted(MemoryBackend):
    closed = 0

    def close(self) -> None:
        type(self).closed += 1


def test_what_was_made_is_closed_and_what_was_given_is_not(registry: Registry) -> None:
    class Given(Counted):
        closed = 0

    class Made(Counted):
        closed = 0

    mapping = {"storages": {"a": MediaStack([Given()]), "b": ["made:"]}, "aliases": {"x": "nowhere"}}
    with pytest.raises(ConfigErrors):
        load(mapping, registry, schemes={"made": lambda _where, name: Made(name=name)})
    assert (Given.closed, Made.closed) == (0, 1)
    registry.configure("a", "memory:")
    del mapping["aliases"]
    with pytest.raises(ConfigErrors, match="'a' is configured already"):
        load(mapping, registry, schemes={"made": lambda _where, name: Made(name=name)})
    assert (Given.closed, Made.closed) == (0, 2)


def test_schemes_of_others_take_the_secrets_of_what_they_are_built_on(registry: Registry) -> None:
    seen: dict[str, Any] = {}

    def scheme(where: str, name: str, **options: Any) -> MemoryBackend:
        seen.update(options, where=where, name=name)
        return MemoryBackend(name=name)

    environ = {
        "MEDIAMW_STORAGES": "a",
        "MEDIAMW_STORAGE_A_BACKENDS": "depot+s3://acme/avatars?region=x",
        "MEDIAMW_BACKEND_DEPOT_S3_ACCESS_KEY_ID": "AK",
    }
    load_environment(environ, registry, schemes={"depot+s3": scheme})
    assert seen == {"where": "//acme/avatars?region=x", "name": "depot_s3", "access_key_id": "AK"}


def test_storages_of_depot(registry: Registry) -> None:
    environ = {
        "MEDIAMW_STORAGES": "depot prod",
        "MEDIAMW_STORAGE_DEPOT_BACKENDS": "depot:./media depot+s3://acme/uploads/?region=eu-west-1",
        "MEDIAMW_STORAGE_PROD_BACKENDS": "depot+s3://acme-prod?region=eu-west-1&writable=true&policy=private",
        "MEDIAMW_BACKEND_DEPOT_S3_ACCESS_KEY_ID": "AK",
        "MEDIAMW_BACKEND_DEPOT_S3_SECRET_ACCESS_KEY": "hush",
    }
    load_environment(environ, registry, schemes=SCHEMES)
    (directory, lower), (upper,) = registry.get("depot").backends, registry.get("prod").backends
    assert isinstance(directory, DepotDirectory)
    assert (directory.root, directory.name) == (str(Path("media").resolve()), "depot")
    assert type(lower) is ReadOnlyDepotBucket
    assert (lower.bucket, lower.prefix, lower.can_sign(0)) == ("acme", "uploads/", True)
    assert isinstance(upper, DepotBucket)
    assert (upper.prefix, upper.policy, upper.can_sign(0)) == ("", "private", True)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("depot:", "write depot:/srv/media"),
        ("depot://srv/media", "write depot:/srv/media"),
        ("depot:./media?file_mode=1", "takes no options"),
        ("depot+s3:acme", "depot+s3: without //"),
        ("depot+s3://AK:hush@acme", "keys do not belong into a spec"),
        ("depot+s3://acme?location=x", "unknown option 'location'"),
        ("depot+s3://acme?policy=private", "with writable=true"),
        ("depot+s3://acme?writable=true&policy=open", "policy"),
        ({"spec": "depot:./media", "file_mod": 0o600}, "did you mean file_mode?"),
        ({"spec": "depot+s3://acme", "regoin": "x"}, "did you mean region?"),
    ],
)
def test_no_storages_of_depot(spec: Any, text: str, registry: Registry) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load({"storages": {"a": [spec]}}, registry, schemes=SCHEMES)
    assert text in str(caught.value)
    assert "hush" not in str(caught.value)


def test_the_settings_of_a_middleware_beside_them(registry: Registry) -> None:
    """Each takes the variables of the other for what they are: neither calls them unknown."""
    both = {
        **ENVIRON,
        "MEDIAMW_BACKENDS": "./media prod=s3://acme",
        "MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID": "AK",
        "MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY": "hush",
    }
    assert read_settings(environ=both).faults == ()
    load_environment(both, registry)
    (fault,) = read_settings(environ={"MEDIAMW_BACKENDS": "./m", "MEDIAMW_STORAGGES": "local"}).faults
    assert "did you mean MEDIAMW_STORAGES?" in fault.reason
    (fault,) = read_settings(environ={**ENVIRON, "MEDIAMW_BACKENDS": "./m", "MEDIAMW_BACKEND_X_PASSWORD": "p"}).faults
    assert "no backend has this name" in fault.reason


texts = st.text(max_size=12) | st.sampled_from(["a b", "a=b", "a=a", "b=a a=b", "./m", "s3://acme", "memory:", "'"])
VARIABLES = ["S", "_A_BACKENDS", "_B_BACKENDS", "_A_NAMES", "_ALIASES", "_REMAP", "_DEFAULT", "_A_B_BACKENDS", "_X"]


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from(VARIABLES), texts))
def test_whatever_is_written_is_storages_or_faults(written: dict[str, str]) -> None:
    registry = Registry()
    with suppress(ConfigErrors):
        load_environment({f"MEDIAMW_STORAGE{name}": text for name, text in written.items()}, registry)
    assert registry.names() == {} or registry.resolve() in registry.names()
    registry.clear()


def given_by(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(argv)


MODULE = """
from mediamw import storages

own = storages.Registry()
own.configure("own", "memory:")
number = 3

def create_app():
    storages.configure("by_call", "memory:")
    return object()

def make():
    return own

storages.configure("by_import", "memory:")
"""


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("shop_storages", {"by_import"}),
        ("shop_storages:own", {"own"}),
        ("shop_storages:make()", {"own"}),
        ("shop_storages:create_app()", {"by_import", "by_call"}),
        ("shop_storages:create_app", {"by_import", "by_call"}),
    ],
)
def test_apps(target: str, names: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_storages.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", sys.path[:])
    try:
        assert set(registry_of(given_by("--app", target)).names()) == names
    finally:
        sys.modules.pop("shop_storages", None)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("no_such_module_here", "no module 'no_such_module_here' here"),
        ("shop_storages:nobody", "shop_storages has no 'nobody'"),
        ("shop_storages:number", "is a int"),
        ("shop/storages.py", "give MODULE"),
        ("json", "configures no storages in the registry of mediamw.storages"),
    ],
)
def test_no_apps(target: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_storages.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", sys.path[:])
    try:
        with pytest.raises(ConfigError, match=text.replace("(", r"\(")):
            registry_of(given_by("--app", target))
    finally:
        sys.modules.pop("shop_storages", None)


def test_without_an_app_the_environment_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="give --app MODULE, or set MEDIAMW_STORAGES"):
        registry_of(given_by())
    for name, text in ENVIRON.items():
        monkeypatch.setenv(name, text)
    assert registry_of(given_by()) is storages.registry
    assert storages.resolve("s3_avatars") == "local"


def test_a_local_directory_is_made_by_use_alone(registry: Registry, tmp_path: Path) -> None:
    load({"storages": {"a": "./media"}}, registry)
    assert os.listdir(tmp_path) == []
    upper = registry.get("a").upper
    assert isinstance(upper, LocalBackend)
    registry.get("a").save("x.txt", b"x")
    assert (tmp_path / "media" / "x.txt").read_bytes() == b"x"
