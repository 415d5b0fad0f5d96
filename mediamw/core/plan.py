"""``decide``: the only author of what clients are sent.

One pure function makes every status, header and body, from the request, what the stack found, the policy and the
clock. Both middlewares send its plan as it stands. ``docs/semantics.md`` has its table, clause by clause of RFC 9110.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from .conditions import Verdict, evaluate, is_entity_tag, last_modified, range_applies
from .http_dates import format_http_date
from .media_types import SANDBOX, guess, is_active, is_content_coding, is_media_type, with_charset
from .model import (
    PASS,
    TO_END,
    Forbidden,
    Held,
    Hidden,
    Look,
    Meta,
    Missing,
    Outcome,
    Part,
    Pass,
    Plan,
    Redirect,
    Refused,
    Request,
    Slice,
    body_length,
)
from .ranges import UNSATISFIABLE, Ranges, slices_of

REASONS: Final = {
    200: "OK",
    206: "Partial Content",
    302: "Found",
    304: "Not Modified",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    412: "Precondition Failed",
    416: "Range Not Satisfiable",
    503: "Service Unavailable",
}

Headers = list[tuple[str, str]]
OnMiss = Literal["app", "404", "placeholder"]
ON_MISS_ALONE: Final[OnMiss] = "404"
"""What ``"app"`` comes to where no app is wrapped."""

# What add_headers may not say, nor a framework's middlewares: these are decided here, and a second opinion would break
# framing, caches or redirects.
DECIDED_HERE: Final = frozenset(
    (
        "accept-ranges",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "etag",
        "keep-alive",
        "last-modified",
        "location",
        "retry-after",
        "server-timing",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-content-type-options",
        "x-media-backend",
    )
)


class Placeholder(NamedTuple):
    """A picture in the place of a missing one; it keeps its 404 or 503, browsers paint it all the same."""

    body: bytes = (
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 120" role="img" aria-label="missing">'
        b'<path fill="#eee" d="M0 0h160v120H0z"/><path fill="none" stroke="#bbb" stroke-width="4" '
        b'd="M20 100l40-45 25 28 20-18 35 35zM108 40a9 9 0 1 0 .1 0z"/></svg>\n'
    )
    content_type: str = "image/svg+xml"


class Policy(NamedTuple):
    """The site's choices. Ages in seconds; None means the safe default: revalidate held files, never store redirects.

    ``add_headers(key, status)`` returns headers to add to an answer. ``media_types`` maps ``.ext`` to a content type.
    ``last_modified`` False: held files are sent without that date, since a redirect may answer for them one day.
    """

    on_miss: OnMiss = "app"
    max_age: int | None = None
    redirect_max_age: int | None = None
    debug: bool = False
    placeholder: Placeholder = Placeholder()
    add_headers: Callable[[str, int], Mapping[str, str]] | None = None
    media_types: Mapping[str, str] = MappingProxyType({})
    last_modified: bool = True


def decide(request: Request, outcome: Outcome, policy: Policy, now: float, looks: Sequence[Look] = ()) -> Plan | Pass:
    """Make the plan for one request. ``now`` in seconds since 1970. ``PASS`` means that the wrapped app answers.

    Raises ``ValueError`` if ``add_headers`` returns what it may not.
    """
    backend = ""
    if isinstance(outcome, Held):
        backend = outcome.backend
        plan = _held(request, outcome.handle.meta, policy, int(now))
    elif isinstance(outcome, Redirect):
        backend = outcome.backend
        plan = _redirect(outcome, policy, now)
    elif isinstance(outcome, Missing):
        if policy.on_miss == "app":
            return PASS
        plan = _placeholder(404, policy) if _wants_picture(request, policy) else _error(404)
    elif isinstance(outcome, (Hidden, Refused)):
        plan = _error(404)
    elif isinstance(outcome, Forbidden):
        plan = _error(403)
    else:
        retry = ("Retry-After", str(outcome.retry_after))
        plan = _placeholder(503, policy, retry) if _wants_picture(request, policy) else _error(503, retry)
    return _finished(request, plan, policy, backend, looks)


def judged(verdict: object) -> Outcome | None:
    """Return what is answered instead of the file after ``authorize`` said ``verdict``; None if it lets the client.

    Raises ``TypeError`` for anything but True, 403 and 404: a 1 or a None is a mistake, and no permission.
    """
    if verdict is True:
        return None
    if type(verdict) is int and verdict in (403, 404):
        return Forbidden() if verdict == 403 else Refused("authorize said 404")
    raise TypeError(f"authorize returned {verdict!r}: it returns True, 403 or 404")


def without_app(method: str, *, inside: bool) -> Plan:
    """Answer what would be the app's where there is no app: 405 for other methods on media, 404 outside (15.5.6)."""
    plan = _error(405, ("Allow", "GET, HEAD")) if inside and method not in ("GET", "HEAD") else _error(404)
    return Plan(plan.status, plan.headers) if method == "HEAD" else plan


