"""Runs a command beside a production bucket of its own: an S3 server in this process, with the demo's pictures.

    python examples/bucket.py flask --app examples/flask_app/app.py run
    python examples/bucket.py python examples/django_app/manage.py demo

The command gets what a developer has: the name of the bucket, a key that can only read, and where the bucket is, for
mediamw as ``MEDIAMW_*``, and as ``PRODUCTION_*`` for settings that name their storage themselves. With your own bucket
there is nothing of this: set the same variables to yours.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping

from mediamw.cli.demo.production import ACCESS_KEY_ID, BUCKET, new_secret, production


def environment(endpoint: str, secret: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return ``given`` with the variables of the bucket."""
    local = given.get("MEDIAMW_LOCAL_DIR", "./media")
    return {
        **given,
        "MEDIAMW_BACKENDS": shlex.join([local, f"prod=s3://{BUCKET}?endpoint_url={endpoint}&region=us-east-1"]),
        "MEDIAMW_BACKEND_PROD_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "MEDIAMW_BACKEND_PROD_SECRET_ACCESS_KEY": secret,
        "PRODUCTION_BUCKET_NAME": BUCKET,
        "PRODUCTION_ENDPOINT_URL": endpoint,
        "PRODUCTION_REGION_NAME": "us-east-1",
        "PRODUCTION_ACCESS_KEY": ACCESS_KEY_ID,
        "PRODUCTION_SECRET_KEY": secret,
    }


def main(command: list[str]) -> int:
    """Run ``command`` until it ends, and return its exit status."""
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the command is ended too
    secret = new_secret()
    with production(secret) as s3:
        process = subprocess.Popen(command, env=environment(s3.endpoint, secret, os.environ))
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal has told the command too
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
            if s3.writes:
                print(f"writes that reached production: {s3.writes}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
