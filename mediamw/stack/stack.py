"""MediaStack: an ordered list of backends that reads as one place. The first is the upper, the others are lowers.

Read: the upper, then the lowers in order; the first that has the key is served. A lower that cannot tell is passed
over; if nobody else has the key the answer is that one cannot tell, never that it is missing. An upper that cannot
tell always is: serving production's file in place of a local one would be a lie. What a whiteout of the upper hides is
not looked for below.

Write: into the upper alone (``writing.py``).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, BinaryIO, Final, TypedDict, cast

from ..backends.base import Backend, Closes, Content, Draft, Entry, HoldsCopies, Remote
from ..backends.rules import Rules
from ..core.errors import BackendUnavailable, InvalidKey, NoURL
from ..core.keys import Key, parse_key, refusal
from ..core.model import Found, Handle, Held, Hidden, Look, Meta, Redirect
from ..core.names import NamePolicy
from .asking import Asker
from .checks import (
    check_backends,
    check_base_url,
    check_budget,
    check_misses,
    check_names,
    check_seconds,
    holds_copies,
)
from .finding import Finder
from .listing import Lister
from .origin_health import MISSES_A_MINUTE
from .origins import Times
from .pull_version import NoLocks, NotKept
from .pulled import PULL_BUDGET_BYTES, Pulled
from .pulling import Puller, no_copies
from .reader import opened
from .saying import Sayings
from .steps import Pool, Steps, run
from .trace import Explanation, Trace, explained
from .whiteouts import as_upper
from .writing import Writer, not_writable

FOUND_TTL_SECONDS: Final = 300.0
MISSING_TTL_SECONDS: Final = 30.0
STALE_IF_ERROR_SECONDS: Final = 900.0
"""As long as a presigned URL stays the same: what browsers have of it is still shown while the origin is away."""
DEADLINE_SECONDS: Final = 8.0


class StackOptions(TypedDict, total=False):
    """The options of ``MediaStack``."""

    base_url: str | None
    found_ttl: float
    missing_ttl: float
    stale_if_error: float
    deadline: float
    misses_a_minute: int
    names: NamePolicy
    pull_budget: int


class MediaStack:
    """The backends, first to last. Keys are names as strings; every method checks them and raises ``InvalidKey``.

    ``base_url`` is what ``url`` puts before a key that no backend signs, such as ``/media/``. ``found_ttl`` and
    ``missing_ttl`` say for how many seconds a remote backend's answer is believed, ``stale_if_error`` for how many more
    it is if the backend cannot tell, and had the file. ``deadline``: how many seconds one backend may take for one
    look-up, waiting for a thread included. ``misses_a_minute``: for how many names that it does not have, or
    cannot tell of, each process asks each remote backend. ``names``: what ``save`` does with a name that is taken.
    ``pull_budget``: how many bytes the copies of lowers' files in the upper may have.
    Raises ``ConfigError``.
    """

    def __init__(
        self,
        backends: Sequence[Backend],
        *,
        base_url: str | None = None,
        found_ttl: float = FOUND_TTL_SECONDS,
        missing_ttl: float = MISSING_TTL_SECONDS,
        stale_if_error: float = STALE_IF_ERROR_SECONDS,
        deadline: float = DEADLINE_SECONDS,
        misses_a_minute: int = MISSES_A_MINUTE,
        names: NamePolicy = "suffix",
        pull_budget: int = PULL_BUDGET_BYTES,
    ) -> None:
        self.backends = check_backends(backends)
        self.base_url = check_base_url(base_url)
        times = Times(found_ttl, missing_ttl, stale_if_error, deadline)
        check_seconds(times._asdict())
        self._sayings = Sayings()
        budget, first = check_budget(pull_budget), self.backends[0]
        pulled = Pulled(cast("HoldsCopies", first), budget) if holds_copies(first) and self.backends[1:] else None
        self._asker = Asker(self.backends, times, check_misses(misses_a_minute), self.say, pulled)
        upper = as_upper(first)
        self._lister = Lister(self.backends, self._asker)
        settle = None if pulled is None else pulled.settle
        self._writer = None if upper is None else Writer(upper, self._asker, check_names(names), self.say, settle)
        self._puller = None
        if pulled is not None and upper is not None:
            self._puller = Puller(upper, pulled, self._asker, self.say)
        self._finder = Finder(self.backends, self._asker, self._puller)

    def __repr__(self) -> str:
        return f"MediaStack({list(self.backends)!r})"

    @property
    def upper(self) -> Backend:
        """The first backend, which takes all writes."""
        return self.backends[0]

    @property
    def disk(self) -> Pool:
        """The threads for what may wait for a disk."""
        return self._asker.disk

    @property
    def redirects(self) -> bool:
        """True if some backend's files are answered by sending the client there."""
        return self._finder.redirects

    def pool_of(self, backend: str) -> Pool:
        """Return the threads that read the files of ``backend``, by its name."""
        return self._asker.bodies_of(backend)

    def pool_for(self, held: Held) -> Pool:
        """Return the threads that read what is held: copies of an origin's files are on the disk."""
        return self._finder.pool_for(held)

    @property
    def names(self) -> NamePolicy:
        """What ``save`` does with a name that is taken, if it is not told."""
        return self._writing("save").names

    def say(self, subject: str, text: str, cause: str = "") -> None:
        """Log a warning: at most once a minute for each ``subject``, or for each of its first few causes."""
        self._sayings.say(subject, text, cause)

    def find(self, key: str, method: str = "GET") -> Found:
        """Say what the stack has: ``Held`` (the caller closes its handle), ``Redirect`` for ``method``, ``Hidden``,
        ``Missing``.

        Raises ``BackendUnavailable`` if nobody has it and somebody cannot tell, ``NotServable`` if what has the name
        may not be read.
        """
        return run(self.finding(parse_key(key), method))

    def finding(
        self,
        key: Key,
        method: str,
        *,
        inline: bool = False,
        via: str = "",
        if_range: str = "",
        looks: list[Look] | None = None,
    ) -> Steps[Found]:
        """``find`` as steps. ``inline``: on an event loop, where not even a disk may be waited for.

        ``via`` and ``if_range`` are the request's headers, ``looks`` is told what each backend said.
        """
        return self._finder.finding(key, method, inline=inline, via=via, if_range=if_range, looks=looks)

    def redirect_again(self, key: str, method: str) -> Redirect | None:
        """Return the redirect that ``find`` gave before, the very same, if it would again; None if it has to look.

        Waits for nothing. ``key`` need not have been checked.
        """
        return self._finder.redirect_again(key, method)

    def reading(self, backend: str, work: Callable[[], Any]) -> Steps[Any]:
        """Have a thread read from ``backend``, within the bounds of a look-up, as steps."""
        return self._finder.reading(backend, work)

    def arriving(self, backend: str, arrival: Future[None]) -> Steps[None]:
        """Wait for bytes that another thread fetches from ``backend``, as long as a look-up may take, as steps."""
        return self._finder.arriving(backend, arrival)

    def copying(self, backend: str, work: Callable[[], Handle]) -> Steps[Any]:
        """Have a thread copy a file of ``backend``, for as long as that may take, as steps."""
        return self._finder.copying(backend, work)

    def rules(self, backend: Backend) -> Rules:
        """Return the rules that stand with one of the backends."""
        return self._asker.rules[backend.name]

    def explain(self, key: str) -> Explanation:
        """Ask as ``find`` does and say what each backend answered, how fast, and from where. Never raises for a key."""

        def find(trace: Trace) -> Found:
            return run(self.finding(parse_key(key), "GET", looks=trace.looks))

        return explained(key, find)

    def open(self, key: str) -> BinaryIO:
        """Open for reading: seekable, buffered; a remote file by ranged reads, all of the version it has now.

        Raises ``FileNotFoundError`` if nobody has it; reading raises ``ContentChanged`` if the version is gone.
        """
        checked = parse_key(key)
        backend, answer = self._located(key)
        return opened(backend, checked, answer, self._asker.reads, partial(self.forget, key))

    def stat(self, key: str) -> Meta:
        """Return what is known of the file without reading it. Raises ``FileNotFoundError``."""
        _, answer = self._located(key)
        if not isinstance(answer, Remote):
            answer.close()
        return answer.meta

    def exists(self, key: str) -> bool:
        """Say whether somebody has the file. Raises ``BackendUnavailable`` if nobody has and one cannot tell."""
        located = run(self._asker.locate(parse_key(key), whole=lambda _: False))
        if located is None or isinstance(located, Hidden):
            return False
        if not isinstance(located[1], Remote):
            located[1].close()
        return True

    def list(self, prefix: str = "", *, recursive: bool = False) -> Iterator[Entry]:
        """Yield what lies below ``prefix`` in any backend, sorted by key; of one key the topmost backend's entry.

        Without ``recursive`` a folder is one entry whose key ends in ``/``. What a whiteout hides is left out. Raises
        ``BackendUnavailable`` as it goes.
        """
        if prefix and (reason := refusal(prefix.removesuffix("/"))) is not None:
            raise InvalidKey(f"not a usable prefix: {reason}", key=prefix, operation="list")
        return self._lister.merged(prefix, recursive)

    def save(
        self,
        key: str,
        data: Content,
        *,
        content_type: str | None = None,
        max_bytes: int | None = None,
        names: NamePolicy | None = None,
        filename: str | None = None,
    ) -> str:
        """Store a file in the upper and return its key, which is another than ``key`` if that is taken.

        ``data``: bytes, a binary file (read from where it stands) or an iterable of bytes; it is never held in memory
        whole. Text is a ``TypeError``, a file that was read to its end before a ``ValueError``.
        ``names``: what to do with a name that is taken, if not what the stack does; ``core/names.py`` has the policies.
        ``content_type``: kept if the name does not tell it. ``filename``: what clients that save it are to call it, if
        not as the key ends; kept where the upper can (``KeepsFilenames``). Raises ``NameTaken``, ``TooLarge`` if there
        are more than ``max_bytes``, ``NotWritable``, ``BackendUnavailable`` if the upper does not take it; then nothing
        is kept.
        """
        return self._writing("save").save(key, data, content_type, max_bytes, names, filename)

    def is_free(self, key: str, *, names: NamePolicy | None = None) -> bool:
        """Say whether ``save`` would store a file under this very name.

        Raises ``NotWritable``, and ``BackendUnavailable`` if one cannot tell: ``save`` then takes another.
        """
        return self._writing("save").is_free(key, names)

    def names_by_chance(self) -> bool:
        """Say whether ``save`` gives new files names by chance, since the upper cannot keep two of one name apart.

        Raises ``NotWritable``, and ``BackendUnavailable`` if that cannot be told now.
        """
        return self._writing("save").names_by_chance()

    def delete(self, key: str) -> bool:
        """Remove the upper's file, and hide what the lowers have; False if nothing was visible.

        Raises ``NotWritable``, and ``BackendUnavailable`` if the upper fails. If a lower cannot tell it is hidden too.
        """
        return self._writing("delete").delete(key)

    def restore(self, key: str) -> bool:
        """Show again what the lowers have of a deleted key; False if nothing hid it."""
        return self._writing("restore").restore(key)

    def reset(self, key: str) -> bool:
        """Have ``key`` be what the lowers have: restore it, and remove the upper's file. True if there was one."""
        return self._writing("reset").reset(key)

    def pull(self, key: str, *, keep: bool = False) -> bool:
        """Fetch a copy of what a lower has of ``key``, and wait for it; False if there was nothing to do.

        ``keep``: have it be a file of the upper, for good. Raises ``FileNotFoundError`` if nobody has it, or it was
        deleted here; ``BackendUnavailable`` if it cannot be fetched or there is no room for it; ``NotWritable`` if the
        first backend is no directory; ``NameTaken`` if it is to be kept and a folder has the name.
        """
        if self._puller is None and not holds_copies(self.upper):
            raise no_copies(self.upper.name, type(self.upper).__name__)
        backend, answer = self._located(key)
        if self._puller is None:  # a directory without lowers
            if not isinstance(answer, Remote):
                answer.close()
            return False
        return self._puller.pull(backend, parse_key(key), answer, partial(self.forget, key), keep=keep)

    def publish_below(self, key: str, draft: Draft) -> bool | None:
        """Have a draft of the upper, made of a lower's file, be its file ``key``; False if that has one, or is hidden.

        No upload and no delete of that moment is lost. None, and nothing is done, if the upper has no locks for that.
        """
        try:
            return None if self._puller is None else self._puller.publish(parse_key(key), draft)
        except NoLocks:
            return None
        except NotKept as error:
            raise BackendUnavailable(str(error), backend=self.upper.name, key=key, operation="pull") from error

    def hidden(self, prefix: str = "") -> Iterator[str]:
        """Yield the deleted keys that start with ``prefix``, sorted: those of which a lower may have a file."""
        return self._lister.hidden(prefix)

    def shadowed(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the upper's files below ``prefix`` that cover one of a lower, sorted by key.

        Raises ``BackendUnavailable`` if nobody is known to have one and a lower cannot tell.
        """
        return self._lister.shadowed(prefix)

    def _located(self, key: str) -> tuple[Backend, Handle | Remote]:
        located = run(self._asker.locate(parse_key(key)))
        if located is None or isinstance(located, Hidden):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), key)
        return located

    def _writing(self, operation: str) -> Writer:
        if self._writer is None:
            raise not_writable(self.upper.name, type(self.upper).__name__, operation)
        return self._writer

    def url(self, key: str) -> str:
        """Return a URL for clients: signed where a lower has the file, else ``base_url`` and the quoted key.

        Raises ``NoURL`` without ``base_url``. A missing file has a URL too, as in every storage API.
        """
        found = self.find(key)
        if isinstance(found, Redirect):
            return found.url
        if isinstance(found, Held):
            found.handle.close()
        if self.base_url is None:
            raise NoURL("no backend signs it and the stack has no base_url", key=key, operation="url")
        from urllib.parse import quote

        return self.base_url + quote(key, safe="/~")

    def forget(self, key: str) -> None:
        """Drop what is remembered of ``key``, so that the next look-up asks."""
        self._asker.origins.forget(parse_key(key))

    def close(self) -> None:
        """Close connections, descriptors and threads. The stack may be used again and then opens what it needs."""
        if self._puller is not None:
            self._puller.close()
        self._asker.close()
        for backend in self.backends:
            if isinstance(backend, Closes):
                backend.close()
