"""docs/testing.md is true: its tests pass and can fail, its table is the code's, and moto alone checks nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from mediamw import Key, S3Backend
from mediamw.testing import StrictS3
from mediamw.testing.s3_request import HttpRequest
from mediamw.testing.strict_s3 import Call

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "testing.md").read_text("utf-8")


def run_pytest(folder: Path, code: str) -> tuple[int, str]:
    (folder / "test_media.py").write_text(code)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        "test_media.py",
    ]
    ran = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_the_block(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    status, said = run_pytest(tmp_path, code)
    assert (status, "1 passed" in said) == (0, True), said
    wrong = code.replace('_SECRET_ACCESS_KEY", "another-secret"', '_SECRET_ACCESS_KEY", "wrong"')
    assert wrong != code
    status, said = run_pytest(tmp_path, wrong)
    assert (status, "1 failed" in said) == (1, True), said


def test_the_table() -> None:
    (table,) = re.findall(r"^\| \| what it is \|\n(.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    calls = next(line for line in table.splitlines() if line.startswith("| `calls`"))
    fields = set(re.findall(r"`(\w+)`", calls)) - {"calls", "gets", "heads"}
    assert fields == set(Call.__annotations__)
    options = set(re.findall(r"(\w+)=", table)) | {"no_list_keys", "public_buckets"}
    init = StrictS3.__init__.__kwdefaults__ or {}
    put = StrictS3.put.__kwdefaults__ or {}
    assert options - {"keys"} == {*init, *put} - {"port", "virtual_host_suffix"}
    methods = set(re.findall(r"`(\w+)\(", table)) - {"StrictS3"}
    named = methods | {"endpoint", "port", "calls", "writes", "gets", "heads"}
    assert named == {name for name in vars(StrictS3) if not name.startswith("_")}


def test_what_it_checks() -> None:
    ahead = [0.0]
    with StrictS3(keys={"AK": "secret"}, clock=lambda: time.time() + ahead[0]) as s3:
        s3.create_bucket("acme")
        s3.put("acme", "a.jpg", b"x")
        backend = S3Backend("acme", endpoint_url=s3.endpoint, access_key_id="AK", secret_access_key="secret")
        backend.prepare()
        right, of_head = (backend.sign(Key("a.jpg"), method, time.time()).url for method in ("GET", "HEAD"))
        changed = right[:-1] + ("0" if right[-1] != "0" else "1")
        assert [status(url) for url in (right, changed, of_head)] == [200, 403, 403]
        ahead[0] = 7200
        assert status(right) == 403
        for url in (right, changed, of_head):
            asked = HttpRequest("GET", url.removeprefix(s3.endpoint), (("Host", s3.endpoint.removeprefix("http://")),))
            assert s3._ask_moto(asked, "acme", "a.jpg")[0] == 200  # moto alone


def status(url: str) -> int:
    """Return what a GET of ``url`` is answered."""
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
