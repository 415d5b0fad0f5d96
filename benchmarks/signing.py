"""Microseconds of CPU time for one presigned URL, from keys that are given; nobody is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from itertools import count
from typing import Any

from benchmarks.contenders import boto3_client, presigned, say_missing
from benchmarks.in_process import many, timed
from benchmarks.report import Column, Table
from benchmarks.setting import BUCKET, KEYS, Media, Options

NEW, AGAIN = "a new URL", "the same key again"


def run(media: Media, options: Options) -> list[Table]:
    """Sign ever new keys, and one key again and again."""
    table = Table("signing", (Column(NEW, "µs"), Column(AGAIN, "µs")))
    signers = _signers()
    for _ in range(options.rounds):
        for name, sign in signers.items():
            keys = map("homes/42/{:08}.jpg".format, count())
            table.add(name, NEW, timed(many(lambda sign=sign, keys=keys: sign(next(keys))), options.slice)[1])
            table.add(name, AGAIN, timed(many(lambda sign=sign: sign("homes/42/a.jpg")), options.slice)[1])
    return [table]


def _signers() -> dict[str, Callable[[str], Any]]:
    from mediamw import S3Backend
    from mediamw.core.keys import Key

    client = boto3_client()
    backend = S3Backend(BUCKET, region="us-east-1", proxies={}, **KEYS)
    backend.prepare()
    signers: dict[str, Callable[[str], Any]] = {
        "mediamw": lambda key: backend.sign(Key(key), "GET", time.time()),
        "boto3": lambda key: presigned(client, key),
    }
    if find_spec("obstore") is None:
        say_missing("obstore")
        return signers
    import obstore
    from obstore.store import S3Store

    store, life = S3Store(BUCKET, region="us-east-1", **KEYS), timedelta(hours=1)
    return {**signers, "obstore": lambda key: obstore.sign(store, "GET", key, life)}
