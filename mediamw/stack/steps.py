"""One body of logic for threads and for event loops.

What may have to wait is written as a generator that yields ``Wait`` and is sent the result. ``run`` drives it in a
thread; ``asgi.py`` has the other driver, which awaits. The logic itself neither blocks nor knows about asyncio.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Wait(NamedTuple):
    """Wait for ``future``, at most ``seconds`` (None: as long as it takes); then ``TimeoutError`` is thrown in."""

    future: Future[Any]
    seconds: float | None = None


Steps = Generator[Wait, Any, T]


def run(steps: Steps[T]) -> T:
    """Drive ``steps`` to their end in this thread and return what they return."""
    try:
        wait = next(steps)
        while True:
            try:
                value = wait.future.result(wait.seconds)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the steps
                wait = steps.throw(error)
            else:
                wait = steps.send(value)
    except StopIteration as stop:
        result: T = stop.value
        return result


class Pool:
    """A bounded number of threads, started when first needed, and anew in a forked child, which inherits none."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = threads
        self._name = name
        # By process. No lock, which a fork could leave held: setdefault is atomic, and a second executor harmless.
        self._executors: dict[int, ThreadPoolExecutor] = {}

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread of the pool call ``function``."""
        pid = os.getpid()
        executor = self._executors.get(pid)
        if executor is None:
            new = ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)  # starts no thread yet
            executor = self._executors.setdefault(pid, new)
        return executor.submit(function, *args, **kwargs)

    def close(self) -> None:
        """Let the threads end when they have done what they do now; what was not begun is cancelled."""
        executor = self._executors.pop(os.getpid(), None)
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
