"""What a presigned URL of ours is not good for: the servers refuse each change of it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import pytest

from .deviations import expected
from .sites import Site, ask

LIFE_SECONDS = 600


@dataclass(frozen=True)
class Signed:
    """An object, and one way to sign for it."""

    site: Site
    bucket: str

    def url(
        self, method: str = "GET", *, at: float = 0.0, secret: str | None = None, query: tuple[str, str] | None = None
    ) -> str:
        """``at``: seconds from now."""
        return self.site.signer(secret).presign(
            method,
            self.site.endpoint,
            f"/{self.bucket}/a b.jpg",
            at=int(time.time() + at),
            life=LIFE_SECONDS,
            query=[query] if query else [],
        )


@pytest.fixture(scope="module")
def signed(site: Site) -> Signed:
    return Signed(site, site.new_bucket({"a b.jpg": b"the picture", "other.jpg": b"another picture"}))


def test_it_works_as_it_is(signed: Signed) -> None:
    """Else the refusals below would prove nothing."""
    for at in (0, -LIFE_SECONDS + 60):
        answer = ask("GET", signed.url(at=at))
        assert (answer.status, answer.body) == (200, b"the picture")
        answer = ask("HEAD", signed.url("HEAD", at=at))
        assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "11", b"")


CHANGES = {
    "signature": (r"(Signature=[0-9a-f]{63}).", lambda match: match[1] + ("1" if match[0][-1] == "0" else "0")),
    "key": (r"a%20b\.jpg", "other.jpg"),
    "life": (f"Expires={LIFE_SECONDS}", f"Expires={LIFE_SECONDS * 2}"),
    "date": (r"(Date=\d{8}T\d{5})(\d)", lambda match: match[1] + str((int(match[2]) + 1) % 10)),
    "signed headers": ("SignedHeaders=host", "SignedHeaders=host%3Brange"),
    "who": ("Credential=[^&]+?%2F", "Credential=nobody%2F"),
    "type added": ("$", "&response-content-type=text%2Fhtml"),
    "download added": ("$", "&response-content-disposition=attachment"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_url_is_refused(signed: Signed, what: str) -> None:
    pattern, change = CHANGES[what]
    url = signed.url()
    changed = re.sub(pattern, change, url, count=1)
    assert changed != url
    answer = ask("GET", changed)
    assert answer.status == expected(signed.site.name, f"changed {what}", 403)
    assert b"picture" not in answer.body


def test_a_wrong_secret_is_refused(signed: Signed) -> None:
    answer = ask("GET", signed.url(secret="wrong"))
    assert (answer.status, answer.code) == (
        403,
        expected(signed.site.name, "code of a wrong secret", "SignatureDoesNotMatch"),
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_ends(signed: Signed, method: str) -> None:
    """Signed in the past, so that nobody has to wait for it."""
    assert ask(method, signed.url(method, at=-LIFE_SECONDS + 30)).status == 200
    late = ask(method, signed.url(method, at=-LIFE_SECONDS - 30))
    assert late.status == expected(signed.site.name, "status of an expired URL", 403)


def test_it_does_not_begin_before_its_time(signed: Signed) -> None:
    answer = ask("GET", signed.url(at=3600))
    assert answer.status == expected(signed.site.name, "status of a URL of the future", 403)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET", "HEAD"),
        ("HEAD", "GET"),
        ("GET", "PUT"),
        ("GET", "DELETE"),
        ("GET", "POST"),
        ("HEAD", "PUT"),
        ("HEAD", "DELETE"),
    ],
)
def test_it_is_for_one_method(signed: Signed, one: str, other: str) -> None:
    answer = ask(other, signed.url(one), body=b"overwritten" if other in ("PUT", "POST") else None)
    assert answer.status == expected(signed.site.name, f"{one} URL for {other}", 403)
    assert ask("GET", signed.url()).body == b"the picture"


def test_what_was_signed_along_is_heeded(signed: Signed) -> None:
    answer = ask("GET", signed.url(query=("response-content-type", "text/x-mine")))
    assert answer.status == 200
    assert answer.headers["Content-Type"] == expected(signed.site.name, "response-content-type", "text/x-mine")
    answer = ask("GET", signed.url(query=("response-content-disposition", 'attachment; filename="a+b.jpg"')))
    assert answer.headers["Content-Disposition"] == expected(
        signed.site.name, "response-content-disposition", 'attachment; filename="a+b.jpg"'
    )


def test_without_a_signature_nobody_reads(signed: Signed) -> None:
    answer = ask("GET", signed.url().partition("?")[0])
    assert answer.status == expected(signed.site.name, "status of an unsigned GET", 403)
    assert b"picture" not in answer.body
