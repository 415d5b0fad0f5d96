"""A small project as ``startproject`` makes it, for servers and ``manage.py`` in processes of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .middlewares import OURS

SETTINGS = """
import json, os
from pathlib import Path

BASE_DIR = Path(__file__).parent.parent
SECRET_KEY = "for tests"
DEBUG = True
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
STATIC_URL = "static/"
MEDIA_URL = "media/"
MEDIA_ROOT = BASE_DIR / "media"
# How the README does it
INSTALLED_APPS += ["mediamw.ext.django"]
FRONT = json.loads(os.environ["FRONT"])
MIDDLEWARE[0:0] = FRONT
MEDIAMW = {"backends": [MEDIA_ROOT, *json.loads(os.environ["LOWERS"])], "max_age": 1}
"""
URLS = """
from django.http import HttpResponse
from django.urls import re_path

urlpatterns = [re_path("", lambda request: HttpResponse(f"the app: {request.path_info}"))]
"""
MANAGE = """
import os, sys
from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
execute_from_command_line(sys.argv)
"""
ENTRANCE = """
import os
from django.core.{kind} import get_{kind}_application
from shop.settings import FRONT

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_{kind}_application()
if not FRONT:
    from mediamw.ext.django import wrap

    application = wrap(application)
"""
SERVED = """
from shop.wsgi import application as wsgi_app
from shop.asgi import application as asgi_app
"""
"""The module of ``servers.running``."""


def write_site(folder: Path) -> Path:
    """Write the project into ``folder``; return its MEDIA_ROOT."""
    shop = folder / "shop"
    shop.mkdir()
    (folder / "media").mkdir()
    (folder / "manage.py").write_text(MANAGE)
    sources = {"__init__": "", "settings": SETTINGS, "urls": URLS}
    sources |= {kind: ENTRANCE.format(kind=kind) for kind in ("wsgi", "asgi")}
    for name, source in sources.items():
        (shop / f"{name}.py").write_text(source)
    return folder / "media"


def environment(front: list[str] | None = None, lowers: list[Any] | None = None) -> dict[str, str]:
    """Return what the project is told: its first middlewares (none: it wraps), and the lowers."""
    return {"FRONT": json.dumps([OURS] if front is None else front), "LOWERS": json.dumps(lowers or [])}
