"""Say why a file is answered as it is: each backend that was asked, what it said, how long that took, and the answer.

  mediamw explain --backend ./media --backend s3://acme-media?profile=acme-ro homes/42/kitchen.jpg

KEY is the name behind the prefix, not quoted: not /media/a%20b.jpg but "a b.jpg". Of URLs the signature is left out.
Exit status: 0 a backend has the file, 4 nobody has it or it may not be served, 5 one cannot tell, 2 KEY is no key or a
setting is wrong.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from typing import Final

from ..service import MediaService
from ..specs import build_stack
from ..stack.trace import Said
from .options import add_backends, add_prefix

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


def run(args: argparse.Namespace) -> int:
    """Print the explanation of one key and return the exit status."""
    logging.getLogger("mediamw").addHandler(logging.NullHandler())  # what it would warn of is in the explanation
    service = MediaService(build_stack(args.backend), prefix=args.prefix)
    try:
        explanation = service.explain(args.key)
    finally:
        service.stack.close()
    print(json.dumps(explanation.as_dict(), indent=2) if args.json else explanation)
    if explanation.said == "refused" and args.key.startswith(args.prefix):
        print(f"mediamw: the key is what stands behind {args.prefix}: {args.key[len(args.prefix) :]}", file=sys.stderr)
    return _STATUS[explanation.said]