def _finished(request: Request, plan: Plan, policy: Policy, backend: str, looks: Sequence[Look]) -> Plan:
    headers = list(plan.headers)
    if policy.debug:
        headers.append(("X-Media-Backend", _token(backend) if backend else "none"))
        if looks:
            headers.append(("Server-Timing", ", ".join(_server_timing(look) for look in looks)))
    if policy.add_headers is not None:
        _add(headers, policy.add_headers(request.key, plan.status))
    # 9.3.2: HEAD is GET less the body.
    return Plan(plan.status, tuple(headers), () if request.method == "HEAD" else plan.body)


def _held(request: Request, meta: Meta, policy: Policy, now: int) -> Plan:
    if meta.etag is not None and not is_entity_tag(meta.etag):
        meta = meta._replace(etag=None)  # what cannot stand in a header cannot be compared with one either
    content_type, encoding = _types(request.key, meta, policy)
    modified = last_modified(meta, now)
    age = "no-cache" if policy.max_age is None else f"max-age={policy.max_age}"
    common: Headers = [("Cache-Control", f"private, {age}"), ("X-Content-Type-Options", "nosniff")]
    if is_active(content_type):
        common.append(("Content-Security-Policy", SANDBOX))
    validators: Headers = []
    if meta.etag is not None:
        validators.append(("ETag", meta.etag))
    # Once the local file is deleted, browsers carry what they kept of it over our redirect to the bucket. Its ETag
    # matches nothing there; but some servers obey If-Modified-Since beside If-None-Match (13.1.3 forbids it), answer
    # 304 to a URL that the browser never had, and the image is broken.
    if modified is not None and (policy.last_modified or not validators):
        validators.append(("Last-Modified", format_http_date(modified)))

    wanted: list[Slice] | Ranges = Ranges.IGNORED
    if request.headers:
        verdict = evaluate(request.headers, meta, now)
        if verdict is Verdict.FAILED:
            return _error(412)
        if verdict is Verdict.NOT_MODIFIED:
            # 15.4.5: one validator, and nothing that describes what the client has already.
            return Plan(304, (*validators[:1], *common))
        wanted = _ranges(request, meta, now)
    described: Headers = [("Content-Type", content_type), *_coding(encoding)]
    if meta.filename is not None:
        described.append(_disposition(meta.filename))
    if meta.size is None:
        body: tuple[Part, ...] = (TO_END,)
        return Plan(200, (*described, *validators, *common), body)
    if wanted is UNSATISFIABLE:
        return _error(416, ("Content-Range", f"bytes */{meta.size}"))

    common = [*validators, *common, ("Accept-Ranges", "bytes")]
    if isinstance(wanted, Ranges):
        body = (Slice(0, meta.size),) if meta.size else ()
        return Plan(200, (*described, ("Content-Length", str(meta.size)), *common), body)
    if len(wanted) == 1:
        part = wanted[0]
        described.append(("Content-Range", _content_range(part, meta.size)))
        return Plan(206, (*described, ("Content-Length", str(part.length)), *common), (part,))
    return _multipart(wanted, meta.size, f"{meta.etag}{meta.mtime_ns}", described, common)


def _coding(encoding: str | None) -> Headers:
    return [] if encoding is None else [("Content-Encoding", encoding)]


def _disposition(filename: str) -> tuple[str, str]:
    from .disposition import content_disposition  # few keys are no names

    return "Content-Disposition", content_disposition(filename)


def _ranges(request: Request, meta: Meta, now: int) -> list[Slice] | Ranges:
    header = request.headers.get("range")
    # 14.2: Range is defined for GET only, and may be ignored: of a file whose length is not known no end is known.
    if header is None or request.method != "GET" or meta.size is None:
        return Ranges.IGNORED
    if_range = request.headers.get("if-range")
    if if_range is not None and not range_applies(if_range, meta, now):
        return Ranges.IGNORED
    return slices_of(header, meta.size)


