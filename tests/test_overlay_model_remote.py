"""The overlay against the model of ``test_overlay_model.py``, with an upper across a network; and with a bucket."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from mediamw import WritableS3Backend
from mediamw.testing import StrictS3

from .fakes import FarMemory
from .test_overlay_model import QUICK, Overlay


class OverFarMemory(Overlay):
    make = staticmethod(lambda _folder: FarMemory(name="local"))


class OverBucket(Overlay):
    """The upper is a bucket. What clients are sent to is fetched."""

    @staticmethod
    def make(_folder: Path) -> Any:
        upper = SERVERS[-1]
        bucket = f"upper-{next(NUMBERS)}"
        upper.create_bucket(bucket)
        return WritableS3Backend(
            bucket, endpoint_url=upper.endpoint, access_key_id="AK", secret_access_key="secret", name="local"
        )


SERVERS: list[Any] = []
NUMBERS = itertools.count()


@pytest.mark.parametrize("examples", [15, pytest.param(300, marks=pytest.mark.slow)])
def test_the_overlay_is_the_model(examples: int) -> None:
    run_state_machine_as_test(OverFarMemory, settings=settings(QUICK, max_examples=examples))


@pytest.mark.slow
def test_the_overlay_over_a_bucket_is_the_model() -> None:
    with StrictS3(keys={"AK": "secret"}) as server:
        SERVERS.append(server)
        run_state_machine_as_test(OverBucket, settings=settings(QUICK, max_examples=4, stateful_step_count=15))
        SERVERS.pop()
