"""The breaker of a stack: who tries whether the origin is back, what is one failure, what is no answer at all."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mediamw import BackendUnavailable, HTTPOriginBackend, S3Backend
from mediamw.backends.rules import Rules
from mediamw.backends.s3_errors import account_error
from mediamw.core.errors import Unreachable
from mediamw.core.keys import Key
from mediamw.core.model import Missing, Redirect
from mediamw.stack import lookups as lookups_module
from mediamw.stack.origins import NETWORK_THREADS
from mediamw.stack.stack import MediaStack
from mediamw.stack.steps import run

from .fakes import Bucket, Clock, Local, ask, dead, gate, settle, stack_on, until
from .test_outage import A, B, both, break_it, clock

__all__ = ["clock"]  # a fixture

pytestmark = pytest.mark.usefixtures("stacks_closed")


def hanging(stack: MediaStack, s3: Bucket, number: int = NETWORK_THREADS) -> None:
    """Have ``number`` threads hang that no deadline can end, as in a DNS; three time-outs open the breaker."""
    for each in range(number):
        steps = stack.finding(Key(f"hangs {each}"), "GET")
        next(steps)
        until(lambda each=each: len(s3.asked) == each + 1)
        if each < 3:
            with pytest.raises(Unreachable, match="no answer within"):
                steps.throw(TimeoutError())
        else:
            steps.close()
        if each == 2:
            stack._asker.origins["s3"].health._state.get().open_until = None  # so that the others can be asked too
    stack._asker.origins["s3"].health.timed_out("no answer within 8 s")
    with pytest.raises(Unreachable, match="left alone"):
        stack.find(A)


def test_while_all_threads_hang_one_waits_and_the_others_are_answered_at_once(clock: Clock) -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"}, wait=wait)
    stack = stack_on(clock, Local("local"), s3)
    hanging(stack, s3)
    for _ in range(3):
        clock.now += 10
        one = stack.finding(A, "GET")
        assert next(one).seconds == 8
        for number in range(32):
            with pytest.raises(Unreachable, match="left alone"):
                next(stack.finding(Key(str(number)), "GET"))
        with pytest.raises(Unreachable, match="left alone"):
            next(stack.reading("s3", lambda: None))
        clock.now += 8
        with pytest.raises(Unreachable, match="no answer within 8 s"):
            one.throw(TimeoutError())
        with pytest.raises(Unreachable, match="left alone") as caught:
            next(stack.finding(A, "GET"))
        assert caught.value.retry_after == 10
    assert len(s3.asked) == NETWORK_THREADS
    event.set()
    settle(stack)
    assert isinstance(ask(stack, A), Redirect)


@pytest.mark.parametrize("joins", [False, True])
def test_whoever_tries_and_leaves_lets_the_next_one_try(clock: Clock, joins: bool) -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"}, wait=wait)
    stack = stack_on(clock, Local("local"), s3)
    hanging(stack, s3)
    clock.now += 10
    for key in (Key("hangs 4") if joins else A, B):
        steps = stack.finding(key, "GET")
        assert next(steps).seconds == 8
        with pytest.raises(Unreachable, match="left alone"):
            next(stack.finding(Key("other"), "GET"))
        steps.close()  # the client has gone
    body = stack.reading("s3", lambda: 1)
    next(body)
    with pytest.raises(Unreachable, match="left alone"):
        next(stack.finding(A, "GET"))
    body.close()
    assert run(stack.reading("s3", lambda: 1)) == 1, "and what asks nobody gives its place back"
    last = stack.finding(A, "GET")
    assert next(last).seconds == 8
    last.close()
    event.set()


def test_too_many_that_wait_leave_the_place_of_who_tries(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = Bucket("s3", {A: b"x"})
    stack = stack_on(clock, Local("local"), s3)
    break_it(stack, s3)
    clock.now += 10
    with monkeypatch.context() as patch:
        patch.setattr(lookups_module, "MAX_FLIGHTS", 0)
        assert "are waiting" in str(ask(stack, A))
    assert isinstance(ask(stack, A), Redirect)


def test_who_tries_what_hangs_already_opens_it_for_ten_more(clock: Clock) -> None:
    """He joins a question that is under way, whose time-out was counted long ago."""
    event, wait = gate()
    s3 = Bucket("s3", {}, wait=wait)
    stack = stack_on(clock, Local("local"), s3)
    hanging(stack, s3, 3)
    clock.now += 10
    steps = stack.finding(Key("hangs 0"), "GET")
    next(steps)
    with pytest.raises(Unreachable, match="no answer within"):
        steps.throw(TimeoutError())
    with pytest.raises(Unreachable, match="left alone") as caught:
        stack.find(A)
    assert caught.value.retry_after == 10
    event.set()


def test_explain_says_so_while_another_one_tries(clock: Clock) -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"}, wait=wait)
    stack = stack_on(clock, Local("local"), s3)
    hanging(stack, s3)
    clock.now += 10
    steps = stack.finding(A, "GET")
    next(steps)
    explained = stack.explain(B)
    assert explained.said == "unavailable"
    assert "left alone" in explained.looks[1].reason
    steps.close()
    event.set()
    settle(stack)
    assert stack.explain(A).said == "redirect"


def test_a_question_that_hangs_and_fails_late_is_one_failure(clock: Clock) -> None:
    event, wait = gate()
    hung = [str(number) for number in range(2)]
    s3 = Bucket("s3", {key: dead("s3") for key in hung}, wait=wait)
    stack = stack_on(clock, Local("local"), s3)
    health = stack._asker.origins["s3"].health
    for key in hung:
        steps = stack.finding(Key(key), "GET")
        next(steps)
        until(lambda key=key: key in s3.asked)
        with pytest.raises(Unreachable):
            steps.throw(TimeoutError())
    assert health._state.get().failures == 2
    event.set()
    settle(stack)
    assert health._state.get().failures == 2
    s3.files["third"] = dead("s3")
    ask(stack, "third")
    clock.now += 9
    assert "left alone" in str(ask(stack, A))


def test_what_fails_late_keeps_it_open_no_longer(clock: Clock) -> None:
    event, wait = gate()
    s3 = Bucket("s3", {f"hangs {number}": dead("s3") for number in range(3)}, wait=wait)
    stack = stack_on(clock, Local("local"), s3)
    hanging(stack, s3, 3)
    clock.now += 9
    event.set()
    settle(stack)
    clock.now += 1
    assert isinstance(ask(stack, A), Missing)


def broken(name: str) -> Unreachable:
    return Unreachable("it answered 500", backend=name, answered=True)


def test_one_broken_file_shuts_nobody_out(clock: Clock) -> None:
    """By its look-up or by its body: an answer of 500 says that the origin is up."""
    s3 = Bucket("s3", {A: broken("s3"), B: b"x"}, rules=Rules(delivery="proxy"))
    stack = stack_on(clock, Local("local"), s3)
    for _ in range(9):
        assert both(stack).status == 503
    assert both(stack, path=f"/media/{B}").status == 200
    s3.files[A] = b"x"
    assert both(stack, "HEAD").status == 200
    s3.files[A] = broken("s3")
    for _ in range(9):
        assert both(stack).status == 503
    s3.files["other"] = broken("s3")
    ask(stack, "other")
    assert both(stack, path=f"/media/{B}").status == 200
    for key in ("c", "d", "e"):
        s3.files[key] = broken("s3")
        assert "answered 500" in str(ask(stack, key))
    assert "left alone" in str(ask(stack, "f"))


# -- what never reached the origin -------------------------------------------------------------------------------------


@pytest.fixture
def nowhere() -> str:
    """A URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def failures_of(stack: MediaStack, name: str) -> int:
    return stack._asker.origins[name].health._state.get().failures


