"""docs/storages.md is true: its blocks run, one after the other, against a bucket; its table has the functions."""

from __future__ import annotations

import inspect
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from mediamw import storages
from mediamw.storages import Registry, load_environment
from mediamw.testing import StrictS3

from .http_table.sites import wrapped_wsgi
from .s3.s3_world import ID, SECRET

NAME = "storages.md"
PAGE = (Path(__file__).parents[1] / "docs" / NAME).read_text("utf-8")
AVATARS, PROD = "s3://acme-avatars?region=eu-west-1&writable=true", "prod=s3://acme-prod-media?profile=acme-ro"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictS3]:
    monkeypatch.chdir(tmp_path)
    with StrictS3(keys={"AKWRITER": SECRET}, read_only_keys={ID: SECRET}, region="eu-west-1") as server:
        for bucket in ("acme-avatars", "acme-prod-media"):
            server.create_bucket(bucket)
        for name in ("alice.png", "bob.png"):
            server.put("acme-prod-media", name, b"production's")
        for backend, key in (("S3", "AKWRITER"), ("PROD", ID)):
            monkeypatch.setenv(f"MEDIAMW_BACKEND_{backend}_ACCESS_KEY_ID", key)
            monkeypatch.setenv(f"MEDIAMW_BACKEND_{backend}_SECRET_ACCESS_KEY", SECRET)
        yield server
        storages.clear()


def run(number: int, names: dict[str, Any], s3: StrictS3) -> None:
    code = blocks("python")[number].replace(AVATARS, f"{AVATARS}&endpoint_url={s3.endpoint}")
    code = code.replace(PROD, f"prod=s3://acme-prod-media?endpoint_url={s3.endpoint}&region=eu-west-1")
    exec(compile(code, f"docs/storages.md, block {number}", "exec"), names)


def read(stack: Any, key: str) -> bytes:
    with stack.open(key) as file:
        data: bytes = file.read()
    return data


def test_the_blocks(s3: StrictS3) -> None:
    assert (len(blocks("python")), len(blocks("sh"))) == (5, 1)
    names: dict[str, Any] = {"app": wrapped_wsgi}
    run(0, names, s3)
    assert names["row"] == "local/alice.png"
    run(1, names, s3)
    assert names["newer"] == "s3/bob.png"
    assert s3.objects("acme-avatars") == {"bob.png": b"..."}
    assert read(storages.get("local"), "alice.png") == b"..."
    Path("media/alice.png").unlink()
    run(2, names, s3)
    assert read(names["stack"], "alice.png") == b"new"
    assert list(names["stack"].hidden()) == ["bob.png"]
    assert set(s3.objects("acme-prod-media").values()) == {b"production's"}
    assert [call for call in s3.writes if call.bucket == "acme-prod-media"] == []
    run(3, names, s3)
    registry: Registry = names["registry"]
    assert registry is not storages.registry
    assert registry.resolve() == "local"
    run(4, names, s3)
    assert names["url"] == "/media/local/alice.png"
    client = Client(names["app"])
    assert client.get(names["url"]).data == client.get("/media/avatars/alice.png").data == b"new"
    assert client.get("/media/docs/bob.png").status_code == 302
    assert client.get("/").headers["X-App"] == "yes"
    environ = dict(line.split("=", 1) for line in map("".join, map(shlex.split, blocks("sh")[0].splitlines())))
    for variable in list(environ):  # a profile and keys are two sources, and here keys are set
        environ[variable] = environ[variable].replace("?profile=acme-ro", "?region=eu-west-1")
    same = load_environment({**os.environ, **environ}, Registry())
    assert same.names() == registry.names()
    assert same.default == registry.default
    assert same.get("s3").names == registry.get("s3").names == "error"
    for made in (registry, same):
        made.clear()


def test_the_functions() -> None:
    rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", PAGE, re.MULTILINE)
    told = {name: given for row in rows for name, given in re.findall(r"`(\w+)\((.*?)\)`", row)}
    assert set(told) <= set(storages.__all__)
    assert {name for name in storages.__all__ if name[0].islower()} - set(told) == {"registry"}
    for name, given in told.items():
        if not name.startswith("load"):
            parameters = [
                str(one).partition(":")[0] for one in inspect.signature(getattr(storages, name)).parameters.values()
            ]
            assert [part.partition("=")[0].strip() for part in given.split(",") if part] == parameters
