"""A project whose pages all end in a slash."""

from __future__ import annotations

from django.urls import path

from .urls import answer

urlpatterns = [path("<path:name>/", lambda request, name: answer(request))]
