"""Django's own tests with ``MediaStorage`` in place of ``FileSystemStorage``: all pass that are on what a storage is.

Its source distribution has them, of the version that is installed; without a package index this skips, which CI does
not allow (conftest.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest

from ..django_suite.not_applicable import not_applicable
from ..fresh.environment import CHECKOUT, NO_ANSWER, clean

pytestmark = pytest.mark.slow

AT_LEAST = {"file_storage.tests": 100, "file_uploads.tests": 40, "model_fields.test_imagefield": 20}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``tests`` of the Django that is installed."""
    folder = tmp_path_factory.mktemp("django")
    version = django.get_version()
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", "django", "-d", str(folder), f"django=={version}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=clean())
    said = ran.stdout + ran.stderr
    if ran.returncode and (NO_ANSWER in said or os.environ.get("PIP_NO_INDEX")):
        pytest.skip("no package index can be reached")
    assert ran.returncode == 0, said
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    (tests,) = folder.glob("*/tests")
    return tests


@pytest.mark.parametrize("below", ["local", "lower"])
def test_django_s_own_tests(below: str, suite: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.json"
    command = [sys.executable, CHECKOUT / "tests" / "django_suite" / "runner.py", suite, below, answers]
    variables = clean(PYTHONPATH=str(CHECKOUT))
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=variables)
    assert ran.returncode == 0, ran.stderr[-3000:]
    ended: dict[str, str] = json.loads(answers.read_text())
    for label, number in AT_LEAST.items():
        assert sum(test.startswith(label) for test in ended) >= number, f"{label}: they were not all run"
    left_out = not_applicable(django.VERSION[0], below)
    wrong = {test: said for test, said in ended.items() if said != "ok" and test not in left_out}
    assert not {test for test, said in wrong.items() if not said.startswith("skipped")}, "\n".join(wrong.values())
    assert not wrong, "skipped"
    assert not {test for test in left_out if ended.get(test, "ok") == "ok"}, "they pass, or are none: not to be listed"
