"""The project's own pages: one that answers everything."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import re_path


def answer(request: Any) -> HttpResponse:
    """Answer as ``http_table.sites.wrapped_wsgi`` does; with ``?path`` say what the path was."""
    body = f"app: {request.method}\n".encode()
    if "path" in request.GET:
        body = f"path: {request.path_info}\n".encode()
    response = HttpResponse(b"" if request.method == "HEAD" else body, content_type="text/plain")
    response["Content-Length"], response["X-App"] = str(len(body)), "yes"
    return response


urlpatterns = [re_path("", answer)]
