"""Loads a file of DEPOT's tests with ``mediamw.ext.depot`` wherever it says ``depot``.

    globals().update(cases("test_local_storage"))    # in a module that pytest collects

The files (``vendored``) stay as they are; the text is changed on its way to the compiler, so that what the tests patch
by name is ours too, and the real ``depot`` can be imported beside it. What the source distribution lacks, or what has
left Python, is in ``helpers``.

``EXPECTED_DIFFERENCES`` names the tests that must fail, and why: one that passes has to leave the list.
"""

from __future__ import annotations

import re
import sys
import unittest
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from .differences import EXPECTED_DIFFERENCES

VENDORED: Final = Path(__file__).with_name("vendored")
OURS: Final = "mediamw.ext.depot"
HELPERS: Final = "tests.depot_suite.helpers"

_CHANGES: Final = (
    # Private to DEPOT: what tests of them do with None is among the differences.
    (re.compile(r"^from depot\.middleware import FileServeApp, _FileIter$", re.M), "FileServeApp = _FileIter = None"),
    (re.compile(r"\bdepot\.(?=(?:fields|io|manager|middleware|utils|validators)\b)"), f"{OURS}."),
    (re.compile(r"^from webtest import", re.M), f"from {HELPERS} import"),
    # Looked up each time: conftest.py closes what they leave open.
    (
        re.compile(r"^from tempfile import NamedTemporaryFile$", re.M),
        "import tempfile; NamedTemporaryFile = lambda: tempfile.NamedTemporaryFile()",
    ),
    (re.compile(r"^import mock$", re.M), "from unittest import mock"),
    (re.compile(r"^from flaky import", re.M), f"from {HELPERS} import"),
    (re.compile(r"^from (?:tests)?\.(?:utils|base_sqla) import", re.M), f"from {HELPERS} import"),
    (re.compile(r"^import (.*)\bcgi, ", re.M), rf"from {HELPERS} import cgi; import \1"),
)


def load(name: str) -> ModuleType:
    """Return a file of DEPOT's tests as a module, such as ``test_local_storage``."""
    full_name = f"{__package__}.vendored.{name}"
    if full_name not in sys.modules:
        path = VENDORED / f"{name}.py.txt"
        text = path.read_text(encoding="utf-8")
        for pattern, ours in _CHANGES:
            text = pattern.sub(ours, text)
        module = sys.modules[full_name] = ModuleType(full_name)
        module.__file__ = str(path)
        try:
            exec(compile(text, str(path), "exec"), vars(module))
        except BaseException:
            del sys.modules[full_name]
            raise
    return sys.modules[full_name]


def cases(name: str, *wanted: str) -> dict[str, Any]:
    """Return what pytest is to collect of a file: its test classes (all, or those named) and what sets it up."""
    module = load(name)
    found = {
        key: expecting(value, f"{name}.{key}")
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and (not wanted or key in wanted)
    }
    for key in ("setUpModule", "tearDownModule"):
        if key in vars(module):
            found[key] = getattr(module, key)
    return found


def expecting(case: type, prefix: str) -> type:
    """Mark the tests of a class that must fail. ``prefix``: the file and the class, as ``EXPECTED_DIFFERENCES`` has."""
    for test in [name for name in dir(case) if name.startswith("test")]:
        reason = EXPECTED_DIFFERENCES.get(f"{prefix}.{test}")
        if reason is not None:
            setattr(case, test, _failing(getattr(case, test), reason))
    return case


def _failing(test: Any, reason: str) -> Any:
    def run(self: Any) -> None:
        test(self)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return pytest.mark.xfail(reason=reason, strict=True)(run)
