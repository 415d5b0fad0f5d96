"""Look-ups that take too long, in forked children, and for a page full of images."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mediamw import BackendUnavailable, MediaStack
from mediamw.asgi import MediaMiddleware as ASGIMiddleware
from mediamw.core.keys import Key
from mediamw.core.model import Missing, Redirect
from mediamw.wsgi import MediaMiddleware as WSGIMiddleware

from .fakes import Bucket, Local, gate, get, until
from .s3.s3_world import BUCKET, Clock, backend, s3_server

A, B = Key("a.jpg"), Key("b.jpg")


# -- not for ever ------------------------------------------------------------------------------------------------------


def test_a_lower_that_does_not_answer_cannot_tell() -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"}, wait=wait)
    stack = MediaStack([Local("local"), s3], deadline=0.02)
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match=r"no answer within 0\.02 s"):
            stack.find(A)
    assert s3.asked == [A]  # the second one waits for the same answer
    event.set()
    until(lambda: isinstance(find_now(stack, A), Redirect))  # which is taken when it comes
    assert s3.asked == [A]
    assert isinstance(stack.find("nobody.jpg"), Missing)
    stack.close()


def find_now(stack: MediaStack, key: str) -> Any:
    try:
        return stack.find(key)
    except BackendUnavailable:
        return None


def test_the_next_lower_serves_while_one_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    event, wait = gate()
    stack = MediaStack(
        [Local("local"), Bucket("silent", {}, wait=wait), Bucket("s3", {A: b"x"})], deadline=0.02, found_ttl=0
    )
    found = stack.find(A)
    assert isinstance(found, Redirect)
    assert found.backend == "s3"
    assert "no answer within 0.02 s; served from backend 's3' instead" in caplog.text
    event.set()
    stack.close()


def test_credentials_that_do_not_come_cannot_tell() -> None:
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x"})
    stack = MediaStack([Local("local"), s3], deadline=0.02)
    stack.find(A)
    s3.ready, s3.wait = False, wait
    with pytest.raises(BackendUnavailable, match="no answer within"):
        stack.find(A)
    event.set()
    until(lambda: s3.ready)
    assert isinstance(stack.find(A), Redirect)
    stack.close()


def test_the_deadline_holds_under_asgi(caplog: pytest.LogCaptureFixture) -> None:
    event, wait = gate()
    stack = MediaStack([Local("local"), Bucket("s3", {A: b"x"}, wait=wait)], deadline=0.02)

    async def main() -> list[int]:
        app = ASGIMiddleware(None, stack)
        return await asyncio.gather(*(get(app, f"/media/{A}") for _ in range(5)))

    assert asyncio.run(main()) == [503] * 5
    assert [record.levelno for record in caplog.records if record.name == "mediamw"] == [logging.WARNING]
    event.set()
    stack.close()


# -- forks -------------------------------------------------------------------------------------------------------------

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
may_be_threaded = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def in_a_child(check: Callable[[], bool]) -> bool:
    """Run ``check`` in a forked child, which is given 10 seconds."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if check() else 2
        finally:
            os._exit(code)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")


@forks
@may_be_threaded
def test_a_forked_child_looks_up_by_itself() -> None:
    """With the parent in the middle of a look-up, and every lock of it held: none of that is the child's."""
    event, wait = gate()
    s3 = Bucket("s3", {A: b"x", B: b"x"}, wait=wait)
    stack = MediaStack([Local("local"), s3])
    lookups = stack._asker.origins.lookups
    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(stack.find, key) for key in (A, B)]
        until(lambda: len(s3.asked) == 2)

        def check() -> bool:
            s3.wait = lambda: None
            stack.forget(B)
            return (
                isinstance(stack.find(A), Redirect)
                and isinstance(stack.find(B), Redirect)
                and isinstance(stack.find("nobody"), Missing)
                and len(lookups) == 3
            )

        with lookups._state.get().lock:
            assert in_a_child(check)
        event.set()
        assert all(isinstance(future.result(10), Redirect) for future in asking)
    stack.close()


@forks
@may_be_threaded
def test_the_child_of_a_child() -> None:
    stack = MediaStack([Local("local"), Bucket("s3", {A: b"x"})])
    stack.find(A)
    assert in_a_child(lambda: stack.exists(A) and in_a_child(lambda: stack.exists(A) and not stack.exists(B)))
    stack.close()


# -- a page of images --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_page_of_a_hundred_images_asks_for_each_once(kind: str) -> None:
    names = [f"homes/{number}/photo {number}.jpg" for number in range(100)]
    with s3_server(Clock()) as server:
        for name in names[:-10]:  # ten are missing
            server.put(BUCKET, name, b"x")
        stack = MediaStack([Local("local"), backend(server)])
        expected = [302] * 90 + [404] * 10
        for _ in range(2):
            assert (over_wsgi if kind == "wsgi" else over_asgi)(stack, names) == expected
        assert sorted(call.key for call in server.heads) == sorted(names)
        assert len(server.gets) == 1, "for all ten that are missing, to see that it is S3 that says so"
        assert server.writes == []
        stack.close()


def over_wsgi(stack: MediaStack, names: list[str]) -> list[int]:
    app = WSGIMiddleware(None, stack)

    def request(name: str) -> int:
        statuses: list[int] = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/media/{name}", "SCRIPT_NAME": ""}
        app(environ, lambda status, headers, exc_info=None: statuses.append(int(status[:3])))
        return statuses[0]

    with ThreadPoolExecutor(6) as threads:
        return list(threads.map(request, names))


def over_asgi(stack: MediaStack, names: list[str]) -> list[int]:
    async def main() -> list[int]:
        app = ASGIMiddleware(None, stack)
        six = asyncio.Semaphore(6)

        async def request(name: str) -> int:
            async with six:
                return await get(app, f"/media/{name}")

        return await asyncio.gather(*map(request, names))

    return asyncio.run(main())
