"""The project's own settings, and the gallery beside its apps."""

from shop.settings.dev import *  # noqa: F403
from shop.settings.dev import INSTALLED_APPS as THEIRS

INSTALLED_APPS = [*THEIRS, "gallery"]
