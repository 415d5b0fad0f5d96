"""What a key costs that nobody has asked for yet: CPU time, calls to the bucket, and the time of a cold page.

The bucket is StrictS3 in a process of its own. The page's 100 images are in one folder; their server knows nothing of
it, its bucket is 30 ms away, and six are asked for at a time, as a browser does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.contenders import boto3_client, our_bucket, our_stack
from benchmarks.in_process import wsgi_caller
from benchmarks.origin import IMAGES, Origin, alone, image
from benchmarks.report import Column, Table
from benchmarks.serving import Server
from benchmarks.setting import BUCKET, Media, Options

CPU, CALLS, TIME, ONE = "CPU of a look-up", "calls for a cold page", "cold page", "calls for one key, 32 at once"
COLUMNS = (Column(CPU, "µs"), Column(CALLS, "calls"), Column(TIME, "ms"), Column(ONE, "calls"))
FAR_SECONDS = 0.03
BROWSER, POOL = 6, 10
ALONE = "mediamw, the HEAD alone"
BOTO3 = "boto3 head_object, a pool of 10"


def run(media: Media, options: Options) -> list[Table]:
    """Measure all four."""
    table = Table("look-ups", COLUMNS)
    with Origin() as origin:
        for _ in range(options.rounds):
            origin.wait(0)
            _cpu(table, origin, media, options)
            origin.wait(FAR_SECONDS)
            _page(table, origin, media, options)
            origin.clear()
            table.add("mediamw", ONE, _at_once(origin, media))
    return [table]


def _cpu(table: Table, origin: Origin, media: Media, options: Options) -> None:
    keys = [alone(number) for number in range(options.few(IMAGES, 3))]
    stack, bucket, client = our_stack(origin.url, media), our_bucket(origin.url), boto3_client(origin.url)
    stack.stat("a.jpg")  # credentials, connection
    bucket.open("a.jpg")
    client.head_object(Bucket=BUCKET, Key="a.jpg")
    table.add("mediamw", CPU, _spent(stack.stat, keys))
    table.add(ALONE, CPU, _spent(bucket.open, keys))
    table.add(BOTO3, CPU, _spent(lambda key: client.head_object(Bucket=BUCKET, Key=key), keys))
    stack.close()
    bucket.close()
    client.close()


def _spent(ask: Callable[[str], Any], keys: list[str]) -> float:
    """Return microseconds of CPU time a key, of all threads."""
    before = time.process_time()
    for key in keys:
        ask(key)
    return (time.process_time() - before) / len(keys) * 1e6


def _page(table: Table, origin: Origin, media: Media, options: Options) -> None:
    keys = [image(number) for number in range(options.few(IMAGES, 12))]
    with Server("uvicorn", media, "redirects/asgi/mediamw", BENCH_ORIGIN=origin.url) as server:
        server.get("/media/a.jpg")  # the credentials and a connection are there, as boto3's are; nothing of the page is
        origin.clear()
        started = time.perf_counter()
        _browse(server, [f"/media/{key}" for key in keys])
        table.add("mediamw", TIME, (time.perf_counter() - started) * 1000)
        table.add("mediamw", CALLS, origin.calls())
    client = boto3_client(origin.url, POOL)
    client.head_object(Bucket=BUCKET, Key="a.jpg")
    origin.clear()
    started = time.perf_counter()
    with ThreadPoolExecutor(POOL) as pool:
        list(pool.map(lambda key: client.head_object(Bucket=BUCKET, Key=key), keys))
    table.add(BOTO3, TIME, (time.perf_counter() - started) * 1000)
    table.add(BOTO3, CALLS, origin.calls())
    client.close()


def _browse(server: Server, paths: list[str]) -> None:
    """Ask for all, over as many kept-alive connections as a browser has."""
    left = iter(paths)
    lock, statuses = threading.Lock(), []

    def client() -> None:
        connection = server.connect()
        while True:
            with lock:
                path = next(left, None)
            if path is None:
                break
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(BROWSER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [302] * len(paths), statuses


def _at_once(origin: Origin, media: Media) -> int:
    """Return how many calls 32 threads cause that ask for one key at once."""
    from mediamw.wsgi import MediaMiddleware

    stack = our_stack(origin.url, media)
    app, barrier = MediaMiddleware(None, stack, on_miss="404"), threading.Barrier(32)
    statuses = []

    def ask() -> None:
        call = wsgi_caller(app, "/media/a.jpg", {})
        barrier.wait()
        statuses.append(call(1)[0])

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stack.close()
    assert statuses == [302] * 32, statuses
    return origin.calls()
