"""Rows: what ``authorize`` says comes before everything that is known of a file (RFC 9110, 15.5.4 and 15.5.5)."""

from __future__ import annotations

from .row import Row, by_app, refused

_NOTHING = {"etag": None, "last-modified": None, "location": None, "accept-ranges": None, "x-app": None}
_HELD, _FAR, _NONE = "/media/photo.jpg", "/media/far.jpg", "/media/none.jpg"


def _forbidden(row_id: str, shows: str, path: str = _HELD, **more: object) -> Row:
    return Row(
        id=row_id, clause="RFC 9110 15.5.4", shows=shows, path=path, file=None, status=403, peers=False,
        **{"site": "authorize-403", "body": b"403 Forbidden\n", "ours": _NOTHING, **more},
    )  # fmt: skip


def _absent(row_id: str, shows: str, path: str = _HELD, **more: object) -> Row:
    return refused(
        row_id, "RFC 9110 15.5.5", shows, path, **{"site": "authorize-404", "peers": False, "ours": _NOTHING, **more}
    )


ROWS = (
    Row(id="authorize-true", clause="RFC 9110 9.3.1", shows="True lets the client in", site="authorize-true",
        peers=False, ours={"last-modified": None}),
    Row(id="authorize-true-redirect", clause="RFC 9110 15.4.3", shows="True lets the client in, to the bucket too",
        path=_FAR, file=None, status=302, body=b"", site="authorize-true", peers=False),
    by_app("authorize-true-missing", "RFC 9110 15.5.5", "True, and missing: the app's", _NONE, site="authorize-true"),
    _forbidden("authorize-403", "a file of the disk"),
    _forbidden("authorize-403-head", "HEAD of it", method="HEAD"),
    _forbidden("authorize-403-redirect", "no redirect", _FAR),
    _forbidden("authorize-403-missing", "whether it is there is nobody's business, and not the app's", _NONE),
    _forbidden("authorize-403-none-match", "no 304 (13.2.1)", headers=(("If-None-Match", "*"),)),
    _forbidden("authorize-403-match", "no 412 (13.2.1)", headers=(("If-Match", '"x"'),)),
    _forbidden("authorize-403-range", "no 206", headers=(("Range", "bytes=0-1"),)),
    _forbidden("authorize-403-beyond", "no 416", headers=(("Range", "bytes=9999999-"),)),
    _forbidden("authorize-403-placeholder", "no picture", site="authorize-403-placeholder"),
    _forbidden("authorize-403-adding", "add_headers has its say", site="authorize-403-adding",
               ours={**_NOTHING, "x-status": "403", "x-key": "photo.jpg"}),
    _absent("authorize-403-refused-name", "a refused name is refused before", "/media/.env", site="authorize-403"),
    by_app("authorize-403-post", "RFC 9110 9.1", "other methods are the app's", _HELD, method="POST",
           site="authorize-403"),
    by_app("authorize-403-outside", "RFC 3986 3.3", "outside of the prefix is the app's", "/x", site="authorize-403"),
    _absent("authorize-404", "a file of the disk"),
    _absent("authorize-404-head", "HEAD of it", method="HEAD"),
    _absent("authorize-404-redirect", "no redirect", _FAR),
    _absent("authorize-404-missing", "not the app's", _NONE),
    _absent("authorize-404-none-match", "no 304 (13.2.1)", headers=(("If-None-Match", "*"),)),
    *(
        Row(id=f"authorize-none-{name}", clause="RFC 9110 15.6.4", shows="no verdict is no allow", path=path,
            file=None, status=503, body=b"503 Service Unavailable\n", site="authorize-none", peers=False,
            ours=_NOTHING)
        for name, path in (("held", _HELD), ("redirect", _FAR), ("missing", _NONE))
    ),
)  # fmt: skip
