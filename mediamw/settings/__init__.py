"""Floor 4: settings, from what projects and deployments write to a stack and the options of a middleware.

The functions of this package are what integrations are built on: ``read_settings`` for a framework's own mapping over
the environment, ``django_storages.s3_of_django_storages`` for a storage that django-storages was told of.
"""

from __future__ import annotations

from .reading import Settings as Settings
from .reading import read_settings as read_settings
from .reading import settings_beside as settings_beside
from .reading import settled as settled
