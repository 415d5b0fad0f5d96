"""A project whose pages all end in a slash, and one of which raises."""

from __future__ import annotations

from typing import Any

from django.urls import path

from .urls import answer


def raises(request: Any) -> None:
    """Make a mistake."""
    raise RuntimeError("a mistake of the project")


urlpatterns = [path("raises/", raises), path("<path:name>/", lambda request, name: answer(request))]