LONGEST = "/".join(["x" * 200] * 5) + "/" + "y" * 11  # with uploads/ in front 1,024 bytes


def test_a_key_that_is_too_long_with_its_location_is_no_sign_of_life(nowhere: str, clock: Clock) -> None:
    s3 = S3Backend("prod", location="/uploads/", endpoint_url=nowhere, name="s3", **KEYS)
    stack = stack_on(clock, Local("local"), s3, misses_a_minute=1)
    for number in range(2):
        assert isinstance(ask(stack, f"k{number}"), Unreachable)
        for each in range(3):  # more than there may be misses
            assert ask(stack, f"{LONGEST}{each}") == Missing()
    assert failures_of(stack, "s3") == 2
    explained = stack.explain(f"{LONGEST}z")
    assert (explained.said, explained.looks[1].answer) == ("missing", "not asked")
    assert "longer than any" in explained.looks[1].reason
    assert isinstance(ask(stack, LONGEST), Unreachable), "this one it may have"
    assert failures_of(stack, "s3") == 3
    assert ask(stack, f"{LONGEST}z") == Missing()


def test_the_length_counts_in_bytes(nowhere: str) -> None:
    s3 = S3Backend("prod", location="é", endpoint_url=nowhere, access_key_id="A", secret_access_key="S")
    assert s3.rules.fits(Key("é" * 510 + "x"))
    assert not s3.rules.fits(Key("é" * 511))


