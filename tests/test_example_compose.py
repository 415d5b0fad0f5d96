"""examples/compose without a Docker engine: its files are read, and what its containers run is run here.

What is not run: the build of the image, and the network of the containers.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from mediamw.backends.sigv4 import Credentials, Signer
from mediamw.cli.demo.catalogue import ASSETS, all_media

from .real_s3.rclone import program
from .test_examples import ROOT, environment, fetch, form, images_of, started

FOLDER = ROOT / "examples" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
WEBS = [name for name in SERVICES if name.startswith("web")]
DOCKERFILE = FOLDER / "Dockerfile"
LINES = DOCKERFILE.read_text("utf-8").splitlines()
COPIED = dict(line.split()[1:] for line in LINES if line.startswith("COPY"))
FOLDERS = next(re.findall(r"mkdir ([\w ]+) && chown nobody \1", line) for line in LINES if "mkdir" in line)[0].split()


def mounts(name: str) -> dict[str, str]:
    """Return volume -> where it is, and how."""
    return dict(volume.split(":", 1) for volume in SERVICES[name]["volumes"])


def test_the_services_fit_together() -> None:
    assert sorted(SERVICES) == ["bucket", "prepare", "web1", "web2"]
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)
    assert len({port.split(":")[1] for port in published}) == len(published) == 3
    ended, started = ({"condition": f"service_{state}"} for state in ("completed_successfully", "started"))
    assert SERVICES["bucket"]["depends_on"] == {"prepare": ended}  # else the volume would be made by it, and be root's
    for name in WEBS:
        web = SERVICES[name]
        assert web["depends_on"] == {"prepare": ended, "bucket": started}
        assert mounts(name) == {"media": "/srv/media", "data": "/srv/data"}
        key = f"{web['environment']['MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID']},"
        assert key + web["environment"]["MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY"] in SERVICES["bucket"]["command"]
        specs = shlex.split(web["environment"]["MEDIAMW_BACKENDS"])
        assert specs[0] == mounts(name)["media"]
        assert "endpoint_url=http://bucket:8080&public_endpoint_url=http://localhost:8080&" in specs[1]
        assert web["environment"]["DATABASE_URL"].startswith(f"sqlite:///{mounts(name)['data']}/")
    assert mounts("prepare") == {"production": "/srv/production", "data": "/srv/data"}
    assert SERVICES["prepare"]["environment"] == SERVICES["web1"]["environment"]
    assert mounts("bucket") == {"production": "/data:ro"}
    assert set(COMPOSE["volumes"]) == {volume for name in SERVICES for volume in mounts(name)}


def test_the_image_has_what_it_needs() -> None:
    for name in ("prepare", *WEBS):
        build = SERVICES[name]["build"]
        context = (FOLDER / build["context"]).resolve()
        assert (context, context / build["dockerfile"]) == (ROOT, DOCKERFILE)
        assert "image" not in SERVICES[name]  # each its own tag: three builds at once do not fight for one
        assert {place.removeprefix("/srv/") for place in mounts(name).values()} <= set(FOLDERS)  # nobody's
    assert COPIED == {".": "mediamw", "examples/flask_app": "app", "examples/compose/prepare.py": "prepare.py"}
    rules = (FOLDER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()[1:]
    assert rules[0] == "*"
    kept = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    assert all((ROOT / path).exists() for path in kept)
    assert set(COPIED) - {"."} <= set(kept)
    assert {"LICENSE", "README.md", "mediamw", "pyproject.toml"} <= set(kept)  # what hatchling builds the wheel of


@contextmanager
def bucket(folder: Path) -> Iterator[str]:
    """Run the bucket's command over ``folder``, at a port of the system's choice."""
    command = SERVICES["bucket"]["command"].replace("/data", str(folder)).replace("0.0.0.0:8080", "127.0.0.1:0")
    process = subprocess.Popen(
        [program() or "rclone", *shlex.split(command), "--config", str(folder / "none")],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found[0]
                break
        else:
            pytest.fail("rclone ended")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def container(root: Path, name: str, endpoint: str) -> tuple[list[str], dict[str, str]]:
    """Return command and variables of a service in the image that ``root`` has."""
    (cmd,) = (json.loads(line.removeprefix("CMD ")) for line in LINES if line.startswith("CMD "))
    service = SERVICES[name]
    words = shlex.split(service["command"]) if "command" in service else cmd
    run = {"python": [sys.executable], "gunicorn": [sys.executable, "-m", "gunicorn"]}[words[0]]

    def here(text: str) -> str:
        for there, replacement in (
            ("http://bucket:8080", endpoint),
            ("http://localhost:8080", endpoint),
            ("0.0.0.0:8000", "127.0.0.1:0"),
            ("/srv", str(root)),
        ):
            text = text.replace(there, replacement)
        return text

    return [*run, *map(here, words[1:])], {name: here(value) for name, value in service["environment"].items()}


def write_to(endpoint: str, path: str) -> None:
    """Try to write to the bucket, with the key that the containers have."""
    variables = SERVICES["web1"]["environment"]
    names = (f"MEDIAMW_BACKEND_PROD_{name}" for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    signer = Signer(Credentials(*(variables[name] for name in names)), "us-east-1")
    url = signer.presign("PUT", endpoint, path, at=int(time.time()), life=60)
    urllib.request.urlopen(urllib.request.Request(url, b"near", method="PUT"), timeout=20).close()


@pytest.mark.slow
@pytest.mark.skipif(program() is None, reason="needs rclone: pip install -e '.[ci]'")
def test_two_containers_and_a_bucket(tmp_path: Path) -> None:
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    shutil.copytree(ROOT / "examples" / "flask_app", tmp_path / COPIED["examples/flask_app"])
    shutil.copy(FOLDER / "prepare.py", tmp_path / COPIED["examples/compose/prepare.py"])
    production = tmp_path / "production"
    with ExitStack() as closes:
        endpoint = "http://127.0.0.1:9"  # the bucket is not there yet
        command, variables = container(tmp_path, "prepare", endpoint)
        for _ in range(2):  # each start has it
            subprocess.run(command, cwd=tmp_path, env=environment(**variables), check=True)
        filled = sorted(production.rglob("*"))
        endpoint = closes.enter_context(bucket(production))
        webs = []
        for name in WEBS:
            command, variables = container(tmp_path, name, endpoint)
            webs.append(closes.enter_context(started(command, tmp_path, "Listening at:", **variables))[0])
        one, two = webs
        assets = {file.key: ASSETS / file.asset for _, file in all_media() if file.asset is not None}
        for web in webs:
            images = images_of(fetch(web)[2])
            assert len(images) == len(set(images)) > 30
            for image in images:
                _, came_from, body = fetch(web + image)
                assert came_from.startswith(endpoint)
                assert body == assets[unquote(image.removeprefix("/media/"))].read_bytes()
        sent, content_type = form(title=("", b"Mine"), file=("mine.jpg", b"near"))
        _, _, page = fetch(f"{one}/pictures", sent, content_type)
        (image,) = images_of(page)
        assert image in images_of(fetch(two)[2])
        assert fetch(two + image) == (200, two + image, b"near")
        with pytest.raises(urllib.error.HTTPError):
            write_to(endpoint, "/homes-production-media/mine.jpg")
        assert sorted(production.rglob("*")) == filled
    assert (tmp_path / "media" / "uploads" / "mine.jpg").read_bytes() == b"near"
