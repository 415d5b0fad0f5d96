"""What clients feel when the only lower, a bucket, is swallowed by a black hole, and when it comes back.

    python benchmarks/origin_down.py [--rounds 3] [--healthy 8] [--down 25] [--settle 12] [--server NAME]

Needs the extra `test`. The bucket is StrictS3 behind the FaultProxy of tests/faults, in this process; local media are
on disk. For each server, with one worker, rounds of four phases: quiet, healthy, black hole, healthy. 28 clients ask
for local files of 10 KB (of 200) ten times a second each, 4 for files of 5 MB (of 8) twice a second each, and, but for
the quiet phase, in a process of their own 32 ask for keys that nobody has asked for, with a rest of half a second
behind each answer. So the server is not saturated, and what is measured is waiting, not throughput: compare phases of
one run only. Clients and bucket compete with the server for the cores, the bucket most while it is healthy; that is
why the quiet phase is there, as the stricter measure.

A miss is good if it is answered 404; 503 says that the bucket cannot be reached. "Settled" is the rest of a black hole
after --settle seconds, when a breaker should be open. What the black hole swallowed goes on when it ends, as TCP does,
so misses asked just before its end are answered 404. It prints; it asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.paced_clients import FILES, Answered, Load
from benchmarks.report import REPOSITORY
from benchmarks.serving import free_port, wait_until_up

SIZES = {"small": 10_240, "large": 5_000_000}
KEYS = {"access_key_id": "AKREADONLY", "secret_access_key": "read-only-secret"}
QUICK_SECONDS = 0.005
NAN = float("nan")
Phases = dict[str, list[tuple[float, float]]]
APPS = f"""
import os
from mediamw import LocalBackend, MediaStack, S3Backend, asgi, wsgi

def backends():
    prod = S3Backend("prod", endpoint_url=os.environ["ORIGIN"], name="prod", proxies={{}}, **{KEYS!r})
    # The budget for misses would answer 503 before the origin does: it is not what is measured.
    return MediaStack([LocalBackend(os.environ["MEDIA_DIR"]), prod], misses_a_minute=1_000_000)

