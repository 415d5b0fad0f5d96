"""Rows: redirects to a signer's URL, and backends that cannot tell (RFC 9110, 15.4.3 and 15.6.4)."""

from __future__ import annotations

from collections.abc import Callable

from .row import Row, by_app

_URL = "https://bucket.example/far.jpg?method={}&signature=abc"
_ALWAYS = {"referrer-policy": "no-referrer", "etag": None, "last-modified": None, "accept-ranges": None}


def _redirect(row_id: str, clause: str, shows: str, *, method: str = "GET", cache: object = "no-store",
              **more: object) -> Row:  # fmt: skip
    return Row(
        id=row_id, clause=clause, shows=shows, method=method, file=None, status=302, body=b"", peers=False,
        expect={"location": _URL.format(method)},
        ours={**_ALWAYS, "cache-control": cache},
        **{"path": "/media/far.jpg", "site": "redirect", **more},
    )  # fmt: skip


def _unavailable(row_id: str, clause: str, shows: str, *, retry_after: object = "7", **more: object) -> Row:
    return Row(
        id=row_id, clause=clause, shows=shows, file=None, status=503, peers=False, ours={"retry-after": retry_after},
        **{"site": "down", "body": b"503 Service Unavailable\n", **more},
    )  # fmt: skip


def _age_between(low: int, high: int) -> Callable[[str], bool]:
    def holds(value: str) -> bool:
        scope, _, age = value.partition(", max-age=")
        return scope == "private" and age.isdigit() and low <= int(age) <= high

    return holds


ROWS = (
    _redirect("redirect-get", "RFC 9110 15.4.3", "a file of a bucket is at a signed URL"),
    _redirect("redirect-head", "RFC 9110 9.3.2", "HEAD is signed as HEAD", method="HEAD"),
    _redirect("redirect-query", "RFC 3986 3.4", "the query is not the signer's business",
              path="/media/far.jpg?method=PUT"),
    _redirect("redirect-if-none-match", "RFC 9110 13.2.1", "conditions do not count",
              headers=(("If-None-Match", "*"),)),
    _redirect("redirect-if-match", "RFC 9110 13.2.1", "conditions do not count", headers=(("If-Match", '"other"'),)),
    _redirect("redirect-if-modified-since", "RFC 9110 13.2.1", "conditions do not count",
              headers=(("If-Modified-Since", "Fri, 31 Dec 9999 23:59:59 GMT"),)),
    _redirect("redirect-if-unmodified-since", "RFC 9110 13.2.1", "conditions do not count",
              headers=(("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),)),
    _redirect("redirect-range", "RFC 9110 14.2", "Range does not count: the client repeats it there",
              headers=(("Range", "bytes=0-9"),)),
    _redirect("redirect-range-beyond", "RFC 9110 14.2", "a bad one neither", headers=(("Range", "bytes=99999-"),)),
    _redirect("redirect-max-age", "RFC 9111 5.2.2.1", "redirect_max_age as it was chosen", site="redirect-600",
              cache="private, max-age=600"),
    _redirect("redirect-max-age-long", "RFC 9111 5.2.2.1", "never as long as the URL lives", site="redirect-long",
              cache=_age_between(3500, 3599)),
    _redirect("redirect-max-age-dying", "RFC 9111 5.2.2.1", "a URL about to expire is not stored",
              site="redirect-dying"),
    _redirect("redirect-max-age-public", "RFC 9111 5.2.2.1", "a URL that does not expire", site="redirect-public",
              cache="private, max-age=600"),
    _redirect("redirect-no-max-age-public", "RFC 9111 5.2.2.5", "not stored unless chosen, without an expiry too",
              site="redirect-public-unstored"),
    Row(
        id="redirect-upper-first",
        clause="RFC 9110 9.3.1",
        shows="the upper's file wins; no date that a browser could carry over a later redirect",
        site="redirect",
        peers=False,
        ours={"last-modified": None},
    ),
    Row(
        id="redirect-upper-date",
        clause="RFC 9110 13.1.3",
        shows="a date that a client has from elsewhere counts all the same",
        site="redirect",
        headers=(("If-Modified-Since", "Fri, 31 Dec 9999 23:59:59 GMT"),),
        peers=False,
        status=304,
        body=b"",
    ),
    by_app("redirect-missing", "RFC 9110 15.5.5", "nobody has it: the app's", "/media/none.jpg", site="redirect"),
    _unavailable("down-upper", "RFC 9110 15.6.4", "an upper that cannot tell is 503, never 404 and never the app's"),
    _unavailable("down-upper-head", "RFC 9110 9.3.2", "HEAD of it", method="HEAD", body=b""),
    _unavailable("down-lower-missing", "RFC 9110 15.6.4", "nobody else has it: 503", site="lower-down",
                 path="/media/none.jpg"),
    _unavailable("down-conditions", "RFC 9110 13.2.1", "conditions do not count beside an error",
                 headers=(("If-None-Match", "*"), ("Range", "bytes=0-1"))),
    _unavailable("broken-backend", "RFC 9110 15.6.4", "a mistake in a backend is 503", site="broken",
                 retry_after=lambda value: value.isdigit()),
    Row(
        id="down-lower-held",
        clause="RFC 9110 9.3.1",
        shows="a lower that cannot tell does not harm what the upper has",
        site="lower-down",
        peers=False,
    ),
)  # fmt: skip
