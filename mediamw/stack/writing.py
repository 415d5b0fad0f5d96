"""Writing: what the upper gets, what whiteouts hide. Lowers are asked, never told.

1. A new name counts as taken if a backend has it and no whiteout hides it. A lower that cannot tell costs the name a
   suffix, which is then not asked for again: an upload works offline.
2. ``save`` publishes the file, then clears the whiteout. ``delete`` sets the whiteout, then removes the file. Each then
   looks again and repairs what another did in between: after clearing, ``save`` sets the marker again if the upper lost
   the file; after removing, ``delete`` sets it again if it is gone. ``tests/test_interleavings.py`` walks all orders.
   Between the two ``delete`` lets whoever has not seen the whiteout finish making a copy a file of the upper.
3. Some servers cannot keep two uploads of one name apart (``TellsExclusion``). There every new file gets a name by
   chance, and a policy that keeps the name is refused.
4. A whiteout is set only if some lower has the key, or cannot tell.
5. What the upper raises goes through. Nothing is ever tried elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from ..backends.base import Content, Draft, FoldsNames, Remote, TellsExclusion, draft_of, pieces
from ..core.errors import BackendUnavailable, NameTaken, NotServable, NotWritable, TooLarge
from ..core.keys import Key, parse_key
from ..core.media_types import guess, type_of_origin
from ..core.names import ALPHABET, SUFFIX_LETTERS, NamePolicy, alternative
from .asking import Asker
from .checks import check_max_bytes, check_names
from .steps import run
from .whiteouts import Upper, Whiteouts, has

MAX_NAMES: Final = 100
"""How many names ``save`` tries."""


class Writer:
    """Writes into ``upper``; ``asker`` knows what the backends have, ``say`` logs a line about a subject.

    ``settle`` waits until no copy is just being made a file of the upper.
    """

    def __init__(
        self,
        upper: Upper,
        asker: Asker,
        names: NamePolicy,
        say: Callable[[str, str], None],
        settle: Callable[[], None] | None = None,
    ) -> None:
        self._upper = upper
        self._asker = asker
        self._whiteouts = Whiteouts(upper)
        self.names = check_names(names)
        self._say = say
        self._settle = settle

    def save(
        self,
        key: str,
        data: Content,
        content_type: str | None,
        max_bytes: int | None,
        names: NamePolicy | None,
        filename: str | None = None,
    ) -> Key:
        """See ``MediaStack.save``."""
        wanted, policy = parse_key(key), self.names if names is None else check_names(names)
        limit = None if max_bytes is None else check_max_bytes(max_bytes)
        name = self._first_name(self._another(wanted) if self._is_by_chance(policy, wanted) else wanted, policy)
        told = type_of_origin(content_type) if content_type or filename is None else guess(filename)[0]
        if told == guess(name)[0]:
            told = None
        draft = draft_of(self._upper, _whole(data) if limit is None else _limited(data, limit), told, filename)
        try:
            return self._publish(draft, wanted, name, policy)
        finally:
            draft.close()

    def is_free(self, key: str, names: NamePolicy | None) -> bool:
        """See ``MediaStack.is_free``."""
        wanted, policy = parse_key(key), self.names if names is None else check_names(names)
        if self._is_by_chance(policy, wanted):
            return False
        self._asker.origins.forget(wanted)
        taken = self._is_taken(wanted, policy)
        if isinstance(taken, BackendUnavailable):
            raise taken
        return not taken

    def names_by_chance(self) -> bool:
        """See ``MediaStack.names_by_chance``."""
        return isinstance(self._upper, TellsExclusion) and not self._upper.is_exclusive()

    def delete(self, key: str) -> bool:
        """See ``MediaStack.delete``."""
        checked = parse_key(key)
        self._asker.origins.forget(checked)
        is_hidden = self._whiteouts.is_set(checked)
        is_below = is_hidden or self._is_below(checked) is not False
        if is_below:
            self._whiteouts.set(checked)
            if self._settle is not None:
                self._settle()
        was_above = self._upper.delete(checked)
        if is_below and not self._whiteouts.is_set(checked):
            self._whiteouts.set(checked)
        self._asker.origins.forget(checked)
        return was_above or (is_below and not is_hidden)

    def restore(self, key: str) -> bool:
        """See ``MediaStack.restore``."""
        checked = parse_key(key)
        self._asker.origins.forget(checked)
        return self._whiteouts.clear(checked)

    def reset(self, key: str) -> bool:
        """See ``MediaStack.reset``."""
        self.restore(key)
        return self._upper.delete(parse_key(key))

    def _is_by_chance(self, policy: NamePolicy, wanted: Key) -> bool:
        """Say whether a new file only gets a name by chance. Raises ``NotWritable`` if it is to have its own."""
        if policy == "replace" or not self.names_by_chance():
            return False
        if policy != "suffix":
            raise _not_exclusive(self._upper.name, policy, wanted)
        return True

    def _first_name(self, wanted: Key, policy: NamePolicy) -> Key:
        """Return the name to begin with. Raises ``NameTaken`` before anything is read."""
        name = wanted
        for _ in range(MAX_NAMES):
            self._asker.origins.forget(name)
            taken = self._is_taken(name, policy)
            if taken is False:
                return name
            if isinstance(taken, BackendUnavailable):
                if policy == "error":
                    raise taken
                name = self._another(wanted)
                self._say(f"name {taken.backend}", f"{taken}: so the upload {wanted!r} is stored as {name!r}")
                return name
            if policy == "error":
                raise NameTaken("a backend has this name", key=wanted, operation="save")
            name = self._another(wanted)
        raise self._none_left(wanted)

    def _is_taken(self, name: Key, policy: NamePolicy) -> bool | BackendUnavailable:
        if policy == "replace":
            return False
        if has(self._upper, name) or (isinstance(self._upper, FoldsNames) and self._upper.is_taken(name)):
            return True
        if policy == "shadow" or self._whiteouts.is_set(name):
            return False
        return self._is_below(name)

    def _is_below(self, key: Key) -> bool | BackendUnavailable:
        """Say whether a lower has the key; an error if none is known to, and one cannot tell."""
        try:
            return run(self._asker.has_below(key))
        except BackendUnavailable as error:
            return error

    def _publish(self, draft: Draft, wanted: Key, name: Key, policy: NamePolicy) -> Key:
        for _ in range(MAX_NAMES):
            try:
                draft.publish(name, replace=policy == "replace")
            except NameTaken as error:
                if error.is_final or policy in ("error", "replace"):
                    raise
                name = self._first_name(self._another(wanted), policy)
                continue
            if self._whiteouts.clear(name) and not has(self._upper, name):
                self._whiteouts.set(name)
            self._asker.origins.forget(name)
            return name
        raise self._none_left(wanted)

    def _none_left(self, wanted: Key) -> NameTaken | BackendUnavailable:
        """Say why neither ``wanted`` nor any name made from it is to be had."""
        try:
            found = self._upper.open(wanted)
        except NotServable as error:  # such as a folder that may not be entered: each name in it seems to be taken
            return BackendUnavailable(error.reason, backend=self._upper.name, key=wanted, operation="save")
        if found is not None and not isinstance(found, Remote):
            found.close()
        return NameTaken(f"the name and {MAX_NAMES - 1} others made from it are taken", key=wanted, operation="save")

    def _another(self, key: Key) -> Key:
        import secrets

        return alternative(key, "".join(secrets.choice(ALPHABET) for _ in range(SUFFIX_LETTERS)))


def not_writable(name: str, kind: str, operation: str) -> NotWritable:
    """Say that the first backend takes no writes, and what to do."""
    return NotWritable(
        f"{kind} takes no writes: put a directory before it, [LocalBackend('media'), ...]",
        backend=name,
        operation=operation,
    )


def _not_exclusive(name: str, policy: NamePolicy, key: Key) -> NotWritable:
    return NotWritable(
        f"names={policy!r}: the server does not honour If-None-Match, so of two uploads of one name at once one would "
        "be lost: give names='suffix', or 'replace' if that is meant",
        backend=name,
        key=key,
        operation="save",
    )


def _whole(data: Content) -> Iterator[bytes]:
    """Yield the bytes of ``data``. A file that was read to its end before is refused: nothing of it would be stored."""
    is_empty = True
    for piece in pieces(data):
        is_empty = False
        yield piece
    if is_empty and (position := _position(data)):
        raise ValueError(
            f"save: nothing is left to read, for the file was read before and stands at {position}: seek(0) first"
        )


def _position(data: Content) -> int:
    """Return where a file stands; 0 if it is none, or cannot tell: a pipe."""
    tell = getattr(data, "tell", None)
    try:
        return int(tell()) if callable(tell) else 0
    except (OSError, TypeError, ValueError):  # TypeError: an asynchronous file
        return 0


def _limited(data: Content, max_bytes: int) -> Iterator[bytes]:
    left = max_bytes
    for piece in _whole(data):
        left -= len(memoryview(piece).cast("B"))
        if left < 0:
            raise TooLarge(f"the file has more than {max_bytes} bytes", operation="save")
        yield piece
