"""A directory of DEPOT's, by DEPOT and by us under its interface: microseconds of wall time in process.

The very same files for both. What is created is synced to disk by us, and not by DEPOT.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from benchmarks.contenders import app_wsgi
from benchmarks.in_process import Answer, asks, many, timed, validators_of, wsgi_caller
from benchmarks.report import Column, Table
from benchmarks.setting import SIZES, Media, Options

REQUESTS = ("10 KB", "range", "304", "miss")
CALLS = ("get and read 10 KB", "create 10 KB", "replace", "delete")
NAME = "media"


def run(media: Media, options: Options) -> list[Table]:
    """Measure the middleware and the storage, in rounds."""
    table = Table("a DEPOT directory", tuple(Column(name, "µs") for name in (*REQUESTS, *CALLS)))
    managers = _managers(media)
    ids = media.depot_ids()
    requests = {name: _requests(manager, ids) for name, manager in managers.items()}
    number = options.few(200, 2)
    for _ in range(options.rounds):
        for column in REQUESTS:
            for name, calls in requests.items():
                table.rows.setdefault(name, {})
                if column in calls:
                    table.add(name, column, timed(calls[column], options.slice)[0])
        for name, manager in managers.items():
            for column, took in _stored(manager.get(NAME), ids["small.jpg"], number, options).items():
                table.add(name, column, took)
    return [table]


def _managers(media: Media) -> dict[str, Any]:
    """Return the managers, each with the directory as a storage and a middleware."""
    from mediamw.ext.depot.manager import DepotManager
    from mediamw.storages import Registry

    class Ours(DepotManager, registry=Registry()):
        pass

    managers: dict[str, Any] = {"mediamw": Ours}
    if find_spec("depot") is None:
        print("filedepot is not installed and left out")
        storage = Ours.from_config({"depot.storage_path": str(media.depot)})
        made = {name: storage.create((media.root / name).read_bytes(), name, "image/jpeg") for name in SIZES}
        (media.folder / "depot.json").write_text(json.dumps(made))
    else:
        from depot.manager import DepotManager as Theirs

        managers["DEPOT"] = Theirs
        Theirs._clear()
    for manager in managers.values():
        manager.configure(NAME, {"depot.storage_path": str(media.depot)})
        manager.make_middleware(app_wsgi, mountpoint="/media")
    return managers


def _requests(manager: Any, ids: dict[str, str]) -> dict[str, Callable[[int], Answer]]:
    """Return what asks the middleware, for each column that it answers as it should."""
    app, found = manager.get_middleware(), {}
    _, headers, _ = wsgi_caller(app, f"/media/{NAME}/{ids['small.jpg']}", {})(1)
    for ask in asks(validators_of(headers)):
        if ask.column in REQUESTS:
            # A UUID that no file has: to a name that is none both say so without looking.
            file = ids.get(str(ask.file), "11111111-1111-4111-8111-111111111111")
            call = wsgi_caller(app, f"/media/{NAME}/{file}", ask.headers)
            status, _, size = call(1)
            if status == ask.status and (ask.size < 0 or size == ask.size):
                found[ask.column] = call
    return found


def _stored(storage: Any, small: str, number: int, options: Options) -> dict[str, float]:
    """Return microseconds of each call."""

    def read() -> None:
        with storage.get(small) as file:
            file.read()

    data, made = os.urandom(SIZES["small.jpg"]), []

    def each(work: Callable[[str], Any]) -> Callable[[int], Any]:
        return lambda _: [work(file_id) for file_id in made]

    create = many(lambda: made.append(storage.create(data, "a.jpg", "image/jpeg")))
    figures = {CALLS[0]: timed(many(read), options.slice)[0], CALLS[1]: _once(create, number)}
    figures[CALLS[2]] = _once(each(lambda file_id: storage.replace(file_id, data, "b.jpg", "image/jpeg")), number)
    figures[CALLS[3]] = _once(each(storage.delete), number)
    return figures


def _once(call: Callable[[int], Any], number: int) -> float:
    """Return microseconds a call, of so many."""
    import time

    started = time.perf_counter()
    call(number)
    return (time.perf_counter() - started) / number * 1e6
