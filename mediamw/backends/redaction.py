"""Keeps signatures, tokens and secrets out of what botocore and urllib3 log of the requests that they send."""

from __future__ import annotations

import logging
import re

# In URLs, and as botocore writes headers, what it signs, and the answers of STS and metadata services. S3's answer to a
# signature that does not match repeats all of that, byte by byte too.
_SECRETS = re.compile(
    r"""((?:signature(?:provided)?|token|secret_?(?:access_?)?key)['"]?\s*[=:>]\s*(?:b?['"])?)[^&\s'",<>}]+"""
    r"|(<(?:CanonicalRequest|StringToSign)Bytes>)[^<]*",
    re.IGNORECASE,
)
_FORMATTER = logging.Formatter()


def keep_secrets_out_of_logs(*loggers: str) -> None:
    """Have signatures, tokens and secrets replaced in what these loggers say; those below them need their own."""
    for name in loggers:
        logging.getLogger(name).addFilter(_redact)  # adding it twice is adding it once


def _redact(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    clean = without_secrets(text)
    if clean != text:
        record.msg, record.args = clean, ()
    if record.exc_info:  # botocore's errors hold the answers that they could not parse
        text = _FORMATTER.formatException(record.exc_info)
        clean = without_secrets(text)
        if clean != text:
            record.exc_info, record.exc_text = None, clean
    return True


def without_secrets(text: str) -> str:
    """Return ``text`` with REDACTED in the place of what grants access."""
    return _SECRETS.sub(r"\1\2REDACTED", text)
