"""Say why a file is answered as it is: each backend that was asked, what it said, how long that took, and the answer.

  mediamw explain --backend ./media --backend s3://acme-media?profile=acme-ro homes/42/kitchen.jpg

Without --backend the settings count, as mediamw config shows them.
KEY is the name behind the prefix, not quoted: not /media/a%20b.jpg but "a b.jpg". Of URLs the signature is left out.
Exit status: 0 a backend has the file, 4 nobody has it or it may not be served, 5 one cannot tell, 2 KEY is no key or a
setting is wrong.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from ..backends.local import LocalBackend
from ..service import MediaService
from ..stack.stack import MediaStack
from ..stack.trace import Said
from .options import add_backends, add_prefix, given_by, told_by

_STATUS: Final[dict[Said, int]] = {
    "held": 0,
    "redirect": 0,
    "refused": 2,
    "missing": 4,
    "hidden": 4,
    "not servable": 4,
    "forbidden": 4,
    "unavailable": 5,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_backends(parser)
    add_prefix(parser)
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("key", metavar="KEY", help="the name of the file behind the prefix")


def _hints(key: str, prefix: str, stack: MediaStack) -> Iterator[str]:
    """Yield what may be meant otherwise, or not set up yet, if nobody has ``key``."""
    path = unquote(key.partition("://")[2].partition("/")[2].partition("?")[0]) if "://" in key else key
    behind = f"/{path.lstrip('/')}".partition(prefix)
    if not behind[0] and behind[1]:
        yield f"the key is what stands behind {prefix}: {behind[2]}"
    elif unquote(key) != key:
        yield f"the key is not quoted: {unquote(key)}"
    for backend in stack.backends:
        if isinstance(backend, LocalBackend) and not os.path.lexists(backend.root):
            yield f"backend {backend.name!r}: there is no directory {backend.root} yet"


def run(args: argparse.Namespace) -> int:
    """Print the explanation of one key and return the exit status."""
    logging.getLogger("mediamw").addHandler(logging.NullHandler())  # what it would warn of is in the explanation
    stack, options = told_by(given_by(args), args.of_project)
    # authorize is not asked: nobody is there to be judged.
    rest: dict[str, Any] = {name: value for name, value in options.items() if name not in ("enabled", "authorize")}
    service = MediaService(stack, **rest)
    try:
        explanation = service.explain(args.key)
    finally:
        service.stack.close()
    print(json.dumps(explanation.as_dict(), indent=2) if args.json else explanation)
    if _STATUS[explanation.said] not in (0, 5):
        for line in _hints(args.key, service.prefix, service.stack):
            print(f"mediamw: {line}", file=sys.stderr)
    return _STATUS[explanation.said]
