"""Over the whole suite: no signature, secret or token in any log record, and in no error of mediamw.

Installed by conftest.py for the session. What the tests call their secrets says so in its own text, so that one pattern
finds them all; a test that shows one fails the session at its end, with its name.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mediamw.core.errors import MediaError

SECRETS = re.compile(
    r"(?:X-Amz-)?Signature[=:]\s*(?:[0-9a-f]{64}|[A-Za-z0-9~_-]{100,})"  # SigV4, CloudFront
    r"|Security-Token=(?!REDACTED)[^&\s]{4}"
    r"|read-only-secret|temporary-secret|no-list-secret|session/token\+of|session%2Ftoken%2Bof|s3cr3t|the-secret-of-it"
    r"|BEGIN (?:RSA |EC )?PRIVATE KEY"
    r"|Authorization: ?\w",
    re.IGNORECASE,
)
# The loggers of whoever handles what is secret; the rest of DEBUG would only cost time. Ours stays at its level, since
# at DEBUG it traces each request: tests/test_explain.py and tests/faults/test_secrets.py look at that.
_LOGGERS = ("botocore", "boto3", "urllib3", "s3transfer")


class _Handler(logging.Handler):
    def __init__(self, seen: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self.seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        _look(self.seen, f"the log of {record.name}", logging.Formatter().format(record))


def _look(seen: list[str], where: str, text: str) -> None:
    found = SECRETS.search(text)
    if found:
        seen.append(f"{os.environ.get('PYTEST_CURRENT_TEST', '?')}: {found[0][:16]}... in {where}")


@contextmanager
def watched() -> Iterator[list[str]]:
    """Watch until the block ends; the list tells where a secret was shown."""
    seen: list[str] = []
    handler = _Handler(seen)
    original = MediaError.__init__

    def init(self: MediaError, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        _look(seen, type(self).__name__, f"{self!s} {self!r}")

    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    logging.getLogger("mediamw").addHandler(handler)
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.DEBUG)
    MediaError.__init__ = init
    try:
        yield seen
    finally:
        MediaError.__init__ = original
        logging.getLogger("mediamw").removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).setLevel(level)
