"""A bucket in a process of its own, so that its CPU time is not ours: StrictS3, which checks every signature.

    python -m benchmarks.origin

prints its URL, then answers each line on its input: ``calls`` with the number of requests since the last ``clear``,
``wait SECONDS`` makes every answer as late as a bucket far away.
"""

from __future__ import annotations

import subprocess
import sys
import time
from types import TracebackType
from typing import Self

from benchmarks.report import REPOSITORY
from benchmarks.serving import environment
from benchmarks.setting import BUCKET, KEYS
from mediamw.testing.http_server import Answer
from mediamw.testing.s3_request import HttpRequest
from mediamw.testing.strict_s3 import StrictS3

IMAGES = 100


class FarS3(StrictS3):
    """StrictS3 whose answers come ``wait`` seconds late."""

    wait = 0.0

    def _answer(self, request: HttpRequest) -> Answer:
        time.sleep(self.wait)
        return super()._answer(request)


def image(number: int) -> str:
    """Return the key of an image of the cold page."""
    return f"homes/42/{number:03}.jpg"


def alone(number: int) -> str:
    """Return the key of a file that is alone in its folder."""
    return f"users/{number:04}/portrait.jpg"


class Origin:
    """The process; it ends with the block."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.origin"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment(), stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self.url = self._line()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()  # it ends with its input
        self._process.wait()

    def calls(self) -> int:
        return int(self._ask("calls"))

    def clear(self) -> None:
        self._ask("clear")

    def wait(self, seconds: float) -> None:
        self._ask(f"wait {seconds}")

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise SystemExit("the bucket did not start: pip install 'mediamw[bench]'")
        return line


def main() -> None:
    keys = {KEYS["access_key_id"]: KEYS["secret_access_key"]}
    with FarS3(keys={}, read_only_keys=keys) as s3:
        s3.create_bucket(BUCKET)
        for key in ["a.jpg", *map(image, range(IMAGES)), *map(alone, range(IMAGES))]:
            s3.put(BUCKET, key, b"x" * 100, content_type="image/jpeg")
        print(s3.endpoint, flush=True)
        for line in sys.stdin:
            word, _, rest = line.strip().partition(" ")
            if word == "wait":
                s3.wait = float(rest)
            elif word == "clear":
                s3.clear_calls()
            print(len(s3.calls), flush=True)


if __name__ == "__main__":
    main()
