"""A row of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Pairs = tuple[tuple[str, str], ...]
# A header's exact value; None: absent; a predicate of its value.
Want = str | None | Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One request and its answer.

    ``headers`` may hold ``{etag}`` and the other names of ``check.Facts``. ``parts`` are the slices of a 206.
    ``expect`` is what a clause demands, ``ours`` what this project chose; both go beyond ``check.faults``, which looks
    at every answer.
    """

    id: str
    clause: str
    shows: str
    method: str = "GET"
    path: str = "/media/photo.jpg"
    """As on the wire, query and percent signs included."""
    file: str | None = "photo.jpg"
    """The file of ``files.FILES`` that answers; None if no file does."""
    headers: Pairs = ()
    status: int = 200
    parts: tuple[tuple[int, int], ...] | None = None
    expect: Mapping[str, Want] = field(default_factory=dict)
    ours: Mapping[str, Want] = field(default_factory=dict)
    body: bytes | None = None
    site: str = "plain"
    app: bool = False
    """The wrapped app answers."""
    disk_only: bool = False
    """Needs what a dict of bytes does not have: folders, links, FIFOs."""
    frozen_clock: bool = False
    """True only at ``files.NOW``, so not for servers."""
    peers: bool = True
    """Asks nothing but what a plain file server has to do as well."""
    peer_status: tuple[int, ...] = ()
    """What the RFC allows a peer to answer instead."""


def by_app(row_id: str, clause: str, shows: str, path: str, method: str = "GET", **more: object) -> Row:
    """Make a row whose answer is the wrapped app's."""
    body = b"" if method == "HEAD" else f"app: {method}\n".encode()
    return Row(
        id=row_id, clause=clause, shows=shows, path=path, method=method, file=None, body=body, app=True,
        **{"peers": False, **more},
    )  # fmt: skip


def refused(row_id: str, clause: str, shows: str, path: str, **more: object) -> Row:
    """Make a row that is answered 404 by the middleware, whatever app is wrapped."""
    return Row(
        id=row_id, clause=clause, shows=shows, path=path, status=404, file=None,
        **{"body": b"404 Not Found\n", **more},
    )  # fmt: skip
