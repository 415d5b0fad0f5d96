"""The secrets of the tests in every form in which they could be shown, and a log that hears everything."""

from __future__ import annotations

import base64
import json
import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest
from botocore.auth import S3SigV4Auth

from mediamw.backends.sigv4 import Signer

ID, SECRET, TOKEN = "AKTEMPORARY", "wJalr/XUtn+FEMI=K7", "FwoG/Zx+Token==&of%20a;session"
PASSWORD, HEADER = "pa55 w:rd/@%+", "Bearer hush-hush/0+1"
USER, PROXY_USER, PROXY_PASSWORD = "editor", "clerk", "pr0xy/p@ss:word+"
SECRETS = (SECRET, TOKEN, PASSWORD, HEADER, PROXY_PASSWORD)
PAIRS = (f"{USER}:{PASSWORD}", f"{PROXY_USER}:{PROXY_PASSWORD}")
SIGNATURE = re.compile(r"Signature=([0-9a-f]{64})\b")


def forms() -> set[str]:
    """Each secret as it is and as it is written elsewhere, in lower case."""
    found = set()
    for secret in (*SECRETS, *PAIRS):
        raw = secret.encode()
        coded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), raw.hex()}
        found |= {
            secret,
            quote(secret),
            quote(secret, safe=""),
            quote_plus(secret),
            repr(secret)[1:-1],
            unquote(secret),
        }
        found |= {json.dumps(secret)[1:-1], *coded, *(text.rstrip("=") for text in coded)}
        found.add(raw.hex(" "))
    return {text.lower() for text in found}


FORMS = forms()


def shown(text: str, signatures: Iterable[str] = ()) -> list[str]:
    """The secrets that ``text`` shows."""
    low = text.lower()
    return [form for form in (*FORMS, *signatures) if form in low] + SIGNATURE.findall(text)


@dataclass
class Log(logging.Handler):
    """Keeps all that is logged, as any formatter could print it, and the signatures that were made meanwhile."""

    texts: list[str] = field(default_factory=list)
    signatures: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(logging.DEBUG)

    __hash__ = logging.Handler.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [record.getMessage(), str(record.msg), repr(record.args), record.exc_text or ""]
        self.texts += [repr(value) for name, value in vars(record).items() if name not in ("msg", "args", "exc_info")]
        if record.exc_info:
            self.texts.append("".join(traceback.format_exception(*record.exc_info)))


@contextmanager
def heard() -> Iterator[Log]:
    """Everything at DEBUG: the root, and whoever has a level of its own."""
    log, root = Log(), logging.getLogger()
    named = [each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    levels = [(each, each.level) for each in (root, *named)]
    presign, sign = Signer.presign, S3SigV4Auth.signature

    def presigning(*args: Any, **options: Any) -> str:
        url = presign(*args, **options)
        log.signatures.update(SIGNATURE.findall(url))
        return url

    def signing(*args: Any) -> str:  # botocore's, for listings
        log.signatures.add(signature := str(sign(*args)))
        return signature

    patch = pytest.MonkeyPatch()
    patch.setattr(Signer, "presign", presigning)
    patch.setattr(S3SigV4Auth, "signature", signing)
    root.addHandler(log)
    for each, _ in levels:
        each.setLevel(logging.DEBUG if each is root else logging.NOTSET)
    try:
        yield log
    finally:
        patch.undo()
        root.removeHandler(log)
        for each, level in levels:
            each.setLevel(level)
