"""Requests a second over HTTP, for files of the disk: one worker, 32 clients (8 for 1 MB).

For the small file the CPU time of the server too: it says who does less even where something else uses the machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.contenders import FILES, Contender, installed
from benchmarks.in_process import validators_of
from benchmarks.report import Column, Table
from benchmarks.serving import SERVERS, Server, all_up, load, need_wrk, url_of
from benchmarks.setting import SIZES, Media, Options

NAMES = ("10 KB", "1 MB", "range", "304", "miss", "not media")
CPU = Column("10 KB, CPU of the server", "µs")
COLUMNS = (*(Column(name, "requests/s", more_is_better=True) for name in NAMES), CPU)
OF_OTHERS = {"Caddy": "caddy", "nginx": "nginx"}  # servers that are no Python, and their programs


class Running(NamedTuple):
    """A contender that answers; ``contender`` None: a server that has the files itself, whatever app it runs."""

    server: Server
    contender: Contender | None


def run(media: Media, options: Options) -> list[Table]:
    """Measure behind each server."""
    need_wrk(options)
    return [_table(server, media, options) for server in SERVERS]


def _table(server: str, media: Media, options: Options) -> Table:
    table = Table(server, COLUMNS)
    interface = SERVERS[server]
    contenders = installed(FILES[interface])
    others = _others(server)
    for _ in range(options.rounds):
        servers = {name: Server(server, media, f"files/{interface}/{name}") for name in contenders}
        servers |= {name: Server(name, media, f"files/{interface}/bare app") for name in others}
        with all_up(servers):
            for column in NAMES:
                for name, each in servers.items():
                    _measure(table, name, column, Running(each, contenders.get(name)), media, options)
    return table


def _others(server: str) -> list[str]:
    if server == "granian":
        return ["granian's static mount"]
    # Once is enough: they are measured in the rounds of the contenders that they are held against.
    return [name for name, program in OF_OTHERS.items() if shutil.which(program)] if server == "uvicorn" else []


def _measure(table: Table, name: str, column: str, each: Running, media: Media, options: Options) -> None:
    server, contender = each
    if contender is not None and contender.is_bare and column not in ("10 KB", "not media"):
        return
    if contender is None and column == "not media":
        return
    file = {"1 MB": "large.jpg", "range": "large.jpg", "miss": "missing.jpg"}.get(column, "small.jpg")
    path = "/hello" if column == "not media" else url_of(contender, media, file)
    headers: Mapping[str, str] = {}
    if column == "range":
        headers = {"Range": "bytes=500000-501023"}
    elif column == "304":
        headers = validators_of(server.get(path)[1])
    status, _, body = server.get(path, headers)
    wanted = {"range": (206, 1024), "304": (304, 0), "miss": (404, None), "not media": (200, 5)}.get(
        column, (200, SIZES.get(file))
    )
    if status != wanted[0] or (wanted[1] is not None and len(body) != wanted[1]):
        table.note(f"{name} answers `{column}` with {status}, so it is not measured.")
        return
    before = server.cpu_seconds()
    speed = load(server, path, headers, 8 if column == "1 MB" else 32, options)
    table.add(name, column, speed)
    if column == "10 KB":
        table.add(name, CPU.name, (server.cpu_seconds() - before) / (speed * options.load_seconds) * 1e6)
