"""Under ASGI no credential is fetched and botocore is not called on the event loop's thread, whatever their age."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.client
import botocore.credentials
import botocore.session
import pytest

from mediamw import MediaStack, MemoryBackend, S3Backend
from mediamw.asgi import MediaMiddleware
from mediamw.backends import aws
from mediamw.backends.renewal import AHEAD_SECONDS
from mediamw.backends.s3_options import LEAST_REST_SECONDS
from mediamw.testing import StrictS3

from ..fakes import until
from ..http_table.callers import acall_asgi
from .s3_world import BUCKET, TEMPORARY_ID, TEMPORARY_SECRET, TOKEN

KEY = "a/b c.jpg"
URL = "/media/a/b%20c.jpg"


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What of ours and of botocore's was called that may wait, and on which thread."""
    seen: list[tuple[str, int]] = []

    def watch(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            seen.append((f"{owner.__name__}.{name}", threading.get_ident()))
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, noted)

    for owner, names in (
        (aws.AWSAccount, ("credentials", "region", "place", "verify", "read_only_client")),
        (botocore.session.Session, ("__init__", "get_credentials", "create_client", "get_config_variable")),
        (botocore.credentials.Credentials, ("get_frozen_credentials",)),
        (botocore.credentials.RefreshableCredentials, ("get_frozen_credentials", "_refresh", "_protected_refresh")),
        (botocore.client.BaseClient, ("_make_api_call",)),
    ):
        for name in names:
            watch(owner, name)
    return seen


class Process:
    """A profile whose ``credential_process`` gives credentials that end in as many seconds as it is told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._said, self._config, self.asked = folder / "said.json", folder / "config", folder / "asked"
        program = folder / "give.py"
        program.write_text(
            f"import pathlib\nwith open({str(self.asked)!r}, 'a') as log: log.write('x')\n"
            f"print(pathlib.Path({str(self._said)!r}).read_text())\n"
        )
        self._config.write_text(f"[profile acme]\ncredential_process = {sys.executable} {program}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(self._config))

    def give(self, seconds: float) -> None:
        ends = datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()
        self._said.write_text(
            json.dumps(
                {
                    "Version": 1,
                    "AccessKeyId": TEMPORARY_ID,
                    "SecretAccessKey": TEMPORARY_SECRET,
                    "SessionToken": TOKEN,
                    "Expiration": ends,
                }
            )
        )

    def number(self) -> int:
        return len(self.asked.read_text()) if self.asked.exists() else 0


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    return Process(tmp_path, monkeypatch)


# Plenty of time; so little that they are renewed in the background; too little for a useful URL, so that the request
# needs new ones.
@pytest.mark.parametrize(
    "life",
    [3600, AHEAD_SECONDS - 30, LEAST_REST_SECONDS + 20, LEAST_REST_SECONDS - 20, 30],
    ids=lambda life: f"{life}s",
)
def test_nothing_waits_on_the_loop(s3: StrictS3, process: Process, callers: list[tuple[str, int]], life: int) -> None:
    process.give(life)
    prod = S3Backend(BUCKET, endpoint_url=s3.endpoint, profile="acme", name="prod", proxies={})
    stack = MediaStack([MemoryBackend(), prod])
    app = MediaMiddleware(None, stack)
    on_loop: list[int] = []

    async def main() -> list[int]:
        on_loop.append(threading.get_ident())
        first = await asyncio.gather(*(acall_asgi(app, "GET", URL) for _ in range(5)))
        if life < AHEAD_SECONDS:
            process.give(3600)
            # The first one and a renewal, which may have come already: whoever needs new ones at once asks himself.
            await asyncio.to_thread(until, lambda: process.number() >= 2 or life < LEAST_REST_SECONDS)
        again = await asyncio.gather(*(acall_asgi(app, method, URL) for method in ("GET", "HEAD") * 5))
        return [answer.status for answer in (*first, *again)]

    statuses = asyncio.run(main())
    stack.close()
    assert set(statuses[5:]) == {302}
    # With 30 seconds left there is no URL worth giving out; that is said, and not on the loop either.
    assert set(statuses[:5]) <= ({302} if life >= LEAST_REST_SECONDS else {302, 503})
    assert callers, "nobody asked for credentials: the test sees nothing"
    assert [name for name, thread in callers if thread == on_loop[0]] == []
