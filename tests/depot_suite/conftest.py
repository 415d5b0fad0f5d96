"""DEPOT's tests write into ``./lfs``: each of their files is run in a folder of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from .helpers import close_database


@pytest.fixture(scope="module", autouse=True)
def files_and_databases_closed() -> Iterator[None]:
    """Close what DEPOT's tests leave open, of which newer Pythons warn."""
    with ExitStack() as files, pytest.MonkeyPatch.context() as patch:
        made = tempfile.NamedTemporaryFile
        patch.setattr(tempfile, "NamedTemporaryFile", lambda *given, **more: files.enter_context(made(*given, **more)))
        yield
    close_database()


@pytest.fixture(scope="module", autouse=True)
def in_a_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Be in an empty folder while the tests of one module run, what sets them up included."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("depot"))
    yield
    os.chdir(before)
