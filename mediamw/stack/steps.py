"""One body of logic for threads and for event loops.

What may have to wait is written as a generator that yields ``Wait`` and is sent the result. ``run`` drives it in a
thread; ``asgi.py`` has the other driver, which awaits. The logic itself neither blocks nor knows about asyncio.
"""

from __future__ import annotations

import os
import threading
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
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._pid = 0

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread of the pool call ``function``."""
        executor = self._executor
        if executor is None or self._pid != os.getpid():
            executor = self._start()
        return executor.submit(function, *args, **kwargs)

    def close(self) -> None:
        """Let the threads end when they have done what was submitted."""
        executor, self._executor = self._executor, None
        if executor is not None and self._pid == os.getpid():
            executor.shutdown(wait=False)

    def _start(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None or self._pid != os.getpid():
                self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)
                self._pid = os.getpid()
            return self._executor
