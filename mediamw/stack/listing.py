"""Listing a stack: all backends merged, a key once, of the topmost that has it; what a whiteout hides left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..backends.base import Backend, Entry, Lists
from ..backends.rules import Rules
from ..core.errors import BackendUnavailable
from ..core.keys import Key
from .asking import Asker
from .steps import run
from .whiteouts import Whiteouts, as_upper, has, marker_of


class Lister:
    """Lists the backends of one stack; ``asker`` knows which of them are well, and their rules."""

    def __init__(self, backends: Sequence[Backend], asker: Asker) -> None:
        self._backends = backends
        self._asker = asker
        upper = as_upper(backends[0])
        self._upper = upper
        self._whiteouts = Whiteouts(upper) if upper is not None and len(backends) > 1 else None

    def merged(self, prefix: str, recursive: bool) -> Iterator[Entry]:
        """See ``MediaStack.list``."""
        upper = self._entries(self._backends[0], prefix, recursive)
        listings = [_numbered(upper, 0)]
        # After the upper has been asked: an upload clears its marker when its file is there.
        hides = _Hides(self._whiteouts) if self._whiteouts is not None else None
        for order, backend in enumerate(self._backends[1:], 1):
            entries = self._entries(backend, prefix, recursive)
            listings.append(_numbered(entries if hides is None else self._visible(backend, entries, hides), order))
        last = None
        import heapq

        for key, _, entry in heapq.merge(*listings):
            if key != last:
                last = key
                yield entry

    def hidden(self, prefix: str) -> Iterator[str]:
        """See ``MediaStack.hidden``."""
        upper, whiteouts = self._upper, self._whiteouts
        if upper is not None and whiteouts is not None:
            yield from sorted(key for key in whiteouts.hidden() if key.startswith(prefix) and not has(upper, key))

    def shadowed(self, prefix: str) -> Iterator[Entry]:
        """See ``MediaStack.shadowed``."""
        if self._upper is not None:
            for entry in self._upper.list(prefix, recursive=True):
                if run(self._asker.has_below(Key(entry.key))):
                    yield entry

    def _entries(self, backend: Backend, prefix: str, recursive: bool) -> Iterator[Entry]:
        if not isinstance(backend, Lists):
            kind = type(backend).__name__
            reason = f"{kind} cannot list what it has; what is there can be asked key by key"
            raise BackendUnavailable(reason, backend=backend.name, operation="list")
        rules = self._asker.rules[backend.name]
        entries = self._asker.listing(backend, backend.name, prefix, recursive=recursive)
        return _let(entries, rules)

    def _visible(self, backend: Backend, entries: Iterator[Entry], hides: _Hides) -> Iterator[Entry]:
        for entry in entries:
            if entry.is_folder:
                # A folder is hidden if all that lies in it is; only one of which something is hidden need be looked at.
                if not hides.below(entry.key) or any(
                    not hides.one(below.key) for below in self._entries(backend, entry.key, True)
                ):
                    yield entry
            elif not hides.one(entry.key):
                yield entry


class _Hides:
    """What the whiteouts hide, read when a lower is first asked."""

    def __init__(self, whiteouts: Whiteouts) -> None:
        self._whiteouts = whiteouts
        self._markers: frozenset[str] | None = None
        self._keys: list[Key] | None = None

    def one(self, key: str) -> bool:
        if self._markers is None:
            self._markers = self._whiteouts.markers()
        return bool(self._markers) and marker_of(Key(key)) in self._markers

    def below(self, folder: str) -> bool:
        if self._keys is None:
            self._keys = list(self._whiteouts.hidden())
        return any(key.startswith(folder) for key in self._keys)


def _let(entries: Iterator[Entry], rules: Rules) -> Iterator[Entry]:
    for entry in entries:
        if rules.shows(entry.key) if entry.is_folder else rules.lets(Key(entry.key)):
            yield entry


def _numbered(entries: Iterator[Entry], order: int) -> Iterator[tuple[str, int, Entry]]:
    return ((entry.key, order, entry) for entry in entries)
