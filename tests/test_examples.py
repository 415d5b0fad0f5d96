"""The examples, started as their READMEs say and driven as a browser would."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
START_SECONDS = 60


def environment(**more: str) -> dict[str, str]:
    """Return the variables of this process without those that the examples read, and ``more``."""
    theirs = ("MEDIAMW_", "AWS_", "STORAGE", "PRODUCTION_", "GALLERY_", "DJANGO_", "DATABASE_URL", "FLASK_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


@contextmanager
def started(command: list[str], folder: Path, says: str, **more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``command`` in ``folder``; yield the URL that it prints behind ``says``. ``more``: variables."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment(**more), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    heard: list[str] = []
    too_late = threading.Timer(START_SECONDS, process.terminate)
    too_late.start()
    try:
        for line in process.stdout:
            heard.append(line)
            if found := re.search(rf"{says}\s*(http://127\.0\.0\.1:\d+)", line):
                too_late.cancel()
                yield found[1], process
                break
        else:
            pytest.fail(f"it ended: {''.join(heard)}")
    finally:
        too_late.cancel()
        process.terminate()
        rest, _ = process.communicate(timeout=20)
    assert "writes that reached production" not in rest
    assert "Traceback" not in rest


def fetch(
    url: str, data: bytes | None = None, content_type: str = "", opener: urllib.request.OpenerDirector | None = None
) -> tuple[int, str, bytes]:
    """Return status, URL after redirects, and body. ``opener`` may have cookies."""
    request = urllib.request.Request(url, data, {"Content-Type": content_type} if data else {})
    with (opener or urllib.request.build_opener()).open(request, timeout=20) as answer:
        return answer.status, answer.url, answer.read()


def images_of(page: bytes) -> list[str]:
    return [html.unescape(url) for url in re.findall(r'<img src="(/media/[^"]+)"', page.decode())]


def form(**fields: tuple[str, bytes]) -> tuple[bytes, str]:
    """Return a multipart form; a field with a file name is a file."""
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"{f"; filename={chr(34)}{file}{chr(34)}" if file else ""}'
        "\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, (file, data) in fields.items()
    ]
    return b"".join(parts) + b"--x--\r\n", "multipart/form-data; boundary=x"


def command_of(readme: Path, program: str) -> list[str]:
    """Return the command of a README that runs ``program`` beside the bucket, with this Python."""
    (line,) = re.findall(rf"^    python (examples/bucket\.py {program} .+)$", readme.read_text("utf-8"), re.MULTILINE)
    script, _, *words = line.split()
    words = [str(ROOT / word) if word.startswith("examples/") else word for word in words]
    module = [] if program == "python" else ["-m", program]
    return [sys.executable, str(ROOT / script), sys.executable, *module, *words]


def test_the_gallery_in_flask(tmp_path: Path) -> None:
    command = [*command_of(ROOT / "examples" / "flask_app" / "README.md", "flask"), "--port", "0"]
    with started(command, tmp_path, "Running on") as (url, process):
        status, _, page = fetch(url)
        images = images_of(page)
        assert (status, len(images) > 30) == (200, True)
        elsewhere = 0
        for image in images:
            status, came_from, body = fetch(url + image)
            assert (status, len(body) > 100) == (200, True), image
            elsewhere += not came_from.startswith(url)
        assert elsewhere == len(images)  # nothing lies here yet
        sent, content_type = form(title=("", b"Mine"), file=("hall.jpg", b"\xff\xd8" + b"x" * 1000))
        for name in ("hall.jpg", "hall-2.jpg"):
            status, _, page = fetch(f"{url}/pictures", sent, content_type)
            assert (status, images_of(page)) == (200, [f"/media/uploads/{name}"])
            assert "held by backend 'local'" in html.unescape(page.decode())
            assert fetch(url + images_of(page)[0])[2] == b"\xff\xd8" + b"x" * 1000
        assert len(images_of(fetch(url)[2])) == len(images) + 2
        assert sorted(path.name for path in (tmp_path / "media" / "uploads").iterdir()) == ["hall-2.jpg", "hall.jpg"]
        assert process.poll() is None


def test_the_bucket_alone_says_how_it_is_used() -> None:
    ran = subprocess.run([sys.executable, ROOT / "examples" / "bucket.py"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "python examples/bucket.py flask" in ran.stderr


def test_the_status_of_the_command_is_the_status(tmp_path: Path) -> None:
    code = "import os, sys; sys.exit(7 if 'prod=s3://' in os.environ['MEDIAMW_BACKENDS'] else 1)"
    ran = subprocess.run(
        [sys.executable, ROOT / "examples" / "bucket.py", sys.executable, "-c", code], cwd=tmp_path, check=False
    )
    assert ran.returncode == 7
