"""Clients that ask at a set pace over kept-alive connections, in processes of their own, for ``origin_down.py``.

    python benchmarks/paced_clients.py PORT KIND...

prints one line for each answer. ``CLIENTS`` has how many clients a kind has and its seconds. Clients for local files
start a request each so many seconds, or as soon as the one before is answered if that is later; those for unknown keys
rest so many seconds behind each answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

CLIENTS = {"small": (28, 0.1), "large": (4, 0.5), "miss": (32, 0.5)}
FILES = {"small": 200, "large": 8}
ANSWER_SECONDS = 60.0


class Answered(NamedTuple):
    """One request of a client: what for, when it was sent (time.monotonic), seconds to its last byte, status.

    Status 0: no answer, or a broken one.
    """

    kind: str
    at: float
    seconds: float
    status: int


async def _ask(port: int, path: str, streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> int:
    """Return the status; ``streams`` holds the kept-alive connection, if there is one."""
    try:
        if not streams or streams[0][0].at_eof():
            streams[:] = [await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)]
        reader, writer = streams[0]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        rest = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        while rest:
            data = await reader.read(min(rest, 1 << 18))
            if not data:
                raise ConnectionError("the body broke off")
            rest -= len(data)
        return int(head.split()[1])
    except (OSError, ValueError, asyncio.IncompleteReadError):
        for _, writer in streams:
            writer.close()
        streams.clear()
        return 0


async def _client(port: int, kind: str, number: int, stop: asyncio.Event) -> None:
    clients, seconds = CLIENTS[kind]
    paced = kind != "miss"
    due = time.monotonic() + seconds * number / clients  # spread evenly
    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    count = 0
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), max(0.0, due - time.monotonic()))
        except TimeoutError:
            pass
        else:
            break
        files = FILES.get(kind)
        name = f"unknown-{os.getpid()}-{number}-{count}" if files is None else str((number * 7 + count) % files)
        count += 1
        start = time.monotonic()
        try:
            status = await asyncio.wait_for(_ask(port, f"/media/{kind}/{name}.jpg", streams), ANSWER_SECONDS)
        except TimeoutError:
            status = 0
            streams.clear()
        end = time.monotonic()
        print(json.dumps(Answered(kind, start, end - start, status)), flush=not paced)
        due = max(due + seconds, end) if paced else end + seconds
    for _, writer in streams:
        writer.close()


async def main(port: int, kinds: list[str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await asyncio.gather(*(_client(port, kind, n, stop) for kind in kinds for n in range(CLIENTS[kind][0])))


class Load:
    """Client processes, each of which writes what it gets into a file; they are numbered from 0."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._started: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(self, *kinds: str) -> int:
        """Start the clients of ``kinds`` in one process; return its number."""
        number = len(self._started)
        path = self._folder / f"clients-{number}.jsonl"
        with path.open("wb") as out:
            command = [sys.executable, __file__, str(self._port), *kinds]
            self._started.append((subprocess.Popen(command, stdout=out), path))
        return number

    def stop(self, *numbers: int) -> None:
        """End these processes, or all. Those that wait for an answer wait to its end. Harmless when they have ended."""
        chosen = [self._started[number][0] for number in numbers or range(len(self._started))]
        for process in chosen:
            process.send_signal(signal.SIGTERM)
        for process in chosen:
            process.wait(ANSWER_SECONDS + 10)

    def answers(self, *numbers: int) -> list[Answered]:
        """Return what these processes got so far, or all; of local files' clients all only when they have ended."""
        texts = [self._started[number][1].read_text() for number in numbers or range(len(self._started))]
        # The last line may be half written.
        return [Answered(*json.loads(line)) for text in texts for line in text[: text.rfind("\n") + 1].splitlines()]


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
