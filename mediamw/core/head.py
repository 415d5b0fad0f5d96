"""What is sent before a body, as servers want it."""

from __future__ import annotations

from .model import Plan
from .plan import REASONS


class Head:
    """Status and headers of a plan, as WSGI servers want them and as ASGI servers do. It may be sent many times."""

    __slots__ = ("_raw_headers", "plan", "status_line")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.status_line = f"{plan.status} {REASONS[plan.status]}"
        self._raw_headers: tuple[tuple[bytes, bytes], ...] | None = None

    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Return the headers as ASGI wants them."""
        if self._raw_headers is None:
            self._raw_headers = tuple(
                (name.lower().encode("ascii"), value.encode("latin-1")) for name, value in self.plan.headers
            )
        return self._raw_headers
