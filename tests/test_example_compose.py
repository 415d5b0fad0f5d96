"""examples/compose without a Docker engine: its file is read, and what its containers run is run here.

What is not run: the build of the image, and the network of the containers.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from .real_s3.rclone import program
from .servers import running
from .test_examples import fetch, form, images_of

FOLDER = Path(__file__).parents[1] / "examples" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
WEBS = [name for name in SERVICES if name.startswith("web")]


def test_the_file_fits_together() -> None:
    assert WEBS == ["web1", "web2"]
    published = [port for service in SERVICES.values() for port in service["ports"]]
    assert len({port.split(":")[0] for port in published}) == len(published)
    for name in WEBS:
        web = SERVICES[name]
        assert web["depends_on"] == ["bucket"]
        assert {volume.split(":")[0] for volume in web["volumes"]} <= set(COMPOSE["volumes"])
        context = (FOLDER / web["build"]["context"]).resolve()
        dockerfile = context / web["build"]["dockerfile"]
        for copied in re.findall(r"^COPY (\S+) ", dockerfile.read_text("utf-8"), re.MULTILINE):
            assert (context / copied).exists()
        key = f"{web['environment']['MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID']},"
        assert key + web["environment"]["MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY"] in SERVICES["bucket"]["command"]
    assert SERVICES["bucket"]["volumes"][0].endswith(":ro")


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


@pytest.mark.slow
@pytest.mark.skipif(program() is None, reason="needs rclone: pip install -e '.[ci]'")
def test_two_containers_and_a_bucket(tmp_path: Path) -> None:
    production, media = tmp_path / "production", tmp_path / "media"
    (production / "homes-production-media" / "homes" / "42").mkdir(parents=True)
    (production / "homes-production-media" / "homes" / "42" / "harbour cottage.jpg").write_bytes(b"far")
    media.mkdir()
    module = "import sys; sys.path.insert(0, '{}'); from app import create_app; app = create_app()"
    with ExitStack() as closes:
        endpoint = closes.enter_context(bucket(production))
        environment = {
            name: value.replace("http://bucket:8080", endpoint)
            .replace("http://localhost:8080", endpoint)
            .replace("/srv/media", str(media))
            for name, value in SERVICES["web1"]["environment"].items()
        }
        webs = []
        for name in WEBS:
            (tmp_path / name).mkdir()
            text = module.format(FOLDER.parent / "flask_app")
            webs.append(closes.enter_context(running("gunicorn-wsgi", text, "app", tmp_path / name, **environment)))
        one, two = (f"http://127.0.0.1:{web.port}" for web in webs)
        for web in (one, two):
            _, came_from, body = fetch(f"{web}/media/homes/42/harbour%20cottage.jpg")
            assert (came_from.startswith(endpoint), body) == (True, b"far")
        sent, content_type = form(title=("", b"Mine"), file=("mine.jpg", b"near"))
        _, _, page = fetch(f"{one}/pictures", sent, content_type)
        (image,) = images_of(page)
        assert fetch(two + image)[2] == b"near"
        assert [path.name for path in (production / "homes-production-media").iterdir()] == ["homes"]
    assert (media / "uploads" / "mine.jpg").read_bytes() == b"near"
