"""What a backend is: a name and one method, ``open``. More ability is a capability, asked for by ``isinstance``.

The three answers of ``open`` are never mixed: a ``Handle`` or ``Remote`` (it is here), ``None`` (it is not), or
``BackendUnavailable`` (one cannot tell). ``NotServable`` says that the name is taken by what may not be read.
``mediamw.testing.conformance`` holds every backend to what stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, runtime_checkable

from ..core.keys import Key
from ..core.model import Handle, Meta
from .folder import Folder
from .pages import Page

CHUNK_BYTES: Final = 1024 * 1024
"""The most that a piece of a file may have, and the pieces in which uploads are copied."""

READ_BYTES: Final = 256 * 1024
"""How much of a large body is read at once where that may wait, and takes a thread.

Less and the hops to a thread cost more than what they bring; more is memory that each slow client holds several times.
"""

INLINE_BYTES: Final = 64 * 1024
"""Bodies up to this size are read whole before the answer starts."""

Content = bytes | BinaryIO | Iterable[bytes]


class Remote(NamedTuple):
    """The backend has the key, elsewhere: what is known of it, and no open file.

    ``is_partial``: a listing told it, and so no more than size and ETag are known. ``open`` never answers so.
    """

    meta: Meta
    is_partial: bool = False


class Later:
    """The answer of ``open_now`` that needs a disk or a network. There is one, ``LATER``."""

    def __repr__(self) -> str:
        return "LATER"


LATER: Final = Later()


class SignedURL(NamedTuple):
    """A URL that a client can fetch until ``expires`` (seconds since 1970; None if for good)."""

    url: str
    expires: float | None

    def __repr__(self) -> str:
        return f"SignedURL({self.url.partition('?')[0]!r}, expires={self.expires})"


class Entry(NamedTuple):
    """A file of a listing, or a folder: its key ends in ``/`` and it has no ``meta``."""

    key: str
    meta: Meta | None
    backend: str

    @property
    def is_folder(self) -> bool:
        """True for a folder."""
        return self.meta is None


class Backend(Protocol):
    """One place where files live."""

    @property
    def name(self) -> str:
        """The name in headers, logs and listings; one backend of a stack has it."""

    def open(self, key: Key) -> Handle | Remote | None:
        """Open ``key``; None if it is not here. Raises ``BackendUnavailable`` or ``NotServable``."""


@runtime_checkable
class OpensNow(Protocol):
    """Can answer most keys without waiting, so that an event loop may ask it directly."""

    def open_now(self, key: Key) -> Handle | Remote | Later | None:
        """Like ``open``, but ``LATER`` where that would wait for a disk or a network."""


@runtime_checkable
class Signs(Protocol):
    """Can make a URL with which a client fetches a file from the origin itself."""

    def can_sign(self, now: float) -> bool:
        """True if ``sign`` has what it needs; if not, call ``prepare``. ``now`` in seconds since 1970."""

    def prepare(self) -> None:
        """Fetch what ``sign`` needs (credentials, the host). May wait. Raises ``BackendUnavailable``."""

    def sign(self, key: Key, method: str, now: float) -> SignedURL:
        """Make the URL for ``method`` (GET or HEAD). Never waits; asks nobody whether the key exists."""


@runtime_checkable
class ReadsRanges(Protocol):
    """Can read a part of a remote file."""

    def read_range(
        self, key: Key, start: int, stop: int, etag: str | None, *, size: int | None = None
    ) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to ``stop`` of the version that has ``etag``, of a file of ``size`` bytes.

        ``size`` is what ``open`` said (None: not known). Where there is no ETag it is all that tells versions apart.
        Raises ``ContentChanged`` if it is another version by now or the bytes end early, ``BackendUnavailable``.
        """


@runtime_checkable
class ReadsWhole(Protocol):
    """Can read a remote file whose length is not known before."""

    def read_whole(self, key: Key, etag: str | None) -> Iterator[bytes]:
        """Yield the whole version ``etag``. Raises ``ContentChanged``, or ``BackendUnavailable`` if it breaks off."""


@runtime_checkable
class Lists(Protocol):
    """Can list its keys."""

    def list(self, prefix: str, *, recursive: bool) -> Iterator[Entry]:
        """Yield the files whose key starts with ``prefix``, sorted by key (code points, as UTF-8 bytes sort).

        Without ``recursive`` what lies deeper than the next ``/`` is one folder entry. Raises ``BackendUnavailable``.
        """


@runtime_checkable
class ListsPages(Protocol):
    """Can tell of many files of a folder by one request, far cheaper than by asking for each."""

    def list_page(self, folder: str, after: str | None = None) -> Page | None:
        """Return what lies directly in ``folder`` ("", or with ``/`` at its end), from its start or behind ``after``.

        As much as one request gives. None if that cannot be relied on there: ask for each key, as after any error.
        Raises ``BackendUnavailable``.
        """


class Draft(Protocol):
    """The bytes of a file that has no name yet; nobody sees it. ``close`` it, published or not."""

    def publish(self, key: Key, *, replace: bool = False) -> None:
        """Give it a name that nobody has yet, or whoever has it if ``replace``. Raises ``NameTaken``: try another."""

    def close(self) -> None:
        """Forget the bytes, unless they have a name by now."""


