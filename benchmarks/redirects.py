"""Redirects a second for a key that is known: looked up once, then signed from what is remembered.

boto3's contenders look nothing up: they sign whatever is asked for.
"""

from __future__ import annotations

from benchmarks.contenders import REDIRECTS, installed
from benchmarks.origin import Origin
from benchmarks.report import Column, Table
from benchmarks.serving import SERVERS, Server, all_up, load, need_wrk
from benchmarks.setting import Media, Options

COLUMN = Column("redirect of a known key", "requests/s", more_is_better=True)


def run(media: Media, options: Options) -> list[Table]:
    """Measure behind each server."""
    need_wrk(options)
    with Origin() as origin:
        return [_table(server, interface, origin, media, options) for server, interface in SERVERS.items()]


def _table(server: str, interface: str, origin: Origin, media: Media, options: Options) -> Table:
    table = Table(f"redirects, {server}", (COLUMN,))
    contenders = installed(REDIRECTS[interface])
    for _ in range(options.rounds):
        servers = {
            name: Server(server, media, f"redirects/{interface}/{name}", BENCH_ORIGIN=origin.url) for name in contenders
        }
        with all_up(servers):
            for name, each in servers.items():
                status, headers, _ = each.get("/media/a.jpg")  # from now on the key is known
                if status != 302 or "X-Amz-Signature" not in headers["location"]:
                    raise SystemExit(f"{server}, {name}: {status}")
                table.add(name, COLUMN.name, load(each, "/media/a.jpg", {}, 32, options))
    return table
