"""The admin of the app ``album``, and nothing else."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.urls import path

from .album.models import Photo

site = AdminSite()
site.register(Photo)
urlpatterns = [path("admin/", site.urls)]
