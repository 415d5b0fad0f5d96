"""Rows: which names are served, which are refused, and which are none of our business (RFC 3986, RFC 9110, 17.3)."""

from __future__ import annotations

from urllib.parse import quote

from .row import Row, by_app, refused

_AWKWARD = (
    "with space.jpg",
    "ünï çødé.jpg",
    "u\u0308.jpg",
    "写真.jpg",
    "🏠.jpg",
    "\ufffd.jpg",
    "a+b.jpg",
    "100%.jpg",
    "100%25.jpg",
    "what?.jpg",
    "no#1.jpg",
    "a;b,c&d=e.jpg",
    'it\'s "it".jpg',
    "~tilde-_.!*().jpg",
    "a:b@c$.jpg",
    "<b>.jpg",
    "dots..in..name.jpg",
    "dir/inner.jpg",
)

# id, what it shows, path behind the prefix
_TRAVERSAL = (
    ("dot-dot", "..", "../secret.txt"),
    ("dot-dot-encoded", "..", "%2e%2e/secret.txt"),
    ("dot-dot-half", "..", ".%2e/secret.txt"),
    ("dot-dot-slash", ".. with an encoded slash", "..%2fsecret.txt"),
    ("dot-dot-inside", "..", "dir/../photo.jpg"),
    ("dot-dot-deep", "..", "dir/../../secret.txt"),
    ("dot-dot-end", "..", "dir/.."),
    ("dot-dot-backslash", "..\\", "..%5csecret.txt"),
    ("absolute", "a second root", "/etc/passwd"),
    ("absolute-encoded", "a second root", "%2fetc%2fpasswd"),
    ("overlong", "an overlong encoding of a dot is not UTF-8", "%c0%ae%c0%ae/secret.txt"),
    ("nul", "NUL", "photo.jpg%00"),
    ("nul-inside", "NUL", "photo%00.jpg"),
    ("newline", "a control character", "photo%0a.jpg"),
    ("escape", "a control character", "photo%1b.jpg"),
    ("delete", "a control character", "photo%7f.jpg"),
    ("c1", "a control character of Latin-1", "photo%c2%85.jpg"),
    ("latin-1", "not UTF-8", "%fcn%ef.jpg"),
    ("cut-short", "not UTF-8", "photo%c3"),
    ("surrogate", "a surrogate is not UTF-8", "%ed%a0%80.jpg"),
)

_REFUSED = (
    ("dot", ".", "./photo.jpg"),
    ("dot-encoded", ".", "%2e/photo.jpg"),
    ("dot-inside", ".", "dir/./inner.jpg"),
    ("dot-end", ".", "dir/."),
    ("empty-segment", "an empty segment", "dir//inner.jpg"),
    ("empty-first", "an empty first segment", "/photo.jpg"),
    ("trailing-slash", "a trailing slash", "photo.jpg/"),
    ("folder-slash", "a folder: there are no listings", "dir/"),
    ("prefix", "the bare prefix", ""),
    ("backslash", "a backslash", "dir%5cinner.jpg"),
    ("256-bytes", "a segment of 256 bytes", "x" * 252 + ".jpg"),
    ("256-bytes-utf-8", "a segment of 256 bytes, 128 letters", "%C3%BC" * 126 + ".jpg"),
    ("1025-bytes", "a name of 1,025 bytes", "/".join(["x" * 200] * 5) + "/" + "x" * 16 + ".jpg"),
    ("dot-file", "a dot file", ".hidden.jpg"),
    ("dot-file-missing", "a dot file that is not there", ".env"),
    ("dot-folder", "a dot folder", ".thumbs/a.jpg"),
    ("dot-inside-folder", "a dot file below a folder", "dir/.git"),
    ("state", "our own state", ".mediamw/pulled/x"),
    ("well-known", "a dot folder of the web's", ".well-known/security.txt"),
)


