"""Fresh projects, as each framework's own first page has them, and what their apps answer by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .environment import Environment

WSGI = """
def app(environ, start_response):
    found = environ["PATH_INFO"] == "/"
    start_response("200 OK" if found else "404 Not Found", [("Content-Type", "text/plain")])
    return [b"Hello, WSGI!" if found else b"my own 404"]
"""
ASGI = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    found = scope["path"] == "/"
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
    await send({"type": "http.response.body", "body": b"Hello, ASGI!" if found else b"my own 404"})
"""
FLASK = """
from flask import Flask

app = Flask(__name__)


@app.route("/")
def hello_world():
    return "<p>Hello, World!</p>"
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def homepage(request):
    return JSONResponse({"hello": "world"})


app = Starlette(debug=True, routes=[Route("/", homepage)])
"""
FASTAPI = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root():
    return {"message": "Hello World"}
"""


@dataclass(frozen=True)
class Project:
    """How a project is made, where its quickstart stands and is typed in, and how its own answers are known."""

    source: str  # of app.py; "" is Django's startproject
    title: str  # of the quickstart in README.md
    home: bytes
    missing: bytes
    wsgi: str = ""
    asgi: str = ""

    @property
    def typed_into(self) -> str:
        return "app.py" if self.source else "shop/settings.py"


PROJECTS = {
    "wsgi": Project(WSGI, "Any WSGI app", b"Hello, WSGI!", b"my own 404", wsgi="app:app"),
    "asgi": Project(ASGI, "Any ASGI app", b"Hello, ASGI!", b"my own 404", asgi="app:app"),
    "flask": Project(FLASK, "Flask", b"<p>Hello, World!", b"was not found on the server", wsgi="app:app"),
    "starlette": Project(STARLETTE, "Starlette, FastAPI", b'{"hello":', b"Not Found", asgi="app:app"),
    "fastapi": Project(FASTAPI, "Starlette, FastAPI", b'{"message":', b'{"detail":"Not Found"}', asgi="app:app"),
    "django": Project(
        "",
        "Django",
        b"The install worked successfully!",
        b"<title>Page not found at /media/",
        wsgi="shop.wsgi:application",
        asgi="shop.asgi:application",
    ),
}


def generate(project: Project, folder: Path, environment: Environment, quickstart: str = "") -> None:
    """Make the project in ``folder``, and type the quickstart in at the end of its file."""
    if project.source:
        (folder / "app.py").write_text(project.source)
    else:
        environment.run("django-admin", "startproject", "shop", ".", folder=folder)
    with (folder / project.typed_into).open("a") as file:
        file.write("\n\n" + quickstart)
