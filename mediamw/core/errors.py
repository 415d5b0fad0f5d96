"""The errors of mediamw: one root, few leaves.

Each names the backend, the key and the operation it speaks of, so that one line in a log is enough to act on. "Not
found" is not among them: inside it is a value (``Missing``), and for callers of the storage API it is Python's own
``FileNotFoundError``.
"""

from __future__ import annotations

import copyreg
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class MediaError(Exception):
    """The root of all errors that mediamw raises on purpose.

    ``reason`` says what is wrong and the way out; ``backend``, ``key`` and ``operation`` say where, empty if unknown.
    """

    def __init__(self, reason: str, *, backend: str = "", key: str = "", operation: str = "") -> None:
        super().__init__(reason, backend, key, operation)
        self.reason = reason
        self.backend = backend
        self.key = key
        self.operation = operation

    def __str__(self) -> str:
        where = " ".join(
            part
            for part in (
                f"backend {self.backend!r}" if self.backend else "",
                self.operation,
                repr(self.key) if self.key else "",
            )
            if part
        )
        return f"{where}: {self.reason}" if where else self.reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Have it go from process to process: pickle would call ``__init__`` without the names of what it takes."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]  # pickle's own


class ConfigError(MediaError):
    """A setting is wrong. Raised at construction, before the first request; the text names the setting and the fix."""

    parts: tuple[ConfigError, ...] = ()
    """What it is made of, if several settings of one backend are wrong."""

    @staticmethod
    def of(parts: Sequence[ConfigError]) -> ConfigError:
        """Return one error for ``parts``, at least one: itself if it is the only one."""
        if len(parts) == 1:
            return parts[0]
        whole = ConfigError("; ".join(part.reason for part in parts), backend=parts[0].backend)
        whole.parts = tuple(parts)
        return whole


class Fault(NamedTuple):
    """What is wrong with one setting. ``docs/configuration.md`` has the ids, which stay what they are.

    ``source`` says where the value came from, such as ``environment variable MEDIAMW_PREFIX``; ``reason`` what is wrong
    and the way out. No secret is ever repeated.
    """

    id: str
    setting: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.id} {self.setting} ({self.source}): {self.reason}".replace("\n", " ")


class ConfigErrors(ConfigError):
    """All that is wrong with the settings, at once; its text has one line for each of ``faults``."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class InvalidKey(MediaError, ValueError):
    """The name can never be a key (``core/keys.py`` has the rules); ``reason`` says which rule it breaks."""


class NotServable(MediaError):
    """Something has this name in a backend, but it is not a file that may be read.

    A FIFO, a socket, a device, a link that leads out of the root, a file without read permission. Clients see 404;
    no other backend and not the wrapped app is asked, since they might serve what was refused here.
    """


class BackendUnavailable(MediaError):
    """The backend cannot tell whether it has the key, or cannot give its bytes. Never cached, never a 404.

    ``retry_after`` is the number of seconds after which asking again makes sense. ``answered``: False if this was found
    out without the origin, such as that the request cannot be sent at all: it says nothing of whether the origin is up.
    """

    _usually_answered = True

    def __init__(
        self,
        reason: str,
        *,
        backend: str = "",
        key: str = "",
        operation: str = "",
        retry_after: int = 10,
        answered: bool | None = None,
    ) -> None:
        super().__init__(reason, backend=backend, key=key, operation=operation)
        self.retry_after = retry_after
        self.answered = self._usually_answered if answered is None else answered


class Unreachable(BackendUnavailable):
    """The backend did not answer, or not in time, or said that it is overloaded (5xx, SlowDown).

    The rest of ``BackendUnavailable`` are answers that say nothing of the key, such as a refused credential. Only this
    one lets the breaker open: the backend is left alone for a while. ``answered``: True if it did say so itself. One
    file may be broken, so that such answers of the same key in a row count once.
    """

    _usually_answered = False


class RangeIgnored(BackendUnavailable):
    """The origin sends whole files only, and this one is too long to skip to where the range starts."""


class ContentChanged(BackendUnavailable):
    """The file changed while it was read: it ended early, or no longer has the ETag it was opened with."""


class NameTaken(MediaError, FileExistsError):
    """A new file was to be made under a name that exists, or that a folder has (``a`` beside ``a/b``).

    ``is_final``: no other name in that folder helps, since the folder is a file.
    """

    def __init__(
        self, reason: str, *, backend: str = "", key: str = "", operation: str = "", is_final: bool = False
    ) -> None:
        super().__init__(reason, backend=backend, key=key, operation=operation)
        self.is_final = is_final

    # OSError's __str__ would win otherwise and show a bare tuple.
    __str__ = MediaError.__str__


class TooLarge(MediaError):
    """An upload has more bytes than it may; nothing of it is kept."""


class NotWritable(MediaError):
    """A file was to be stored or deleted, and the first backend takes no writes. The others never do."""


class NoURL(MediaError):
    """Nobody can make a URL for this key: no backend signs it and the stack has no ``base_url``."""


def unknown_option(name: str, known: Sequence[str], kind: str = "option", start: str = "") -> str:
    """Say that there is no option ``name``, and what may have been meant, else what there is.

    ``start`` is what all names begin with: it makes none more alike. Capitals make none different. A name that does
    not look like one is not repeated, unless it has the start: it may be a secret that a slip has brought there.
    """
    import difflib  # for mistakes only

    ends = {other.removeprefix(start).casefold(): other for other in known}
    close = difflib.get_close_matches(name.removeprefix(start).casefold(), ends, 1, 0.5)
    meant = f"did you mean {ends[close[0]]}?" if close else f"there are {', '.join(known)}"
    said = f" {name!r}" if close or start or looks_like_a_name(name) else ""
    return f"unknown {kind}{said}; {meant}"


def looks_like_a_name(text: str) -> bool:
    """True if ``text`` may be repeated where the name of a setting should stand: words, and no digits amid them."""
    return re.fullmatch(r"[A-Za-z]{0,24}([_. -][A-Za-z]{1,24}){0,6}[0-9]{0,4}", text) is not None
