"""URLs that are signed once in a window: which are given again, and how many are kept."""

from __future__ import annotations

from typing import Any

import pytest

from mediamw import S3Backend
from mediamw.backends import signed_urls
from mediamw.backends.base import SignedURL
from mediamw.backends.signed_urls import WindowURLs
from mediamw.backends.sigv4 import Signer
from mediamw.core.keys import Key

A = Key("a.jpg")
SIGNER, OTHER = object(), object()


@pytest.mark.parametrize(
    ("method", "signer", "now", "is_kept"),
    [
        ("GET", SIGNER, 900.0, True),
        ("GET", SIGNER, 1799.9, True),
        ("GET", SIGNER, 1800.0, False),
        ("GET", SIGNER, 899.9, False),
        ("HEAD", SIGNER, 900.0, False),
        ("GET", OTHER, 900.0, False),
    ],
)
def test_which_is_given_again(method: str, signer: object, now: float, is_kept: bool) -> None:
    urls, url = WindowURLs(), SignedURL("https://x", None)
    urls.put(A, "GET", SIGNER, (900, 1800), url)
    assert urls.get(A, method, signer, now) is (url if is_kept else None)


def test_one_that_has_expired_within_the_window_is_not() -> None:
    """Temporary credentials may end before the window does."""
    urls, url = WindowURLs(), SignedURL("https://x", 1000.0)
    urls.put(A, "GET", SIGNER, (900, 1800), url)
    assert urls.get(A, "GET", SIGNER, 999.9) is url
    assert urls.get(A, "GET", SIGNER, 1000.0) is None


def test_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed_urls, "MAX_URLS", 3)
    urls = WindowURLs()
    for number in range(10):
        urls.put(Key(str(number)), "GET", SIGNER, (0, 900), SignedURL(str(number), None))
        assert len(urls._kept[3]) <= 3
    assert urls.get(Key("9"), "GET", SIGNER, 1.0) == SignedURL("9", None)
    assert urls.get(Key("1"), "GET", SIGNER, 1.0) is None


def test_a_bucket_signs_once_in_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[Any] = []
    real = Signer.presign

    def presign(self: Signer, *arguments: Any, **options: Any) -> str:
        signed.append(arguments)
        return real(self, *arguments, **options)

    monkeypatch.setattr(Signer, "presign", presign)
    bucket = S3Backend("acme", region="eu-west-1", access_key_id="AKID", secret_access_key="s", url_window=900)
    first = bucket.sign(A, "GET", 900.0)
    assert bucket.sign(A, "GET", 1799.0) is first
    assert len(signed) == 1
    assert bucket.sign(A, "GET", 1800.0) != first
    assert len(signed) == 2
