"""Rows: what is not found, other methods, and each option of the middlewares."""

from __future__ import annotations

from .row import Row, by_app, refused

_SITE = {"peers": False}


def _missing(row_id: str, shows: str, **more: object) -> Row:
    return refused(
        row_id, "RFC 9110 15.5.5", shows, str(more.pop("path", "/media/none.jpg")), **{"peers": False, **more}
    )


def _is_svg_placeholder(row_id: str, shows: str, path: str, **more: object) -> Row:
    return _missing(
        row_id, shows, path=path, site="placeholder", body=None,
        ours={"content-type": "image/svg+xml", "content-security-policy": lambda value: value.startswith("sandbox;")},
        **more,
    )  # fmt: skip


ROWS = (
    by_app("miss-app", "RFC 9110 15.5.5", "a missing file is the app's", "/media/none.jpg"),
    by_app("miss-app-head", "RFC 9110 9.3.2", "HEAD of it", "/media/none.jpg", method="HEAD"),
    by_app("miss-app-conditions", "RFC 9110 13.2.1", "with its conditions", "/media/none.jpg",
           headers=(("If-None-Match", "*"),)),
    _missing("miss-404", "on_miss='404'", site="miss-404"),
    _missing("miss-404-head", "on_miss='404', HEAD", site="miss-404", method="HEAD"),
    _missing("miss-404-conditions", "conditions do not count (13.2.1)", site="miss-404",
             headers=(("If-None-Match", "*"), ("If-Match", '"x"'), ("Range", "bytes=0-1"))),
    by_app("miss-404-outside", "RFC 9110 15.5.5", "outside of the prefix is the app's", "/none", site="miss-404"),
    _is_svg_placeholder("miss-placeholder", "a picture, and still 404", "/media/none.jpg"),
    _is_svg_placeholder("miss-placeholder-svg", "for every kind of picture", "/media/none.svg"),
    _is_svg_placeholder("miss-placeholder-head", "HEAD of it", "/media/none.jpg", method="HEAD"),
    _is_svg_placeholder("miss-placeholder-range", "no ranges of it (15.3.7)", "/media/none.jpg",
                        headers=(("Range", "bytes=0-1"),)),
    _missing("miss-placeholder-other", "no picture for what is none", site="placeholder", path="/media/none.pdf"),
    _missing("miss-placeholder-refused", "no picture for what is refused", site="placeholder", path="/media/.x.jpg"),
    _missing("miss-placeholder-own", "a placeholder of one's own", site="placeholder-own",
             body=b"GIF89a, not really", ours={"content-type": "image/gif"}),
    Row(id="miss-placeholder-held", clause="RFC 9110 9.3.1", shows="what is there is served", site="placeholder",
        **_SITE),
    *(
        by_app(f"method-{method.lower()}", "RFC 9110 9.1", "other methods are the app's", "/media/photo.jpg",
               method=method)
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")
    ),
    by_app("method-post-refused", "RFC 9110 9.1", "with a refused name too", "/media/.env", method="POST"),
    *(
        Row(id=f"alone-{method.lower()}", clause="RFC 9110 15.5.6", shows="without an app: 405 with Allow",
            method=method, file=None, status=405, body=b"405 Method Not Allowed\n", site="alone",
            expect={"allow": "GET, HEAD"}, **_SITE)
        for method in ("POST", "PUT", "DELETE", "OPTIONS")
    ),
    Row(id="alone-get", clause="RFC 9110 9.3.1", shows="without an app: files as ever", site="alone", **_SITE),
    _missing("alone-missing", "without an app: 404", site="alone"),
    _missing("alone-missing-head", "without an app: HEAD", site="alone", method="HEAD"),
    _missing("alone-outside", "without an app: outside of the prefix", site="alone", path="/"),
    _missing("alone-outside-head", "without an app: outside of the prefix, HEAD", site="alone", path="/",
             method="HEAD"),
    _missing("alone-outside-post", "outside there is nothing to have methods", site="alone", path="/x", method="POST"),
    Row(id="max-age", clause="RFC 9111 5.2.2.1", shows="max_age", site="max-age",
        ours={"cache-control": "private, max-age=3600"}, **_SITE),
    Row(id="max-age-304", clause="RFC 9110 15.4.5", shows="max_age on 304 as on 200", site="max-age",
        headers=(("If-None-Match", "{etag}"),), status=304, ours={"cache-control": "private, max-age=3600"}, **_SITE),
    Row(id="max-age-206", clause="RFC 9110 15.3.7", shows="max_age on 206 as on 200", site="max-age",
        headers=(("Range", "bytes=0-1"),), status=206, parts=((0, 2),),
        ours={"cache-control": "private, max-age=3600"}, **_SITE),
    _missing("max-age-404", "max_age is for files, not for errors", site="max-age", path="/media/.env"),
    Row(id="max-age-0", clause="RFC 9111 5.2.2.1", shows="max_age=0", site="max-age-0",
        ours={"cache-control": "private, max-age=0"}, **_SITE),
    Row(id="media-types", clause="RFC 9110 8.3", shows="a type of one's own", path="/media/thing.unknown",
        file="thing.unknown", site="media-types", ours={"content-type": "model/thing"}, **_SITE),
    Row(id="media-types-over", clause="RFC 9110 8.3", shows="it wins over the table's", path="/media/PHOTO2.JPG",
        file="PHOTO2.JPG", site="media-types", ours={"content-type": "image/pjpeg"}, **_SITE),
    Row(id="dotfiles", clause="RFC 9110 17.3", shows="a dot folder that is allowed", path="/media/.thumbs/a.jpg",
        file=".thumbs/a.jpg", site="dotfiles", **_SITE),
    _missing("dotfiles-other", "and no other", site="dotfiles", path="/media/.hidden.jpg"),
    _missing("dotfiles-below", "nor a dot file below it", site="dotfiles", path="/media/.thumbs/.git/config"),
    Row(id="prefix-deep", clause="RFC 3986 3.3", shows="a prefix of two segments", path="/a/b/photo.jpg",
        site="prefix", **_SITE),
    by_app("prefix-deep-outside", "RFC 3986 3.3", "half of it", "/a/photo.jpg", site="prefix"),
    by_app("disabled", "RFC 9110 3.7", "enabled=False: a file", "/media/photo.jpg", site="disabled"),
    by_app("disabled-refused", "RFC 9110 3.7", "enabled=False: a refused name", "/media/.env", site="disabled"),
    _missing("disabled-alone", "enabled=False and no app", site="disabled-alone", path="/media/photo.jpg"),
    _missing("disabled-alone-post", "enabled=False and no app: nothing there has methods", site="disabled-alone",
             path="/media/photo.jpg", method="POST"),
    Row(id="debug-held", clause="Server Timing 3", shows="which backend it was", site="debug",
        ours={"x-media-backend": "upper", "server-timing": lambda value: value.startswith("upper;dur=")}, **_SITE),
    Row(id="debug-lower", clause="Server Timing 3", shows="each that was asked", path="/media/lower-only.jpg",
        file=None, body=b"in the lower\n", site="debug",
        ours={"x-media-backend": "lower_one",
              "server-timing": lambda value: value.count(";dur=") == 2 and ', lower_one;dur=' in value}, **_SITE),
    Row(id="debug-304", clause="Server Timing 3", shows="on a 304 too", site="debug",
        headers=(("If-None-Match", "{etag}"),), status=304, ours={"x-media-backend": "upper"}, **_SITE),
    _missing("debug-refused", "a refused name asks nobody", site="debug", path="/media/.env",
             ours={"x-media-backend": "none", "server-timing": None}),
    by_app("debug-missing", "RFC 9110 15.5.5", "the app's answers are the app's", "/media/none.jpg", site="debug"),
    Row(id="quiet-held", clause="RFC 9110 17.12", shows="without debug nobody learns which backend it was",
        ours={"x-media-backend": None, "server-timing": None}, **_SITE),
    Row(id="add-headers", clause="RFC 9110 6.3", shows="add_headers adds", site="add-headers",
        ours={"x-key": "photo.jpg", "x-status": "200"}, **_SITE),
    Row(id="add-headers-replaces", clause="RFC 9111 5.2", shows="and replaces what is the site's choice",
        path="/media/large.bin", file="large.bin", site="add-headers",
        ours={"cache-control": "public, max-age=9"}, **_SITE),
    Row(id="add-headers-304", clause="RFC 9110 15.4.5", shows="on a 304 too", site="add-headers",
        headers=(("If-None-Match", "{etag}"),), status=304, ours={"x-status": "304"}, **_SITE),
    _missing("add-headers-404", "on a 404 too", site="add-headers", path="/media/.env",
             ours={"x-status": "404", "x-key": ".env"}),
    by_app("add-headers-app", "RFC 9110 6.3", "not on what the app answers", "/media/none.jpg", site="add-headers"),
    *(
        Row(id=f"add-headers-{site}", clause=clause, shows=shows, site=f"add-{site}", file=None, status=503,
            body=b"503 Service Unavailable\n", ours={"x-more": None}, **_SITE)
        for site, clause, shows in (
            ("content-length", "RFC 9112 6.3", "add_headers may not set framing"),
            ("transfer-encoding", "RFC 9112 6.1", "add_headers may not set framing"),
            ("connection", "PEP 3333", "add_headers may not set what belongs to the connection"),
            ("etag", "RFC 9110 8.8.3", "add_headers may not set validators"),
            ("last-modified", "RFC 9110 8.8.2", "add_headers may not set validators"),
            ("location", "RFC 9110 10.2.2", "add_headers may not set Location"),
            ("content-type", "RFC 9110 8.3", "add_headers may not set the type"),
            ("nosniff", "Fetch 3.6", "add_headers may not lift nosniff"),
            ("newline", "RFC 9110 5.5", "a value with a line break"),
            ("name", "RFC 9110 5.1", "a name with a colon"),
            ("unicode", "RFC 9110 5.5", "a value beyond Latin-1"),
            ("number", "RFC 9110 5.5", "a value that is no text"),
            ("raises", "RFC 9110 15.6.4", "it raises"),
        )
    ),
)  # fmt: skip
