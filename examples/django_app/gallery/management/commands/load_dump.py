"""``load_dump``: what a developer has of production, all rows of its database and a few of its files."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from gallery.models import Picture
from mediamw.cli.demo.catalogue import all_media
from mediamw.cli.demo.production import fill


class Command(BaseCommand):
    help = "Loads the dump of production's database into an empty one, and the files that were copied from there."

    def handle(self, *args: Any, **options: Any) -> None:
        if Picture.objects.exists():
            self.stdout.write("There are pictures already: nothing was loaded.")
            return
        files = [file for _, file in all_media() if file.kind == "image" and file.asset is not None]
        Picture.objects.bulk_create(Picture(title=file.alt, file=file.key) for file in files)
        fill(settings.MEDIA_ROOT)
        here = sum(file.local for file in files)
        self.stdout.write(f"{len(files)} rows were loaded; the files of {here} lie in {settings.MEDIA_ROOT}.")
