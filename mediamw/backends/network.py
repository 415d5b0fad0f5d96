"""How an origin is reached: through which proxy, and whose certificates are believed, as botocore resolves them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit


def proxy_for(url: str, proxies: Mapping[str, str] | None) -> str | None:
    """Return the proxy for ``url``: of ``proxies`` (scheme to proxy), else of HTTP(S)_PROXY and NO_PROXY."""
    if proxies is None:
        from botocore.utils import get_environ_proxies

        proxies = get_environ_proxies(url)
    return proxies.get(urlsplit(url).scheme)


def ca_bundle(verify: bool | str | None, of_profile: str | None = None) -> bool | str:
    """Return False, True, or the path of a CA bundle."""
    if verify is not None:
        return verify
    return os.environ.get("AWS_CA_BUNDLE") or of_profile or os.environ.get("REQUESTS_CA_BUNDLE") or True