ROWS = (
    *(
        Row(
            id=f"name-{name}",
            clause="RFC 3986 2.1",
            shows="an awkward name, percent-encoded once",
            path="/media/" + quote(name, safe="/"),
            file=name,
        )
        for name in _AWKWARD
    ),
    Row(
        id="name-plus-encoded",
        clause="RFC 3986 2.4",
        shows="a plus is a plus, not a space",
        path="/media/a%2Bb.jpg",
        file="a+b.jpg",
    ),
    Row(
        id="name-delimiters-raw",
        clause="RFC 3986 3.3",
        shows="what a path may hold unencoded",
        path="/media/a;b,c&d=e.jpg",
        file="a;b,c&d=e.jpg",
    ),
    Row(
        id="name-at-raw",
        clause="RFC 3986 3.3",
        shows="what a path may hold unencoded",
        path="/media/a:b@c$.jpg",
        file="a:b@c$.jpg",
    ),
    Row(
        id="name-slash-encoded",
        clause="PEP 3333, ASGI 2.5",
        shows="an encoded slash is a slash: servers decode before anybody can ask",
        path="/media/dir%2Finner.jpg",
        file="dir/inner.jpg",
        peers=False,
    ),
    by_app("name-twice-decoded", "RFC 3986 2.4", "never decoded twice", "/media/%2570hoto.jpg"),
    by_app("name-twice-dots", "RFC 3986 2.4", "%252e is %2e, not a dot", "/media/%252e%252e/secret.txt"),
    by_app("name-composed", "RFC 3986 2.5", "ü of one code point is not ü of two", "/media/%C3%BC.jpg"),
    by_app("name-other-case", "RFC 3986 6.2.2.1", "paths are case-sensitive", "/media/Photo.jpg"),
    by_app("name-1024-bytes", "RFC 9110 4.1", "a name of 1,024 bytes is looked for",
           "/media/" + "/".join(["x" * 200] * 5) + "/" + "x" * 15 + ".jpg"),
    *(
        refused(f"refused-{name}", "RFC 9110 17.3", shows, f"/media/{path}", peers=True)
        for name, shows, path in _TRAVERSAL
    ),
    *(
        refused(f"refused-{name}", "RFC 9110 17.3", shows, f"/media/{path}", peers=False)
        for name, shows, path in _REFUSED
    ),
    refused("refused-head", "RFC 9110 9.3.2", "HEAD of a refused name", "/media/.env", method="HEAD", peers=False),
    refused("refused-range", "RFC 9110 13.2.1", "conditions and ranges do not count beside an error", "/media/.env",
            headers=(("Range", "bytes=0-1"), ("If-Match", '"other"')), peers=False),
    refused("refused-link-out", "RFC 9110 17.3", "a link that leads out of the root", "/media/leads-out.jpg",
            disk_only=True, peers=False),
    refused("refused-folder-out", "RFC 9110 17.3", "a linked folder that leads out", "/media/folder-out/secret.txt",
            disk_only=True, peers=False),
    refused("refused-fifo", "RFC 9110 17.3", "a FIFO, which would block whoever opens it", "/media/fifo.jpg",
            disk_only=True, peers=False),
    Row(
        id="name-link-in",
        clause="RFC 9110 17.3",
        shows="a link that stays below the root",
        path="/media/leads-in.jpg",
        disk_only=True,
    ),
    by_app("name-dangling-link", "RFC 9110 15.5.5", "a link to nothing is missing", "/media/dangling.jpg",
           disk_only=True),
    by_app("name-folder", "RFC 9110 15.5.5", "a folder is no file", "/media/dir"),
    by_app("name-below-file", "RFC 9110 15.5.5", "a file is no folder", "/media/photo.jpg/x"),
    by_app("name-prefix-bare", "RFC 3986 3.3", "the prefix without its slash", "/media"),
    by_app("name-prefix-longer", "RFC 3986 3.3", "a longer word", "/mediax/photo.jpg"),
    by_app("name-prefix-case", "RFC 3986 6.2.2.1", "another case", "/MEDIA/photo.jpg"),
    by_app("name-prefix-inside", "RFC 3986 3.3", "the prefix in the middle", "/x/media/photo.jpg"),
    by_app("name-root", "RFC 3986 3.3", "the root", "/"),
    Row(
        id="name-prefix-encoded",
        clause="RFC 3986 6.2.2.2",
        shows="the prefix, one letter encoded",
        path="/%6Dedia/photo.jpg",
    ),
)  # fmt: skip
