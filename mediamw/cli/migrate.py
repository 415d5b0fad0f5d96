"""Copy what is left of one storage to another, while the site serves both; then say what may be switched.

  mediamw migrate --app shop.storages --from local --to s3

What was copied is kept in a journal: run it again after an interruption, and after new files go to the other storage.
It ends by itself on Ctrl-C; a second Ctrl-C ends it at once, which loses nothing either.
Exit status: 0 every file is at the target (in a dry run: could be), 1 some are not, 2 a setting is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import io
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any, Final

from ..core.errors import BackendUnavailable, ConfigError
from ..storages import Registry
from ..storages.migration.journal import Journal
from ..storages.migration.manifests import FORMATS, manifest
from ..storages.migration.places import about_journal
from ..storages.migration.report import Progress
from ..storages.migration.run import FAILURES_IN_A_ROW, JOBS, migrate
from ..storages.migration.work import Opened
from .storages_options import add_arguments as add_storages
from .storages_options import registry_of

SECONDS_TO_A_TERMINAL: Final = 1.0
SECONDS_TO_A_FILE: Final = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_storages(parser)
    parser.add_argument(
        "--from", dest="source", required=True, metavar="NAME", help="the storage whose files are copied"
    )
    parser.add_argument("--to", dest="target", required=True, metavar="NAME", help="the storage that gets them")
    parser.add_argument(
        "--journal",
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="where it is kept what was copied (default: migrate-FROM-TO.sqlite3, here)",
    )
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help="how many batches are copied at once")
    parser.add_argument(
        "--batch", type=int, metavar="N", default=argparse.SUPPRESS, help="files of a batch (default: 1, 16 elsewhere)"
    )
    flag: dict[str, Any] = {"action": "store_true", "default": argparse.SUPPRESS}
    parser.add_argument("--upper-only", **flag, help="copy what the first backend of the storage has, not its lowers")
    parser.add_argument("--dry-run", **flag, help="count and compare; write nothing")
    parser.add_argument("--recheck", **flag, help="look at the target for what the journal says is there")
    parser.add_argument("--replace", **flag, help="replace files of the target that are not the same")
    parser.add_argument(
        "--verify",
        choices=("full", "size"),
        default="full",
        help="prove the bytes of each copy by its checksum, or only their number",
    )
    parser.add_argument("--alone", **flag, help="nobody else stores these keys there now (no If-None-Match needed)")
    parser.add_argument("--drop-filenames", **flag, help="copy files whose names the target cannot keep, without them")
    parser.add_argument(
        "--give-up-after", type=int, default=FAILURES_IN_A_ROW, metavar="N", help="end after N failures in a row"
    )
    parser.add_argument("--processes", type=int, metavar="N", default=argparse.SUPPRESS, help="copy in N processes")
    parser.add_argument(
        "--dask", metavar="ADDRESS", default=argparse.SUPPRESS, help="copy on a Dask cluster, such as tcp://host:8786"
    )
    parser.add_argument(
        "--emit-manifest", choices=FORMATS, default=argparse.SUPPRESS, help="write the list in place of copying"
    )
    parser.add_argument(
        "--output", metavar="FILE", default=argparse.SUPPRESS, help="where that list goes (default: standard output)"
    )


@functools.cache
def load_registry(app: str | None, folder: str) -> Registry:
    """Find the registry as the command line says, once in each process. ``folder``: where modules are looked for."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return registry_of(argparse.Namespace(app=app))


def run(args: argparse.Namespace) -> int:
    """Copy, and return the exit status."""
    given = vars(args)
    loader = functools.partial(load_registry, args.app, os.getcwd())
    registry = loader()
    source, target = registry.resolve(args.source), registry.resolve(args.target)
    journal = given.get("journal", f"migrate-{source}-{target}.sqlite3")
    if "emit_manifest" in args:
        return _emit(args, registry, source, target, journal)
    if "output" in args:
        raise ConfigError("--output: it is for --emit-manifest")
    wanted = ("upper_only", "dry_run", "recheck", "replace", "alone", "drop_filenames", "batch", "verify", "jobs")
    options = {name: given[name] for name in (*wanted, "give_up_after") if name in given}
    try:
        with _executor(args) as executor, _ended_by_signals() as stop:
            report = migrate(
                registry if executor is None else loader,
                source,
                target,
                journal=journal,
                executor=executor,
                stop=stop,
                progress=_Teller(),
                **options,
            )
    except BackendUnavailable as error:
        print(f"mediamw: {error}", file=sys.stderr)
        return 1
    for line in report.lines(registry):
        print(line)
    return 0 if report.is_well else 1


def _emit(args: argparse.Namespace, registry: Registry, source: str, target: str, path: str) -> int:
    upper_only = "upper_only" in args
    opened = Opened.of(registry, source, target, upper_only=upper_only)
    about = about_journal(source, target, opened, upper_only=upper_only)
    output = args.output if "output" in args else None
    if output is None and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # of names, whatever the terminal can show
    with contextlib.ExitStack() as stack:
        journal = Journal(path, about) if os.path.exists(path) else None
        if journal is not None:
            stack.callback(journal.close)
        made = manifest(opened, args.emit_manifest, journal=journal, output=output or "LIST")
        try:
            file = (
                sys.stdout if output is None else stack.enter_context(open(output, "x", encoding="utf-8", newline=""))
            )
        except OSError as error:
            raise ConfigError(f"--output: {error.strerror} ({output})") from error
        try:
            file.writelines(made.lines)
        except BackendUnavailable as error:
            print(f"mediamw: the list is not whole: {error}", file=sys.stderr)
            return 1
    for note in made.notes:
        print(note, file=sys.stderr)
    return 0


class _Teller:
    """Writes progress to stderr: each second to a terminal, else each half minute."""

    def __init__(self) -> None:
        self._pause = SECONDS_TO_A_TERMINAL if sys.stderr.isatty() else SECONDS_TO_A_FILE
        self._told = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told >= self._pause:
            self._told = now
            print(progress, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _executor(args: argparse.Namespace) -> Iterator[Executor | None]:
    """Open who does the work; None: threads of this process."""
    if "dask" in args and "processes" in args:
        raise ConfigError("--processes: it is for this machine, leave it out with --dask")
    if "dask" in args:
        try:
            distributed: Any = importlib.import_module("distributed")
        except ImportError as error:
            raise ConfigError("--dask: it needs distributed: pip install 'mediamw[dask]'") from error
        try:
            client = distributed.Client(args.dask, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConfigError(f"--dask: no cluster at {args.dask}: {error}") from error
        with client, client.get_executor(pure=False) as executor:  # not pure: the same batch may be asked for again
            yield executor
    elif "processes" in args:
        if args.processes < 1:
            raise ConfigError(f"--processes: {args.processes} is less than 1")
        spawn = multiprocessing.get_context("spawn")  # threads do not survive a fork
        with ProcessPoolExecutor(args.processes, spawn, initializer=end_with_parent) as executor:
            yield executor
    else:
        yield None


def end_with_parent() -> None:
    """Have this process of a pool end when the command does, however that ends; a Ctrl-C is the command's to judge."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[threading.Event]:
    """Have the first SIGINT or SIGTERM end the run after what is under way, and the second end the process."""
    stop = threading.Event()
    kept: dict[int, Any] = {}

    def end(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)
        print("mediamw: ends after the files under way; once more to end at once", file=sys.stderr, flush=True)

    if threading.current_thread() is threading.main_thread():
        kept = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
