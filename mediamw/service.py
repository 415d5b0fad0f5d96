"""From a request to a reply: key, authorize, find, sign, decide, in that order. Both middlewares are loops around this.

Rules: whatever goes wrong inside the prefix is an answer, never a traceback through the wrapped app's server: a refused
name is 404, a backend that cannot tell 503, and so is a mistake of ours, of ``authorize`` or of ``add_headers``, with a
line in the log. A small body is read before the first byte is sent, so that a file which changes in between is looked
up anew; of a large one from an origin the first bytes are. The rest is sent slice by slice, and if it has become
shorter the connection is broken off: a length is a promise.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, Unpack, cast

from .backends.again import root_of
from .config import (
    Authorize,
    Options,
    PolicyOptions,
    base_url_of,
    build_dotfiles,
    build_policy,
    check_authorize,
    check_options,
    check_prefix,
    check_switch,
    is_async,
)
from .core.errors import BackendUnavailable, ConfigError, ContentChanged, InvalidKey, NotServable, RangeIgnored
from .core.head import Head
from .core.keys import Key, parse_http_key
from .core.model import Held, Outcome, Pass, Plan, Redirect, Refused, Request, Unavailable, body_length
from .core.plan import ON_MISS_ALONE, decide, judged
from .core.plan import without_app as plan_without_app
from .kept_plans import KeptPlans
from .reply import Reply, joined
from .specs import Spec, build_backends
from .stack.remote_handle import RemoteHandle
from .stack.stack import MediaStack, StackOptions
from .stack.steps import Pool, Steps, Wait, run
from .stack.trace import Explanation, Trace

log = logging.getLogger("mediamw")

AUTHORIZE_THREADS: Final = 8


class Serves(Protocol):
    """What an entrance asks: ``MediaService`` for one stack, ``storages/serving.py`` for several."""

    prefix: str

    def takes(self, method: str, path: str) -> bool:
        """See ``MediaService``."""

    def at_once(
        self, method: str, name: str | None, headers: Mapping[str, str], *, waits: bool
    ) -> tuple[Head, bytes] | None:
        """See ``MediaService``."""

    def respond(
        self,
        method: str,
        name: str | None,
        headers: Mapping[str, str],
        client: object,
        *,
        inline: bool = False,
        needs_length: bool = True,
        is_judged: bool = False,
    ) -> Steps[Reply | Pass]:
        """See ``MediaService``."""


class _Way(NamedTuple):
    """How a request is answered, whatever it asks for: see ``MediaService.respond``."""

    inline: bool
    needs_length: bool
    trace: Trace | None


class MediaService:
    """Answers the requests below ``prefix`` from a stack. Raises ``ConfigError`` that names the option."""

    def __init__(
        self,
        backends: MediaStack | Sequence[Spec],
        *,
        prefix: str = "/media/",
        allow_dotfiles: Sequence[str] = (),
        authorize: Authorize | None = None,
        **policy: Unpack[PolicyOptions],
    ) -> None:
        self.prefix = check_prefix(prefix)
        self._dotfiles = build_dotfiles(allow_dotfiles)
        self._authorize = authorize
        # Threads of its own: it may be slow, and files of the disk must not wait for it.
        self._judges = Pool(AUTHORIZE_THREADS, "mediamw-authorize")
        self.stack = (
            backends
            if isinstance(backends, MediaStack)
            else MediaStack(build_backends(backends), base_url=base_url_of(prefix))
        )
        self.policy = build_policy(**policy)._replace(last_modified=not self.stack.redirects)
        root, ours = root_of(self.stack.upper), self.policy
        # What is called need not be true: it may be a collection that is empty still.
        is_asked = authorize is not None or ours.add_headers is not None
        depends_on_more = is_asked or ours.debug or ours.redirect_max_age
        self._kept = KeptPlans(root, self.stack) if root is not None and not depends_on_more else None

    def takes(self, method: str, path: str) -> bool:
        """Say whether the request is ours: GET or HEAD below the prefix. ``path`` starts at the mount point."""
        return path.startswith(self.prefix) and (method == "GET" or method == "HEAD")

    def at_once(
        self, method: str, name: str | None, headers: Mapping[str, str], *, waits: bool
    ) -> tuple[Head, bytes] | None:
        """Answer as before, with a small file of the upper or a redirect; None if ``respond`` has to.

        The arguments are those of ``respond``. ``waits`` False: on an event loop, where not even a disk may be waited
        for.
        """
        if self._kept is None or name is None or log.isEnabledFor(logging.DEBUG):
            return None
        try:
            return self._kept.answer(method, name, headers, waits=waits)
        except Exception:  # the boundary, as in ``respond``, which has another way, or an answer of the mistake
            log.exception("%s %r: looked up anew", method, name)
            return None

    def respond(
        self,
        method: str,
        name: str | None,
        headers: Mapping[str, str],
        client: object,
        *,
        inline: bool = False,
        needs_length: bool = True,
        is_judged: bool = False,
    ) -> Steps[Reply | Pass]:
        """Answer a request that ``takes`` took, as steps.

        ``name`` is the path behind the prefix, percent-decoded once; None if it is not UTF-8. ``headers``: see
        ``Request``. ``client`` is what ``authorize`` is given: the environ or the scope. ``inline``: on an event loop.
        ``needs_length``: a body without one, if it broke off, would look whole. ``is_judged``: the caller has, so
        ``authorize`` is not asked. Whoever takes the reply closes it.
        """
        request = Request(method, Key(name or ""), headers)  # not checked yet, but enough to speak of it
        is_traced = log.isEnabledFor(logging.DEBUG)
        trace = Trace() if is_traced or self.policy.debug else None
        try:
            verdict = None if self._authorize is None or is_judged else self._authorized(client, name, inline)
            reply = yield from self._respond(request, name, verdict, _Way(inline, needs_length, trace))
        except Exception:  # the boundary: a mistake in here, or in what the user gave, must not take the site down
            log.exception("%s %r: answered with 503", method, name)
            quiet = self.policy._replace(add_headers=None)
            plan = cast("Plan", decide(request, Unavailable("internal"), quiet, time.time()))
            return Reply(plan, data=joined(plan))
        if is_traced and trace is not None:
            log.debug("%s %s", method, _explanation(name or "", trace, reply))
        return reply

    def explain(self, name: str) -> Explanation:
        """Say how ``name`` would be answered, and why; ``authorize`` is not asked, as nobody is there to be judged."""
        trace = Trace()
        reply = run(self._respond(Request("HEAD", Key(name)), name, None, _Way(False, True, trace)))
        if isinstance(reply, Reply):
            reply.close()
        return _explanation(name, trace, reply)

    def _respond(
        self, request: Request, name: str | None, verdict: Steps[Outcome | None] | None, way: _Way
    ) -> Steps[Reply | Pass]:
        trace = way.trace
        try:
            if name is None:
                raise InvalidKey("not a usable name: it is not UTF-8")
            parse_http_key(name, self._dotfiles)
            try:
                refused = None if verdict is None else (yield from verdict)
            except (InvalidKey, NotServable) as error:  # of a stack that it asks: as little a 404 as any exception
                raise RuntimeError("authorize raised an exception") from error
            if refused is not None:
                if trace is not None:
                    trace.said, trace.reason = "forbidden", "authorize"
                return self._decided(request, refused, trace)
            try:
                return (yield from self._answer(request, way))
            except RangeIgnored:
                request = request.without_range()
            except ContentChanged:  # between the look-up and the read: what is there now is as good an answer
                pass
            if trace is not None:
                trace.looks.clear()
            return (yield from self._answer(request, way))
        except (InvalidKey, NotServable, BackendUnavailable) as error:
            if trace is not None:
                trace.failed(error)
            if isinstance(error, BackendUnavailable):
                self.stack.say(f"unavailable {error.backend}", str(error), error.reason)
                return self._decided(request, Unavailable(error.reason, error.retry_after), trace)
            if isinstance(error, NotServable):
                self.stack.say(f"not servable {error.backend}", str(error))
            return self._decided(request, Refused(error.reason), trace)

    def _authorized(self, client: object, name: str | None, inline: bool) -> Steps[Outcome | None]:
        """Ask ``authorize``; return what is answered instead of the file, if anything."""
        import inspect

        authorize = cast("Authorize", self._authorize)
        if inline and not is_async(authorize):  # it may ask a database, so not on the event loop
            verdict = yield Wait(self._judges.submit(partial(copy_context().run, authorize, client, str(name))))
        else:
            verdict = authorize(client, str(name))
        if inspect.isawaitable(verdict):
            if not inline:
                raise TypeError("authorize returned an awaitable, which only ASGI can wait for")
            verdict = yield Wait(verdict)
        return judged(verdict)

    def _answer(self, request: Request, way: _Way) -> Steps[Reply | Pass]:
        inline, needs_length, trace = way
        looks = None if trace is None else trace.looks
        found = yield from self.stack.finding(
            request.key, request.method, inline=inline, via=request.via, if_range=request.if_range, looks=looks
        )
        if trace is not None:
            trace.found(found)
        if not isinstance(found, Held):
            reply_or_pass = self._decided(request, found, trace)
            if self._kept is not None and isinstance(found, Redirect) and isinstance(reply_or_pass, Reply):
                self._kept.keep(request, found, reply_or_pass.plan, time.time())
            return reply_or_pass
        handle, pool = found.handle, self.stack.pool_for(found)
        keep = False
        try:
            plan = self._plan(request, found, trace)
            if self._kept is not None:
                self._kept.keep(request, found, plan, time.time())
            if needs_length and isinstance(handle, RemoteHandle) and body_length(plan.body) is None:
                handle = yield from self.stack.copying(found.backend, handle.copied)
                plan = self._plan(request, Held(found.backend, handle), trace)
            reply = Reply(plan, handle, pool=pool)
            if not reply.plan.body:
                reply.data = b""
            elif isinstance(handle, RemoteHandle):
                # What can be known of the origin is known before the answer starts.
                if (arrival := reply.joined()) is not None:
                    yield from self.stack.arriving(found.backend, arrival)
                work = reply.read if reply.is_small else reply.begin
                reply.data = yield from self.stack.reading(found.backend, work)
            elif reply.is_small:
                reply.data = reply.read_now() if inline else reply.read()
                if reply.data is None:  # the disk has to be waited for: in a thread, which then closes the file
                    keep = True
                    reply.data = yield Wait(reply.pool.submit(reply.read_and_close))
            keep = keep or reply.data is None
            return reply
        finally:
            if not keep:
                handle.close()

    def _plan(self, request: Request, outcome: Outcome, trace: Trace | None) -> Plan:
        return cast("Plan", self._decide(request, outcome, trace))

    def _decide(self, request: Request, outcome: Outcome, trace: Trace | None) -> Plan | Pass:
        looks = trace.looks if trace is not None and self.policy.debug else ()
        return decide(request, outcome, self.policy, time.time(), looks)

    def _decided(self, request: Request, outcome: Outcome, trace: Trace | None) -> Reply | Pass:
        plan = self._decide(request, outcome, trace)
        return plan if isinstance(plan, Pass) else Reply(plan, data=joined(plan))


def make_service(
    app: object, backends: MediaStack | Sequence[Spec], options: Options, *, can_await: bool
) -> MediaService | None:
    """Make what a middleware around ``app`` asks; None if it is not enabled: then nothing is looked at or opened."""
    check_options(options, tuple(Options.__annotations__), StackOptions.__annotations__)
    rest: dict[str, Any] = {**options}
    check_authorize(rest.get("authorize"), can_await=can_await)
    if not check_switch("enabled", rest.pop("enabled", True)):
        return None
    if app is None and rest.get("on_miss", "app") == "app":
        rest["on_miss"] = ON_MISS_ALONE
    if app is not None and rest.get("prefix") == "/":
        raise ConfigError("prefix: '/' leaves nothing to the app that is wrapped; it is for MediaMiddleware(None, ...)")
    return MediaService(backends, **rest)


def prefix_of(service: Serves | None) -> str:
    """Return what is in all paths that are a service's: one test for those of the app. Without a service: in none."""
    return "\0" if service is None else service.prefix


def without_app(method: str, path: str, service: Serves | None) -> Reply:
    """Answer in the place of an app, where none is wrapped."""
    plan = plan_without_app(method, inside=service is not None and path.startswith(service.prefix))
    return Reply(plan, data=joined(plan))


def _explanation(name: str, trace: Trace, reply: Reply | Pass) -> Explanation:
    if isinstance(reply, Pass):
        trace.reason = "the wrapped app answers"
        return Explanation.of(name, trace)
    return Explanation.of(name, trace, reply.plan.status)
