"""Moving from and to buckets: what proves a copy there, what is sent, and the lists for others."""

from __future__ import annotations

import csv
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from mediamw import ConfigError, LocalBackend, MediaStack, MemoryBackend, S3Backend, WritableS3Backend
from mediamw.backends import s3_writer
from mediamw.ext.depot.io.boto3 import DepotBucket
from mediamw.ext.depot.io.local import DepotDirectory
from mediamw.storages import Registry
from mediamw.storages.migration import migrate
from mediamw.storages.migration.copying import Result
from mediamw.storages.migration.journal import Journal
from mediamw.storages.migration.manifests import manifest
from mediamw.storages.migration.places import about_journal
from mediamw.storages.migration.work import Opened
from mediamw.testing import StrictS3

from .migrations import files_of, fill
from .real_s3.rclone import program

KEYS: dict[str, Any] = {"access_key_id": "AKID", "secret_access_key": "secret"}
FILES = {'homes/7/ü, "x" +&%.txt': b"odd", "a.jpg": b"a" * 100, "b c.txt": b"b", "#no comment": b"#", ";nor this": b";"}


@pytest.fixture
def s3() -> Iterator[StrictS3]:
    with StrictS3(keys={"AKID": "secret"}) as server:
        server.create_bucket("old")
        server.create_bucket("new")
        yield server


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.clear()


def writable(s3: StrictS3, bucket: str = "new", location: str = "") -> WritableS3Backend:
    return WritableS3Backend(bucket, location=location, endpoint_url=s3.endpoint, **KEYS)


def test_into_a_bucket_the_md5_proves_it(s3: StrictS3, registry: Registry, tmp_path: Path) -> None:
    fill(tmp_path / "old", FILES)
    registry.configure("old", LocalBackend(tmp_path / "old"))
    registry.configure("new", writable(s3))
    report = migrate(registry, "old", "new", journal=tmp_path / "journal")
    assert report.is_complete
    assert s3.objects("new") == FILES
    assert [call for call in s3.gets if call.key and call.status == 200] == [], (
        "nothing is read back: the server's ETag is the MD5"
    )
    s3.clear_calls()
    assert migrate(registry, "old", "new", journal=tmp_path / "journal").earlier == len(FILES)
    assert not [call for call in s3.calls if call.key], "what is on record is not asked for"
    assert migrate(registry, "old", "new", journal=None).equal == len(FILES)
    assert not [call for call in s3.writes if call.method == "PUT" and ".mediamw/" not in call.key]
    assert not [call for call in s3.gets if call.key], "that too by the MD5"


