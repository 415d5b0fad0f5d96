"""OpenStack Swift with its S3 face: an implementation of S3 that others wrote and run, from Debian's packages.

One device, one replica, no background daemons, every server one process, on ports of its own. The proxy's access log is
the witness of what was asked by whom: a line for each request, with the key that signed it.

Users: ``test:tester`` may do all and fills the buckets; ``test:ro`` may read and list those that ``let_read`` names it
for. Source of the settings: Swift's "SAIO" and "proxy-server.conf-sample".
"""

from __future__ import annotations

import getpass
import http.client
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from .processes import Process, free_ports, running

PACKAGES = "swift-proxy swift-account swift-container swift-object memcached"
PROGRAMS = [*(f"swift-{name}-server" for name in ("proxy", "account", "container", "object")), "memcached"]
PYTHON = "/usr/bin/python3"  # Debian's, which has Swift's modules

ADMIN_ID, ADMIN_SECRET = "test:tester", "testing"
READER_ID, READER_SECRET = "test:ro", "rosecret"
NOBODY_ID, NOBODY_SECRET = "test:nobody", "nosecret"
REGION = "us-east-1"
STORAGE_DOMAIN = "s3.localhost"

_RINGS = """
import sys
from swift.common.ring import RingBuilder
for name, port in zip(("account", "container", "object"), sys.argv[1:]):
    ring = RingBuilder(2, 1, 0)  # 4 partitions, 1 replica
    ring.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "d1", "weight": 1,
                  "replication_ip": "127.0.0.1", "replication_port": int(port), "meta": ""})
    ring.rebalance()
    ring.get_ring().save(name + ".ring.gz")
"""

_COMMON = """
[swift-hash]
swift_hash_path_prefix = tests
swift_hash_path_suffix = tests
[storage-policy:0]
name = one
default = yes
"""

_SERVER = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
workers = 0
disable_fallocate = true
"""

_STORAGE = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

# The log stands before s3api, so it holds what clients sent and not what s3api makes of it.
_PROXY = f"""
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache listing_formats s3api tempauth copy slo dlo
  proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
log_msg_template = asked {{method}} {{status_int}} {{path}} {{headers}}
access_log_headers = yes
access_log_headers_only = Authorization
reveal_sensitive_prefix = 4096
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:MEMCACHED
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = {REGION}
storage_domain = {STORAGE_DOMAIN}
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {ADMIN_SECRET} .admin
user_test_ro = {READER_SECRET}
user_test_nobody = {NOBODY_SECRET}
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""

_ASKED = re.compile(r"\basked ([A-Z]+) ([0-9]{3}) (\S+) (\S+)")
_SIGNER = re.compile(r"Credential=([^/]+)/[0-9]{8}/")


@dataclass(frozen=True)
class Asked:
    """A line of the access log."""

    method: str
    status: int
    target: str  # path and query, as sent
    user: str | None  # who signed it


@dataclass(frozen=True)
class Swift:
    """A proxy that answers."""

    port: int
    proxy: Process

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self) -> list[Asked]:
        """Every request that has been answered so far, oldest first."""
        found = []
        for match in _ASKED.finditer(self.proxy.log.read_text("utf-8", "replace")):
            # The log quotes what it prints, and in a query that was quoted once already.
            target, authorization = unquote(match[3]), unquote(match[4])
            signer = _SIGNER.search(unquote(target)) or _SIGNER.search(authorization)
            found.append(Asked(match[1], int(match[2]), target, signer[1] if signer else None))
        return found

    def wait_for(self, marker: str) -> list[Asked]:
        """Return what was asked, once the request whose target holds the word ``marker`` is among it."""
        self.proxy.wait_for_words(rf"\basked \S+ \S+ \S*{marker}")
        return self.asked()

    def let_read(self, bucket: str, user: str = READER_ID) -> None:
        """Let ``user`` read and list ``bucket``: Swift's own grants, which its S3 face heeds."""
        admin = {"X-Auth-User": ADMIN_ID, "X-Auth-Key": ADMIN_SECRET}
        token = self._ask("GET", "/auth/v1.0", admin)["x-auth-token"]
        self._ask("POST", f"/v1/AUTH_test/{bucket}", {"X-Auth-Token": token, "X-Container-Read": user})

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> dict[str, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, headers={"Content-Length": "0", **headers})
            with connection.getresponse() as response:
                body = response.read()
                assert response.status in (200, 204), (method, path, response.status, body)
                return {name.lower(): value for name, value in response.getheaders()}


def missing_packages() -> list[str]:
    """The programs that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextmanager
def running_swift(folder: Path) -> Iterator[Swift]:
    """Run a Swift of its own, empty, in ``folder`` until the block ends."""
    ports = dict(zip(("account", "container", "object", "proxy", "memcached"), free_ports(5), strict=True))
    (folder / "devices" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text(_COMMON)
    rings = [PYTHON, "-I", "-c", _RINGS, *(str(ports[kind]) for kind in ("account", "container", "object"))]
    subprocess.run(rings, cwd=folder, check=True, timeout=60, capture_output=True)
    with ExitStack() as stack:
        options = ["-l", "127.0.0.1", "-p", str(ports["memcached"]), "-U", "0", "-u", getpass.getuser()]
        started = {"memcached": stack.enter_context(running("memcached", ["memcached", *options], folder))}
        for kind in ("account", "container", "object", "proxy"):
            text = (
                _PROXY.replace("MEMCACHED", str(ports["memcached"])) if kind == "proxy" else _STORAGE.format(kind=kind)
            )
            head = _SERVER.format(port=ports[kind], user=getpass.getuser(), folder=folder)
            conf = folder / f"{kind}.conf"
            conf.write_text(head + text)
            verbose = "-v"  # the log goes to stderr, not to the system's
            started[kind] = stack.enter_context(running(kind, [f"swift-{kind}-server", conf, verbose], folder))
        for kind, process in started.items():
            process.wait_for_port(ports[kind])
        yield Swift(ports["proxy"], started["proxy"])
