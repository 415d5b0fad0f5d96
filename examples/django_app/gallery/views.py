"""A page of pictures, a page for each, an upload, a deletion. None of them knows where files lie."""

from __future__ import annotations

from typing import Any

from django.urls import reverse_lazy
from django.views.generic import CreateView, DeleteView, DetailView, ListView

from mediamw.ext.django import media_stack

from .models import Picture


class Index(ListView):
    model = Picture
    paginate_by = 24


class Detail(DetailView):
    model = Picture

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(where=media_stack().explain(self.object.file.name), **kwargs)


class Upload(CreateView):
    model = Picture
    fields = ("title", "file")


class Delete(DeleteView):
    model = Picture
    success_url = reverse_lazy("index")