def _multipart(slices: list[Slice], size: int, version: str, described: Headers, common: Headers) -> Plan:
    """15.3.7.2 and 14.6: each part with its own type and range, no Content-Range at the top."""
    content_type, encoding = described[0][1], described[1:]
    from hashlib import blake2b  # OpenSSL comes with it, and few clients ask for several ranges

    # Made from the answer itself: the same answer is the same bytes, in both middlewares and every worker.
    boundary = blake2b(f"{version}{slices}".encode(), digest_size=16, person=b"mediamw-parts").hexdigest()
    body: list[Part] = []
    for part in slices:
        content_range = _content_range(part, size)
        head = f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {content_range}\r\n\r\n"
        body += [head.encode("ascii"), part]
    body.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    headers = (
        ("Content-Type", f"multipart/byteranges; boundary={boundary}"),
        *encoding,
        ("Content-Length", str(body_length(body))),
        *common,
    )
    return Plan(206, headers, tuple(body))


def _redirect(found: Redirect, policy: Policy, now: float) -> Plan:
    """15.4.3. Conditions do not count here: without them the answer would not be 2xx (13.2.1)."""
    cache = "no-store"  # a stored redirect outlives its signature, and hides a later upload
    if policy.redirect_max_age:
        rest = policy.redirect_max_age if found.expires is None else int(found.expires - now) - 1
        if rest > 0:
            cache = f"private, max-age={min(policy.redirect_max_age, rest)}"
    headers = (
        ("Location", found.url),
        ("Content-Length", "0"),
        ("Cache-Control", cache),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    )
    return Plan(302, headers)


def _error(status: int, *extra: tuple[str, str]) -> Plan:
    body = f"{status} {REASONS[status]}\n".encode("ascii")
    return _small(status, body, "text/plain; charset=utf-8", *extra)


def _placeholder(status: int, policy: Policy, *extra: tuple[str, str]) -> Plan:
    return _small(status, policy.placeholder.body, policy.placeholder.content_type, *extra)


def _wants_picture(request: Request, policy: Policy) -> bool:
    return policy.on_miss == "placeholder" and guess(request.key, policy.media_types)[0].startswith("image/")


def _small(status: int, body: bytes, content_type: str, *extra: tuple[str, str]) -> Plan:
    headers: Headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        *extra,
    ]
    if is_active(content_type):
        headers.append(("Content-Security-Policy", SANDBOX))
    return Plan(status, tuple(headers), (body,) if body else ())


def _types(key: str, meta: Meta, policy: Policy) -> tuple[str, str | None]:
    """What the backend says of the bytes if it is safe in a header, else what the name says."""
    guessed, encoding = guess(key, policy.media_types)
    content_type = meta.content_type
    if content_type is None or not is_media_type(content_type):
        content_type = guessed
    else:
        encoding = None  # it speaks of the name's own type only
    if meta.content_encoding is not None and is_content_coding(meta.content_encoding):
        encoding = meta.content_encoding
    return with_charset(content_type), encoding


def _content_range(part: Slice, size: int) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{size}"


def _server_timing(look: Look) -> str:
    said = f"{look.answer}, {look.source}" if look.source else look.answer
    return f'{_token(look.backend)};dur={look.seconds * 1000:.3f};desc="{said}"'


def _token(name: str) -> str:
    """A backend's name as a header token; config.py allows no other, code may."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in name)


def _add(headers: Headers, extra: Mapping[str, str]) -> None:
    """Merge the user's headers: a name that is there already is replaced, so that caching can be chosen by key."""
    for name, value in extra.items():
        lower = name.lower()
        if lower in DECIDED_HERE:
            raise ValueError(f"add_headers may not set {name!r}: mediamw decides it")
        if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"add_headers returned the header name {name!r}, which HTTP does not allow")
        if any((char < " " and char != "\t") or char > "\xff" or char == "\x7f" for char in value):
            raise ValueError(f"add_headers returned a value for {name!r} with characters that HTTP does not allow")
        headers[:] = [pair for pair in headers if pair[0].lower() != lower]
        headers.append((name, value))
