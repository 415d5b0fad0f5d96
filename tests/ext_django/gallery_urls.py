"""A gallery of what the default storage has: a form for uploads, and a button at each file that deletes it."""

from __future__ import annotations

from html import escape
from typing import Any

from django.core.files.storage import default_storage
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path

FORM = """<!doctype html><title>Gallery</title><form method="post" enctype="multipart/form-data">
<label>File <input type="file" name="file"></label><button>Upload</button></form>"""
FIGURE = """<figure><img alt="{name}" src="{url}"><form method="post">
<input type="hidden" name="delete" value="{name}"><button>Delete {name}</button></form></figure>"""


def gallery(request: Any) -> HttpResponse:
    """Show, store, delete."""
    if request.method == "POST":
        if "delete" in request.POST:
            default_storage.delete(request.POST["delete"])
        else:
            file = request.FILES["file"]
            default_storage.save(f"homes/{file.name}", file)
        return HttpResponseRedirect("/")
    names = [f"homes/{name}" for name in default_storage.listdir("homes")[1]]
    figures = [FIGURE.format(name=escape(name), url=escape(default_storage.url(name))) for name in names]
    return HttpResponse(FORM + "".join(figures))


urlpatterns = [path("", gallery)]
