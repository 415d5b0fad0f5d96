"""Serve the media of one or more backends: by itself, or around a WSGI or ASGI app.

  mediamw serve --backend ./media --backend s3://acme-media?profile=acme-ro shop.wsgi:application

The backends are asked in the order given; without --backend the settings count, as mediamw config shows them.
A line with the URL is printed once the server answers.
"""

from __future__ import annotations

import argparse
import http.client
import logging
import os
import socket
import sys
import threading
import traceback
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..backends.local import LocalBackend
from ..config import Options
from ..core.errors import ConfigError
from ..stack.stack import MediaStack
from .loading import Interface, interface_of, load_app
from .options import PREFIX, add_backends, add_prefix, given_by, told_by

_POLL_SECONDS = 0.05
_START_SECONDS = 60.0
_STOP_SECONDS = 3
"""How long a stop waits for answers under way. Without an end, one client that stopped reading would prevent it."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a worker process needs to make the app: it is sent there, so it holds text and no objects.

    ``given``, of the command line, goes before the settings, which the worker reads as this process has.
    """

    given: dict[str, Any]
    target: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_backends(parser)
    add_prefix(parser)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=_port, default=8000, help="the port to listen on; 0 takes a free one")
    parser.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="say in headers which backend answered, and how fast",
    )
    parser.add_argument("--interface", choices=("auto", "asgi", "wsgi"), default="auto", help="what the app speaks")
    parser.add_argument("app", nargs="?", metavar="MODULE:APP", help="the app to wrap; none: media alone")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit status."""
    stack, options = told_by(given_by(args))
    _tell_missing(stack)
    app: Any = None
    interface: Interface = "asgi"
    if args.app is not None:
        # Imported even if --interface says what it speaks: see below.
        try:
            app = load_app(args.app)
        except ConfigError:
            raise
        except Exception:  # noqa: BLE001 - the app's own, whatever it is; its traceback says where
            traceback.print_exc()
            print(f"mediamw: {args.app} could not be imported: its own error is above", file=sys.stderr)
            return 1
        interface = interface_of(app) if args.interface == "auto" else args.interface
    served = Served(given_by(args), args.app)
    # Made here as the worker will make it, so that a mistake is told in one line and not in the worker's traceback.
    service = _wrap(app, stack, options, interface).service
    stack.close()
    prefix = options.get("prefix", PREFIX)
    names = ", then ".join(backend.name for backend in stack.backends)
    media = f"media below {prefix}, from {names}" if service is not None else "mediamw is switched off by its settings"
    about = f"{'' if args.app else 'no app; '}{media}"
    host = _address(args.host)
    with _bound(host, args.port) as probe:
        port = probe.getsockname()[1]
        if sys.platform != "linux":
            probe.close()  # no server could be bound beside it; in the moment between the two the port may be taken
        server = _granian(host, port, interface, args.app or "mediamw")
        announcer = threading.Thread(target=_announce, args=(host, port, prefix, about), daemon=True)
        server.on_startup(announcer.start)
        server.serve(target_loader=partial(_app, served, interface), wrap_loader=False)
    return 0


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 0 to 65535")
    return int(text)


def _tell_missing(stack: MediaStack) -> None:
    """Name the directories that are not there: no error, as an upload makes one, but a mistyped path must be seen."""
    for backend in stack.backends:
        if isinstance(backend, LocalBackend) and not os.path.lexists(backend.root):
            print(f"mediamw serve: {backend.name}: {backend.root} does not exist yet", file=sys.stderr, flush=True)


def _granian(host: str, port: int, interface: Interface, name: str) -> Any:
    """Granian was the fastest for both interfaces: benchmarks/servers.py."""
    try:
        from granian import Granian
        from granian.constants import Interfaces
        from granian.log import LOGGING_CONFIG, LogLevels
    except ImportError:
        raise ConfigError("serve needs the server granian: pip install 'mediamw[serve]'") from None
    import multiprocessing

    # spawn: the app was imported here to see what it speaks, and may have started threads, which a fork would lose.
    multiprocessing.set_start_method("spawn", force=True)
    handlers: Any = LOGGING_CONFIG["handlers"]
    console = {**handlers["console"], "stream": "ext://sys.stderr"}
    server = Granian(
        target=name,
        address=host,
        port=port,
        interface=Interfaces(interface),
        workers_kill_timeout=_STOP_SECONDS,
        log_level=LogLevels.warning,  # the level at which workers tell of an app's exceptions
        log_dictconfig={"handlers": {**handlers, "console": console}},
    )
    # This process has nothing to say at that level but that WSGI has many threads, which waiting for look-ups needs.
    logging.getLogger("_granian").setLevel(logging.ERROR)
    return server


def _app(served: Served, interface: Interface) -> Any:
    """Make the app to serve; called in the worker process."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    app = None if served.target is None else load_app(served.target)
    return _wrap(app, *told_by(served.given), interface)


def _wrap(app: Any, stack: MediaStack, options: Options, interface: Interface) -> Any:
    if interface == "asgi":
        from ..asgi import MediaMiddleware as ASGIMiddleware

        return ASGIMiddleware(app, stack, **options)
    from ..wsgi import MediaMiddleware as WSGIMiddleware

    return WSGIMiddleware(app, stack, **options)


def _address(host: str) -> str:
    """Return the IP address of ``host``: granian takes no names."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter: no name could look like that
        found = []
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)  # `localhost` is 127.0.0.1 to most tools
    if found:
        return str(found[0][4][0])
    raise ConfigError(
        f"--host {host!r}: no address of that name is known; give an address of this machine, such as 127.0.0.1, or "
        "0.0.0.0 for all"
    )


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that holds the port to listen on. The server would share a taken one (SO_REUSEPORT) silently.

    Open, it keeps the system from giving a free port to another program before the server has it; as it does not
    listen, it gets no connections. Granian takes no bound socket: two commands that start on one given port in the
    same moment may still both get it.
    """
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, port))
    except OSError as error:
        probe.close()
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port, or --port 0 for "
            "a free one"
        ) from None
    return probe


def _announce(host: str, port: int, prefix: str, about: str) -> None:
    """Print the line once a request is really answered."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked for by --host
    shown = f"[{reachable}]" if ":" in reachable else reachable
    wait = threading.Event()
    for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
        connection = http.client.HTTPConnection(reachable, port, timeout=5)
        try:
            connection.request("GET", prefix)  # the bare prefix is no key: answered by the middleware, asking nobody
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            wait.wait(_POLL_SECONDS)
            continue
        finally:
            connection.close()
        print(f"mediamw serve: http://{shown}:{port}/ ({about})", flush=True)
        return
    print(f"mediamw serve: no answer on {shown}:{port} within {_START_SECONDS:g} seconds", file=sys.stderr, flush=True)
