"""How our own requests travel: through which proxy, and which certificates are believed. As botocore decides it.

Who has set up a machine for boto3 has set it up for this. Source: botocore's ``EndpointCreator``,
``get_environ_proxies`` and ``ProxyConfiguration``; tests/test_origin_http.py holds both functions to them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from ..core.errors import ConfigError

_CA_VARIABLES: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def proxy_for(url: str, proxies: Mapping[str, str] | None) -> str | None:
    """Return the URL of the proxy for ``url``, None if there is none.

    ``proxies`` maps schemes to proxies; an empty one is no proxy. None is the environment: HTTP_PROXY, HTTPS_PROXY and
    NO_PROXY, whose entries are names or ends of names; loopback is reached through the proxy like everything else
    unless NO_PROXY names it.
    """
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if proxies is None:
        from urllib.request import getproxies, proxy_bypass

        proxies = {} if proxy_bypass(parts.netloc) else getproxies()
    proxy = proxies.get(parts.scheme)
    if not proxy:
        return None
    if proxy.startswith(("http:", "https:")):
        return proxy
    return f"http:{proxy}" if proxy.startswith("//") else f"http://{proxy}"


def proxies_fault(proxies: Any) -> str | None:
    """Say what is wrong with the option ``proxies``, without the URLs, in which passwords may stand."""
    if proxies is None:
        return None
    form = "give a mapping, such as {'https': 'http://proxy.example.com:3128'}; {} is no proxy"
    if not isinstance(proxies, Mapping):
        return f"proxies: {type(proxies).__name__} is no mapping; {form}"
    for scheme in proxies:
        if scheme not in ("http", "https"):
            return f"proxies: {scheme!r} is no scheme of origins, which are http and https; {form}"
        try:
            used = proxy_for(f"{scheme}:", proxies)
            if used is not None:
                proxy_parts(used)
        except (ValueError, AttributeError):
            return f"proxies: the value of {scheme!r} is no URL of an HTTP proxy; {form}"
    return None


def proxy_parts(proxy: str) -> tuple[str, str, str | None]:
    """Split a proxy's URL: URL without credentials, ``host:port`` to name in errors, ``user:password`` or None.

    Raises ``ValueError``, without the text of ``proxy``, if it is no URL of an HTTP proxy.
    """
    from urllib.parse import unquote, urlsplit

    wrong = ValueError("the proxy is no URL such as http://proxy.example.com:3128")
    try:
        parts = urlsplit(proxy)
        port = parts.port
    except ValueError:
        raise wrong from None
    host = parts.hostname
    is_url = parts.scheme in ("http", "https") and parts.path in ("", "/") and not parts.query and not parts.fragment
    if not is_url or not host or not host.isascii() or not host.isprintable() or " " in host:
        raise wrong  # socks5://host among them, before which proxy_for has put http://
    place = f"[{host}]" if ":" in host else host
    if port is not None:
        place = f"{place}:{port}"
    credentials = None
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"{parts.scheme}://{place}", place, credentials


def ca_bundle(verify: bool | str | None, of_profile: str | None = None) -> bool | str:
    """Return what certificates are checked against: a path, True for botocore's bundle, False for no check at all.

    ``verify`` if it is not None, else AWS_CA_BUNDLE, the profile's ``ca_bundle``, REQUESTS_CA_BUNDLE, True. Raises
    ``ConfigError`` if what was found is an empty text, which older libraries read as "no check".
    """
    aws, requests = _CA_VARIABLES
    asked = (
        ("verify", verify),
        (aws, os.environ.get(aws)),
        ("ca_bundle of the profile", of_profile),
        (requests, os.environ.get(requests)),
    )
    for source, found in asked:
        if isinstance(found, str) and not found.strip():
            raise ConfigError(f"{source} is empty: name a file of CA certificates, or leave it unset")
        if found is not None:
            return found
    return True


def ca_fault(verify: bool | str) -> str | None:
    """Say what is wrong with the path of a CA bundle; None if it is there, or no path was given."""
    if isinstance(verify, bool) or os.path.isdir(verify):
        return None
    try:
        with open(verify, "rb"):
            return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        return f"the CA bundle {verify} cannot be read ({reason}): correct verify, AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE"
