"""Run as a program: what django-storages itself makes of a list of [environment, settings, options] on stdin, as JSON.

A process of its own, since Django's settings are one for each. What JSON does not have is written ``{"config": {...}}``
for a ``botocore.config.Config`` and ``{"unsigned": true}`` for ``botocore.UNSIGNED``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import botocore
from botocore.config import Config

NAME = "homes/a b+ü&c.jpg"


def meant(value: Any) -> Any:
    """Return what a value of the list stands for."""
    if isinstance(value, dict) and "config" in value:
        return Config(**{option: meant(inner) for option, inner in value["config"].items()})
    return botocore.UNSIGNED if isinstance(value, dict) and "unsigned" in value else value


def main() -> None:
    from django.conf import settings

    settings.configure()
    from django.test import override_settings
    from storages.backends.s3 import S3Storage

    urls = []
    environ = dict(os.environ)
    for variables, given, options in json.load(sys.stdin):
        os.environ.clear()
        os.environ.update({**environ, **variables})
        with override_settings(**{name: meant(value) for name, value in given.items()}):
            urls.append(S3Storage(**{name: meant(value) for name, value in options.items()}).url(NAME))
            names = sorted(S3Storage().get_default_settings())
    json.dump({"urls": urls, "names": names}, sys.stdout)


if __name__ == "__main__":
    main()
