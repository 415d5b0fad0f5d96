"""All storages of a registry below one prefix: ``<prefix><storage, alias or remapped name>/<key>``.

1. What a name stands for is looked up for each request: an alias that points elsewhere counts at once.
2. Each stack has one ``MediaService``, with the options of the middleware, which decides all that is answered. Here it
   is only found, by a service whose names are ``<storage>/<key>``, for the same entrances.
3. A name that no storage has is refused: 404, and the wrapped app is not asked. So is a storage's name alone.
4. ``authorize`` is given ``<storage>/<key>``, where the storage is never an alias: the text that rows have
   (``str(Stored)``), so that nobody gets round a rule by another name of the same storage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, NamedTuple, cast

from ..backends.memory import MemoryBackend
from ..config import Authorize, Options, is_async
from ..core.errors import ConfigError
from ..core.head import Head
from ..core.model import Pass
from ..reply import Reply
from ..service import MediaService, make_service
from ..settings import settled
from ..stack.stack import MediaStack
from ..stack.steps import Steps
from .registry import Named, Registry, Stored


class _Answering(NamedTuple):
    """Who answers for a name, and the storage that rows have for it."""

    service: MediaService
    storage: str


class StoragesService:
    """Answers the requests below ``prefix`` from the storages of ``registry``.

    ``nobody`` answers for what no storage has: a service without files. ``make`` makes the service of a stack.
    """

    def __init__(self, registry: Registry, nobody: MediaService, make: Callable[[MediaStack], MediaService]) -> None:
        self.prefix = nobody.prefix
        self._registry = registry
        self._nobody = nobody
        self._make = make
        self._lock = Lock()  # of those who see a change first
        self._seen: tuple[Mapping[str, Named] | None, dict[str, _Answering]] = None, {}

    def takes(self, method: str, path: str) -> bool:
        """Say whether the request is ours: GET or HEAD below the prefix."""
        return self._nobody.takes(method, path)

    def at_once(
        self, method: str, name: str | None, headers: Mapping[str, str], *, waits: bool
    ) -> tuple[Head, bytes] | None:
        """Answer as before, as ``MediaService`` does. ``name`` is ``<storage>/<key>``."""
        found = self._found(name)
        return None if found is None else found[0].service.at_once(method, found[1], headers, waits=waits)

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
        """Answer a request as ``MediaService`` does. ``name`` is ``<storage>/<key>``."""
        found = self._found(name)
        if found is None:  # no name is empty, so that it is refused
            service, key = self._nobody, None if name is None else ""
        else:
            (service, storage), key = found
            client = _Client(client, storage)
        return service.respond(
            method, key, headers, client, inline=inline, needs_length=needs_length, is_judged=is_judged
        )

    def _found(self, name: str | None) -> tuple[_Answering, str] | None:
        if name is None:
            return None
        snapshot = self._registry.snapshot()
        seen, answering = self._seen
        if seen is not snapshot:
            answering = self._look(snapshot)
        storage, _, key = name.partition("/")
        found = answering.get(storage)
        return None if found is None else (found, key)

    def _look(self, snapshot: Mapping[str, Named]) -> dict[str, _Answering]:
        """Return who answers for each name; a stack that had a service keeps it."""
        with self._lock:
            seen, before = self._seen
            if seen is snapshot:
                return before
            services = {id(one.service.stack): one.service for one in before.values()}
            for named in snapshot.values():
                if id(named.stack) not in services:
                    services[id(named.stack)] = self._make(named.stack)
            found = {name: _Answering(services[id(named.stack)], named.storage) for name, named in snapshot.items()}
            self._seen = snapshot, found
            return found


class _Client(NamedTuple):
    """What ``authorize`` is asked with: the environ or the scope, and the storage."""

    client: Any
    storage: str


def storages_service(
    app: object, registry: Registry | None, options: Options, *, can_await: bool
) -> StoragesService | None:
    """Make what a middleware around ``app`` asks; None if it is switched off. Raises ``ConfigError``.

    ``registry`` None is the process's own.
    """
    if registry is None:
        from . import registry as own

        registry = own
    if not isinstance(registry, Registry):
        raise ConfigError(
            f"registry: {type(registry).__name__} is no Registry: configure(name, backends) a storage, or wrap "
            "the app in MediaMiddleware, which takes backends"
        )
    nothing, given = settled(MediaStack([MemoryBackend()]), options)
    authorize = given.get("authorize")
    nobody = make_service(app, nothing, given, can_await=can_await)
    if nobody is None:
        return None
    given = {**given}
    if authorize is not None:
        given["authorize"] = _told_the_storage(authorize)

    given.pop("placeholder", None)

    def make(stack: MediaStack) -> MediaService:
        service = cast("MediaService", make_service(app, stack, given, can_await=can_await))
        # Requests make services, and must read no file of the configuration.
        service.policy = service.policy._replace(placeholder=nobody.policy.placeholder)
        return service

    return StoragesService(registry, nobody, make)


def _told_the_storage(authorize: Authorize) -> Authorize:
    """Return ``authorize`` as a service asks it, which knows nothing of storages."""

    def ask(client: _Client, key: str) -> object:
        return authorize(client.client, f"{client.storage}/{key}")

    async def ask_async(client: _Client, key: str) -> object:
        return await cast("Any", ask(client, key))

    return ask_async if is_async(authorize) else ask


def url_of(prefix: str, stored: Stored | str) -> str:
    """Return the path of a file below ``prefix``, percent-encoded.

    ``stored`` is as rows have it, ``name/key``. Raises ``ConfigError`` for the name, ``InvalidKey`` for the key;
    whether there is such a storage or file is not looked at.
    """
    from urllib.parse import quote

    where = stored if isinstance(stored, Stored) else Stored.of(stored)
    return f"{prefix}{quote(where.storage, safe='~')}/{quote(where.key, safe='/~')}"
