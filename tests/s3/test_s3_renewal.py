"""Credentials renewed ahead of their end: when, by whom, for how long, and that no request waits for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from mediamw.backends import renewal
from mediamw.backends.per_process import PerProcess
from mediamw.backends.renewal import AHEAD_SECONDS, RETRY_SECONDS, Renewal, Run
from mediamw.backends.s3 import S3Backend
from mediamw.backends.sigv4 import Credentials
from mediamw.core.errors import BackendUnavailable

from .s3_world import BUCKET, SECRET, TOKEN, key

PHOTO = key("a/b c.jpg")


class World:
    """A clock that stands still until it is set, and credentials of an hour that can be made to fail."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.renewals: list[float] = []
        self.life_s: float | None = 3600.0
        self.fails = False
        self.renewal = Renewal(self.renew, "prod", clock=lambda: self.now)

    def renew(self) -> float | None:
        self.renewals.append(self.now)
        if self.fails:
            raise BackendUnavailable("STS does not answer", backend="prod")
        return None if self.life_s is None else self.now + self.life_s

    def run(self, life_s: float = 3600.0) -> Run:
        """The state of a thread that has not started, for credentials that end in ``life_s``."""
        expires = self.now + life_s
        run = Run(expires, expires - AHEAD_SECONDS)
        self.renewal._runs[os.getpid()] = run  # so that ``used`` starts none
        self.renewal.used(expires)
        return run

    def until_next(self, run: Run) -> float | None:
        """Let the clock run as the thread waits, until it asks or ends; return when that was."""
        before = len(self.renewals)
        while (pause := self.renewal.step(run)) is not None and len(self.renewals) == before:
            assert pause > 0
            self.now += pause
        return self.now if len(self.renewals) > before else None


def test_renewed_14_minutes_ahead_and_again_with_the_new_ones() -> None:
    world = World()
    run = world.run()
    assert world.until_next(run) == 1000 + 3600 - 840
    world.renewal.used(run.expires)
    assert world.until_next(run) == 1000 + 2 * (3600 - 840)
    assert run.expires == world.now + 3600


def test_an_idle_backend_is_not_renewed() -> None:
    world = World()
    run = world.run()
    assert world.until_next(run) is not None
    assert world.until_next(run) is None  # nobody used the new ones
    assert len(world.renewals) == 1


def test_a_failure_is_tried_again_after_half_a_minute_until_the_end(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    run = world.run()
    world.fails = True
    first = world.until_next(run)
    assert first is not None
    assert world.until_next(run) == first + RETRY_SECONDS
    assert "credentials are not renewed yet: backend 'prod': STS does not answer" in caplog.text
    while world.until_next(run) is not None:
        pass
    assert len(world.renewals) == AHEAD_SECONDS // RETRY_SECONDS + 1  # and then it is the next request's to ask
    assert world.now == run.expires


def test_after_a_failure_it_goes_on() -> None:
    world = World()
    run = world.run()
    world.fails = True
    world.until_next(run)
    world.fails = False
    world.until_next(run)
    assert run.expires == world.now + 3600


@pytest.mark.parametrize("life_s", [10.0, 300.0, AHEAD_SECONDS])
def test_credentials_with_a_short_life_are_asked_for_every_half_minute_at_most(life_s: float) -> None:
    """Metadata services hand out the same ones until shortly before their end."""
    world = World()
    run = world.run(life_s)
    world.life_s = life_s
    asked = []
    for _ in range(5):
        world.renewal.used(run.expires)
        asked.append(world.until_next(run))
    assert asked == [1000 + number * RETRY_SECONDS for number in range(5)]


def test_permanent_credentials_end_it() -> None:
    world = World()
    run = world.run()
    world.life_s = None
    world.now = run.due
    assert world.renewal.step(run) is None
    other = Renewal(world.renew, "prod")
    other.used(None)
    assert other._runs == {}
    assert len(world.renewals) == 1


def test_a_machine_that_slept_asks_at_once() -> None:
    world = World()
    run = world.run()
    pause = world.renewal.step(run)
    assert pause == 60  # threads do not wait longer, since their clock stands still in sleep
    world.now += 100_000
    assert world.until_next(run) == 101_000


# -- with threads ------------------------------------------------------------------------------------------------------


class Source:
    """botocore's renewing credentials: each renewal waits until the test lets it, and has a new key id."""

    def __init__(self, first_life_s: float) -> None:
        self.asked = threading.Event()
        self.let = threading.Event()
        self.renewals = 0
        self.threads: set[str] = set()
        self.source = RefreshableCredentials.create_from_metadata(self.answer(first_life_s), self.fetch, "test")

    def answer(self, life_s: float) -> dict[str, str]:
        return {
            "access_key": f"AK{self.renewals}",
            "secret_key": SECRET,
            "token": TOKEN,
            "expiry_time": (datetime.now(UTC) + timedelta(seconds=life_s)).isoformat(),
        }

    def fetch(self) -> dict[str, str]:
        self.threads.add(threading.current_thread().name)
        self.asked.set()
        assert self.let.wait(10)
        self.renewals += 1
        return self.answer(3600)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)


@pytest.fixture
def made() -> Iterator[Callable[[Source], S3Backend]]:
    backends: list[S3Backend] = []

    def make(source: Source) -> S3Backend:
        backend = S3Backend(BUCKET, region="us-east-1", name="prod")
        backend._account._mine.get().source = source.source
        backends.append(backend)
        return backend

    yield make
    for backend in backends:
        backend.close()
        wait_until(lambda: not any("prod-renewal" in thread.name for thread in threading.enumerate()))