@runtime_checkable
class Puts(Protocol):
    """Takes new files, those of ``.mediamw/`` too: the state of the stack, which is listed only below there."""

    def draft(self, data: Content, *, content_type: str | None = None) -> Draft:
        """Take all of ``data``. ``content_type``: what the file is, if its name does not tell.

        Raises ``BackendUnavailable``; what reading ``data`` raises goes through, and nothing is kept.
        """

    def put(self, key: Key, data: Content, *, replace: bool = False, content_type: str | None = None) -> None:
        """Store ``data`` under a name that nobody has yet: whole, or not at all. Raises ``NameTaken``.

        With ``replace`` a file of that name is replaced, in one step.
        """


@runtime_checkable
class KeepsFilenames(Protocol):
    """Takes new files, and keeps what each was called where it came from: ``Meta.filename``."""

    def draft_called(self, data: Content, filename: str, *, content_type: str | None = None) -> Draft:
        """Like ``draft``, of a file that is called ``filename`` whatever its key is."""


@runtime_checkable
class TellsExclusion(Protocol):
    """Takes new files, and may not be able to keep two that come at once under one name apart."""

    def is_exclusive(self) -> bool:
        """Say whether ``NameTaken`` can be relied on, whoever takes the name at the same moment. May ask, once.

        False: the later of two takes the place of the other, and nobody is told. Raises ``BackendUnavailable``.
        """


@runtime_checkable
class FoldsNames(Protocol):
    """Takes new files, and may lie on a disk to which two keys are one name: ``A.jpg`` and ``a.jpg``."""

    def is_taken(self, key: Key) -> bool:
        """Say whether a file has ``key``'s name in another spelling: to ``open`` it is missing, and ``put`` fails.

        Raises ``BackendUnavailable``.
        """


@runtime_checkable
class Deletes(Protocol):
    """Removes files."""

    def delete(self, key: Key) -> bool:
        """Remove a file; False if there is none. Raises ``BackendUnavailable``."""


@runtime_checkable
class HoldsCopies(Protocol):
    """Has a folder on a disk in which copies of other backends' files grow, and locks that end with their process."""

    def copies(self) -> Folder:
        """Open that folder, ``.mediamw/pulled``, and make it if need be. Raises ``BackendUnavailable``."""

    def has_copies(self) -> bool:
        """Say whether that folder has been made."""

    def publish_copy(
        self, name: str, key: Key, *, content_type: str | None = None, filename: str | None = None
    ) -> None:
        """Have the file ``name`` of that folder be ``key``, which nobody has yet; it is not in the folder then.

        ``filename``: what the file is called, given to those alone that ``KeepsFilenames``. Raises as ``Draft.publish``
        does, and leaves the file where it was.
        """


@runtime_checkable
class Closes(Protocol):
    """Holds something between calls: connections, descriptors."""

    def close(self) -> None:
        """Give it back. The backend may be used again and then opens what it needs."""


def draft_of(upper: Puts, data: Content, content_type: str | None, filename: str | None) -> Draft:
    """Return a draft of ``upper``, which is told what the file is called if it keeps that."""
    if filename is not None and isinstance(upper, KeepsFilenames):
        return upper.draft_called(data, filename, content_type=content_type)
    return upper.draft(data, content_type=content_type)


def pieces(data: Any) -> Iterator[bytes]:
    """Return the bytes of ``data``, a ``Content``, piece by piece. A file is read from where it stands.

    Raises ``TypeError`` for what has no bytes, at once or, as the pieces come, at the first that is none.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return iter((bytes(data),))
    if isinstance(data, str):
        raise _no_bytes(data, "encode it first, as by text.encode()")
    read = getattr(data, "read", None)
    if read is not None:
        return _checked(
            iter(lambda: read(CHUNK_BYTES), b""), 'open the file in binary mode, "rb"', "a file that reads "
        )
    try:
        return _checked(iter(data), "encode each piece first", "an iterable with ")
    except TypeError as error:
        raise _no_bytes(data, "open the file first, if this names one") from error


def _no_bytes(found: object, hint: str, where: str = "") -> TypeError:
    """Say that text, or what is no data at all, was given in the place of bytes, and the way out."""
    kind = type(found).__name__
    return TypeError(f"expected bytes, a binary file or an iterable of bytes, got {where}{kind}: {hint}")


def _checked(found: Iterator[Any], hint: str, where: str) -> Iterator[bytes]:
    for piece in found:
        if not isinstance(piece, bytes):  # else the usual case costs as little as it can
            try:
                memoryview(piece)
            except TypeError as error:
                raise _no_bytes(piece, hint, where) from error
        yield piece


def keys_below(keys: Iterable[str], prefix: str, *, recursive: bool) -> Iterator[str]:
    """Reduce sorted ``keys`` to a listing of ``prefix``: files as they are, deeper ones as one folder with a ``/``."""
    last = ""
    for key in keys:
        if not key.startswith(prefix):
            continue
        slash = -1 if recursive else key.find("/", len(prefix))
        name = key if slash < 0 else key[: slash + 1]
        if name != last:
            yield name
            last = name
