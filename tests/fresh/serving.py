"""Servers of the new environment, one at a time, and a client that follows no redirect by itself."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..real_s3.processes import free_ports, running
from .environment import Environment, clean

SAYS = r"(http://127\.0\.0\.1:\d+)"
SERVERS: dict[str, tuple[str, str]] = {
    "gunicorn": ("gunicorn {target} --threads 4 --bind 127.0.0.1:0", f"Listening at: {SAYS}"),
    "uvicorn": ("uvicorn {target} --port 0", f"Uvicorn running on {SAYS}"),
    "granian-wsgi": ("granian --interface wsgi --port {port} {target}", ""),
    "granian-asgi": ("granian --interface asgi --port {port} {target}", ""),
    "runserver": ("python manage.py runserver 127.0.0.1:0", f"server at {SAYS}"),
    "flask-run": ("flask --app {module} run --port 0", f"Running on {SAYS}"),
    "serve": ("mediamw serve --port 0 {target}", f"mediamw serve: {SAYS}"),
}
"""Server -> its command, and the words with which it says where it is; none: where it is told to be."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # lower-case names
    body: bytes


@contextmanager
def serving(
    environment: Environment, server: str, target: str, folder: Path, *options: str, **variables: str
) -> Iterator[str]:
    """Serve ``target``, an app of ``folder``, until the block ends; yield the URL without a path.

    ``options`` are those of ``mediamw serve``.
    """
    (port,) = free_ports(1)
    text, words = SERVERS[server]
    values = {"target": target, "module": target.partition(":")[0], "port": str(port)}
    name, *rest = [word.format_map(values) for word in text.split()]
    command = [environment.program(name), *rest[:-1], *options, rest[-1]]
    with running(server, command, folder, env=clean(**variables)) as process:
        if words:
            yield process.wait_for_words(words)[1]
        else:
            process.wait_for_port(port)
            yield f"http://127.0.0.1:{port}"


def fetch(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> Answer:
    """Send one request. Header names are written with ``_`` for ``-``."""
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1", url
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, data, named)
        answer = connection.getresponse()
        received = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, received, answer.read())
    finally:
        connection.close()