def test_an_etag_that_is_no_md5_proves_nothing(
    s3: StrictS3, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in parts has another kind of ETag (and so has one that KMS encrypts): its bytes are read."""
    monkeypatch.setattr(s3_writer, "MAX_SINGLE_BYTES", 5 << 20)
    monkeypatch.setattr(s3_writer, "PART_BYTES", 5 << 20)
    data = bytes(range(256)) * (12 << 12)
    fill(tmp_path / "old", {"long.bin": data})
    registry.configure("old", LocalBackend(tmp_path / "old"))
    new = registry.configure("new", writable(s3))
    assert migrate(registry, "old", "new", journal=None).is_complete
    assert "-" in str(new.stat("long.bin").etag)
    assert {call.key for call in s3.gets if call.key} == {"long.bin"}
    assert s3.objects("new") == {"long.bin": data}
    s3.put("new", "long.bin", data[:-1] + b"?")
    assert migrate(registry, "old", "new", journal=None).conflicts == 1


def test_what_a_bucket_has_is_not_taken_for_granted(s3: StrictS3, registry: Registry, tmp_path: Path) -> None:
    """As many bytes, and others: the ETag is that of the others."""

    class Damaging(WritableS3Backend):
        def _store(self, draft: Any, key: Any, replace: bool) -> None:
            super()._store(draft, key, replace)
            if key == "a.jpg":
                s3.put("new", key, b"b" * 100)

    fill(tmp_path / "old", FILES)
    registry.configure("old", LocalBackend(tmp_path / "old"))
    registry.configure("new", Damaging("new", endpoint_url=s3.endpoint, **KEYS))
    report = migrate(registry, "old", "new", journal=None)
    assert [result.key for result in report.named["conflict"]] == ["a.jpg"]
    assert (report.copied, report.is_complete) == (len(FILES) - 1, False)


def test_from_a_bucket_that_can_only_be_read(s3: StrictS3, registry: Registry, tmp_path: Path) -> None:
    for key, data in FILES.items():
        s3.put("old", f"up/{key}", data, content_type="image/png" if key == "#no comment" else "binary/octet-stream")
    registry.configure("old", S3Backend("old", location="up", endpoint_url=s3.endpoint, **KEYS))
    new = registry.configure("new", LocalBackend(tmp_path / "new"))
    report = migrate(registry, "old", "new", journal=tmp_path / "journal")
    assert report.is_complete
    assert files_of(tmp_path / "new") == FILES
    assert new.stat("#no comment").content_type == "image/png"
    assert s3.writes == []
    s3.put("old", "up/a.jpg", b"changed")
    report = migrate(registry, "old", "new", journal=tmp_path / "journal")
    assert (report.copied, report.earlier) == (1, len(FILES) - 1)
    assert files_of(tmp_path / "new")["a.jpg"] == b"changed"


def test_a_bucket_that_is_away(s3: StrictS3, registry: Registry, tmp_path: Path) -> None:
    fill(tmp_path / "old", {f"{at}": b"x" for at in range(40)})
    registry.configure("old", LocalBackend(tmp_path / "old"))
    registry.configure("new", writable(s3, "no-such-bucket"))
    report = migrate(registry, "old", "new", journal=None, alone=True, patience=0.0, give_up_after=6)
    assert report.stopped.startswith(("6 failures in a row", "7 failures", "8 failures"))
    assert "no-such-bucket" in report.stopped
    assert "secret" not in report.stopped


# -- lists for others --------------------------------------------------------------------------------------------------


def opened(registry: Registry, *, upper_only: bool = False) -> Opened:
    return Opened.of(registry, "old", "new", upper_only=upper_only)


def test_the_manifest_of_s3_batch(s3: StrictS3, registry: Registry, tmp_path: Path) -> None:
    for key, data in FILES.items():
        s3.put("old", f"up/{key}", data)
    registry.configure("old", S3Backend("old", location="up", endpoint_url=s3.endpoint, **KEYS))
    registry.configure("new", writable(s3, location="up"))
    made = manifest(opened(registry), "s3-batch")
    lines = list(made.lines)
    assert "old,up/homes/7/%C3%BC%2C%20%22x%22%20%2B%26%25.txt\n" in lines
    rows = list(csv.reader(lines))
    assert {(bucket, unquote(key)) for bucket, key in rows} == {("old", f"up/{key}") for key in FILES}
    assert "TargetResource: bucket new" in made.notes[1]
    assert s3.writes == []


def test_what_is_on_record_is_not_listed(s3: StrictS3, registry: Registry, tmp_path: Path) -> None:
    for key, data in FILES.items():
        s3.put("old", key, data)
    registry.configure("old", S3Backend("old", endpoint_url=s3.endpoint, **KEYS))
    registry.configure("new", writable(s3, location="moved"))
    migrate(registry, "old", "new", journal=tmp_path / "journal")
    s3.put("old", "a.jpg", b"changed")
    s3.put("old", "new.jpg", b"new")
    both = opened(registry)
    journal = Journal(tmp_path / "journal", about_journal("old", "new", both, upper_only=False))
    try:
        row = journal.known(["b c.txt"])["b c.txt"]
        journal.record([Result(row.key, "failed", row.size, row.etag, row.mtime_ns)])
        made = manifest(both, "s3-batch", journal=journal)
        assert list(made.lines) == ["old,a.jpg\n", "old,b%20c.txt\n", "old,new.jpg\n"]
        assert "TargetKeyPrefix: moved" in made.notes[1]
    finally:
        journal.close()


def test_what_no_manifest_can_say(s3: StrictS3, registry: Registry, tmp_path: Path) -> None:
    registry.configure("old", MediaStack([MemoryBackend(), S3Backend("old", endpoint_url=s3.endpoint, **KEYS)]))
    registry.configure("new", writable(s3))
    with pytest.raises(ConfigError, match="several backends"):
        manifest(opened(registry), "s3-batch")
    with pytest.raises(ConfigError, match="from a bucket to a bucket"):
        manifest(opened(registry, upper_only=True), "s3-batch")
    with pytest.raises(ConfigError, match="'memory' is a MemoryBackend"):
        manifest(opened(registry, upper_only=True), "rclone")
    with pytest.raises(ConfigError, match="none of s3-batch, rclone"):
        manifest(opened(registry), "aws")  # type: ignore[arg-type]
    registry.clear()
    registry.configure("old", S3Backend("old", location="up", endpoint_url=s3.endpoint, **KEYS))
    registry.configure("new", writable(s3, location="other"))
    with pytest.raises(ConfigError, match=r"source begin with 'up/', of the target with 'other/'"):
        manifest(opened(registry), "s3-batch")


@pytest.mark.skipif(program() is None, reason="needs rclone: pip install -e '.[ci]'")
def test_rclone_copies_by_the_list(s3: StrictS3, registry: Registry, tmp_path: Path) -> None:
    """The command that stands in the notes is run as it is, and ``migrate`` finds all that it copied."""
    fill(tmp_path / "old", FILES)
    registry.configure("old", LocalBackend(tmp_path / "old"))
    registry.configure("new", writable(s3, location="up/here"))
    old = registry.get("old")
    old.save("no extension", b"x", content_type="image/png")
    made = manifest(opened(registry), "rclone", output=str(tmp_path / "a list"))
    (tmp_path / "a list").write_text("".join(made.lines), "utf-8")
    name, *words = shlex.split(made.notes[0])
    assert name == "rclone"
    variables = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    ended = subprocess.run(
        [program() or "", *words, "--config", str(tmp_path / "none")],
        env={"HOME": str(tmp_path), "PATH": "", **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    wanted = {**FILES, "no extension": b"x"}
    assert {key.removeprefix("up/here/"): data for key, data in s3.objects("new").items()} == wanted
    s3.clear_calls()
    report = migrate(registry, "old", "new", journal=None)
    assert (report.equal, report.copied) == (len(FILES), 0)
    assert [result.key for result in report.named["conflict"]] == ["no extension"], "rclone tells types by names"


def test_a_key_that_would_break_a_line_is_none(registry: Registry) -> None:
    """Backends do not list what is no key; so no list for others can hold a line break."""
    with pytest.raises(ValueError, match="control character"):
        registry.configure("old", MemoryBackend()).save("a\nb", b"x")


# -- what DEPOT keeps --------------------------------------------------------------------------------------------------


def test_depot_s_directory_into_depot_s_bucket_and_back(s3: StrictS3, registry: Registry, tmp_path: Path) -> None:
    """Names and types go along, in both forms that DEPOT has for them."""
    old = registry.configure("old", DepotDirectory(tmp_path / "old"))
    bucket = DepotBucket("new", prefix="avatars-", endpoint_url=s3.endpoint, name="new", **KEYS)
    new, back = registry.configure("new", bucket), registry.configure("back", DepotDirectory(tmp_path / "back"))
    ids = [str(uuid.UUID(int=at)) for at in range(1, 6)]
    for at, file_id in enumerate(ids):
        old.save(file_id, b"%d" % at * 1000, content_type="image/png", filename=f"Bild {at} ü.png")
    assert migrate(registry, "old", "new", journal=tmp_path / "there").is_complete
    assert sorted(s3.objects("new")) == [f"avatars-{file_id}" for file_id in ids]
    assert migrate(registry, "new", "back", journal=tmp_path / "back-again").is_complete
    for at, file_id in enumerate(ids):
        for stack in (new, back):
            meta = stack.stat(file_id)
            assert (meta.content_type, meta.filename) == ("image/png", f"Bild {at} ü.png")
            with stack.open(file_id) as file:
                assert file.read() == b"%d" % at * 1000
    for source, target, journal in (("old", "new", "there"), ("new", "back", "back-again")):
        s3.clear_calls()
        assert migrate(registry, source, target, journal=tmp_path / journal).earlier == len(ids)
        assert not [call for call in s3.calls if call.key.startswith("avatars-0")], "a listing tells what is the same"
    with pytest.raises(ConfigError, match="is a DepotDirectory"):
        manifest(opened(registry), "rclone")
    registry.configure("other", writable(s3, "old", location="avatars"))
    with pytest.raises(ConfigError, match="is a DepotBucket"):
        manifest(Opened.of(registry, "new", "other", upper_only=False), "rclone")
    with pytest.raises(ConfigError, match=r"begin with 'avatars-', of the target with 'avatars/'"):
        manifest(Opened.of(registry, "new", "other", upper_only=False), "s3-batch")
    assert "called" in migrate(registry, "new", "other", journal=None).named["refused"][0].reason
