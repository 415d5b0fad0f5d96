"""The gallery, its admin, and the admin's style sheets, which any server serves while DEBUG is on."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("gallery.urls")),
    *staticfiles_urlpatterns(),
]
