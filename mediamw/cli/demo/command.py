"""Look at a site on a production dump whose media lie in an embedded production, which it can read and not write.

  mediamw demo            prints the URL once the page answers, then the folder of the local files; Ctrl-C stops
  mediamw demo --check    looks at everything itself and says what it saw

Nothing of it stays behind: the local media directory is a temporary one.
"""

from __future__ import annotations

import argparse
import io
import sys
import time

from .stop_signals import stop_signals


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``mediamw demo`` takes."""
    parser.add_argument("--port", type=_port, default=8000, help="the port to listen on; 0 takes a free one")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on; the embedded production stays on 127.0.0.1, so a browser on another machine "
        "sees the local files only",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="start on a free port, fetch the page and all its media as a browser would, say what was seen, and "
        "exit 0 if all is well, else 1",
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo until Ctrl-C or SIGTERM, or check it. Returns the exit status; 2 means that it could not start."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # keys are of all scripts, terminals are not
    port = 0 if args.check else args.port
    started = time.monotonic()
    with stop_signals() as stop:
        try:
            # Imported here: without the `demo` extra there should be a sentence, and --help needs none of it.
            from .check import check
            from .production import CannotStart
            from .running import running
        except ModuleNotFoundError as error:
            print(f"mediamw demo: {error.name} is not installed: pip install 'mediamw[demo]'", file=sys.stderr)
            return 2
        try:
            with running(host=args.host, port=port) as demo:
                if args.check:
                    _say(f"ready after {time.monotonic() - started:.2f} s")
                    return 0 if check(demo, _say, stopped=stop.arrived) else 1
                _say(
                    f"mediamw demo: {demo.url}  "
                    f"(production: embedded S3 at {demo.s3.endpoint}, read-only key; Ctrl-C stops)"
                )
                _say(f"local files: {demo.folder}  (delete one and reload the page: production answers)")
                stop.wait()
                return 0
        except CannotStart as error:
            print(f"mediamw demo: {error}", file=sys.stderr)
            return 2


def _say(line: str) -> None:
    print(line, flush=True)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to 65535")
    return int(text)
