"""For all tests of the S3 backend: a server with a clock that can be moved, a client, and no secret in any log line."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

import pytest

from mediamw.backends.s3 import S3Backend
from mediamw.testing.strict_s3 import StrictS3

from ..faults.scripted import Origin
from .s3_world import Clock, assert_logs_no_secret, backend, s3_server


@pytest.fixture(autouse=True)
def no_secret_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert_logs_no_secret(caplog)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def s3(clock: Clock) -> Iterator[StrictS3]:
    with s3_server(clock) as server:
        yield server


@pytest.fixture
def prod(s3: StrictS3) -> Iterator[S3Backend]:
    made = backend(s3)
    yield made
    made.close()


@pytest.fixture
def origin() -> Iterator[Callable[..., Origin]]:
    with contextlib.ExitStack() as stack:

        def make(*script: bytes | None) -> Origin:
            made = Origin(*script)
            stack.callback(made.close)
            return made

        yield make
