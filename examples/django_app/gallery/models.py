"""Pictures, whose files lie on the disk, or only in production."""

from __future__ import annotations

from functools import partial
from secrets import token_hex
from typing import Any

from django.core.validators import FileExtensionValidator
from django.db import models, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.urls import reverse

EXTENSIONS = ("jpg", "jpeg", "png", "gif", "webp", "avif", "svg")


def upload_to(picture: Picture, filename: str) -> str:
    """Return a name that no file has, here or in production: an upload hides nothing that another row names."""
    return f"uploads/{token_hex(8)}-{filename[-50:]}"


class Picture(models.Model):
    title = models.CharField(max_length=200)
    file = models.FileField(
        upload_to=upload_to, max_length=255, unique=True, validators=[FileExtensionValidator(EXTENSIONS)]
    )

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("picture", args=[self.pk])


@receiver(post_delete, sender=Picture)
def delete_file(instance: Picture, **kwargs: Any) -> None:
    """Delete the file with its row, once that is certain. It is hidden here, and production keeps what it has."""
    transaction.on_commit(partial(instance.file.storage.delete, instance.file.name))
