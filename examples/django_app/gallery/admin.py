"""The admin's list and form show the picture, wherever its file lies."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html

from mediamw.ext.django import media_stack

from .models import Picture


@admin.register(Picture)
class PictureAdmin(admin.ModelAdmin):
    list_display = ("title", "shown", "file")
    list_per_page = 20
    search_fields = ("title", "file")
    fields = ("title", "file", "shown", "where")
    readonly_fields = ("shown", "where")

    @admin.display(description="picture")
    def shown(self, picture: Picture) -> str:
        if not picture.file:
            return "-"
        return format_html('<img src="{}" alt="" height="80" loading="lazy">', picture.file.url)

    @admin.display(description="where it comes from")
    def where(self, picture: Picture) -> str:
        return format_html("<pre>{}</pre>", media_stack().explain(picture.file.name)) if picture.file else "-"
