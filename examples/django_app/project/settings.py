"""Settings of a developer's machine. What mediamw adds is marked 1 to 4."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

BASE_DIR = Path(__file__).parents[1]
DATA_DIR = Path(os.environ.get("GALLERY_DATA", BASE_DIR / "data")).absolute()

DEBUG = True
SECRET_KEY = "django-insecure-for-this-example-alone"
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "mediamw.ext.django",  # 1: its checks
    "gallery",
]
MIDDLEWARE = [
    "mediamw.ext.django.MediaMiddleware",  # 2: before all that changes answers
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA_DIR / "gallery.sqlite3"}}

STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = DATA_DIR / "media"

# Where production stores, with its options as django-storages has them, from PRODUCTION_BUCKET_NAME and the like. It is
# named here and nowhere else. No code of the project writes to it, and django-storages need not be installed.
_OPTIONS = ("bucket_name", "location", "region_name", "endpoint_url", "session_profile", "access_key", "secret_key")
_GIVEN = {name: os.environ.get(f"PRODUCTION_{name.upper()}") for name in _OPTIONS}
PRODUCTION = {name: value for name, value in _GIVEN.items() if value}
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "mediamw.ext.django.MediaStorage"},  # 4: uploads to the disk, reads of both
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
MEDIAMW: dict[str, Any] = {"backends": [MEDIA_ROOT]}  # 3
if PRODUCTION:
    STORAGES["production"] = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": PRODUCTION}
    MEDIAMW["backends"] += ["django:production"]
