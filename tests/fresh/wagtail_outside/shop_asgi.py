"""The project speaks WSGI alone: this is the other half, as ``django-admin startproject`` has it."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings.dev")

application = get_asgi_application()
