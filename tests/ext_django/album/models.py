"""Rows with a picture, whose size is kept beside it, and with a file that may be missing."""

from __future__ import annotations

from django.db import models


class Photo(models.Model):  # type: ignore[misc]  # Django has no types
    title = models.CharField(max_length=50)
    image = models.ImageField(upload_to="photos", width_field="width", height_field="height")
    width = models.IntegerField(editable=False, null=True)
    height = models.IntegerField(editable=False, null=True)
    notes = models.FileField(upload_to="notes", blank=True)
