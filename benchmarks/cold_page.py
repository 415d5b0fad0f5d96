"""What look-ups of unknown keys cost: the CPU of one, and the time of a cold page of a hundred images.

    python benchmarks/cold_page.py [--delay 0.03] [--images 100]

Needs the extra `test`. The CPU is that of this process; the origin is a few lines in another, which answers each HEAD
with 200 at once. The page is one folder of StrictS3 behind a proxy that waits before each answer, asked for through
`stack.find` by six threads, as a browser asks; botocore, which boto3 calls, sends one HEAD for each image, ten at a
time. Compare the figures of one run only. It prints; it asserts nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import botocore.session
from botocore.config import Config

from mediamw import LocalBackend, MediaStack, S3Backend
from mediamw.core.keys import Key
from mediamw.testing import StrictS3
from tests.faults.scripted import Asked, Said, Scripted

KEYS = {"access_key_id": "AKREADONLY", "secret_access_key": "read-only-secret"}
ORIGIN = r"""
import socket, threading
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
answer = (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"abc\"\r\nLast-Modified: Sat, 21 Nov 2026 20:27:36 GMT\r\n"
          b"Content-Type: image/jpeg\r\nServer: origin\r\nx-amz-request-id: 1\r\n\r\n")
def serve(connection):
    rest = b""
    while data := connection.recv(65536):
        *heads, rest = (rest + data).split(b"\r\n\r\n")
        connection.sendall(answer * len(heads))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def bucket(endpoint: str) -> S3Backend:
    return S3Backend("media", endpoint_url=endpoint, proxies={}, **KEYS)


def boto(endpoint: str) -> Any:
    config = Config(s3={"addressing_style": "path"}, max_pool_connections=10)
    return botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=KEYS["access_key_id"],
        aws_secret_access_key=KEYS["secret_access_key"],
        config=config,
    )


def cpu(name: str, ask: Callable[[str], object], rounds: int = 7, number: int = 300) -> None:
    """Print the least CPU of all rounds: what else the machine does only adds."""
    used = []
    for turn in range(rounds):
        keys = [f"{turn}-{index}/a.jpg" for index in range(number)]
        started = time.process_time()
        for key in keys:
            ask(key)
        used.append((time.process_time() - started) / number)
    print(f"  {name:44} {min(used) * 1e6:6.0f} us CPU", flush=True)


def one_look_up() -> None:
    print("one unknown key")
    origin = subprocess.Popen([sys.executable, "-c", ORIGIN], stdout=subprocess.PIPE, text=True)
    try:
        assert origin.stdout is not None
        endpoint = f"http://127.0.0.1:{int(origin.stdout.readline())}"
        client, prod = boto(endpoint), bucket(endpoint)
        cpu("botocore head_object", lambda key: client.head_object(Bucket="media", Key=key))
        cpu("S3Backend.open", lambda key: prod.open(Key(key)))
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
            stack = MediaStack([LocalBackend(folder), bucket(endpoint)])
            cpu("stack.find: local, a thread's HEAD, the URL", stack.find)
            cpu(
                "botocore head_object on a thread",
                lambda key: pool.submit(client.head_object, Bucket="media", Key=key).result(),
            )
            stack.close()
    finally:
        origin.kill()
        origin.wait()


def cold_page(delay: float, images: int) -> None:
    print(f"a cold page of {images} images, the origin answers after {delay * 1000:g} ms")

    def slow(asked: Asked, ask: Callable[[Asked], Said]) -> Said:
        time.sleep(delay)
        return ask(asked)

    keys = [f"homes/42/{index:04}.jpg" for index in range(images)]
    secrets = {KEYS["access_key_id"]: KEYS["secret_access_key"]}
    with StrictS3(keys={}, read_only_keys=secrets) as s3, tempfile.TemporaryDirectory() as folder:
        s3.create_bucket("media")
        for key in keys:
            s3.put("media", key, b"x")
        proxy = Scripted(s3.port, always=slow)

        def timed(name: str, threads: int, ask: Callable[[str], object]) -> None:
            s3.clear_calls()
            started = time.perf_counter()
            with ThreadPoolExecutor(threads) as browser:
                list(browser.map(ask, keys))
            print(f"  {name:44} {time.perf_counter() - started:6.3f} s, {len(s3.calls)} calls", flush=True)

        client = boto(proxy.url)
        for _ in range(3):
            stack = MediaStack([LocalBackend(folder), bucket(proxy.url)])
            timed("botocore, ten at a time", 10, lambda key: client.head_object(Bucket="media", Key=key))
            timed("stack.find, six at a time", 6, stack.find)
            stack.close()
        proxy.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=0.03)
    parser.add_argument("--images", type=int, default=100)
    options = parser.parse_args()
    one_look_up()
    cold_page(options.delay, options.images)


if __name__ == "__main__":
    main()
