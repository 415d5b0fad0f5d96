"""One body of logic for threads and for event loops.

What may have to wait is written as a generator that yields ``Wait`` and is sent the result. ``run`` drives it in a
thread; ``asgi.py`` has the other driver, which awaits. The logic itself neither blocks nor knows about asyncio.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from ..backends.per_process import PerProcess

T = TypeVar("T")
P = ParamSpec("P")


class Wait(NamedTuple):
    """Wait for ``future``, at most ``seconds`` (None: as long as it takes); then ``TimeoutError`` is thrown in.

    Only steps that run on an event loop may wait for what is no thread's future.
    """

    future: Future[Any] | Awaitable[Any]
    seconds: float | None = None


Steps = Generator[Wait, Any, T]


def run(steps: Steps[T]) -> T:
    """Drive ``steps`` to their end in this thread and return what they return."""
    try:
        wait = next(steps)
        while True:
            try:
                value = cast("Future[Any]", wait.future).result(wait.seconds)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the steps
                wait = steps.throw(error)
            else:
                wait = steps.send(value)
    except StopIteration as stop:
        result: T = stop.value
        return result


class Pool:
    """A bounded number of threads, started when first needed, and anew in a forked child."""

    def __init__(self, threads: int, name: str) -> None:
        # Making one starts no thread yet.
        self._executor = PerProcess(lambda: ThreadPoolExecutor(threads, thread_name_prefix=name))

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread of the pool call ``function``."""
        return self._executor.get().submit(function, *args, **kwargs)

    def close(self) -> None:
        """Let the threads end when they have done what they do now; what was not begun is cancelled."""
        executor = self._executor.pop()
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
