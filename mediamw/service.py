"""From a request to a reply: key, find, sign, decide, in that order. Both middlewares are loops around this.

Rules: whatever goes wrong inside the prefix is an answer, never a traceback through the wrapped app's server: a refused
name is 404, a backend that cannot tell 503, and so is a mistake of ours or of ``add_headers``, with a line in the log.
A small body is read before the first byte is sent, so that a file which changes in between is looked up anew; a large
one is sent slice by slice, and if it has become shorter the connection is broken off: a length is a promise.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Unpack, cast

from .config import (
    PolicyOptions,
    Spec,
    build_dotfiles,
    build_policy,
    build_stack,
    check_options,
    check_prefix,
    check_switch,
)
from .core.errors import BackendUnavailable, ConfigError, ContentChanged, InvalidKey, NotServable
from .core.keys import Key, parse_http_key
from .core.model import Handle, Held, Outcome, Pass, Plan, Refused, Request, Slice, Timing, Unavailable, body_length
from .core.plan import ON_MISS_ALONE, REASONS, decide
from .core.plan import without_app as plan_without_app
from .stack.stack import MediaStack
from .stack.steps import Steps, Wait

log = logging.getLogger("mediamw")

INLINE_BYTES: Final = 64 * 1024
"""Bodies up to this size are read whole before the answer starts."""


class Options(PolicyOptions, total=False):
    """What both middlewares take besides the app and the backends."""

    prefix: str
    enabled: bool
    allow_dotfiles: Sequence[str]


_OPTIONS = ("prefix", "allow_dotfiles", *PolicyOptions.__annotations__)


class Reply:
    """A plan and what its slices are read from. ``data`` is the whole body if it is small, else read ``stream``."""

    __slots__ = ("data", "handle", "plan")

    def __init__(self, plan: Plan, handle: Handle | None = None, data: bytes | None = None) -> None:
        self.plan = plan
        self.handle = handle
        self.data = data

    @property
    def status_line(self) -> str:
        """Return the status as WSGI wants it: ``404 Not Found``."""
        return f"{self.plan.status} {REASONS[self.plan.status]}"

    def stream(self) -> Iterator[bytes]:
        """Yield the body in pieces, as many bytes as the plan says. Raises ``ContentChanged`` if they end early."""
        for part in self.plan.body:
            if isinstance(part, bytes):
                yield part
            elif self.handle is not None:
                yield from _exactly(self.handle, part)

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self.handle is not None:
            self.handle.close()


def _exactly(handle: Handle, part: Slice) -> Iterator[bytes]:
    rest = part.length
    for piece in handle.chunks(part.start, part.stop):
        # A third party's handle may give more than it was asked for, or nothing; the length that was promised counts.
        data = piece if len(piece) <= rest else piece[:rest]
        rest -= len(data)
        if data:
            yield data
        if not rest:
            return
    if rest:
        raise ContentChanged(f"the file ended {rest} bytes early while it was sent")


class MediaService:
    """Answers the requests below ``prefix`` from a stack. Raises ``ConfigError`` that names the option."""

    def __init__(
        self,
        backends: MediaStack | Sequence[Spec],
        *,
        prefix: str = "/media/",
        allow_dotfiles: Sequence[str] = (),
        **policy: Unpack[PolicyOptions],
    ) -> None:
        self.prefix = check_prefix(prefix)
        self._dotfiles = build_dotfiles(allow_dotfiles)
        self.stack = backends if isinstance(backends, MediaStack) else build_stack(backends, base_url=self.prefix)
        self.policy = replace(build_policy(**policy), last_modified=not self.stack.redirects)

    def takes(self, method: str, path: str) -> bool:
        """Say whether the request is ours: GET or HEAD below the prefix. ``path`` starts at the mount point."""
        return path.startswith(self.prefix) and (method == "GET" or method == "HEAD")

    def respond(
        self, method: str, name: str | None, headers: Mapping[str, str], *, inline: bool = False
    ) -> Steps[Reply | Pass]:
        """Answer a request that ``takes`` took, as steps.

        ``name`` is the path behind the prefix, percent-decoded once; None if it is not UTF-8. ``headers``: see
        ``Request``. ``inline``: on an event loop. Whoever takes the reply closes it.
        """
        request = Request(method, Key(name or ""), headers)  # not checked yet, but enough to speak of it
        try:
            return (yield from self._respond(request, name, inline))
        except Exception:  # the boundary: a mistake in here, or in add_headers, must not take the site down
            log.exception("%s %r: answered with 503", method, name)
            quiet = replace(self.policy, add_headers=None)
            plan = cast("Plan", decide(request, Unavailable("internal"), quiet, time.time()))
            return Reply(plan, data=_joined(plan))

    def _respond(self, request: Request, name: str | None, inline: bool) -> Steps[Reply | Pass]:
        timings: list[Timing] | None = [] if self.policy.debug else None
        try:
            if name is None:
                raise InvalidKey("not a usable name: it is not UTF-8")
            parse_http_key(name, self._dotfiles)
            try:
                return (yield from self._answer(request, inline, timings))
            except ContentChanged:  # between the look-up and the read: what is there now is as good an answer
                return (yield from self._answer(request, inline, timings))
        except (InvalidKey, NotServable) as error:
            if isinstance(error, NotServable):
                self.stack.say(f"not servable {error.backend}", str(error))
            return self._decided(request, Refused(error.reason), timings)
        except BackendUnavailable as error:
            self.stack.say(f"unavailable {error.backend}", str(error))
            return self._decided(request, Unavailable(error.reason, error.retry_after), timings)

    def _answer(self, request: Request, inline: bool, timings: list[Timing] | None) -> Steps[Reply | Pass]:
        found = yield from self.stack.finding(request.key, request.method, inline=inline, timings=timings)
        if not isinstance(found, Held):
            return self._decided(request, found, timings)
        handle = found.handle
        keep = False
        try:
            plan = cast("Plan", decide(request, found, self.policy, time.time(), timings or ()))
            reply = Reply(plan, handle)
            if body_length(plan.body) > INLINE_BYTES:
                keep = True
                return reply
            reply.data = self._read_now(reply) if inline else b"".join(reply.stream())
            if reply.data is None:  # the disk has to be waited for: in a thread, which then closes the file
                keep = True
                reply.data = yield Wait(self.stack.disk.submit(_read_and_close, reply))
            return reply
        finally:
            if not keep:
                handle.close()

    def _read_now(self, reply: Reply) -> bytes | None:
        """Return the body if reading it waits for nothing, else None."""
        pieces: list[bytes] = []
        read_now = getattr(reply.handle, "read_now", None)
        for part in reply.plan.body:
            if isinstance(part, bytes):
                pieces.append(part)
                continue
            data = read_now(part.start, part.stop) if read_now is not None else None
            if data is None or len(data) != part.length:
                return None
            pieces.append(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _decided(self, request: Request, outcome: Outcome, timings: list[Timing] | None) -> Reply | Pass:
        plan = decide(request, outcome, self.policy, time.time(), timings or ())
        return plan if isinstance(plan, Pass) else Reply(plan, data=_joined(plan))


def make_service(app: object, backends: MediaStack | Sequence[Spec], options: Options) -> MediaService | None:
    """Make what a middleware around ``app`` asks; None if it is not enabled: then nothing is looked at or opened."""
    check_options(options, ("enabled", *_OPTIONS))
    rest: dict[str, Any] = {**options}
    if not check_switch("enabled", rest.pop("enabled", True)):
        return None
    if app is None and rest.get("on_miss", "app") == "app":
        rest["on_miss"] = ON_MISS_ALONE
    if app is not None and rest.get("prefix") == "/":
        raise ConfigError("prefix: '/' leaves nothing to the app that is wrapped; it is for MediaMiddleware(None, ...)")
    return MediaService(backends, **rest)


def without_app(method: str, path: str, service: MediaService | None) -> Reply:
    """Answer in the place of an app, where none is wrapped."""
    plan = plan_without_app(method, inside=service is not None and path.startswith(service.prefix))
    return Reply(plan, data=_joined(plan))


def _joined(plan: Plan) -> bytes:
    return b"".join(cast("tuple[bytes, ...]", plan.body))


def _read_and_close(reply: Reply) -> bytes:
    try:
        return b"".join(reply.stream())
    finally:
        reply.close()
