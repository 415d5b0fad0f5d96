"""For all tests: no credentials of the machine, no network but loopback, and --portable.

``--portable`` runs the suite with every Linux-only call disabled (openat2, O_PATH, RWF_NOWAIT, renameat2), as macOS has
it. With MEDIAMW_NOTHING_SKIPPED in the environment a skipped test is a failure: CI must not be green for lack of a
package. It is taken out of the environment like all that mediamw itself would read there.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from mediamw import MediaStack
from mediamw.backends import beneath, exchange, local_handle

from .postgresql import programs, running_postgresql
from .secrets_seen import watched

NOTHING_SKIPPED = bool(os.environ.get("MEDIAMW_NOTHING_SKIPPED"))
OURS = ("AWS_", "MEDIAMW_", "STORAGE_", "STORAGES_", "DO_REGION")
MODES = ("openat2", "walk", "portable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--portable", action="store_true", help="disable every call that only Linux has")


def pytest_configure(config: pytest.Config) -> None:
    # Here and not in a fixture: subprocesses and what is made at import must not see them either.
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = "/missing/by/intent"
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    if config.getoption("--portable"):
        beneath._openat2 = None
        exchange._renameat2 = None
        beneath.DIRECTORY_FLAGS &= ~getattr(os, "O_PATH", 0)
        local_handle._RWF_NOWAIT = 0


def _skipped(config: pytest.Config) -> list[Any]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("skipped", []) if reporter and NOTHING_SKIPPED else []


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if skipped := _skipped(config):
        terminalreporter.write_line(
            f"MEDIAMW_NOTHING_SKIPPED: {len(skipped)} skipped, so this run has failed", red=True
        )


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[list[Any]]:
    """Fail whoever connects to another machine, and at the end whoever swallowed that."""
    refused: list[Any] = []

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            refused.append(address)
            pytest.fail(f"a test connected to {address}: only loopback is allowed")

    with pytest.MonkeyPatch.context() as patch:
        # On the class, so that whoever imported it already is guarded too.
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _replacement(name, check))
        yield refused
    if refused:
        pytest.fail(f"tests connected to other machines: {refused}")


@pytest.fixture(autouse=True, scope="session")
def no_secret_is_shown() -> Iterator[None]:
    """Fail at the end if a secret stood in a log record or in an error, whichever test it was."""
    with watched() as seen:
        yield
    if seen:
        pytest.fail("secrets were shown:\n" + "\n".join(sorted(set(seen))[:50]))


def _replacement(name: str, check: Any) -> Any:
    original = getattr(socket.socket, name)

    def guarded(self: socket.socket, address: Any) -> Any:
        check(self, address)
        return original(self, address)

    return guarded


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A virtual environment with mediamw and the frameworks, one for the session: ``fresh.environment.Environment``."""
    from .fresh import environment

    folder = tmp_path_factory.mktemp("new") / "environment"
    try:
        yield environment.new_environment(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # pytest would keep the last three, which are large


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The three ways of opening beneath a root; each test that takes this runs in all of them."""
    name: str = request.param
    if name == "openat2" and beneath._openat2 is None:
        pytest.skip("no openat2 here" + (" (--portable)" if request.config.getoption("--portable") else ""))
    if name != "openat2":
        monkeypatch.setattr(beneath, "_openat2", None)
    if name == "portable":
        monkeypatch.setattr(beneath, "HAS_DIR_FD", False)
    elif not beneath.HAS_DIR_FD:
        pytest.skip("no directory descriptors here")
    return name


@pytest.fixture
def roots_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe a root for longer than a busy machine may stand still: nothing is quick of one that has to be looked at.

    Tests of what is quick take this; how long a root is believed is tested in test_local.py.
    """
    monkeypatch.setattr(beneath, "_ROOT_CHECK_SECONDS", 600.0)


@pytest.fixture
def stacks_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the stacks that a test made, whose threads would be waited for at the end."""
    stacks: list[MediaStack] = []
    made = MediaStack.__init__

    def noted(self: MediaStack, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        stacks.append(self)

    monkeypatch.setattr(MediaStack, "__init__", noted)
    yield
    for stack in stacks:
        stack.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real PostgreSQL, one for the session; whoever uses it empties it."""
    pytest.importorskip("psycopg", reason="pip install 'psycopg[binary]'")
    bin_ = programs()
    if bin_ is None:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    with running_postgresql(bin_) as url:
        yield url
