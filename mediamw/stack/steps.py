"""One body of logic for threads and for event loops.

What may have to wait is written as a generator that yields ``Wait`` and is sent the result. ``run`` drives it in a
thread; ``asgi.py`` has the other driver, which awaits. The logic itself neither blocks nor knows about asyncio.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, TypeVar, cast

from ..backends.per_process import PerProcess

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

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


class Question:
    """What a pool was given to do. ``is_late`` once whoever waits has given up: then its failure is known already."""

    def __init__(self) -> None:
        self.is_late = False


QUESTION: Final[ContextVar[Question | None]] = ContextVar("mediamw_question", default=None)
"""What this thread of a pool is doing; None on every other thread."""


def question_of(future: Future[Any]) -> Question | None:
    """Return the question whose answer ``future`` will have; None if no pool was asked."""
    question: Question | None = getattr(future, "mediamw_question", None)
    return question


class Pool:
    """A bounded number of threads, started when first needed, and anew in a forked child."""

    def __init__(self, threads: int, name: str) -> None:
        def new() -> ThreadPoolExecutor:
            from concurrent.futures import ThreadPoolExecutor

            return ThreadPoolExecutor(threads, thread_name_prefix=name)  # making one starts no thread yet

        self._executor = PerProcess(new)

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread of the pool call ``function``."""
        question = Question()
        future = self._executor.get().submit(_answer, question, function, args, kwargs)
        future.mediamw_question = question  # type: ignore[attr-defined]
        return future

    def close(self) -> None:
        """Let the threads end when they have done what they do now; what was not begun is cancelled."""
        executor = self._executor.pop()
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


def _answer(question: Question, work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    token = QUESTION.set(question)
    try:
        return work(*args, **kwargs)
    finally:
        QUESTION.reset(token)
