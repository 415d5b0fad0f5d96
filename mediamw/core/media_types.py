"""Content types, and the headers that make a stranger's file safe to show.

The table is our own and closed: Python's ``mimetypes`` reads the machine's files, so that one picture has two types on
two machines, and it lacks the newer media types in older Pythons. Types not listed here are ``extra``, from the user.
"""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT_TYPE = "application/octet-stream"

_BY_EXTENSION = {
    # images
    "apng": "image/apng",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "ico": "image/x-icon",
    "jfif": "image/jpeg",
    "jpe": "image/jpeg",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "jxl": "image/jxl",
    "png": "image/png",
    "psd": "image/vnd.adobe.photoshop",
    "svg": "image/svg+xml",
    "svgz": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
    # video
    "3gp": "video/3gpp",
    "avi": "video/x-msvideo",
    "m2ts": "video/mp2t",
    "m4v": "video/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "ogv": "video/ogg",
    "webm": "video/webm",
    "wmv": "video/x-ms-wmv",
    # audio
    "aac": "audio/aac",
    "aif": "audio/aiff",
    "aiff": "audio/aiff",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mid": "audio/midi",
    "mp3": "audio/mpeg",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "weba": "audio/webm",
    # fonts
    "otf": "font/otf",
    "ttf": "font/ttf",
    "woff": "font/woff",
    "woff2": "font/woff2",
    # text
    "css": "text/css",
    "csv": "text/csv",
    "htm": "text/html",
    "html": "text/html",
    "ics": "text/calendar",
    "js": "text/javascript",
    "log": "text/plain",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "srt": "application/x-subrip",
    "txt": "text/plain",
    "tsv": "text/tab-separated-values",
    "vcf": "text/vcard",
    "vtt": "text/vtt",
    "xhtml": "application/xhtml+xml",
    "xml": "text/xml",
    "xsl": "application/xslt+xml",
    # documents and data
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "epub": "application/epub+zip",
    "geojson": "application/geo+json",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "json": "application/json",
    "jsonld": "application/ld+json",
    "m3u8": "application/vnd.apple.mpegurl",
    "map": "application/json",
    "mpd": "application/dash+xml",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "pdf": "application/pdf",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rtf": "application/rtf",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    # archives: never as Content-Encoding, or the browser would unpack what the user wants to keep
    "7z": "application/x-7z-compressed",
    "bz2": "application/x-bzip2",
    "gz": "application/gzip",
    "tar": "application/x-tar",
    "tgz": "application/gzip",
    "xz": "application/x-xz",
    "zip": "application/zip",
    "zst": "application/zstd",
}

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
"""The Content-Security-Policy of active types: an SVG keeps its looks; scripts, forms, frames and requests are off."""


def guess(key: str, extra: Mapping[str, str] | None = None) -> tuple[str, str | None]:
    """Return (content type without parameters, content encoding or None) for the last extension of ``key``.

    ``extra`` maps extensions, with their dot and in lower case, to types and wins over the table.
    """
    name = key.rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem:
        return DEFAULT_TYPE, None
    extension = extension.lower()
    if extra and "." + extension in extra:
        return extra["." + extension], None
    return _BY_EXTENSION.get(extension, DEFAULT_TYPE), "gzip" if extension == "svgz" else None


def is_media_type(text: str) -> bool:
    """True for ``type/subtype`` with optional parameters in printable ASCII (RFC 9110, 8.3.1): safe in a header."""
    essence = text.partition(";")[0].strip(" \t")
    kind, slash, subtype = essence.partition("/")
    return bool(kind and slash and subtype and _TOKEN.issuperset(kind) and _TOKEN.issuperset(subtype)) and (
        text.isascii() and text.isprintable()
    )


def type_of_origin(text: str | None) -> str | None:
    """Return a remote Content-Type; None if it tells nothing.

    Upload tools that do not know a type leave S3's default, ``binary/octet-stream``, or ``application/octet-stream``
    (RFC 2046, 4.5.1: to be saved to a file): the name knows better.
    """
    if not text or not is_media_type(text):
        return None
    essence = text.partition(";")[0].strip().lower()
    return None if essence in (DEFAULT_TYPE, "binary/octet-stream") else text


def is_content_coding(text: str) -> bool:
    """True for a list of tokens such as ``gzip`` or ``gzip, br`` (RFC 9110, 8.4.1)."""
    return all(part.strip(" \t") and _TOKEN.issuperset(part.strip(" \t")) for part in text.split(","))


def with_charset(content_type: str) -> str:
    """Add UTF-8 to a text type that names no charset; browsers guess a legacy one otherwise."""
    return (
        f"{content_type}; charset=utf-8"
        if content_type.startswith("text/") and ";" not in content_type
        else content_type
    )


def is_active(content_type: str) -> bool:
    """True for types that a browser runs or that hold what it runs: HTML, SVG, XML, JavaScript, multipart, MHTML.

    PDF is not among them: Chrome shows nothing at all of a sandboxed one.
    """
    essence = content_type.partition(";")[0].strip().lower()
    return (
        essence.endswith(("/xml", "+xml", "/xsl"))
        or "html" in essence
        or "javascript" in essence
        or "ecmascript" in essence
        or essence.startswith("multipart/")
        or essence == "message/rfc822"
    )
