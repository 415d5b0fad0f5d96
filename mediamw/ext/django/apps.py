"""The app of INSTALLED_APPS: it brings the system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class MediaMWConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """``mediamw.ext.django`` in INSTALLED_APPS."""

    name = "mediamw.ext.django"
    label = "mediamw"
    verbose_name = "mediamw"

    def ready(self) -> None:
        """Register the checks."""
        from .checks import check_settings

        checks.register(check_settings, "mediamw")