def test_a_way_that_is_too_long_is_no_sign_of_life(nowhere: str, clock: Clock) -> None:
    stack = stack_on(clock, Local("local"), HTTPOriginBackend(f"{nowhere}/media/", name="site"), misses_a_minute=1)
    way = ", ".join(f"1.1 mediamw-{number:012x}" for number in range(60))

    def in_a_circle(key: str) -> None:
        with pytest.raises(BackendUnavailable, match="in a circle"):
            run(stack.finding(Key(key), "GET", via=way))
        settle(stack)

    for number in range(3):
        in_a_circle(f"a{number}")
        assert isinstance(ask(stack, f"k{number}"), Unreachable)
    assert "left alone" in str(ask(stack, "b"))
    clock.now += 10
    in_a_circle("c")
    assert "left alone" not in str(ask(stack, "d")), "it is still to be tried"
    assert "left alone" in str(ask(stack, "e"))


# -- what the backends say ---------------------------------------------------------------------------------------------


@pytest.fixture
def refusing() -> Iterator[str]:
    """The URL of a server that answers 503 to everything."""

    class Refuses(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


KEYS: Any = {"access_key_id": "A", "secret_access_key": "S"}


@pytest.mark.parametrize("what", ["open", "read_range", "list"])
@pytest.mark.parametrize("kind", ["s3", "http"])
def test_a_5xx_is_an_answer_of_the_origin_and_silence_is_none(
    refusing: str, nowhere: str, kind: str, what: str
) -> None:
    for url, answered in ((refusing, True), (nowhere, False)):
        backend = S3Backend("prod", endpoint_url=url, **KEYS) if kind == "s3" else HTTPOriginBackend(url + "/")
        asks: dict[str, Callable[[], Any]] = {
            "open": lambda backend=backend: backend.open(A),
            "read_range": lambda backend=backend: list(backend.read_range(A, 0, 1, None)),
        }
        if isinstance(backend, S3Backend):
            asks["list"] = lambda backend=backend: list(backend.list("", recursive=True))
        if what in asks:
            with pytest.raises(Unreachable) as caught:
                asks[what]()
            assert caught.value.answered is answered
        backend.close()


@pytest.mark.parametrize("name", ["SSOError", "ProfileNotFound", "ConfigParseError", "NoAuthTokenError", "ClientError"])
def test_of_an_account_that_is_wrong_the_bucket_knows_nothing(name: str) -> None:
    error = account_error(type(name, (Exception,), {})("no"), "s3", None)
    assert error.answered is (name == "ClientError"), "a service for credentials is not asked without bound either"


@pytest.mark.parametrize("wrong", ["", "AWS_CA_BUNDLE", "HTTPS_PROXY", "no certificates"])
def test_without_what_it_takes_to_ask_the_bucket_was_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    if wrong == "no certificates":
        (tmp_path / "empty.pem").touch()
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "empty.pem"))
    elif wrong:
        monkeypatch.setenv(wrong, {"AWS_CA_BUNDLE": str(tmp_path / "none.pem")}.get(wrong, "ftp://127.0.0.1:1"))
    keys = KEYS if wrong else {}
    with pytest.raises(BackendUnavailable) as caught:
        S3Backend("prod", endpoint_url="https://127.0.0.1:1", **keys).open(A)
    assert not isinstance(caught.value, Unreachable)
    assert not caught.value.answered
