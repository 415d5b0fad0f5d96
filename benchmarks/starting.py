"""What it takes to be there: imports, the first middleware, the first presigned URL.

Each in a fresh interpreter, time and memory. All modules are compiled before, as installed ones are: where Python is
told not to write its caches (``PYTHONDONTWRITEBYTECODE``) ours would be compiled each time, and the installed peers
never.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec

from benchmarks.contenders import say_missing
from benchmarks.report import Column, Table
from benchmarks.serving import environment
from benchmarks.setting import BUCKET, KEYS, Media, Options

TIME, MEMORY = Column("time", "ms"), Column("memory", "MiB")
IMPORTS = {
    "mediamw": "import mediamw",
    "mediamw.wsgi": "import mediamw.wsgi",
    "mediamw.asgi": "import mediamw.asgi",
    "whitenoise": "import whitenoise",
    "servestatic": "import servestatic",
    "starlette.staticfiles": "import starlette.staticfiles",
    "depot.middleware": "import depot.middleware",
}
MIDDLEWARE = {
    "mediamw": "from mediamw.wsgi import MediaMiddleware\nMediaMiddleware(print, [sys.argv[1]])",
    "whitenoise": "from whitenoise import WhiteNoise\nWhiteNoise(print, sys.argv[1], prefix='media/')",
    "starlette.staticfiles": "from starlette.staticfiles import StaticFiles\nStaticFiles(directory=sys.argv[1])",
}
"""Importing ours is cheap because the first middleware loads the rest: so this is shown too."""
FIRST_URL = {
    "mediamw": f"""
from mediamw import LocalBackend, MediaStack, S3Backend
bucket = S3Backend({BUCKET!r}, name="prod", region="us-east-1", check=False, **{KEYS!r})
url = MediaStack([LocalBackend(sys.argv[1]), bucket]).url("homes/42/a.jpg")
""",
    "boto3": f"""
import boto3
from botocore.config import Config
keys = {{"aws_" + name: text for name, text in {KEYS!r}.items()}}
client = boto3.client("s3", region_name="us-east-1", config=Config(signature_version="s3v4"), **keys)
url = client.generate_presigned_url("get_object", Params={{"Bucket": {BUCKET!r}, "Key": "homes/42/a.jpg"}})
""",
}
PROGRAM = """
import sys, time
def pages():
    return int(open("/proc/self/statm").read().split()[1])
before, started = pages(), time.perf_counter()
{code}
took = time.perf_counter() - started
print(took * 1000, (pages() - before) * {page} / (1 << 20))
{check}
"""


def run(media: Media, options: Options) -> list[Table]:
    """Measure both; the first round is not counted, in which Python writes its caches."""
    with tempfile.TemporaryDirectory(prefix="mediamw-start-") as compiled:
        return _run(media, options, compiled)


def _run(media: Media, options: Options, compiled: str) -> list[Table]:
    imports, urls = Table("import", (TIME, MEMORY)), Table("local and S3, first URL", (TIME, MEMORY))
    middlewares = Table("import, and a middleware of one directory", (TIME, MEMORY))
    rounds = options.few(options.rounds * 4, 1)  # they are short, and the machine's noise is large beside them
    for number in range(rounds + 1):
        for table, programs, check in (
            (imports, IMPORTS, ""),
            (middlewares, MIDDLEWARE, ""),
            (urls, FIRST_URL, 'assert "X-Amz-Signature=" in url'),
        ):
            for name, code in programs.items():
                module = name.partition(".")[0]
                if find_spec(module) is None:
                    say_missing({"depot": "filedepot"}.get(module, module))
                    continue
                took, memory = _measure(code, check, media, compiled)
                if number:
                    table.add(name, TIME.name, took)
                    table.add(name, MEMORY.name, memory)
    return [imports, middlewares, urls]


def _measure(code: str, check: str, media: Media, compiled: str) -> tuple[float, float]:
    import resource

    program = PROGRAM.format(code=code, check=check, page=resource.getpagesize())
    command = [sys.executable, "-c", program, str(media.root)]
    variables = {**environment(), "PYTHONPYCACHEPREFIX": compiled}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=variables).stdout
    took, memory = said.split()
    return float(took), float(memory)
