"""``demo``: the dump, somebody for the admin, and Django's own server."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.management.commands.runserver import Command as RunServer
from django.core.management import CommandError, call_command
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

NAME = PASSWORD = "admin"


class Command(RunServer):
    help = "Starts the gallery; the first time it makes the database. Arguments are those of runserver."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("demo makes an admin whose password is known: it runs with DEBUG alone.")
        if DJANGO_AUTORELOAD_ENV not in os.environ:  # once, not each time that the code changes
            self._prepare()
        super().handle(*args, **options)

    def _prepare(self) -> None:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0)
        call_command("load_dump", stdout=self.stdout)
        users = get_user_model().objects
        admin = users.filter(username=NAME).first() or users.create_superuser(NAME, password=PASSWORD)
        if admin.check_password(PASSWORD):
            self.stdout.write(f"Admin: /admin/, name {NAME}, password {PASSWORD}")
