"""The Django integration: an app for INSTALLED_APPS, a middleware for MIDDLEWARE, a storage for
STORAGES, the wrap for wsgi.py and asgi.py.

``docs/django.md`` has all of it. The public names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lazy import lazily

if TYPE_CHECKING:
    from .conf import media_stack as media_stack
    from .fallback import FallbackStorage as FallbackStorage
    from .middleware import MediaMiddleware as MediaMiddleware
    from .storage import MediaStorage as MediaStorage
    from .wrapping import wrap as wrap

_HOME = {
    "FallbackStorage": ".fallback",
    "MediaMiddleware": ".middleware",
    "MediaStorage": ".storage",
    "media_stack": ".conf",
    "wrap": ".wrapping",
}

__all__ = [*_HOME]
__getattr__, __dir__ = lazily(__name__, _HOME)