def key_id(url: str) -> str:
    return url.partition("X-Amz-Credential=")[2].partition("%2F")[0]


def test_no_request_waits_and_the_signer_is_swapped(made: Callable[[Source], S3Backend]) -> None:
    source = Source(3600)
    prod = made(source)
    prod.prepare()
    source.source._expiry_time = datetime.now(UTC) + timedelta(seconds=600)  # mandatory for botocore: it would block
    assert prod._signer is not None
    prod._signer = type(prod._signer)(_ending(prod, 600), "us-east-1")
    now = time.time()
    assert prod.can_sign(now)
    assert key_id(prod.sign(PHOTO, "GET", now).url) == "AK0"
    assert source.asked.wait(10)  # another thread asks meanwhile, and hangs
    for _ in range(50):
        assert prod.can_sign(now)
        assert key_id(prod.sign(PHOTO, "GET", now).url) == "AK0"
        assert prod._asked()[0].credentials.access_key_id == "AK0"
    source.let.set()
    wait_until(lambda: key_id(prod.sign(PHOTO, "GET", now).url) == "AK1")
    assert source.renewals == 1
    assert source.threads == {"mediamw-prod-renewal"}


def _ending(prod: S3Backend, seconds: float) -> Any:
    assert prod._signer is not None
    now = prod._signer.credentials
    return Credentials(now.access_key_id, now.secret_access_key, now.session_token, time.time() + seconds)


def test_a_listing_uses_the_snapshot_and_renews_nothing(
    made: Callable[[Source], S3Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    prod = made(Source(3600))
    prod.prepare()
    given: list[Any] = []

    def client(style: str, credentials: Any = None) -> Any:
        given.append(credentials)
        raise ValueError("far enough")

    monkeypatch.setattr(prod._account, "read_only_client", client)
    with pytest.raises(BackendUnavailable):
        list(prod.list("", recursive=True))
    assert prod._signer is not None
    assert given == [prod._signer.credentials]


def test_many_threads_start_one_renewal(made: Callable[[Source], S3Backend]) -> None:
    source = Source(600)
    source.let.set()
    prod = made(source)
    prod._account._mine.get().source._mandatory_refresh_timeout = 0
    prod.prepare()
    barrier = threading.Barrier(8)

    def use() -> None:
        barrier.wait(10)
        for _ in range(20):
            prod._asked()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    names = [thread.name for thread in threading.enumerate() if thread.name == "mediamw-prod-renewal"]
    for thread in threads:
        thread.join(10)
    assert len(names) <= 1
    assert len(prod._renewal._runs) == 1 if prod._renewal is not None else False


def test_close_ends_it_and_use_starts_it_again(made: Callable[[Source], S3Backend]) -> None:
    prod = made(Source(3600))
    prod._asked()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "mediamw-prod-renewal"]
    assert thread.daemon
    prod.close()
    thread.join(10)
    assert not thread.is_alive()
    prod._asked()
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("mediamw-prod-renewal") == 1


def test_a_thread_that_has_ended_can_be_followed_by_another() -> None:
    asked = threading.Event()
    over = Renewal(lambda: asked.set(), "over")  # permanent ones came back
    for _ in range(2):
        over.used(time.time())
        assert asked.wait(10)
        asked.clear()
        wait_until(lambda: over._runs == {})


def test_keys_and_anonymous_access_have_no_thread() -> None:
    for options in ({"access_key_id": "AK", "secret_access_key": "x", "session_token": "t"}, {"anonymous": True}):
        prod = S3Backend(BUCKET, **options)  # type: ignore[arg-type]
        prod._asked()
        prod.sign(PHOTO, "GET", time.time())
        assert prod._renewal is None


def test_a_thread_that_cannot_be_started_fails_no_request(
    made: Callable[[Source], S3Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    prod = made(Source(3600))

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(renewal.threading.Thread, "start", start)
        prod._asked()
        assert prod._renewal is not None
        assert prod._renewal._runs == {}
    prod._asked()
    assert len(prod._renewal._runs) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_while_it_is_renewed(made: Callable[[Source], S3Backend]) -> None:
    """The child has the snapshot, locks of its own, and starts a thread of its own."""
    source = Source(3600)
    prod = made(source)
    prod.prepare()
    source.source._expiry_time = datetime.now(UTC) + timedelta(seconds=600)
    prod._signer = type(prod._signer)(_ending(prod, 600), "us-east-1")  # type: ignore[misc]
    prod.sign(PHOTO, "GET", time.time())
    assert source.asked.wait(10)  # the account's and the backend's locks are held by the thread
    child = os.fork()
    if child == 0:
        status = 1
        try:
            prod._account._mine.get().source = Source(3600).source
            prod.sign(PHOTO, "GET", time.time())
            prod.prepare()  # not behind the parent's lock
            status = 0 if len(prod._renewal._runs) == 2 else 2  # type: ignore[union-attr]
        finally:
            os._exit(status)
    deadline = time.monotonic() + 20
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if done == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    source.let.set()
    assert done[1] == 0


def test_one_value_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    values = PerProcess(object)
    first = values.get()
    assert values.get() is first
    with monkeypatch.context() as patch:
        patch.setattr(renewal.os, "getpid", lambda: -1)
        assert values.get() is not first
    assert values.pop() is first
    assert values.get() is not first