asgi_app = asgi.MediaMiddleware(None, backends(), on_miss="404")
wsgi_app = wsgi.MediaMiddleware(None, backends(), on_miss="404")
"""
SERVERS = {
    "ASGI uvicorn": "uvicorn origin_down_apps:asgi_app --port {port} --no-access-log --log-level critical",
    "WSGI gunicorn gthread": "gunicorn origin_down_apps:wsgi_app -k gthread --threads 64 --keep-alive 60 "
    "-b 127.0.0.1:{port} --log-level critical",
}


# -- one server --------------------------------------------------------------------------------------------------------


class Down(NamedTuple):
    """A black hole: when it began and ended, and when all was well again (time.monotonic)."""

    start: float
    stop: float
    next: float


def measure(command: str, folder: Path, args: argparse.Namespace) -> list[tuple[str, str]]:
    """Run the phases with one server; return the lines of its table."""
    from mediamw.testing.strict_s3 import StrictS3
    from tests.faults.proxy import BLACK_HOLE, HEALTHY, FaultProxy

    port = free_port()
    with ExitStack() as stack:
        s3 = stack.enter_context(StrictS3(keys={}, read_only_keys={KEYS["access_key_id"]: KEYS["secret_access_key"]}))
        s3.create_bucket("prod")
        proxy = stack.enter_context(FaultProxy(s3.port))
        env = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}"}
        env |= {"MEDIA_DIR": str(folder / "media"), "ORIGIN": proxy.url}
        words = [sys.executable, "-m", *command.format(port=port).split()]
        server = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(server.wait, 60)
        stack.callback(server.send_signal, signal.SIGTERM)
        wait_until_up(port, server)
        load = Load(folder, port)
        stack.callback(load.stop)  # harmless when they have ended
        load.start("small", "large")
        time.sleep(2)  # all have connected, and the disk's pages are in memory
        downs: list[Down] = []
        phases: Phases = {"quiet": [], "healthy": [], "black hole": [], "settled": []}
        for _ in range(args.rounds):
            _pass(phases["quiet"], args.healthy)
            misses = load.start("miss")
            time.sleep(2)
            _pass(phases["healthy"], args.healthy)
            time.sleep(1)  # what is asked now may be swallowed
            proxy.fault, start = BLACK_HOLE, time.monotonic()
            time.sleep(args.down)
            proxy.fault, stop = HEALTHY, time.monotonic()
            while time.monotonic() < stop + 30 and not _good(load.answers(misses), stop, float("inf")):
                time.sleep(0.5)
            time.sleep(2)
            downs.append(Down(start, stop, time.monotonic()))
            phases["black hole"].append((start, stop))
            phases["settled"].append((start + args.settle, stop))
            _pass(phases["healthy"], args.healthy)
            load.stop(misses)
        load.stop()
        answers, asked = load.answers(), [seen.at for seen in proxy.log]
    return [*_local(answers, phases), *_misses(answers, asked, phases, downs)]


def _pass(windows: list[tuple[float, float]], seconds: float) -> None:
    """Let ``seconds`` pass and note when that was."""
    start = time.monotonic()
    time.sleep(seconds)
    windows.append((start, time.monotonic()))


def _good(answers: list[Answered], start: float, stop: float) -> float | None:
    """When the first good answer to a miss came that was asked between ``start`` and ``stop``."""
    found = within(answers, "miss", [(start, stop)])
    return min((each.at + each.seconds for each in found if each.status == 404), default=None)


# -- the report --------------------------------------------------------------------------------------------------------


def _local(answers: list[Answered], phases: Phases) -> Iterator[tuple[str, str]]:
    for kind, name in (("small", "10 KB"), ("large", "5 MB")):
        p99 = {}
        for phase, windows in phases.items():
            found = within(answers, kind, windows)
            p99[phase] = percentile([each.seconds for each in found], 99)
            yield f"local {name}, {phase}", f"{spread(found)}, errors {sum(each.status != 200 for each in found)}"
        for base in ("healthy", "quiet"):
            ratio, more = p99["black hole"] / p99[base], p99["black hole"] - p99[base]
            met = "met" if p99["black hole"] <= 1.2 * p99[base] + 0.002 else "MISSED"
            text = f"{ratio:.2f} times, {more * 1000:+.1f} ms: {met} (target 1.2 times + 2 ms)"
            yield f"local {name}, p99 black hole against {base}", text


def _misses(
    answers: list[Answered], asked: list[float], phases: Phases, downs: list[Down]
) -> Iterator[tuple[str, str]]:
    for phase in ("healthy", "black hole", "settled"):
        found = within(answers, "miss", phases[phase])
        statuses = dict(sorted(Counter(each.status for each in found).items()))
        quick = sum(each.seconds < QUICK_SECONDS for each in found)
        yield f"miss, {phase}", f"{spread(found)}; {quick} under 5 ms; answers by status {statuses}"
    dark = [within(answers, "miss", [(down.start, down.stop)]) for down in downs]
    first = [_least(e.at + e.seconds - down.start for e in found) for down, found in zip(downs, dark, strict=True)]
    yield "first miss answered", f"{seconds(first)} after the black hole began (target 8 s)"
    yield "slowest miss", f"{seconds([max((e.seconds for e in found), default=NAN) for found in dark])} (target 8 s)"
    opened = [
        _least(e.at - down.start for e in found if e.seconds < QUICK_SECONDS)
        for down, found in zip(downs, dark, strict=True)
    ]
    yield "first miss answered in under 5 ms", f"{seconds(opened)} after the black hole began (inf: no breaker)"
    for phase in ("black hole", "settled"):
        calls = [sum(start <= at < stop for at in asked) for start, stop in phases[phase]]
        lengths = ", ".join(f"{stop - start:.0f}" for start, stop in phases[phase])
        yield f"connections and requests to the bucket, {phase}", f"{calls} in {lengths} s"
    back = [(_good(answers, down.stop, down.next) or float("inf")) - down.stop for down in downs]
    yield "first good answer to a new miss", f"{seconds(back)} after the bucket came back (target 12 s)"
    later = [within(answers, "miss", [(down.stop, down.next)]) for down in downs]
    bad = [
        max((e.at + e.seconds - down.stop for e in found if e.status != 404), default=0.0)
        for down, found in zip(downs, later, strict=True)
    ]
    yield "last bad answer to a new miss", f"{seconds(bad)} after the bucket came back"


def _least(values: Iterable[float]) -> float:
    return min(values, default=float("inf"))


def within(answers: list[Answered], kind: str, windows: list[tuple[float, float]]) -> list[Answered]:
    """Return what was asked in one of ``windows``."""
    return [each for each in answers if each.kind == kind and any(start <= each.at < stop for start, stop in windows)]


def percentile(values: list[float], percent: int) -> float:
    if len(values) < 2:
        return values[0] if values else float("nan")
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def spread(found: list[Answered]) -> str:
    values = [each.seconds for each in found]
    p50, p99, worst = percentile(values, 50), percentile(values, 99), max(values, default=float("nan"))
    return f"n {len(values)}, p50 {p50 * 1000:.1f}, p99 {p99 * 1000:.1f}, max {worst * 1000:.1f} ms"


def seconds(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values) + " s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--healthy", type=float, default=8, metavar="SECONDS")
    parser.add_argument("--down", type=float, default=25, metavar="SECONDS")
    parser.add_argument("--settle", type=float, default=12, metavar="SECONDS")
    parser.add_argument("--server", choices=SERVERS, action="append")
    args = parser.parse_args()
    names = ("uvicorn", "uvloop", "gunicorn", "urllib3", "moto")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} before"
    print(f"Python {platform.python_version()}, {machine}; {packages}")
    print("python benchmarks/origin_down.py", *sys.argv[1:])
    for name in args.server or SERVERS:
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            for kind, size in SIZES.items():
                (folder / "media" / kind).mkdir(parents=True)
                for number in range(FILES[kind]):
                    (folder / "media" / kind / f"{number}.jpg").write_bytes(os.urandom(size))
            (folder / "origin_down_apps.py").write_text(APPS)
            lines = measure(SERVERS[name], folder, args)
        print(f"\n| {name}, one worker | |\n|---|---|")
        for label, text in lines:
            print(f"| {label} | {text} |", flush=True)


if __name__ == "__main__":
    main()
