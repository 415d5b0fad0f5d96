"""A reply as one of Django's responses: its status, reason and headers are the plan's, and nothing is added."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.http.response import ResponseHeaders

from ...asgi import Pieces
from ...core.plan import DECIDED_HERE
from ...reply import Reply
from ...wsgi_answers import SEND_BYTES, Body, Tail, sendable


class _Decided:
    """Says to whoever would add what the plan decides that it is there, also where it is by intent not there.

    Else GZipMiddleware compresses a part as if it were the whole, and CommonMiddleware gives a 304 a length of 0.
    """

    def has_header(self, header: str) -> bool:
        """Say whether a header is there, or not to be added."""
        is_there: bool = header.lower() in DECIDED_HERE or super().has_header(header)  # type: ignore[misc]  # no types
        return is_there


class _Whole(_Decided, HttpResponse):  # type: ignore[misc]  # Django has no types
    pass


class _Streamed(_Decided, StreamingHttpResponse):  # type: ignore[misc]  # no types
    pass


class _Wrapped(_Decided, FileResponse):  # type: ignore[misc]  # no types
    """A file of the disk, for the server's file wrapper."""

    block_size = SEND_BYTES

    def __init__(self, tail: Tail, **more: Any) -> None:
        self._tail = tail
        super().__init__(tail, **more)

    def set_headers(self, filelike: object) -> None:
        """Add none: they are the plan's."""

    def close(self) -> None:
        """Close the file; raise if it has become shorter. Django's own loop over what is to be closed hides that."""
        try:
            Tail.close(self._tail)  # on the class: Django puts this very method in its place
        finally:
            super().close()


def response_of(reply: Reply, request: Any) -> Any:
    """Return the response to ``request``. A large file is closed with it."""
    status, _, reason = reply.head.status_line.partition(" ")
    about = {"status": int(status), "reason": reason}
    if reply.data is not None:
        response = _Whole(reply.data, **about)
    elif hasattr(request, "scope"):
        response = _Streamed(Pieces(reply), **about)
    elif (tail := sendable(reply)) is not None:
        response = _Wrapped(tail, **about)
    else:
        response = _Streamed(Body(reply), **about)
    response.headers = ResponseHeaders(reply.plan.headers)
    # Django would log each 503 as an error, and mail it to ADMINS. The service has told the cause, once a minute.
    response._has_been_logged = True
    return response
